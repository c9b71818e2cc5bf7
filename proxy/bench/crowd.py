"""Clients that list again and again, in a process of their own: what they do with bytes delays nobody else's.

Run as ``python -m proxy.bench.crowd URL TARGET CLIENTS`` until it is told to end.
"""

from __future__ import annotations

import asyncio
import re
import sys

import uvloop

from proxy.bench.children import Child, Children
from proxy.bench.errors import LoadError
from proxy.bench.load import Connection

LISTING = "all are listing"
READY = re.compile(f"^{LISTING}$", re.MULTILINE)
DONE = re.compile(r"^a List of (\d+) bytes$", re.MULTILINE)


async def gathered(children: Children, url: str, target: str, clients: int) -> Child:
    """Start a crowd, and wait until each client is in the middle of its first List. Raises ChildError."""
    child = children.start("crowd", sys.executable, "-m", "proxy.bench.crowd", url, target, str(clients))
    await child.line(READY)
    return child


def moved(child: Child) -> int:
    """Return how many bytes the crowd's finished Lists have had so far."""
    return sum(map(int, DONE.findall(child.output())))


async def main(url: str, target: str, clients: int) -> None:
    """List for ever. Raises LoadError."""
    begun: set[int] = set()

    def begin(number: int) -> None:
        if number not in begun:
            begun.add(number)
            if len(begun) == clients:
                print(LISTING, flush=True)

    async def keep_listing(number: int) -> None:
        connection = await Connection.open(url)
        while True:
            transfer = await connection.get(target, lambda _: begin(number))
            if transfer.status != 200:
                raise LoadError(f"{target} answered {transfer.status}")
            print(f"a List of {transfer.size} bytes", flush=True)

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(keep_listing(number))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
