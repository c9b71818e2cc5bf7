"""Lists are snapshots, whatever is written meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.backend import history, listoptions, tokens
from proxy.backend.collection import Span
from proxy.backend.objects import Sizes, Written, populate
from proxy.backend.resources import EVENTS, PODS, Resource
from proxy.backend.status import ApiError
from proxy.backend.store import Page, Store, flatten

LIFETIME = 300.0


def new_store(pods: int = 20) -> Store:
    """Make a small cluster."""
    sizes = Sizes(pods=pods, secrets=0, configmaps=0, nodes=0, widgets=0)
    return Store(populate(sizes), token_lifetime=LIFETIME, etcd_tokens=False)


def listed(store: Store, query: str, now: float = 0.0, namespace: str | None = None) -> Page:
    """List pods."""
    return store.list(PODS, namespace, listoptions.parse(listoptions.parse_query(query)), now)


def content(page: Page) -> list[tuple[str, int]]:
    """Return the keys and resourceVersions of a page."""
    return [(value.key, value.version) for value in flatten(page.collection, page.segments)]


def write(store: Store, key: str, now: float = 0.0, size: int = 2, resource: Resource = PODS) -> None:
    """Write an object."""
    store.put(resource, key, lambda version: Written(key, version, {}, b" " * size), now)


def delete(store: Store, key: str, now: float = 0.0) -> None:
    """Delete an object."""
    store.put(PODS, key, lambda _: None, now)


KEYS = [population.key(i) for population in populate(Sizes(pods=20)) if population.resource is PODS for i in range(20)]
KEYS += ["a/aaa", "a/zzz", "b/new", "default/web-00012x"]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), max_size=30), st.integers(1, 7))
def test_every_past_state_can_be_listed_whole_and_in_pages(writes: list[tuple[str, bool]], limit: int) -> None:
    """A List as of any resourceVersion equals what a plain dictionary held then."""
    store = new_store()
    model = dict(content(listed(store, "")))
    states = {store.version: dict(model)}
    for key, keep in writes:
        if keep:
            write(store, key)
            model[key] = store.version
        else:
            delete(store, key)
            model.pop(key, None)
        states[store.version] = dict(model)
    for version, state in states.items():
        exact = f"resourceVersion={version}&resourceVersionMatch=Exact"
        assert content(listed(store, exact)) == sorted(state.items())
        assert paged(store, f"{exact}&limit={limit}", limit) == sorted(state.items())


def paged(store: Store, query: str, limit: int) -> list[tuple[str, int]]:
    """List in pages, checking each one's remainder."""
    page = listed(store, query)
    found = content(page)
    while page.token:
        remaining = page.remaining
        page = listed(store, f"limit={limit}&continue={page.token}")
        assert remaining == len(content(page)) + (page.remaining or 0)
        found += content(page)
    return found


def test_pages_continue_in_the_snapshot_of_the_first() -> None:
    """Writes between pages are not seen, and every page reports the first one's resourceVersion."""
    store = new_store()
    before = content(listed(store, ""))
    first = listed(store, "limit=6")
    delete(store, before[10][0])
    write(store, "a/aaa")
    write(store, before[15][0])
    rest = listed(store, f"continue={first.token}")
    assert content(first) + content(rest) == before
    assert rest.version == first.version
    assert content(listed(store, "")) != before


def test_a_limit_at_resource_version_zero_is_ignored_unless_uncached() -> None:
    """Pods come from the cache, events from etcd."""
    store = new_store()
    assert len(content(listed(store, "resourceVersion=0&limit=5"))) == 20
    for name in "abc":
        write(store, f"a/{name}", resource=EVENTS)
    options = listoptions.parse({"resourceVersion": "0", "limit": "2"})
    assert len(content(store.list(EVENTS, None, options, 0.0))) == 2


def test_not_older_than_honours_the_limit() -> None:
    """At the current state, even where an older one is named."""
    store = new_store()
    old = store.version
    write(store, "a/aaa")
    page = listed(store, f"resourceVersion={old}&resourceVersionMatch=NotOlderThan&limit=5")
    assert (page.version, page.remaining) == (store.version, 16)


def test_a_limit_makes_a_plain_resource_version_exact() -> None:
    """The legacy rule."""
    store = new_store()
    old = store.version
    write(store, "a/aaa")
    assert listed(store, f"resourceVersion={old}&limit=5").version == old
    assert listed(store, f"resourceVersion={old}").version == store.version


def test_tokens_expire_and_the_new_one_resumes_at_the_latest_version() -> None:
    """410 carries a token without a snapshot."""
    store = new_store()
    first = listed(store, "limit=6", now=1.0)
    assert listed(store, f"continue={first.token}", now=1.0 + LIFETIME).version == first.version
    with pytest.raises(ApiError) as caught:
        listed(store, f"continue={first.token}", now=2.0 + LIFETIME)
    assert caught.value.code == 410
    assert tokens.decode(caught.value.token).version == tokens.LATEST
    write(store, "zz/new")
    resumed = listed(store, f"continue={caught.value.token}")
    assert resumed.version == store.version
    assert len(content(resumed)) == 15


def test_writes_compact_what_is_older_than_the_lifetime() -> None:
    """An Exact List before the compaction is 410, and so is a token."""
    store = new_store()
    first = listed(store, "limit=6")
    old = store.version
    write(store, "a/aaa", now=1.0)
    write(store, "a/aaa", now=2.0 + LIFETIME)
    with pytest.raises(ApiError, match="provided list is too old"):
        listed(store, f"resourceVersion={old}&resourceVersionMatch=Exact")
    with pytest.raises(ApiError, match="continue parameter is too old"):
        listed(store, f"continue={first.token}")


def test_the_history_is_bounded_in_bytes() -> None:
    """Large writes push out old ones however young they are."""
    store = new_store()
    megabyte = 1 << 20
    for number in range(80):
        write(store, f"a/{number % 4}", now=0.0, size=megabyte)
    assert store.history.weight <= history.MAX_HISTORY_BYTES
    assert sum(len(written.history) for written in store.collections[PODS].written.values()) < 80


def test_deleted_keys_are_forgotten_in_time() -> None:
    """Names that come and go leave nothing behind."""
    store = new_store()
    for number in range(100):
        write(store, f"a/x{number}", now=float(number))
        delete(store, f"a/x{number}", now=float(number))
    write(store, "a/last", now=1000.0)
    assert len(store.collections[PODS].keys) == 1


def test_versions_from_the_future_are_too_large() -> None:
    """504 with its cause and a Retry-After."""
    store = new_store()
    with pytest.raises(ApiError, match="Too large resource version: 99999") as caught:
        listed(store, "resourceVersion=99999")
    assert (caught.value.code, caught.value.retry_after) == (504, 1)


def test_a_selected_page_can_be_followed_by_an_empty_one() -> None:
    """More keys exist, but none that is selected."""
    store = new_store()
    first = listed(store, "fieldSelector=metadata.namespace%3Da-b&limit=5")
    assert len(content(first)) == 5
    assert first.remaining is None
    assert content(listed(store, f"fieldSelector=metadata.namespace%3Da-b&limit=5&continue={first.token}")) == []


def test_neighbours_are_selected_together() -> None:
    """Selected members of the population stay spans, so that they render in runs."""
    page = listed(new_store(40), "fieldSelector=metadata.namespace%3Da")
    spans = [segment for segment in page.segments if isinstance(segment, Span)]
    assert [span for span in spans if len(span)] == [Span(10, 20)]


def test_names_are_found_without_a_scan() -> None:
    """A million keys, one lookup for each namespace."""
    store = new_store(10**6)
    page = listed(store, "fieldSelector=metadata.name%3Dweb-0000007")
    assert [key for key, _ in content(page)] == ["a-b/web-0000007"]
