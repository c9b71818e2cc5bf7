"""Which arms there are, and what is said of those that are not."""

import asyncio
import io
from functools import partial
from pathlib import Path

import pytest

from proxy.bench import arms, cluster
from proxy.bench.children import Children
from proxy.bench.cluster import Access
from proxy.bench.errors import BenchError
from proxy.bench.load import fetch_text
from proxy.bench.screen import PlainScreen
from proxy.bench.servers import start_proxy


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide every peer."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(arms, "SYSTEM_PATH", str(tmp_path))


@pytest.mark.usefixtures("nothing_installed")
def test_what_is_missing_is_no_error() -> None:
    """Whoever reads it knows what to install, and ours are always there."""
    out = io.StringIO()
    found = arms.available(arms.NAMES, PlainScreen(out))
    assert [arm.name for arm in found] == ["direct", "raw", "streamed", "paged", "buffered"]
    said = out.getvalue().splitlines()
    assert said[0].startswith("kubectl proxy is left out; install kubectl: https://")
    assert said[1:] == [
        "haproxy is left out; install haproxy: apt-get install haproxy",
        "nginx is left out; install nginx: apt-get install nginx-light",
    ]


@pytest.mark.usefixtures("nothing_installed")
def test_no_arm_at_all_is_an_error() -> None:
    """There is nothing to measure."""
    with pytest.raises(BenchError, match="none of the chosen arms can be had"):
        arms.available(("nginx",), PlainScreen(io.StringIO()))


@pytest.mark.parametrize("name", ["haproxy", "nginx"])
async def test_a_peer_passes_on_what_it_is_asked(name: str) -> None:
    """Also a response that is larger than what it holds in memory."""
    (arm,) = (arm for arm in arms.arms() if arm.name == name)
    if arm.missing:
        pytest.skip(arm.missing)
    body = b"x" * (4 << 20)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        with Children() as children:
            server = await arm.start(children, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
            assert server is not None
            assert len(await fetch_text(server.url, "/")) == len(body)


async def test_a_credential_stays_in_its_file(tmp_path: Path) -> None:
    """Our own proxy gets the path; a client that goes direct reads it, and does not show it."""
    token = tmp_path / "token"
    token.write_text("sesame\n")
    access = Access(token_file=token)
    assert access.flags == ("--upstream-token-file", str(token), "--identity", "proxy-identity")
    door = await access.door("http://127.0.0.1:1")
    assert door.authorization == "Bearer sesame"
    assert "sesame" not in repr(door)


async def test_a_kubeconfig_that_is_none_is_an_error(tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(BenchError, match="--upstream: kubeconfig: "):
        await Access(kubeconfig=tmp_path / "missing").door("http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("upstream", "access", "reaching"),
    [
        ("http://127.0.0.1:1", Access(), {"direct", "haproxy", "nginx", "kubectl proxy", "raw"}),
        ("https://127.0.0.1:1", Access(), {"direct", "raw"}),
        ("http://127.0.0.1:1", Access(token_file=Path("token")), {"direct", "raw"}),
    ],
)
def test_peers_reach_what_needs_no_credential(upstream: str, access: Access, reaching: set[str]) -> None:
    """A credential is never written into a configuration for them."""
    names = ("direct", "kubectl proxy", "haproxy", "nginx", "raw")
    all_arms = [arms.Arm(name, partial(start_nothing, name), "") for name in names]
    assert {arm.name for arm in all_arms if not cluster.reaching(arm, upstream, access).missing} == reaching


async def start_nothing(name: str, children: Children, upstream: str) -> None:
    """Start no process."""
    del name, children, upstream


@pytest.mark.parametrize(("mode", "is_bounded"), [("streamed", True), ("buffered", False)])
async def test_the_path_to_compare_with_has_no_budget(mode: str, is_bounded: bool) -> None:
    """It has to hold whole Lists, several at once: within the usual budget the demo would compare with a 429."""
    with Children() as children:
        proxy = await start_proxy(children, "http://127.0.0.1:1", mode)
        metrics = await fetch_text(proxy.admin, "/metrics")
    (budget,) = (line.split()[1] for line in metrics.splitlines() if line.startswith("restream_memory_budget_bytes "))
    assert (float(budget) < 1 << 32) == is_bounded
