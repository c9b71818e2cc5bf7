"""Cuts the body of a List into items while it arrives.

ijson reads the skeleton (`proxy.core.skeleton`); msgspec finds, checks and cuts the items, whose bytes are passed on
as they stand. Both together have checked the grammar of the whole document, and UTF-8 is checked a batch at a time.

Two ways lead to the end of an item:

* Guess and prove. The items of a List begin alike (``{"metadata":{"name":"`` for a typed list), so the last
  occurrence of that beginning in a window is almost always a boundary. Decoding ``[`` window ``]`` as ``list[Raw]``
  proves it: a prefix that is a valid array ends at the end of an item. One call checks and cuts a whole batch, at
  1.07 CPU seconds per GB on 1.9 KB pods.
* Exactly. Decode one value and take the position at which msgspec reports what follows it. Needed for the first
  items, for the last, and where a guess failed (items that contain their own beginning).

Time is linear in the body, whatever the chunking and the size of the items: an unfinished item is looked at again
only when the window has doubled, and after a failed guess as many bytes are cut exactly as the guess has cost.
"""

import re
from typing import cast

from proxy.core.errors import (
    InvalidJSONError,
    InvalidUTF8Error,
    ItemTooLargeError,
    TruncatedListError,
)
from proxy.core.events import Event, Items
from proxy.core.events import Skeleton as SkeletonBytes
from proxy.core.skeleton import Skeleton
from proxy.core.values import find_end, is_utf8, prove_items

BATCH_BYTES = 256 << 10
"""What is proved at once. 64 KiB batches cost 4 % more, 1 MiB no less."""

HEAD_HOLD_BYTES = 64 << 10
"""How much of a body without an array of items is held back, so that it can still be called something else."""

BEGINNING_BYTES = 32
"""How much of an item's beginning serves as the guess."""

SIBLING_BYTES = 12
"""How much of a large item's beginning makes a sign of the next one: ``{"metadata":``."""

EMPTY = bytearray()
SPACE = b" \t\n\r"
PAUSES = b"}], \t\n\r"
SPACES = re.compile(rb"[ \t\n\r]*")
LEAD = re.compile(rb"[ \t\n\r]*,[ \t\n\r]*")


class Splitter:
    """Feed it a body in any chunks; it answers with `proxy.core.events`.

    `max_item_bytes` bounds one item and one value of the skeleton. At most twice the largest item plus what was fed
    last is held (four times where items of over 256 KiB begin unlike each other; up to `max_item_bytes` of items that
    are neither objects nor arrays, which no Kubernetes List has). `feed` and `finish` raise
    `proxy.core.errors.ListError`s; after one the splitter is dead.

    `beginning` is what the items of a List like this one were seen to begin with (another page of it): it spares
    the exact way for all but the first and the last.

    The window is what was fed and not told of yet. Events hand out views of it, so it is never changed in place
    once something was cut from it: what is left moves to a new one.
    """

    def __init__(self, max_item_bytes: int, beginning: bytes = b"") -> None:
        self.items = 0
        self.beginning = beginning  # of the items so far
        self._max_item_bytes = max_item_bytes
        self._skeleton = Skeleton(max_item_bytes)
        self._window = bytearray()
        self._at = 0  # everything before has been told
        self._finished = False
        self._ascii = True  # so is the whole window
        self._mark = b"," + beginning if beginning else None  # a separator and what an item begins with
        self._searched = 0  # no mark begins before
        self._looked = 0  # no closing bracket stands between here and where an item was last looked for
        self._next_look = 1  # window size from which the exact way may be tried
        self._largest = 0  # size of the largest item so far
        self._distrust = 0  # bytes to cut exactly before the next guess

    @property
    def is_list(self) -> bool:
        """Whether an array of items (or its ``null``) has been seen yet."""
        return self._skeleton.has_items

    @property
    def items_key(self) -> str | None:
        """Return ``items`` or ``rows``, None while neither has been seen."""
        return self._skeleton.items_key

    @property
    def kind(self) -> str | None:
        """Return the List's kind, None while it has not been read."""
        return self._skeleton.kind

    @property
    def is_typed(self) -> bool:
        """Whether the kind stands before the items, as in the List of a type that its server knows."""
        return self._skeleton.is_typed

    @property
    def is_complete(self) -> bool:
        """Whether the body has ended as a List should."""
        return self._finished and self.is_list

    @property
    def held(self) -> int:
        """Bytes that were fed and not told of yet."""
        return len(self._window)

    def feed(self, *pieces: bytes) -> list[Event]:
        """Take the next bytes of the body, in one or more pieces, and return what can be told now."""
        events: list[Event] = []
        known = len(self._window)
        self._take(pieces)
        if not self._skeleton.in_items:
            self._read_skeleton(known, events)
        if self._skeleton.in_items:
            self._cut(events, at_end=False)
        self._move_window()
        return events

    def _take(self, pieces: tuple[bytes, ...]) -> None:
        if len(self._window) < BATCH_BYTES:
            self._window = EMPTY.join((self._window, *pieces))  # one allocation of the right size
        else:
            for piece in pieces:
                self._window += piece  # a large item: grows in steps of an eighth
        self._ascii = self._ascii and all(map(bytes.isascii, pieces))

    def finish(self) -> list[Event]:
        """Take the end of the body and return the rest; nothing when asked again.

        Raises TruncatedListError inside anything.
        """
        events: list[Event] = []
        if self._finished:
            return events
        self._finished = True
        if self._skeleton.in_items:
            self._cut(events, at_end=True)
        if self._skeleton.in_items:
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
            if self._skeleton.in_items:
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
            self._ascii = self._ascii or self._window.isascii()
            self._searched = max(0, self._searched - self._at)
            self._looked = max(0, self._looked - self._at)
            self._at = 0

    # --- the items ----------------------------------------------------------------------------------------------

    def _cut(self, events: list[Event], *, at_end: bool) -> None:
        """Cut everything from the window that can be cut."""
        while self._skeleton.in_items and self._at < len(self._window):
            if self._cut_batch(events):
                continue
            if not (at_end or self._worth_a_look()):
                return
            if not self._cut_one(events):
                self._next_look = 2 * (len(self._window) - self._at)
                return

    def _cut_batch(self, events: list[Event]) -> bool:
        """Guess a boundary, prove it, tell the items before it; False where no guess is to be had."""
        if not self.items:
            return False  # nothing stands before the first item; a separator there is no separator
        end = self._guess()
        lead = LEAD.match(self._window, self._at)
        if end < 0 or lead is None or (start := lead.end()) >= end:
            return False
        sizes = prove_items(self._window, start, end)
        if sizes is None or not (self._ascii or is_utf8(self._window, start, end)):
            # A wrong guess, or a broken item: the exact way finds out, and tells which.
            self._distrust = end - self._at
            return False
        self._tell_items(events, start, end, sizes)
        return True

    def _guess(self) -> int:
        """Return where the last mark of a batch stands, or the first one behind it; -1 without one."""
        mark = self._mark
        if mark is None or self._distrust > 0:
            return -1
        window, behind = self._window, max(self._at + 1, self._searched)
        end = window.rfind(mark, behind, self._at + BATCH_BYTES)
        if end < 0 and len(window) - self._at > BATCH_BYTES:
            end = window.find(mark, max(behind, self._at + BATCH_BYTES - len(mark)))
        if end < 0:
            self._searched = max(behind, len(window) - len(mark) + 1)
        return end

    def _worth_a_look(self) -> bool:
        """Whether an item may have ended: the window has doubled since the last try, and a bracket has closed.

        Where marks are to be had, the next item's beginning will tell; but not when the window ends like an item does,
        as then the upstream may have paused there, and nothing that is complete should wait.
        """
        window, size = self._window, len(self._window) - self._at
        if size > self._max_item_bytes:
            return True
        if size < self._next_look:
            return False
        if self._mark is not None and self._distrust <= 0 and size < 2 * self._largest and window[-1] not in PAUSES:
            return False
        looked, self._looked = max(self._looked, self._at), len(window)
        if BATCH_BYTES <= size < 2 * self._next_look and not self._has_sibling(looked):
            return False
        return window.find(b"}", looked) >= 0 or window.find(b"]", looked) >= 0

    def _has_sibling(self, looked: int) -> bool:
        """Whether what the unfinished item begins with comes again behind `looked`.

        Tries at a large item are dear: without this sign of a next one they wait until the window is four times as
        large (one item of 50 MB full of small objects: 3.0 instead of 4.1 CPU s/GB to cut).
        """
        window = self._window
        start = self._find_start()
        if start is None:
            return False
        beginning = window[start : start + SIBLING_BYTES]
        return window.find(beginning, max(start + 1, looked - SIBLING_BYTES)) >= 0

    def _cut_one(self, events: list[Event]) -> bool:
        """Tell the next item, or the end of the array; False where bytes are missing."""
        start = self._find_start()
        if start is None:
            return False
        if self._window[start] == ord("]") and b"," not in self._window[self._at : start]:
            self._skeleton.leave_items()
            self._read_skeleton(self._at, events)
            return True
        end = find_end(self._window, start)
        if end is None:
            if len(self._window) - start > self._max_item_bytes:
                raise ItemTooLargeError(f"an item is over {self._max_item_bytes} bytes")
            return False
        if not (self._ascii or is_utf8(self._window, start, end)):
            raise InvalidUTF8Error("an item is not UTF-8")
        self._learn(start, end)
        self._distrust -= end - self._at
        self._tell_items(events, start, end, [end - start])
        return True

    def _find_start(self) -> int | None:
        """Return where the next item, or the array's ``]``, begins; None where bytes are missing."""
        window = self._window
        lead = LEAD.match(window, self._at) if self.items else None
        if lead is None:
            lead = cast("re.Match[bytes]", SPACES.match(window, self._at))  # it matches nothing, too
            if self.items and lead.end() < len(window) and window[lead.end()] != ord("]"):
                raise InvalidJSONError("expected ',' or ']' after an item")
        return lead.end() if lead.end() < len(window) else None

    def _tell_items(self, events: list[Event], start: int, end: int, sizes: list[int]) -> None:
        self._largest = max(self._largest, *sizes)
        if self._largest > self._max_item_bytes:
            raise ItemTooLargeError(f"an item is over {self._max_item_bytes} bytes")
        self.items += len(sizes)
        events.append(Items(bytes(self._window[self._at : start]), memoryview(self._window)[start:end], sizes))
        self._at = self._looked = end
        self._next_look = 1

    def _learn(self, start: int, end: int) -> None:
        """Keep what the items so far begin with, behind the separator that stood before this one."""
        beginning = bytes(self._window[start : min(end, start + BEGINNING_BYTES)])
        if self.items:
            beginning = _common(self.beginning, beginning)
            mark = bytes(self._window[self._at : start]) + beginning if beginning else None
        else:
            beginning = _common(self.beginning, beginning) or beginning
            mark = self._mark if beginning == self.beginning else None
        if mark != self._mark:
            self._mark, self._searched = mark, 0
        self.beginning = beginning


def _common(one: bytes, other: bytes) -> bytes:
    """Return what both begin with."""
    length = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]
