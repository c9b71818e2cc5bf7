"""Messages, and sockets along with them, between a supervisor and a worker: a Unix socket that never blocks.

A message is framed by its size in four bytes. A socket travels with the first byte of its message (SCM_RIGHTS), so the
oldest socket that has come belongs to the oldest message that needs one.
"""

import array
import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

READ_BYTES = 64 << 10
SIZE_BYTES = 4
FD_BYTES = array.array("i").itemsize

ENCODER = msgspec.msgpack.Encoder()

T = TypeVar("T")


class Channel(Generic[T]):
    """One end. `receive` gets each message, `ended` is called once when the other end has gone.

    `has_room` is called when the other side reads again after a `hand_over` that was refused.
    """

    def __init__(
        self,
        sock: socket.socket,
        decoder: msgspec.msgpack.Decoder[T],
        receive: Callable[[T], None],
        ended: Callable[[], None],
        has_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._sock = sock
        self._decoder = decoder
        self._receive = receive
        self._ended = ended
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._incoming = bytearray()
        self._fds: deque[int | None] = deque()
        self._outgoing = bytearray()
        self._flushed: asyncio.Future[None] | None = None
        self._waits = False
        self._is_open = True
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._read)

    # --- sending ------------------------------------------------------------------------------------------------------

    def send(self, message: msgspec.Struct) -> None:
        """Send a message, later where the other side does not read; nobody hears it where the other end has gone."""
        if self._is_open:
            self._outgoing += framed(message)
            self._write()

    def hand_over(self, message: msgspec.Struct, sock: socket.socket) -> bool:
        """Send a message and a copy of a socket; False where that cannot be now."""
        if not self._is_open or self._outgoing:
            return False
        frame = framed(message)
        try:
            sent = socket.send_fds(self._sock, [frame], [sock.fileno()])
        except (BlockingIOError, InterruptedError):
            self._wait()
            return False
        except OSError:  # the other end has gone; or as many descriptors travel as the system allows (ETOOMANYREFS)
            return False
        self._outgoing += frame[sent:]
        self._write()
        return True

    async def flush(self, seconds: float) -> None:
        """Wait until everything is sent, for so long at most."""
        if self._outgoing:
            self._flushed = self._loop.create_future()
            await asyncio.wait([self._flushed], timeout=seconds)

    def _write(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[: self._sock.send(self._outgoing)]
        except (BlockingIOError, InterruptedError):
            self._wait()
            return
        except OSError:
            self._outgoing.clear()  # the other end has gone, as reading will tell
        if self._waits:
            self._waits = False
            self._loop.remove_writer(self._sock.fileno())
            self._has_room()
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_result(None)

    def _wait(self) -> None:
        if not self._waits:
            self._waits = True
            self._loop.add_writer(self._sock.fileno(), self._write)

    # --- receiving ----------------------------------------------------------------------------------------------------

    def take_socket(self) -> socket.socket | None:
        """Return the socket that came with the message just received; None where we had no descriptor left for it."""
        fd = self._fds.popleft() if self._fds else None
        return socket.socket(fileno=fd) if fd is not None else None

    def _read(self) -> None:
        """Read all that is there: where the other end has gone, and left something unread, uvloop calls but once."""
        while self._is_open and self._read_once():
            self._tell()

    def _read_once(self) -> bool:
        """Read some; False where there is no more for now, or ever."""
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(READ_BYTES, socket.CMSG_SPACE(FD_BYTES))
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data, ancillary, flags = b"", [], 0
        self._keep(ancillary, lost=bool(flags & socket.MSG_CTRUNC))
        if not data:
            self.close()
            self._ended()
            return False
        self._incoming += data
        return True

    def _keep(self, ancillary: list[tuple[int, int, bytes]], *, lost: bool) -> None:
        """Queue the descriptor that has come: the kernel ends a read behind the first message that has one."""
        fds = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[: len(data) - len(data) % FD_BYTES])
        self._fds.extend(fds)
        if lost and not fds:
            self._fds.append(None)

    def _tell(self) -> None:
        at = 0
        while self._is_open and len(self._incoming) - at >= SIZE_BYTES:
            end = at + SIZE_BYTES + int.from_bytes(self._incoming[at : at + SIZE_BYTES], "big")
            if end > len(self._incoming):
                break
            message = self._decoder.decode(bytes(self._incoming[at + SIZE_BYTES : end]))
            at = end
            self._receive(message)
        del self._incoming[:at]

    def close(self) -> None:
        """End it; what came and was not taken is closed."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        self._outgoing.clear()
        while self._fds:
            if (fd := self._fds.popleft()) is not None:
                os.close(fd)


def framed(message: msgspec.Struct) -> bytes:
    """Return a message as it travels."""
    body = ENCODER.encode(message)
    return len(body).to_bytes(SIZE_BYTES, "big") + body
