"""Strategic merge patches merge lists by the keys of the API, and obey directives."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.backend.patches import strategic
from proxy.backend.patches.errors import InapplicableError, PatchError


def pod(**spec: object) -> dict[str, Any]:
    """Return a pod with two containers."""
    containers = [
        {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]},
        {"name": "b", "image": "b:1"},
    ]
    return {"spec": {"containers": containers} | spec}


def patched(change: dict[str, Any], **spec: object) -> dict[str, Any]:
    """Return the spec of a pod after a patch of it."""
    found: Any = strategic.apply("Pod", pod(**spec), {"spec": change})
    return dict(found["spec"])


def names(items: list[dict[str, str]]) -> list[str]:
    """Return the names of some items."""
    return [item["name"] for item in items]


def test_lists_are_merged_by_their_keys() -> None:
    """Items that aren't named stay; new ones follow."""
    found = patched({"containers": [{"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"}]})
    assert [(one["name"], one["image"]) for one in found["containers"]] == [("a", "a:1"), ("b", "b:2"), ("c", "c:1")]


def test_null_removes_a_field_of_an_item() -> None:
    """As in a merge patch."""
    found = patched({"containers": [{"name": "a", "image": None, "env": [{"name": "X", "value": None}]}]})
    assert "image" not in found["containers"][0]
    assert found["containers"][0]["env"] == [{"name": "X"}, {"name": "Y", "value": "2"}]


def test_lists_without_a_key_are_replaced() -> None:
    """Tolerations and arguments are atomic."""
    found = patched({"tolerations": [{"key": "new"}]}, tolerations=[{"key": "old"}, {"key": "older"}])
    assert found["tolerations"] == [{"key": "new"}]


def test_sets_are_united() -> None:
    """Finalizers are merged without duplicates."""
    found = strategic.apply("Pod", {"metadata": {"finalizers": ["a"]}}, {"metadata": {"finalizers": ["b", "a"]}})
    assert sorted(found["metadata"]["finalizers"]) == ["a", "b"]  # type: ignore[index]


def test_scalars_can_be_deleted_from_a_list() -> None:
    """With $deleteFromPrimitiveList."""
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic.apply("Pod", {"metadata": {"finalizers": ["a", "b"]}}, change) == {
        "metadata": {"finalizers": ["b"]}
    }


def test_items_can_be_deleted_and_lists_replaced() -> None:
    """With $patch inside of the list."""
    assert names(patched({"containers": [{"$patch": "delete", "name": "a"}]})["containers"]) == ["b"]
    found = patched({"containers": [{"$patch": "replace"}, {"name": "z"}]})
    assert found["containers"] == [{"name": "z"}]


def test_structs_can_be_deleted_and_replaced() -> None:
    """With $patch beside their fields."""
    assert patched({"securityContext": {"$patch": "delete"}}, securityContext={"runAsUser": 1})["securityContext"] == {}
    replaced = patched({"securityContext": {"$patch": "replace", "fsGroup": 2}}, securityContext={"runAsUser": 1})
    assert replaced["securityContext"] == {"fsGroup": 2}


def test_only_retained_keys_stay() -> None:
    """A volume that becomes another kind of volume loses its old source."""
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]
    change = [{"name": "v", "hostPath": {"path": "/x"}, "$retainKeys": ["name", "hostPath"]}]
    assert patched({"volumes": change}, volumes=volumes)["volumes"] == [
        {"name": "v", "hostPath": {"path": "/x"}},
        {"name": "w", "emptyDir": {}},
    ]


@pytest.mark.parametrize(
    ("order", "change", "expected"),
    [
        (["b", "a"], None, ["b", "a"]),
        (["c", "b", "a"], [{"name": "c"}], ["c", "b", "a"]),
        (["a", "c"], [{"name": "c"}], ["a", "c", "b"]),
        (["a"], [{"name": "b", "$patch": "delete"}], ["a"]),
    ],
)
def test_the_order_can_be_set(order: list[str], change: dict[str, Any], expected: list[str]) -> None:
    """$setElementOrder sorts what it names; what only the server has stays where it was."""
    given: Any = {"$setElementOrder/containers": [{"name": name} for name in order]}
    given |= {"containers": change} if change else {}
    assert names(patched(given)["containers"]) == expected


def test_ports_of_one_number_are_one_item() -> None:
    """The merge key of a Service's ports is the port alone."""
    service: dict[str, Any] = {"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "a"}]}}
    found = strategic.apply("Service", service, {"spec": {"ports": [{"port": 80, "name": "b"}, {"port": 81}]}})
    assert found == {"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "b"}, {"port": 81}]}}


@pytest.mark.parametrize(
    "change",
    [
        {"containers": [{"image": "x"}]},
        {"containers": [{"name": {}}]},
        {"containers": ["x"]},
        {"containers": [{"name": "a", "$patch": "other"}]},
        {"securityContext": {"$patch": "other"}},
        {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "c"}]},
        {"$retainKeys": ["hostname"], "subdomain": "x"},
    ],
)
def test_what_does_not_apply(change: dict[str, Any]) -> None:
    """Items without a key, unknown directives, orders and keys that don't fit."""
    with pytest.raises(InapplicableError):
        patched(change)


def test_a_patch_is_an_object() -> None:
    """Nothing else is one."""
    with pytest.raises(PatchError):
        strategic.apply("Pod", pod(), [])
