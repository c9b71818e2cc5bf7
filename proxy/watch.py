"""A watch that can be ended early, between two events, as an apiserver ends its watches when it goes down."""

from collections.abc import Callable, Sequence

from proxy.core.boundaries import Boundaries
from proxy.http1 import BodyStream, Source


class Watch(Source):
    """The body of a watch; there is no limit on its silence.

    Clients take its clean end for what it is, and watch on from the last event. One that ends within an event would be
    an error to them.
    """

    def __init__(self, body: BodyStream, boundaries: Boundaries) -> None:
        super().__init__(body, None)
        self._boundaries = boundaries
        self._is_ending = False

    def end(self) -> None:
        """End behind the event that is under way, or at once where none is."""
        self._is_ending = True
        if self._boundaries.is_between:
            self.body.end()  # wakes the reader

    def offer_to(self, take: Callable[[Sequence[bytes]], bool]) -> None:
        """Offer what comes to `take`, until the end is near: then it is cut as it is read."""

        def follow(pieces: Sequence[bytes]) -> bool:
            is_taken = not self._is_ending and take(pieces)
            for piece in pieces if is_taken else ():
                self._boundaries.follow(piece)
            return is_taken

        super().offer_to(follow)

    async def read(self, at_least: int = 1) -> list[bytes]:
        """Return everything that has arrived; nothing behind the last event."""
        if self._is_over:
            return []
        pieces = await super().read(at_least)
        if self._is_over:  # what came in the same moment is for the next watch
            return []
        passed = []
        for piece in pieces:
            passed.append(piece[: self._boundaries.follow(piece, to_boundary=self._is_ending)])
            if self._is_over:
                break
        return passed

    @property
    def _is_over(self) -> bool:
        return self._is_ending and self._boundaries.is_between
