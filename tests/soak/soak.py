"""One soak, from the first process to the verdict."""

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from proxy.bench.children import Child, Children
from proxy.bench.errors import BenchError
from proxy.bench.sampling import machine_cpu_seconds
from tests.soak.client import HangError
from tests.soak.load import FINISH_SECONDS, ROLES
from tests.soak.sampling import Sampler
from tests.soak.scene import address_of
from tests.soak.stack import Stack
from tests.soak.verdict import Report

PROGRESS_SECONDS = 10.0
BEGUN = re.compile(r'^{"counts"', re.MULTILINE)
START_SECONDS = 60.0
LAST_WORDS = 2000
LINES_TOLD = 40
IDLE_SECONDS = 40.0
"""Within so much after the load everything must have been given back: above each of the proxy's deadlines."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a soak is like; times in seconds. `scale` is of the number of clients."""

    seconds: float
    restart_every: float = 25.0
    reload_every: float = 15.0
    sample_every: float = 1.0
    scale: float = 1.0
    workers: int = 1
    seed: int = 0


class Soak:
    """A soak that is under way."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self._options = options
        self._say = say
        self.report = Report(options.seconds, options.workers, options.seed)
        self._load: list[Child] = []
        self._restarting = asyncio.Lock()

    async def run(self) -> Report:
        """Run it. Raises BenchError where a process does not start."""
        with Children() as children:
            stack = Stack(children, self._options.workers, self._options.seed)
            await stack.start()
            await stack.plan()
            try:
                await self._run(stack)
            except (OSError, HangError) as error:
                said = stack.proxy.output()[-LAST_WORDS:]
                self.report.problems.append(f"the proxy cannot be looked at: {error!r}; it said: {said}")
        return self.report

    async def _run(self, stack: Stack) -> None:
        sampler = Sampler(stack.proxy.pid, address_of(stack.admin_url))
        before = await sampler.look()
        self._load = [stack.start_load(role, self._options.scale) for role in ROLES]
        for child in self._load:
            await child.line(BEGUN, START_SECONDS)
        sampler.begin()
        machine = machine_cpu_seconds()
        watching = asyncio.ensure_future(sampler.watch(self._options.sample_every))
        await self._disturb(stack, sampler)
        watching.cancel()
        self.report.cpu_seconds = sampler.cpu()
        self.report.busy = (machine_cpu_seconds() - machine) / (monotonic() - sampler.zero) / (os.cpu_count() or 1)
        await self._end_load()
        await sampler.settle(lambda sample: sample.is_idle, IDLE_SECONDS)
        stack.stop_upstream()
        after = await sampler.settle(
            lambda sample: sample.is_idle and (sample.files, sample.tasks) == (before.files, before.tasks),
            IDLE_SECONDS,
        )
        await self._judge(stack, sampler)
        self.report.judge_idle(before, after)

    async def _disturb(self, stack: Stack, sampler: Sampler) -> None:
        """Restart the upstream and reload the proxy now and then, until the time is over."""
        options, zero = self._options, monotonic()
        tasks = [
            asyncio.ensure_future(self._restart(stack)),
            asyncio.ensure_future(self._reload(stack)),
            asyncio.ensure_future(self._tell(zero, sampler)),
        ]
        await asyncio.wait(tasks, timeout=options.seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                self.report.problems.append(f"{result!r}")
        async with self._restarting:  # not in the middle of one
            pass

    async def _restart(self, stack: Stack) -> None:
        while True:
            await asyncio.sleep(self._options.restart_every)
            self.report.restarts += 1
            await asyncio.shield(self._restart_once(stack))

    async def _restart_once(self, stack: Stack) -> None:
        async with self._restarting:
            try:
                await stack.restart_upstream(kindly=self.report.restarts % 2 == 0)
            except BenchError as error:
                self.report.problems.append(str(error))

    async def _reload(self, stack: Stack) -> None:
        while True:
            await asyncio.sleep(self._options.reload_every)
            self.report.reloads += 1
            stack.reload()

    async def _tell(self, zero: float, sampler: Sampler) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            self._gather()
            outcomes: Counter[str] = Counter()
            for key, count in self.report.counts.items():
                outcomes[key.partition("|")[2]] += count
            last = sampler.samples[-1]
            self._say(
                f"{monotonic() - zero:6.0f} s  {last.resident / (1 << 20):6.1f} MiB  {last.files:4} files  "
                + ", ".join(f"{name} {count:,}" for name, count in outcomes.most_common(6))
                + (f", FAILED {outcomes['FAILED']}" if outcomes["FAILED"] else "")
            )

    async def _end_load(self) -> None:
        for child in self._load:
            with suppress(ProcessLookupError):
                child.process.terminate()
        for child in self._load:
            if await child.finished(FINISH_SECONDS + 20):
                self.report.problems.append(f"{child.name} ended badly: {child.output()[-500:]}")
        self._gather()

    def _gather(self) -> None:
        """Add up what the load has told."""
        counts: Counter[str] = Counter()
        for child in self._load:
            told = [line for line in child.output().splitlines() if line.startswith('{"counts"')]
            if told:
                counts.update(json.loads(told[-1])["counts"])
        self.report.counts = dict(counts)

    async def _judge(self, stack: Stack, sampler: Sampler) -> None:
        report = self.report
        for child in self._load:
            for line in child.output().splitlines():
                if line.startswith('{"failure"'):
                    report.problems.append(json.loads(line)["failure"])
                elif not line.startswith('{"counts"'):
                    report.problems.append(f"{child.name} said: {line}")
        report.aborts = await sampler.aborts()
        report.judge_growth(sampler)
        report.judge_counts()
        report.judge_variety()
        try:
            code, unexpected = await stack.stop_proxy()
        except BenchError as error:
            report.problems.append(str(error))
            return
        if code:
            report.problems.append(f"the proxy ended with exit code {code}")
        report.problems += [f"the proxy said: {line}" for line in unexpected[:LINES_TOLD]]
        if len(unexpected) > LINES_TOLD:
            report.problems.append(f"the proxy said {len(unexpected) - LINES_TOLD} lines more")
