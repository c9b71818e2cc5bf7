"""Why a cell is not simply the same: the reasons in explanations.yaml, each for the cells that it is given for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from tests.matrix.operations import OPERATIONS
from tests.matrix.outcomes import Outcome, Verdict

FILE = Path(__file__).parent / "explanations.yaml"
FIELDS = {"text", "when", "clients", "operations", "matching"}


@dataclass(frozen=True)
class Explanation:
    """One reason: its text in Markdown, and where it counts. `matching` has to be found in the error."""

    text: str
    when: Verdict
    clients: tuple[str, ...]
    operations: tuple[str, ...]
    matching: str = ""

    def covers(self, client: str, operation: str, outcome: Outcome) -> bool:
        """Return whether this explains a cell."""
        return (
            outcome.verdict is self.when
            and operation in self.operations
            and any(fnmatchcase(client, pattern) for pattern in self.clients)
            and re.search(self.matching, outcome.error) is not None
        )


def load(path: Path = FILE) -> list[Explanation]:
    """Read the reasons. Raises ValueError where one names what does not exist."""
    return [parse(entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]


def parse(entry: dict[str, object]) -> Explanation:
    """Check one entry."""
    if unknown := entry.keys() - FIELDS:
        raise ValueError(f"unknown fields: {unknown}")
    clients, operations = entry["clients"], entry["operations"]
    assert isinstance(clients, list)
    assert isinstance(operations, list)
    if unknown := set(operations) - OPERATIONS.keys():
        raise ValueError(f"unknown operations: {unknown}")
    text = str(entry["text"]).strip().replace("\n", " ")
    matching = str(entry.get("matching", ""))
    return Explanation(text, Verdict(entry["when"]), tuple(clients), tuple(operations), matching)


def explain(known: Sequence[Explanation], client: str, operation: str, outcome: Outcome) -> Explanation | None:
    """Return the first reason that covers a cell; a cell that is the same needs none."""
    return next((one for one in known if one.covers(client, operation, outcome)), None)
