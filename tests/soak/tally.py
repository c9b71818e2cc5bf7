"""What came of the requests of one process of the load, told to the program that has started it, line by line."""

import json
import sys
from collections import Counter

EXACT = "exact"
"""Compared with what the upstream has, and equal."""

LEFT = "left"
"""The client has not waited for the end."""

FAILURES_TOLD = 20


class Tally:
    """Counts outcomes by what was asked; a failure is an outcome that no request may have."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._failures = 0

    def note(self, what: str, outcome: str) -> None:
        """Count an outcome that may be."""
        self._counts[f"{what}|{outcome}"] += 1

    def fail(self, what: str, problem: str) -> None:
        """Tell of one that may not be."""
        self._counts[f"{what}|FAILED"] += 1
        self._failures += 1
        if self._failures <= FAILURES_TOLD:
            _say({"failure": f"{what}: {problem}"})

    def tell(self) -> None:
        """Tell all counts as they are now."""
        _say({"counts": self._counts})


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
