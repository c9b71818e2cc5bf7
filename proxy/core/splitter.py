"""Cuts the body of a List into items while it arrives.

ijson reads the skeleton (`proxy.core.skeleton`), a finder (`proxy.core.scanner`) finds and checks the items, whose
bytes are passed on as they stand. Both together have checked the grammar of the whole document, and that it is UTF-8.
"""

import re

from proxy.core.errors import TruncatedListError
from proxy.core.events import Event, Items
from proxy.core.events import Skeleton as SkeletonBytes
from proxy.core.finder import Batch
from proxy.core.scanner import make_finder
from proxy.core.skeleton import Skeleton

ITEM_BEGINS = re.compile(rb"[ \t\n\r]*[^] \t\n\r]")
"""Behind the ``[`` of the array, where it is not empty."""

HEAD_HOLD_BYTES = 64 << 10
"""How much of a body without an array of items is held back, so that it can still be called something else."""

EMPTY = bytearray()


class Splitter:
    """Feed it a body in any chunks; it answers with `proxy.core.events`.

    `max_item_bytes` bounds one item and one value of the skeleton. What is held is the unfinished item and what was fed
    last (more without the compiled scanner: see `proxy.core.proving`). `feed` and `finish` raise
    `proxy.core.errors.ListError`s; after one the splitter is dead.

    `beginning` is what the items of a List like this one were seen to begin with (another page of it), a hint.

    The window is what was fed and not told of yet. Events hand out views of it, so it is never changed in place
    once something was cut from it: what is left moves to a new one.
    """

    def __init__(self, max_item_bytes: int, beginning: bytes = b"") -> None:
        self.items = 0
        self._skeleton = Skeleton(max_item_bytes)
        self._outline = self._skeleton.outline
        self._finder = make_finder(max_item_bytes, beginning)
        self._window = bytearray()
        self._at = 0  # everything before has been told
        self._finished = False

    @property
    def beginning(self) -> bytes:
        """Return what the items so far begin with, as far as that is of use."""
        return self._finder.beginning

    @property
    def is_list(self) -> bool:
        """Whether an array of items (or its ``null``) has been seen yet."""
        return self._outline.has_items

    @property
    def has_item(self) -> bool:
        """Whether an item has been told of, or has begun."""
        return self.items > 0 or (self._outline.in_items and ITEM_BEGINS.match(self._window) is not None)

    @property
    def items_key(self) -> str | None:
        """Return ``items`` or ``rows``, None while neither has been seen."""
        return self._outline.items_key

    @property
    def is_typed(self) -> bool:
        """Whether the kind stands before the items, as in the List of a type that its server knows."""
        return self._outline.is_typed

    @property
    def is_complete(self) -> bool:
        """Whether the body has ended as a List should."""
        return self._finished and self.is_list

    @property
    def held(self) -> int:
        """Return the memory in bytes of what was fed and not told of yet; a window that grows takes some ahead."""
        return self._window.__alloc__()

    def feed(self, *pieces: bytes) -> list[Event]:
        """Take the next bytes of the body, in one or more pieces, and return what can be told now."""
        events: list[Event] = []
        known = len(self._window)
        self._take(pieces)
        if not self._outline.in_items:
            self._read_skeleton(known, events)
        if self._outline.in_items:
            self._cut(events, at_end=False)
        self._move_window()
        return events

    def _take(self, pieces: tuple[bytes, ...]) -> None:
        self._finder.hear(pieces)
        if len(self._window) <= sum(map(len, pieces)):
            self._window = EMPTY.join((self._window, *pieces))  # one allocation of the right size
        else:
            for piece in pieces:
                self._window += piece  # a large item: grows in steps of an eighth

    def finish(self) -> list[Event]:
        """Take the end of the body and return the rest; nothing when asked again.

        Raises TruncatedListError inside anything.
        """
        events: list[Event] = []
        if self._finished:
            return events
        self._finished = True
        if self._outline.in_items:
            self._cut(events, at_end=True)
        if self._outline.in_items:
            raise TruncatedListError("the body ends inside the items")
        self._skeleton.finish()
        if self._at < len(self._window):
            self._tell_skeleton(events, len(self._window))
        self._move_window()
        return events

    # --- the skeleton -------------------------------------------------------------------------------------------

    def _read_skeleton(self, new: int, events: list[Event]) -> None:
        """Parse the window from `new` on, up to the ``[`` of the items where it has one."""
        window = self._window
        while not self.is_list and (opened := window.find(b"[", new) + 1):
            self._skeleton.feed(bytes(window[new:opened]))
            new = opened
            if self._outline.in_items:
                self._tell_skeleton(events, new, opens=True)
                return
        if new < len(window):
            self._skeleton.feed(bytes(window[new:]))
        if self.is_list or len(window) > HEAD_HOLD_BYTES:
            self._tell_skeleton(events, len(window))

    def _tell_skeleton(self, events: list[Event], end: int, *, opens: bool = False) -> None:
        events.append(SkeletonBytes(bytes(self._window[self._at : end]), opens))
        self._at = end

    def _move_window(self) -> None:
        """Leave the told part of the window to the events that show it."""
        if self._at:
            self._window = self._window[self._at :]
            self._at = 0

    # --- the items ----------------------------------------------------------------------------------------------

    def _cut(self, events: list[Event], *, at_end: bool) -> None:
        """Cut everything from the window that can be cut."""
        while self._outline.in_items and self._at < len(self._window):
            batch = self._finder.find(self._window, self._at, at_end=at_end)
            if batch is None:
                return
            if batch.sizes:
                self._tell_items(events, batch)
            else:
                self._skeleton.leave_items()
                self._read_skeleton(self._at, events)

    def _tell_items(self, events: list[Event], batch: Batch) -> None:
        self.items += len(batch.sizes)
        lead, data = self._window[self._at : batch.start], memoryview(self._window)[batch.start : batch.end]
        events.append(Items(bytes(lead), data, batch.sizes))
        self._at = batch.end
