"""Both ways to find items against Python's own parser: any byte in any place, any character, any chunking."""

import json
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from itertools import product

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from proxy.core.errors import DuplicateItemsError, ItemTooLargeError, ListError, NestingError
from proxy.core.splitter import Splitter
from tests.core.feeding import MAX_ITEM_BYTES, cut, split
from tests.core.strategies import chunkings, chunks, objects, texts

pytestmark = pytest.mark.usefixtures("finder")

HEAD, TAIL = b'{"items":[', b"]}"
OBJECT = '{"a":[1,-0.25e+10,0E-1,{}, true,false,null],"é中😀":"\\u00e9\\uD83d\\uDe00\\"\\\\\\/\\n"}'.encode()
SAMPLE = OBJECT + b', [ ] ,17,"x" '
"""Items that pass through every state of a parser."""

BYTES = [*range(0x80), 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF]
"""Every byte of ASCII, and the borders between what the others mean."""


def refuse(_: str) -> None:
    """Refuse NaN and the infinities, which are no JSON."""
    raise ValueError


def is_json(body: bytes) -> bool:
    """Whether Python takes `body` for JSON (RFC 8259) that can be written as UTF-8 again."""
    try:
        value = json.loads(body.decode(), parse_int=str, parse_constant=refuse, object_pairs_hook=list)
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


def passes(pieces: Iterable[bytes]) -> bool:
    """Whether the splitter takes a List."""
    try:
        split(pieces)
    except ListError:
        return False
    return True


def test_sample_is_json() -> None:
    """What is mutated below is good as it stands, cut anywhere."""
    body = HEAD + SAMPLE + TAIL
    assert is_json(body)
    assert all(split([body[:at], body[at:]]).body == body for at in range(len(body)))
    assert split([body]).sizes == [len(OBJECT), 3, 2, 3]


@pytest.mark.parametrize("at", range(len(SAMPLE)))
def test_any_byte_in_any_place_is_judged_as_python_does(at: int) -> None:
    """One wrong byte, one too many or one missing: the verdict is that of another parser, also cut at that place."""
    before, behind = HEAD + SAMPLE[:at], SAMPLE[at + 1 :] + TAIL
    for new in [b"", *((byte,) for byte in BYTES), *((byte, SAMPLE[at]) for byte in BYTES)]:
        pieces = [before, bytes(new), behind]
        expected = is_json(b"".join(pieces))
        assert passes([b"".join(pieces)]) == expected, bytes(new)
        assert passes(pieces) == expected, bytes(new)


@pytest.mark.parametrize("first", range(0x80, 0x100))
def test_utf8_is_judged_as_python_does(first: int) -> None:
    """No overlong form, no surrogate, nothing beyond Unicode and nothing unfinished, for every first byte."""
    seconds = (0x22, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
    for rest in product(seconds, (None, 0x80, 0xBF, 0xC2), (None, 0x80, 0xBF, 0x41)):
        text = bytes([first, *(byte for byte in rest if byte is not None)])
        body = HEAD + b'"' + text + b'"' + TAIL
        expected = is_json(body)
        assert passes([body]) == expected, text
        assert passes(cut(body, 1)) == expected, text


@pytest.mark.parametrize("first", [0x0000, 0x0041, 0xD7FF, 0xD800, 0xD83D, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFFFF])
def test_surrogates_are_judged_as_python_does(first: int) -> None:
    """Half of a pair is refused, whatever follows it."""
    for rest in (b"", b"x", b"\\n", b"\\u0041", b"\\ud800", b"\\uDBFF", b"\\uDC00", b"\\udfff", b"\\udc00\\udc00"):
        body = HEAD + b'{"a":"' + b"\\u%04x" % first + rest + b'"}' + TAIL
        expected = is_json(body)
        assert passes([body]) == expected, body
        assert passes(cut(body, 1)) == expected, body


@pytest.mark.parametrize("size", [*range(20), 30, 31, 32, 33, *range(60, 70), *range(124, 132)])
def test_no_place_in_a_string_is_overlooked(size: int) -> None:
    """What may not stand in a string is seen in every place of it, however many bytes are looked at together."""
    for at, wrong in product(range(size), (b'"', b"\x1f", b"\xff", b"\\x")):
        text = b"x" * at + wrong + b"~" * (size - at - 1)
        assert not passes([HEAD + b'["",' + b'"' + text + b'"]' + TAIL]), text
        assert passes([HEAD + b'["",' + b'"' + text.replace(wrong, b"\\n") + b'"]' + TAIL])


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Draw items with a few bytes changed."""
    items = draw(st.lists(st.one_of(objects(), texts()), max_size=6))
    text = bytearray(",".join(items).encode())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(st.sampled_from([bytes((byte,)) for byte in BYTES] + [b""]))
    return bytes(text)


@settings(max_examples=1000)
@given(mutants(), chunkings())
@example(b"1E400, 1e99999999999999999999", [1])
def test_any_items_are_judged_as_python_does(items: bytes, sizes: list[int]) -> None:
    """Items with and without faults: accepted and refused like another parser does, and cut where it cuts."""
    body = HEAD + items + TAIL
    expected = is_json(body)
    event(str(expected))
    try:
        told = split(chunks(body, sizes))
    except DuplicateItemsError:
        return  # a rule of Lists, not of JSON
    except ListError:
        assert not expected
        return
    assert expected
    assert told.body == body
    values = [value for data in told.items for value in json.loads(b"[" + data + b"]", parse_int=str)]
    assert values == json.loads(body, parse_int=str)["items"]


@pytest.mark.parametrize("head", [b"", b'{"a":1}', b'{"a":1},'])
def test_white_space_between_items_is_not_held_for_ever(head: bytes) -> None:
    """An upstream that sends nothing but white space is refused once that is over the limit for an item."""
    splitter = Splitter(1000)
    splitter.feed(HEAD + head)
    with pytest.raises(ItemTooLargeError):
        deque(map(splitter.feed, cut(b" " * 2000, 10)), maxlen=0)
    assert splitter.held <= 1100


def test_nesting_bomb_has_its_own_error() -> None:
    """Brackets without end are refused for their number, long before the limit for an item."""
    with pytest.raises(NestingError):
        split(cut(HEAD + b"[" * (MAX_ITEM_BYTES // 2), 1000))


def test_package_works_without_the_compiled_scanner() -> None:
    """Where it has not been built, msgspec does its work."""
    program = (
        "import sys; sys.modules['proxy.core._scanner'] = None\n"
        "from proxy.core import scanner, splitter\n"
        "cut = splitter.Splitter(1000)\n"
        "cut.feed(b'{\"items\":[1,{},[]]}'); cut.finish()\n"
        "print(scanner.is_compiled, cut.items)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "False 3\n"
