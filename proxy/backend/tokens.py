r"""Continue tokens: unpadded URL-safe base64 of `{"v":"meta.k8s.io/v1","rv":N,"start":"key\u0000"}`."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import msgspec

from proxy.backend.status import ApiError, bad_request

LATEST = -1


class Payload(msgspec.Struct):
    """What a token says."""

    v: str
    rv: int
    start: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where a List continues: after a key (relative to the request's own prefix), at a resourceVersion."""

    version: int
    last: str


def encode(position: Position, *, slash: bool) -> str:
    """Make a token; those that come out of the watch cache have a leading slash, those of etcd don't."""
    prefix = "/" if slash else ""
    payload = Payload("meta.k8s.io/v1", position.version, f"{prefix}{position.last}\0")
    return base64.urlsafe_b64encode(msgspec.json.encode(payload)).rstrip(b"=").decode()


def decode(token: str) -> Position:
    """Read a token, or answer 400 as an apiserver does."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid("illegal base64 data at input byte 0") from None
    try:
        payload = msgspec.json.decode(raw, type=Payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        first = chr(raw[0]) if raw and 32 <= raw[0] < 127 else f"\\x{raw[0] if raw else 0:02x}"
        raise invalid(f"invalid character '{first}' looking for beginning of value") from None
    if payload.v != "meta.k8s.io/v1":
        message = f"invalid continue token: server does not recognize this encoded version {payload.v}"
        raise bad_request(message)
    start = payload.start.removeprefix("/")
    if not start or payload.rv == 0:
        raise bad_request("invalid continue token: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if ".." in start.split("/") or "//" in start:
        raise bad_request(f"invalid continue token: {payload.start}")
    return Position(payload.rv, start.removesuffix("\0"))


def invalid(cause: str) -> ApiError:
    """400 for a token that can't be read."""
    return bad_request(f"invalid continue token: continue key is not valid: {cause}")
