"""The List without its items, read incrementally with ijson's push parser.

The splitter feeds it everything before the array of items, then ``[``, and later ``]`` and everything after, so that
one parser has checked the grammar of the whole document. ijson reports no positions; single-character tokens are
reported as soon as they are fed, so a caller that feeds up to each ``[`` knows where the array begins.
"""

from collections.abc import Generator

from ijson.backends import yajl2_c
from ijson.common import IncompleteJSONError

from proxy.core.errors import (
    DuplicateItemsError,
    InvalidJSONError,
    InvalidUTF8Error,
    ItemTooLargeError,
    NestingError,
    RestreamError,
    TrailingDataError,
    TruncatedListError,
)

MAX_DEPTH = 1000
"""As deep as msgspec goes into an item on a default interpreter; Go's encoding/json stops at 10,000."""


class Skeleton:
    """Push parser for a List's skeleton that knows when the array of items opens.

    `max_token_bytes` bounds what the parser may hold of one unfinished string or number.
    """

    def __init__(self, max_token_bytes: int) -> None:
        self.in_items = False
        self.has_items = False
        self.kind: str | None = None
        self._depth = 0
        self._key: str | None = None
        self._items_key: str | None = None
        self._unreported = 0
        self._max_token_bytes = max_token_bytes
        self._parser: Generator[None, bytes, None] = yajl2_c.basic_parse_coro(self)

    def feed(self, data: bytes) -> None:
        """Parse `data`; afterwards `in_items` tells whether its last byte opened the array of items.

        Raises InvalidJSONError, InvalidUTF8Error, TrailingDataError, DuplicateItemsError, NestingError and
        ItemTooLargeError.
        """
        self._unreported += len(data)
        self._guard(data)
        if self._unreported > self._max_token_bytes:
            raise ItemTooLargeError(f"a value outside the items is over {self._max_token_bytes} bytes")

    def finish(self) -> None:
        """Declare the end of the input. Raises TruncatedListError where it comes too early."""
        self._guard(b"")

    def leave_items(self) -> None:
        """Note that the array has been read to its end; the caller feeds the ``]`` next."""
        self.in_items = False

    def _guard(self, data: bytes) -> None:
        """Run the parser and translate what it raises: its messages quote the input, ours must not."""
        try:
            if data:
                self._parser.send(data)
            else:
                self._parser.close()
        except RestreamError:
            raise
        except IncompleteJSONError as error:
            raise _translate(str(error)) from None
        except (ValueError, ArithmeticError):
            raise InvalidJSONError("a number outside the items cannot be represented") from None

    def send(self, event: tuple[str, object]) -> None:
        """Take one event of the parser (ijson's protocol for a push target)."""
        self._unreported = 0
        name, value = event
        match name:
            case "start_map" | "start_array":
                self._open(name)
            case "end_map" | "end_array":
                self._depth -= 1
            case "map_key" if self._depth == 1:
                self._key = str(value)
            case "string" if self._depth == 1 and self._key == "kind":
                self.kind = str(value)
            case "null" if self._depth == 1 and self._key == self._expected_key():
                self._claim_items()

    def _open(self, name: str) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NestingError(f"nested deeper than {MAX_DEPTH}")
        if self._depth == 2 and name == "start_array" and self._key == self._expected_key():
            self._claim_items()
            self.in_items = True

    def _expected_key(self) -> str:
        """Return where the items are: a Table has ``rows``, and its kind is always written before them."""
        return self._items_key or ("rows" if self.kind == "Table" else "items")

    def _claim_items(self) -> None:
        if self.has_items:
            raise DuplicateItemsError(f"the List has {self._items_key!r} twice")
        self.has_items = True
        self._items_key = self._key


def _translate(message: str) -> RestreamError:
    if "premature EOF" in message:
        return TruncatedListError("the body ends inside the List")
    if "trailing garbage" in message:
        return TrailingDataError("something follows the List")
    if "invalid bytes in UTF8" in message:
        return InvalidUTF8Error("a string outside the items is not UTF-8")
    return InvalidJSONError("malformed JSON outside the items")
