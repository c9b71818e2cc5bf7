"""What a finder answers with."""

from typing import NamedTuple, Protocol


class Batch(NamedTuple):
    """Complete items in a window: where the first begins, where the last ends, and the size of each.

    Without items it is the end of the array, whose ``]`` stands at `start`, perhaps behind white space.
    """

    start: int
    end: int
    sizes: list[int]


class Finder(Protocol):
    """Finds the items of one List, whose array has just been opened."""

    @property
    def beginning(self) -> bytes:
        """Return what the items so far begin with: a hint for the finder of a List like this one."""

    def hear(self, pieces: tuple[bytes, ...]) -> None:
        """Hear of what the window is about to grow by."""

    def find(self, window: bytearray, at: int, *, at_end: bool) -> Batch | None:
        """Return the next items that are complete, or the end of the array; None where bytes are missing.

        What stands before `at` has been told: the end of the last batch, or the same place after the window has been
        moved so that it is 0. `at_end` says that no more bytes will come. Raises InvalidJSONError, InvalidUTF8Error,
        NestingError and ItemTooLargeError.
        """
