"""The change log: what watches read and what bounds how far back a List can reach."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from proxy.backend.objects import StoredObject
from proxy.backend.resources import Resource

# Written bytes that the history may hold, and how many changes: a writer must not fill the memory.
MAX_HISTORY_BYTES = 64 << 20
MAX_CHANGES = 50_000


@dataclass(frozen=True, slots=True)
class Change:
    """One write."""

    version: int
    time: float
    resource: Resource
    key: str
    before: StoredObject | None
    after: StoredObject | None


class History:
    """Changes in order of their resourceVersion, oldest first."""

    def __init__(self, version: int) -> None:
        self.changes: list[Change] = []
        self.weight = 0
        self.compacted = version

    def append(self, change: Change) -> None:
        """Add the newest change."""
        self.changes.append(change)
        self.weight += weigh(change)

    def since(self, version: int) -> list[Change]:
        """Every change after a resourceVersion."""
        return self.changes[bisect_right(self.changes, version, key=lambda change: change.version) :]

    def compact(self, oldest: float) -> list[Change]:
        """Forget changes made before a time, and more where the history has grown too large."""
        count = 0
        while count < len(self.changes) and self.expendable(count, oldest):
            self.weight -= weigh(self.changes[count])
            count += 1
        forgotten = self.changes[:count]
        del self.changes[:count]
        if forgotten:
            self.compacted = forgotten[-1].version
        return forgotten

    def expendable(self, count: int, oldest: float) -> bool:
        """Whether one more change must go after `count` have."""
        too_large = self.weight > MAX_HISTORY_BYTES or len(self.changes) - count > MAX_CHANGES
        return too_large or self.changes[count].time < oldest


def weigh(change: Change) -> int:
    """Return what keeping a change costs."""
    return (change.after.weight if change.after else 0) + (change.before.weight if change.before else 0)
