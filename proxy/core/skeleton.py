"""The List without its items, read incrementally with ijson's push parser.

The splitter feeds it everything before the array of items, then ``[``, and later ``]`` and everything after, so that
one parser has checked the grammar of the whole document. ijson reports no positions; single-character tokens are
reported as soon as they are fed, so a caller that feeds up to each ``[`` knows where the array begins.
"""

import re
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
"""As deep as msgspec goes into an item on Python 3.11 (on 3.13 up to 10,000, where Go's encoding/json stops)."""

ITEMS_KEYS = frozenset({"items", "rows"})

DIGITS = b"0123456789"
LONG_RUN = re.compile(rb"(?<![0-9])([0-9]{300})[0-9]+")
"""ijson 3.6 kills the process where int() refuses a number (over 4,300 digits): it is shown the first 300."""

NOT_SPACE = re.compile(rb"[\v\f]")
"""White space to yajl, which calls isspace(), but not to RFC 8259; nor may a string contain them."""


class Outline:
    """What the parser's events tell of a List; `in_items` says that the array of items has just been opened.

    `unreported` counts the bytes that were fed since the last event: what the parser may hold of a token.
    """

    def __init__(self, max_token_bytes: int) -> None:
        self.in_items = self.has_items = self.is_typed = self.has_ended = False
        self.kind: str | None = None
        self.items_key: str | None = None
        self.unreported = 0
        self._max_token_bytes = max_token_bytes
        self._depth = 0
        self._key: str | None = None
        self._seen: set[str] = set()  # which of the keys that may hold the items

    def send(self, event: tuple[str, object]) -> None:
        """Take one event (ijson's protocol for a push target)."""
        self.unreported = 0
        name, value = event
        if isinstance(value, str) and len(value) > self._max_token_bytes:
            raise _too_large(self._max_token_bytes)
        match name:
            case "start_map" | "start_array":
                self._open(name)
            case "end_map" | "end_array":
                self._depth -= 1
            case "map_key" if self._depth == 1:
                self._enter_key(str(value))
            case "string" if self._depth == 1 and self._key == "kind":
                self.kind = str(value)
            case "null" if self._depth == 1 and self._key == self._expected_key():
                self._claim_items()
        self.has_ended = self._depth == 0

    def _enter_key(self, key: str) -> None:
        """Take a key of the List itself; the one of the items may come once, whatever its values are."""
        if key in self._seen and key == self._expected_key():
            raise DuplicateItemsError(f"the List has {key!r} twice")
        if key in ITEMS_KEYS:
            self._seen.add(key)
        self._key = key

    def _open(self, name: str) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NestingError(f"nested deeper than {MAX_DEPTH}")
        if self._depth == 2 and name == "start_array" and self._key == self._expected_key():
            self._claim_items()
            self.in_items = True

    def _expected_key(self) -> str:
        """Return where the items are: a Table has ``rows``, and its kind is always written before them."""
        return self.items_key or ("rows" if self.kind == "Table" else "items")

    def _claim_items(self) -> None:
        self.has_items = True
        self.is_typed = self.kind is not None
        self.items_key = self._key


class Skeleton:
    """Push parser for a List's skeleton that knows when the array of items opens: its `outline`.

    `max_token_bytes` bounds what the parser may hold of one unfinished string or number.
    """

    def __init__(self, max_token_bytes: int) -> None:
        self.outline = Outline(max_token_bytes)
        self._digits = b""  # those that what was fed ends with
        self._max_token_bytes = max_token_bytes
        # The parser pushes to an object that does not know it: the garbage collector cannot see through ijson's, so
        # a cycle with it would never be freed.
        self._parser: Generator[None, bytes, None] = yajl2_c.basic_parse_coro(self.outline)

    def feed(self, data: bytes) -> None:
        """Parse `data`; afterwards `outline.in_items` tells whether its last byte opened the array of items.

        Raises InvalidJSONError, InvalidUTF8Error, TrailingDataError, DuplicateItemsError, NestingError and
        ItemTooLargeError.
        """
        self.outline.unreported += len(data)
        broken = NOT_SPACE.search(data)
        self._parse(data[: broken.start()] if broken else data)
        if broken:
            raise InvalidJSONError("malformed JSON outside the items")
        if self.outline.unreported > self._max_token_bytes:
            raise _too_large(self._max_token_bytes)

    def finish(self) -> None:
        """Declare the end of the input. Raises TruncatedListError where it comes too early.

        Behind a complete document yajl waits for ever for the end of a token: the line break, which no token can
        hold, makes it say so (TrailingDataError).
        """
        try:
            self._parser.send(b"\n")
            self._parser.close()
        except (IncompleteJSONError, ValueError, ArithmeticError):
            # Whatever yajl calls it (half a literal, escape or character): all before was good.
            if self.outline.has_ended:
                raise _trailing() from None
            raise TruncatedListError("the body ends inside the List") from None

    def leave_items(self) -> None:
        """Note that the array has been read to its end; the caller feeds the ``]`` next."""
        self.outline.in_items = False

    def _parse(self, data: bytes) -> None:
        """Run the parser and translate what it raises: its messages quote the input, ours must not."""
        shown = self._shorten(data)
        if not shown:
            return
        try:
            self._parser.send(shown)
        except IncompleteJSONError as error:
            raise _translate(str(error)) from None
        except UnicodeDecodeError:  # yajl lets surrogates and overlong forms pass
            raise InvalidUTF8Error("a string outside the items is not UTF-8") from None
        except (ValueError, ArithmeticError):
            raise InvalidJSONError("a number outside the items cannot be represented") from None

    def _shorten(self, data: bytes) -> bytes:
        """Leave out what runs of digits have over 300, also where a run came in pieces."""
        joined = LONG_RUN.sub(rb"\1", self._digits + data)
        shown = joined[len(self._digits) :]
        self._digits = joined[len(joined.rstrip(DIGITS)) :]
        return shown


def _translate(message: str) -> RestreamError:
    """Tell by what the message begins with: the input is quoted behind, and may say anything."""
    if message.startswith("b"):  # the repr of bytes, where what it quotes is not UTF-8
        message = message[2:]
    if message.startswith("parse error: trailing garbage"):
        return _trailing()
    if message.startswith("lexical error: invalid bytes in UTF8 string"):
        return InvalidUTF8Error("a string outside the items is not UTF-8")
    return InvalidJSONError("malformed JSON outside the items")


def _too_large(max_token_bytes: int) -> ItemTooLargeError:
    return ItemTooLargeError(f"a value outside the items is over {max_token_bytes} bytes")


def _trailing() -> TrailingDataError:
    return TrailingDataError("something follows the List")
