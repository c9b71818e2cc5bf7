"""The body of a client's request on its way up: how much of all of them waits, and how long a client is waited for."""

import asyncio
from collections.abc import Callable

from proxy.core.errors import ClientStalledError
from proxy.http1 import BodyStream
from proxy.settings import Limits


class Uploads:
    """What the bodies of all requests hold together, in bytes that have come and were not read yet."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    @property
    def is_full(self) -> bool:
        """Whether so much waits that a body may have no more than what one read brings."""
        return self.held > self.limit


class Upload(BodyStream):
    """The body of one request. Whoever reads it waits for a client that sends, but not for one that stalls.

    There are `client_stall_seconds` of patience to begin with: waiting takes from them, each byte brings its share of
    a second back. A client that `may_pause` has all the time in the world.
    """

    def __init__(self, limits: Limits, uploads: Uploads, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        super().__init__(limits.read_buffer_bytes, pause, resume)
        self.may_pause = False
        self._uploads = uploads
        self._seconds = self._left = limits.client_stall_seconds
        self._second_bytes = max(1, limits.client_min_bytes_per_second)
        self._is_dropped = False

    def push(self, *pieces: bytes) -> None:
        """Take bytes from the parser; into the void once nobody will read them."""
        if self._is_dropped:
            return
        before = self.size
        super().push(*pieces)
        self._uploads.held += self.size - before
        if self._uploads.is_full:
            self.hold_back()

    async def read(self, timeout: float | None = None, at_least: int = 1) -> list[bytes]:  # noqa: ASYNC109
        """Return what waits, as `BodyStream` does. Raises ClientStalledError."""
        limit = timeout if self.may_pause else max(0.001, min(timeout or self._left, self._left))
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            pieces = await super().read(limit, at_least)
        except TimeoutError:
            if timeout is not None and timeout < self._left:
                raise
            raise ClientStalledError("the client does not send the body that it has announced") from None
        size = sum(map(len, pieces))
        self._uploads.held -= size
        self._left = min(self._seconds, self._left - (loop.time() - began) + size / self._second_bytes)
        return pieces

    def drop(self) -> None:
        """Forget what was not read: nobody will."""
        self._is_dropped = True
        self._uploads.held -= self.size
        self._pieces, self.size = [], 0
