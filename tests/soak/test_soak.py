"""The soak, as much of it as takes seconds, and proof that it can fail."""

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.apiserver import JSON_LINES, Apiserver, Exchange, response
from tests.fakes.wire import PATIENCE
from tests.soak import __main__ as program
from tests.soak import lists, rude, streams, writes
from tests.soak.client import Answer
from tests.soak.lists import Items
from tests.soak.load import Role
from tests.soak.questions import CHURNED, LARGE, MIDDLING, QUESTIONS, TABLE, Question, digest, version_of
from tests.soak.sampling import HELD, Sample, Sampler
from tests.soak.scene import Epoch, Plan, Scene
from tests.soak.soak import Options, Soak
from tests.soak.tally import Tally
from tests.soak.verdict import Report

LIST = b'{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"%d"},"items":[%b]}\n'
BODY = LIST % (7, b'{"metadata":{"name":"a","resourceVersion":"7"}}')
IDLE = Sample(0.0, resident=100 << 20, files=16, threads=5, tasks=4, held=dict.fromkeys(HELD, 0))


@pytest.mark.timeout(180)
async def test_smoke() -> None:
    """Some seconds of everything, the upstream ended once: no List is wrong, and nothing is held afterwards."""
    said: list[str] = []
    options = Options(8.0, restart_every=4.0, reload_every=1.2, sample_every=0.25, scale=0.3)
    report = await Soak(options, said.append).run()
    assert not report.problems, "\n".join(report.lines())
    assert report.restarts == 1
    assert report.reloads >= 4
    assert sum(report.counts.values()) > 100


# --- verdicts on a List -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def scene(tmp_path: Path, body: bytes = BODY) -> AsyncIterator[Scene]:
    """Stand between a proxy, which answers everything with `body`, and an upstream, whose Lists are as `BODY`."""
    epoch = Epoch(tmp_path / "epoch")
    epoch.advance()

    async def serve(exchange: Exchange) -> None:
        await exchange.send(response(body=BODY, lines=JSON_LINES))

    async def deceive(exchange: Exchange) -> None:
        await exchange.send(response(body=body, lines=JSON_LINES))

    async with Apiserver(serve) as upstream, Apiserver(deceive) as proxy:
        digests = {question.name: digest(question, BODY) for question in QUESTIONS}
        items = Items()
        items.take(BODY)
        digests |= {f"items of {question.name}": items.digest() for question in (LARGE, MIDDLING)}
        objects = {"/api/v1/nodes/a": hashlib.sha256(BODY).hexdigest()}
        plan = Plan(proxy.url, upstream.url, str(epoch.path), digests, objects, ["/pods/a"])
        yield Scene(plan, Tally(), random.Random(0))


def told(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, int], list[str]]:
    """Return the counts and the failures that a tally has told."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return lines[-1]["counts"], [line["failure"] for line in lines if "failure" in line]


async def judged(
    where: Scene, question: Question, answer: Answer, capsys: pytest.CaptureFixture[str], epoch: int = 0
) -> tuple[dict[str, int], list[str]]:
    """Return what a scene says to an answer."""
    await where.judge("List", question, answer, epoch)
    where.tally.tell()
    return told(capsys)


def answer(body: bytes = BODY, status: int = 200, *, complete: bool = True, **lines: str) -> Answer:
    """Return an answer as a client has got it."""
    return Answer(status, {key.replace("_", "-"): value for key, value in lines.items()}, bytearray(body), complete)


@pytest.mark.parametrize("question", [MIDDLING, CHURNED])
async def test_equal_is_exact(question: Question, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A List is compared with what it should be, and with its own snapshot where that changes."""
    async with scene(tmp_path) as where:
        assert await judged(where, question, answer(), capsys) == ({"List|exact": 1}, [])


@pytest.mark.parametrize("question", [MIDDLING, CHURNED])
async def test_complete_and_other_is_a_failure(
    question: Question, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item that is missing at a clean end is what all this is there to find; the body is kept."""
    monkeypatch.chdir(tmp_path)
    async with scene(tmp_path) as where:
        counts, failures = await judged(where, question, answer(LIST % (7, b"")), capsys)
    assert counts == {"List|FAILED": 1}
    assert "is not the upstream's" in failures[0]
    assert len(list((tmp_path / "soak-out").iterdir())) == 1


async def test_snapshots_of_another_life_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An upstream that has come back counts its versions anew."""
    async with scene(tmp_path) as where:
        where.epoch.advance()
        where.epoch.advance()
        counts, failures = await judged(where, CHURNED, answer(LIST % (7, b"")), capsys)
    assert (counts, failures) == ({"List|complete, but its upstream is gone": 1}, [])


@pytest.mark.parametrize(
    ("got", "outcome", "failure"),
    [
        (answer(BODY[:50], complete=False), "unfinished", ""),
        (answer(b'{"kind":"Status"}', 502), "status 502", ""),
        (answer(b'{"kind":"Status"}', 429, retry_after="1"), "status 429", ""),
        (answer(b'{"kind":"Status"}', 429), "status 429", "429 without Retry-After"),
        (answer(b'{"kind":"Status"}', 500), "status 500", "status 500"),
        (answer(b"oops", 502), "status 502", "is no Status"),
        (answer(b"", 0, complete=False), "no answer", "ended without an answer"),
        (answer(BODY, 204), "FAILED", "status 204"),
    ],
)
async def test_errors_are_visible_or_failures(
    got: Answer, outcome: str, failure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an upstream's trouble looks like to a client, and what none may look like."""
    async with scene(tmp_path) as where:
        counts, failures = await judged(where, MIDDLING, got, capsys)
    assert f"List|{outcome}" in counts
    assert bool(failures) == bool(failure)
    assert all(failure in each for each in failures)


# --- clients against a proxy that deceives ----------------------------------------------------------------------------


async def once(where: Scene, role: Role, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a client until something has failed, and return what."""

    def fail(what: str, problem: str) -> None:
        where.is_over = True
        Tally.fail(where.tally, what, problem)

    monkeypatch.setattr(where.tally, "fail", fail)
    async with asyncio.timeout(PATIENCE):
        await role(where)
    where.tally.tell()
    return told(capsys)[1][0]


@pytest.mark.parametrize(
    ("role", "body", "problem"),
    [
        (lists.lister, LIST % (7, b""), "a complete List that is not the upstream's"),
        (lists.pager, LIST % (7, b""), "other items than the upstream's"),
        (streams.watcher, BODY.strip(), "ended cleanly within an event"),
        (streams.watcher, BODY + BODY, "events that are not the upstream's"),
        (streams.follower, b"x tick 1\nx tick 3\n", "lines are missing"),
        (streams.follower, b"x tick 1\nx tick 2\n", "ended cleanly"),
        (writes.getter, LIST % (7, b""), "/api/v1/nodes/a: status 200"),
        (writes.writer, BODY, "status 200"),
        (rude.stalling, BODY, "complete"),
        (rude.malformed, BODY, "status 200"),
    ],
)
async def test_clients_notice(
    role: Role,
    body: bytes,
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever a client is there to find it finds."""
    monkeypatch.chdir(tmp_path)
    async with scene(tmp_path, body) as where:
        assert problem in await once(where, role, monkeypatch, capsys)


# --- what makes two bodies the same -----------------------------------------------------------------------------------


def test_only_the_lists_own_version_and_ages_may_differ() -> None:
    """Of Lists that do not change; of those that do, nothing may."""
    assert digest(MIDDLING, BODY) == digest(MIDDLING, BODY.replace(b"7", b"8", 1))
    assert digest(MIDDLING, BODY) != digest(MIDDLING, BODY.replace(b"7", b"8"))
    assert digest(CHURNED, BODY) != digest(CHURNED, BODY.replace(b"7", b"8", 1))
    table = Question("t", "/api/v1/configmaps", TABLE)
    rows = b'{"metadata":{"resourceVersion":"%d"},"rows":[{"cells":["%b","%b"]}]}'
    assert digest(table, rows % (7, b"a", b"5d3h")) == digest(table, rows % (9, b"a", b"12s"))
    assert digest(table, rows % (7, b"a", b"5d")) != digest(table, rows % (7, b"b", b"5d"))


def test_metadata_of_custom_lists_stands_behind_the_items() -> None:
    """As a custom resource's keys are sorted."""
    widgets = Question("widgets", "/apis/example.com/v1/widgets")
    body = b'{"apiVersion":"v1","items":[{"metadata":{"resourceVersion":"3"}}],"metadata":{"resourceVersion":"%d"}}'
    assert version_of(widgets, body % 12) == "12"
    assert digest(widgets, body % 12) == digest(widgets, body % 13)
    assert digest(widgets, body % 12) != digest(widgets, (body % 12).replace(b'"3"', b'"4"'))


# --- verdicts on the proxy --------------------------------------------------------------------------------------------


def report(samples: list[Sample], seconds: float = 1800.0) -> list[str]:
    """Return what is wrong with what was seen."""
    result = Report(seconds, workers=1, seed=0)
    result.judge_growth(Sampler(1, ("", 0), samples=samples))
    return result.problems


def seen(growth: float = 0.0) -> list[Sample]:
    """Return a look every ten seconds for half an hour; memory grows by so many bytes a second."""
    return [replace(IDLE, at=at, resident=int(IDLE.resident + growth * at)) for at in range(0, 1800, 10)]


def test_growth_is_found() -> None:
    """A tenth above the fifth minute is too much, of memory and of files; a thread more or less as well."""
    assert report(seen()) == []
    assert report(seen(growth=5_000)) == []
    assert "resident" in report(seen(growth=9_000))[0]
    assert "files" in report([replace(sample, files=16 + int(sample.at / 100)) for sample in seen()])[0]
    assert "threads" in report([*seen(), replace(IDLE, at=1799.0, threads=6)])[0]


@pytest.mark.parametrize("change", [{"files": 17}, {"tasks": 6}, {"threads": 6}, {"held": {HELD[1]: 1}}])
def test_what_is_left_is_found(change: dict[str, Any]) -> None:
    """One file, task or thread more than before the load, and a byte that is still held."""
    result = Report(1800.0, workers=1, seed=0)
    result.judge_idle(IDLE, IDLE)
    assert result.problems == []
    result.judge_idle(IDLE, replace(IDLE, **change))
    assert len(result.problems) == 1


def test_load_that_does_nothing_is_found() -> None:
    """All exact is easily said where nothing was asked, memory never short, and nobody stalled."""
    result = Report(120.0, workers=1, seed=0, counts={"GET|status 502": 9, "slow loris|left": 1})
    result.judge_counts()
    result.judge_variety()
    assert result.problems[0] == "GET: none was exact"
    assert any("client_stalled" in problem for problem in result.problems)
    assert result.problems[-1] == "memory was never short"


def test_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It says how it went, by its exit code as well, and leaves a JSON file and a picture."""

    async def run(soak: Soak) -> Report:
        result = soak.report
        result.samples = seen()
        result.judge_growth(Sampler(1, ("", 0), samples=result.samples))
        result.judge_idle(IDLE, replace(IDLE, files=17))
        result.counts = {"GET|exact": 7, "GET|status 502": 2}
        return result

    monkeypatch.setattr(Soak, "run", run)
    monkeypatch.setattr("sys.argv", ["soak", "--minutes", "30", "--out", str(tmp_path)])
    assert program.main() == 1
    output = capsys.readouterr().out
    assert "7 exact   status 502 2" in output
    assert "FAILED files: 16 before the load, 17 after it" in output
    assert json.loads((tmp_path / "soak.json").read_bytes())["counts"]["GET|exact"] == 7
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
