"""The embedded backend and the proxy as children on free ports."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.bench.children import Child, Children

BACKEND_READY = re.compile(r"^kube-restream backend ready on (http://\S+)$", re.MULTILINE)
PROXY_READY = re.compile(r"^kube-restream ready on (http://\S+) \(admin (http://\S+)\)$", re.MULTILINE)
ANY_PORT = "127.0.0.1:0"
STREAMING, WHOLE = ENCODERS = ("streaming", "whole")
# Ten Lists share one backend process; its usual deadline of 60 s is not what is measured here.
PATIENCE = ("--list-deadline-seconds", "900")


@dataclass(frozen=True, slots=True)
class Server:
    """A child that answers on `url`; `admin` is where a proxy's metrics are."""

    child: Child
    url: str
    admin: str = ""


UNBOUNDED = ("--memory-budget", "1024GiB")
"""The path to compare with has to take what it takes: within the usual budget such Lists are refused."""


async def start_backend(children: Children, *flags: str) -> Server:
    """Start the embedded apiserver. Raises ChildError."""
    child = children.start("backend", sys.executable, "-m", "proxy", "backend", "--listen", ANY_PORT, *flags)
    return Server(child, (await child.line(BACKEND_READY))[1])


async def start_patient(children: Children, encoder: str, *flags: str) -> Server:
    """Start the embedded apiserver with all the time in the world for its Lists. Raises ChildError."""
    return await start_backend(children, "--encoder", encoder, *flags, *PATIENCE)


async def start_stamps(children: Children, *flags: str) -> Server:
    """Start the upstream that stamps its events. Raises ChildError."""
    child = children.start("upstream", sys.executable, "-m", "proxy.bench.stamps", *flags)
    return Server(child, (await child.line(BACKEND_READY))[1])


async def start_proxy(children: Children, upstream: str, mode: str, flags: Sequence[str] = ()) -> Server:
    """Start a proxy that is pinned to one plan. Raises ChildError."""
    told = ["--upstream", upstream, "--listen", ANY_PORT, "--admin-listen", ANY_PORT, "--mode", mode, *flags]
    if mode == "buffered":
        told += UNBOUNDED
    child = children.start(f"{mode} proxy", sys.executable, "-m", "proxy", "serve", *told, "--no-access-log")
    ready = await child.line(PROXY_READY)
    return Server(child, ready[1], ready[2])
