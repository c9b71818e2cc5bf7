"""The check that no regression has slipped in: ratios to kubectl proxy and to our own raw against stored bounds.

It has to be cheap, so the arms of one set of processes take turns at the same work again and again. There are several
sets, as no two processes lie in memory alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from proxy.bench import arms, bounds, report, rounds
from proxy.bench.arms import Arm
from proxy.bench.children import Children
from proxy.bench.gets import Gets
from proxy.bench.lists import PODS, SECRETS, Lists
from proxy.bench.meters import Figures, Meter, Run
from proxy.bench.parameters import Parameters
from proxy.bench.report import Result
from proxy.bench.screen import Screen
from proxy.bench.servers import STREAMING, start_patient
from proxy.bench.stack import IDLE_SECONDS, Stack, started

NAMES = ("kubectl proxy", "raw", "streamed", "paged", "buffered")
LISTS = (Lists("pods", PODS, 20_000, 2500), Lists("secrets", SECRETS, 48, 1 << 20))
GETS = Gets("gets", 16, 0.15)
SETS = 2
AFTERWARDS_SECONDS = 0.05


async def run(parameters: Parameters, screen: Screen, children: Children, out: Path) -> Result:
    """Measure, and judge. Raises BenchError."""
    del out
    chosen = arms.available([name for name in NAMES if name in parameters.arms], screen)
    lists, gets = [workload.scaled(parameters.scale) for workload in LISTS], GETS.scaled(parameters.scale)
    runs: list[Run] = []
    with screen.bar("rounds", SETS * parameters.rounds, "{:.0f}".format) as bar:
        for _ in range(SETS):
            async with AsyncExitStack() as context:
                stacks = [await context.enter_async_context(await _started(children, arm, lists)) for arm in chosen]
                await asyncio.sleep(IDLE_SECONDS)
                meters = [Meter(stack.pids.get("proxy", ())) for stack in stacks]
                for number in range(parameters.rounds):
                    for stack in rounds.rotated(stacks, number):
                        runs += await _round(stack, lists, gets, number)
                    bar.advance(1)
                runs += [_memory(stack, meter) for stack, meter in zip(stacks, meters, strict=True)]
    return judged(parameters, report.versions(chosen), runs)


async def _started(children: Children, arm: Arm, lists: Sequence[Lists]) -> AbstractAsyncContextManager[Stack]:
    flags = [flag for workload in lists for flag in workload.flags]
    return started(children, arm, await start_patient(children, STREAMING, *flags))


async def _round(stack: Stack, lists: Sequence[Lists], gets: Gets, number: int) -> list[Run]:
    runs = []
    for workload in lists:
        values, _ = await workload.cost(stack, AFTERWARDS_SECONDS)
        runs.append(Run(stack.arm, workload.name, number + 1, values))
    return [*runs, Run(stack.arm, gets.name, number + 1, await gets.cost(stack, AFTERWARDS_SECONDS))]


def _memory(stack: Stack, meter: Meter) -> Run:
    return Run(stack.arm, bounds.EVERYTHING, 1, {f"proxy_{name}": value for name, value in meter.rise().items()})


def judged(parameters: Parameters, versions: dict[str, str], runs: Sequence[Run]) -> Result:
    """Hold runs against the stored bounds."""
    figures = Figures(runs)
    about = (
        f"Medians of {SETS * parameters.rounds} rounds on {SETS} sets of processes; a ratio is the median of the "
        "rounds' own. A bound that is missed again on an idle machine is a regression."
    )
    is_good = not any(bound.is_missed(figures) for bound in bounds.CHECKED)
    return Result(about, parameters, versions, [bounds.table(bounds.CHECKED, figures)], runs, is_good)
