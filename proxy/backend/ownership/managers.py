"""managedFields: who has set which fields, kept through every write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from proxy.backend.kinds.canonical import Json
from proxy.backend.ownership import fieldset
from proxy.backend.ownership.fieldset import NOTHING, Fields, Path
from proxy.backend.ownership.merging import Changes, changes, fields_of, merge, remove, with_named
from proxy.backend.ownership.schema import MISSING, Place

APPLY, UPDATE = "Apply", "Update"
BEFORE_APPLY = "before-first-apply"
OLD_UPDATES = "ancient-changes"
MAX_UPDATERS = 10
META = "f:metadata"
META_NAMES = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion",
)  # fmt: skip
# What nobody owns.
STRIPPED: Fields = frozenset({(META,), *((META, fieldset.member(name)) for name in META_NAMES)})


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes, and how: what tells one entry of managedFields from another."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Appliers are the same in every version."""
        version = "" if self.operation == APPLY else self.api_version
        return self.name, self.operation, version, self.subresource

    def shown(self) -> str:
        """Print as conflicts do."""
        text = f'"{self.name}"' + (f' with subresource "{self.subresource}"' if self.subresource else "")
        return text if self.operation == APPLY else f"{text} using {self.api_version}"


@dataclass(frozen=True, slots=True)
class Entry:
    """What one manager owns, and since when."""

    manager: Manager
    time: str
    fields: Fields


Owners = dict[tuple[str, str, str, str], Entry]
Conflict = tuple[Manager, Path]


class ConflictsError(Exception):
    """Others own what somebody wants to apply with another value."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        super().__init__(conflicts)
        self.conflicts = conflicts


def read(given: object) -> Owners:
    """Parse managedFields; what makes no sense is dropped, as if nobody had ever written."""
    owners: Owners = {}
    for item in given if isinstance(given, list) else []:
        texts = {key: value for key, value in item.items() if isinstance(value, str)}
        operation, version = texts.get("operation", ""), texts.get("apiVersion", "")
        if operation not in {APPLY, UPDATE} or not version or texts.get("fieldsType") != "FieldsV1":
            return {}  # an apiserver takes all of it or nothing
        manager = Manager(texts.get("manager", ""), operation, version, texts.get("subresource", ""))
        owners[manager.key] = Entry(manager, texts.get("time", ""), fieldset.read(item.get("fieldsV1")))
    return owners


def print_all(owners: Owners) -> list[Json]:
    """Return managedFields."""
    order = sorted(owners.values(), key=lambda entry: (entry.manager.operation, entry.time, *entry.manager.key))
    return [print_entry(entry) for entry in order]


def print_entry(entry: Entry) -> Json:
    """Return one entry of managedFields."""
    manager = entry.manager
    printed: Json = {"manager": manager.name, "operation": manager.operation, "apiVersion": manager.api_version}
    printed |= {"time": entry.time} if entry.time else {}
    printed |= {"fieldsType": "FieldsV1", "fieldsV1": fieldset.print_tree(entry.fields)}
    return printed | ({"subresource": manager.subresource} if manager.subresource else {})


@dataclass(frozen=True, slots=True)
class Ledger:
    """One write's view of who owns what: the type, when it happens, and what it can't touch."""

    place: Place
    now: str
    ignored: tuple[Path, ...] = ()

    def update(self, owners: Owners, manager: Manager, live: Json, new: Json) -> Owners:
        """Return the owners after a plain write: what it has changed is its own now."""
        found = self.changes(live, new)
        others = disown(owners, found, except_for=None)
        taken = frozenset(found.added | found.modified) - STRIPPED
        if taken:
            before = others[manager.key].fields if manager.key in others else NOTHING
            others[manager.key] = Entry(manager, self.now, before | taken)
        return capped(others)

    def changes(self, live: Json, new: Json) -> Changes:
        """Compare two states of an object, as far as this write may change it."""
        found = changes(self.place, live, new)
        for path in self.ignored:
            found = found.without(path)
        return found

    def apply(self, owners: Owners, manager: Manager, live: Json, config: Json, *, force: bool) -> tuple[Json, Owners]:
        """Return the object and its owners after a server-side apply.

        Raises:
            ConflictsError: others own a field with another value, and `force` isn't given.

        """
        if not owners and live:
            owners = self.update({}, Manager(BEFORE_APPLY, UPDATE, manager.api_version), {}, live)
        last = owners[manager.key].fields if manager.key in owners else NOTHING
        applied = frozenset(path for path in fields_of(self.place, config) if not self.ignores(path))
        mine = applied - STRIPPED
        merged = merge(self.place, live or MISSING, config)
        everybody = [entry.fields for key, entry in owners.items() if key != manager.key]
        new = cast("Json", self.prune(merged, last, applied.union(*everybody)) or {})
        found = self.changes(live, new)
        conflicts = conflicts_of(owners, found, manager)
        if conflicts and not force:
            raise ConflictsError(conflicts)
        rest = disown(owners, found, except_for=manager)
        same = manager.key in owners and not any(found.all()) and mine == last
        time = owners[manager.key].time if same else self.now
        rest.pop(manager.key, None)
        return new, rest | ({manager.key: Entry(manager, time, mine)} if mine else {})

    def ignores(self, path: Path) -> bool:
        """Whether this write can't touch a field."""
        return any(path[: len(one)] == one for one in self.ignored)

    def prune(self, merged: object, last: Fields, owned: Fields) -> object:
        """Take away what was applied before and isn't any more, unless somebody else owns it."""
        if not last:
            return merged
        place = self.place
        gone = with_named(place, last)
        pruned = remove(place, merged, gone)
        everything = with_named(place, fields_of(place, merged))
        left = with_named(place, fields_of(place, pruned))
        pruned = remove(place, merged, everything - (left | with_named(place, owned)))
        left = with_named(place, fields_of(place, pruned))
        return remove(place, merged, (everything - left) & gone)


def conflicts_of(owners: Owners, found: Changes, manager: Manager) -> list[Conflict]:
    """Return which fields of others a write would change."""
    changed = found.added | found.modified
    return [
        (entry.manager, path)
        for entry in owners.values()
        if entry.manager.key != manager.key
        for path in sorted(entry.fields & changed)
    ]


def disown(owners: Owners, found: Changes, except_for: Manager | None) -> Owners:
    """Take from everybody else what a write has changed or removed."""
    gone = frozenset().union(*found.all())
    left: Owners = {}
    for key, entry in owners.items():
        kept = entry if except_for and key == except_for.key else replace(entry, fields=entry.fields - gone)
        if kept.fields:
            left[key] = kept
    return left


def capped(owners: Owners) -> Owners:
    """Put the oldest updates together where there are too many."""
    updaters = sorted(
        (entry for entry in owners.values() if entry.manager.operation == UPDATE),
        key=lambda entry: (entry.time, *entry.manager.key),
    )
    excess = len(updaters) - MAX_UPDATERS
    if excess <= 0:
        return owners
    old = updaters[: excess + 1]
    bucket = Entry(
        Manager(OLD_UPDATES, UPDATE, old[-1].manager.api_version), old[-1].time,
        frozenset().union(*(entry.fields for entry in old)),
    )  # fmt: skip
    gone = {entry.manager.key for entry in old}
    return {key: entry for key, entry in owners.items() if key not in gone} | {bucket.manager.key: bucket}
