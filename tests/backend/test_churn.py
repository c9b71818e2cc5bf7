"""Background writes."""

from proxy.backend.churn import WORKING_SET, Churn
from proxy.backend.history import Change
from proxy.backend.objects import Sizes, populate
from proxy.backend.resources import PODS
from proxy.backend.store import Store


def churned(seed: int, writes: int, pods: int = 50) -> Store:
    """Write into a fresh cluster."""
    store = Store(populate(Sizes(pods=pods)), token_lifetime=300, etcd_tokens=False)
    churn = Churn(store, rate=1, seed=seed)
    for number in range(writes):
        churn.write(float(number))
    return store


def kinds(changes: list[Change]) -> list[tuple[str, bool, bool]]:
    """Return what was written, and whether it was there before and after."""
    return [(change.key, change.before is not None, change.after is not None) for change in changes]


def test_the_seed_decides_what_is_written() -> None:
    """The same seed writes the same."""
    first, again, other = (kinds(churned(seed, 100).history.changes) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_objects_are_changed_deleted_and_made_again() -> None:
    """All three kinds of write occur."""
    seen = {(before, after) for _, before, after in kinds(churned(1, 300).history.changes)}
    assert seen == {(True, True), (True, False), (False, True)}


def test_the_overlay_stays_small() -> None:
    """However long it lasts and however many objects there are."""
    store = churned(1, 5000, pods=100_000)
    assert len(store.collections[PODS].keys) <= WORKING_SET
    assert store.history.weight == 0
