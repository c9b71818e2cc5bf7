"""One JSON line for each request without anything secret: no token, and of the query what Lists are asked with."""

import os
import select
from typing import BinaryIO

import msgspec

from proxy.core.request import parse_query
from proxy.progress import Progress

LOGGED_PARAMETERS = (
    "labelSelector",
    "fieldSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "watch",
    "timeoutSeconds",
)


MAX_TEXT = 512
"""Characters kept of a path, a parameter or a User-Agent: a line should fit the 4,096 bytes that a pipe takes whole."""


class AccessLog:
    """Writes lines to a stream; None keeps silent.

    A line is dropped where nobody reads: a full pipe would else stop the event loop and with it every request.
    """

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._encoder = msgspec.json.Encoder()
        self._poll = select.poll()
        if stream is not None:
            self._poll.register(stream, select.POLLOUT)

    def write(self, progress: Progress, *, method: str, target: str, user_agent: str, now: float) -> None:
        """Write the line of a request that is over."""
        if self._stream is None:
            return
        path, _, query = target.partition("?")
        started, first_byte = progress.started, progress.first_byte
        line = {
            "method": method,
            "path": _printable(path),
            "query": _public(query),
            "mode": progress.mode,
            "reason": progress.reason,
            "code": progress.code,
            "items": progress.items,
            "pages": progress.pages,
            "bytes": progress.bytes_sent,
            "bytes_received": progress.bytes_received,
            "first_byte_seconds": None if first_byte is None else round(first_byte - started, 6),
            "duration_seconds": round(now - started, 6),
            "peak_buffered_bytes": progress.peak_held,
            "abort": progress.abort_reason or None,
            "audit_id": _printable(progress.audit_id),
            "user_agent": _printable(user_agent),
        }
        try:
            if self._poll.poll(0):
                os.write(self._stream.fileno(), self._encoder.encode(line) + b"\n")
        except BlockingIOError:
            return
        except OSError:
            self._stream = None  # nobody reads any more; a log is no reason to fail requests


def _public(query: str) -> dict[str, str]:
    if not query:
        return {}
    options = parse_query(query)
    return {key: _printable(options[key]) for key in LOGGED_PARAMETERS if key in options}


def _printable(text: str) -> str:
    """Write what is not UTF-8 (kept as surrogates) as escapes, as JSON has no way to say it; cut what is long."""
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()
