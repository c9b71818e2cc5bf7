"""The upstream of all cells: each resource is the List of one cell, with its fault; discovery tells of all of them."""

import asyncio
import json
from collections.abc import Iterable

from tests.fakes.apiserver import Exchange, cut, response
from tests.fakes.paged import Page, PagedList, status
from tests.faults.cells import PLANS, Cell
from tests.faults.messages import Step

PAUSE_SECONDS = 0.01
"""For what was sent before a fault to be read and passed on. No verdict depends on that it is."""

TRICKLE_PIECES = 8


class Upstream:
    """A script for `tests.fakes.apiserver.Apiserver`. `under_way` counts the requests that are being answered."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.under_way = 0
        self._cells: dict[str, Cell] = {}
        self._lists: dict[str, PagedList] = {}
        for cell in cells:
            self.add(cell)

    def add(self, cell: Cell) -> None:
        """Serve a cell's List as if nobody had asked for it yet."""
        self._cells[cell.resource] = cell
        served = self._lists[cell.resource] = cell.served()
        has_befallen = False

        async def befall(exchange: Exchange, page: Page) -> Page | None:
            nonlocal has_befallen
            if has_befallen and cell.plan.once:
                return page
            has_befallen = True
            await play(exchange, cell.steps(page))
            return None

        served.faults[cell.plan.page] = befall

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        self.under_way += 1
        try:
            path = exchange.target.partition(b"?")[0].decode()
            served = self._lists.get(path.rpartition("/")[2])
            if served is not None:
                await served(exchange)
            else:
                await exchange.send(self._discover(path))
        finally:
            self.under_way -= 1

    def _discover(self, path: str) -> bytes:
        groups = sorted({plan.group for plan in PLANS})
        content: dict[str, object]
        if path == "/api":
            content = {"kind": "APIVersions", "versions": ["v1"]}
        elif path == "/apis":
            content = {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(map(_group, groups))}
        elif path == "/api/v1":
            content = {"kind": "APIResourceList", "groupVersion": "v1", "resources": []}
        elif (group := path.split("/")[2:3]) and group[0] in groups:
            resources = [_resource(cell) for cell in self._cells.values() if cell.plan.group == group[0]]
            content = {"kind": "APIResourceList", "groupVersion": f"{group[0]}/v1", "resources": resources}
        else:
            return status(b"404 Not Found", b"no such thing")
        return response(json.dumps(content).encode())


async def play(exchange: Exchange, steps: Iterable[Step]) -> None:
    """Take one step after the other."""
    for step in steps:
        match step.kind:
            case "send":
                await exchange.send(step.data)
            case "trickle":
                for piece in cut(step.data, -(-len(step.data) // TRICKLE_PIECES)):
                    await exchange.send(piece)
                    await asyncio.sleep(PAUSE_SECONDS)
            case "pause":
                await asyncio.sleep(PAUSE_SECONDS)
            case "close":
                exchange.close()
            case "reset":
                exchange.reset()
            case "stall":
                await exchange.wait_closed()


def _group(name: str) -> dict[str, object]:
    version = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "versions": [version], "preferredVersion": version}


def _resource(cell: Cell) -> dict[str, object]:
    names = {"name": cell.resource, "singularName": "", "kind": cell.kind}
    return {**names, "namespaced": False, "verbs": ["get", "list"]}
