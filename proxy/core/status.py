"""Kubernetes Status objects for the proxy's own errors, in the client's media type."""

import json
from http import HTTPStatus

from proxy.core.headers import MediaRange

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    408: "Timeout",
    410: "Expired",
    413: "RequestEntityTooLarge",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
"""metav1.StatusReason by code; codes without an entry have none (502 among them)."""

PROTOBUF = "application/vnd.kubernetes.protobuf"
YAML = "application/yaml"
JSON = "application/json"


def render(code: int, message: str, accept: list[MediaRange], retry_after: int | None = None) -> tuple[bytes, bytes]:
    """Return (Content-Type, body) of a Failure Status in the first of `accept`'s media types that there is.

    `retry_after` is in how many seconds the client may come back, where that is known.

    Errors are negotiated as answers are, but allow no conversion (``as=Table``); what nothing fits gets JSON.
    """
    plain = [media for media in accept if "as" not in media.parameters]
    for media in plain:
        for media_type, encode in ENCODERS.items():
            if media.matches(media_type):
                return media_type.encode(), encode(code, message, retry_after)
    return JSON.encode(), _json(code, message, retry_after)


def phrase(code: int) -> str:
    """Return the reason phrase of a status code; nginx's name for 499, which no RFC has."""
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Client Closed Request"


def _json(code: int, message: str, retry_after: int | None) -> bytes:
    status: dict[str, object] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
    }
    if code in REASONS:
        status["reason"] = REASONS[code]
    if retry_after:
        status["details"] = {"retryAfterSeconds": retry_after}
    status["code"] = code
    return json.dumps(status, separators=(",", ":")).encode() + b"\n"


def _yaml(code: int, message: str, retry_after: int | None) -> bytes:
    reason = f"reason: {REASONS[code]}\n" if code in REASONS else ""
    quoted = json.dumps(message, ensure_ascii=False).encode("ascii", "backslashreplace").decode()  # no pairs in YAML
    details = f"details:\n  retryAfterSeconds: {retry_after}\n" if retry_after else ""
    text = f"apiVersion: v1\ncode: {code}\n{details}kind: Status\nmessage: {quoted}\nmetadata: {{}}\n"
    return (text + reason + "status: Failure\n").encode()


def _protobuf(code: int, message: str, retry_after: int | None) -> bytes:
    """Encode the magic number and a runtime.Unknown around a v1.Status (k8s.io/apimachinery generated.proto)."""
    status = b"".join(
        (
            _field(1, _field(1, b"") + _field(2, b"") + _field(3, b"")),
            _field(2, b"Failure"),
            _field(3, message.encode()),
            _field(4, REASONS.get(code, "").encode()),
            _field(5, b"\x28" + _varint(retry_after)) if retry_after else b"",
            b"\x30" + _varint(code),
        )
    )
    type_meta = _field(1, b"v1") + _field(2, b"Status")
    return b"k8s\x00" + _field(1, type_meta) + _field(2, status) + _field(3, b"") + _field(4, b"")


def _field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


ENCODERS = {JSON: _json, YAML: _yaml, PROTOBUF: _protobuf}
