"""JSON patches do what RFC 6902 says, and what apiservers do beyond it."""

from __future__ import annotations

import copy

import pytest

from proxy.backend.patches import jsonpatch
from proxy.backend.patches.errors import InapplicableError, PatchError

VALUE = {"a": {"b": 1}, "l": [1, 2, 3], "x/y": "s", "m~n": None, "t": True}


@pytest.mark.parametrize(
    ("operation", "path", "expected"),
    [
        ({"op": "add", "path": "/a/c", "value": 2}, "a", {"b": 1, "c": 2}),
        ({"op": "add", "path": "/l/1", "value": 9}, "l", [1, 9, 2, 3]),
        ({"op": "add", "path": "/l/-", "value": 9}, "l", [1, 2, 3, 9]),
        ({"op": "add", "path": "/l/3", "value": 9}, "l", [1, 2, 3, 9]),
        ({"op": "replace", "path": "/l/-1", "value": 9}, "l", [1, 2, 9]),
        ({"op": "replace", "path": "/x~1y", "value": "r"}, "x/y", "r"),
        ({"op": "replace", "path": "/m~0n", "value": 1}, "m~n", 1),
        ({"op": "remove", "path": "/l/0"}, "l", [2, 3]),
        ({"op": "remove", "path": "/a/b"}, "a", {}),
        ({"op": "copy", "from": "/a/b", "path": "/l/0"}, "l", [1, 1, 2, 3]),
        ({"op": "move", "from": "/l/0", "path": "/l/-"}, "l", [2, 3, 1]),
        ({"op": "test", "path": "/a", "value": {"b": 1}}, "a", {"b": 1}),
        ({"op": "test", "path": "/none", "value": None}, "a", {"b": 1}),
    ],
)
def test_operations(operation: dict[str, object], path: str, expected: object) -> None:
    """Each changes what it names, and the value it was given stays as it was."""
    before = copy.deepcopy(VALUE)
    result = jsonpatch.apply(VALUE, [operation])
    assert isinstance(result, dict)
    assert (result[path], VALUE) == (expected, before)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/none/c", "value": 2},
        {"op": "add", "path": "/l/4", "value": 2},
        {"op": "add", "path": "/l/x", "value": 2},
        {"op": "replace", "path": "/none", "value": 2},
        {"op": "remove", "path": "/none"},
        {"op": "remove", "path": "/l/3"},
        {"op": "remove", "path": "/l/01"},
        {"op": "test", "path": "/a/b", "value": 2},
        {"op": "test", "path": "/t", "value": 1},
        {"op": "copy", "from": "/none", "path": "/a"},
        {"op": "move", "from": "/none", "path": "/a"},
        {"op": "add", "path": "a", "value": 2},
        {"op": "other", "path": "/a"},
    ],
)
def test_what_does_not_apply(operation: dict[str, object]) -> None:
    """Nothing is created on the way, and nothing is skipped."""
    with pytest.raises(InapplicableError):
        jsonpatch.apply(VALUE, [operation])


def test_operations_see_each_other() -> None:
    """They are applied in turn; the whole value can be replaced."""
    patch = [{"op": "add", "path": "/n", "value": {}}, {"op": "add", "path": "/n/o", "value": 1}]
    assert jsonpatch.apply({}, patch) == {"n": {"o": 1}}
    assert jsonpatch.apply({}, [{"op": "add", "path": "", "value": [1]}]) == [1]


@pytest.mark.parametrize("patch", [{}, "x", [1], [{}] * 10_001])
def test_what_is_no_patch(patch: object) -> None:
    """A patch is an array of objects, and not too long a one."""
    with pytest.raises(PatchError):
        jsonpatch.apply({}, patch)
