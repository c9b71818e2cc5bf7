"""The proxy subresource: the little HTTP service of a pod, by port and by name, and its WebSocket."""

from __future__ import annotations

import pytest

from tests.backend.cluster import Client

from .peers import POD

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "front", "namespace": "default"},
    "spec": {"ports": [{"name": "web", "port": 8080}]},
}
DECLARING = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "own", "namespace": "default"},
    "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 9000}]}]},
}


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (f"{POD}:80/proxy/", "web-00020:80 GET /"),
        (f"{POD}/proxy/a/b%2Fc/?x=1&y", "web-00020:80 GET /a/b%2Fc/?x=1&y"),
        (f"{PODS}/http:web-00020:80/proxy/pods/proxy", "web-00020:80 GET /pods/proxy"),
    ],
)
async def test_a_pod_answers(client: Client, where: str, line: str) -> None:
    """The path goes on as it is, the port may be left out."""
    async with client.get(where) as response:
        assert (response.status, await response.text()) == (200, line + "\n")


async def test_bodies_come_back(client: Client) -> None:
    """Whatever the method is."""
    async with client.put(f"{POD}:80/proxy/x", data=b"a" * 100_000) as response:
        assert await response.read() == b"a" * 100_000
    async with client.head(f"{POD}:80/proxy/x") as response:
        assert (response.status, response.headers["Content-Length"]) == (200, "21")
    async with client.get(f"{POD}:80/proxy/missing") as response:
        assert (response.status, await response.text()) == (404, "nothing here\n")


async def test_the_root_is_a_directory(client: Client) -> None:
    """A GET without a path is sent to the one with a slash."""
    async with client.get(f"{POD}:80/proxy?a=b", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (301, f"{POD}:80/proxy/?a=b")


async def test_declared_ports_answer_by_name_and_number(client: Client) -> None:
    """Of a service as of a pod."""
    await client.post(SERVICES, json=SERVICE)
    await client.post(PODS, json=DECLARING)
    for where, line in (
        (f"{SERVICES}/front:web/proxy/a", "front:8080 GET /a"),
        (f"{SERVICES}/front/proxy/a", "front:8080 GET /a"),
        (f"{PODS}/own:http/proxy/", "own:9000 GET /"),
        (f"{PODS}/own/proxy/", "own:9000 GET /"),
    ):
        async with client.get(where) as response:
            assert (response.status, await response.text()) == (200, line + "\n")


@pytest.mark.parametrize(
    ("where", "code", "text"),
    [
        (f"{POD}:81/proxy/", 503, "error trying to reach service: dial tcp "),
        (f"{POD}:nope/proxy/", 503, 'no service port "nope" found for pod "web-00020"'),
        (f"{PODS}/a:b:c:d/proxy/", 400, 'invalid pod request "a:b:c:d"'),
        (f"{PODS}/nope:80/proxy/", 404, 'pods "nope" not found'),
        (f"{SERVICES}/nope:80/proxy/", 404, 'services "nope" not found'),
        ("/api/v1/namespaces/default/configmaps/x/proxy/y", 404, "the server could not find the requested resource"),
    ],
)
async def test_what_cannot_be_reached(client: Client, where: str, code: int, text: str) -> None:
    """A Status that says why."""
    async with client.get(where) as response:
        assert response.status == code
        assert (await response.json())["message"].startswith(text)


async def test_a_websocket_echoes(client: Client) -> None:
    """Text and binary messages come back, the first subprotocol is spoken."""
    async with client.ws_connect(f"{POD}:80/proxy/ws", protocols=("chat", "other")) as websocket:
        assert websocket.protocol == "chat"
        await websocket.send_str("hello")
        assert await websocket.receive_str() == "hello"
        await websocket.send_bytes(bytes(100_000))
        assert await websocket.receive_bytes() == bytes(100_000)
    async with client.ws_connect(f"{POD}:80/proxy/ws") as websocket:
        assert websocket.protocol is None
