"""Finds items in a window: with the compiled scanner where it has been built, else with msgspec.

Both check the same grammar. They differ in what they call an item with two faults (the scanner names the first), in how
deep an item may be nested (10,000 levels, or what Python's own limit leaves to msgspec), and in what they cost.
"""

from proxy.core.errors import InvalidJSONError, InvalidUTF8Error, ItemTooLargeError, ListError, NestingError
from proxy.core.finder import Batch, Finder
from proxy.core.proving import ProvingFinder

try:
    from proxy.core._scanner import Scanner

    is_compiled = True
except ImportError:  # built without a C compiler
    is_compiled = False

FAULTS: dict[int, tuple[type[ListError], str]] = {
    1: (InvalidJSONError, "an item is malformed JSON"),
    2: (InvalidUTF8Error, "an item is not UTF-8"),
    3: (NestingError, "an item is nested too deeply"),
    4: (ItemTooLargeError, "an item, or what stands before it, is over {max_item_bytes} bytes"),
    5: (InvalidJSONError, "an item has a lone surrogate escape"),
    6: (InvalidJSONError, "expected ',' or ']' after an item"),
}
"""What the scanner's verdicts mean."""


def make_finder(max_item_bytes: int, beginning: bytes) -> Finder:
    """Return the best finder that there is, for one List."""
    return ScanningFinder(max_item_bytes) if is_compiled else ProvingFinder(max_item_bytes, beginning)


class ScanningFinder:
    """The compiled scanner: it looks at every byte once, and needs no hint."""

    beginning = b""

    def __init__(self, max_item_bytes: int) -> None:
        self._max_item_bytes = max_item_bytes
        self._find = Scanner(max_item_bytes).find

    def hear(self, pieces: tuple[bytes, ...]) -> None:
        """Need nothing: the window has it all."""

    def find(self, window: bytearray, at: int, *, at_end: bool) -> Batch | None:
        """Return the next items, or the end of the array; see `Finder`."""
        fault, start, end, sizes = self._find(window, at)
        if fault:
            error, message = FAULTS[fault]
            raise error(message.format(max_item_bytes=self._max_item_bytes))
        return Batch(start, end, sizes) if start >= 0 else None
