"""The splitter on generated Lists and on junk: any List in any chunking, and nothing but ListErrors for the rest."""

import json

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from proxy.core.errors import ListError
from proxy.core.events import Items
from proxy.core.joiner import join
from proxy.core.splitter import Splitter
from tests.core.feeding import MAX_ITEM_BYTES, cut, split
from tests.core.recorded import body as recorded
from tests.core.strategies import SPACE, TEXT, chunkings, chunks, objects, texts

pytestmark = pytest.mark.usefixtures("finder")


@st.composite
def lists(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    """Draw a List and the sizes of its items."""
    items = draw(st.one_of(st.lists(objects(), max_size=30), st.lists(texts(), max_size=12)))
    kind, key = draw(st.sampled_from([("PodList", "items"), ("Table", "rows"), ("FooList", "items")]))
    fields = st.lists(st.tuples(TEXT.filter(lambda name: name not in ("kind", key)), texts()), max_size=3)
    space, between = draw(SPACE), draw(SPACE)
    separator = f"{between},{space}"
    array = f"[{space}{separator.join(items)}{between}]"
    head = [("kind", f'"{kind}"'), *draw(fields)]
    members = [*head, (key, array), *draw(fields)]
    text = separator.join(f"{json.dumps(name)}{between}:{space}{value}" for name, value in members)
    body = f"{space}{{{text}}}{between}\n"
    return body.encode(), [len(item.encode()) for item in items]


@settings(max_examples=200)
@given(lists(), chunkings())
def test_any_list_in_any_chunking_is_untouched(drawn: tuple[bytes, list[int]], sizes: list[int]) -> None:
    """Whatever the List and however it arrives, the bytes are the same and the items have their sizes."""
    body, item_sizes = drawn
    told = split(chunks(body, sizes))
    assert told.body == body
    assert told.sizes == item_sizes
    assert told.is_list


@given(lists(), chunkings(), st.data())
def test_any_hint_leaves_the_list_untouched(
    drawn: tuple[bytes, list[int]], sizes: list[int], data: st.DataObject
) -> None:
    """What other items were seen to begin with is a guess: right, wrong, or a piece of this very List."""
    body, item_sizes = drawn
    at = data.draw(st.integers(0, len(body)))
    hint = data.draw(
        st.one_of(
            st.sampled_from([b'{"metadata":{"name":"', b"{", b'"', b"[", b",", b"1", b" ", b"]}"]),
            st.just(body[at : at + data.draw(st.integers(1, 32))]),
            st.binary(max_size=8),
        )
    )
    splitter = Splitter(MAX_ITEM_BYTES, hint)
    events = [event for chunk in chunks(body, sizes) for event in splitter.feed(chunk)] + splitter.finish()
    assert b"".join(join(events)) == body
    assert [size for event in events if isinstance(event, Items) for size in event.sizes] == item_sizes


@given(lists(), chunkings())
def test_only_a_window_of_any_list_is_held(drawn: tuple[bytes, list[int]], sizes: list[int]) -> None:
    """Objects are told while the List arrives; no chunking makes the splitter hold more than its window."""
    body, item_sizes = drawn
    splitter = Splitter(MAX_ITEM_BYTES)
    for chunk in chunks(body, sizes):
        splitter.feed(chunk)
        if splitter.is_list and splitter.items < len(item_sizes):
            scalars = sum(size for size in item_sizes if size < 60)  # these wait for a bracket to close
            assert splitter.held <= 2 * max(item_sizes) + len(chunk) + 200 + scalars
    splitter.finish()


@given(lists(), st.data())
def test_no_beginning_of_a_list_passes_as_complete(drawn: tuple[bytes, list[int]], data: st.DataObject) -> None:
    """A List that is cut anywhere before its last bracket is never taken for a whole one."""
    body = drawn[0].rstrip()
    end = data.draw(st.integers(0, len(body) - 1))
    assert outcome(body[:end], data.draw(chunkings())) == "TruncatedListError"


BODIES = [
    recorded(version, name)
    for version, name in [
        ("v1.36", "pods-small-gzip.json"),
        ("v1.32", "widgets-page3.json"),
        ("v1.36", "widgets-pretty.json"),
        ("v1.32", "secrets.json"),
        ("v1.36", "namespaces.json"),
        ("v1.32", "events.json"),
        ("v1.36", "pods-table-empty.json"),
        ("v1.32", "pods-partial-empty.json"),
        ("v1.36", "nodes.json"),
        ("v1.36", "err-422-match.json"),
        ("v1.36", "apis-example.json"),
    ]
]
TOKENS = [bytes((byte,)) for byte in b'[]{},:"\\ \n\x0b\x0c\x00\xff0-+eE.tfnu/']
BLOWS = [b'"items":[],', b'"rows":null,', b"\\ud800", b"\\udc00", b"\xed\xa0\x80", b"1" * 5000, b"{}", b"NaN"]
PIECES = st.one_of(st.binary(min_size=1, max_size=3), st.sampled_from(TOKENS), st.sampled_from(BLOWS))


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Draw a recorded body with a few bytes flipped, inserted, deleted or cut off."""
    body = bytearray(draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        match draw(st.sampled_from(["flip", "insert", "delete", "truncate", "repeat"])):
            case "flip":
                body[at : at + 1] = bytes((draw(st.integers(0, 255)),))
            case "insert":
                body[at:at] = draw(PIECES)
            case "delete":
                del body[at : at + draw(st.integers(1, 30))]
            case "repeat":
                body[at:at] = body[at : at + draw(st.integers(1, 300))]
            case _:
                del body[at:]
    return bytes(body)


def outcome(body: bytes, sizes: list[int]) -> str:
    """Return what becomes of a body, which is either a ListError or the body itself, proven to be JSON."""
    try:
        told = split(chunks(body, sizes))
    except ListError as error:
        return type(error).__name__
    assert told.body == body
    json.loads(body.decode(), parse_int=str)  # Python's limit on integers is no rule of JSON
    return "List" if told.is_list else "no List"


@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mutants(), chunkings())
def test_mutated_body_passes_whole_or_fails_by_name(body: bytes, sizes: list[int]) -> None:
    """Junk made from real bodies is JSON and untouched, or raises a ListError: the same one in any chunking."""
    result = outcome(body, sizes)
    event(result)
    assert outcome(body, [1 << 20]) == result


WORDS = [
    *TOKENS,
    b'"items"',
    b'"rows"',
    b'"kind":"Table",',
    b'{"items":[',
    b"true",
    b"null",
    b"d800",
    b'"a"',
    b"\xc3",
    b"\xa9",
]
ITEMS = [b"{}", b"1", b",", b"]", b"[]", b" ", b'"x"', b'{"a":1}', b"}"]
JUNK = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(WORDS), max_size=40).map(b"".join),
    st.lists(st.sampled_from(ITEMS), max_size=20).map(lambda pieces: b'{"items":[' + b"".join(pieces)),
)


@settings(max_examples=1000)
@given(JUNK, chunkings())
@example(b'{"items":[1', [1])
@example(b'{"items":[' + b"9" * 5000 + b"]," + b'"a":' + b"9" * 5000 + b"}", [1 << 20])
def test_arbitrary_bytes_pass_whole_or_fail_by_name(body: bytes, sizes: list[int]) -> None:
    """Any bytes at all raise a ListError or are JSON and untouched."""
    result = outcome(body, sizes)
    event(result)
    assert outcome(body, [1]) == result


@given(TEXT.map(lambda text: json.dumps(text, ensure_ascii=False)), st.integers(1, 40))
def test_no_character_breaks_on_a_chunks_border(text: str, size: int) -> None:
    """Characters, escapes and surrogate pairs may be split over chunks, in keys and in values, inside items and out."""
    escaped = json.dumps(json.loads(text))
    body = f'{{"a":[{text},{escaped}],"items":[{text},{{{escaped}:{text}}},{{{text}:1}}],"b":{escaped}}}'.encode()
    told = split(cut(body, size))
    assert told.body == body
    assert len(told.sizes) == 3
