"""Generated objects: deterministic, ordered, of the size asked for, and never held."""

import json

import pytest

from proxy.backend import resources
from proxy.backend.objects import Population, Sizes, populate

SIZES = Sizes(pods=500, secrets=40, configmaps=40, namespaces=6, nodes=7, widgets=80)


def of(sizes: Sizes, resource: resources.Resource) -> Population:
    """Return one population."""
    return next(population for population in populate(sizes) if population.resource is resource)


GENERATED = [population.resource for population in populate(SIZES)]


@pytest.mark.parametrize("resource", GENERATED, ids=lambda resource: resource.plural)
def test_a_run_is_its_items_joined(resource: resources.Resource) -> None:
    """However a collection is cut into runs, the bytes are the same, valid and in storage-key order."""
    population = of(SIZES, resource)
    items = [population.item(index, population.first_version + index) for index in range(population.count)]
    whole = population.chunk(0, population.count)
    assert whole == b",".join(items)
    assert b",".join([population.chunk(0, 3), population.chunk(3, population.count)]) == whole
    assert 0.9 < population.item_bytes * population.count / len(whole) < 1.1
    keys = [population.key(index) for index in range(population.count)]
    assert keys == sorted(keys)
    for index, item in enumerate(json.loads(b"[" + whole + b"]")):
        metadata = item["metadata"]
        key = f"{metadata['namespace']}/{metadata['name']}" if resource.namespaced else metadata["name"]
        assert (key, metadata.get("labels", {})) == (keys[index], population.labels(index))
        assert population.find(key) == (index, True)


def test_the_seed_decides() -> None:
    """The same seed makes the same bytes, another one other bytes."""
    first, again = (of(SIZES, resources.PODS).chunk(0, 9) for _ in range(2))
    other = of(Sizes(pods=500, namespaces=6, nodes=7, seed=1), resources.PODS).chunk(0, 9)
    assert first == again
    assert first != other


def test_every_object_has_its_own_identity() -> None:
    """UIDs, names and resourceVersions are unique."""
    pods = [pod["metadata"] for pod in json.loads(b"[" + of(SIZES, resources.PODS).chunk(0, 500) + b"]")]
    for key in ("uid", "name", "resourceVersion"):
        assert len({pod[key] for pod in pods}) == 500


@pytest.mark.parametrize("size", [2500, 20_000])
def test_pods_have_about_the_size_asked_for(size: int) -> None:
    """Within two percent."""
    run = of(Sizes(pods=64, pod_size=size), resources.PODS).chunk(0, 64)
    assert abs(len(run) / 64 - size) < size * 0.02


@pytest.mark.parametrize("size", [1 << 20, 5_000_000])
def test_secrets_have_the_size_asked_for(size: int) -> None:
    """Also beyond the pool that their data is cut from."""
    item = of(Sizes(secrets=4, secret_size=size), resources.SECRETS).chunk(1, 2)
    assert abs(len(item) - size) < 20
    json.loads(item)


def test_a_billion_objects_cost_nothing() -> None:
    """Nothing is made before it is asked for."""
    population = of(Sizes(pods=10**9), resources.PODS)
    last = json.loads(population.chunk(10**9 - 1, 10**9))
    assert last["metadata"]["name"] == "web-0999999999"


def test_keys_sort_as_bytes_not_as_pairs() -> None:
    """`a-b/x` stands before `a/x`."""
    population = of(SIZES, resources.PODS)
    assert population.namespaces.index("a-b") < population.namespaces.index("a")


@pytest.mark.parametrize("size", [200, 250, 500])
def test_small_configmaps_are_as_small_as_was_asked_for(size: int) -> None:
    """They are what costs a proxy most for each byte."""
    population = of(Sizes(configmaps=1000, configmap_size=size), resources.CONFIG_MAPS)
    items = [population.item(index, population.first_version + index) for index in range(population.count)]
    assert all(abs(len(item) - size) < 20 for item in items)
    assert len({json.loads(item)["metadata"]["uid"] for item in items}) == population.count
