"""exec over each protocol: streams, half-closes, terminals, exit codes, and handshakes that are refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlencode

import pytest
from aiohttp import WSServerHandshakeError

from tests.backend.cluster import Client

from .peers import POD, Remote, request, spdy, spdy_remote, websocket_remote

Start = Callable[..., AbstractAsyncContextManager[Remote]]
WAYS = {"spdy": spdy_remote, "websocket": websocket_remote}
SUCCESS = {"metadata": {}, "status": "Success"}


def target(*command: str, stdin: bool = False, tty: bool = False, pod: str = POD) -> str:
    """Return the target of an exec, as kubectl builds it."""
    flags = {"container": "web", "stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    shown = {name: str(value).lower() if isinstance(value, bool) else value for name, value in flags.items() if value}
    return f"{pod}/exec?{urlencode([*(('command', word) for word in command), *shown.items()])}"


@pytest.fixture(params=WAYS)
def start(request: pytest.FixtureRequest, client: Client) -> Start:
    """A way to start a command, over each protocol."""
    way = WAYS[request.param]

    @asynccontextmanager
    async def begin(*command: str, stdin: bool = False, tty: bool = False) -> AsyncIterator[Remote]:
        async with way(client, target(*command, stdin=stdin, tty=tty), stdin=stdin, tty=tty) as remote:
            yield remote

    return begin


async def test_cat_echoes_until_stdin_ends(start: Start) -> None:
    """What goes in comes out while more is typed; the half-close ends it with success."""
    async with start("cat", stdin=True) as remote:
        await remote.type(b"one ")
        await remote.until(b"one ")
        await remote.type(b"two\n")
        await remote.close_stdin()
        stdout, stderr, status = await remote.result()
    assert (stdout, stderr, json.loads(status)) == (b"one two\n", b"", SUCCESS)


async def test_exit_codes_are_told_with_their_cause(start: Start) -> None:
    """A command that fails ends with NonZeroExitCode, after its output on both streams."""
    async with start("sh", "-c", "echo out; echo oops >&2; exit 3") as remote:
        stdout, stderr, status = await remote.result()
    assert (stdout, stderr) == (b"out\n", b"oops\n")
    assert json.loads(status) == {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: command terminated with exit code 3",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
    }


async def test_unknown_commands_never_ran(start: Start) -> None:
    """What there is no command for is the runtime's error."""
    async with start("/bin/nope") as remote:
        stdout, stderr, status = await remote.result()
    found = json.loads(status)
    assert (stdout, stderr, found["reason"], found["code"]) == (b"", b"", "InternalError", 500)
    assert found["message"].startswith("Internal error occurred: error executing command in container: ")
    assert '"/bin/nope": executable file not found in $PATH' in found["message"]


async def test_a_terminal_tells_its_changes(start: Start) -> None:
    """Each size is printed, with a carriage return, until Ctrl-D."""
    async with start("winsize", stdin=True, tty=True) as remote:
        await remote.resize(80, 24)
        await remote.until(b"24 80\r\n")
        await remote.resize(132, 50)
        await remote.until(b"50 132\r\n")
        await remote.type(b"\x04")
        stdout, _, status = await remote.result()
    assert (stdout, json.loads(status)) == (b"24 80\r\n50 132\r\n", SUCCESS)


async def test_output_is_produced_as_it_is_read(start: Start) -> None:
    """Ten megabytes come through unharmed."""
    async with start("head", "-c", "10M", "/dev/zero") as remote:
        stdout, _, status = await remote.result()
    assert (len(stdout), stdout.strip(b"\0"), json.loads(status)) == (10 << 20, b"", SUCCESS)


async def test_input_is_counted(start: Start) -> None:
    """Megabytes of input get to the command before the half-close does."""
    async with start("wc", "-c", stdin=True) as remote:
        for _ in range(64):
            await remote.type(bytes(32 * 1024))
        await remote.close_stdin()
        assert (await remote.result())[0] == b"2097152\n"


async def test_input_that_nobody_reads_does_not_hold_the_end_up(start: Start) -> None:
    """A command that never reads ends although megabytes wait for it."""
    async with start("sh", "-c", "echo done; exit 4", stdin=True) as remote:
        for _ in range(8):
            await remote.type(bytes(32 * 1024))
        stdout, _, status = await remote.result()
    assert (stdout, json.loads(status)["reason"]) == (b"done\n", "NonZeroExitCode")


async def test_a_shell_runs_lines(start: Start) -> None:
    """`sh` without a line runs what is typed, and knows what it doesn't know."""
    async with start("sh", stdin=True) as remote:
        await remote.type(b"hostname\nnope; exit")
        await remote.type(b" 5\n")
        stdout, stderr, status = await remote.result()
    assert (stdout, stderr) == (b"web-00020\n", b"sh: 1: nope: not found\n")
    assert json.loads(status)["details"]["causes"][0]["message"] == "5"


async def test_v4_over_a_websocket_has_no_half_close(client: Client) -> None:
    """The older protocol knows no CLOSE: a message to channel 255 is ignored."""
    async with client.ws_connect(target("cat", stdin=True), protocols=("v4.channel.k8s.io",)) as websocket:
        assert await websocket.receive_bytes() == b"\1"
        await websocket.send_bytes(bytes([255, 0]))
        await websocket.send_bytes(b"\0still here")
        assert await websocket.receive_bytes() == b"\1still here"


async def test_base64(client: Client) -> None:
    """Text frames with a digit for the channel, for clients that have no binary ones."""
    way = client.ws_connect(target("cat", stdin=True), protocols=("v4.base64.channel.k8s.io",))
    async with way as websocket:
        assert await websocket.receive_str() == "1"
        await websocket.send_str("0aGk=")
        assert await websocket.receive_str() == "1aGk="


async def test_without_a_subprotocol_errors_are_text(client: Client) -> None:
    """The first version tells failures in words, and success by nothing."""
    async with client.ws_connect(target("false")) as websocket:
        messages = [message.data async for message in websocket]
    assert messages == [b"\1", b"\3command terminated with non-zero exit code: command terminated with exit code 1"]


async def test_a_client_that_leaves_ends_the_command(start: Start) -> None:
    """Nothing is left of a command whose client is gone."""
    before = asyncio.all_tasks()
    async with start("sh", "-c", "echo running; sleep 1000") as remote:
        await remote.until(b"running\n")
        tasks = asyncio.all_tasks() - before
        assert tasks
    _, left = await asyncio.wait(tasks, timeout=20)
    assert not left


@pytest.mark.parametrize(
    ("where", "code", "text"),
    [
        (f"{POD}/exec?command=true&stdout=true", 400, "Upgrade request required"),
        (f"{POD}/exec?command=true&stdout=true&container=nope", 400, "container nope is not valid for pod web-00020"),
        ("/api/v1/namespaces/default/pods/nope/exec?command=true", 404, 'pods "nope" not found'),
        ("/api/v1/namespaces/default/configmaps/nope/exec", 404, "the server could not find the requested resource"),
    ],
)
async def test_requests_that_cannot_be_upgraded_are_told_so(client: Client, where: str, code: int, text: str) -> None:
    """A Status, as for any other request."""
    async with client.get(where) as response:
        assert response.status == code
        assert (await response.json())["message"] == text


async def test_a_container_that_waits_is_not_found(client: Client) -> None:
    """A kubelet's own words where a container doesn't run."""
    async with client.get("/api/v1/namespaces/a/pods/web-00015/exec?command=true&stdout=true") as response:
        assert (response.status, await response.text()) == (500, 'container not found ("web")')


UPGRADE = ("Connection: keep-alive, Upgrade", "Upgrade: SPDY/3.1")


@pytest.mark.parametrize(
    ("lines", "code", "shown"),
    [
        (UPGRADE, 400, "text/plain"),
        ((*UPGRADE, "X-Stream-Protocol-Version: v9.channel.k8s.io"), 403, "X-Accepted-Stream-Protocol-Versions: v4."),
        (("Connection: Upgrade", "Upgrade: h2c", "X-Stream-Protocol-Version: v4.channel.k8s.io"), 400, "text/plain"),
    ],
)
async def test_bad_spdy_handshakes(client: Client, lines: tuple[str, ...], code: int, shown: str) -> None:
    """A kubelet's refusals, and a connection that is still of use."""
    reader, writer, head = await request(client, target("true"), *lines)
    assert head.startswith(f"HTTP/1.1 {code} ")
    assert shown in head
    length = int(head.partition("Content-Length: ")[2].partition("\r")[0])
    assert (await reader.readexactly(length)).startswith(b"unable to upgrade: ")
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()


async def test_unknown_subprotocols_are_forbidden(client: Client) -> None:
    """403, so that a client falls back."""
    with pytest.raises(WSServerHandshakeError) as caught:
        await client.ws_connect(target("true"), protocols=("v9.channel.k8s.io",))
    assert caught.value.status == 403


async def test_the_first_offered_version_wins(client: Client) -> None:
    """A client offers several versions on lines of their own."""
    lines = [f"X-Stream-Protocol-Version: {name}" for name in ("v5.channel.k8s.io", "v4.channel.k8s.io")]
    _, writer, head = await request(client, target("true"), *UPGRADE, *lines)
    assert "\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n" in head
    assert "Content-Type" not in head
    writer.close()
    await writer.wait_closed()


async def test_streams_of_other_types_are_refused(client: Client) -> None:
    """A stream that isn't one of the five is reset, and the command waits for the others."""
    async with spdy(client, target("echo", "hi")) as peer:
        other = peer.open(streamtype="data")
        assert await peer.rest(other) == b""
        numbers = [peer.open(streamtype=name) for name in ("error", "stdout", "stderr")]
        assert await peer.rest(numbers[1]) == b"hi\n"
        assert json.loads(await peer.rest(numbers[0])) == SUCCESS
