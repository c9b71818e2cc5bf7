"""What the heads of all requests hold together.

Small heads always have room. Large ones share a bound: without it a thousand clients, each of which has sent a megabyte
of a head and nothing more, would hold a gigabyte before anybody has asked who they are.
"""

from typing import Protocol

SMALL_BYTES = 16 << 10
"""What a connection's heads may hold without a share of the bound: a token and some twenty lines are 4 KiB."""

LINE_BYTES = 200
"""What a header line costs beside its bytes: two bytes objects, a tuple, a place in a list."""


class Owner(Protocol):
    """What holds heads, for a connection."""

    def refuse_head(self) -> None:
        """Give the unfinished head up."""


class Heads:
    """The heads that are unfinished, or large, by their connections. `limit` bytes are for what is large of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._large = 0  # bytes above SMALL_BYTES
        self._sizes: dict[Owner, tuple[int, int]] = {}

    def note(self, owner: Owner, unfinished: int, whole: int = 0) -> None:
        """Note what a connection holds in bytes: of a head that is coming, and of those that are complete.

        Where that is more than there is room for, the largest of those that are coming is refused: who is under way is
        not cut off for a newcomer.
        """
        size = unfinished + whole
        before = sum(self._sizes.pop(owner, (0, 0)))
        self.held += size - before
        self._large += max(0, size - SMALL_BYTES) - max(0, before - SMALL_BYTES)
        if size:
            self._sizes[owner] = unfinished, whole
        while self._large > self.limit and (largest := self._largest()) is not None:
            largest.refuse_head()
            self.note(largest, 0, self._sizes[largest][1])

    def _largest(self) -> Owner | None:
        """Return who holds most in a head that is coming, if that is more than is small."""
        owner = max(self._sizes, key=lambda owner: self._sizes[owner][0], default=None)
        return owner if owner is not None and self._sizes[owner][0] > SMALL_BYTES else None
