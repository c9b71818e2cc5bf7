"""What both sides do with their sockets."""

import asyncio
import socket

from proxy.sockets import PROBE_SECONDS, probe, reset_on_close
from tests.fakes.apiserver import Apiserver
from tests.fakes.wire import Client

LOOPS = ("asyncio", "uvloop")


async def test_probes() -> None:
    """The kernel looks after hosts that have vanished, as nothing of ours has a limit on silence."""
    async with Apiserver() as server, await Client.connect("127.0.0.1", server.port) as client:
        transport = client._transport
        assert transport is not None
        probe(transport)
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == PROBE_SECONDS


async def test_reset_of_what_is_closed() -> None:
    """A socket that is gone already can be asked to end with a reset without harm."""
    async with Apiserver() as server, await Client.connect("127.0.0.1", server.port) as client:
        transport = client._transport
        assert transport is not None
        client.close()
        await client.until(lambda: client.is_lost)
        await asyncio.sleep(0)
        reset_on_close(transport, True)
    reset_on_close(None, True)
