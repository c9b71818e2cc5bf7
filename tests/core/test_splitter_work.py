"""The work without the compiled scanner is linear: what the decoders are given is counted, so no clock is needed."""

import re

import msgspec
import pytest

from proxy.core import scanner, values
from tests.core.feeding import cut, split

MAX_ITEM_BYTES = 64 << 20


class CountingDecoder:
    """A real decoder that counts the bytes it has read."""

    def __init__(self, decoder: "msgspec.json.Decoder[msgspec.Raw] | msgspec.json.Decoder[list[msgspec.Raw]]") -> None:
        self.read = 0
        self._decoder = decoder

    def decode(self, data: memoryview) -> msgspec.Raw | list[msgspec.Raw]:
        """Decode, and count up to the byte where it ended or failed."""
        try:
            value = self._decoder.decode(data)
        except msgspec.DecodeError as error:
            position = re.search(r"byte (\d+)", str(error))
            self.read += int(position[1]) if position else len(data)
            raise
        self.read += len(data)
        return value


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> list[CountingDecoder]:
    """Count what both ways to the end of an item read."""
    monkeypatch.setattr(scanner, "is_compiled", False)
    counting = {name: CountingDecoder(getattr(values, name)) for name in ("one_value", "many_values")}
    for name, decoder in counting.items():
        monkeypatch.setattr(values, name, decoder)
    return list(counting.values())


def pod(number: int, size: int) -> bytes:
    """Return an item of about `size` bytes, as a typed list has them."""
    containers = b",".join(b'{"name":"c%d","args":["}",{}]}' % at for at in range(size // 30))
    return b'{"metadata":{"name":"pod-%06d","namespace":"a"},"spec":{"containers":[%b]}}' % (number, containers)


def own_beginning(number: int, size: int) -> bytes:
    """Return an item in which what items begin with stands wherever a separator may."""
    beginning = b'{"metadata":{"name":"pod-","namespace":"a"}}'
    inner = b",".join([beginning] * (size // len(beginning)))
    return b'{"metadata":{"name":"pod-","namespace":"a"},"n":%d,"kids":[%b]}' % (number, inner)


def unlike(number: int, size: int) -> bytes:
    """Return an item that begins like no other."""
    return [b'{"a%d":"%b"}', b'["%d","%b"]', b'"%d%b"'][number % 3] % (number, b"x" * size)


def quoted(number: int, size: int) -> bytes:
    """Return an item whose strings are full of separators and beginnings."""
    return b'{"metadata":{"name":"%d"},"s":"%b"}' % (number, b'},{\\"metadata\\":{\\"name\\":\\"' * (size // 28))


def lumpy(number: int, size: int) -> bytes:
    """Return small items and, now and then, a large one."""
    return pod(number, size if number % 10 == 9 else 60)


def body_of(items: list[bytes]) -> bytes:
    """Return a List of `items`."""
    return b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[' + b",".join(items) + b"]}\n"


ITEMS = [pod, own_beginning, unlike, quoted, lumpy]
SHAPES = {
    "1-byte chunks": (40, 400, 1),
    "7-byte chunks": (60, 2000, 7),
    "1000-byte chunks": (200, 2000, 1000),
    "64 KiB chunks": (1000, 2000, 64 << 10),
    "1 MiB chunks": (1000, 2000, 1 << 20),
    "whole": (1000, 2000, 1 << 40),
    "large items": (12, 300_000, 64 << 10),
    "one item of 8 MB": (1, 8_000_000, 64 << 10),
    "two items of 8 MB": (2, 8_000_000, 64 << 10),
}


@pytest.mark.parametrize(("count", "size", "chunk"), SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("item", ITEMS)
def test_every_byte_is_decoded_a_bounded_number_of_times(
    decoders: list[CountingDecoder], item: object, count: int, size: int, chunk: int
) -> None:
    """No chunking, no size and no shape of the items makes the decoders read the body more than four times."""
    assert callable(item)
    items = [item(number, size) for number in range(count)]
    body = body_of(items)
    told = split(cut(body, chunk), MAX_ITEM_BYTES)
    assert told.body == body
    assert told.sizes == [len(item) for item in items]
    assert sum(decoder.read for decoder in decoders) <= 4 * len(body)


def test_items_alike_are_read_once(decoders: list[CountingDecoder]) -> None:
    """The common case, items of 2 KB in chunks of 64 KiB, pays next to nothing for being cut."""
    body = body_of([pod(number, 2000) for number in range(2000)])
    split(cut(body, 64 << 10))
    assert sum(decoder.read for decoder in decoders) <= 1.1 * len(body)
