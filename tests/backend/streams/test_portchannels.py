"""port-forward over the channels of a WebSocket: two of them a port, as client libraries use them."""

from __future__ import annotations

import base64
from collections import defaultdict

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from tests.backend.cluster import Client

from .peers import POD

TARGET = f"{POD}/portforward"
V4 = "v4.channel.k8s.io"


async def until(websocket: ClientWebSocketResponse, channel: int, text: bytes) -> dict[int, bytes]:
    """Take binary messages until a channel has told something."""
    heard: defaultdict[int, bytes] = defaultdict(bytes)
    while text not in heard[channel]:
        message = await websocket.receive(20)
        assert message.type is WSMsgType.BINARY
        heard[message.data[0]] += message.data[1:]
    return heard


@pytest.mark.parametrize("query", ["ports=7&ports=80", "ports=7,80"])
@pytest.mark.parametrize("protocols", [(V4,), ("v5.channel.k8s.io", V4), ()])
async def test_ports_share_a_websocket(client: Client, query: str, protocols: tuple[str, ...]) -> None:
    """Each channel begins with its port, in little endian; data comes back over the even ones."""
    async with client.ws_connect(f"{TARGET}?{query}", protocols=protocols) as websocket:
        assert websocket.protocol == (V4 if protocols else None)
        await websocket.send_bytes(b"\0echo")
        heard = await until(websocket, 0, b"echo")
        assert heard == {0: b"\7\0echo", 1: b"\7\0", 2: b"\x50\0", 3: b"\x50\0"}
        await websocket.send_bytes(b"\2GET /hello HTTP/1.0\r\n\r\n")
        assert b"GET /hello\n" in (await until(websocket, 2, b"/hello\n"))[2]


async def test_base64(client: Client) -> None:
    """Channels are digits, content is base64; what isn't is ignored, and so are channels of no port."""
    async with client.ws_connect(f"{TARGET}?ports=7", protocols=("v4.base64.channel.k8s.io",)) as websocket:
        for text in ("0!", "4AAAA", "0" + base64.b64encode(b"echo").decode()):
            await websocket.send_str(text)
        assert [await websocket.receive_str(timeout=20) for _ in range(3)] == ["0BwA=", "1BwA=", "0ZWNobw=="]


async def test_ports_without_a_listener_are_refused(client: Client) -> None:
    """The error channel tells why, and the WebSocket ends with its last connection."""
    async with client.ws_connect(f"{TARGET}?ports=81", protocols=(V4,)) as websocket:
        assert b"connection refused" in (await until(websocket, 1, b"refused"))[1]
        assert (await websocket.receive(20)).type is WSMsgType.CLOSE


async def test_megabytes(client: Client) -> None:
    """More than anything between holds, while the other side writes, too."""
    content = bytes(1 << 20)
    async with client.ws_connect(f"{TARGET}?ports=7", protocols=(V4,)) as websocket:
        received = -2
        for start in range(0, len(content), 1 << 16):
            await websocket.send_bytes(b"\0" + content[start : start + (1 << 16)])
        while received < len(content):
            message = (await websocket.receive(20)).data
            received += len(message[1:]) if message[0] == 0 else 0
        assert received == len(content)


@pytest.mark.parametrize("query", ["", "?ports=", "?ports=0", "?ports=65536", "?ports=7,x"])
async def test_without_a_port_there_is_no_upgrade(client: Client, query: str) -> None:
    """400, before the upgrade."""
    with pytest.raises(WSServerHandshakeError) as caught:
        await client.ws_connect(TARGET + query, protocols=(V4,))
    assert caught.value.status == 400
