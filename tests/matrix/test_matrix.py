"""The matrix itself: what is compared and how it is told; and a small part of it with the newest kubectl."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.matrix import explanations, installing
from tests.matrix.children import Program
from tests.matrix.explanations import Explanation
from tests.matrix.installing import PYTHONS, Client, install, kubectls, pinned
from tests.matrix.operations import LISTS, OPERATIONS
from tests.matrix.outcomes import Answer, Outcome, Verdict, normalised
from tests.matrix.page import CAPTIONS, Page
from tests.matrix.running import SETTINGS, Setting, Table, run

HERE = Path(__file__).parent
WORKS: Answer = {"value": 1}
LACKS: Answer = {"lacks": True}
FAILS: Answer = {"error": "no such thing"}
# Lists, writes, an upgrade and a failure: as much as a minute of tests has room for.
FEW = ("missing", "table", "watch", "strategic_patch", "execute")


@pytest.mark.parametrize(
    ("direct", "proxied", "verdict"),
    [
        (WORKS, WORKS, Verdict.SAME),
        (WORKS, {"value": 2}, Verdict.DIFFERS),
        (WORKS, FAILS, Verdict.DIFFERS),
        (FAILS, WORKS, Verdict.DIFFERS),
        (FAILS, FAILS, Verdict.FAILS),
        (LACKS, LACKS, Verdict.LACKS),
    ],
)
def test_only_what_works_both_ways_is_the_same(direct: Answer, proxied: Answer, verdict: Verdict) -> None:
    """Failing the same way is no pass."""
    assert Outcome(direct, proxied).verdict is verdict


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ({"resourceVersion": "12", "n": 12}, {"resourceVersion": "VERSION", "n": 12}),
        ({"resource_version": ""}, {"resource_version": ""}),
        (["cell-100001 at http://127.0.0.1:80"], ["NAMESPACE at SERVER"]),
        ("uid 123e4567-e89b-12d3-a456-426614174000.", "uid UID."),
        ("at 2026-01-01T00:00:00Z and 2026-01-01T00:00:00.123Z", "at TIME and TIME"),
        ("web   Running   0   5m3s\nweb2  Running   0   12s\n", "web   Running   0 AGE \nweb2  Running   0 AGE \n"),
        ('{"metadata": {"uid": "x", "name": "y"}}', {"metadata": {"uid": "UID", "name": "y"}}),
        ("metadata:\n  resourceVersion: \"12\"\n", "metadata:\n  resourceVersion: \"VERSION\"\n"),
        ("{not json", "{not json"),
        ({"data": {"colour": "blue"}, "ok": True, "n": None}, {"data": {"colour": "blue"}, "ok": True, "n": None}),
    ],
)  # fmt: skip
def test_what_is_never_the_same_twice_is_replaced(answer: object, left: object) -> None:
    """And nothing else is."""
    places = {"http://127.0.0.1:80": "SERVER", "cell-100001": "NAMESPACE"}
    assert normalised(answer, places) == left


def table(outcomes: Mapping[tuple[str, str], Outcome]) -> Table:
    """Return the outcomes of three operations."""
    return Table(Setting("auto", "streaming", "auto", ("get", "watch", "copy")), dict(outcomes))


def test_cells_lead_to_numbered_reasons() -> None:
    """One reason has one number, however often it counts; a cell that nothing explains shows, and is kept."""
    same, lacking, failing = (Outcome(answer, answer) for answer in (WORKS, LACKS, FAILS))
    differing = Outcome(WORKS, FAILS)
    outcomes = {
        ("one", "get"): same, ("one", "watch"): failing, ("one", "copy"): lacking,
        ("two", "get"): same, ("two", "watch"): differing, ("two", "copy"): lacking,
    }  # fmt: skip
    known = [
        Explanation("Nothing such.", Verdict.FAILS, ("one",), ("watch",), "another thing"),
        Explanation("No such thing.", Verdict.FAILS, ("on*",), ("watch",), "such"),
        Explanation("Has none.", Verdict.LACKS, ("*",), ("copy",)),
    ]
    clients = [Client("one", "1.2.3"), Client("two", "2"), Client("three", "3", missing="it is not there")]
    page = Page(known)
    text = page.render(clients, [table(outcomes)])
    assert "| | one<br>1.2.3 | two<br>2 |\n" in text
    assert "| get | ✓ | ✓ |\n" in text
    assert "| watch | ✗ [1](#reasons) | **?** |\n" in text
    assert "| cp | n/a [2](#reasons) | n/a [2](#reasons) |\n" in text
    assert "1. No such thing.\n2. Has none.\n" in text
    assert "* three 3: it is not there.\n" in text
    assert page.unexplained == [("auto", "two", "watch", differing)]


def test_the_reasons_on_file_are_for_what_exists(tmp_path: Path) -> None:
    """They load, and one for an unknown operation does not."""
    assert explanations.load()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("- {when: lacks, clients: ['*'], operations: [dance], text: x}")
    with pytest.raises(ValueError, match="dance"):
        explanations.load(wrong)


@pytest.mark.parametrize("path", sorted((HERE / "clients").glob("*.py")), ids=lambda path: path.stem)
def test_operations_have_names_that_are_known(path: Path) -> None:
    """What a program adds is a row of the matrix."""
    decorated = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(ast.unparse(one) == "OPERATIONS.add" for one in node.decorator_list)
    ]
    assert set(decorated) <= OPERATIONS.keys()
    assert bool(decorated) == (path.stem not in {"__init__", "cells"})
    assert set(LISTS) <= OPERATIONS.keys()
    assert CAPTIONS.keys() == {setting.name for setting in SETTINGS}


def test_versions_are_pinned_and_no_host_is_named() -> None:
    """Each Python client's own version is in its requirements; the Node lock says what, not where from."""
    for name, (package, module) in PYTHONS.items():
        assert pinned((HERE / "requirements" / f"{name}.txt").read_text(), package)
        assert (HERE / "clients" / f"{module}.py").exists()
    lock = (HERE / "clients" / "node" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert json.loads(lock)["packages"]["node_modules/@kubernetes/client-node"]["integrity"]


def test_what_cannot_be_installed_is_not_at_hand(tmp_path: Path) -> None:
    """A command that fails, or is not there, is told of; what was installed is not installed again."""
    folder = tmp_path / "env"
    fails = [sys.executable, "-c", "raise SystemExit(3)"]
    makes = [sys.executable, "-c", f"import os; os.mkdir({str(folder)!r})"]
    assert install(folder, b"1", [fails]) == "exit code 3"
    assert install(folder, b"1", [["/nowhere/pip"]]) == "FileNotFoundError"
    assert install(folder, b"1", [makes]) == ""
    assert install(folder, b"1", [fails]) == ""
    assert install(folder, b"2", [fails]) == "exit code 3"


def test_without_npm_or_kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both say what to do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "npm" in installing.node_client().missing
    (found,) = kubectls()
    assert "PATH" in found.missing


PROGRAM = """
import json, sys
for line in sys.stdin:
    operation = json.loads(line)["operation"]
    if operation == "hang":
        import time
        time.sleep(60)
    if operation == "die":
        raise SystemExit("last words")
    print(json.dumps({"value": operation}), flush=True)
"""


def test_a_program_survives_its_operations(tmp_path: Path) -> None:
    """One that hangs or dies is an error, and the next one is done by a new program."""
    with Program([sys.executable, "-c", PROGRAM], tmp_path, tmp_path, {}) as program:
        assert program.ask("get", "n") == {"value": "get"}
        assert program.ask("die", "n") == {"error": "the program ended: last words\n"}
        assert program.ask("get", "n") == {"value": "get"}
        assert program.ask("hang", "n", seconds=0.2) == {"error": "no answer within 0.2 s"}
        assert program.ask("get", "n") == {"value": "get"}


@pytest.mark.timeout(180)  # some thirty runs of kubectl, on a machine that may be busy
def test_the_newest_kubectl(tmp_path: Path) -> None:
    """A part of the matrix, as `make matrix` does all of it; nothing needs explaining."""
    newest = kubectls()[-1]
    if newest.missing:
        pytest.skip("kubectl is not installed")
    setting = Setting("auto", "whole", "auto", FEW, pods=600)
    (found,) = run([newest], [setting], tmp_path)
    assert found.outcomes.keys() == {(newest.name, operation) for operation in FEW}
    for (_, operation), outcome in found.outcomes.items():
        assert outcome.verdict is Verdict.SAME, (operation, outcome)
    assert found.modes["paged"] > 1
