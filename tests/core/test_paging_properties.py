"""Any List in any pages and any chunks is itself again; pages that lie end in our own errors, never in a short List."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from proxy.core.errors import ListError
from proxy.core.events import Event
from proxy.core.joiner import join
from proxy.core.paging import Page, Stitcher
from tests.core.feeding import MAX_ITEM_BYTES
from tests.core.stitching import CUSTOM, LAYOUTS, PARTIAL, TABLE, TYPED, VERSION, Layout
from tests.core.strategies import TEXT, chunkings, chunks, objects, texts

ITEMS = st.one_of(
    objects(),
    texts(),
    st.sampled_from(['{"metadata":{', '"continue":"x"', "]}", '"items":[', '"items":null']).map(
        lambda text: json.dumps({"metadata": {"name": text}, text: [text]})
    ),
    st.sampled_from(
        ['{"continue":"x","remainingItemCount":1}', '{"metadata":{"resourceVersion":"1"}}', "{}", "[]", "1"]
    ),
)
TOKENS = st.one_of(
    st.text("abcXYZ019-_=", min_size=1, max_size=9),
    st.text(min_size=1, max_size=5),
)  # fmt: skip


@st.composite
def paged(draw: st.DrawFn) -> tuple[Layout, list[list[str]], list[bytes], bytes]:
    """Draw a List: its layout, the items of each page, the pages, and the body that they should make."""
    layout = draw(st.sampled_from(list(LAYOUTS.values())))
    pages = draw(st.lists(st.lists(ITEMS, max_size=5), min_size=1, max_size=6))
    items = [item for page in pages for item in page]
    tokens = [*draw(st.lists(TOKENS, min_size=len(pages) - 1, max_size=len(pages) - 1, unique=True)), ""]
    link = draw(st.sampled_from(["", "", '"/api/v1"', '"\\"continue\\":\\"x\\""']))
    shard = "" if layout is CUSTOM else draw(st.sampled_from(["", "", '{"selector":"continue"}']))
    version = draw(st.sampled_from([VERSION, "1", "18446744073709551615"]))
    bodies = []
    for page, token in zip(pages, tokens, strict=True):
        remaining = draw(st.none() | st.integers(-1, 1 << 63)) if token else None
        empty = draw(st.sampled_from(["[]", "null"])) if items else layout.empty
        quoted = json.dumps(token, ensure_ascii=draw(st.booleans()))[1:-1]
        bodies.append(
            layout.body(page, quoted, remaining=remaining, version=version, link=link, shard=shard, empty=empty)
        )
    return layout, pages, bodies, layout.body(items, version=version, link=link, shard=shard)


@settings(max_examples=250)
@given(paged(), chunkings(), st.lists(st.booleans(), min_size=1, max_size=7))
def test_any_pages_in_any_chunks_are_the_list(
    drawn: tuple[Layout, list[list[str]], list[bytes], bytes], sizes: list[int], moments: list[bool]
) -> None:
    """Whatever the pages, their chunks and the moments at which an unfinished page is taken from."""
    _, pages, bodies, whole = drawn
    stitcher = Stitcher()
    told: list[Event] = []
    turn = 0
    for number, (body, items) in enumerate(zip(bodies, pages, strict=True), 1):
        page = Page(MAX_ITEM_BYTES)
        for chunk in chunks(body, sizes):
            page.feed(chunk)
            turn += 1
            if moments[turn % len(moments)]:
                told += stitcher.take(page)
                assert bool(told) == stitcher.is_told == (page.has_item or any(pages[: number - 1]))
        page.finish()
        told += stitcher.take(page)
        assert stitcher.is_told == any(pages[:number])
        assert bool(told) == (stitcher.is_told or number == len(bodies))
        assert page.count == len(items)
        assert page.weight == sum(len(item.encode()) for item in items)
        assert stitcher.pages == number
        assert bool(stitcher.token) == (number < len(bodies))
    assert b"".join(join(told)) == whole
    assert stitcher.items == sum(map(len, pages))
    assert stitcher.is_verbatim == (len(pages) == 1)


@given(paged(), st.data())
def test_no_page_that_ends_early_is_taken_for_complete(
    drawn: tuple[Layout, list[list[str]], list[bytes], bytes], data: st.DataObject
) -> None:
    """A page cut anywhere before its last bracket ends the List visibly."""
    bodies = list(drawn[2])
    at = data.draw(st.integers(0, len(bodies) - 1))
    body = bodies[at].rstrip()
    bodies[at] = body[: data.draw(st.integers(0, len(body) - 1))]
    assert outcome(bodies, data.draw(chunkings())) == "TruncatedListError"


def outcome(bodies: Sequence[bytes], sizes: list[int], *, eager: bool = False) -> str:
    """Return what becomes of pages: a ListError, the need for more of them, or a List that lacks nothing of any.

    `eager` takes what there is after every chunk.
    """
    stitcher = Stitcher()
    told: list[Event] = []
    items: list[object] = []
    for body in bodies:
        page = Page(MAX_ITEM_BYTES)
        try:
            for chunk in chunks(body, sizes):
                page.feed(chunk)
                told += stitcher.take(page) if eager else []
            page.finish()
            if not page.is_list:
                return "no List"
            told += stitcher.take(page)
        except ListError as error:
            return type(error).__name__
        document = parse(body)
        items += document["rows" if document.get("kind") == "Table" else "items"] or []
        if not stitcher.token:
            break
    if stitcher.token:
        return "unfinished"
    made = parse(b"".join(join(told)))
    assert (made["rows" if made.get("kind") == "Table" else "items"] or []) == items
    assert not (made.get("metadata") or {}).get("continue")
    return "List"


def parse(body: bytes) -> dict[str, Any]:
    """Parse without Python's limit on integers, which is no rule of JSON."""
    document: dict[str, Any] = json.loads(body.decode(), parse_int=str)
    return document


METADATA = [
    b'"metadata":{},',
    b'"metadata":null,',
    b',"metadata":{"continue":"x","resourceVersion":"304"}',
    b'"continue":"",',
    b'"continue":"zz",',
    b'"continue":5,',
    b'"continue":null,',
    b'"resourceVersion":"305",',
    b'"resourceVersion":null,',
    b'"remainingItemCount":1,',
    b'"kind":"PodList",',
    b'"items":[],',
    b'"items":null,',
    b'"rows":null,',
    b'"items":[{}],',
    b" ",
    b"\n",
    b"{}",
    b"[]",
    b"\\ud800",
    b"\xff",
    b"\xed\xa0\x80",
    b"1" * 5000,
    *(bytes((byte,)) for byte in b'[]{},:"\\ \x00-e.tfnu'),
]


@st.composite
def liars(draw: st.DrawFn) -> list[bytes]:
    """Draw three pages with a few bytes of them changed."""
    layout = draw(st.sampled_from([TYPED, CUSTOM, TABLE, PARTIAL]))
    counts = draw(st.sampled_from([[2, 1, 2], [0, 1, 0], [0, 0, 0], [1, 0, 0], [2, 2, 0]]))
    item = '{"metadata":{"name":"a","continue":"b"}}'
    bodies = [
        bytearray(layout.body([item] * count, token)) for count, token in zip(counts, ["a", "b", ""], strict=True)
    ]
    for _ in range(draw(st.integers(1, 3))):
        body = draw(st.sampled_from(bodies))
        marks = [at for at in range(len(body)) if body[at] in b'{}[]",:']
        at = draw(st.sampled_from(marks) | st.integers(0, len(body))) + draw(st.integers(0, 1))
        match draw(st.sampled_from(["insert", "insert", "delete", "flip", "repeat", "copy", "truncate"])):
            case "insert":
                body[at:at] = draw(st.sampled_from(METADATA))
            case "delete":
                del body[at : at + draw(st.integers(1, 40))]
            case "flip":
                body[at : at + 1] = bytes((draw(st.integers(0, 255)),))
            case "repeat":
                body[at:at] = body[at : at + draw(st.integers(1, 80))]
            case "copy":
                body[:] = draw(st.sampled_from(bodies))
            case _:
                del body[at:]
        if not body:
            break
    return [bytes(body) for body in bodies]


@settings(max_examples=800, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(liars(), chunkings())
def test_pages_that_lie_end_in_our_errors(bodies: list[bytes], sizes: list[int]) -> None:
    """Nothing but ListErrors is raised, and what ends cleanly is JSON with every item of every page."""
    result = outcome(bodies, sizes)
    event(result)
    assert outcome(bodies, [1 << 20]) == result
    early = outcome(bodies, sizes, eager=True)
    assert early == result or not {early, result} & {"List", "unfinished", "no List"}


JUNK = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(METADATA), max_size=12).map(b"".join),
    st.lists(st.sampled_from(METADATA), max_size=6).map(lambda words: b'{"items":[' + b"".join(words)),
)


@settings(max_examples=300)
@given(st.lists(JUNK, min_size=1, max_size=3), st.booleans(), chunkings())
@example([b'{"items":null}'], False, [1])
@example([b'{ "items":null}'], True, [1])
@example([b'{"items":null,"items":null}'], True, [1])
@example([b'{"metadata":5,"items":null}'], True, [1])
def test_junk_ends_in_our_errors(bodies: list[bytes], behind: bool, sizes: list[int]) -> None:
    """Any bytes at all, as page 1 or as a later one."""
    event(outcome([TYPED.body(["{}"], "a"), *bodies] if behind else bodies, sizes))


@given(texts(TEXT), st.sampled_from([TYPED, CUSTOM, TABLE]), st.integers(1, 9))
def test_metadata_of_any_form_ends_in_our_errors(text: str, layout: Layout, size: int) -> None:
    """ListMeta in which any field is any text, or which is itself a text."""
    for metadata in (
        text,
        f'{{"continue":{text}}}',
        f'{{"resourceVersion":{text}}}',
        f'{{"remainingItemCount":{text}}}',
    ):
        event(outcome([layout.around("[{}]", metadata)], [size]))
