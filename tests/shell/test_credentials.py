"""Credentials that are obtained: exec plugins and OIDC, on both loops."""

import asyncio
import base64
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from proxy import credentials as renewing
from proxy.settings import Paging
from tests.fakes.apiserver import SMALL_LIST, Apiserver, Exchange, response
from tests.fakes.certificates import Certificates, make_certificates, needs_openssl
from tests.fakes.kubeconfigs import kubeconfig
from tests.fakes.paged import PagedList, make_items
from tests.fakes.running import Running, running
from tests.fakes.wire import request

LOOPS = ("asyncio", "uvloop")
V1 = "client.authentication.k8s.io/v1"
SCRIPT = """#!/bin/sh
echo "$KUBERNETES_EXEC_INFO $EXTRA $*" >> "$0.runs"
echo planted-on-stderr >&2
exec cat "$0.json"
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make short-lived certificates, once."""
    made = make_certificates(tmp_path_factory.mktemp("certificates"))
    made.issue("alice", "/CN=alice")
    return made


class Plugin:
    """An exec plugin that prints what it is told to, and counts its runs."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "plugin"
        self._file.write_text(SCRIPT)
        self._file.chmod(self._file.stat().st_mode | stat.S_IXUSR)

    def prints(self, **status: str) -> None:
        """Print this status from now on."""
        self.prints_raw(json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status}))

    def prints_raw(self, text: str) -> None:
        """Print this from now on."""
        Path(f"{self._file}.json").write_text(text)

    def fails(self) -> None:
        """Fail from now on."""
        Path(f"{self._file}.json").unlink()

    @property
    def runs(self) -> list[str]:
        """What it was told in each run."""
        runs = Path(f"{self._file}.runs")
        return runs.read_text().splitlines() if runs.exists() else []

    def user(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return a kubeconfig's user."""
        return {"exec": {"apiVersion": V1, "command": "./plugin", "interactiveMode": "Never", **changes}}


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    """Return a plugin beside the kubeconfig."""
    return Plugin(tmp_path)


async def ask(proxy: Running, status: int = 200) -> bytes:
    """Ask once; return the body."""
    answer = await proxy.ask(request("/api/v1/nodes/a"))
    assert answer.status == status, answer.body
    return answer.body


async def test_exec_plugin_runs_once(tmp_path: Path, plugin: Plugin) -> None:
    """Requests that come together wait for one run, whose token holds for all that follow."""
    plugin.prints(token="from-plugin")
    async with Apiserver() as upstream:
        config = kubeconfig(
            tmp_path, upstream.url, user=plugin.user(args=["a", "b"], env=[{"name": "EXTRA", "value": "e"}])
        )
        async with running(None, kubeconfig=config) as proxy:  # type: ignore[arg-type]
            await asyncio.gather(*(ask(proxy) for _ in range(5)))
            assert (await proxy.ask(request())).body == SMALL_LIST
        assert {tuple(exchange.values(b"authorization")) for exchange in upstream.exchanges} == {
            (b"Bearer from-plugin",)
        }
    [run] = plugin.runs
    info, extra, *arguments = run.rsplit(" ", 3)
    assert json.loads(info) == {"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": False}}
    assert (extra, arguments) == ("e", ["a", "b"])


async def test_exec_plugin_is_told_of_the_cluster(tmp_path: Path, plugin: Plugin) -> None:
    """With provideClusterInfo the plugin learns where the cluster is, and what an extension says to it."""
    plugin.prints(token="x")
    async with Apiserver() as upstream:
        extensions = [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}]
        cluster = {"server": upstream.url, "extensions": extensions}
        config = kubeconfig(tmp_path, "", cluster=cluster, user=plugin.user(provideClusterInfo=True))
        async with running(None, kubeconfig=config) as proxy:  # type: ignore[arg-type]
            await ask(proxy)
        told = json.loads(plugin.runs[0].strip())["spec"]["cluster"]
        assert told == {"server": upstream.url, "config": {"audience": "a"}}


def in_seconds(seconds: float) -> str:
    """Return a time as a plugin prints it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_expired_credential_is_renewed(tmp_path: Path, plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential is used to its end, then the plugin runs again."""
    clock = [datetime.now(UTC)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return clock[0]

    monkeypatch.setattr(renewing, "datetime", Clock)
    monkeypatch.setattr(renewing, "PAUSE_SECONDS", 0.0)
    plugin.prints(token="one", expirationTimestamp=in_seconds(600))
    async with Apiserver() as upstream:
        async with running(None, kubeconfig=kubeconfig(tmp_path, upstream.url, user=plugin.user())) as proxy:  # type: ignore[arg-type]
            await ask(proxy)
            plugin.prints(token="two")
            await ask(proxy)
            clock[0] += timedelta(seconds=601)
            await ask(proxy)
        seen = [exchange.values(b"authorization")[0] for exchange in upstream.exchanges]
        assert seen == [b"Bearer one", b"Bearer one", b"Bearer two"]


async def test_refused_credential_is_renewed(tmp_path: Path, plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a 401, which the client sees, the next request has a new credential; if there is one."""
    monkeypatch.setattr(renewing, "PAUSE_SECONDS", 0.0)

    async def judge(exchange: Exchange) -> None:
        good = exchange.values(b"authorization") == [b"Bearer new"]
        await exchange.send(response(status=b"200 OK" if good else b"401 Unauthorized"))

    plugin.prints(token="old")
    async with (
        Apiserver(judge) as upstream,
        running(None, kubeconfig=kubeconfig(tmp_path, upstream.url, user=plugin.user())) as proxy,  # type: ignore[arg-type]
    ):
        await ask(proxy, 401)
        plugin.fails()
        await ask(proxy, 401)
        plugin.prints(token="new")
        await ask(proxy)
        await ask(proxy)
    assert len(plugin.runs) == 3


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "planted-output",
        "{}",
        json.dumps({"apiVersion": V1, "kind": "ExecCredential"}),
        json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {}}),
        json.dumps({"apiVersion": V1, "kind": "Status", "status": {"token": "planted-output"}}),
        json.dumps({"apiVersion": f"{V1}beta1", "kind": "ExecCredential", "status": {"token": "planted-output"}}),
        json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "planted-output\r\nX: y"}}),
        json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"clientKeyData": "planted-output"}}),
        json.dumps(
            {"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "x", "expirationTimestamp": "soon"}}
        ),
        None,
    ],
)
async def test_broken_plugin_is_a_502(tmp_path: Path, plugin: Plugin, printed: str | None) -> None:
    """What a plugin prints is never quoted; it is not run again for every request, and nothing reaches the upstream."""
    if printed is not None:
        plugin.prints_raw(printed)
    async with Apiserver() as upstream:
        async with running(None, kubeconfig=kubeconfig(tmp_path, upstream.url, user=plugin.user())) as proxy:  # type: ignore[arg-type]
            for _ in range(3):
                body = await ask(proxy, 502)
                assert b"exec plugin" in body
                assert b"planted" not in body
            assert (await proxy.ask_admin("/readyz")).status == 503
        assert upstream.connections == []
    assert len(plugin.runs) == 1


@needs_openssl
async def test_client_certificate_of_a_plugin(
    tmp_path: Path, plugin: Plugin, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that a plugin prints is shown; another one retires the connections that have shown it."""
    monkeypatch.setattr(renewing, "PAUSE_SECONDS", 0.0)

    def print_pair(name: str) -> None:
        cert, key = (certificates.read(f"{name}.{kind}").decode() for kind in ("crt", "key"))
        plugin.prints(clientCertificateData=cert, clientKeyData=key)

    async def judge(exchange: Exchange) -> None:
        good = exchange.connection.peer_name == "alice"
        await exchange.send(response(status=b"200 OK" if good else b"401 Unauthorized"))

    async with Apiserver(judge, tls=certificates.server()) as upstream:
        cluster = {"server": upstream.url, "certificate-authority": certificates.path("ca.crt")}
        config = kubeconfig(tmp_path, "", cluster=cluster, user=plugin.user())
        print_pair("client")
        async with running(None, kubeconfig=config) as proxy:  # type: ignore[arg-type]
            await ask(proxy, 401)
            print_pair("alice")
            await ask(proxy)
            assert upstream.exchanges[-1].values(b"authorization") == []


async def test_each_page_has_the_credential_of_its_time(tmp_path: Path) -> None:
    """A token that is rotated while a List is read is used from the next page on."""
    token = tmp_path / "token"
    token.write_text("0")
    paged = PagedList(items=make_items(9))

    async def rotate(exchange: Exchange) -> None:
        token.write_text("0" * (len(paged.asked) + 2))
        await paged(exchange)

    changes: dict[str, Any] = {"identity": "proxy-identity", "upstream_token_file": str(token), "mode": "paged"}
    async with Apiserver(rotate) as upstream, running(upstream.url, paging=Paging(page_items=3), **changes) as proxy:
        assert (await proxy.ask(request())).body == paged.body
        seen = [exchange.values(b"authorization")[0] for exchange in upstream.exchanges]
        assert seen == [b"Bearer " + b"0" * count for count in (1, 2, 3)]


# --- OIDC -------------------------------------------------------------------------------------------------------------


def id_token(name: str, seconds: float) -> str:
    """Return an ID token, as far as anybody here looks at it."""
    claims = json.dumps({"sub": name, "exp": datetime.now(UTC).timestamp() + seconds}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


class Issuer(Apiserver):
    """An OIDC issuer that gives one token for one refresh token."""

    def __init__(self, certificates: Certificates) -> None:
        super().__init__(self._answer, tls=certificates.server())
        self.given = id_token("new", 600)
        self.forms: list[dict[str, list[str]]] = []

    async def _answer(self, exchange: Exchange) -> None:
        body = await exchange.body()
        if exchange.target == b"/realm/.well-known/openid-configuration":
            await exchange.send(response(json.dumps({"token_endpoint": f"{self.url}/token"}).encode()))
            return
        self.forms.append(parse_qs(body.decode()))
        if self.forms[-1]["refresh_token"] != ["planted-refresh"]:
            await exchange.send(response(b"planted-answer", status=b"400 Bad Request"))
            return
        await exchange.send(response(json.dumps({"id_token": self.given, "refresh_token": "next"}).encode()))


def oidc_user(issuer: Issuer, certificates: Certificates, **changes: str) -> dict[str, Any]:
    """Return a kubeconfig's user."""
    config = {
        "idp-issuer-url": f"{issuer.url}/realm",
        "idp-certificate-authority": certificates.path("ca.crt"),
        "client-id": "kubernetes",
        "client-secret": "planted-secret",
        "refresh-token": "planted-refresh",
        **changes,
    }
    return {"auth-provider": {"name": "oidc", "config": config}}


@needs_openssl
async def test_oidc(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ID token is used to its end, then the issuer gives the next one; a refusal is a 502 that quotes nothing."""
    monkeypatch.setattr(renewing, "PAUSE_SECONDS", 0.0)
    async with Issuer(certificates) as issuer, Apiserver() as upstream:
        for old, expected in ((id_token("old", 600), "old"), (id_token("old", 5), "new"), ("", "new")):
            user = oidc_user(issuer, certificates, **{"id-token": old})
            async with running(None, kubeconfig=kubeconfig(tmp_path, upstream.url, user=user)) as proxy:  # type: ignore[arg-type]
                await ask(proxy)
                [authorization] = upstream.exchanges[-1].values(b"authorization")
                assert authorization.decode() == f"Bearer {old if expected == 'old' else issuer.given}"
        assert len(issuer.forms) == 2
        assert issuer.forms[0]["grant_type"] == ["refresh_token"]
        for changes in ({"refresh-token": "other"}, {"idp-certificate-authority": certificates.path("other-ca.crt")}):
            user = oidc_user(issuer, certificates, **changes)
            async with running(None, kubeconfig=kubeconfig(tmp_path, upstream.url, user=user)) as proxy:  # type: ignore[arg-type]
                assert b"planted" not in await ask(proxy, 502)
