"""Objects in Kubernetes' protobuf, which client-go writes by default: read by the tables, into the same values as JSON.

https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from proxy.backend.kinds.canonical import Json
from proxy.backend.kinds.notation import TYPES, Field, Holds

MAGIC = b"k8s\0"
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}
MAX_VARINT_BITS = 63
SIGN_BIT = 1 << 63
# runtime.Unknown: typeMeta, raw, contentEncoding, contentType.
UNKNOWN_META, UNKNOWN_RAW = 1, 2
# intstr.IntOrString: its type, and the values of either.
INTSTR_TYPE, INTSTR_INT, INTSTR_STRING = 1, 2, 3

Value = int | bytes


class MalformedError(ValueError):
    """Bytes that are not protobuf."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around every object."""

    api_version: str
    kind: str
    raw: bytes


def unwrap(body: bytes) -> Envelope:
    """Take an object out of its envelope."""
    if not body.startswith(MAGIC):
        raise MalformedError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    api_version = kind = ""
    raw = b""
    for number, value in parts(body[len(MAGIC) :]):
        if number == UNKNOWN_META:
            texts = {place: text(content) for place, content in parts(delimited(value))}
            api_version, kind = texts.get(1, ""), texts.get(2, "")
        elif number == UNKNOWN_RAW:
            raw = delimited(value)
    return Envelope(api_version, kind, raw)


def parts(data: bytes) -> Iterator[tuple[int, Value]]:
    """Yield the fields of a message: their numbers, and numbers or bytes."""
    position = 0
    while position < len(data):
        tag, position = varint(data, position)
        wire = tag & 7
        if wire == VARINT:
            value, position = varint(data, position)
            yield tag >> 3, value
            continue
        if wire == DELIMITED:
            size, position = varint(data, position)
        elif wire in FIXED_BYTES:
            size = FIXED_BYTES[wire]
        else:
            raise MalformedError(f"proto: illegal wireType {wire}")
        if position + size > len(data):
            raise MalformedError("unexpected EOF")
        yield tag >> 3, data[position : position + size]
        position += size


def varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a varint, and where it ends."""
    value = shift = 0
    while position < len(data) and shift <= MAX_VARINT_BITS:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
    raise MalformedError("proto: integer overflow" if shift > MAX_VARINT_BITS else "unexpected EOF")


def message(type_name: str, data: bytes) -> Json:
    """Return a message as the JSON object that stands for it."""
    kind = TYPES[type_name]
    out: Json = {}
    for number, value in parts(data):
        if number in kind.embedded:
            out |= message(kind.embedded[number], delimited(value))
        elif number in kind.numbered:
            add(out, kind.numbered[number], value)
    return out


def add(out: Json, field: Field, value: Value) -> None:
    """Add one value to what a field holds."""
    if field.holds is Holds.LIST:
        items = out.setdefault(field.name, [])
        assert isinstance(items, list)  # noqa: S101 (set one line above)
        items.extend(repeated(field, value))
    elif field.holds is Holds.MAP:
        entry = dict(parts(delimited(value)))
        key = text(entry.get(1, b""))
        held = out.setdefault(field.name, {})
        assert isinstance(held, dict)  # noqa: S101 (as above)
        held[key] = single(field, entry.get(2, b""))
    else:
        out[field.name] = single(field, value)


def repeated(field: Field, value: Value) -> Iterator[object]:
    """Yield the items of a list; numbers may be packed."""
    if field.type == "int" and isinstance(value, bytes):
        position = 0
        while position < len(value):
            number, position = varint(value, position)
            yield single(field, number)
    else:
        yield single(field, value)


def single(field: Field, value: Value) -> object:
    """Return one value as it stands in JSON."""
    if field.is_struct:
        return message(field.type, delimited(value))
    return READERS[field.type](value)


def delimited(value: Value) -> bytes:
    """Return the content of a length-delimited field."""
    if isinstance(value, int):
        raise MalformedError("proto: wrong wireType = 0")
    return value


def text(value: Value) -> str:
    """Return a string."""
    try:
        return delimited(value).decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"proto: invalid UTF-8: {error}") from None


def signed(value: Value) -> int:
    """Return an int64; negative numbers are sent as two's complement."""
    number = struct.unpack("<q", value)[0] if isinstance(value, bytes) and len(value) == FIXED_BYTES[FIXED64] else value
    if isinstance(number, bytes):
        raise MalformedError("proto: wrong wireType = 2")
    number = int(number)
    return number - (SIGN_BIT << 1) if number >= SIGN_BIT else number


def time(value: Value) -> str | None:
    """Return a Time: seconds and nanoseconds, which JSON leaves out."""
    moment = moment_of(value)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def micro_time(value: Value) -> str | None:
    """Return a MicroTime."""
    moment = moment_of(value)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None


def moment_of(value: Value) -> datetime | None:
    """Return a time; an empty message is none."""
    given = dict(parts(delimited(value)))
    if not given:
        return None
    try:
        moment = datetime.fromtimestamp(signed(given.get(1, 0)), UTC)
    except (OverflowError, ValueError) as error:
        raise MalformedError(str(error)) from None
    return moment.replace(microsecond=signed(given.get(2, 0)) // 1000 % 1_000_000)


def quantity(value: Value) -> str:
    """Return a Quantity, which is a string in a message."""
    return text(dict(parts(delimited(value))).get(1, b""))


def int_or_string(value: Value) -> object:
    """Return an IntOrString."""
    given = dict(parts(delimited(value)))
    return text(given.get(INTSTR_STRING, b"")) if given.get(INTSTR_TYPE) else signed(given.get(INTSTR_INT, 0))


def fields_v1(value: Value) -> object:
    """Return FieldsV1, whose message holds JSON."""
    return msgspec.json.decode(text(dict(parts(delimited(value))).get(1, b"{}")))


def base64_text(value: Value) -> str:
    """Return bytes as JSON holds them."""
    return base64.b64encode(delimited(value)).decode()


READERS: dict[str, Callable[[Value], object]] = {
    "": text, "int": signed, "bool": bool, "bytes": base64_text, "Time": time, "MicroTime": micro_time,
    "Quantity": quantity, "IntOrString": int_or_string, "Fields": fields_v1,
}  # fmt: skip
