"""Runs cells against one proxy, many at once, and judges each; after every wave nothing may be held."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Self

from tests.fakes.apiserver import Apiserver
from tests.fakes.child import Child, serving
from tests.fakes.paged import Page
from tests.faults.cells import PLANS, Cell
from tests.faults.clients import AT_ONCE, Kubectl, Outcome, Python, ask_curl, ask_quickly, kubectls, read_list
from tests.faults.faults import HEADER_BYTES, Needs
from tests.faults.holding import Watcher
from tests.faults.messages import body_in
from tests.faults.upstream import Upstream

WAVE = 320
PATIENCE: dict[Needs, str] = {"patience": "30", "impatience": "0.6", "loneliness": "30"}
"""Seconds of a proxy's patience: where it ends in a verdict it is short, elsewhere no busy machine should end it."""

NOBODY = "http://127.0.0.1:9"

Ask = Callable[[str, Cell], Awaitable[Outcome]]


@dataclass(slots=True)
class Report:
    """What came of the cells; `failures` are texts that say how to see each again."""

    verdicts: Counter[str] = field(default_factory=Counter)
    by_client: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A proxy with its upstream."""

    child: Child
    script: Upstream
    watcher: Watcher


class Matrix:
    """A proxy for each of the ways in which one has to be for these cells."""

    def __init__(self, cells: Sequence[Cell], home: Path, kubectl: str = "") -> None:
        self._cells = cells
        self._stack = AsyncExitStack()
        self._stages: dict[Needs, Stage] = {}
        self.asks: dict[str, Ask] = {"quick": ask_quickly, "curl": ask_curl}
        clients = {cell.client for cell in cells}
        if "kubectl" in clients:
            self.asks["kubectl"] = Kubectl(kubectl or kubectls()[-1], home)
        if "python" in clients:
            self.asks["python"] = Python()
        self.report = Report()

    async def __aenter__(self) -> Self:
        """Start."""
        for needs in PATIENCE:
            cells = [cell for cell in self._cells if cell.fault.needs == needs]
            if cells:
                self._stages[needs] = await self._build(needs, Upstream(cells))
        return self

    async def _build(self, needs: Needs, script: Upstream) -> Stage:
        upstream = await self._stack.enter_async_context(Apiserver(script))
        url = NOBODY if needs == "loneliness" else upstream.url
        child = await self._stack.enter_async_context(_proxy(url, PATIENCE[needs]))
        watcher = Watcher(child, upstream, script)
        await watcher.remember()
        return Stage(child, script, watcher)

    async def __aexit__(self, *_: object) -> None:
        """Stop, and look whether the proxies have something to say."""
        for stage in self._stages.values():
            code, _output, errors = await stage.child.stop()
            if code or errors:
                self.report.failures.append(f"the proxy ended with exit code {code} and said:\n{errors}")
        try:
            await self._stack.aclose()
        except AssertionError as error:
            self.report.failures.append(f"the upstream has something to say: {error}")

    async def run(self) -> Report:
        """Run all cells."""
        start = monotonic()
        for client in self.asks:
            chosen = [cell for cell in self._cells if cell.client == client]
            random.Random(0).shuffle(chosen)  # so that a wave is of everything
            for at in range(0, len(chosen), WAVE):
                await self._run_wave(chosen[at : at + WAVE])
        self.report.seconds = monotonic() - start
        return self.report

    async def _run_wave(self, cells: Sequence[Cell]) -> None:
        limit = asyncio.Semaphore(AT_ONCE[cells[0].client])

        async def one(cell: Cell) -> None:
            async with limit:
                self._judge(cell, await self._ask(cell))

        await asyncio.gather(*map(one, cells))
        if problem := await self._held():
            await self._find_holder(cells, problem)

    async def _ask(self, cell: Cell) -> Outcome:
        return await self.asks[cell.client](self._stages[cell.fault.needs].child.url, cell)

    # --- what is held -------------------------------------------------------------------------------------------------

    async def _held(self) -> str:
        problems = [await stage.watcher.settle() for stage in self._stages.values()]
        return "; ".join(filter(None, problems))

    async def _find_holder(self, cells: Sequence[Cell], problem: str) -> None:
        """Go through a wave again, one cell at a time, for those after which something is held."""
        found = False
        for cell in cells:
            stage = self._stages[cell.fault.needs]
            await stage.watcher.remember()
            stage.script.add(cell)
            await self._ask(cell)
            if held := await stage.watcher.settle():
                found = True
                self._fail(cell, f"afterwards {held}")
        if not found:
            self.report.failures.append(
                f"after a wave of {len(cells)} cells, of {cells[0].client}, but after none of them alone: {problem}"
            )

    # --- verdicts -----------------------------------------------------------------------------------------------------

    def _judge(self, cell: Cell, outcome: Outcome) -> None:
        verdict, problem = judge(cell, outcome)
        self.report.verdicts[verdict] += 1
        self.report.by_client[cell.client] += 1
        if outcome.mode:
            self.report.modes[outcome.mode] += 1
        if problem:
            self._fail(cell, problem)

    def _fail(self, cell: Cell, problem: str) -> None:
        steps = "\n".join(f"      {step}" for step in cell.steps(_whole(cell)))
        self.report.failures.append(
            f"{cell}\n    {problem}\n    the upstream, asked for the whole List (else so on that page):\n{steps}\n"
            f"    again: make faults ARGS=\"--only '{cell}'\""
        )


def judge(cell: Cell, outcome: Outcome) -> tuple[str, str]:
    """Return the verdict on what a client has told, and what is wrong with it, nothing if all is well."""
    if outcome.error:
        if cell.must_be_exact:
            return "failed", f"an error, where the exact List was to be had: {outcome.error}"
        return ("failed", outcome.fault) if outcome.fault else ("error", "")
    whole = _whole(cell)
    if outcome.digest == read_list(whole.body) and outcome.body in (None, whole.body):
        return "exact", ""
    if cell.unjudged and outcome.body in (None, body_in(cell.steps(whole))):
        return "unjudged", ""
    got = f"{len(outcome.body)} bytes" if outcome.body is not None else "other items"
    return "failed", f"neither an error nor the exact List of {len(whole.body)} bytes, but {got}"


def _whole(cell: Cell) -> Page:
    served = cell.served()
    return Page(served.shape, served.items, served.version)


def _proxy(upstream: str, patience: str) -> AbstractAsyncContextManager[Child]:
    routes = ", ".join(
        f"{{mode: {mode}, group: {group}}}" for mode, group in {(plan.mode, plan.group) for plan in PLANS}
    )
    return serving(
        upstream,
        module="tests.faults.child",
        routes=f"[{routes}]",
        access_log="false",
        limits_header_bytes=str(HEADER_BYTES),
        limits_first_byte_seconds=patience,
        limits_between_bytes_seconds=patience,
        limits_drain_seconds="0.2",
    )
