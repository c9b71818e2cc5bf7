"""The arms of the benchmark: no proxy, ours in each mode, and what people would use instead."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from proxy import __version__
from proxy.bench import kubectl
from proxy.bench.children import POLL_SECONDS, READY_SECONDS, Child, Children
from proxy.bench.errors import BenchError, ChildError
from proxy.bench.screen import Screen
from proxy.bench.servers import Server, start_proxy
from proxy.core.planning import MODES

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
# Buffering and its limits as they come; what people set is HTTP/1.1 and keep-alive towards the upstream. A connection
# ends after 1,000 requests unless told otherwise, but here one has to last as long as those of the other arms; a worker
# has 512 connections unless told otherwise, of which a thousand watches take two each.
NGINX_CONFIG = """\
{user}
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    upstream apiserver {{
        server {upstream};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://apiserver;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering on;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""
NAMES = ("direct", "kubectl proxy", "haproxy", "nginx", *MODES)
NO_ADVICE = ""
SYSTEM_PATH = "/usr/sbin:/usr/local/sbin"

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
    """Return all arms in the order of NAMES, also those that are not installed here."""
    ours = [Arm(mode, partial(start_proxy, mode=mode), __version__) for mode in MODES]
    return [Arm("direct", _no_proxy, ""), _kubectl_arm(), _haproxy_arm(), _nginx_arm(), *ours]


def available(names: Sequence[str], screen: Screen) -> list[Arm]:
    """Return the arms of these names that can be had; say what is missing. Raises BenchError."""
    return announced([arm for arm in arms() if arm.name in names], screen)


def announced(chosen: Sequence[Arm], screen: Screen) -> list[Arm]:
    """Return those that are not missing, and say what the others lack. Raises BenchError for none."""
    for arm in chosen:
        if arm.missing:
            screen.say(f"{arm.name} is left out; {arm.missing}")
    if found := [arm for arm in chosen if not arm.missing]:
        return found
    raise BenchError("none of the chosen arms can be had")


async def _no_proxy(children: Children, upstream: str) -> None:
    del children, upstream


def _kubectl_arm() -> Arm:
    name, path = "kubectl proxy", kubectl.find()
    if path is None:
        return Arm(name, _no_proxy, "", "install kubectl: https://kubernetes.io/docs/tasks/tools/")
    version = re.search(r"v\d+\.\d+\.\d+", _first_line(path, "version", "--client"))
    return Arm(name, partial(start_kubectl, path), version[0] if version else "")


async def start_kubectl(path: Path, children: Children, upstream: str, kubeconfig: Path | None = None) -> Server:
    """Start kubectl proxy with a kubeconfig, or with one that has the upstream in it and no credential."""
    kubeconfig = kubeconfig or kubectl.write_kubeconfig(children.directory, upstream)
    child = kubectl.start(children, path, "proxy", "--port=0", f"--server={upstream}", kubeconfig=kubeconfig)
    return Server(child, f"http://{(await child.line(KUBECTL_READY))[1]}")


def _haproxy_arm() -> Arm:
    return _installed_arm("haproxy", _start_haproxy, "install haproxy: apt-get install haproxy")


def _nginx_arm() -> Arm:
    return _installed_arm("nginx", _start_nginx, "install nginx: apt-get install nginx-light")


def _installed_arm(name: str, start: Callable[[Path, Children, str], Awaitable[Server]], advice: str) -> Arm:
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        return Arm(name, _no_proxy, "", advice)
    version = re.search(r"\d+\.\d+\.\d+", _first_line(Path(found), "-v"))
    return Arm(name, partial(start, Path(found)), version[0] if version else "")


async def _start_haproxy(path: Path, children: Children, upstream: str) -> Server:
    port = _free_port()
    config = children.directory / "haproxy.cfg"
    config.write_text(HAPROXY_CONFIG.format(listen=f"127.0.0.1:{port}", upstream=urlsplit(upstream).netloc))
    return await _accepting(children.start("haproxy", str(path), "-db", "-f", str(config)), port)


async def _start_nginx(path: Path, children: Children, upstream: str) -> Server:
    port, directory = _free_port(), children.directory
    # Root's workers would be somebody who may not enter our directory, and a large response ends at its first spill.
    user = "user root;" if os.geteuid() == 0 else ""
    text = NGINX_CONFIG.format(
        listen=f"127.0.0.1:{port}", upstream=urlsplit(upstream).netloc, directory=directory, user=user
    )
    config = directory / "nginx.conf"
    config.write_text(text)
    command = (str(path), "-p", str(directory), "-e", "stderr", "-c", str(config))
    return await _accepting(children.start("nginx", *command), port)


async def _accepting(child: Child, port: int) -> Server:
    """Wait until a child accepts connections that does not say when. Raises ChildError."""
    deadline = time.monotonic() + READY_SECONDS
    while not await _accepts(port):
        child.check()
        if time.monotonic() > deadline:
            raise ChildError(f"{child.name} was not ready within {READY_SECONDS:g} s")
        await asyncio.sleep(POLL_SECONDS)
    return Server(child, f"http://127.0.0.1:{port}")


def _free_port() -> int:
    """Return a port that was free just now: peers do not tell which one they got."""
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
    return ((done.stdout or done.stderr).splitlines() or [""])[0]
