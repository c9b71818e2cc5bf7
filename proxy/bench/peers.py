"""The arms of the benchmark: no proxy, ours in each mode, and what people would use instead."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from proxy import __version__
from proxy.bench import kubectl
from proxy.bench.children import POLL_SECONDS, READY_SECONDS, Children
from proxy.bench.errors import ChildError
from proxy.bench.servers import Server, start_proxy

KUBECTL_READY = re.compile(r"^Starting to serve on (127\.0\.0\.1:\d+)$", re.MULTILINE)
HAPROXY_CONFIG = """\
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend listener
    bind {listen}
    default_backend apiserver
backend apiserver
    server apiserver {upstream}
"""
NO_ADVICE = ""

Start = Callable[[Children, str], Awaitable[Server | None]]
"""Starts an arm in front of an upstream; None where there is no process between."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way from the client to the backend; `missing` says what to install where it cannot be had."""

    name: str
    start: Start
    version: str
    missing: str = NO_ADVICE


def arms() -> list[Arm]:
    """Return all arms, also those that are not installed here."""
    ours = [Arm(mode, partial(start_proxy, mode=mode), __version__) for mode in ("raw", "streamed", "buffered")]
    return [Arm("direct", _no_proxy, ""), _kubectl_arm(), _haproxy_arm(), *ours]


async def _no_proxy(children: Children, upstream: str) -> None:
    del children, upstream


def _kubectl_arm() -> Arm:
    name, path = "kubectl proxy", kubectl.find()
    if path is None:
        return Arm(name, _no_proxy, "", "install kubectl: https://kubernetes.io/docs/tasks/tools/")
    version = re.search(r"v\d+\.\d+\.\d+", _first_line(path, "version", "--client"))
    return Arm(name, partial(_start_kubectl, path), version[0] if version else "")


async def _start_kubectl(path: Path, children: Children, upstream: str) -> Server:
    kubeconfig = kubectl.write_kubeconfig(children.directory, upstream)
    child = kubectl.start(children, path, "proxy", "--port=0", kubeconfig=kubeconfig)
    return Server(child, f"http://{(await child.line(KUBECTL_READY))[1]}")


def _haproxy_arm() -> Arm:
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        return Arm("haproxy", _no_proxy, "", "install haproxy: apt-get install haproxy")
    version = re.search(r"\d+\.\d+\.\d+", _first_line(Path(found), "-v"))
    return Arm("haproxy", partial(_start_haproxy, Path(found)), version[0] if version else "")


async def _start_haproxy(path: Path, children: Children, upstream: str) -> Server:
    port = _free_port()
    config = children.directory / "haproxy.cfg"
    config.write_text(HAPROXY_CONFIG.format(listen=f"127.0.0.1:{port}", upstream=urlsplit(upstream).netloc))
    child = children.start("haproxy", str(path), "-db", "-f", str(config))
    deadline = time.monotonic() + READY_SECONDS
    while not await _accepts(port):
        child.check()
        if time.monotonic() > deadline:
            raise ChildError(f"haproxy was not ready within {READY_SECONDS:g} s")
        await asyncio.sleep(POLL_SECONDS)
    return Server(child, f"http://127.0.0.1:{port}")


def _free_port() -> int:
    """Return a port that was free just now: haproxy does not tell which one it got."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _first_line(path: Path, *arguments: str) -> str:
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False, timeout=READY_SECONDS)
    return (done.stdout.splitlines() or [""])[0]
