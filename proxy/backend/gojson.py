"""JSON as Go's encoding/json prints it: compact, HTML-escaped, maps sorted, floats in Go's shortest form.

Only what is written through the API, Status bodies and Tables pass here: generated items are rendered as Go bytes
from the start (see shapes).
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

T = TypeVar("T")

# Outside this range Go switches to exponents (encoding/json floatEncoder).
EXPONENT_BELOW = 1e-6
EXPONENT_FROM = 1e21

# These characters can only occur inside strings, so replacing them in the encoded text is safe.
ESCAPES = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"), (b"\xe2\x80\xa8", b"\\u2028"),
           (b"\xe2\x80\xa9", b"\\u2029"))  # fmt: skip
EXPONENT_ZERO = re.compile(r"e([+-])0+(?=\d)")


def format_float(text: str) -> msgspec.Raw:
    """Print a JSON float literal as Go prints the float64 that it parses to."""
    value = float(text)
    if value == 0 or EXPONENT_BELOW <= abs(value) < EXPONENT_FROM:
        plain = f"{value:.0f}" if value.is_integer() else plain_decimal(repr(value))
        return msgspec.Raw(plain.encode())
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent:  # repr() has no exponent below 1e16 only, so this is a small number such as 1e-05 spelled out
        mantissa, _, exponent = f"{value:.16e}".partition("e")
    return msgspec.Raw(EXPONENT_ZERO.sub(r"e\1", f"{mantissa}e{int(exponent):+d}").encode())


def plain_decimal(text: str) -> str:
    """Spell a repr() without its exponent: Go does so between 1e-6 and 1e21."""
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    places = len(mantissa.partition(".")[2]) - int(exponent)
    return f"{float(text):.{max(places, 0)}f}"


def print_in_order(value: object) -> bytes:
    """Encode a value whose keys already stand in Go's struct order."""
    return escaped(msgspec.json.encode(value))


def escaped(text: bytes) -> bytes:
    """Escape JSON text as Go does by default."""
    for character, escape in ESCAPES:
        if character in text:
            text = text.replace(character, escape)
    return text


def equal(left: object, right: object) -> bool:
    """Compare two decoded values; unlike in Python, true isn't 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and left == right


DECODER = msgspec.json.Decoder(float_hook=format_float)


def encode(value: object) -> bytes:
    """Encode a value as compact Go JSON: maps sorted, struct fields in their own order."""
    return escaped(msgspec.json.encode(value, order="deterministic"))


def normalise(body: bytes) -> bytes:
    """Re-encode a client's JSON as Go would after decoding it into a map: sorted, compact, escaped."""
    return encode(DECODER.decode(body))


def decode(body: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Decode JSON into a struct of views."""
    return msgspec.json.decode(body, type=kind)


def indent(body: bytes) -> bytes:
    """Print compact JSON as `?pretty=true` does: two spaces, no trailing newline."""
    return msgspec.json.format(body, indent=2)
