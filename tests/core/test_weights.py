"""What items weigh: how many make a page, what is forgotten, and what is known of resources besides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.negotiation import Form
from proxy.core.weights import (
    DISTRUST_SECONDS,
    FIRST_PAGE_ITEMS,
    GROWTH,
    MAX_RESOURCES,
    MEMORY_ITEMS,
    Key,
    Weights,
)

PAGE_BYTES, PAGE_ITEMS, PAGE_LIMIT_BYTES = 2 << 20, 500, 64 << 20
SECRETS, PODS = ("", "secrets"), ("", "pods")
FORMS: list[Form] = ["object", "table", "partial"]


def weights() -> Weights:
    """Return a table of which nothing is known, with the default settings."""
    return Weights(PAGE_BYTES, PAGE_ITEMS, PAGE_LIMIT_BYTES)


def taught(key: Key, item_bytes: int, form: Form = "object", count: int = 10) -> Weights:
    """Return a table that has seen some items of one size."""
    known = weights()
    known.learn_items(key, form, count, count * item_bytes)
    return known


# --- the size of a page -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_pages_of_what_is_unknown_grow_tenfold(form: Form) -> None:
    """Where pages stay empty nothing is learnt, and still they grow no faster."""
    known, asked, sizes = weights(), 0, []
    for _ in range(5):
        asked = known.page_items(PODS, form, asked)
        sizes.append(asked)
    assert sizes == [5, 50, 500, 500, 500]


@pytest.mark.parametrize(
    ("item_bytes", "expected"),
    [
        (1, 500),
        (4000, 500),
        (4195, 499),
        (10_000, 209),
        (1 << 20, 2),
        (PAGE_BYTES - 1, 1),
        (PAGE_BYTES, 1),
        (PAGE_BYTES + 1, 1),
        (1 << 40, 1),
    ],
)
def test_page_aims_at_its_bytes(item_bytes: int, expected: int) -> None:
    """Never over ``page_items``, and never none."""
    assert taught(PODS, item_bytes).page_items(PODS, "object") == expected


@pytest.mark.parametrize("before", [1, 5, 7, 49, 50, 500])
def test_no_page_asks_for_more_than_ten_times_the_last(before: int) -> None:
    """What few items weigh is a weak promise for many."""
    assert taught(PODS, 100).page_items(PODS, "object", before) == min(GROWTH * before, PAGE_ITEMS)


def test_pages_shrink_at_once() -> None:
    """What turns out heavy is asked for in small pages from the next one on."""
    known = taught(SECRETS, 1000)
    assert known.page_items(SECRETS, "object") == 500
    known.learn_items(SECRETS, "object", 500, 500 * 1_400_000)
    assert known.page_items(SECRETS, "object", 500) == 1


@pytest.mark.parametrize("page_items", [1, 3, 5, 7])
def test_small_settings_hold_for_the_first_page_too(page_items: int) -> None:
    """``page_items`` is a promise, whatever is known."""
    known = Weights(PAGE_BYTES, page_items, PAGE_LIMIT_BYTES)
    assert known.page_items(PODS, "object") == min(page_items, FIRST_PAGE_ITEMS)
    assert known.page_items(PODS, "object", page_items) == page_items


@pytest.mark.parametrize("light", ["table", "partial"])
def test_rows_say_little_of_the_objects_behind_them(light: Form) -> None:
    """After `kubectl get secrets` the first List of whole Secrets begins as if nothing was known."""
    known = taught(SECRETS, 1500, light, 100)
    assert known.page_items(SECRETS, "object") == FIRST_PAGE_ITEMS
    assert known.page_items(SECRETS, light) == 500


@pytest.mark.parametrize("light", ["table", "partial"])
def test_rows_are_as_heavy_as_their_objects(light: Form) -> None:
    """The server reads whole objects for each row."""
    known = taught(SECRETS, 1 << 20)
    known.learn_items(SECRETS, light, 100, 100 * 1000)
    assert known.page_items(SECRETS, light) == 2


def test_resources_do_not_share_their_weights() -> None:
    """Neither do those of one name in two groups."""
    known = taught(("", "events"), 1 << 20)
    known.learn_items(("events.k8s.io", "events"), "object", 100, 100 * 1000)
    assert known.page_items(("", "events"), "object") == 2
    assert known.page_items(("events.k8s.io", "events"), "object") == 500
    assert known.page_items(("", "pods"), "object") == FIRST_PAGE_ITEMS


@given(
    st.lists(st.tuples(st.sampled_from(FORMS), st.integers(0, 5000), st.integers(2, 3_000_000)), max_size=8),
    st.integers(0, 500),
    st.sampled_from(FORMS),
)
def test_page_is_always_within_its_bounds(learnt: list[tuple[Form, int, int]], before: int, form: Form) -> None:
    """Whatever was learnt: at least one item, at most what settings and growth allow, and about the bytes aimed at."""
    known = weights()
    for seen, count, item_bytes in learnt:
        known.learn_items(PODS, seen, count, count * item_bytes)
    asked = known.page_items(PODS, form, before)
    assert 1 <= asked <= min(PAGE_ITEMS, GROWTH * before or PAGE_ITEMS)
    lightest = min((size for _, count, size in learnt if count), default=0)
    assert asked * lightest <= max(PAGE_BYTES, lightest)


# --- what is learnt ---------------------------------------------------------------------------------------------------


def test_nothing_is_learnt_of_no_items() -> None:
    """An empty page has no weight."""
    known = taught(PODS, 1 << 20)
    for _ in range(100):
        known.learn_items(PODS, "object", 0, 0)
    assert known.page_items(PODS, "object") == 2


def test_mean_is_of_items_not_of_lists() -> None:
    """One List of many weighs as much as many Lists of one."""
    known = weights()
    known.learn_items(PODS, "object", 99, 99 * 1000)
    known.learn_items(PODS, "object", 1, 901_000)
    assert known.page_items(PODS, "object") == int(PAGE_BYTES / 10_000)


def test_old_items_fade() -> None:
    """A million light items of the past do not hide that a thousand heavy ones follow."""
    known = weights()
    for _ in range(1000):
        known.learn_items(SECRETS, "object", 1000, 1000 * 1000)
    known.learn_items(SECRETS, "object", MEMORY_ITEMS, MEMORY_ITEMS << 20)
    assert known.page_items(SECRETS, "object") <= 4
    for _ in range(10):
        known.learn_items(SECRETS, "object", MEMORY_ITEMS, MEMORY_ITEMS * 1000)
    assert known.page_items(SECRETS, "object") < 10, "light Lists should not hide a heavy one so soon"
    assert known.page_items(SECRETS, "object", 50) == 500, "inside a List its own pages tell"
    for _ in range(140):
        known.learn_items(SECRETS, "object", MEMORY_ITEMS, MEMORY_ITEMS * 1000)
    assert known.page_items(SECRETS, "object") == 500


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 5_000_000)), min_size=1, max_size=30))
def test_mean_lies_between_what_was_seen(learnt: list[tuple[int, int]]) -> None:
    """Fading changes how much counts, never what."""
    known = weights()
    for count, item_bytes in learnt:
        known.learn_items(PODS, "object", count, count * item_bytes)
    sizes = [item_bytes for _, item_bytes in learnt]
    most, least = (max(1, min(PAGE_ITEMS, PAGE_BYTES // size)) for size in (min(sizes), max(sizes)))
    assert least <= known.page_items(PODS, "object") <= most + 1


# --- a client's own limit ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item_bytes", "limit", "expected"),
    [
        (1000, 500, 500),
        (1 << 20, 500, 64),
        (1 << 20, 64, 64),
        (1 << 20, 63, 63),
        (1 << 20, 1, 1),
        (100 << 20, 500, 1),
        (1 << 20, 0, 0),
        (1, (1 << 63) - 1, PAGE_LIMIT_BYTES),
    ],
)
def test_limit_is_lowered_but_never_raised(item_bytes: int, limit: int, expected: int) -> None:
    """Where its page would weigh more than ``page_limit_bytes``."""
    assert taught(SECRETS, item_bytes).lowered(SECRETS, limit) == expected


@pytest.mark.parametrize("limit", [0, 1, 500, (1 << 63) - 1])
def test_limit_stays_where_nothing_is_known(limit: int) -> None:
    """A client that pages itself knows what it asks for."""
    assert weights().lowered(PODS, limit) == limit


@pytest.mark.parametrize(
    ("size", "expected"), [(0, False), (PAGE_LIMIT_BYTES, False), (PAGE_LIMIT_BYTES + 1, True), (1 << 40, True)]
)
def test_list_is_heavy_by_its_last_size(size: int, *, expected: bool) -> None:
    """Of everything; a later, smaller List makes it light again."""
    known = weights()
    assert not known.is_heavy(PODS)
    known.learn_list(PODS, size)
    assert known.is_heavy(PODS) == expected
    known.learn_list(PODS, 1)
    assert not known.is_heavy(PODS)


# --- trust ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0.0, 0.5, 1e9])
def test_distrust_passes(start: float) -> None:
    """For ten minutes, of one resource; another failure begins them anew."""
    known = weights()
    assert not known.is_distrusted(PODS, start)
    known.distrust(PODS, start)
    assert known.is_distrusted(PODS, start)
    assert known.is_distrusted(PODS, start + DISTRUST_SECONDS - 1)
    assert not known.is_distrusted(PODS, start + DISTRUST_SECONDS)
    assert not known.is_distrusted(SECRETS, start)
    known.distrust(PODS, start + 500)
    assert known.is_distrusted(PODS, start + 500 + DISTRUST_SECONDS - 1)


def test_foreign_stays_foreign() -> None:
    """Of one resource, whatever else is learnt of it."""
    known = weights()
    assert not known.is_foreign(("example.com", "widgets"))
    known.learn_foreign(("example.com", "widgets"), is_foreign=True)
    known.learn_items(("example.com", "widgets"), "object", 1, 1)
    assert known.is_foreign(("example.com", "widgets"))
    assert not known.is_foreign(("example.com", "gadgets"))


# --- the table is bounded ---------------------------------------------------------------------------------------------


def test_oldest_of_too_many_resources_is_forgotten() -> None:
    """What was learnt of last is kept; what has been forgotten is as good as never seen."""
    known = taught(SECRETS, 1 << 20)
    known.distrust(PODS, 0.0)
    for number in range(MAX_RESOURCES - 2):
        known.learn_items(("x", f"r{number}"), "object", 1, 1)
    known.learn_items(SECRETS, "object", 1, 1 << 20)
    known.learn_list(("x", "one-more"), 1)
    assert not known.is_distrusted(PODS, 1.0)
    assert known.page_items(SECRETS, "object") == 2
    assert known.page_items(("x", "r0"), "object") == 500
    known.learn_foreign(("x", "and-another"), is_foreign=True)
    assert known.page_items(("x", "r0"), "object") == FIRST_PAGE_ITEMS


def test_questions_push_nothing_out() -> None:
    """Who asks for resources that do not exist must not make the proxy forget those that do."""
    known = taught(SECRETS, 1 << 20)
    known.distrust(PODS, 0.0)
    known.learn_foreign(("example.com", "widgets"), is_foreign=True)
    for number in range(2 * MAX_RESOURCES):
        key = ("x", f"r{number}")
        known.page_items(key, "object")
        known.lowered(key, 5)
        assert not any((known.is_heavy(key), known.is_foreign(key), known.is_distrusted(key, 0.0)))
    assert known.page_items(SECRETS, "object") == 2
    assert known.is_distrusted(PODS, 1.0)
    assert known.is_foreign(("example.com", "widgets"))
