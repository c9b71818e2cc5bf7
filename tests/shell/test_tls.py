"""Certificates of clients and of the proxy: verified, told to the upstream, and read again when they change."""

import asyncio
import shutil
import ssl
from pathlib import Path

import pytest

from proxy import tls
from proxy.settings import DownstreamTLS, UpstreamTLS
from tests.fakes.apiserver import SMALL_LIST, Apiserver, response, script
from tests.fakes.certificates import Certificates, make_certificates, needs_openssl
from tests.fakes.running import Running, eventually, running
from tests.fakes.wire import PATIENCE, request

pytestmark = needs_openssl
LOOPS = ("asyncio", "uvloop")

KUBECTL = shutil.which("kubectl")

Pair = tuple[str, str]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make short-lived certificates, once."""
    made = make_certificates(tmp_path_factory.mktemp("certificates"))
    made.issue("alice", "/O=dev/O=system:x/CN=alice")
    made.issue("nobody", "/O=dev")
    made.issue("mallory", "/CN=alice", ca="other-ca")
    return made


def pair(certificates: Certificates, name: str) -> Pair:
    """Return the paths of a certificate and its key."""
    return certificates.path(f"{name}.crt"), certificates.path(f"{name}.key")


def listener(certificates: Certificates, *, required: bool = True) -> DownstreamTLS:
    """Return a listener that verifies its clients."""
    cert, key = pair(certificates, "server")
    ca = certificates.path("ca.crt")
    return DownstreamTLS(cert, key, client_ca=ca, client_certificate="required" if required else "optional")


async def is_served(proxy: Running, context: ssl.SSLContext) -> bool:
    """Whether a client gets as far as an answer; with TLS 1.3 it learns only then that its certificate is refused."""
    try:
        answer = await proxy.ask(request(), tls=context)
    except (ssl.SSLError, ConnectionError):
        return False
    return answer.status == 200


ITEM = b'{"metadata":{"name":"pod","uid":"%s"}}' % (b"u" * 1950)
LARGE_LIST = SMALL_LIST.partition(b"[")[0] + b"[" + b",".join([ITEM] * 4000) + b"]}\n"
"""8 MiB: more than the kernel takes from one connection whose client does not read."""


@pytest.mark.parametrize("mode", ["raw", "streamed", "paged", "buffered"])
async def test_large_list_over_tls(certificates: Certificates, mode: str) -> None:
    """All of a List comes over TLS, to a client that keeps up and to one that stalls in the middle."""
    answer = script(response(LARGE_LIST, framing="chunked", chunk_size=50_000))
    async with (
        Apiserver(answer) as upstream,
        running(upstream.url, mode=mode, tls=DownstreamTLS(*pair(certificates, "server"))) as proxy,
    ):
        assert (await proxy.ask(request(), tls=certificates.client())).body == LARGE_LIST
        async with await proxy.connect(tls=certificates.client(), receive_buffer=65536) as client:
            client.pause()
            await client.send(request())
            await eventually(lambda: proxy.sample("restream_buffered_bytes") > 0)
            client.resume()
            assert (await client.answer()).body == LARGE_LIST


# --- clients ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("required", [True, False])
async def test_client_certificates_are_verified(certificates: Certificates, required: bool) -> None:
    """A certificate of another CA is refused; none at all only where one is required."""
    downstream = listener(certificates, required=required)
    async with Apiserver() as upstream, running(upstream.url, tls=downstream) as proxy:
        assert await is_served(proxy, certificates.client(pair(certificates, "alice")))
        assert not await is_served(proxy, certificates.client(pair(certificates, "mallory")))
        assert await is_served(proxy, certificates.client()) is not required


async def test_pass_through_tells_nothing_of_certificates(certificates: Certificates) -> None:
    """With pass-through a verified certificate opens the door and no more."""
    async with Apiserver() as upstream, running(upstream.url, tls=listener(certificates)) as proxy:
        spoofed = request("/version", b"X-Remote-User: root", b"Authorization: Bearer theirs")
        await proxy.ask(spoofed, tls=certificates.client(pair(certificates, "alice")))
        assert upstream.exchanges[0].others == [(b"Authorization", b"Bearer theirs")]
        assert upstream.exchanges[0].values(b"x-forwarded-proto") == [b"https"]


def front_proxy(certificates: Certificates, *, required: bool = True) -> dict[str, object]:
    """Return the settings of a front proxy."""
    cert, key = pair(certificates, "client")
    return {
        "identity": "front-proxy",
        "tls": listener(certificates, required=required),
        "upstream_tls": UpstreamTLS(ca=certificates.path("ca.crt"), cert=cert, key=key),
    }


async def test_front_proxy(certificates: Certificates) -> None:
    """The client's certificate becomes X-Remote-* over the proxy's own; whatever else says who it is goes."""
    async with Apiserver(tls=certificates.server()) as upstream:
        async with running(upstream.url, **front_proxy(certificates)) as proxy:
            for target in ("/version", "/api/v1/pods"):
                asked = request(
                    target,
                    b"Authorization: Bearer theirs",
                    b"X-Remote-User: root",
                    b"x-remote-group: system:masters",
                    b"X-Remote-Extra-a: b",
                    b"Impersonate-User: bob",
                    b"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.dGhlaXJz, v4.channel.k8s.io",
                )
                await proxy.ask(asked, tls=certificates.client(pair(certificates, "alice")))
        for exchange in upstream.exchanges:
            told = [line for line in exchange.others if line[0] != b"Accept-Encoding"]
            fingerprint = told.pop()
            assert fingerprint[0] == b"X-Remote-Extra-authentication.kubernetes.io%2Fcredential-id"
            assert fingerprint[1].startswith(b"X509SHA256=")
            assert told == [
                (b"Impersonate-User", b"bob"),
                (b"Sec-WebSocket-Protocol", b"v4.channel.k8s.io"),
                (b"X-Remote-User", b"alice"),
                (b"X-Remote-Group", b"dev"),
                (b"X-Remote-Group", b"system:x"),
            ]
        assert {wire.peer_name for wire in upstream.connections} == {"client"}


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
async def test_kubectl_shows_its_certificate(certificates: Certificates, tmp_path: Path) -> None:
    """A kubectl with a client certificate is who that says, and may ask to act as somebody else."""
    async with Apiserver(tls=certificates.server()) as upstream:
        async with running(upstream.url, **front_proxy(certificates)) as proxy:
            cert, key = pair(certificates, "alice")
            child = await asyncio.create_subprocess_exec(
                *(str(KUBECTL), "--server", proxy.proxy.url, "--certificate-authority", certificates.path("ca.crt")),
                *("--client-certificate", cert, "--client-key", key, "--as", "bob", "get", "--raw", "/api/v1/pods"),
                env={"HOME": str(tmp_path), "KUBECONFIG": "/dev/null"},
                stdout=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(PATIENCE):
                output, _ = await child.communicate()
        assert output == SMALL_LIST
        exchange = upstream.exchanges[-1]
        assert exchange.values(b"x-remote-user") == [b"alice"]
        assert exchange.values(b"impersonate-user") == [b"bob"]


async def test_front_proxy_without_a_user(certificates: Certificates) -> None:
    """A client whose certificate names nobody, or that has none, gets 401: it must not act as the proxy."""
    async with Apiserver(tls=certificates.server()) as upstream:
        async with running(upstream.url, **front_proxy(certificates, required=False)) as proxy:
            for context in (certificates.client(), certificates.client(pair(certificates, "nobody"))):
                for target in ("/version", "/api/v1/pods"):
                    answer = await proxy.ask(request(target, b"Authorization: Bearer theirs"), tls=context)
                    assert answer.status == 401
                    assert b'"reason":"Unauthorized"' in answer.body
        assert upstream.exchanges == []


# --- certificates that change -----------------------------------------------------------------------------------------


class Volume:
    """A mounted Secret: files behind a symlink that is swapped, as a kubelet does it."""

    def __init__(self, folder: Path, certificates: Certificates, name: str) -> None:
        self._folder = folder
        self._certificates = certificates
        self._count = 0
        self.cert, self.key, self.ca = (str(folder / "..data" / file) for file in ("tls.crt", "tls.key", "ca.crt"))
        self.swap(name)

    def swap(self, cert: str, key: str | None = None, ca: str = "ca") -> None:
        """Bring another pair in at once."""
        self._count += 1
        version = self._folder / f"..{self._count}"
        version.mkdir()
        shutil.copy(self._certificates.path(f"{cert}.crt"), version / "tls.crt")
        shutil.copy(self._certificates.path(f"{key or cert}.key"), version / "tls.key")
        shutil.copy(self._certificates.path(f"{ca}.crt"), version / "ca.crt")
        link = self._folder / "..next"
        link.symlink_to(version)
        link.rename(self._folder / "..data")

    def lose_key(self) -> None:
        """Delete the key."""
        Path(self.key).unlink()


async def name_of_server(proxy: Running, certificates: Certificates) -> str:
    """Return the common name that the listener shows."""
    async with await proxy.connect(tls=certificates.client()) as client:
        return client.peer_name


async def test_listener_reads_its_pair_again(
    certificates: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """New connections see the new certificate; a broken pair leaves the old one and one line; old ones stay open."""
    volume = Volume(tmp_path, certificates, "server")
    async with (
        Apiserver() as upstream,
        running(upstream.url, tls=DownstreamTLS(volume.cert, volume.key)) as proxy,
        await proxy.connect(tls=certificates.client()) as early,
    ):
        assert await name_of_server(proxy, certificates) == "server"
        volume.swap("client")
        assert await name_of_server(proxy, certificates) == "client"
        volume.swap("server", key="client")
        for _ in range(3):
            assert await name_of_server(proxy, certificates) == "client"
        [record] = caplog.records
        assert record.getMessage().startswith("tls: ")
        assert record.getMessage().endswith("; going on with what was read before")
        volume.lose_key()
        assert await name_of_server(proxy, certificates) == "client"
        volume.swap("server")
        assert await name_of_server(proxy, certificates) == "server"
        assert (await early.ask(request())).body == SMALL_LIST


async def test_client_ca_is_read_again(certificates: Certificates, tmp_path: Path) -> None:
    """A CA that is exchanged is no longer trusted, by the very next handshake."""
    volume = Volume(tmp_path, certificates, "server")
    alice = certificates.client(pair(certificates, "alice"))
    mallory = certificates.client(pair(certificates, "mallory"))
    async with (
        Apiserver() as upstream,
        running(upstream.url, tls=DownstreamTLS(volume.cert, volume.key, client_ca=volume.ca)) as proxy,
    ):
        assert (await is_served(proxy, alice), await is_served(proxy, mallory)) == (True, False)
        volume.swap("server", ca="other-ca")
        assert (await is_served(proxy, alice), await is_served(proxy, mallory)) == (False, True)
        volume.swap("server")
        assert (await is_served(proxy, alice), await is_served(proxy, mallory)) == (True, False)


async def test_certificate_swapped_under_load(certificates: Certificates, tmp_path: Path) -> None:
    """While certificates change no connection fails, and each sees one certificate or the other."""
    volume = Volume(tmp_path, certificates, "server")
    seen = set()

    async def ask(proxy: Running) -> None:
        for _ in range(8):
            async with await proxy.connect(tls=certificates.client()) as client:
                seen.add(client.peer_name)
                assert (await client.ask(request())).body == SMALL_LIST

    async def swap() -> None:
        for number in range(16):
            volume.swap(("client", "server")[number % 2])
            await asyncio.sleep(0)

    async with Apiserver() as upstream, running(upstream.url, tls=DownstreamTLS(volume.cert, volume.key)) as proxy:
        await asyncio.gather(swap(), *(ask(proxy) for _ in range(4)))
        volume.swap("client")
        await ask(proxy)
        assert "client" in seen
        assert seen <= {"client", "server"}


async def test_upstream_certificate_is_read_again(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A new client certificate is shown from the next request on: idle connections with the old one are retired."""
    monkeypatch.setattr(tls, "CHECK_SECONDS", 0.0)
    volume = Volume(tmp_path, certificates, "client")
    upstream_tls = UpstreamTLS(ca=volume.ca, cert=volume.cert, key=volume.key)
    changes = {"identity": "proxy-identity", "upstream_tls": upstream_tls}
    async with Apiserver(tls=certificates.server()) as upstream, running(upstream.url, **changes) as proxy:

        async def shown() -> str:
            assert (await proxy.ask(request("/api/v1/nodes/a"))).status == 200
            return upstream.exchanges[-1].connection.peer_name

        assert [await shown(), await shown()] == ["client", "client"]
        assert len(upstream.connections) == 1
        volume.swap("alice")
        assert [await shown(), await shown()] == ["alice", "alice"]
        assert len(upstream.connections) == 2
        await upstream.connections[0].until(lambda: upstream.connections[0].has_ended)
        volume.swap("client", key="alice")
        assert [await shown(), await shown()] == ["alice", "alice"]
        assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["upstream_tls"]
        volume.swap("client", ca="other-ca")
        assert (await proxy.ask(request("/api/v1/nodes/a"))).status == 502
        volume.swap("client")
        assert await shown() == "client"
