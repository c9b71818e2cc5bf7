"""The bytes of a client's connection to `Request`s, by llhttp; what two parsers could read differently is refused."""

from typing import NoReturn, Protocol

import httptools

from proxy.core import upgrades
from proxy.core.errors import BadRequestError
from proxy.core.headers import Lines, first, values
from proxy.downstream.answer import Request
from proxy.downstream.heads import LINE_BYTES, SMALL_BYTES
from proxy.downstream.upload import Upload, Uploads
from proxy.settings import Limits


class Owner(Protocol):
    """What a parser needs of its connection."""

    def take(self, request: Request) -> None:
        """Take a request whose head is complete."""

    def refuse(self, status: int, message: str) -> None:
        """Take what is wrong with what has come; nothing behind it is read."""

    def pause(self) -> None:
        """Stop to read."""

    def resume(self) -> None:
        """Go on reading."""


class Parser:
    """Reads requests, one behind the other, with their target and header lines as they stand on the wire.

    Behind a handshake nothing is parsed until it is answered: if the upgrade is granted, what follows is no HTTP.
    """

    def __init__(self, owner: Owner, limits: Limits, uploads: Uploads) -> None:
        self._owner = owner
        self._limits = limits
        self._uploads = uploads
        self._llhttp = httptools.HttpRequestParser(self)
        self._target = b""
        self._lines: Lines = []
        self._incoming: Upload | None = None
        self._unparsed = 0  # bytes since llhttp last had something to tell
        self._head_bytes = 0  # of reads since a head began to come
        self._framing = b""  # of a body whose request llhttp takes to have ended
        self._held: bytearray | None = None  # what stands behind a handshake
        self._is_handshake = self._in_head = self._is_primed = self._is_refused = False

    @property
    def is_full(self) -> bool:
        """Whether so much waits, of a body or behind a handshake, that no more should be read."""
        if self._held is not None:
            return len(self._held) > self._limits.read_buffer_bytes
        return self._incoming is not None and self._incoming.is_paused

    @property
    def is_in_head(self) -> bool:
        """Whether a head has begun to come that is not complete."""
        return self._in_head

    @property
    def head_size(self) -> int:
        """Return the memory in bytes of the head that is coming; at most one read too much."""
        return self._head_bytes + LINE_BYTES * len(self._lines) if self._in_head else 0

    @property
    def held_behind(self) -> int:
        """Return how many bytes stand behind a handshake that is not answered."""
        return len(self._held or b"")

    def feed(self, data: bytes) -> None:
        """Take bytes as they come."""
        if self._held is not None:
            self._held += data
            if self.is_full:
                self._owner.pause()
            return
        size = len(data)
        self._unparsed += size
        while data and not self._is_refused:
            data = self._parse(data)
        if self._in_head:
            self._head_bytes += size
        if self._unparsed > self._limits.header_bytes:
            self.refuse(431, f"head or trailer over {self._limits.header_bytes} bytes")

    def go_on(self) -> None:
        """Read what stands behind a handshake that was answered without an upgrade, as the requests that it is."""
        held, self._held = self._held, None
        if held:
            self.feed(bytes(held))

    def give_up(self) -> bytes:
        """Return what stands behind a handshake; it is for whoever speaks the other protocol."""
        return bytes(self._held or b"")

    def fail(self, error: Exception) -> None:
        """Tell who reads the body that is being parsed why it will not end."""
        if self._incoming is not None:
            self._incoming.fail(error)

    def _parse(self, data: bytes) -> bytes:
        """Feed llhttp; return what stands behind a request that asked for an upgrade, which ends it."""
        try:
            self._llhttp.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            self._renew()
            if not self._is_handshake:
                return rest
            self._held, self._unparsed = bytearray(), 0
            self.feed(rest)
        except httptools.HttpParserError:
            self.refuse(400, "malformed HTTP request")
        return b""

    def _renew(self) -> None:
        """Go on after a request that asked for an upgrade; where it is not granted HTTP/1.1 it remains.

        llhttp takes such a request to end with its head. One with a body goes on in a parser that has been shown the
        framing: read as requests of their own, its bytes would pass our rules by.
        """
        self._llhttp = httptools.HttpRequestParser(self)
        if self._framing:
            framing, self._framing = self._framing, b""
            self._is_primed = True
            self._llhttp.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
            self._is_primed = False

    def refuse(self, status: int, message: str) -> None:
        """Read nothing more, and forget the head that was coming."""
        if not self._is_refused:
            self._is_refused = True
            self._in_head, self._target, self._lines = False, b"", []
            self._llhttp = httptools.HttpRequestParser(self)  # the other one has the line that was coming
            self.fail(BadRequestError(message))
            self._owner.refuse(status, message)

    def forget(self) -> None:
        """Forget what stands behind a handshake, which others have now."""
        self._held = bytearray()

    # --- httptools callbacks ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:  # noqa: D102
        if self._is_primed:
            return
        self._target, self._lines, self._in_head, self._head_bytes = b"", [], True, 0

    def on_url(self, url: bytes) -> None:  # noqa: D102
        if self._in_head:
            self._target += url
            if len(self._target) > self._limits.uri_bytes:
                self._stop(414, f"target over {self._limits.uri_bytes} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        if self._in_head:  # not a trailer, which could smuggle a credential past the rules
            self._lines.append((name, value))
            if len(self._lines) > self._limits.header_lines:
                self._stop(431, f"head over {self._limits.header_lines} lines")

    def _stop(self, status: int, message: str) -> NoReturn:
        """Refuse from within llhttp, which must not go on: what follows is not to be taken for a request."""
        self.refuse(status, message)
        raise BadRequestError(message)

    def on_headers_complete(self) -> None:  # noqa: D102
        if self._is_primed:
            return
        llhttp, lines = self._llhttp, self._lines
        size = self._unparsed + LINE_BYTES * len(lines)  # with what came in one read with the head
        self._in_head, self._unparsed = False, 0
        version, method = llhttp.get_http_version(), llhttp.get_method().decode("ascii")
        if problem := _find_problem(method, version, lines):
            self._stop(*problem)
        is_http10 = version == "1.0"
        is_chunked = bool(first(lines, b"transfer-encoding"))
        has_body = is_chunked or first(lines, b"content-length") not in ("", "0")
        if size > SMALL_BYTES:
            size = len(self._target) + sum(len(name) + len(value) + LINE_BYTES for name, value in lines)
        owner = self._owner
        body = Upload(self._limits, self._uploads, owner.pause, owner.resume) if has_body else None
        self._is_handshake = False
        if llhttp.should_upgrade():
            self._is_handshake = not (has_body or is_http10) and upgrades.is_handshake(lines)
            if has_body:
                name = b"transfer-encoding" if is_chunked else b"content-length"
                self._framing = name + b": " + first(lines, name).encode("latin-1")
        self._incoming = body
        keep_alive = llhttp.should_keep_alive()
        owner.take(
            Request(method, self._target, lines, is_http10, keep_alive, body, is_chunked, self._is_handshake, size)
        )

    def on_body(self, data: bytes) -> None:  # noqa: D102
        self._unparsed = 0
        if self._incoming is not None:
            self._incoming.push(data)

    def on_message_complete(self) -> None:  # noqa: D102
        self._unparsed = 0
        if self._incoming is not None and not self._framing:
            self._incoming.end()
            self._incoming = None


def _find_problem(method: str, version: str, lines: Lines) -> tuple[int, str] | None:
    """Return status and message for what is wrong with a head that llhttp lets pass, nothing if all is well.

    Where two parsers could read the framing differently, requests can be smuggled (RFC 9112, section 11.2).
    """
    if method == "CONNECT":
        return 501, "no tunnels to elsewhere"  # RFC 9110, section 9.1: a method that is not implemented
    if version not in ("1.0", "1.1"):
        return 400, "HTTP/1.1 is spoken here"
    if version == "1.1" and len(values(lines, b"host")) != 1:
        return 400, "exactly one Host is required"
    codings = values(lines, b"transfer-encoding")
    if codings and (version == "1.0" or [coding.strip().lower() for coding in codings] != ["chunked"]):
        return 400, "chunked is the only transfer coding, and not of HTTP/1.0"
    return None
