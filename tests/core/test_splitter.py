"""The splitter on Lists as servers write them: the same bytes, cut at the right places, while they arrive."""

import gc
import json
from contextlib import suppress

import msgspec
import pytest

from proxy.core.errors import ListError
from proxy.core.events import Event, Items, Skeleton
from proxy.core.joiner import join
from proxy.core.proving import BATCH_BYTES
from proxy.core.skeleton import Outline
from proxy.core.splitter import HEAD_HOLD_BYTES, Splitter
from tests.core.feeding import CHUNK_BYTES, MAX_ITEM_BYTES, cut, split
from tests.core.recorded import json_bodies

pytestmark = pytest.mark.usefixtures("finder")

RECORDED = {data: name for name, data in json_bodies()}
"""Some recordings have equal bodies; each body is read once."""


def items_of(body: bytes) -> list[object] | None:
    """Return the items that a plain JSON parser finds, None where there is no List."""
    document = json.loads(body)
    key = "rows" if document.get("kind") == "Table" else "items"
    return (document[key] or []) if key in document else None


@pytest.mark.parametrize("size", [*CHUNK_BYTES, 1000])
@pytest.mark.parametrize("body", RECORDED.keys(), ids=RECORDED.values())
def test_recorded_body_is_untouched(body: bytes, size: int) -> None:
    """Every JSON body of a real server comes out byte for byte and with its items counted, however it arrives."""
    told = split(cut(body, size))
    assert told.body == body
    items = items_of(body)
    assert told.is_list == (items is not None)
    assert len(told.sizes) == len(items or [])


VECTORS: dict[str, tuple[str, list[str] | None]] = {
    "typed": (
        '{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"a":1},{"b":2}]}\n',
        ['{"a":1}', '{"b":2}'],
    ),
    "custom resource, metadata last": (
        '{"apiVersion":"g/v1","items":[{"kind":"Foo"},{"kind":"Foo"}],"kind":"FooList","metadata":{"continue":""}}\n',
        ['{"kind":"Foo"}', '{"kind":"Foo"}'],
    ),
    "Table": (
        (
            '{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":[{"name":"n"}],'
            '"rows":[{"cells":["a",1],"object":null},{"cells":[]}]}\n'
        ),
        ['{"cells":["a",1],"object":null}', '{"cells":[]}'],
    ),
    "Table with a field called items": (
        '{"kind":"Table","items":[1,2,3],"rows":[{"cells":[]}],"items":[4]}',
        ['{"cells":[]}'],
    ),
    "Table without rows": ('{"kind":"Table","items":[{"a":1}]}', None),
    "rows of something else": ('{"kind":"PodList","rows":[{"a":1}],"items":[{"b":2}]}', ['{"b":2}']),
    "PartialObjectMetadataList": (
        (
            '{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{},'
            '"items":[{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{}}]}\n'
        ),
        ['{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{}}'],
    ),
    "items null": ('{"kind":"PartialObjectMetadataList","metadata":{},"items":null}\n', []),
    "items empty": ('{"kind":"PodList","metadata":{},"items":[]}\n', []),
    "items empty, spaced": ('{"items" : [ \n ] , "kind":"FooList"}', []),
    "rows null": ('{"kind":"Table","rows":null}', []),
    "items missing": ('{"kind":"PodList","metadata":{}}\n', None),
    "items first": ('{"items":[{"a":1}]}', ['{"a":1}']),
    "items an object": ('{"items":{"items":[1]},"metadata":{}}', None),
    "items a string": ('{"items":"[1,2]"}', None),
    "items a number, at the end": ('{"items":17}', None),
    "not an object": ('[{"items":[1]}]', None),
    "an array in items' place": ('[["items"],[{"a":1}]]', None),
    "a scalar": ('"items"', None),
    "a number": ("12 ", None),
    "indented": (
        '{\n  "kind": "PodList",\n  "items": [\n    {\n      "a": 1\n    },\n    {\n      "b": []\n    }\n  ]\n}',
        ['{\n      "a": 1\n    }', '{\n      "b": []\n    }'],
    ),
    "unknown fields": (
        ('{"x":[1,[2,{"items":[3]}]],"y":{"items":[4],"rows":[5]},"items":[{"a":1}],"z":[[]],"q":{"items":[6]}}'),
        ['{"a":1}'],
    ),
    "items in strings": (
        '{"kind":"\\"items\\":[","note":"{\\"items\\":[1]}","items":["\\"items\\":[",{"items":[7]}]}',
        ['"\\"items\\":["', '{"items":[7]}'],
    ),
    "brackets in strings": ('{"a":"[[[","items":["]","},{","]}"],"b":"]]]"}', ['"]"', '"},{"', '"]}"']),
    "escaped key": ('{"item\\u0073":[{"a":1}]}', ['{"a":1}']),
    "escaped kind": ('{"k\\u0069nd":"T\\u0061ble","rows":[{"a":1}]}', ['{"a":1}']),
    "items' own beginning": (
        (
            '{"items":[{"m":{"n":"a"},"k":[{"m":{"n":"b"}},{"m":{"n":"c"}}]},{"m":{"n":"d"},"k":[1,{"m":{"n":"e"}}]},'
            '{"m":{"n":"f"},"s":"},{\\"m\\":{\\"n\\":\\"g"},{"m":{"n":"h"}}]}'
        ),
        [
            '{"m":{"n":"a"},"k":[{"m":{"n":"b"}},{"m":{"n":"c"}}]}',
            '{"m":{"n":"d"},"k":[1,{"m":{"n":"e"}}]}',
            '{"m":{"n":"f"},"s":"},{\\"m\\":{\\"n\\":\\"g"}',
            '{"m":{"n":"h"}}',
        ],
    ),
    "scalars": (
        '{"items":[1,-2.5e+10,0,true,false,null,"x",1E-3 ,"",12345]}',
        ["1", "-2.5e+10", "0", "true", "false", "null", '"x"', "1E-3", '""', "12345"],
    ),
    "one scalar": ('{"items":[12]}', ["12"]),
    "arrays": ('{"items":[[],[[]],[1,[2]],[ ]]}', ["[]", "[[]]", "[1,[2]]", "[ ]"]),
    "white space everywhere": (
        (' \r\n\t{ "items" \n: \t[ \r {"a" : 1 } \n, \t{ } ,\r\n[ 1 , 2 ] , 3 \n] , "k" : null } \n\n '),
        ['{"a" : 1 }', "{ }", "[ 1 , 2 ]", "3"],
    ),
    "not ASCII": (
        '{"kind":"é中😀","items":[{"é":"中"},{"a":"b"},{"😀":"\\u00e9"}],"ü":"ß"}',
        ['{"é":"中"}', '{"a":"b"}', '{"😀":"\\u00e9"}'],
    ),
    "surrogate pairs": (
        ('{"items":[{"a":"\\ud83d\\ude00\\uD83D\\uDE00"},"\\\\ud800","\\\\\\ud83d\\ude00"],"b":"\\ud83d\\ude00"}'),
        ['{"a":"\\ud83d\\ude00\\uD83D\\uDE00"}', '"\\\\ud800"', '"\\\\\\ud83d\\ude00"'],
    ),
    "duplicate keys elsewhere": (
        ('{"a":1,"a":[2],"rows":[],"rows":[3],"items":[{"b":1,"b":2}],"a":3}'),
        ['{"b":1,"b":2}'],
    ),
    "big numbers": (
        '{"a":18446744073709551616,"b":1e400,"items":[18446744073709551616,1e400],"c":-0.0e-1}',
        ["18446744073709551616", "1e400"],
    ),
}


@pytest.mark.parametrize("size", CHUNK_BYTES)
@pytest.mark.parametrize(("text", "items"), VECTORS.values(), ids=VECTORS.keys())
def test_list_is_cut_where_items_begin_and_end(text: str, items: list[str] | None, size: int) -> None:
    """Whatever is a List by its shape is cut into its items, and nothing else is; no byte changes."""
    body = text.encode()
    told = split(cut(body, size))
    assert told.body == body
    assert told.is_list == (items is not None)
    assert told.sizes == [len(item.encode()) for item in items or []]
    values = [value for data in told.items for value in json.loads(b"[" + data + b"]")]
    assert values == [json.loads(item) for item in items or []]


@pytest.mark.parametrize("digits", [299, 300, 301, 4300, 4301, 20_000])
@pytest.mark.parametrize("size", [*CHUNK_BYTES, 299, 300])
def test_number_of_any_length_passes(digits: int, size: int) -> None:
    """A number beyond Python's limit for integers harms neither the parser of the skeleton nor the items."""
    number = b"1" * digits
    body = b'{"a":%b,"%b":[-%b],"items":[%b,{"b":%b}],"c":0.%be1}' % ((number,) * 6)
    told = split(cut(body, size))
    assert told.body == body
    assert told.sizes == [digits, digits + 6]


def test_skeleton_and_items_come_as_events() -> None:
    """The head ends with the bracket that opens the items, the tail begins with the one that closes them."""
    splitter = Splitter(MAX_ITEM_BYTES)
    events = splitter.feed(b'{"items":[ {"a":1} , {"a":2} ,{"a":3}],"kind":"FooList"}\n') + splitter.finish()
    assert events[0] == Skeleton(b'{"items":[', opens=True)
    assert events[-1] == Skeleton(b'],"kind":"FooList"}\n')
    told = [event for event in events if isinstance(event, Items)]
    assert told[0].lead == b" "
    assert all(event.lead.strip() == b"," for event in told[1:])
    assert b"".join(join(told)) == b' {"a":1} , {"a":2} ,{"a":3}'


def test_joiner_leaves_out_empty_leads() -> None:
    """The first item of a List has no separator, so nothing is written for one."""
    assert join([Skeleton(b"["), Items(b"", memoryview(b"1,2"), [1, 1]), Items(b",", memoryview(b"3"), [1])]) == [
        b"[",
        b"1,2",
        b",",
        b"3",
    ]


def test_head_is_told_as_soon_as_the_items_open() -> None:
    """The client has the head of a List before the first item is complete."""
    splitter = Splitter(MAX_ITEM_BYTES)
    assert splitter.feed(b'{"kind":"PodList","ite') == []
    assert not splitter.is_list
    assert splitter.feed(b'ms":[{"a"') == [Skeleton(b'{"kind":"PodList","items":[', opens=True)]
    assert splitter.is_list
    assert splitter.held == bytearray(b'{"a"').__alloc__()


@pytest.mark.parametrize(
    ("array", "has_item"),
    [(b"", False), (b" \n\t", False), (b" ]", False), (b' {"a', True), (b"1", True), (b"\n[", True), (b"[1],", True)],
)
def test_an_item_is_known_as_soon_as_it_begins(array: bytes, *, has_item: bool) -> None:
    """Not by the array alone, which may be empty."""
    splitter = Splitter(MAX_ITEM_BYTES)
    for byte in b'{"metadata":{"list":[1]},"items":[' + array:
        splitter.feed(bytes([byte]))
    assert splitter.has_item == has_item


def test_body_that_is_no_list_is_held_back_only_at_first() -> None:
    """A body without items is held while it may still be named otherwise, then goes on as it comes."""
    splitter = Splitter(MAX_ITEM_BYTES)
    assert splitter.feed(b'{"data":{"a":"b",') == []
    assert splitter.held == bytearray(b'{"data":{"a":"b",').__alloc__()
    for _ in range(HEAD_HOLD_BYTES // 1000 + 1):
        splitter.feed(b'"k":"%b",' % (b"v" * 993))
        assert splitter.held <= HEAD_HOLD_BYTES * 9 / 8
    assert splitter.held == 0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_items_are_told_before_the_end(share: float) -> None:
    """Half a List is enough to tell half of its items, also where it comes at once."""
    items = [b'{"metadata":{"name":"pod-%d"},"spec":{"a":[%d,{}]}}' % (number, number) for number in range(1000)]
    body = b'{"items":[' + b",".join(items) + b"]}"
    splitter = Splitter(MAX_ITEM_BYTES)
    splitter.feed(body[: int(len(body) * share)])
    assert splitter.items >= 1000 * share - 10


@pytest.mark.parametrize("last", [b'{"a":2}', b'"x"', b"17"])
def test_last_item_is_told_with_the_bracket_that_follows(last: bytes) -> None:
    """The end of the items is told when it is there, not when the connection ends."""
    splitter = Splitter(MAX_ITEM_BYTES)
    events: list[Event] = splitter.feed(b'{"items":[{"a":1},' + last + b"]}")
    assert b"".join(join(events)).endswith(last + b"]}")


@pytest.mark.parametrize("size", [1, 7, 1000, 64 << 10, 1 << 20])
@pytest.mark.parametrize("sizes", [[2000] * 300, [20] * 2000, [100, 200_000, 100, 100, 50_000] * 3, [70_000] * 8])
def test_one_window_is_held(sizes: list[int], size: int) -> None:
    """What is held never exceeds two items and what was fed last."""
    items = [b'{"metadata":{"name":"a"},"data":"%b"}' % (b"x" * size) for size in sizes]
    body = b'{"kind":"PodList","metadata":{},"items":[' + b",".join(items) + b"]}"
    splitter = Splitter(MAX_ITEM_BYTES)
    largest = max(map(len, items))
    step = size if size > 1 or len(body) < 100_000 else 13
    for chunk in cut(body, step):
        splitter.feed(chunk)
        assert splitter.held <= 2 * largest + len(chunk) + 64
    splitter.finish()
    assert splitter.items == len(items)


@pytest.mark.parametrize("size", [1, 7, 1000, 64 << 10])
@pytest.mark.parametrize("alike", [0, 2, 50])
def test_items_unlike_each_other_wait_for_a_batch_at_most(alike: int, size: int) -> None:
    """Where items begin in many ways, or are spaced in many ways, no more than a batch is held on top."""
    items = [b'{"metadata":{"name":"a"},"data":"%b"}' % (b"x" * 2000)] * alike
    items += [b'{"k%d":"%b"}' % (number, b"x" * 2000) for number in range(300)]
    body = b'{"items":[' + b"".join(b"," * (at > 0) + b" " * (at % 3) + item for at, item in enumerate(items)) + b"]}"
    splitter = Splitter(MAX_ITEM_BYTES)
    for chunk in cut(body, size):
        splitter.feed(chunk)
        assert splitter.held <= 2 * 2050 + len(chunk) + BATCH_BYTES
    splitter.finish()
    assert splitter.items == len(items)


def test_end_of_value_message_is_as_the_splitter_reads_it() -> None:
    """Msgspec says which byte follows a complete value, counted from one: the splitter cuts by that."""
    decoder = msgspec.json.Decoder(msgspec.Raw)
    for value, rest in ((b"{}", b","), (b'{"a":1}', b"x"), (b"12", b"]"), (b"true ", b"\xff"), (b'"x" \n', b"{")):
        with pytest.raises(msgspec.DecodeError, match=rf"trailing characters \(byte {len(value) + 1}\)$"):
            decoder.decode(value + rest)


def test_unfinished_value_message_is_as_the_splitter_reads_it() -> None:
    """Msgspec says "truncated", or names the byte behind the last, of every beginning of a valid value."""
    decoder = msgspec.json.Decoder(msgspec.Raw)
    value = '{"a":[1,-2.5e+10,0.1E-3,true,false,null,"x\\u00e9\\ud83d\\ude00\\n\\\\é😀"],"b":{ }}'.encode()
    for end in range(len(value)):
        with pytest.raises(msgspec.DecodeError, match=rf"^Input data was truncated$|\(byte {end}\)$"):
            decoder.decode(value[:end])


@pytest.mark.parametrize("body", [b'{"items":[{"a":1}]}', b'{"items":[{"a"', b'{"kind":"Po', b'{"items":[{]}'])
def test_nothing_is_kept_of_a_body_that_is_over(body: bytes) -> None:
    """The parser of the skeleton is opaque to the garbage collector: what it knows must not know it."""

    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, Outline) for thing in gc.get_objects())

    before = alive()
    for _ in range(20):
        with suppress(ListError):
            Splitter(MAX_ITEM_BYTES).feed(body)
    assert alive() == before
