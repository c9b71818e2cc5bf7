"""One JSON line for each request without anything secret: no token, and of the query what Lists are asked with.

A line is dropped where nobody reads: a full pipe would else stop the event loop and with it every request.
"""

import os
import select
import stat
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


class Lines:
    """Writes whole lines to a stream, or drops them; None keeps silent."""

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._poll = select.poll()
        if stream is not None:
            self._poll.register(stream, select.POLLOUT)

    @property
    def is_read(self) -> bool:
        """Whether there is somebody to write for."""
        return self._stream is not None

    def write(self, line: bytes) -> None:
        """Write a line, without its end, where there is room for it."""
        try:
            if self._stream is not None and self._poll.poll(0):
                os.write(self._stream.fileno(), line + b"\n")
        except BlockingIOError:
            return
        except OSError:
            self._stream = None  # nobody reads any more; a log is no reason to fail requests


def apart(stream: BinaryIO) -> BinaryIO:
    """Return a way of our own to the pipe behind a stream that other processes write to as well.

    The room that polling has seen may be taken by now, so writing must not block; and that cannot be said of the stream
    itself without saying it for all of them. What is no pipe, or cannot be opened again, stays as it is.
    """
    try:
        if not stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            return stream
        return os.fdopen(os.open(f"/proc/self/fd/{stream.fileno()}", os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0)
    except OSError:
        return stream


class AccessLog:
    """Writes a line for each request to a stream; None keeps silent."""

    def __init__(self, stream: BinaryIO | None) -> None:
        self._lines = Lines(stream)
        self._encoder = msgspec.json.Encoder()

    def write(self, progress: Progress, *, method: str, target: str, user_agent: str, now: float) -> None:
        """Write the line of a request that is over."""
        if not self._lines.is_read:
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
        self._lines.write(self._encoder.encode(line))


def _public(query: str) -> dict[str, str]:
    if not query:
        return {}
    options = parse_query(query)
    return {key: _printable(options[key]) for key in LOGGED_PARAMETERS if key in options}


def _printable(text: str) -> str:
    """Write what cannot be shown as escapes, and cut what is long.

    JSON escapes what is below a space, but not what is from 0x7f to 0x9f, which terminals obey as well; and it has no
    way to say what is not UTF-8 (kept as surrogates).
    """
    text = text[:MAX_TEXT]
    if not text.isprintable():
        text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text
