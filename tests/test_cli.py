"""The command line from outside: what is printed, and which exit code there is."""

import asyncio
import json
import signal
import socket
from pathlib import Path

import pytest

from proxy import __version__, cli
from tests.fakes.apiserver import JSON_LINES, SMALL_LIST, Apiserver, Exchange, chunk, response
from tests.fakes.child import SOFT_LIMIT, run, serving
from tests.fakes.running import eventually
from tests.fakes.wire import Client, request


async def test_serve_prints_one_line_and_ends_with_zero() -> None:
    """One line on standard output names the bound ports; SIGTERM ends with 0 and no further word."""
    async with Apiserver() as upstream, serving(upstream.url, "--no-access-log") as child:
        host, port = child.address
        assert child.ready == f"kube-restream ready on http://{host}:{port} (admin {child.admin_url})\n"
        assert port
        assert (await child.ask(request())).body == SMALL_LIST
        assert (await child.ask_admin("/healthz")).status == 200
        assert await child.stop() == (0, "", "")


async def test_interrupt_ends_with_zero() -> None:
    """SIGINT ends as SIGTERM does, with idle connections open on both sides."""
    async with (
        Apiserver() as upstream,
        serving(upstream.url, "--no-access-log") as child,
        await Client.connect(*child.address) as client,
    ):
        assert (await client.ask(request())).body == SMALL_LIST
        assert await child.stop(signal.SIGINT) == (0, "", "")
        await client.until(lambda: client.has_ended)


async def test_drain_finishes_what_is_under_way() -> None:
    """After SIGTERM a List under way is finished, new connections are refused, /readyz says no; then it ends with 0."""
    go_on = asyncio.Event()
    cut = SMALL_LIST.index(b",{") + 1

    async def slow(exchange: Exchange) -> None:
        await exchange.send(response(framing="none", lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")]))
        await exchange.send(chunk(SMALL_LIST[:cut]))
        await go_on.wait()
        await exchange.send(chunk(SMALL_LIST[cut:]) + b"0\r\n\r\n")

    async with Apiserver(slow) as upstream, serving(upstream.url) as child:
        async with await Client.connect(*child.address) as client:
            await client.send(request())
            await client.until(lambda: b'"a"' in client.seen)
            child.process.send_signal(signal.SIGTERM)
            await eventually(lambda: not accepts(child.address))
            assert (await child.ask_admin("/readyz")).status == 503
            go_on.set()
            answer = await client.answer()
            assert answer.complete
            assert answer.body == SMALL_LIST
        _, errors = await child.process.communicate()
        assert child.process.returncode == 0
        assert len(errors.splitlines()) == 1


def accepts(address: tuple[str, int]) -> bool:
    """Whether something listens there."""
    with socket.socket() as sock:
        return sock.connect_ex(address) == 0


async def test_drain_is_bounded() -> None:
    """A request that does not end is aborted when the drain is over; the exit code is 0 all the same."""

    async def endless(exchange: Exchange) -> None:
        await exchange.send(response(framing="none", lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")]))
        await exchange.send(chunk(SMALL_LIST[:100]))
        await exchange.wait_closed()

    async with (
        Apiserver(endless) as upstream,
        serving(upstream.url, "--limits-drain-seconds", "0.2") as child,
        await Client.connect(*child.address) as client,
    ):
        await client.send(request())
        await client.until(lambda: client.total > 200)
        code, output, _ = await child.stop()
        assert (code, output) == (0, "")
        assert not (await client.answer()).complete


def test_upstream_more_than_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Each --upstream is one more address; those that cannot be one upstream are refused in one line."""
    assert cli.main(["serve", "--upstream", "http://127.0.0.1:1", "--upstream", "https://127.0.0.1:2"]) == 2
    line = "kube-restream: upstream: all addresses need the same scheme and the same path\n"
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_at_once(name: signal.Signals) -> None:
    """While a List is under way, or the delay before that, a second signal aborts it, and is the exit code."""
    more = ("--limits-shutdown-delay-seconds", "1000", "--no-access-log")

    async def endless(exchange: Exchange) -> None:
        await exchange.send(response(framing="none", lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")]))
        await exchange.send(chunk(SMALL_LIST[:100]))
        await exchange.wait_closed()

    async with (
        Apiserver(endless) as upstream,
        serving(upstream.url, *more) as child,
        await Client.connect(*child.address) as client,
    ):
        await client.send(request())
        await client.until(lambda: client.total > 200)
        child.process.send_signal(signal.SIGTERM)
        while (await child.ask_admin("/readyz")).body != b"draining\n":
            pass
        assert accepts(child.address)
        assert await child.stop(name) == (128 + name, "", "")
        assert not (await client.answer()).complete


async def test_access_log_is_one_line_a_request() -> None:
    """Each request is one line of JSON on standard error, with its figures and without its secrets."""
    async with Apiserver() as upstream, serving(upstream.url) as child:
        agent = b"User-Agent: kubectl/v1.36.2"
        asked = b"/api/v1/pods?limit=5&labelSelector=a%3Db&continue=c0ntinue&token=qu3ry"
        await child.ask(request(asked, agent, b"Authorization: Bearer s3cret"))
        await child.ask(request("http://user:pa55word@h/version?access_token=qu3ry", host=b"h"))
        await child.ask(request("/api/v1/namespaces/a/secrets/x", b"Content-Length: 6", method="PUT", body=b"b0dy!!"))
        code, _, errors = await child.stop()
        assert code == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["method"] for line in lines] == ["GET", "GET", "PUT"]
    one = lines[0]
    assert one["path"] == "/api/v1/pods"
    assert one["query"] == {"limit": "5", "labelSelector": "a=b"}
    assert (one["mode"], one["reason"], one["code"]) == ("streamed", "client_pages", 200)
    assert (one["items"], one["pages"], one["bytes"], one["abort"]) == (2, 1, len(SMALL_LIST), None)
    assert 0 < one["first_byte_seconds"] <= one["duration_seconds"]
    assert one["peak_buffered_bytes"] >= 0
    assert (one["audit_id"], one["user_agent"]) == ("0e1f", "kubectl/v1.36.2")
    assert lines[1]["path"] == "/version"
    for secret in ("s3cret", "c0ntinue", "qu3ry", "pa55word", "b0dy"):
        assert secret not in errors


async def test_errors_tell_no_secrets() -> None:
    """The proxy's own errors and its metrics hold neither tokens nor queries nor pieces of a body."""
    broken = b'{"kind":"SecretList","items":[{"data":"c2VjcmV0IQ"},{"data":c2VjcmV0IQ}]}'

    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.send(response(broken))

    async with Apiserver(answer) as upstream, serving(upstream.url, "--mode", "buffered") as child:
        asked = request("/api/v1/secrets?token=qu3ry&continue=qu3ry", b"Authorization: Bearer s3cret")
        answer_body = (await child.ask(asked)).body
        scrape = (await child.ask_admin("/metrics")).body
        _, _, errors = await child.stop()
        for secret in (b"s3cret", b"qu3ry", b"c2VjcmV0"):
            assert secret not in answer_body + scrape + errors.encode()
        assert b"502" in answer_body


async def test_open_files_limit_is_raised() -> None:
    """The soft limit on open files becomes the hard one, and the metric says so."""
    async with Apiserver() as upstream, serving(upstream.url) as child:
        limits = Path(f"/proc/{child.process.pid}/limits").read_text(encoding="ascii")  # noqa: ASYNC240
        soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))
        assert soft == hard != str(SOFT_LIMIT)
        assert (await child.samples())["restream_open_files_limit"] == float(hard)


UPSTREAM = ["--upstream", "http://127.0.0.1:1"]
REFUSED = {
    "no upstream": ([], "upstream: required"),
    "no paged plan yet": ([*UPSTREAM, "--mode", "fastest"], "mode: "),
    "bad address": ([*UPSTREAM, "--listen", "here"], "listen: "),
    "bad size": ([*UPSTREAM, "--max-item-bytes", "16 megs"], "max_item_bytes: "),
    "bad number": ([*UPSTREAM, "--limits-idle-seconds", "soon"], "limits.idle_seconds: "),
    "pass-through with a token": ([*UPSTREAM, "--upstream-token-file", "/etc/hostname"], "upstream_token_file: "),
    "pass-through with a certificate": (
        [*UPSTREAM, "--upstream-cert", "a", "--upstream-key", "b"],
        "upstream_tls.cert: ",
    ),
    "own identity for everybody": (
        [*UPSTREAM, "--upstream-token-file", "/etc/hostname", "--identity", "proxy-identity", "--listen", ":0"],
        "listen: ",
    ),
    "no such token file": (
        [*UPSTREAM, "--upstream-token-file", "/nowhere", "--identity", "proxy-identity"],
        "upstream_token_file: ",
    ),
    "no such kubeconfig": (["--kubeconfig", "/nowhere"], "kubeconfig: "),
    "no such certificate": ([*UPSTREAM, "--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "tls.cert: "),
    "no such file": (["--config", "/nowhere"], "/nowhere: "),
    "TLS settings for http": ([*UPSTREAM, "--upstream-insecure"], "upstream_tls: "),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_settings_end_with_two(what: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Bad settings are one line on standard error with the key's path, nothing on standard output, and exit code 2."""
    arguments, beginning = REFUSED[what]
    assert cli.main(["serve", *arguments]) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith(f"kube-restream: {beginning}")
    assert errors.count("\n") == 1


async def test_bad_settings_of_a_child(tmp_path: Path) -> None:
    """The same from outside: from a file, from the environment and from a flag; and for an address that is taken."""
    file = tmp_path / "proxy.yaml"
    file.write_text("upstream: http://127.0.0.1:1\nlimits:\n  idle: 1\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        runs = await asyncio.gather(
            run("serve", "--config", str(file)),
            run("serve", upstream="http://127.0.0.1:1", mode="fastest"),
            run("serve", *UPSTREAM, "--listen", address, "--admin-listen", "127.0.0.1:0"),
        )
    beginnings = ["limits.idle: unknown setting", "mode: ", f"listen: cannot listen on {address}: "]
    for (code, output, errors), beginning in zip(runs, beginnings, strict=True):
        assert (code, output) == (2, "")
        assert errors.startswith(f"kube-restream: {beginning}")
        assert errors.count("\n") == 1


@pytest.mark.parametrize("name", ["1234", "1e3", "nan"])
def test_flags_that_are_names_are_text(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A flag's value is a name where the setting is one, even if it looks like a number."""
    assert cli.main(["serve", "--kubeconfig", name]) == 2
    assert capfd.readouterr().err.startswith(f"kube-restream: kubeconfig: {name}: ")


def test_version_and_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """--version tells it; no command, or an unknown one or flag, is a usage error with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"kube-restream {__version__}\n"
    for arguments in ([], ["sever"], ["serve", "--upstreem", "x"], ["serve", "--mode"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 2
