"""What every process of the load knows: where proxy and upstream are, what is right, and when it is over."""

import asyncio
import random
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import msgspec

from tests.soak.client import Answer, Connection, HangError, Lines
from tests.soak.questions import Question, digest, version_of
from tests.soak.tally import EXACT, Tally

Address = tuple[str, int]
KEPT = 20
"""Wrong bodies that are kept to be looked at."""

AGAIN_SECONDS = 0.2
"""What a client waits after a failure, for one that would be told nothing else."""


def address_of(url: str) -> Address:
    """Return host and port."""
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


class Plan(msgspec.Struct, frozen=True):
    """What a process of the load is told, in a file."""

    proxy: str
    upstream: str
    epoch: str
    digests: dict[str, str]
    """Of the Lists that do not change, by the question's name."""
    objects: dict[str, str]
    """Of single objects that do not change, by their target."""
    pods: list[str]
    """Paths of pods that run and are not written to."""


class Epoch:
    """Which life of the upstream this is: an even number while one lasts, an odd one in between, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def now(self) -> int:
        """Return the number."""
        return int(self.path.read_text(encoding="ascii"))

    def advance(self) -> None:
        """Begin the next one; the file is never seen half written."""
        number = self.now() + 1 if self.path.exists() else 0
        fresh = self.path.with_suffix(".new")
        fresh.write_text(str(number), encoding="ascii")
        fresh.replace(self.path)


class Scene:
    """The plan, with what comes of it."""

    def __init__(self, plan: Plan, tally: Tally, source: random.Random) -> None:
        self.plan, self.tally, self.source = plan, tally, source
        self.proxy, self.upstream = address_of(plan.proxy), address_of(plan.upstream)
        self.epoch = Epoch(Path(plan.epoch))
        self.is_over = False

    async def pause(self, answer: Answer | None = None) -> None:
        """Wait as a client does that comes back: for as long as it was told, else for a little."""
        told = answer.lines.get("retry-after", "") if answer is not None else ""
        await asyncio.sleep((float(told) if told.isdecimal() else AGAIN_SECONDS) * self.source.uniform(0.5, 1.0))

    async def direct(self, target: str, lines: Lines | None = None) -> Answer:
        """Ask the upstream itself. Raises OSError, HangError."""
        async with await Connection.open(self.upstream) as connection:
            return await connection.ask("GET", target, lines)

    async def judge(self, what: str, question: Question, answer: Answer, epoch: int) -> bool:
        """Note what came of a List that was asked for in an epoch; whether the client has what it wanted."""
        if trouble := answer.trouble:
            self.note_trouble(what, answer, trouble)
            return False
        body = bytes(answer.body)
        if answer.status != 200:
            self.tally.fail(what, f"status {answer.status}: {body[:200]!r}")
        elif not question.churns:
            self._compare(what, question, body, self.plan.digests[question.name])
        else:
            await self._compare_snapshots(what, question, body, epoch)
        return True

    def note_trouble(self, what: str, answer: Answer, trouble: str) -> None:
        """Note an error that its client notices; what no error of the proxy may be is a failure."""
        self.tally.note(what, trouble)
        if answer.status == 429 and "retry-after" not in answer.lines:
            self.tally.fail(what, "429 without Retry-After")
        if trouble == "no answer":
            self.tally.fail(what, "a fresh connection ended without an answer")
        elif answer.status in {400, 404, 409, 422, 500}:
            self.tally.fail(what, f"{trouble}: {bytes(answer.body[:300])!r}")
        elif answer.status >= 400 and answer.complete and not answer.body.startswith(b'{"kind":"Status"'):
            self.tally.fail(what, f"{trouble} is no Status: {bytes(answer.body[:200])!r}")

    def _compare(self, what: str, question: Question, body: bytes, expected: str) -> None:
        if digest(question, body) == expected:
            self.tally.note(what, EXACT)
        else:
            self.tally.fail(what, f"a complete List that is not the upstream's: {_keep(what, body)}")

    async def _compare_snapshots(self, what: str, question: Question, body: bytes, epoch: int) -> None:
        """Compare a List with what its resourceVersion is in the upstream, if that still knows."""
        version = version_of(question, body)
        joint = "&" if "?" in question.target else "?"
        target = f"{question.target}{joint}resourceVersion={version}&resourceVersionMatch=Exact"
        try:
            snapshot = await self.direct(target, {"Accept": question.accept})
        except (OSError, HangError):
            snapshot = Answer()
        if epoch % 2 or self.epoch.now() != epoch or snapshot.trouble:
            self.tally.note(what, "complete, but its upstream is gone")
            return
        self._compare(what, question, body, digest(question, bytes(snapshot.body)))


def _keep(what: str, body: bytes) -> str:
    """Keep a wrong body to look at; the data is made up."""
    path = Path("soak-out") / f"wrong-{what.replace(' ', '-').replace('/', '-')}-{int(monotonic() * 1000)}.json"
    path.parent.mkdir(exist_ok=True)
    if len(list(path.parent.glob("wrong-*"))) < KEPT:
        path.write_bytes(body)
    return f"{len(body):,} bytes, see {path}"
