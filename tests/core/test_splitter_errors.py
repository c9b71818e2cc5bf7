"""What is no List: each failure by its own name, whatever the chunking, and none that is not a ListError."""

from collections import deque

import pytest

from proxy.core.errors import (
    DuplicateItemsError,
    ExpiredError,
    InvalidJSONError,
    InvalidUTF8Error,
    ItemTooLargeError,
    ListError,
    NestingError,
    TrailingDataError,
    TruncatedListError,
)
from proxy.core.splitter import Splitter
from tests.core.feeding import CHUNK_BYTES, cut, split

pytestmark = pytest.mark.usefixtures("finder")

MAX_ITEM_BYTES = 70_000
DEEP = 20_000
GOOD = b'{"a":1},' * 20
"""Items before the broken one, so that the guess is tried, too."""


def items(broken: bytes) -> bytes:
    """Return a List with `broken` in the middle of its items."""
    return b'{"kind":"PodList","items":[' + GOOD + broken + b',{"a":2},{"a":3}],"metadata":{}}\n'


BROKEN_ITEMS: dict[str, bytes] = {
    "missing comma between items": b'{"a":1} {"a":1}',
    "missing comma in an object": b'{"a":1 "b":2}',
    "missing comma in an array": b'{"a":[1 2]}',
    "missing colon": b'{"a" 1}',
    "missing value": b'{"a":}',
    "missing item": b'{"a":1},',
    "trailing comma in an object": b'{"a":1,}',
    "trailing comma in an array": b'{"a":[1,]}',
    "colon between items": b'{"a":1}:{"a":1}',
    "bad literal": b'{"a":trux}',
    "capital literal": b'{"a":True}',
    "leading zero": b'{"a":01}',
    "leading zero, negative": b'{"a":-01}',
    "leading plus": b'{"a":+1}',
    "no digit after the point": b'{"a":1.}',
    "no digit before the point": b'{"a":.5}',
    "no digit in the exponent": b'{"a":1e}',
    "minus alone": b'{"a":-}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "negative Infinity": b'{"a":-Infinity}',
    "NaN as an item": b"NaN",
    "hexadecimal": b'{"a":0x10}',
    "control character": b'{"a":"\x01"}',
    "line break in a string": b'{"a":"\n"}',
    "tab in a string": b'{"a":"\t"}',
    "NUL in a string": b'{"a":"\x00"}',
    "bad escape": b'{"a":"\\x41"}',
    "short escape": b'{"a":"\\u12"}',
    "single quotes": b"{'a':1}",
    "key without quotes": b"{a:1}",
    "key that is a number": b"{1:1}",
    "wrong bracket": b'{"a":[1}',
    "comment": b'{"a":/* */1}',
    "form feed": b'{"a":\x0c1}',
    "no-break space": b'{"a":\xc2\xa01}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "lone high surrogate": b'{"a":"\\ud800"}',
    "lone high surrogate, capital": b'{"a":"\\uDBFF "}',
    "lone low surrogate": b'{"a":"\\udc00"}',
    "high surrogate before another escape": b'{"a":"\\ud83d\\n"}',
    "high surrogate before another character": b'{"a":"\\ud83d\\u0041"}',
    "two high surrogates": b'{"a":"\\ud83d\\ud83d\\ude00"}',
    "lone surrogate in a key": b'{"\\ud800":1}',
    "lone surrogate as an item": b'"\\ud800"',
    "lone surrogate behind a backslash": b'"\\\\\\ud800"',
}


@pytest.mark.parametrize("size", CHUNK_BYTES)
@pytest.mark.parametrize("broken", BROKEN_ITEMS.values(), ids=BROKEN_ITEMS.keys())
def test_broken_item_is_invalid_json(broken: bytes, size: int) -> None:
    """An item that breaks RFC 8259's grammar never leaves the splitter."""
    with pytest.raises(InvalidJSONError):
        split(cut(items(broken), size))


@pytest.mark.parametrize("size", CHUNK_BYTES)
@pytest.mark.parametrize("tail", [b"", b"]", b"]}", b"]}\n", b',{"a":1}]}'])
@pytest.mark.parametrize("head", [b'{"items":[', b'{"items":[{"a":1},{"a":1},{"a":1},'])
def test_lone_surrogate_is_found_up_to_the_end(head: bytes, tail: bytes, size: int) -> None:
    """Msgspec calls a lone surrogate truncated input; the splitter does not, however close the end is."""
    with pytest.raises(InvalidJSONError):
        split(cut(head + b'"\\ud800"' + tail, size))


BROKEN_SKELETONS: dict[str, tuple[bytes, type[ListError]]] = {
    "missing comma": (b'{"a":1 "items":[]}', InvalidJSONError),
    "missing colon": (b'{"items" []}', InvalidJSONError),
    "trailing comma": (b'{"items":[],}', InvalidJSONError),
    "comma before the first item": (b'{"items":[,{"a":1}]}', InvalidJSONError),
    "comma after the last item": (b'{"items":[{"a":1},]}', InvalidJSONError),
    "comma and space after the last item": (b'{"items":[{"a":1} , ]}', InvalidJSONError),
    "comma alone": (b'{"items":[,]}', InvalidJSONError),
    "wrong bracket after the items": (b'{"items":[{"a":1}}', InvalidJSONError),
    "wrong bracket in place of items": (b'{"items":[}', InvalidJSONError),
    "leading zero": (b'{"a":01,"items":[]}', InvalidJSONError),
    "NaN": (b'{"a":NaN,"items":[]}', InvalidJSONError),
    "bad literal": (b'{"a":nul,"items":[]}', InvalidJSONError),
    "control character": (b'{"a":"\x01","items":[]}', InvalidJSONError),
    "bad escape": (b'{"a":"\\x","items":[]}', InvalidJSONError),
    "form feed": (b'{"items":[],\x0c"a":1}', InvalidJSONError),
    "vertical tab": (b'\x0b{"items":[]}', InvalidJSONError),
    "comment": (b'{"items":[],/* */"a":1}', InvalidJSONError),
    "comment at the end": (b'{"items":[]}// end\n', TrailingDataError),
    "byte order mark": (b'\xef\xbb\xbf{"items":[]}', InvalidJSONError),
    "text": (b"Too many requests, please try again later.\n", InvalidJSONError),
    "words of the parser's own messages": (b'{"a": trailing garbage, premature EOF}', InvalidJSONError),
    "words of the parser's own messages, not UTF-8": (
        b'{"a": parse error: trailing garbage, invalid bytes in UTF8 \xff}', InvalidJSONError),
    "exponent beyond decimals": (b'{"a":1e9999999999999999999,"items":[]}', InvalidJSONError),
    "trailing garbage": (b'{"items":[{"a":1}]}x', TrailingDataError),
    "trailing bracket": (b'{"items":[{"a":1}]}]', TrailingDataError),
    "trailing garbage after white space": (b'{"items":[]}\n\n\n]', TrailingDataError),
    "trailing quote": (b'{"items":[]}"', TrailingDataError),
    "trailing half string": (b'{"items":[]} "half \\', TrailingDataError),
    "trailing half literal": (b'{"items":[]}tru', TrailingDataError),
    "trailing half number": (b'{"items":[]}-', TrailingDataError),
    "trailing number": (b'{"items":[]}12', TrailingDataError),
    "trailing half comment": (b'{"items":[]}/', TrailingDataError),
    "a Status behind the List": (b'{"items":[]}{"kind":"Status"}\n', TrailingDataError),
    "second List": (b'{"items":[{"a":1}]}\n{"items":[{"a":2}]}\n', TrailingDataError),
    "second document without items": (b'{"kind":"a"} {"kind":"b"}', TrailingDataError),
    "not UTF-8 before the items": (b'{"a":"\xff","items":[]}', InvalidUTF8Error),
    "not UTF-8 after the items": (b'{"items":[{"a":1}],"a":"\xc3("}', InvalidUTF8Error),
    "not UTF-8 in a key": (b'{"items":[],"\x80":1}', InvalidUTF8Error),
    "surrogate in UTF-8": (b'{"a":"\xed\xa0\x80","items":[]}', InvalidUTF8Error),
    "overlong UTF-8": (b'{"a":"\xc0\xaf","items":[]}', InvalidUTF8Error),
    "beyond Unicode": (b'{"a":"\xf5\x80\x80\x80","items":[]}', InvalidUTF8Error),
    "items twice": (b'{"items":[{"a":1}],"items":[{"a":2}]}', DuplicateItemsError),
    "items twice, empty": (b'{"items":[],"items":[]}', DuplicateItemsError),
    "items, then null": (b'{"items":[{"a":1}],"items":null}', DuplicateItemsError),
    "null, then items": (b'{"items":null,"items":[{"a":1}]}', DuplicateItemsError),
    "null twice": (b'{"items":null,"items":null}', DuplicateItemsError),
    "items, then an object": (b'{"items":[{"a":1}],"items":{}}', DuplicateItemsError),
    "items, then a string": (b'{"items":[{"a":1}],"b":1,"items":""}', DuplicateItemsError),
    "an object, then items": (b'{"items":{},"items":[{"a":1}]}', DuplicateItemsError),
    "items twice, once escaped": (b'{"items":[],"\\u0069tems":[]}', DuplicateItemsError),
    "rows twice": (b'{"kind":"Table","rows":[],"items":[],"rows":[]}', DuplicateItemsError),
    "kind changed to Table in between": (b'{"items":[],"kind":"Table","items":[]}', DuplicateItemsError),
    "nesting bomb, open": (b'{"a":' + b"[" * DEEP, NestingError),
    "nesting bomb, closed": (b'{"a":' + b"[" * DEEP + b"]" * DEEP + b',"items":[]}', NestingError),
    "nesting bomb of objects": (b'{"a":' * DEEP, NestingError),
    "nesting bomb after the items": (b'{"items":[],"a":' + b"[" * DEEP, NestingError),
    "huge string": (b'{"a":"' + b"x" * (2 * MAX_ITEM_BYTES) + b'","items":[]}', ItemTooLargeError),
    "huge key": (b'{"items":[],"' + b"x" * (2 * MAX_ITEM_BYTES) + b'":1}', ItemTooLargeError),
}  # fmt: skip


@pytest.mark.parametrize("size", CHUNK_BYTES)
@pytest.mark.parametrize(("body", "error"), BROKEN_SKELETONS.values(), ids=BROKEN_SKELETONS.keys())
def test_broken_skeleton_has_its_own_error(body: bytes, error: type[ListError], size: int) -> None:
    """What is wrong around the items is named for what it is, and never quoted."""
    with pytest.raises(error) as caught:
        split(cut(body, size), MAX_ITEM_BYTES)
    assert type(caught.value) is error
    assert len(str(caught.value)) < 80


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("head", [b'{"a":"', b'{"items":[],"'])
def test_unfinished_value_of_the_skeleton_is_not_held_for_ever(head: bytes, size: int) -> None:
    """A string without an end is refused when it is over the limit, not when the connection ends."""
    splitter = Splitter(MAX_ITEM_BYTES)
    body = head + b"x" * (2 * MAX_ITEM_BYTES)
    with pytest.raises(ItemTooLargeError):
        deque(map(splitter.feed, cut(body, size)), maxlen=0)


OTHER_ITEMS: dict[str, tuple[bytes, type[ListError]]] = {
    "not UTF-8": (items(b'{"a":"\xff"}'), InvalidUTF8Error),
    "not UTF-8, last": (b'{"items":[{"a":1},{"a":"\xc3"}]}', InvalidUTF8Error),
    "not UTF-8 in a key": (items(b'{"\xe4":1}'), InvalidUTF8Error),
    "surrogate in UTF-8": (items(b'{"a":"\xed\xa0\x80"}'), InvalidUTF8Error),
    "overlong UTF-8": (items(b'{"a":"\xc0\xaf"}'), InvalidUTF8Error),
    "character split over two strings": (items(b'{"a":"\xc3","b":"\xa9"}'), InvalidUTF8Error),
    "character split over two items": (items(b'"\xc3","\xa9"'), InvalidUTF8Error),
    "nesting bomb": (items(b"[" * DEEP + b"]" * DEEP), NestingError),
    "nesting bomb of objects": (items(b'{"a":' * DEEP + b"1" + b"}" * DEEP), NestingError),
    "nesting bomb, open": (b'{"items":[' + b"[" * DEEP, NestingError),
    "too large": (items(b'"%b"' % (b"x" * MAX_ITEM_BYTES)), ItemTooLargeError),
    "too large by a byte": (items(b'{"a":"%b"}' % (b"x" * (MAX_ITEM_BYTES - 7))), ItemTooLargeError),
    "too large, first": (b'{"items":[{"a":"%b"}]}' % (b"x" * MAX_ITEM_BYTES), ItemTooLargeError),
    "too large, unfinished": (b'{"items":[{"a":"' + b"x" * MAX_ITEM_BYTES, ItemTooLargeError),
    "too large, many values": (items(b"[%b1]" % (b"1," * MAX_ITEM_BYTES)), ItemTooLargeError),
}


@pytest.mark.parametrize("size", CHUNK_BYTES)
@pytest.mark.parametrize(("body", "error"), OTHER_ITEMS.values(), ids=OTHER_ITEMS.keys())
def test_item_that_cannot_pass_has_its_own_error(body: bytes, error: type[ListError], size: int) -> None:
    """An item that is not UTF-8, nested too deeply or too large is named for what it is."""
    with pytest.raises(error) as caught:
        split(cut(body, size), MAX_ITEM_BYTES)
    assert type(caught.value) is error


@pytest.mark.parametrize("size", CHUNK_BYTES)
def test_item_of_exactly_the_limit_passes(size: int) -> None:
    """`max_item_bytes` is the largest size that is allowed."""
    body = items(b'{"a":"%b"}' % (b"x" * (MAX_ITEM_BYTES - 8)))
    told = split(cut(body, size), MAX_ITEM_BYTES)
    assert told.body == body
    assert max(told.sizes) == MAX_ITEM_BYTES


@pytest.mark.parametrize("size", CHUNK_BYTES)
def test_moderate_nesting_passes(size: int) -> None:
    """What real objects nest, and ten times that, is no bomb."""
    deep = b"[" * 300 + b"]" * 300
    body = b'{"a":%b,"items":[%b,%b,%b],"b":%b}' % ((deep,) * 5)
    told = split(cut(body, size))
    assert told.body == body
    assert told.sizes == [600, 600, 600]


TRUNCATED = [
    (
        b'{"kind":"PodList","n":-1.5e+10,"metadata":{"a":"\\u00e9\\ud83d\\ude00"},"items":[{"a":[1,-2.5E-3,true,null]},'
        b'{"a":"\\ud83d\\ude00\\n"},{"a":-0},"x",17,{"a":{}}]}\n'
    ),
    '{"a":[false,"é😀\\\\"],"items": [ {"é":"😀"} , {"é":"中"} , {"é":"x"} ] ,"kind":"é","n":12}\n'.encode(),
    b'{"items":null,"metadata":{"continue":""}}\n',
    b'{"kind":"Table","rows":[{"cells":[]}],"items":[1]}\n',
    b'{"kind":"ConfigMap","data":{"a":[true]}}\n',
]


@pytest.mark.parametrize("size", CHUNK_BYTES)
@pytest.mark.parametrize("body", TRUNCATED)
def test_end_inside_anything_is_truncation(body: bytes, size: int) -> None:
    """A List cut at any byte is called truncated: not invalid, and never complete."""
    for end in range(len(body) - 1):
        with pytest.raises(TruncatedListError):
            split(cut(body[:end], size))
    assert split(cut(body[:-1], size)).body == body[:-1]


@pytest.mark.parametrize("size", CHUNK_BYTES)
def test_empty_body_is_truncated(size: int) -> None:
    """No bytes at all are no List, and white space is none either."""
    for body in (b"", b" \n"):
        with pytest.raises(TruncatedListError):
            split(cut(body, size))


def test_errors_say_what_the_client_is_told() -> None:
    """Every error of a List is the upstream's fault, and counted under a label of its own."""
    errors = ListError.__subclasses__()
    assert {error.status_hint for error in errors if error is not ExpiredError} == {502}
    assert ExpiredError.status_hint == 410
    assert len({error.reason for error in errors}) == len(errors) == 13


def test_separator_before_the_first_item_is_refused_with_a_hint_too() -> None:
    """What the items of another page begin with does not make a comma of nothing."""
    splitter = Splitter(MAX_ITEM_BYTES, b'{"a":')
    with pytest.raises(InvalidJSONError):
        splitter.feed(b'{"kind":"P","items":[,{"a":1},{"a":2},{"a":3}]}')
