"""What a soak has shown, and what of it is wrong."""

import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from tests.soak.load import ROLES
from tests.soak.sampling import Sample, Sampler
from tests.soak.tally import EXACT

REFERENCE_SECONDS = 300.0
WINDOW_SECONDS = 60.0
MIB = 1 << 20
TOLERANCE = 0.10
SHORT_TOLERANCE = 0.20
"""Where the soak is too short to have a value of five minutes: caches, pools and the allocator still fill up."""

LEAST_SECONDS = 100.0
"""In less nothing grows that could be told from warming up, and not everything gets its turn."""

ABORTS = ("client_gone", "client_stalled", "upstream_closed")
CANNOT_SUCCEED = frozenset(
    {"List of a client that stalls", "List of a client that vanishes", "slow loris", "bad request"}
)
FLAT: dict[str, Callable[[Sample], int]] = {
    "resident": lambda sample: sample.resident,
    "files": lambda sample: sample.files,
    "tasks": lambda sample: sample.tasks,
}


@dataclass(frozen=True, slots=True)
class Growth:
    """What something was at `at` seconds, and at the end; medians of a minute or less."""

    at: float
    then: float
    end: float


@dataclass(slots=True)
class Report:
    """One soak, as it goes into the JSON file."""

    seconds: float
    workers: int
    seed: int
    restarts: int = 0
    reloads: int = 0
    cpu_seconds: float = 0.0
    busy: float = 0.0
    """How much of the machine was used, by everybody."""
    counts: dict[str, int] = field(default_factory=dict)
    aborts: dict[str, int] = field(default_factory=dict)
    """Of responses that were not completed, by the reason that the proxy tells."""
    problems: list[str] = field(default_factory=list)
    growth: dict[str, Growth] = field(default_factory=dict)
    idle: dict[str, Sample] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    @property
    def is_short(self) -> bool:
        """Whether it was to show that the soak works, and not that the proxy does."""
        return self.seconds < LEAST_SECONDS

    def judge_growth(self, sampler: Sampler) -> None:
        """Compare the end of the load with its fifth minute, or with the middle of a shorter one."""
        self.samples = sampler.samples
        is_long = self.seconds >= 3 * REFERENCE_SECONDS
        at = REFERENCE_SECONDS if is_long else self.seconds / 2
        window = min(WINDOW_SECONDS, self.seconds / 4)
        tolerance = TOLERANCE if is_long else SHORT_TOLERANCE
        for name, what in FLAT.items():
            then = sampler.median(what, at - window / 2, at + window / 2)
            now = sampler.median(what, self.seconds - window, self.seconds)
            self.growth[name] = Growth(at, then, now)
            if not self.is_short and now > then * (1 + tolerance):
                self.problems.append(f"{name}: {then:,.0f} at {at:.0f} s, {now:,.0f} at the end")
        threads = {sample.threads for sample in sampler.samples}
        if len(threads) > 1:
            self.problems.append(f"threads came and went: {sorted(threads)}")

    def judge_idle(self, before: Sample, after: Sample) -> None:
        """Compare what there is without load, before and afterwards."""
        self.idle = {"before": before, "after": after}
        if not after.is_idle:
            self.problems.append(f"still held or under way without load: {after.held}")
        for name in ("files", "tasks", "threads"):
            then, now = getattr(before, name), getattr(after, name)
            if now != then:
                self.problems.append(f"{name}: {then} before the load, {now} after it")

    def judge_counts(self) -> None:
        """Check that everything that was asked was also answered well at some time."""
        asked = {key.partition("|")[0] for key in self.counts} - CANNOT_SUCCEED - set(ROLES)
        for what in sorted(asked & {"GET"} if self.is_short else asked):
            if not self.counts.get(f"{what}|{EXACT}"):
                self.problems.append(f"{what}: none was exact")

    def judge_variety(self) -> None:
        """Check that what the load was made for has happened, where there was time for it."""
        if self.is_short:
            return
        self.problems += [f"no response was aborted as {reason}" for reason in ABORTS if not self.aborts.get(reason)]
        if not any(key.endswith("|status 429") for key in self.counts):
            self.problems.append("memory was never short")

    def as_json(self) -> bytes:
        """Return all of it, and every look."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @property
    def title(self) -> str:
        """Say what it was."""
        upstream = f"restarts of the upstream: {self.restarts}"
        return f"{self.seconds:.0f} s, workers: {self.workers}, {upstream}, reloads: {self.reloads}"

    def lines(self) -> list[str]:
        """Return what a person reads."""
        rows: dict[str, Counter[str]] = {}
        for key, count in sorted(self.counts.items()):
            what, _, outcome = key.partition("|")
            rows.setdefault(what, Counter())[outcome] = count
        result = [self.title]
        for what, outcomes in rows.items():
            exact = outcomes.pop(EXACT, 0)
            others = ", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.most_common())
            result.append(f"  {what:<30}{exact:>9,} exact   {others}")
        result.append(
            "  aborted, by the proxy's account: " + ", ".join(f"{key} {count:,}" for key, count in self.aborts.items())
        )
        result += self._growth_lines() if self.growth else []
        for name, sample in self.idle.items():
            result.append(
                f"  idle {name}: {sample.files} files, {sample.tasks} tasks, {sample.threads} threads,"
                f" {sample.resident / MIB:.1f} MiB, held {sample.held}"
            )
        return result + [f"FAILED {problem}" for problem in self.problems]

    def _growth_lines(self) -> list[str]:
        resident, files, tasks = (self.growth[name] for name in FLAT)
        peak = max(sample.resident for sample in self.samples)
        threads = ", ".join(map(str, sorted({sample.threads for sample in self.samples})))
        minutes = " ".join(f"{value / MIB:.0f}" for value in self.by_minute())
        change = f"{resident.then / MIB:.1f} MiB at {resident.at:.0f} s, {resident.end / MIB:.1f} MiB at the end"
        others = f"files {files.then:.0f} and {files.end:.0f}, tasks {tasks.then:.0f} and {tasks.end:.0f}"
        return [
            f"  resident {change} ({resident.end / resident.then - 1:+.1%}), peak {peak / MIB:.1f} MiB",
            f"  {others}, threads {threads}",
            f"  proxy's CPU {self.cpu_seconds:.0f} s, machine {self.busy:.0%} busy; resident MiB by minute: {minutes}",
        ]

    def by_minute(self) -> list[float]:
        """Return the median resident bytes of each minute."""
        minutes: dict[int, list[int]] = {}
        for sample in self.samples:
            minutes.setdefault(int(sample.at // 60), []).append(sample.resident)
        return [statistics.median(values) for _, values in sorted(minutes.items())]
