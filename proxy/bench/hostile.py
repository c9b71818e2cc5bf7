"""The hostile statement: what small GETs see of a crowd of clients that send, or read, as slowly as they can."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import perf_counter

from proxy.bench import arms, report
from proxy.bench.attackers import READY
from proxy.bench.children import Children
from proxy.bench.errors import LoadError
from proxy.bench.gets import percentiles
from proxy.bench.lists import PODS
from proxy.bench.load import Connection, Door
from proxy.bench.meters import Figures, Meter, Run
from proxy.bench.parameters import Parameters
from proxy.bench.report import Result
from proxy.bench.screen import NOTHING, Screen, Table, mebibytes
from proxy.bench.servers import STREAMING, start_patient
from proxy.bench.stack import IDLE_SECONDS, SMALL_GET, Stack, started

PODS_THERE, POD_SIZE = 2_000, 2500
CROWD = 1000
ALONE, BESIDE = "alone", "beside a crowd"
SECONDS = 10.0
PAUSE_SECONDS = 0.01
CONNECTIONS = 4
SETTLED_ANSWERS, SETTLED_SECONDS, LONGEST_SECONDS = 20, 0.05, 30.0
"""How many answers in a row the upstream itself has to give in such a time until it is at rest, and until when."""

BOUND = 3.0
FIGURES = {
    "kept p50": "p50_kept_seconds",
    "kept p99": "p99_kept_seconds",
    "fresh p50": "p50_fresh_seconds",
    "fresh p99": "p99_fresh_seconds",
}

Ask = Callable[[], Awaitable[float]]


async def run(parameters: Parameters, screen: Screen, children: Children, out: Path) -> Result:
    """Measure alone and beside the crowd, on the same processes. Raises BenchError."""
    del out
    crowd = max(1, round(CROWD * min(parameters.scale, 1.0)))
    seconds = SECONDS * min(parameters.scale, 1.0)
    (arm,) = arms.available(("streamed",), screen)
    runs: list[Run] = []
    for number in range(parameters.rounds):
        flags = (f"--{PODS.plural}", str(PODS_THERE), PODS.size_flag, str(POD_SIZE))
        async with started(children, arm, await start_patient(children, STREAMING, *flags)) as stack:
            await asyncio.sleep(IDLE_SECONDS)
            runs.append(Run(arm.name, ALONE, number, await _measure(stack, seconds)))
            command = (sys.executable, "-m", "proxy.bench.attackers")
            target = f"/api/v1/{PODS.plural}"
            attackers = children.start("attackers", *command, _url(stack.door), target, str(crowd), str(crowd))
            await attackers.line(re.compile(READY))
            await _settled(stack)
            runs.append(Run(arm.name, BESIDE, number, await _measure(stack, seconds)))
            children.check()
            children.stop(attackers)
    about = (
        f"{crowd:,} clients that send a header line a second and never a whole head, and {crowd:,} that ask for a List "
        f"of {PODS_THERE:,} pods and do not read; whoever is thrown out comes back. Beside them {CONNECTIONS} "
        f"connections that are kept and as many that are new each time ask for {SMALL_GET}, some "
        f"{round(2 * CONNECTIONS / PAUSE_SECONDS)} times a second; medians of {parameters.rounds} rounds."
    )
    return Result(about, parameters, report.versions([arm]), [table(runs, arm.name)], runs)


def table(runs: list[Run], arm: str) -> Table:
    """Return the figures alone and beside the crowd, with what they came to."""
    result = Table([f"GETs of {SMALL_GET}", ALONE, BESIDE, "factor", "bound"])
    figures = Figures(runs)
    for title, value in FIGURES.items():
        alone, beside = (figures.median(workload, arm, value) for workload in (ALONE, BESIDE))
        if alone is None or beside is None:
            continue
        verdict = f"{BOUND:g}: {'PASS' if beside <= BOUND * alone else 'MISS'}" if "p99" in title else NOTHING
        factor = f"{beside / alone:.1f}" if alone else NOTHING
        result.rows.append([title, f"{alone * 1000:.2f} ms", f"{beside * 1000:.2f} ms", factor, verdict])
    for title, value, show in (
        ("proxy peak RSS", "peak_rss_bytes", mebibytes),
        ("proxy CPU", "cpu_seconds_per_second", lambda share: f"{share:.0%}"),
        ("failed", "failed", lambda count: f"{count:g}"),
    ):
        cells = [figures.median(workload, arm, value) for workload in (ALONE, BESIDE)]
        shown = [NOTHING if cell is None else show(cell) for cell in cells]
        result.rows.append([title, *shown, NOTHING, NOTHING])
    return result


async def _measure(stack: Stack, seconds: float) -> dict[str, float]:
    """Ask at an even pace, on connections that are kept and on new ones."""
    meter = Meter(stack.pids["proxy"])
    until, began, failed = perf_counter() + seconds, perf_counter(), 0
    kept: list[float] = []
    fresh: list[float] = []

    async def ask(times: list[float], one: Ask) -> None:
        nonlocal failed
        while perf_counter() < until:
            try:
                times.append(await one())
            except LoadError:
                failed += 1
            await asyncio.sleep(PAUSE_SECONDS)

    lines = [await Connection.open(stack.door) for _ in range(CONNECTIONS)]
    try:
        await asyncio.gather(
            *(ask(kept, partial(_kept, line)) for line in lines),
            *(ask(fresh, partial(_fresh, stack.door)) for _ in range(CONNECTIONS)),
        )
    finally:
        for line in lines:
            line.close()
    return {
        **percentiles("kept_seconds", sorted(kept)),
        **percentiles("fresh_seconds", sorted(fresh)),
        **meter.rise(),
        "cpu_seconds_per_second": meter.cpu() / (perf_counter() - began),
        "failed": failed,
    }


async def _settled(stack: Stack) -> None:
    """Wait until what the crowd has asked for has come as far as it will: a busy upstream is not what is measured."""
    until, quick = perf_counter() + LONGEST_SECONDS, 0
    while quick < SETTLED_ANSWERS:
        quick = quick + 1 if await _fresh(stack.origin) < SETTLED_SECONDS else 0
        if perf_counter() > until:
            raise LoadError("the upstream does not come to rest")
        await asyncio.sleep(SETTLED_SECONDS)


async def _kept(line: Connection) -> float:
    return (await line.get(SMALL_GET)).seconds


async def _fresh(door: str | Door) -> float:
    began = perf_counter()
    line = await Connection.open(door)
    try:
        await line.get(SMALL_GET)
    finally:
        line.close()
    return perf_counter() - began


def _url(door: str | Door) -> str:
    return door if isinstance(door, str) else door.url
