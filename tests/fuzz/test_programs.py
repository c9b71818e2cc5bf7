"""The programs of this folder run; what they look for takes longer than tests may."""

import pytest

from proxy.core import scanner as finders
from tests.fuzz import __main__ as program
from tests.fuzz import scanner
from tests.fuzz.targets import TABLE, Target


def test_scanner() -> None:
    """A moment of it finds nothing, and leaves everything as it was."""
    before = finders.is_compiled
    assert scanner.fuzz(0.5, seed=0) == ""
    assert finders.is_compiled == before


@pytest.mark.parametrize("name", TABLE)
def test_target(name: str) -> None:
    """A moment of each finds nothing."""
    assert program.search(TABLE[name], 0, examples=40) == 40


def test_what_is_found_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By its target, with the smallest example, and an exit code; the other targets get their time."""

    def refuse(**_: object) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setitem(TABLE, "request", Target(refuse, TABLE["request"].drawn))
    monkeypatch.setattr("sys.argv", ["fuzz", "--seconds", "0.01", "--only", "request", "--only", "users"])
    assert program.main() == 1
    output, errors = capsys.readouterr()
    assert "a fault of ours" in errors
    assert "users: 200 examples" in output
