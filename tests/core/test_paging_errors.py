"""Pages that do not fit together: each failure by its own name, and before anything wrong is told where that can be."""

from collections.abc import Callable

import pytest

from proxy.core.errors import (
    DuplicateItemsError,
    InvalidJSONError,
    InvalidUTF8Error,
    ItemTooLargeError,
    ListError,
    PagesDisagreeError,
    TokenLoopError,
    TrailingDataError,
    TruncatedListError,
    UnstitchableError,
)
from proxy.core.events import Event
from proxy.core.joiner import join
from proxy.core.listoptions import next_page
from proxy.core.paging import MAX_EMPTY_PAGES, Page, Stitcher
from tests.core.feeding import MAX_ITEM_BYTES, WHOLE
from tests.core.recorded import VERSIONS
from tests.core.recorded import body as recorded
from tests.core.stitching import CUSTOM, LAYOUTS, NO_ROWS, PARTIAL, TABLE, TYPED, VERSION, Layout, read, stitch

ONE = ['{"metadata":{"name":"a"}}']
SOME = [f'{{"metadata":{{"name":"pod-{number}"}}}}' for number in range(5)]
by_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
METADATA_FIRST = {name: layout for name, layout in LAYOUTS.items() if not layout.metadata_last}


def unfinished(body: bytes) -> Page:
    """Return a page of which everything but the end of its last item has been read."""
    page = Page(MAX_ITEM_BYTES)
    page.feed(body[: body.rindex(b"}}]") + 1])
    assert page.opening == b"["
    return page


# --- resourceVersions -------------------------------------------------------------------------------------------------


@by_layout
@pytest.mark.parametrize("version", ["305", "", "0304", " 304"])
@pytest.mark.parametrize("at", [1, 2])
def test_page_of_another_version_is_refused(layout: Layout, version: str, at: int) -> None:
    """Only pages of one resourceVersion show one snapshot; nothing of the wrong page is told."""
    bodies = [layout.body(ONE, "a"), layout.body(ONE, "b"), layout.body(ONE)]
    bodies[at] = layout.body(ONE, "" if at == 2 else "b", version=version)
    stitcher = Stitcher()
    for body in bodies[:at]:
        stitcher.take(read(body))
    with pytest.raises(PagesDisagreeError):
        stitcher.take(read(bodies[at]))


@pytest.mark.parametrize("layout", METADATA_FIRST.values(), ids=METADATA_FIRST)
def test_wrong_version_is_seen_before_its_items_are_told(layout: Layout) -> None:
    """Where the metadata comes first, an oversized page of another version is refused at once."""
    stitcher = Stitcher()
    stitcher.take(read(layout.body(ONE, "a")))
    with pytest.raises(PagesDisagreeError):
        stitcher.take(unfinished(layout.body(SOME, "b", version="305")))
    assert stitcher.items == 1


def test_wrong_version_behind_the_items_ends_the_list_visibly() -> None:
    """Of a custom resource's oversized page the items have gone out; the end never does."""
    stitcher, body = Stitcher(), CUSTOM.body(SOME, version="305")
    stitcher.take(read(CUSTOM.body(ONE, "a")))
    page = unfinished(body)
    assert stitcher.take(page)
    page.feed(body[body.rindex(b"}}]") + 1 :])
    page.finish()
    with pytest.raises(PagesDisagreeError):
        stitcher.take(page)


@by_layout
@pytest.mark.parametrize("items", [ONE, []], ids=["items", "empty"])
def test_page_1_with_a_token_needs_a_version(layout: Layout, items: list[str]) -> None:
    """What has no resourceVersion cannot be compared with, so nothing of it is told."""
    with pytest.raises(UnstitchableError):
        Stitcher().take(read(layout.body(items, "a", version="")))


@by_layout
def test_list_on_one_page_needs_no_version(layout: Layout) -> None:
    """As that of componentstatuses, whose metadata is empty."""
    body = layout.body(ONE, version="")
    assert stitch([body]).body == body


# --- kinds and forms --------------------------------------------------------------------------------------------------


@by_layout
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"kind":"', b'"kind":"Other'),
        (b'"apiVersion":"', b'"apiVersion":"x/'),
        (b'"apiVersion":', b'"apiversion":'),
        (b'"kind":', b'"type":'),
    ],
    ids=["kind", "apiVersion", "no apiVersion", "no kind"],
)
@pytest.mark.parametrize("items", [ONE, []], ids=["items", "empty"])
def test_page_of_another_kind_is_refused(layout: Layout, old: bytes, new: bytes, items: list[str]) -> None:
    """Also where it has the right resourceVersion, and no items."""
    stitcher = Stitcher()
    stitcher.take(read(layout.body(ONE, "a")))
    other = layout.body(items).replace(old, new, 1)
    if b'"kind":"Table"' in layout.body([]) and b'"kind":"Table"' not in other:
        other = other.replace(b'"rows"', b'"items"')  # else it would be no List
    with pytest.raises(PagesDisagreeError):
        stitcher.take(read(other))


@pytest.mark.parametrize("other", [PARTIAL, TABLE, CUSTOM], ids=["partial", "Table", "custom"])
def test_page_in_another_form_is_refused(other: Layout) -> None:
    """An apiserver of another version behind the same address may print another form."""
    with pytest.raises(PagesDisagreeError):
        stitch([TYPED.body(ONE, "a"), other.body(ONE)])


def test_other_columns_are_refused() -> None:
    """A CRD's printer columns may change between two pages, and the apiserver may: rows belong to their columns."""
    more = Layout(TABLE.before.replace('"rows"', '"rows"').replace("}],", '},{"name":"Age"}],'), TABLE.behind)
    with pytest.raises(PagesDisagreeError):
        stitch([TABLE.body(['{"cells":["a"]}'], "x"), more.body(['{"cells":["b","1d"]}'])])


@pytest.mark.parametrize("turned", [False, True])
def test_page_with_its_metadata_elsewhere_is_refused(*, turned: bool) -> None:
    """With the head of one and the tail of the other the List would have two metadata, or none."""
    typed = Layout('{"apiVersion":"example.com/v1","kind":"WidgetList","metadata":%s,"items":', "}")
    first, last = (typed, CUSTOM) if turned else (CUSTOM, typed)
    with pytest.raises(PagesDisagreeError):
        stitch([first.body(ONE, "a"), last.body(ONE)])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["pods-pretty", "widgets-pretty"])
@pytest.mark.parametrize("size", [WHOLE, 7])
def test_indented_page_1_is_refused(version: str, name: str, size: int) -> None:
    """Recorded with a token: without it the metadata would have to be printed anew."""
    with pytest.raises(UnstitchableError):
        Stitcher().take(read(recorded(version, f"{name}.json"), size))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"kind":', b'"kind": '),
        (b'{"', b'{ "'),
        (b'"metadata":', b'"met\\u0061data":'),
        (b'"resourceVersion":', b'"resourceVersion" :'),
        (b'"continue"', b'"c\\u006fntinue"'),
        (b',"continue"', b', "continue"'),
        (b"},", b"} ,"),
    ],
)
def test_page_1_that_is_not_written_as_go_writes_is_refused(old: bytes, new: bytes) -> None:
    """One byte of white space or one escape in the head is enough: nothing is encoded anew."""
    body = TYPED.body(ONE, "a")
    odd = body.replace(old, new, 1)
    assert odd != body
    with pytest.raises(UnstitchableError):
        Stitcher().take(read(odd))


@by_layout
@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"metadata":', b'"metadata": '), (b"[{", b"[ {"), (b"}}]", b"}} ]"), (b"]", b"] "), (b"{", b"{ ")],
)
def test_later_page_is_written_as_page_1_or_refused(layout: Layout, old: bytes, new: bytes) -> None:
    """White space in its envelope makes it another server's; between the items it is theirs."""
    body = layout.body(SOME)
    at = body.rindex(old) if old == b"]" else body.index(old)
    odd = body[:at] + new + body[at + len(old) :]
    try:
        made = stitch([layout.body(ONE, "a"), odd]).body
    except ListError as error:
        assert isinstance(error, (UnstitchableError, PagesDisagreeError))  # noqa: PT017 (or none at all)
        return
    assert b"".join(made.split()) == b"".join(layout.body([*ONE, *SOME]).split())


# --- tokens -----------------------------------------------------------------------------------------------------------


@by_layout
@pytest.mark.parametrize("tokens", ["aa", "aba", "abca", "abb", "abcdefgc"])
@pytest.mark.parametrize("items", [ONE, []], ids=["items", "empty"])
def test_tokens_that_come_again_are_a_loop(layout: Layout, tokens: str, items: list[str]) -> None:
    """A loop of any length is seen when it closes; the List never ends cleanly."""
    stitcher = Stitcher()
    for token in tokens[:-1]:
        stitcher.take(read(layout.body(items, token)))
    with pytest.raises(TokenLoopError):
        stitcher.take(read(layout.body(items, tokens[-1])))


@pytest.mark.parametrize("layout", [TYPED, PARTIAL], ids=["typed", "partial"])
def test_empty_pages_without_end_are_a_loop(layout: Layout) -> None:
    """Every page has another token, and none has items."""
    stitcher = Stitcher()
    for number in range(MAX_EMPTY_PAGES):
        assert stitcher.take(read(layout.body([], f"token-{number}"))) == []
    with pytest.raises(TokenLoopError):
        stitcher.take(read(layout.body([], "another")))


def test_empty_pages_are_counted_in_a_row() -> None:
    """A single item shows that there is some way forward."""
    stitcher = Stitcher()
    for number in range(MAX_EMPTY_PAGES):
        stitcher.take(read(TYPED.body([], f"a-{number}")))
    stitcher.take(read(TYPED.body(ONE, "b")))
    for number in range(MAX_EMPTY_PAGES):
        stitcher.take(read(TYPED.body([], f"c-{number}")))
    with pytest.raises(TokenLoopError):
        stitcher.take(read(TYPED.body([], "d")))


@pytest.mark.parametrize("token", ["\\u0000", "\\ud83d\\ude00", "&x=1#", "%25", " +/=", "é", "a" * 5000])
def test_any_token_can_be_sent_back(token: str) -> None:
    """Tokens are opaque: whatever a server makes up goes back in a query of plain ASCII, and never to the client."""
    stitched = stitch([TYPED.body(ONE, token), TYPED.body(ONE)])
    query = next_page("a=b", stitched.tokens[0], 5)
    assert query.isascii()
    assert not set(query) & set(" #;\0")
    assert stitched.body == TYPED.body([*ONE, *ONE])


# --- metadata ---------------------------------------------------------------------------------------------------------

UNREADABLE = [
    "[]",
    "5",
    '"x"',
    "true",
    '{"continue":5}',
    '{"continue":{}}',
    '{"continue":["x"]}',
    '{"continue":true}',
    '{"resourceVersion":304}',
    '{"resourceVersion":{}}',
    '{"remainingItemCount":"3"}',
    '{"remainingItemCount":[]}',
    '{"remainingItemCount":1e400}',
    '{"remainingItemCount":%s}' % ("9" * 5000),
    '{"continue":"\\ud800"}',
    '{"\\ud800":1}',
]


@pytest.mark.parametrize("metadata", UNREADABLE, ids=lambda metadata: metadata[:40])
@pytest.mark.parametrize("layout", [TYPED, CUSTOM, PARTIAL], ids=["typed", "custom", "partial"])
@pytest.mark.parametrize("array", ["[{}]", "[]", "null"])
def test_metadata_that_is_none_is_refused(layout: Layout, metadata: str, array: str) -> None:
    """On page 1 the List can be had another way, on a later one it ends visibly; nothing is told of either."""
    with pytest.raises(UnstitchableError):
        Stitcher().take(read(layout.around(array, metadata)))
    stitcher = Stitcher()
    stitcher.take(read(layout.body(ONE, "a")))
    with pytest.raises(UnstitchableError):
        stitcher.take(read(layout.around(array, metadata)))


@pytest.mark.parametrize("layout", [TYPED, CUSTOM], ids=["typed", "custom"])
def test_later_page_without_metadata_is_refused(layout: Layout) -> None:
    """It cannot be of page 1's resourceVersion, as it has none."""
    bare = Layout(layout.before.replace('"metadata":%s,', ""), layout.behind.replace(',"metadata":%s', ""))
    assert b"metadata" not in bare.body([])
    with pytest.raises(PagesDisagreeError):
        stitch([layout.body(ONE, "a"), bare.body(ONE)])
    assert stitch([bare.body(ONE)]).body == bare.body(ONE)


@pytest.mark.parametrize("fields", ['"continue":"x","continue":"y"', '"resourceVersion":"1","resourceVersion":"304"'])
def test_field_that_comes_twice_is_refused_on_page_1(fields: str) -> None:
    """Parsers differ in which they keep."""
    metadata = f'{{"resourceVersion":"304","continue":"a",{fields}}}'
    with pytest.raises(UnstitchableError):
        Stitcher().take(read(TYPED.around("[{}]", metadata)))


def test_metadata_twice_in_the_head_is_refused() -> None:
    """Where either has a token."""
    twice = f'{{"resourceVersion":"{VERSION}"}},"metadata":{{"resourceVersion":"{VERSION}","continue":"x"}}'
    with pytest.raises(UnstitchableError):
        Stitcher().take(read(TYPED.around("[{}]", twice)))


def test_metadata_before_and_behind_the_items_is_refused() -> None:
    """Go merges both, and would have seen the token in the head; without it the List would seem complete."""
    body = TYPED.body(ONE, "a").replace(b"]}\n", b'],"metadata":{"resourceVersion":"304"}}\n')
    with pytest.raises(UnstitchableError):
        Stitcher().take(read(body))


@pytest.mark.parametrize(
    "metadata", ["null", '{"continue":null}', '{"resourceVersion":null}', '{"remainingItemCount":null}']
)
@pytest.mark.parametrize("layout", [TYPED, CUSTOM], ids=["typed", "custom"])
def test_null_in_metadata_is_nothing(layout: Layout, metadata: str) -> None:
    """To Go a null leaves a field as it is; servers that are not written in Go may print it."""
    body = layout.around("[{}]", metadata)
    assert stitch([body]).body == body


@pytest.mark.parametrize("count", ["0", "5.0", "5.5", "-0", "9" * 400])
def test_what_remains_may_be_any_number(count: str) -> None:
    """It is dropped, whatever it is."""
    first = TYPED.around("[{}]", f'{{"resourceVersion":"304","continue":"a","remainingItemCount":{count}}}')
    assert stitch([first, TYPED.body(ONE)]).body == TYPED.body(["{}", *ONE])


def test_token_of_an_unpaged_list_is_not_passed_on() -> None:
    """A server may give a page to who asked for none: what it gives becomes page 1."""
    stitched = stitch([TYPED.body(ONE, "a", remaining=1), TYPED.body(ONE)])
    assert b"continue" not in stitched.body


# --- bodies -----------------------------------------------------------------------------------------------------------

BROKEN: dict[str, tuple[Callable[[bytes], bytes], type[ListError]]] = {
    "truncated in an item": (lambda body: body[: body.index(b"name") + 2], TruncatedListError),
    "truncated in the tail": (lambda body: body[: body.rindex(b"}")], TruncatedListError),
    "empty": (lambda _: b"", TruncatedListError),
    "broken item": (lambda body: body.replace(b'"name":', b'"name"'), InvalidJSONError),
    "no comma": (lambda body: body.replace(b"}},{", b"}}{"), InvalidJSONError),
    "Status behind an item": (
        lambda body: body[: body.index(b"}},{") + 2] + b'{"kind":"Status","code":500}\n',
        InvalidJSONError,
    ),
    "Status behind the List": (lambda body: body + b'{"kind":"Status","code":500}\n', TrailingDataError),
    "items twice": (lambda body: body.replace(b"}}]", b'}}],"items":[]'), DuplicateItemsError),
    "not UTF-8": (lambda body: body.replace(b"pod-1", b"pod-\xff"), InvalidUTF8Error),
    "huge item": (lambda body: body.replace(b"pod-1", b"x" * (MAX_ITEM_BYTES + 1)), ItemTooLargeError),
    "huge token": (lambda body: body.replace(b"304", b"x" * (MAX_ITEM_BYTES + 1)), ItemTooLargeError),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("layout", [TYPED, CUSTOM], ids=["typed", "custom"])
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("size", [WHOLE, 1000])
def test_broken_page_is_refused_by_name(layout: Layout, name: str, at: int, size: int) -> None:
    """A page is judged as any List is, whichever it is."""
    breaks, expected = BROKEN[name]
    bodies = [layout.body(SOME, "a"), layout.body(SOME)]
    bodies[at] = breaks(bodies[at])
    with pytest.raises(expected):
        stitch(bodies, size)


@pytest.mark.parametrize("depth", [100, 900, 990, 995, 998, 999, 1000, 5000])
@pytest.mark.parametrize(
    "template",
    [
        '{"kind":"PodList","x":%s,"metadata":{},"items":[{}]}',
        '{"items":[{}],"x":%s}',
        '{"metadata":{"x":%s},"items":[{}]}',
        '{"x":%s,"items":null}',
    ],
)
def test_nesting_outside_the_items_ends_in_our_errors(template: str, depth: int) -> None:
    """As deep as the skeleton may go, and deeper: the parsers' own limits are not for the caller to know."""
    body = (template % ("[" * depth + "]" * depth)).encode()
    try:
        told = Stitcher().take(read(body))
    except ListError:
        assert depth > 900
    else:
        assert b"".join(join(told)) == body


# --- where the bytes are cut ------------------------------------------------------------------------------------------


@by_layout
def test_page_may_be_taken_at_any_byte(layout: Layout) -> None:
    """Also for the first time in the middle of its tail: where a chunk ends says nothing."""
    bodies = [layout.body(ONE, "a"), layout.body(SOME, "b"), layout.body(ONE)]
    whole = layout.body([*ONE, *SOME, *ONE])
    for at, body in enumerate(bodies):
        for end in range(body.rindex(b"]"), len(body)):
            stitcher = Stitcher()
            told: list[Event] = []
            for before in bodies[:at]:
                told += stitcher.take(read(before))
            page = Page(MAX_ITEM_BYTES)
            page.feed(body[:end])
            told += stitcher.take(page)
            page.feed(body[end:])
            page.finish()
            told += stitcher.take(page)
            for behind in bodies[at + 1 :]:
                told += stitcher.take(read(behind))
            assert b"".join(join(told)) == whole


@pytest.mark.parametrize("layout", [PARTIAL, NO_ROWS], ids=["partial", "Table"])
def test_null_may_be_taken_before_its_end(layout: Layout) -> None:
    """Nothing can be told of such a page until it is complete."""
    body = layout.body([], "a")
    stitcher, page = Stitcher(), Page(MAX_ITEM_BYTES)
    page.feed(body)
    assert stitcher.take(page) == []
    page.finish()
    assert stitcher.take(page) == []
    assert b"".join(join(stitcher.take(read(layout.body(ONE))))) == layout.body(ONE)


@pytest.mark.parametrize("first", [TYPED.body(ONE, "a"), TYPED.body([], "a"), TYPED.body([], "a", empty="null")])
@pytest.mark.parametrize(
    "odd",
    [
        b'{"kind": "PodList","apiVersion":"v1","metadata":{"resourceVersion":"304"},"items":null}\n',
        b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"304"},"items": null}\n',
        b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"304"},"items":null }\n',
        b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"304"},"it\\u0065ms":null}\n',
        b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"304"},"items":[ ]}\n',
        b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"304"},"items":[\n]\n}\n',
    ],
)
def test_oddly_written_last_page_of_nothing_ends_the_list(first: bytes, odd: bytes) -> None:
    """White space around a null or in an empty array never costs the List its end."""
    try:
        made = stitch([first, odd]).body
    except ListError:
        return
    page = read(made)
    assert page.is_list
    assert page.count == first.count(b"name")
