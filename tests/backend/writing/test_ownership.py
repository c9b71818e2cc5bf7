"""Server-side apply: structured merge and diff, by the rules of structured-merge-diff."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.backend.ownership import fieldset
from proxy.backend.ownership.managers import APPLY, MAX_UPDATERS, UPDATE, ConflictsError, Ledger, Manager, Owners
from proxy.backend.ownership.merging import fields_of
from proxy.backend.ownership.schema import KeylessError, Place

LEDGER = Ledger(Place("Pod"), "now", (("f:status",),))
ONE, TWO = Manager("one", APPLY, "v1"), Manager("two", APPLY, "v1")
EDITOR = Manager("editor", UPDATE, "v1")


class Object:
    """An object with its owners, as somebody applies to it."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self.owners: Owners = {}

    def apply(self, manager: Manager, config: dict[str, Any], *, force: bool = False) -> dict[str, Any]:
        """Apply a configuration and return the object."""
        self.value, self.owners = LEDGER.apply(self.owners, manager, self.value, config, force=force)
        return self.value

    def update(self, manager: Manager, new: dict[str, Any]) -> None:
        """Replace the object."""
        self.owners = LEDGER.update(self.owners, manager, self.value, new)
        self.value = new

    def fields(self, manager: Manager) -> list[str]:
        """Return what somebody owns."""
        entry = self.owners.get(manager.key)
        return [fieldset.shown(path) for path in sorted(entry.fields)] if entry else []


def container(name: str, **fields: object) -> dict[str, Any]:
    """Return a container."""
    return {"name": name} | fields


def spec(*containers: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Return a pod."""
    return {"spec": {"containers": list(containers)} | fields}


def test_an_applier_owns_what_it_sets_and_no_structs() -> None:
    """Items of lists and scalars are owned; the way to them isn't."""
    pod = Object()
    pod.apply(ONE, spec(container("a", image="x", ports=[{"containerPort": 80}])))
    assert pod.fields(ONE) == [
        '.spec.containers[name="a"]',
        '.spec.containers[name="a"].image',
        '.spec.containers[name="a"].name',
        '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]',
        '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"].containerPort',
    ]


def test_what_is_not_applied_any_more_goes() -> None:
    """Fields, items, and structs that nothing is left in."""
    pod = Object()
    pod.apply(ONE, spec(container("a", image="x"), container("b"), securityContext={"runAsUser": 1}, hostname="h"))
    assert pod.apply(ONE, spec(container("a"))) == spec(container("a"))


def test_what_somebody_else_owns_stays() -> None:
    """An item that two have applied goes with the last of them."""
    pod = Object()
    pod.apply(ONE, spec(container("a"), container("b", image="x")))
    pod.apply(TWO, spec(container("b", image="x", tty=True)))
    assert pod.apply(ONE, spec(container("a"))) == spec(container("a"), container("b", image="x", tty=True))
    assert pod.apply(TWO, {"metadata": {"labels": {"x": "y"}}})["spec"] == spec(container("a"))["spec"]


def test_what_nobody_owns_stays_in_a_list_that_stays() -> None:
    """Only what the applier had applied itself is taken away."""
    pod = Object()
    pod.apply(ONE, spec(container("a")))
    pod.apply(TWO, spec(container("b")))
    pod.value = spec(container("a"), container("b"), container("z"))
    assert pod.apply(ONE, {"spec": {"hostname": "h"}}) == spec(container("b"), container("z"), hostname="h")


def test_a_name_is_not_withdrawn_with_a_label() -> None:
    """Nobody owns it, yet who applies an object says that it has one."""
    pod = Object()
    pod.apply(ONE, {"metadata": {"name": "p", "labels": {"a": "1"}}})
    assert pod.apply(ONE, {"metadata": {"name": "p"}}) == {"metadata": {"name": "p"}}


def test_another_value_is_a_conflict() -> None:
    """The same value is shared; `force` takes the field."""
    pod = Object()
    pod.apply(ONE, spec(container("a", image="x")))
    pod.apply(TWO, spec(container("a", image="x")))
    with pytest.raises(ConflictsError) as caught:
        pod.apply(TWO, spec(container("a", image="y")))
    assert [(who.shown(), fieldset.shown(path)) for who, path in caught.value.conflicts] == [
        ('"one"', '.spec.containers[name="a"].image')
    ]
    pod.apply(TWO, spec(container("a", image="y")), force=True)
    assert '.spec.containers[name="a"].image' not in pod.fields(ONE)
    assert pod.value["spec"]["containers"] == [container("a", image="y")]


def test_an_update_takes_what_it_changes() -> None:
    """Its manager owns that afterwards, and an applier that wants it back has a conflict."""
    pod = Object()
    pod.apply(ONE, spec(container("a", image="x", tty=True)))
    pod.update(EDITOR, spec(container("a", image="y", tty=True)))
    assert pod.fields(EDITOR) == ['.spec.containers[name="a"].image']
    with pytest.raises(ConflictsError) as caught:
        pod.apply(ONE, spec(container("a", image="x")))
    assert [who.shown() for who, _ in caught.value.conflicts] == ['"editor" using v1']


def test_the_first_apply_finds_what_was_there_before() -> None:
    """Fields of an object that nobody tracks belong to before-first-apply."""
    pod = Object()
    pod.value = spec(container("a", image="x"))
    with pytest.raises(ConflictsError) as caught:
        pod.apply(ONE, spec(container("a", image="y")))
    assert caught.value.conflicts[0][0].name == "before-first-apply"


def test_atomic_values_have_one_owner() -> None:
    """A list of tolerations, a node selector, a reference."""
    pod = Object()
    pod.apply(ONE, {"spec": {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "x"}]}})
    assert pod.fields(ONE) == [".spec.nodeSelector", ".spec.tolerations"]
    with pytest.raises(ConflictsError):
        pod.apply(TWO, {"spec": {"nodeSelector": {"c": "d"}}})


def test_sets_are_owned_value_by_value() -> None:
    """Finalizers of two appliers are united, and leave with them."""
    pod = Object()
    pod.apply(ONE, {"metadata": {"finalizers": ["a"]}})
    assert pod.apply(TWO, {"metadata": {"finalizers": ["b"]}})["metadata"]["finalizers"] == ["a", "b"]
    assert pod.apply(ONE, {"metadata": {}})["metadata"]["finalizers"] == ["b"]


def test_maps_are_owned_key_by_key() -> None:
    """Labels of two appliers live beside each other."""
    pod = Object()
    pod.apply(ONE, {"metadata": {"labels": {"a": "1"}}})
    pod.apply(TWO, {"metadata": {"labels": {"b": "2"}}})
    assert pod.apply(ONE, {"metadata": {}})["metadata"]["labels"] == {"b": "2"}


@pytest.mark.parametrize(
    ("live", "applied", "merged"),
    [
        ("ab", "ba", "ba"),
        ("ab", "cb", "acb"),
        ("abc", "ca", "bca"),
        ("", "ab", "ab"),
        ("xay", "ab", "xayb"),
        ("abc", "b", "abc"),
    ],
)
def test_the_order_of_lists(live: str, applied: str, merged: str) -> None:
    """What both have stands as it is applied, everything else where it was."""
    pod = Object()
    pod.apply(TWO, spec(*map(container, live)))
    found = pod.apply(ONE, spec(*map(container, applied)))
    assert "".join(one["name"] for one in found["spec"]["containers"]) == merged


def test_status_belongs_to_others() -> None:
    """What the main resource can't write it doesn't own."""
    pod = Object()
    pod.apply(ONE, {"status": {"phase": "Running"}, "spec": {"hostname": "h"}})
    assert pod.fields(ONE) == [".spec.hostname"]


def test_items_need_their_keys() -> None:
    """A container without a name can't be merged."""
    with pytest.raises(KeylessError, match='omits key field "name"'):
        Object().apply(ONE, spec({"image": "x"}))


def test_nothing_changes_by_applying_again() -> None:
    """Not even the time."""
    pod = Object()
    pod.apply(ONE, spec(container("a")))
    later = Ledger(Place("Pod"), "later")
    assert later.apply(pod.owners, ONE, pod.value, spec(container("a")), force=False) == (pod.value, pod.owners)


def test_updaters_are_put_together_where_there_are_too_many() -> None:
    """The oldest become ancient-changes."""
    pod = Object()
    for number in range(MAX_UPDATERS + 2):
        labels = {f"l{n}": "" for n in range(number + 1)}
        pod.update(Manager(f"m{number:02}", UPDATE, "v1"), {"metadata": {"labels": labels}})
    assert len(pod.owners) == MAX_UPDATERS
    assert len(pod.owners["ancient-changes", UPDATE, "v1", ""].fields) == 4


def test_unknown_types_merge_by_member() -> None:
    """Without a schema maps are granular and lists atomic."""
    ledger = Ledger(Place("CustomResource"), "now")
    value, owners = ledger.apply({}, ONE, {}, {"spec": {"m": {"a": 1}, "l": [1]}}, force=False)
    value, owners = ledger.apply(owners, TWO, value, {"spec": {"m": {"b": 2}}}, force=False)
    assert value == {"spec": {"m": {"a": 1, "b": 2}, "l": [1]}}
    with pytest.raises(ConflictsError):
        ledger.apply(owners, TWO, value, {"spec": {"l": [2]}}, force=False)


TREE: dict[str, Any] = {"f:a": {}, "f:l": {".": {}, 'k:{"name":"x"}': {".": {}, "f:name": {}}, 'v:"s"': {}}}


def test_fields_v1_is_read_and_printed() -> None:
    """A dot says that the way itself is owned."""
    fields = fieldset.read(TREE)
    assert fieldset.print_tree(fields) == TREE
    assert fields == {
        ("f:a",),
        ("f:l",),
        ("f:l", 'k:{"name":"x"}'),
        ("f:l", 'k:{"name":"x"}', "f:name"),
        ("f:l", 'v:"s"'),
    }


CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abcd")}, optional={"image": st.sampled_from("xy"), "tty": st.just(True)}
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda one: one["name"],
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {"labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from("12"), min_size=1)}
        ),
        "spec": st.fixed_dictionaries({"containers": CONTAINERS}, optional={"hostname": st.sampled_from("hi")}),
    },
)


@given(CONFIGS, CONFIGS, CONFIGS)
def test_laws_of_apply(mine: dict[str, Any], other: dict[str, Any], mine_again: dict[str, Any]) -> None:
    """What is applied is there; what is withdrawn is gone; what others have applied is never lost."""
    pod = Object()
    pod.apply(TWO, other)
    alone = pod.value
    pod.apply(ONE, mine, force=True)
    pod.apply(ONE, mine_again, force=True)
    assert LEDGER.changes(pod.value, pod.apply(ONE, mine_again)).all() == (set(), set(), set())
    owned = {path for entry in pod.owners.values() for path in entry.fields}
    lost = fields_of(LEDGER.place, alone) - fields_of(LEDGER.place, pod.value)
    assert not lost & owned
    assert lost <= fields_of(LEDGER.place, mine)
    assert fields_of(LEDGER.place, mine_again) <= fields_of(LEDGER.place, pod.value)
