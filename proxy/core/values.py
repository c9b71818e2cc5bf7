"""JSON values in a window, found and checked by msgspec.

msgspec checks the grammar strictly but UTF-8 not at all, and has two ways to say where a value ends: a list of Raws of
what is known to be an array, and the position in its message about what follows a single value (a test pins both).
"""

import re

import msgspec

from proxy.core.errors import InvalidJSONError, NestingError

BLOCK_BYTES = (64 << 10, 8 << 10)
"""What is checked for UTF-8 at once, where it is not known to be ASCII: large blocks, and small ones of those."""

SPACE = b" \t\n\r"
OPENERS = b'{["'
ERROR_POSITION = re.compile(r"\(byte (\d+)\)$")
ESCAPES = re.compile(
    rb"""\\(?: u[dD][89abAB].. (?: \\u[dD][c-fC-F].. | (?:\\(?:u(?:[dD](?:[c-fC-F].?)?)?)?)?\Z )  # a pair, or its start
             | u([dD][89a-fA-F]..)
             | . )""",
    re.DOTALL | re.VERBOSE,
)
"""Every escape of a string in turn; group 1 is set for half a surrogate pair, unless the rest may still come."""

one_value = msgspec.json.Decoder(msgspec.Raw)
many_values = msgspec.json.Decoder(list[msgspec.Raw])


def prove_items(window: bytearray, start: int, end: int) -> list[int] | None:
    """Return the sizes of the items in window[start:end], None where that is not a sequence of items.

    The separators around them make room for the brackets of an array, so that nothing is copied.
    """
    before, behind = window[start - 1], window[end]
    window[start - 1], window[end] = b"[]"
    try:
        return list(map(len, many_values.decode(memoryview(window)[start - 1 : end + 1])))
    except (msgspec.DecodeError, RecursionError):
        return None
    finally:
        window[start - 1], window[end] = before, behind


def find_end(window: bytearray, start: int) -> int | None:
    """Return where the value at `start` ends, None where bytes are missing.

    Raises InvalidJSONError and NestingError.
    """
    try:
        with memoryview(window) as view, view[start:] as rest:
            one_value.decode(rest)
    except RecursionError:
        raise NestingError("an item is nested too deeply") from None
    except msgspec.DecodeError as error:
        return _judge(str(error), window, start)
    if window[start] in OPENERS:
        return len(window.rstrip(SPACE))
    return None  # only what follows can tell (123 may become 1234)


def is_utf8(window: bytearray, start: int, end: int, level: int = 0) -> bool:
    """Check window[start:end] block by block: most are ASCII even where one is not, and that is cheap to see."""
    while start < end:
        stop = min(start + BLOCK_BYTES[level], end)
        while stop < end and window[stop] >= 0x80:  # not inside a character
            stop += 1
        block = window[start:stop]
        if not (block.isascii() or _decodes(block, level)):
            return False
        start = stop
    return True


def _decodes(block: bytearray, level: int) -> bool:
    """Look closer at a block that is not ASCII: to decode costs far more than to see that nothing needs to be."""
    if level + 1 < len(BLOCK_BYTES):
        return is_utf8(block, 0, len(block), level + 1)
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _judge(message: str, window: bytearray, start: int) -> int | None:
    """Read from msgspec's message where the value ended, or whether it is broken or only unfinished."""
    position = ERROR_POSITION.search(message)
    if position is None:
        # "Input data was truncated", which msgspec also says of a lone surrogate escape.
        if _has_lone_surrogate(window, start):
            raise InvalidJSONError("an item has a lone surrogate escape")
        return None
    at = start + int(position[1]) - 1
    if "trailing characters" in message:
        while window[at - 1] in SPACE:
            at -= 1
        return at
    if at + 1 < len(window):  # an error behind the last byte (1. or -) is one only because of the cut
        raise InvalidJSONError("an item is malformed JSON")
    return None


def _has_lone_surrogate(window: bytearray, start: int) -> bool:
    if b"\\" not in window or (window.find(b"\\ud", start) < 0 and window.find(b"\\uD", start) < 0):
        return False
    return any(escape[1] for escape in ESCAPES.finditer(window, start))
