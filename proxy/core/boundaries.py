"""Where one event of a watch ends and the next one begins, so that a watch can be ended in between.

An apiserver writes an event as one line of JSON, or as a frame of protobuf behind its size (four bytes, big-endian).
"""

from typing import Protocol

from proxy.core.headers import Lines, first

SIZE_BYTES = 4


class Boundaries(Protocol):
    """Follows the bytes of a watch. `is_between` tells whether everything so far was whole events."""

    is_between: bool

    def follow(self, data: bytes, *, to_boundary: bool = False) -> int:
        """Take bytes; return how many: all of them, or those up to the first end of an event, if there is one."""


class JSONLines:
    """Events in JSON, a line each.

    JSON may have line breaks elsewhere too, where it is indented. So a line counts that begins with a brace and ends
    with one: an event, or the closing line of an indented one.
    """

    def __init__(self) -> None:
        self.is_between = True
        self._first = b""  # byte of the line that has not ended
        self._last = b""

    def follow(self, data: bytes, *, to_boundary: bool = False) -> int:  # noqa: D102
        if not to_boundary:
            start = data.rfind(b"\n", 0, len(data) - 1) + 1  # only the last line decides
            self._take(data[start:], is_continued=start == 0)
            return len(data)
        at = 0
        while at < len(data):
            end = data.find(b"\n", at) + 1 or len(data)
            self._take(data[at:end], is_continued=at == 0)
            at = end
            if self.is_between:
                break
        return at

    def _take(self, part: bytes, *, is_continued: bool) -> None:
        """Take a line, or a part of one, that has no line break but at its end."""
        before, has_ended = (self._last if is_continued else b""), part.endswith(b"\n")
        opening = (self._first if is_continued else b"") or part[:1]
        text = before + (part[:-1] if has_ended else part)
        self.is_between = has_ended and opening in b"{}" and text.endswith(b"}")
        self._first, self._last = (b"", b"") if has_ended else (opening, text[-1:])


class Frames:
    """Events in protobuf, each behind its size."""

    def __init__(self) -> None:
        self.is_between = True
        self._size = b""  # as far as it has come
        self._left = 0  # of the frame

    def follow(self, data: bytes, *, to_boundary: bool = False) -> int:  # noqa: D102
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
            else:
                step = min(SIZE_BYTES - len(self._size), len(data) - at)
                self._size += data[at : at + step]
                at += step
                if len(self._size) == SIZE_BYTES:
                    self._left, self._size = int.from_bytes(self._size, "big"), b""
            self.is_between = not (self._left or self._size)
            if to_boundary and self.is_between:
                break
        return at


def boundaries_of(lines: Lines) -> Boundaries | None:
    """Return what follows a watch whose response has these header lines; None where its framing is not known."""
    kind, *parameters = first(lines, b"content-type").lower().replace(" ", "").split(";")
    if first(lines, b"content-encoding") not in ("", "identity"):
        return None
    if kind == "application/json":
        return JSONLines()
    if kind == "application/vnd.kubernetes.protobuf" and "stream=watch" in parameters:
        return Frames()
    return None
