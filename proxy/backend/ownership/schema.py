"""How a value merges: as a whole, member by member, or item by item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.backend import gojson
from proxy.backend.kinds.canonical import Json
from proxy.backend.kinds.notation import TYPES, Field, Holds
from proxy.backend.ownership import fieldset


class Missing:
    """The type of `MISSING`."""


# Unlike null, which is there.
MISSING = Missing()


class KeylessError(ValueError):
    """An item of a list without its keys."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an object: what its value is, and how it merges.

    `type` names a struct or scalar; without one and without a field, nothing is known: maps then merge member by
    member, lists as a whole.
    """

    type: str | None = None
    field: Field | None = None

    @property
    def container(self) -> Field | None:
        """The field, where it holds several values."""
        return self.field if self.field and self.field.holds is not Holds.ONE else None

    @property
    def struct(self) -> dict[str, Field]:
        """The fields of a single struct."""
        return TYPES[self.type].fields if self.container is None and self.type in TYPES else {}

    def is_leaf(self, value: object) -> bool:
        """Whether a value here has no parts that could have owners of their own."""
        if self.container:
            expected = list if self.container.holds is Holds.LIST else dict
            return self.container.atomic or not isinstance(value, expected)
        if self.type is not None and self.type not in TYPES:
            return True
        whole = self.type is not None and TYPES[self.type].atomic
        return whole or bool(self.field and self.field.atomic) or not isinstance(value, dict)

    def below(self, step: str) -> Place:
        """Return the place that a step leads to."""
        if self.container:
            return Place(self.container.type)
        found = self.struct.get(step.removeprefix(fieldset.MEMBER))
        return Place(found.type, found) if found else Place()

    def declares(self, step: str) -> bool:
        """Whether a step leads to a field of a struct: what a type declares, not what somebody has put into a map."""
        return step.startswith(fieldset.MEMBER) and step.removeprefix(fieldset.MEMBER) in self.struct

    def parts(self, value: object) -> dict[str, object]:
        """Return the parts of a value by the steps that lead to them; of two items with one key, the first."""
        if isinstance(value, dict):
            return {fieldset.member(key): item for key, item in value.items()}
        parts: dict[str, object] = {}
        for step, item in self.items(value):
            parts.setdefault(step, item)
        return parts

    def items(self, value: object) -> Iterator[tuple[str, object]]:
        """Yield the items of a list with the steps that lead to them."""
        if isinstance(value, list) and self.container:
            for item in value:
                yield step_to(self.container, item), item


def step_to(field: Field, item: object) -> str:
    """Return what tells an item of a list apart."""
    if not field.keys:
        return fieldset.valued(item)
    given = item if isinstance(item, dict) else {}
    keys: Json = {}
    for key in field.keys:
        default = TYPES[field.type].fields[key].default
        keys[key] = given.get(key) or default
        if keys[key] in {None, ""} and key not in given:
            text = f'associative list with keys has an element that omits key field "{key}"'
            raise KeylessError(f"{text} (and doesn't have default value)")
    return fieldset.keyed(keys)


def empty(value: object) -> bool:
    """Whether a value has no parts, or isn't there."""
    return value is MISSING or value is None or value in ({}, [])


def same(left: object, right: object) -> bool:
    """Compare two values that are there."""
    return gojson.equal(left, right)
