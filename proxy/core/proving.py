"""Finds items without the compiled scanner: msgspec checks and cuts them, UTF-8 is checked a batch at a time.

Two ways lead to the end of an item:

* Guess and prove. The items of a List begin alike (``{"metadata":{"name":"`` for a typed list), so the last
  occurrence of that beginning in a window is almost always a boundary. Decoding ``[`` window ``]`` as ``list[Raw]``
  proves it: a prefix that is a valid array ends at the end of an item. One call checks and cuts a whole batch.
* Exactly. Decode one value and take the position at which msgspec reports what follows it. Needed for the first
  items, for the last, and where a guess failed (items that contain their own beginning).

Time is linear in the body, whatever the chunking and the size of the items: an unfinished item is looked at again
only when the window has doubled, and after a failed guess as many bytes are cut exactly as the guess has cost.
"""

import re
from typing import cast

from proxy.core.errors import InvalidJSONError, InvalidUTF8Error, ItemTooLargeError
from proxy.core.finder import Batch
from proxy.core.values import find_end, is_utf8, prove_items

BATCH_BYTES = 256 << 10
"""What is proved at once. 64 KiB batches cost 4 % more, 1 MiB no less."""

BEGINNING_BYTES = 32
"""How much of an item's beginning serves as the guess."""

SIBLING_BYTES = 12
"""How much of a large item's beginning makes a sign of the next one: ``{"metadata":``."""

SPACE = b" \t\n\r"
PAUSES = b"}], \t\n\r"
SPACES = re.compile(rb"[ \t\n\r]*")
LEAD = re.compile(rb"[ \t\n\r]*,[ \t\n\r]*")


class ProvingFinder:
    """Guesses where items end, and proves it.

    At most twice the largest item plus what was fed last is left in the window (four times where items of over 256 KiB
    begin unlike each other; up to `max_item_bytes` of items that are neither objects nor arrays, which no Kubernetes
    List has). `beginning` is what the items of a List like this one were seen to begin with: it spares the exact way
    for all but the first and the last.
    """

    def __init__(self, max_item_bytes: int, beginning: bytes = b"") -> None:
        self.beginning = beginning  # of the items so far
        self._max_item_bytes = max_item_bytes
        self._at = 0  # everything before has been told
        self._ascii = True  # so is the whole window
        self._is_first = True  # no item has been told
        self._mark = b"," + beginning if beginning else None  # a separator and what an item begins with
        self._searched = 0  # no mark begins before
        self._looked = 0  # no closing bracket stands between here and where an item was last looked for
        self._next_look = 1  # window size from which the exact way may be tried
        self._largest = 0  # size of the largest item so far
        self._distrust = 0  # bytes to cut exactly before the next guess

    def hear(self, pieces: tuple[bytes, ...]) -> None:
        """Look for what is not ASCII in what the window is about to grow by: there it is not copied for it."""
        self._ascii = self._ascii and all(map(bytes.isascii, pieces))

    def find(self, window: bytearray, at: int, *, at_end: bool) -> Batch | None:
        """Return the next items, or the end of the array; see `Finder`."""
        self._follow(window, at)
        batch = self._find_batch(window)
        if batch is None and (at_end or self._worth_a_look(window)):
            batch = self._find_one(window)
            if batch is None:
                self._next_look = 2 * (len(window) - at)
        if batch is not None and batch.sizes:
            self._note(batch)
        return batch

    def _follow(self, window: bytearray, at: int) -> None:
        """Take note of how the window has moved."""
        if moved := self._at - at:
            self._at = at
            self._searched = max(0, self._searched - moved)
            self._looked = max(0, self._looked - moved)
            self._ascii = self._ascii or window.isascii()

    def _note(self, batch: Batch) -> None:
        self._largest = max(self._largest, *batch.sizes)
        if self._largest > self._max_item_bytes:
            raise self._too_large()
        self._at = self._looked = batch.end
        self._next_look = 1
        self._is_first = False

    # --- guess and prove ----------------------------------------------------------------------------------------

    def _find_batch(self, window: bytearray) -> Batch | None:
        """Guess a boundary and prove it; None where no guess is to be had."""
        if self._is_first:
            return None  # nothing stands before the first item; a separator there is no separator
        end = self._guess(window)
        lead = LEAD.match(window, self._at)
        if end < 0 or lead is None or (start := lead.end()) >= end:
            return None
        sizes = prove_items(window, start, end)
        if sizes is None or not (self._ascii or is_utf8(window, start, end)):
            # A wrong guess, or a broken item: the exact way finds out, and tells which.
            self._distrust = end - self._at
            return None
        return Batch(start, end, sizes)

    def _guess(self, window: bytearray) -> int:
        """Return where the last mark of a batch stands, or the first one behind it; -1 without one."""
        mark = self._mark
        if mark is None or self._distrust > 0:
            return -1
        behind = max(self._at + 1, self._searched)
        end = window.rfind(mark, behind, self._at + BATCH_BYTES)
        if end < 0 and len(window) - self._at > BATCH_BYTES:
            end = window.find(mark, max(behind, self._at + BATCH_BYTES - len(mark)))
        if end < 0:
            self._searched = max(behind, len(window) - len(mark) + 1)
        return end

    # --- exactly ------------------------------------------------------------------------------------------------

    def _worth_a_look(self, window: bytearray) -> bool:
        """Whether an item may have ended: the window has doubled since the last try, and a bracket has closed.

        Where marks are to be had, the next item's beginning will tell; but not when the window ends like an item does,
        as then the upstream may have paused there, and nothing that is complete should wait.
        """
        size = len(window) - self._at
        if size > self._max_item_bytes:
            return True
        if size < self._next_look:
            return False
        if self._mark is not None and self._distrust <= 0 and size < 2 * self._largest and window[-1] not in PAUSES:
            return False
        looked, self._looked = max(self._looked, self._at), len(window)
        if BATCH_BYTES <= size < 2 * self._next_look and not self._has_sibling(window, looked):
            return False
        return window.find(b"}", looked) >= 0 or window.find(b"]", looked) >= 0

    def _has_sibling(self, window: bytearray, looked: int) -> bool:
        """Whether what the unfinished item begins with comes again behind `looked`.

        Tries at a large item are dear: without this sign of a next one they wait until the window is four times as
        large (one item of 50 MB full of small objects: 3.0 instead of 4.1 CPU s/GB to cut).
        """
        start = self._find_start(window)
        if start is None:
            return False
        beginning = window[start : start + SIBLING_BYTES]
        return window.find(beginning, max(start + 1, looked - SIBLING_BYTES)) >= 0

    def _find_one(self, window: bytearray) -> Batch | None:
        """Return the next item, or the end of the array; None where bytes are missing."""
        start = self._find_start(window)
        if start is None:
            return None
        if window[start] == ord("]") and b"," not in window[self._at : start]:
            return Batch(start, start, [])
        end = find_end(window, start)
        if end is None:
            if len(window) - start > self._max_item_bytes:
                raise self._too_large()
            return None
        if not (self._ascii or is_utf8(window, start, end)):
            raise InvalidUTF8Error("an item is not UTF-8")
        self._learn(window, start, end)
        self._distrust -= end - self._at
        return Batch(start, end, [end - start])

    def _find_start(self, window: bytearray) -> int | None:
        """Return where the next item, or the array's ``]``, begins; None where bytes are missing."""
        lead = None if self._is_first else LEAD.match(window, self._at)
        if lead is None:
            lead = cast("re.Match[bytes]", SPACES.match(window, self._at))  # it matches nothing, too
            if not self._is_first and lead.end() < len(window) and window[lead.end()] != ord("]"):
                raise InvalidJSONError("expected ',' or ']' after an item")
        if lead.end() - self._at > self._max_item_bytes:
            raise self._too_large()
        return lead.end() if lead.end() < len(window) else None

    def _learn(self, window: bytearray, start: int, end: int) -> None:
        """Keep what the items so far begin with, behind the separator that stood before this one."""
        beginning = bytes(window[start : min(end, start + BEGINNING_BYTES)])
        if self._is_first:
            beginning = _common(self.beginning, beginning) or beginning
            mark = self._mark if beginning == self.beginning else None
        else:
            beginning = _common(self.beginning, beginning)
            mark = bytes(window[self._at : start]) + beginning if beginning else None
        if mark != self._mark:
            self._mark, self._searched = mark, 0
        self.beginning = beginning

    def _too_large(self) -> ItemTooLargeError:
        return ItemTooLargeError(f"an item, or what stands before it, is over {self._max_item_bytes} bytes")


def _common(one: bytes, other: bytes) -> bytes:
    """Return what both begin with."""
    length = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]
