"""Who the upstream sees, and TLS on both sides."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy import identity
from proxy.loading import load
from proxy.settings import DownstreamTLS, Filters, Settings, SettingsError, UpstreamTLS
from tests.fakes.apiserver import SMALL_LIST, WAY, Apiserver
from tests.fakes.certificates import Certificates, make_certificates, needs_openssl
from tests.fakes.kubeconfigs import kubeconfig
from tests.fakes.running import running
from tests.fakes.wire import request


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make short-lived certificates, once."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


# --- inbound credentials ----------------------------------------------------------------------------------------------

INBOUND = [
    b"Authorization: Bearer theirs",
    b"authorization: Basic eDp5",
    b"Impersonate-User: admin",
    b"Impersonate-Group: system:masters",
    b"impersonate-uid: 0",
    b"Impersonate-Extra-Scopes: all",
    b"X-Remote-User: admin",
    b"X-Remote-Group: system:masters",
    b"X-REMOTE-EXTRA-a: b",
    b"X-Remote-Uid: 0",
]


@pytest.mark.parametrize("host", [b"127.0.0.1", b"localhost:8001", b"[::1]:8001", b"LOCALHOST:"])
async def test_own_identity_replaces_every_inbound_credential(tmp_path: Path, host: bytes) -> None:
    """With a kubeconfig the upstream sees the proxy's token and nothing of what the client says about itself."""
    async with Apiserver() as upstream:
        config = kubeconfig(tmp_path, upstream.url)
        async with running(None, kubeconfig=config) as proxy:  # type: ignore[arg-type]  # the kubeconfig names it
            for target in ("/api/v1/pods", "/version"):
                answer = await proxy.ask(request(target, *INBOUND, b"X-Stays: 1", host=host))
                assert answer.body == SMALL_LIST
        for exchange in upstream.exchanges:
            assert exchange.values(b"authorization") == [b"Bearer own-token"]
            names = {name.lower() for name, _ in exchange.lines}
            assert names - {name.lower() for name in WAY} <= {b"host", b"authorization", b"x-stays", b"accept-encoding"}
            assert exchange.lines[0] == (b"Host", b"127.0.0.1:%d" % upstream.port)


async def test_pass_through_touches_no_credential() -> None:
    """Without an own identity every credential line arrives as the client wrote it, but for a front proxy's word."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        await proxy.ask(request("/version", *INBOUND, host=b"api.example"))
        sent = [b"%s: %s" % line for line in upstream.exchanges[0].others]
        assert sent == [line for line in INBOUND if not line.lower().startswith(b"x-remote-")]


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"10.0.0.1:8001",
        b"",
        b"[::1",
        b"@",
        b"127.0.0.1:80:80",
        b"::1",
    ],
)
async def test_rebound_names_are_refused(tmp_path: Path, host: bytes) -> None:
    """With an own identity a Host that is not loopback is refused with 403 (DNS rebinding)."""
    async with Apiserver() as upstream:
        async with running(None, kubeconfig=kubeconfig(tmp_path, upstream.url)) as proxy:  # type: ignore[arg-type]
            for target in ("/api/v1/secrets", "http://127.0.0.1/api/v1/secrets"):
                answer = await proxy.ask(request(target, host=host))
                assert answer.status == 403
                assert b'"reason":"Forbidden"' in answer.body
            assert (await proxy.ask(request("/api/v1/secrets", host=None, version="1.0"))).status == 403
        assert upstream.exchanges == []


@pytest.mark.parametrize(
    ("method", "origin", "status"),
    [
        ("POST", b"https://evil.example", 403),
        ("POST", b"null", 403),
        ("DELETE", b"http://127.0.0.1:3000", 403),
        ("POST", b"http://127.0.0.1", 200),
        ("POST", None, 200),
        ("GET", b"https://evil.example", 200),  # whose answer the page does not get to see
    ],
)
async def test_pages_of_others_change_nothing(tmp_path: Path, method: str, origin: bytes | None, status: int) -> None:
    """With an own identity a browser's write for a page of another origin is refused: it needs no leave to POST."""
    lines = [b"Content-Length: 2", *([b"Origin: " + origin] if origin else [])]
    async with Apiserver() as upstream:
        async with running(None, kubeconfig=kubeconfig(tmp_path, upstream.url)) as proxy:  # type: ignore[arg-type]
            asked = request("/api/v1/namespaces/a/pods", *lines, method=method, body=b"{}")
            assert (await proxy.ask(asked, method=method)).status == status
        assert len(upstream.exchanges) == (status == 200)


async def test_paths_and_methods_are_filtered(tmp_path: Path) -> None:
    """Kubectl proxy's filters: no exec by default, however it is written; what the settings say else."""
    exec_ = "/api/v1/namespaces/default/pods/a/exec?command=id"
    refused = [exec_, exec_.replace("exec", "%65xec"), "/" + exec_, "/x/.." + exec_, exec_.replace("exec", "attach")]
    async with Apiserver() as upstream:
        config = kubeconfig(tmp_path, upstream.url)
        async with running(None, kubeconfig=config) as proxy:  # type: ignore[arg-type]
            for target in refused:
                answer = await proxy.ask(request(target, method="POST"))
                assert answer.status == 403
                assert b"filters.reject_paths" in answer.body
            assert (await proxy.ask(request("/api/v1/namespaces/default/pods/a/log"))).status == 200
        filters = Filters(accept_hosts=(r"^proxy$",), accept_paths=("^/api/",), reject_methods=("^DELETE$",))
        async with running(None, kubeconfig=config, filters=filters) as proxy:  # type: ignore[arg-type]
            for target, method, host, status in (
                ("/api/v1/pods", "GET", b"proxy:1", 200),
                ("/api/v1/pods", "DELETE", b"proxy:1", 403),
                ("/version", "GET", b"proxy", 403),
                ("/api/../version", "GET", b"proxy", 403),
                ("/api/v1/pods", "GET", b"localhost", 403),
                (exec_, "POST", b"proxy", 403),
            ):
                assert (await proxy.ask(request(target, method=method, host=host))).status == status
        async with running(None, kubeconfig=config, filters=Filters(active="never")) as proxy:  # type: ignore[arg-type]
            assert (await proxy.ask(request(exec_, method="POST", host=b"evil.example"))).status == 200
        async with running(upstream.url, filters=Filters(active="always")) as proxy:
            assert (await proxy.ask(request(exec_, method="POST"))).status == 403


# --- kubeconfig -------------------------------------------------------------------------------------------------------


async def ask_with(config: str, **changes: Any) -> None:  # noqa: ANN401
    """Ask once through a proxy that has this kubeconfig."""
    async with running(None, kubeconfig=config, **changes) as proxy:  # type: ignore[arg-type]
        assert (await proxy.ask(request())).body == SMALL_LIST


async def test_kubeconfig_credentials(tmp_path: Path) -> None:
    """A token, a token file relative to the kubeconfig and a password are presented as such."""
    (tmp_path / "token").write_text("from-file\n")
    users = [
        ({"token": "abc"}, b"Bearer abc"),
        ({"tokenFile": "token"}, b"Bearer from-file"),
        ({"tokenFile": str(tmp_path / "token"), "token": "unused"}, b"Bearer from-file"),
        ({"username": "u", "password": "p"}, b"Basic dTpw"),
    ]
    async with Apiserver() as upstream:
        for user, expected in users:
            await ask_with(kubeconfig(tmp_path, upstream.url, user=user))
            assert upstream.exchanges[-1].values(b"authorization") == [expected]


async def test_token_with_a_final_line_break(tmp_path: Path) -> None:
    """A token that was written as a YAML block, with a line break at its end, is the same token."""
    async with Apiserver() as upstream:
        await ask_with(kubeconfig(tmp_path, upstream.url, user={"token": "abc\n"}))
        assert upstream.exchanges[0].values(b"authorization") == [b"Bearer abc"]


async def test_token_file_is_read_again(tmp_path: Path) -> None:
    """A token that is rotated in place is used from the next request on."""
    token = tmp_path / "token"
    token.write_text("one")
    async with Apiserver() as upstream:
        changes = {"identity": "proxy-identity", "upstream_token_file": str(token)}
        async with running(upstream.url, **changes) as proxy:
            await proxy.ask(request())
            token.write_text("two-two")
            await proxy.ask(request())
            token.unlink()
            await proxy.ask(request())
        seen = [exchange.values(b"authorization")[0] for exchange in upstream.exchanges]
        assert seen == [b"Bearer one", b"Bearer two-two", b"Bearer two-two"]


async def test_kubeconfig_contexts(tmp_path: Path) -> None:
    """The current context is used unless another is named; a context without a user is anonymous."""
    async with Apiserver() as upstream:
        config = kubeconfig(
            tmp_path,
            upstream.url,
            contexts=[
                {"name": "here", "context": {"cluster": "c", "user": "u"}},
                {"name": "there", "context": {"cluster": "c", "user": "v"}},
                {"name": "nobody", "context": {"cluster": "c"}},
            ],
            users=[{"name": "u", "user": {"token": "u"}}, {"name": "v", "user": {"token": "v"}}],
        )
        for context, expected in ((None, [b"Bearer u"]), ("there", [b"Bearer v"]), ("nobody", [])):
            await ask_with(config, context=context)
            assert upstream.exchanges[-1].values(b"authorization") == expected


async def test_several_kubeconfigs(tmp_path: Path) -> None:
    """Of several files the first that has an entry counts, paths are relative to each, and missing ones are skipped."""
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    (second / "token").write_text("of-b")
    async with Apiserver() as upstream:
        contexts = [{"name": "there", "context": {"cluster": "c", "user": "b"}}]
        users = [{"name": "b", "user": {"tokenFile": "token"}}, {"name": "u", "user": {"token": "shadowed"}}]
        one = kubeconfig(first, upstream.url, **{"current-context": ""})
        other = kubeconfig(second, "http://127.0.0.1:1", contexts=contexts, users=users, **{"current-context": "there"})
        paths = f"{tmp_path / 'gone'}:{one}:{other}"
        for context, expected in ((None, b"Bearer of-b"), ("here", b"Bearer own-token")):
            await ask_with(paths, context=context)
            assert upstream.exchanges[-1].values(b"authorization") == [expected]


def test_context_alone_means_kubectls_kubeconfig() -> None:
    """A context without a kubeconfig is one of $KUBECONFIG, or of kubectl's default."""
    assert load(None, {"KUBECONFIG": "a:b"}, {"context": "x"}).kubeconfig == "a:b"
    assert load(None, {}, {"context": "x"}).kubeconfig == "~/.kube/config"
    assert load(None, {"KUBECONFIG": "a:b"}, {"upstream": "http://a"}).kubeconfig is None


@needs_openssl
async def test_in_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> None:
    """Address and CA are the Pod's; its token is used for an own identity alone, and read again when it is rotated."""
    monkeypatch.setattr(identity, "SERVICE_ACCOUNT", tmp_path)
    (tmp_path / "ca.crt").write_bytes(certificates.read("ca.crt"))
    (tmp_path / "token").write_text("of-the-pod")
    async with Apiserver(tls=certificates.server()) as upstream:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(upstream.port))
        async with running(None, in_cluster=True) as proxy:  # type: ignore[arg-type]
            await proxy.ask(request("/version", b"Authorization: Bearer theirs"))
        async with running(None, in_cluster=True, identity="proxy-identity") as proxy:  # type: ignore[arg-type]
            await proxy.ask(request("/version", b"Authorization: Bearer theirs"))
            (tmp_path / "next").write_text("of-the-next-hour")
            (tmp_path / "next").rename(tmp_path / "token")
            await proxy.ask(request("/version"))
        seen = [exchange.values(b"authorization")[0] for exchange in upstream.exchanges]
        assert seen == [b"Bearer theirs", b"Bearer of-the-pod", b"Bearer of-the-next-hour"]


def test_not_in_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a Pod, or without its files, in_cluster is one line."""
    monkeypatch.setattr(identity, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(SettingsError, match=r"^in_cluster: KUBERNETES_SERVICE_HOST[^\n]*$"):
        identity.establish(Settings(in_cluster=True))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    for mode in ("pass-through", "proxy-identity"):
        with pytest.raises(SettingsError, match=r"^in_cluster[^\n]*No such file[^\n]*$"):
            identity.establish(Settings(in_cluster=True, identity=mode))


async def test_kubeconfig_server_may_have_a_path(tmp_path: Path) -> None:
    """A server's path (Rancher's) goes before every target."""
    async with Apiserver() as upstream:
        await ask_with(kubeconfig(tmp_path, f"{upstream.url}/k8s/clusters/c-1"))
        assert upstream.exchanges[0].target == b"/k8s/clusters/c-1/api/v1/pods"


CLIENT_AUTH = "client.authentication.k8s.io"
V1 = f"{CLIENT_AUTH}/v1"
OIDC = {"idp-issuer-url": "https://a", "client-id": "kubernetes", "refresh-token": "own-token"}
CLUSTER: dict[str, Any] = {"server": "https://127.0.0.1:1"}
BROKEN: dict[str, dict[str, Any]] = {
    "no current context": {"current-context": ""},
    "no such context": {"current-context": "gone"},
    "no such cluster": {"contexts": [{"name": "here", "context": {"cluster": "gone", "user": "u"}}]},
    "no such user": {"contexts": [{"name": "here", "context": {"cluster": "c", "user": "gone"}}]},
    "no server": {"cluster": {}},
    "odd server": {"cluster": {"server": "unix:///x"}},
    "server without host": {"cluster": {"server": "https://"}},
    "server with bad port": {"cluster": {"server": "https://a:99999"}},
    "server with a password": {"cluster": {"server": "https://u:own-token@a"}},
    "number as server": {"cluster": {"server": 5}},
    "exec of no version": {"user": {"exec": {"command": "true"}}},
    "exec of an old version": {"user": {"exec": {"command": "true", "apiVersion": f"{CLIENT_AUTH}/v1alpha1"}}},
    "exec that asks": {"user": {"exec": {"command": "true", "apiVersion": V1, "interactiveMode": "Always"}}},
    "exec of nothing": {"user": {"exec": {"command": "no-such-command", "apiVersion": V1, "installHint": "a\nb"}}},
    "auth-provider that is gone": {"user": {"auth-provider": {"name": "gcp"}}},
    "oidc without an issuer": {"user": {"auth-provider": {"name": "oidc"}}},
    "oidc in the clear": {
        "user": {"auth-provider": {"name": "oidc", "config": {**OIDC, "idp-issuer-url": "http://a"}}},
    },
    "oidc without a token": {"user": {"auth-provider": {"name": "oidc", "config": {**OIDC, "refresh-token": ""}}}},
    "impersonation": {"user": {"token": "own-token", "as": "root"}},
    "proxy": {"cluster": {"server": "http://127.0.0.1:1", "proxy-url": "http://proxy"}},
    "no token file": {"user": {"tokenFile": "gone"}},
    "CA file is not there": {"cluster": {**CLUSTER, "certificate-authority": "gone.crt"}},
    "CA data is not base64": {"cluster": {**CLUSTER, "certificate-authority-data": "!"}},
    "CA data is not PEM": {"cluster": {**CLUSTER, "certificate-authority-data": base64.b64encode(b"x").decode()}},
    "CA data is binary": {"cluster": {**CLUSTER, "certificate-authority-data": base64.b64encode(b"\xff").decode()}},
    "CA data is a number": {"cluster": {**CLUSTER, "certificate-authority-data": 5}},
    "certificate without key": {"cluster": CLUSTER, "user": {"client-certificate-data": "eA=="}},
    "key without certificate": {"cluster": CLUSTER, "user": {"client-key-data": "eA=="}},
    "certificate is not PEM": {
        "cluster": CLUSTER,
        "user": {"client-certificate-data": "eA==", "client-key-data": "eA=="},
    },
    "certificate is not there": {"cluster": CLUSTER, "user": {"client-certificate": "gone", "client-key": "gone"}},
    "contexts is a number": {"contexts": 5},
    "context is text": {"contexts": [{"name": "here", "context": "c"}]},
    "contexts is a mapping": {"contexts": {"here": {"cluster": "c"}}},
    "clusters is text": {"clusters": "c"},
    "cluster is a list": {"cluster": [1]},
    "user is text": {"user": "me"},
    "token with a line break": {"user": {"token": "a\r\nX-Remote-User: admin"}},
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_kubeconfig_is_one_line(tmp_path: Path, what: str) -> None:
    """What is wrong with a kubeconfig is one line, and never quotes a token or a key."""
    config = kubeconfig(tmp_path, "http://127.0.0.1:1", **BROKEN[what])
    with pytest.raises(SettingsError) as caught:
        identity.establish(Settings(kubeconfig=config))
    assert str(caught.value).startswith("kubeconfig")
    assert "\n" not in str(caught.value)
    assert "own-token" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "\x07", "5"])
def test_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    """A file that is no kubeconfig at all, or none, is one line."""
    (tmp_path / "config").write_text(text)
    for path in (tmp_path / "config", tmp_path / "gone", tmp_path):
        with pytest.raises(SettingsError, match=r"^kubeconfig: [^\n]+$"):
            identity.establish(Settings(kubeconfig=str(path)))


# --- TLS --------------------------------------------------------------------------------------------------------------


@needs_openssl
async def test_tls_listener_passes_the_clients_token(certificates: Certificates) -> None:
    """On a TLS listener, which kubectl needs to send its token, the token passes untouched, and large bodies too."""
    tls = DownstreamTLS(cert=certificates.path("server.crt"), key=certificates.path("server.key"))
    async with Apiserver() as upstream, running(upstream.url, tls=tls) as proxy:
        assert proxy.proxy.url.startswith("https://")
        answer = await proxy.ask(request("/api/v1/pods", b"Authorization: Bearer theirs"), tls=certificates.client())
        assert answer.body == SMALL_LIST
        assert upstream.exchanges[0].values(b"authorization") == [b"Bearer theirs"]


@needs_openssl
async def test_tls_upstream(certificates: Certificates) -> None:
    """An https upstream is verified against the CA; with another CA, or none, or another name it is a 502."""
    async with Apiserver(tls=certificates.server()) as upstream:
        for tls, good in (
            (UpstreamTLS(ca=certificates.path("ca.crt")), True),
            (UpstreamTLS(ca=certificates.path("ca.crt"), server_name="api.example"), True),
            (UpstreamTLS(ca=certificates.path("ca.crt"), server_name="evil.example"), False),
            (UpstreamTLS(ca=certificates.path("other-ca.crt")), False),
            (UpstreamTLS(), False),
            (UpstreamTLS(insecure=True), True),
        ):
            async with running(upstream.url, upstream_tls=tls) as proxy:
                answer = await proxy.ask(request())
                assert answer.status == (200 if good else 502), tls
                assert (answer.body == SMALL_LIST) == good


@needs_openssl
@pytest.mark.parametrize("form", ["data", "relative", "settings"])
async def test_client_certificate(certificates: Certificates, tmp_path: Path, form: str) -> None:
    """A client certificate is presented, from a kubeconfig's data or relative paths, or from the settings."""

    def data(name: str) -> str:
        return base64.b64encode(certificates.read(name)).decode()

    read: Callable[[str], str] = data if form == "data" else (lambda name: name)
    suffix = "-data" if form == "data" else ""
    for name in ("ca.crt", "client.crt", "client.key"):
        (tmp_path / name).write_bytes(certificates.read(name))
    async with Apiserver(tls=certificates.server()) as upstream:
        if form == "settings":
            tls = UpstreamTLS(
                ca=certificates.path("ca.crt"),
                cert=certificates.path("client.crt"),
                key=certificates.path("client.key"),
            )
            async with running(upstream.url, upstream_tls=tls, identity="proxy-identity") as proxy:
                answer = await proxy.ask(request("/api/v1/pods", b"Authorization: Bearer theirs"))
                assert answer.body == SMALL_LIST
        else:
            cluster = {"server": upstream.url, f"certificate-authority{suffix}": read("ca.crt")}
            user = {f"client-certificate{suffix}": read("client.crt"), f"client-key{suffix}": read("client.key")}
            await ask_with(kubeconfig(tmp_path, "", cluster=cluster, user=user))
        assert upstream.connections[-1].peer_name == "client"
        assert upstream.exchanges[0].values(b"authorization") == []


@needs_openssl
def test_broken_tls_files_are_one_line(certificates: Certificates, tmp_path: Path) -> None:
    """Files that are missing, not PEM, or do not belong together are one line with the key's path."""
    crt, key, gone = certificates.path("server.crt"), certificates.path("server.key"), str(tmp_path / "gone")
    for cert, private in ((gone, key), (crt, gone), (key, crt), (crt, certificates.path("client.key"))):
        with pytest.raises(SettingsError, match=r"^tls[:.][^\n]*$"):
            identity.listener_tls(DownstreamTLS(cert=cert, key=private))
    for tls in (UpstreamTLS(ca=gone), UpstreamTLS(ca=key)):
        with pytest.raises(SettingsError, match=r"^upstream_tls\.ca: [^\n]*$"):
            identity.establish(Settings(upstream="https://127.0.0.1:1", upstream_tls=tls))
    with pytest.raises(SettingsError, match=r"^upstream_tls: [^\n]*$"):
        identity.establish(Settings(upstream="http://127.0.0.1:1", upstream_tls=UpstreamTLS(insecure=True)))


@needs_openssl
async def test_plain_text_to_a_tls_listener(certificates: Certificates) -> None:
    """A client that speaks plain HTTP, or garbage, to a TLS listener harms nobody else."""
    tls = DownstreamTLS(cert=certificates.path("server.crt"), key=certificates.path("server.key"))
    async with Apiserver() as upstream, running(upstream.url, tls=tls) as proxy:
        async with await proxy.connect() as client:
            await client.send(request())
            await client.until(lambda: client.has_ended)
        answers = await asyncio.gather(*(proxy.ask(request(), tls=certificates.client()) for _ in range(5)))
        assert all(answer.body == SMALL_LIST for answer in answers)
