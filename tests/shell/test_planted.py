"""Planted credentials, looked for in everything that a proxy says: its log, metrics, probes and its own answers."""

import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.apiserver import Apiserver, Exchange, response
from tests.fakes.certificates import Certificates, make_certificates, needs_openssl
from tests.fakes.child import Child, serving
from tests.fakes.kubeconfigs import kubeconfig
from tests.fakes.wire import Client, request

pytestmark = needs_openssl
V1 = "client.authentication.k8s.io/v1"
CREDENTIAL = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "planted-exec"}})
BROKEN = b'{"kind":"SecretList","items":[{"data":"cGxhbnRlZA"},{"data":planted-item}]}'
INBOUND = (
    b"Authorization: Bearer planted-inbound",
    b"Cookie: session=planted-cookie",
    b"Impersonate-User: planted-user",
    b"X-Remote-User: planted-remote",
    b"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.planted-protocol",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mode finds its files."""

    folder: Path
    certificates: Certificates
    upstream: str

    def kubeconfig(self, user: object) -> tuple[str, ...]:
        """Return the flags for a kubeconfig with this user."""
        cluster = {"server": self.upstream, "certificate-authority": self.certificates.path("ca.crt")}
        return ("--kubeconfig", kubeconfig(self.folder, "", cluster=cluster, user=user))

    def plugin(self, text: str) -> dict[str, object]:
        """Return a user with an exec plugin."""
        file = self.folder / "plugin"
        file.write_text(f"#!/bin/sh\necho planted-stderr >&2\n{text}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        environment = [{"name": "SECRET", "value": "planted-environment"}]
        return {"exec": {"apiVersion": V1, "command": "./plugin", "args": ["planted-argument"], "env": environment}}

    def token_file(self) -> str:
        """Return a file with a token."""
        file = self.folder / "token"
        file.write_text("planted-file")
        return str(file)

    def pair(self, prefix: str, name: str) -> tuple[str, ...]:
        """Return the flags for a certificate and its key."""
        crt, key = (self.certificates.path(f"{name}.{kind}") for kind in ("crt", "key"))
        return (f"--{prefix}-cert", crt, f"--{prefix}-key", key)


MODES: dict[str, Callable[[Place], tuple[str, ...]]] = {
    "pass-through": lambda place: ("--upstream-insecure", *place.pair("tls", "server")),
    "token": lambda place: place.kubeconfig({"token": "planted-token"}),
    "password": lambda place: place.kubeconfig({"username": "u", "password": "planted-password"}),
    "exec": lambda place: place.kubeconfig(place.plugin(f"echo '{CREDENTIAL}'")),
    "exec that fails": lambda place: place.kubeconfig(place.plugin("echo planted-output; exit 3")),
    "token file, two workers": lambda place: (
        *("--upstream-insecure", "--identity", "proxy-identity", "--upstream-token-file", place.token_file()),
        *("--workers", "2"),
    ),
    "front-proxy": lambda place: (
        *("--identity", "front-proxy", "--upstream-insecure", *place.pair("upstream", "client")),
        *(*place.pair("tls", "server"), "--tls-client-ca", place.certificates.path("ca.crt")),
    ),
}


async def play(exchange: Exchange) -> None:
    """Refuse, break off, or answer, by what is asked for."""
    await exchange.body()
    if b"refused" in exchange.target:
        await exchange.send(response(status=b"401 Unauthorized"))
    elif b"secrets" in exchange.target:
        await exchange.send(response(BROKEN))
    elif b"broken" in exchange.target:
        await exchange.send(b"planted-garbage\r\n\r\n")
        exchange.close()
    else:
        await exchange.send(response(b"{}"))


async def listen_to(child: Child, certificates: Certificates) -> bytes:
    """Ask for all that can go well or wrong; return what the proxy has said of its own."""
    said = b""
    is_tls = child.url.startswith("https")
    pair = certificates.path("client.crt"), certificates.path("client.key")
    for target, method, host in (
        ("/version?token=planted-query", "GET", b"localhost"),
        ("/api/v1/secrets?continue=planted-continue", "GET", b"localhost"),
        ("/refused", "GET", b"localhost"),
        ("/broken", "GET", b"localhost"),
        ("/api/v1/pods", "GET", b"evil.example"),
        ("/api/v1/namespaces/a/pods/b/exec?command=planted-command", "POST", b"localhost"),
        ("http://u:planted-url@h/version", "GET", b"localhost"),
    ):
        context = certificates.client(pair) if is_tls else None
        async with await Client.connect(*child.address, tls=context) as client:
            answer = await client.ask(request(target, *INBOUND, method=method, host=host))
            said += answer.body + b"".join(b"%s: %s\n" % line for line in answer.lines)
    async with await Client.connect(*child.address, tls=certificates.client(pair) if is_tls else None) as client:
        await client.send(b"GET / HTTP/1.1\r\nAuthorization: planted-malformed\r\nBroken\r\n\r\n")
        said += await client.read_rest()
    for path in ("/metrics", "/readyz", "/healthz"):
        said += (await child.ask_admin(path)).body
    return said


@pytest.mark.parametrize("mode", MODES)
async def test_no_credential_is_told(tmp_path: Path, mode: str) -> None:
    """Nothing that was planted is in an answer of the proxy's own, a metric, a probe, or a line that it prints."""
    certificates = make_certificates(tmp_path)
    certificates.issue("client", "/O=dev/CN=alice")
    async with Apiserver(play, tls=certificates.server()) as upstream:
        flags = MODES[mode](Place(tmp_path, certificates, upstream.url))
        async with serving(upstream.url, "--mode", "buffered", *flags) as child:
            said = await listen_to(child, certificates)
            code, output, errors = await child.stop()
        assert code == 0
        said += output.encode() + errors.encode()
    assert said.count(b'"path":') == 7
    assert b"planted" not in said
    assert b"cGxhbnRlZA" not in said
    assert b"BEGIN" not in said
    if mode not in ("pass-through", "front-proxy"):
        sent = b"".join(exchange.head for exchange in upstream.exchanges)
        assert not any(line.partition(b": ")[2] in sent for line in INBOUND if not line.startswith(b"Cookie"))
