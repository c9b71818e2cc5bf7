"""Values and sets of fields: what a value sets, what has changed, merging, taking fields away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.backend.kinds.canonical import Json
from proxy.backend.ownership.fieldset import NOTHING, Fields, Path
from proxy.backend.ownership.schema import MISSING, Place, empty, same


@dataclass(slots=True)
class Changes:
    """The fields in which two values differ."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)

    def without(self, ignored: Path) -> Changes:
        """Return the changes outside of a field."""
        kept = ({path for path in paths if path[: len(ignored)] != ignored} for paths in self.all())
        return Changes(*kept)

    def all(self) -> tuple[set[Path], set[Path], set[Path]]:
        """Return the three sets."""
        return self.added, self.modified, self.removed


def changes(place: Place, left: object, right: object) -> Changes:
    """Compare two objects."""
    found = Changes()
    compare(place, left, right, (), found)
    return found


def compare(place: Place, left: object, right: object, path: Path, found: Changes) -> None:
    """Collect the differences of two values, of which at least one is there."""
    leaf = all(empty(value) or place.is_leaf(value) for value in (left, right))
    if not leaf:
        old, new = place.parts(left), place.parts(right)
        for step in old | new:
            compare(place.below(step), old.get(step, MISSING), new.get(step, MISSING), (*path, step), found)
    if left is MISSING:
        found.added.add(path)
    elif right is MISSING:
        found.removed.add(path)
    elif leaf and not same(left, right):
        found.modified.add(path)


def fields_of(place: Place, value: object) -> Fields:
    """Return the fields that a value sets."""
    return frozenset(walk(place, value, ()))


def walk(place: Place, value: object, path: Path) -> Iterator[Path]:
    """Yield the fields that a value sets; a struct isn't one, but what is in it."""
    if place.is_leaf(value):
        yield path
        return
    by_name = isinstance(value, dict)
    for step, part in place.parts(value).items():
        here = (*path, step)
        yield from walk(place.below(step), part, here)
        if not by_name or part is None or part == {} or not place.declares(step):
            yield here


def merge(place: Place, live: object, applied: object) -> object:
    """Merge what is applied into what is live."""
    if applied is MISSING or live is MISSING:
        return live if applied is MISSING else applied
    leaf = all(empty(value) or place.is_leaf(value) for value in (live, applied))
    if leaf or type(live) is not type(applied):
        return applied
    if isinstance(live, dict):
        return merge_members(place, live, place.parts(applied))
    return merge_items(place, live, applied)


def merge_members(place: Place, live: Json, applied: dict[str, object]) -> Json:
    """Merge member by member."""
    merged = {
        step: merge(place.below(step), part, applied.get(step, MISSING)) for step, part in place.parts(live).items()
    }
    return {step[2:]: part for step, part in (merged | {s: p for s, p in applied.items() if s not in merged}).items()}


def merge_items(place: Place, live: object, applied: object) -> list[object]:
    """Merge two lists: what both have stands in the applied order, what only the live one has stays between."""
    old, new = list(place.items(live)), place.parts(applied)
    known = dict(reversed(old))
    shared = [step for step in new if step in known]
    out: list[object] = []
    pending = list(new)

    def take(step: str) -> None:
        pending.remove(step)
        out.append(merge(place.below(step), known.get(step, MISSING), new[step]))

    for step, item in old:
        if step not in new:
            out.append(item)
        elif shared and shared[0] == step:
            while pending[0] != step:
                take(pending[0])
            take(step)
            shared.pop(0)
    for step in tuple(pending):
        take(step)
    return out


def remove(place: Place, value: object, gone: Fields | set[Path]) -> object:
    """Return a value without some fields; what is left without parts becomes null."""
    if not gone:
        return value
    if place.is_leaf(value):
        return None
    whole = {path[0] for path in gone if len(path) == 1}
    below: dict[str, set[Path]] = {}
    for path in gone:
        if len(path) > 1:
            below.setdefault(path[0], set()).add(path[1:])
    steps = place.items(value) if isinstance(value, list) else place.parts(value).items()
    kept = [
        (step, remove(place.below(step), part, below.get(step, NOTHING))) for step, part in steps if step not in whole
    ]
    if isinstance(value, dict):
        return {step[2:]: part for step, part in kept} or None
    return [part for _, part in kept] or None


def with_named(place: Place, fields: Fields | set[Path]) -> Fields:
    """Return a set with every struct field on the way to one of its own: they go when nothing in them is left."""
    found = set(fields)
    for path in fields:
        here = place
        for number, step in enumerate(path[:-1]):
            if here.declares(step):
                found.add(path[: number + 1])
            here = here.below(step)
    return frozenset(found)
