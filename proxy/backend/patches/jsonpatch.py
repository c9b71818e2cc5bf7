"""JSON Patch (RFC 6902), with the habits of the library that apiservers use (evanphx/json-patch).

Nothing is changed in place: the objects on the way to a change are copied, everything else is shared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.backend import gojson
from proxy.backend.patches.errors import InapplicableError, PatchError

# What an apiserver applies at most.
MAX_OPERATIONS = 10_000
INDEX = re.compile(r"-?(0|[1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    name: str
    path: list[str]
    source: list[str]
    value: object

    @classmethod
    def parse(cls, given: object) -> Operation:
        """Read one operation."""
        if not isinstance(given, dict):
            raise PatchError(f"json: cannot unmarshal {type(given).__name__} into Go value of type jsonpatch.Operation")
        return cls(str(given.get("op", "")), pointer(given, "path"), pointer(given, "from"), given.get("value"))


def pointer(operation: dict[str, object], key: str) -> list[str]:
    """Return the parts of a JSON pointer (RFC 6901)."""
    text = operation.get(key, "")
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise InapplicableError(f'jsonpatch {operation.get("op")} operation has an invalid "{key}": {text}')
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def apply(value: object, patch: object) -> object:
    """Return the value with all operations applied, or fail."""
    if not isinstance(patch, list):
        raise PatchError("error decoding patch: a JSON patch is an array of operations")
    if len(patch) > MAX_OPERATIONS:
        raise PatchError(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}")
    for operation in map(Operation.parse, patch):
        value = perform(value, operation)
    return value


def perform(value: object, operation: Operation) -> object:
    """Apply one operation."""
    match operation.name:
        case "add":
            return put(value, operation.path, operation.value, insert=True)
        case "replace":
            get(value, operation.path, "replace")
            return put(value, operation.path, operation.value, insert=False)
        case "remove":
            return remove(value, operation.path)
        case "move":
            moved = get(value, operation.source, "move")
            return put(remove(value, operation.source), operation.path, moved, insert=True)
        case "copy":
            return put(value, operation.path, get(value, operation.source, "copy"), insert=True)
        case "test":
            test(value, operation)
            return value
        case name:
            raise InapplicableError(f"Unexpected kind: {name}")


def test(value: object, operation: Operation) -> None:
    """Fail where the value is another one; what isn't there equals null."""
    try:
        found = get(value, operation.path, "test")
    except InapplicableError:
        if operation.value is None:
            return
        raise
    if not gojson.equal(found, operation.value):
        raise InapplicableError(f"testing value {shown(operation.path)} failed: test failed")


def shown(path: list[str]) -> str:
    """Print a path for an error."""
    return "/" + "/".join(path)


def get(value: object, path: list[str], name: str) -> object:
    """Return what a path leads to."""
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list):
            value = value[index(value, part, len(value) - 1)]
        else:
            raise InapplicableError(
                f"{name} operation does not apply: doc is missing path: {shown(path)}: missing value"
            )
    return value


def index(items: list[object], part: str, last: int) -> int:
    """Return the index that a part of a path means; negative ones count from the end."""
    if not INDEX.fullmatch(part):
        raise InapplicableError(f'strconv.Atoi: parsing "{part}": invalid syntax')
    number = int(part)
    position = number + len(items) if number < 0 else number
    if not 0 <= position <= last:
        raise InapplicableError(f"Unable to access invalid index: {number}: invalid index referenced")
    return position


def put(value: object, path: list[str], new: object, *, insert: bool) -> object:
    """Return the value with another one at a path; in lists it is inserted, or replaces what is there."""
    if not path:
        return new
    part, rest = path[0], path[1:]
    if isinstance(value, dict):
        if rest and part not in value:
            raise InapplicableError(f"add operation does not apply: doc is missing path: {shown(path)}: missing value")
        return value | {part: put(value[part], rest, new, insert=insert) if rest else new}
    if not isinstance(value, list):
        raise InapplicableError(f"add operation does not apply: doc is missing path: {shown(path)}: missing value")
    if rest or not insert:
        position = index(value, part, len(value) - 1)
        return [*value[:position], put(value[position], rest, new, insert=insert), *value[position + 1 :]]
    position = len(value) if part == "-" else index(value, part, len(value))
    return [*value[:position], new, *value[position:]]


def remove(value: object, path: list[str]) -> object:
    """Return the value without what a path leads to."""
    if not path:
        return None
    part, rest = path[0], path[1:]
    if isinstance(value, dict) and part in value:
        if rest:
            return value | {part: remove(value[part], rest)}
        return {key: kept for key, kept in value.items() if key != part}
    if isinstance(value, list):
        position = index(value, part, len(value) - 1)
        return [*value[:position], *([remove(value[position], rest)] if rest else []), *value[position + 1 :]]
    raise InapplicableError(f"remove operation does not apply: doc is missing path: {shown(path)}: missing value")
