"""What both sides of the data path share: a body between a parser and a coroutine, and the bytes of a head."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from proxy.core.errors import UpstreamTimeoutError
from proxy.core.headers import Lines

Piece = bytes | memoryview
NO_BODY_STATUSES = frozenset({204, 304})

PIECE_BYTES = 56
"""What a piece costs beside its bytes: a bytes object's header, malloc's, and a place in a list."""


def memory_of(pieces: Iterable[Piece]) -> int:
    """Return the memory in bytes that `pieces` keep alive: of views that of what they are views of."""
    owners = (cast("bytearray", piece.obj) if isinstance(piece, memoryview) else piece for piece in pieces)
    return sum({id(owner): len(owner) + PIECE_BYTES for owner in owners}.values())


class BodyStream:
    """The body of one message: a parser pushes, one coroutine pulls, and pushing is paused while pulling lags.

    `limit` is how many bytes may wait before `pause` is called; `resume` is called once they have been read.

    Where nothing waits, `pass_on` is offered what is pushed. It returns whether it has taken it: else the reader will.
    """

    def __init__(self, limit: int, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self.size = 0
        self.ended = False
        self.pass_on: Callable[[Sequence[bytes]], bool] | None = None
        self.still_to_send: Callable[[], int] = int
        """How many bytes of memory are held of what was read and that is on its way on; whoever passes it on knows."""
        self._limit = self._usual_limit = limit
        self._pause = pause
        self._resume = resume
        self._paused = False
        self._pieces: list[bytes] = []
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = 1  # bytes that the reader waits for

    @property
    def is_paused(self) -> bool:
        """Whether so much waits to be read that pushing has been paused."""
        return self._paused

    @property
    def is_over(self) -> bool:
        """Whether the message has ended and all of it has been read."""
        return self.ended and not self._pieces

    @property
    def held(self) -> int:
        """Return the memory in bytes of what waits to be read; an upstream's chunks may be tiny."""
        return self.size + PIECE_BYTES * len(self._pieces)

    def push(self, *pieces: bytes) -> None:
        """Take bytes from the parser."""
        if self.pass_on is not None and not self._pieces and self.pass_on(pieces):
            return
        self._pieces += pieces
        self.size += sum(map(len, pieces))
        if self.size > self._limit:
            self.hold_back()
        if self.size >= self._wanted:
            self._wake()

    def hold_back(self) -> None:
        """Pause the pushing until what waits is read."""
        if not self._paused:
            self._paused = True
            self._pause()

    def end(self) -> None:
        """Take the end of the message."""
        self.ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Take the reason for which the message will not end; what came before can still be read."""
        if not self.ended and self._error is None:
            self._error = error
            self._wake()

    async def read(self, timeout: float | None = None, at_least: int = 1) -> list[bytes]:  # noqa: ASYNC109
        """Return everything that waits: `at_least` so many bytes, or what there is to the end, or nothing behind it.

        Raises what the message failed with, or TimeoutError after `timeout` seconds without a byte.
        """
        self._wanted = at_least
        self._limit = max(self._usual_limit, at_least)
        self._resume_reading(self._limit)
        while self.size < at_least and not self.ended and self._error is None:
            await self._wait(timeout)
        self._limit = self._usual_limit
        if self._pieces:
            pieces, self._pieces, self.size = self._pieces, [], 0
            self._resume_reading(0)
            return pieces
        if self._error is not None:
            raise self._error
        return []

    def _resume_reading(self, most: int) -> None:
        """Let the pushing go on where it has been paused and no more than `most` bytes wait."""
        if self._paused and self.size <= most:
            self._paused = False
            self._resume()

    async def _wait(self, timeout: float | None) -> None:  # noqa: ASYNC109
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = loop.call_later(timeout, self._expire, waiter, self.size) if timeout else None
        try:
            await waiter
        finally:
            if self._waiter is waiter:  # and not that of a reader who has followed one that is being cancelled
                self._waiter = None
            if timer:
                timer.cancel()

    def _expire(self, waiter: asyncio.Future[None], size: int) -> None:
        """Wake a reader: to wait on where bytes have come, if not as many as it wants, else with a TimeoutError."""
        if waiter.done():
            return
        if self.size > size:
            waiter.set_result(None)
        else:
            waiter.set_exception(TimeoutError())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Source:
    """The upstream's body with our patience for it: `timeout` seconds between two reads, None for no limit."""

    def __init__(self, body: BodyStream, timeout: float | None) -> None:
        self.body = body
        self.timeout = timeout

    @property
    def is_over(self) -> bool:
        """Whether the body has ended and all of it has been read."""
        return self.body.is_over

    @property
    def held(self) -> int:
        """Return the memory in bytes of what waits to be read."""
        return self.body.held

    def offer_to(self, take: Callable[[Sequence[bytes]], bool]) -> None:
        """Offer what comes, before it can be read, to `take`, which returns whether it has taken it."""
        self.body.pass_on = take

    async def read(self, at_least: int = 1) -> list[bytes]:
        """Return everything that has arrived, once it is so many bytes or the rest; nothing behind it.

        Raises UpstreamErrors.
        """
        try:
            return await self.body.read(self.timeout, at_least)
        except TimeoutError:
            raise UpstreamTimeoutError(f"nothing came from the upstream for {self.timeout:g} s") from None


def render_head(first_line: bytes, lines: Lines) -> bytes:
    """Return the bytes of a message's head. Values come from a parser, which has refused line breaks in them."""
    parts = [first_line, b"\r\n"]
    for name, value in lines:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


LAST_CHUNK = b"0\r\n\r\n"


def chunk(pieces: Iterable[Piece]) -> list[Piece]:
    """Frame `pieces` as one chunk (RFC 9112, section 7.1); none where they are empty, as that would be the last."""
    body = list(pieces)
    size = sum(map(len, body))
    return [b"%x\r\n" % size, *body, b"\r\n"] if size else []
