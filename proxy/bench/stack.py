"""What one measurement runs on: a backend, and an arm in front of it, all fresh.

What an allocator keeps depends on what it was asked for before, so nothing is used twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from proxy.bench.arms import Arm
from proxy.bench.children import Children
from proxy.bench.errors import BenchError, LoadError
from proxy.bench.load import Door, fetch
from proxy.bench.sampling import process_tree
from proxy.bench.servers import Server

SMALL_GET = "/version"
# What a proxy still has to do when the last byte is out (freeing, logging) is its cost too.
AFTERWARDS_SECONDS = 0.2
IDLE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Stack:
    """The processes of one measurement: the proxy of `direct` is none, nor is a backend that others run."""

    arm: str
    backend: Server | None
    proxy: Server | None
    origin: str | Door

    @property
    def door(self) -> str | Door:
        """Return where clients go."""
        return self.proxy.url if self.proxy else self.origin

    @property
    def servers(self) -> dict[str, Server]:
        """Return the servers by what they are."""
        return {name: server for name, server in (("backend", self.backend), ("proxy", self.proxy)) if server}

    @property
    def pids(self) -> dict[str, list[int]]:
        """Return all processes by what they are."""
        return {name: process_tree(server.child.pid) for name, server in self.servers.items()}


@asynccontextmanager
async def started(children: Children, arm: Arm, backend: Server) -> AsyncIterator[Stack]:
    """Start an arm in front of a backend, and end both. Raises BenchError."""
    stack = Stack(arm.name, backend, await arm.start(children, backend.url), backend.url)
    async with running(children, stack):
        yield stack


@asynccontextmanager
async def running(children: Children, stack: Stack) -> AsyncIterator[None]:
    """Let servers do once what is only done once, and stop them in the end. Raises BenchError."""
    try:
        await fetch(stack.door, SMALL_GET)
        yield
    except LoadError as error:
        # Who has just lost a connection may need a moment to be dead.
        await asyncio.sleep(AFTERWARDS_SECONDS)
        children.check()
        raise BenchError(f"{stack.arm}: {error}") from None
    finally:
        for server in stack.servers.values():
            children.stop(server.child)
