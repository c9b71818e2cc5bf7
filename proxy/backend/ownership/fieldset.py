"""Sets of fields, and FieldsV1, in which managedFields holds them.

A field is the tuple of steps that lead to it, each spelled as in FieldsV1: `f:name` for a member of a struct or map,
`k:{"name":"x"}` for an item of a list with keys, `v:1` for one of a set.
"""

from __future__ import annotations

import msgspec

from proxy.backend import gojson
from proxy.backend.kinds.canonical import Json

Path = tuple[str, ...]
Fields = frozenset[Path]

NOTHING: Fields = frozenset()
ITSELF = "."
MEMBER, KEYS, VALUE = "f:", "k:", "v:"


def member(name: str) -> str:
    """Return the step to a member."""
    return MEMBER + name


def keyed(keys: Json) -> str:
    """Return the step to the item that these keys tell apart."""
    return KEYS + gojson.encode(keys).decode()


def valued(value: object) -> str:
    """Return the step to an item of a set."""
    return VALUE + gojson.encode(value).decode()


def read(tree: object) -> Fields:
    """Parse FieldsV1; what can't be understood is nobody's."""
    found: set[Path] = set()
    pending: list[tuple[Path, object]] = [((), tree)]
    while pending:
        path, node = pending.pop()
        if not isinstance(node, dict):
            continue
        if path and (not node or ITSELF in node):
            found.add(path)
        pending += [((*path, normal(step)), below) for step, below in node.items() if step != ITSELF]
    return frozenset(found)


def normal(step: str) -> str:
    """Return a step as it would be printed here."""
    if not step.startswith((KEYS, VALUE)):
        return step
    try:
        return step[:2] + gojson.encode(gojson.DECODER.decode(step[2:])).decode()
    except msgspec.DecodeError:
        return step


def print_tree(fields: Fields) -> Json:
    """Return the FieldsV1 of a set, sorted."""
    root: Json = {}
    for path in sorted(fields):
        node = root
        for step in path[:-1]:
            below = node.setdefault(step, {})
            assert isinstance(below, dict)  # noqa: S101 (only dicts are put in)
            node = below
        node.setdefault(path[-1], {})
    for path in fields:
        node = find(root, path)
        if node:
            node[ITSELF] = {}
    return in_order(root)


def find(root: Json, path: Path) -> Json:
    """Return the node of a path."""
    node = root
    for step in path:
        below = node[step]
        assert isinstance(below, dict)  # noqa: S101 (as above)
        node = below
    return node


def in_order(tree: Json) -> Json:
    """Sort a tree: `.` comes first."""
    return {step: in_order(below) if isinstance(below, dict) else below for step, below in sorted(tree.items())}


def shown(path: Path) -> str:
    """Print a path as conflicts do: `.spec.containers[name="x"].image`."""
    return "".join(map(shown_step, path))


def shown_step(step: str) -> str:
    """Print one step."""
    kind, text = step[:2], step[2:]
    if kind == MEMBER:
        return f".{text}"
    if kind == VALUE:
        return f"[={text}]"
    keys = msgspec.json.decode(text)
    return "[" + ",".join(f"{key}={msgspec.json.encode(value).decode()}" for key, value in sorted(keys.items())) + "]"
