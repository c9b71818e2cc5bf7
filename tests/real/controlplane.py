"""A kube-apiserver and its etcd, as children on 127.0.0.1, with the flags that envtest gives them."""

import base64
import http.client
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from proxy.bench.children import Child, Children
from tests.real.server import STRANGER, Server, Token

VARIABLE = "KUBEBUILDER_ASSETS"
PROGRAMS = ("etcd", "kube-apiserver")
HOST = "127.0.0.1"

ETCD_SECONDS = 60.0
APISERVER_SECONDS = 180.0
POLL_SECONDS = 0.1
LAST_LINES = 15
ATTEMPTS = 3
"""How often to try other ports where somebody took ours between our look and the child's."""

# SEC 1's ECPrivateKey for P-256, around the 32 bytes of the key. The public key is optional, and Go works it out.
EC_KEY_HEAD = bytes.fromhex("30310201010420")
EC_KEY_TAIL = bytes.fromhex("a00a06082a8648ce3d030107")


class ControlPlaneError(Exception):
    """The control plane did not come up; the text ends with what the program printed last."""


def missing_programs(folder: Path) -> list[str]:
    """Return which of the programs are not there, or are not executable."""
    return [name for name in PROGRAMS if not (folder / name).is_file() or not os.access(folder / name, os.X_OK)]


def start(children: Children, folder: Path) -> Server:
    """Start both programs from `folder` and wait until the apiserver is ready. Raises ControlPlaneError."""
    etcd_url = _start_etcd(children, folder / "etcd")
    return _start_apiserver(children, folder / "kube-apiserver", etcd_url)


def _start_etcd(children: Children, program: Path) -> str:
    # Nobody misses the data after a crash, and many a disk is too slow for a sync at each of our writes.
    asked = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=60, check=False)
    unsafe = ["--unsafe-no-fsync=true"] if "unsafe-no-fsync" in asked.stdout + asked.stderr else []
    for attempt in range(ATTEMPTS):
        client_port, peer_port = free_ports(2)
        url, peer_url = f"http://{HOST}:{client_port}", f"http://{HOST}:{peer_port}"
        data = children.directory / f"etcd-data-{attempt}"
        data.mkdir(mode=0o700)
        child = children.start(
            "etcd",
            str(program),
            f"--data-dir={data}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            *unsafe,
        )
        if _is_up(child, partial(_etcd_health, client_port), ETCD_SECONDS):
            return url
    raise ControlPlaneError(f"etcd found no free port in {ATTEMPTS} attempts")


def _start_apiserver(children: Children, program: Path, etcd_url: str) -> Server:
    home = children.directory / "apiserver"
    home.mkdir()
    token, stranger = Token(secrets.token_hex(16)), Token(secrets.token_hex(16))
    tokens = home / "tokens.csv"
    tokens.write_text(f'{token},tester,1,"system:masters"\n{stranger},{STRANGER},2\n', encoding="ascii")
    key = home / "service-accounts.key"
    key.write_text(new_ec_key(), encoding="ascii")
    for _ in range(ATTEMPTS):
        server = Server(HOST, free_ports(1)[0], token, stranger)
        child = children.start(
            "kube-apiserver",
            str(program),
            f"--etcd-servers={etcd_url}",
            f"--bind-address={HOST}",
            f"--secure-port={server.port}",
            # Left out, it is looked for on the default route, which not every machine has; and endpoints of the
            # Service `kubernetes` must not be on loopback, so none are kept.
            f"--advertise-address={HOST}",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={home}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--service-account-issuer={server.url}/",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            # No controller makes the ServiceAccounts that this plugin asks of every Pod.
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
        )
        if _is_up(child, partial(_readyz, server), APISERVER_SECONDS):
            return server
    raise ControlPlaneError(f"kube-apiserver found no free port in {ATTEMPTS} attempts")


def _is_up(child: Child, ask: Callable[[], str], seconds: float) -> bool:
    """Wait until `ask` returns nothing to complain of; False where another process has taken the port."""
    deadline = time.monotonic() + seconds
    complaint = "never asked"
    while child.is_alive and time.monotonic() < deadline:
        complaint = ask()
        if not complaint and child.is_alive:  # else it was another process that answered
            return True
        time.sleep(POLL_SECONDS)
    printed = child.output()
    if not child.is_alive and "address already in use" in printed:
        return False
    exit_code = child.process.returncode
    how = f"was not ready within {seconds:g} s ({complaint})" if exit_code is None else f"ended with {exit_code}"
    last = "\n".join(printed.splitlines()[-LAST_LINES:])
    raise ControlPlaneError(f"{child.name} {how}; it printed last:\n{last}")


def _etcd_health(port: int) -> str:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
    return "" if answer.status == 200 and b'"true"' in body else f"/health: {answer.status} {body!r}"


def _readyz(server: Server) -> str:
    try:
        with server.caller(timeout=5) as caller:
            status, body = caller.call("GET", "/readyz?verbose")
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    return "" if status == 200 else f"/readyz: {status} {body.decode(errors='replace')}"


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now, all different."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def new_ec_key() -> str:
    """Make a private key for signing service account tokens, so that none lies in the repository."""
    number = bytes([secrets.randbelow(0x7F) + 1]) + secrets.token_bytes(31)  # surely between 1 and the group's order
    body = base64.encodebytes(EC_KEY_HEAD + number + EC_KEY_TAIL).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n"
