"""port-forward over a socket and inside a WebSocket: pairs of streams, half-closes, ports without a listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientWebSocketResponse, WSServerHandshakeError

from proxy.backend.streams.frames import Data, GoAway, Ping, Reset, SynStream, WindowUpdate
from tests.backend.cluster import Client

from .peers import POD, SpdyPeer, spdy

TARGET = f"{POD}/portforward"
TUNNEL = "SPDY/3.1+portforward.k8s.io"


class TunnelReader(asyncio.StreamReader):
    """What comes in the messages of a WebSocket."""

    def __init__(self, websocket: ClientWebSocketResponse) -> None:
        super().__init__()
        self.websocket = websocket

    async def read(self, n: int = -1) -> bytes:
        """Return one message."""
        del n
        message = await self.websocket.receive()
        return message.data if isinstance(message.data, bytes) else b""


class TunnelPeer(SpdyPeer):
    """A SPDY client inside a WebSocket, whose messages are cut anywhere."""

    def __init__(self, websocket: ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.sending: list[bytes] = []
        super().__init__(TunnelReader(websocket), self)  # type: ignore[arg-type]  # of a writer only write is used

    def write(self, data: bytes) -> None:
        """Keep for the next flush."""
        self.sending.append(data)

    async def step(self) -> None:
        """Send what was written, five bytes a message, and read."""
        wire = b"".join(self.sending)
        self.sending.clear()
        size = 5 if len(wire) < 1000 else 30_000
        for start in range(0, len(wire), size):
            await self.websocket.send_bytes(wire[start : start + size])
        await super().step()


@pytest.fixture(params=["socket", "tunnel"])
async def peer(request: pytest.FixtureRequest, client: Client) -> AsyncIterator[SpdyPeer]:
    """A SPDY client, over each kind of link."""
    way = socket if request.param == "socket" else tunnel
    async with way(client) as connected:
        yield connected


@asynccontextmanager
async def socket(client: Client) -> AsyncIterator[SpdyPeer]:
    """Connect over a socket."""
    async with spdy(client, TARGET, "portforward.k8s.io") as peer:
        yield peer


@asynccontextmanager
async def tunnel(client: Client) -> AsyncIterator[SpdyPeer]:
    """Connect inside a WebSocket."""
    async with client.ws_connect(TARGET, protocols=(TUNNEL,)) as websocket:
        assert websocket.protocol == TUNNEL
        yield TunnelPeer(websocket)


async def connect(peer: SpdyPeer, port: int, request_id: int) -> tuple[int, int]:
    """Open the two streams of a connection."""
    error = peer.open(streamtype="error", port=str(port), requestid=str(request_id), fin=True)
    data = peer.open(streamtype="data", port=str(port), requestid=str(request_id))
    await peer.opened(error, data)
    return error, data


async def test_connections_share_a_link(peer: SpdyPeer) -> None:
    """Two echoes at once, each ended by its own half-close, with nothing on the error stream."""
    one, two = await connect(peer, 7, 1), await connect(peer, 7, 2)
    peer.send(Data(two[1], b"second"))
    peer.send(Data(one[1], b"first"))
    assert await peer.until(one[1], b"first") == b"first"
    assert await peer.until(two[1], b"second") == b"second"
    peer.send(Data(two[1], b" and last", fin=True))
    assert await peer.rest(two[1]) == b"second and last"
    assert await peer.rest(two[0]) == b""
    peer.send(Data(one[1], b", third", fin=True))
    assert await peer.rest(one[1]) == b"first, third"


async def test_megabytes(peer: SpdyPeer) -> None:
    """What is echoed is what was sent."""
    _, data = await connect(peer, 7, 1)
    content = bytes(range(256)) * 4096
    for start in range(0, len(content), 32768):
        peer.send(Data(data, content[start : start + 32768]))
    peer.send(Data(data, b"", fin=True))
    assert await peer.rest(data) == content


async def test_http(peer: SpdyPeer) -> None:
    """Requests one behind the other over one connection; the last ends it."""
    _, data = await connect(peer, 80, 1)
    peer.send(Data(data, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nConnec"))
    peer.send(Data(data, b"tion: close\r\nContent-Length: 4\r\n\r\nbody"))
    answer = await peer.rest(data)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b"\r\n\r\nweb-00020:80 GET /a\nHTTP/1.1" in answer
    assert answer.endswith(b"Connection: close\r\n\r\nbody")


async def test_bad_http_is_refused(peer: SpdyPeer) -> None:
    """400, and the end."""
    _, data = await connect(peer, 80, 1)
    peer.send(Data(data, b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n"))
    assert (await peer.rest(data)).startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_ports_without_a_listener_are_refused(peer: SpdyPeer) -> None:
    """The reason comes over the error stream, and others go on."""
    error, data = await connect(peer, 81, 1)
    assert b"error forwarding port 81 to pod" in await peer.rest(error)
    assert b"127.0.0.1:81: connect: connection refused" in peer.received[error]
    assert await peer.rest(data) == b""
    _, other = await connect(peer, 7, 2)
    peer.send(Data(other, b"still", fin=True))
    assert await peer.rest(other) == b"still"


async def test_a_reset_ends_a_connection(peer: SpdyPeer) -> None:
    """The service ends, its error stream too."""
    error, data = await connect(peer, 7, 1)
    peer.send(Reset(data))
    assert await peer.rest(error) == b""


async def test_a_reset_ends_a_connection_that_is_written_to(peer: SpdyPeer) -> None:
    """Also while the service has more to say than anybody reads."""
    error, data = await connect(peer, 7, 1)
    for _ in range(64):
        peer.send(Data(data, bytes(32768)))
    peer.send(Reset(data))
    assert await peer.rest(error) == b""


async def test_pings_are_answered_and_flow_control_is_ignored(peer: SpdyPeer) -> None:
    """A client's ping comes back, the answer to one that was never sent doesn't."""
    peer.send(Ping(2))
    peer.send(WindowUpdate(1, 1000))
    peer.send(Ping(1))
    while Ping(1) not in peer.frames:
        await peer.step()
    assert Ping(2) not in peer.frames


async def test_streams_without_a_port_are_refused(peer: SpdyPeer) -> None:
    """Reset, like those whose number isn't a client's or went before."""
    numbers = [
        peer.open(streamtype="data"),
        peer.open(streamtype="data", port="70000"),
        peer.open(streamtype="stdin", port="80"),
    ]
    for number in (*numbers, 2):
        if number == 2:
            peer.send(SynStream(2, {"streamtype": "data", "port": "80"}))
        assert await peer.rest(number) == b""
    peer.send(SynStream(1, {"streamtype": "data", "port": "80"}))
    while sum(frame == Reset(1, 1) for frame in peer.frames) < 1:
        await peer.step()


async def test_old_clients_name_no_connection(client: Client) -> None:
    """Two streams in a row belong together."""
    async with spdy(client, TARGET, "portforward.k8s.io") as peer:
        error, data = peer.open(streamtype="error", port="7"), peer.open(streamtype="data", port="7")
        await peer.opened(error, data)
        peer.send(Data(data, b"hi", fin=True))
        assert await peer.rest(data) == b"hi"


async def test_junk_ends_the_link(client: Client) -> None:
    """What isn't SPDY is answered with a goodbye that says so."""
    async with spdy(client, TARGET, "portforward.k8s.io") as peer:
        peer.writer.write(b"\xff" * 20)
        await peer.end()
        assert GoAway(0, 1) in peer.frames


@pytest.mark.parametrize("way", [socket, tunnel])
async def test_a_client_that_leaves_ends_everything(client: Client, way: object) -> None:
    """Nothing is left of its connections."""
    before = asyncio.all_tasks()
    async with (socket if way is socket else tunnel)(client) as peer:
        _, data = await connect(peer, 7, 1)
        peer.send(Data(data, b"x"))
        await peer.until(data, b"x")
        tasks = asyncio.all_tasks() - before
    _, left = await asyncio.wait(tasks, timeout=20)
    assert tasks
    assert not left


async def test_bad_handshakes(client: Client) -> None:
    """A Status without an upgrade, 400 without a protocol that is known."""
    async with client.post(TARGET) as response:
        assert (response.status, (await response.json())["message"]) == (400, "Upgrade request required")
    with pytest.raises(WSServerHandshakeError) as caught:
        await client.ws_connect(TARGET, protocols=("v5.channel.k8s.io",))
    assert caught.value.status == 400
