"""Pages of real servers and of made ones become the List that an unpaged response is, byte for byte."""

import json
import re

import pytest

from proxy.core.events import Items, Skeleton
from proxy.core.joiner import join
from proxy.core.paging import Page, Stitcher
from tests.core.feeding import CHUNK_BYTES, MAX_ITEM_BYTES, WHOLE
from tests.core.recorded import VERSIONS, exchanges
from tests.core.recorded import body as recorded
from tests.core.stitching import CUSTOM, LAYOUTS, PARTIAL, TABLE, TYPED, Layout, read, stitch

SEQUENCES = {
    "pods": ["pods-page1", "pods-page2", "pods-page3", "pods-page4"],
    "widgets": ["widgets-page1", "widgets-page2", "widgets-page3"],
    "pods-selector": ["pods-selector-page1", "pods-selector-page2"],
    "pods-table": ["pods-table-page1", "pods-table-page2", "pods-table-page3"],
    "widgets-table": ["widgets-table-page1", "widgets-table-page2"],
}
AGE = re.compile(rb'"(?:\d+[dhms])+"')
"""A cell that says how old an object was when the row was printed."""


def pages_of(version: str, names: list[str]) -> list[bytes]:
    """Return the bodies of a recorded sequence."""
    return [recorded(version, f"{name}.json") for name in names]


@pytest.mark.parametrize("eager", [False, True], ids=["whole", "eager"])
@pytest.mark.parametrize("size", [*CHUNK_BYTES, 1000])
@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_pages_make_the_recorded_list(version: str, name: str, size: int, *, eager: bool) -> None:
    """What a server gave in pages equals what it gave at once; of a Table all but the ages."""
    stitched = stitch(pages_of(version, SEQUENCES[name]), size, eager=eager)
    whole = recorded(version, f"{name}.json")
    if name == "pods-table":
        assert AGE.sub(b'"AGE"', stitched.body) == AGE.sub(b'"AGE"', whole)
    else:
        assert stitched.body == whole
    assert stitched.tokens[-1] == ""
    assert stitched.stitcher.version == json.loads(whole)["metadata"]["resourceVersion"]
    assert not stitched.stitcher.is_verbatim


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SEQUENCES)
def test_recorded_tokens_are_those_that_were_used(version: str, name: str) -> None:
    """The token that a page's metadata gives is the one with which the recorded client went on."""
    targets = {exchange.name: exchange.target for exchange in exchanges() if exchange.version == version}
    stitched = stitch(pages_of(version, SEQUENCES[name]))
    used = [targets[page].partition("continue=")[2].partition("&")[0] for page in SEQUENCES[name]]
    assert ["", *stitched.tokens[:-1]] == used
    assert not any(token and token.encode() in stitched.body for token in stitched.tokens)
    assert b"remainingItemCount" not in stitched.body


UNPAGED = [
    "pods",
    "pods-ns-a",
    "pods-empty",
    "pods-rv0",
    "pods-rv0-limit",
    "pods-partial",
    "pods-partial-empty",
    "pods-table",
    "pods-table-empty",
    "widgets",
    "widgets-empty",
    "widgets-partial",
    "widgets-table",
    "componentstatuses",
    "nodes",
    "secrets",
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", UNPAGED)
@pytest.mark.parametrize("size", [WHOLE, 7])
def test_list_that_fits_on_page_1_is_untouched(version: str, name: str, size: int) -> None:
    """Without a token page 1 is the List, also where it has no resourceVersion."""
    whole = recorded(version, f"{name}.json")
    stitched = stitch([whole], size)
    assert stitched.body == whole
    assert stitched.tokens == [""]
    assert stitched.stitcher.is_verbatim


def numbered(first: int, stop: int) -> list[str]:
    """Return small items."""
    return [f'{{"metadata":{{"name":"pod-{number}"}}}}' for number in range(first, stop)]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(
    "counts",
    [
        [0], [1], [3], [0, 0], [1, 0], [0, 1], [2, 0, 0, 2], [0, 2, 0], [0, 0, 0], [1, 1, 1], [0, 0, 5, 0, 0, 1, 0],
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("size", [WHOLE, 1, 5])
def test_any_counts_of_items_make_one_list(layout: Layout, counts: list[int], size: int) -> None:
    """Pages loop on the token: empty ones may come anywhere, and a List of none keeps its form of nothing."""
    starts = [sum(counts[:at]) for at in range(len(counts) + 1)]
    bodies = [
        layout.body(numbered(starts[at], starts[at + 1]), "" if at + 1 == len(counts) else f"token-{at}")
        for at in range(len(counts))
    ]
    stitched = stitch(bodies, size)
    assert stitched.body == layout.body(numbered(0, sum(counts)))
    assert [page.count for page in stitched.pages] == counts
    assert [page.weight for page in stitched.pages] == [
        sum(map(len, numbered(starts[at], starts[at + 1]))) for at in range(len(counts))
    ]
    assert stitched.stitcher.is_verbatim == (len(counts) == 1)


@pytest.mark.parametrize("empty", ["[]", "null"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_form_of_nothing_does_not_matter_where_there_are_items(layout: Layout, empty: str) -> None:
    """An empty page may print ``null`` though others have arrays."""
    bodies = [
        layout.body([], "a", empty=empty),
        layout.body(numbered(0, 2), "b"),
        layout.body([], "c", empty=empty),
        layout.body(numbered(2, 3), "d"),
        layout.body([], empty=empty),
    ]
    assert stitch(bodies).body == layout.body(numbered(0, 3))


def test_other_metadata_stays() -> None:
    """Of page 1's metadata only what paging has added goes: selfLink and shardInfo stay, where they stood."""
    link, shard = '"/api/v1/pods"', '{"selector":"shardRange(\\"continue\\",\\"remainingItemCount\\")"}'
    first = TYPED.body(numbered(0, 2), "x", remaining=1, link=link, shard=shard)
    last = TYPED.body(numbered(2, 3), link=link, shard=shard)
    assert stitch([first, last]).body == TYPED.body(numbered(0, 3), link=link, shard=shard)


def test_remaining_count_without_a_token_goes_too() -> None:
    """A page that counts what remains has been changed, also where it is the only one."""
    stitched = stitch([TYPED.body(numbered(0, 2), remaining=0)])
    assert stitched.body == TYPED.body(numbered(0, 2))
    assert not stitched.stitcher.is_verbatim


def test_last_tail_of_a_custom_resource_is_kept_as_it_is() -> None:
    """Its metadata comes last, with an empty token; so does whatever else a server writes there."""
    first = CUSTOM.body(numbered(0, 1), "x", remaining=1, link='"/apis"')
    last = b'{"apiVersion":"example.com/v1","items":[{}],"kind":"WidgetList","metadata":%s}\n\n'
    metadata = b'{"continue":"","resourceVersion":"304","selfLink":"/apis"}'
    whole = b'{"apiVersion":"example.com/v1","items":[%s,{}],"kind":"WidgetList","metadata":%s}\n\n'
    assert stitch([first, last % metadata]).body == whole % (numbered(0, 1)[0].encode(), metadata)


def test_items_that_speak_of_paging_are_untouched() -> None:
    """What looks like metadata inside of items, columns or names is none."""
    items = [
        '{"continue":"x","metadata":{"continue":"y","remainingItemCount":3},"items":[{"items":null}]}',
        '{"x":"],\\"kind\\":\\"WidgetList\\",\\"metadata\\":{\\"continue\\":\\"z\\"}}"}',
        '{"rows":[],"kind":"Table","metadata":{"resourceVersion":"1"}}',
        '{"é":"\U0001f600","\\u00e9":"\\ud83d\\ude00","k":"\\u003c"}',
    ]
    for layout in LAYOUTS.values():
        bodies = [layout.body(items[:1], "a"), layout.body(items[1:3], "b"), layout.body(items[3:])]
        assert stitch(bodies, 3).body == layout.body(items)


def test_huge_items_and_tiny_ones_share_a_page() -> None:
    """An item larger than a batch stands between smaller ones, first and last on its page."""
    huge = '{"metadata":{"name":"huge"},"data":"' + "x" * 600_000 + '"}'
    items = [huge, *numbered(0, 100), huge, "{}", huge]
    for layout in (TYPED, CUSTOM):
        bodies = [layout.body(items[:1], "a"), layout.body(items[1:102], "b"), layout.body(items[102:])]
        for eager in (False, True):
            assert stitch(bodies, 100_003, eager=eager).body == layout.body(items)


def test_values_that_no_kubernetes_list_has_are_items_too() -> None:
    """Scalars and arrays, whose end only what follows can tell."""
    items = ["1", "null", '"a,b"', "[]", "true", "[[1],{}]", "-1.5e3"]
    for layout in LAYOUTS.values():
        for at in range(len(items)):
            assert stitch([layout.body(items[:at], "a"), layout.body(items[at:])], 1).body == layout.body(items)


# --- what is told when ------------------------------------------------------------------------------------------------


def test_nothing_is_told_before_the_first_item() -> None:
    """Until an item begins everything may begin anew; with it comes the head."""
    stitcher = Stitcher()
    for at in range(3):
        assert stitcher.take(read(TYPED.body([], f"token-{at}"))) == []
        assert not stitcher.is_told
    body = TYPED.body(numbered(0, 2), "b")
    begins = body.index(b'[{"metadata"') + 1
    page = Page(MAX_ITEM_BYTES)
    page.feed(body[:begins])
    assert stitcher.take(page) == []
    assert not stitcher.is_told
    page.feed(body[begins : begins + 1])
    told = stitcher.take(page)
    assert stitcher.is_told
    assert [type(event) for event in told] == [Skeleton]
    page.feed(body[begins + 1 :])
    page.finish()
    items = stitcher.take(page)
    assert all(isinstance(event, Items) for event in items)
    told += items
    assert b"".join(join(told)) == TYPED.body(numbered(0, 2))[:-3]


def test_end_is_told_with_the_last_page_only() -> None:
    """A List without items is told as a whole, and then nothing more is."""
    stitcher = Stitcher()
    assert stitcher.take(read(PARTIAL.body([], "a"))) == []
    assert stitcher.token == "a"
    assert b"".join(join(stitcher.take(read(PARTIAL.body([]))))) == PARTIAL.body([])
    assert stitcher.token == ""


@pytest.mark.parametrize("layout", [TYPED, CUSTOM, TABLE], ids=["typed", "custom", "Table"])
def test_oversized_page_is_told_item_by_item(layout: Layout) -> None:
    """What is taken of an unfinished page leaves it: only its envelope and an unfinished item are held."""
    stitcher, page = Stitcher(), Page(MAX_ITEM_BYTES)
    body = layout.body(numbered(0, 1000), "a")
    told = []
    start = body.index(b'[{"metadata"') + 1
    page.feed(body[:start])
    assert stitcher.take(page) == []
    for at in range(start, len(body), 300):
        page.feed(body[at : at + 300])
        held = page.held
        events = stitcher.take(page)
        assert page.held == held - sum(
            len(event.lead) + len(event.data) for event in events if isinstance(event, Items)
        )
        assert page.held < 300 + start + 300
        told += events
    assert stitcher.items == 1000
    page.finish()
    told += stitcher.take(page)
    told += stitcher.take(read(layout.body(numbered(1000, 1001))))
    assert b"".join(join(told)) == layout.body(numbered(0, 1001))


def test_nothing_is_told_twice() -> None:
    """Taking again without having read more brings nothing."""
    stitcher, page = Stitcher(), Page(MAX_ITEM_BYTES)
    page.feed(TYPED.body(numbered(0, 3), "a")[:-4])
    assert stitcher.take(page)
    assert stitcher.take(page) == []
    assert page.take_items() == []
    assert page.count == stitcher.items == 2


def test_page_reports_what_it_has() -> None:
    """Before its array opens a page is no List, and has no metadata; then it has, where that comes first."""
    page = Page(MAX_ITEM_BYTES)
    assert not page.is_list
    assert page.metadata() is None
    body = TYPED.body(numbered(0, 2), "a", remaining=7)
    opens = body.index(b"[") + 1
    page.feed(body[: opens - 1])
    assert not page.is_list
    page.feed(body[opens - 1 : opens])
    assert page.is_list
    assert not page.is_complete
    assert (page.before, page.opening, page.after) == (body[: opens - 1], b"[", b"")
    metadata = page.metadata()
    assert metadata is not None
    assert (metadata.version, metadata.token, metadata.remaining) == ("304", "a", 7)
    page.feed(body[opens:])
    page.finish()
    assert page.is_complete
    assert page.after == b"]}\n"
    assert page.metadata() == metadata


@pytest.mark.parametrize("layout", [PARTIAL, CUSTOM], ids=["typed", "custom"])
def test_null_divides_a_page_as_an_array_would(layout: Layout) -> None:
    """A page whose items are null has a beginning and an end of the same form as any other."""
    page, other = read(layout.body([], empty="null")), read(layout.body([], empty="[]"))
    assert page.is_list
    assert (page.before, page.after) == (other.before, other.after)
    assert (page.opening, other.opening) == (b"null", b"[")
    assert page.envelope().metadata == other.envelope().metadata


@pytest.mark.parametrize("body", [b"{}", b'{"kind":"Status","metadata":{},"code":403}\n', b"[1]", b"17", b'"items"'])
def test_what_is_no_list_says_so(body: bytes) -> None:
    """Such a page holds its whole body as what stands before the items."""
    page = read(body, 1)
    assert not page.is_list
    assert page.before == body
    assert page.opening == page.after == b""
    assert page.count == page.weight == 0


@pytest.mark.parametrize("name", ["pods", "widgets"])
def test_stitched_list_reads_like_the_pages(name: str) -> None:
    """A plain JSON parser finds all items in their order, and no sign of paging but the empty token."""
    pages = pages_of("v1.36", SEQUENCES[name])
    document = json.loads(stitch(pages, 100).body)
    assert document["items"] == [item for page in pages for item in json.loads(page)["items"]]
    assert document["metadata"] in ({"resourceVersion": "304"}, {"resourceVersion": "304", "continue": ""})


def test_next_token_is_foreseen_where_the_page_fits() -> None:
    """The head of a page tells where the one after it continues, before any of it has been taken."""
    stitcher, first = Stitcher(), read(TYPED.body(numbered(0, 2), "a"))
    assert stitcher.foresee(Page(MAX_ITEM_BYTES)) == ""
    assert stitcher.foresee(first) == "a"
    stitcher.take(first)
    begun = Page(MAX_ITEM_BYTES)
    begun.feed(TYPED.body(numbered(2, 4), "b")[:-20])
    assert stitcher.foresee(begun) == "b"
    assert stitcher.foresee(read(TYPED.body(numbered(2, 4)))) == ""
    assert stitcher.foresee(read(TYPED.body(numbered(2, 4), "a"))) == "", "a token that came before"
    assert stitcher.foresee(read(TYPED.body(numbered(2, 4), "b", version="301"))) == ""
    assert stitcher.foresee(read(TABLE.body(numbered(2, 4), "b"))) == ""
