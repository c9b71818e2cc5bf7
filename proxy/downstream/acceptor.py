"""Accepts connections, which others serve: connections of this process, or workers."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

BACKLOG = 1024
"""Connections that the kernel keeps while we are busy."""

AT_ONCE = 64
"""Connections accepted before the loop has its turn again."""

PAUSE_SECONDS = 1.0
"""Until accepting is tried again where nobody can take more, or the system has no descriptor left (as asyncio does)."""

ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""Of the addresses of a name some may not exist here: ::1 of localhost, without IPv6."""

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts on every address of a name. `hand_over` takes a socket for its own, or returns False for now.

    While nobody takes any, connections wait in the kernel. `tell` is for who runs the proxy.
    """

    def __init__(self, hand_over: Callable[[socket.socket], bool], tell: Callable[[str], None]) -> None:
        self._hand_over = hand_over
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._held: socket.socket | None = None
        self._is_accepting = False
        self._retry: asyncio.TimerHandle | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen, without accepting yet; return the port, which is of the system's choice for 0. Raises OSError."""
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        missing: OSError | None = None
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                self._sockets.append(_listening(socket.socket(family, kind, protocol), address))
            except OSError as error:
                missing = error
                if error.errno not in ABSENT:
                    break
        if missing is not None and (missing.errno not in ABSENT or not self._sockets):
            self.close()
            raise missing
        return int(self._sockets[0].getsockname()[1])

    def accept(self) -> None:
        """Begin, or go on, to accept."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._is_accepting:
            return
        if self._held is not None:
            if not self._hand_over(self._held):
                self._pause()
                return
            self._held = None
        self._is_accepting = True
        for sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._accept_some, sock)

    def close(self) -> None:
        """Stop to listen; who has not been accepted is refused."""
        self._stop()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
        if self._held is not None:
            self._held.close()
            self._held = None

    def _accept_some(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                sock, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                self._tell(f"cannot accept: {os.strerror(error.errno)}")
                self._pause()
                return
            if not self._hand_over(sock):
                self._held = sock
                self._pause()
                return

    def _pause(self) -> None:
        self._stop()
        self._retry = self._loop.call_later(PAUSE_SECONDS, self.accept)

    def _stop(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._is_accepting:
            self._is_accepting = False
            for sock in self._sockets:
                self._loop.remove_reader(sock.fileno())


def _listening(sock: socket.socket, address: object) -> socket.socket:
    """Bind and listen as the event loops do. Raises OSError."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
