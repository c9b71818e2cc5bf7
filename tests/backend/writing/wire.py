"""Protobuf as client-go writes it, for tests: messages from numbers and values."""

from __future__ import annotations

Value = int | str | bytes | dict[int, "Value | list[Value]"]


def varint(value: int) -> bytes:
    """Print a varint; negative numbers take ten bytes."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(fields: dict[int, Value | list[Value]]) -> bytes:
    """Print a message."""
    out = b""
    for number, held in fields.items():
        for value in held if isinstance(held, list) else [held]:
            out += field(number, value)
    return out


def field(number: int, value: Value) -> bytes:
    """Print one field."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else message(value) if isinstance(value, dict) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def envelope(api_version: str, kind: str, fields: dict[int, Value | list[Value]]) -> bytes:
    """Print an object as it is sent."""
    return b"k8s\0" + message({1: {1: api_version, 2: kind}, 2: message(fields), 3: "", 4: ""})
