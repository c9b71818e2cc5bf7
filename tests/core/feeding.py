"""Feeds a splitter as a connection would, and keeps what it tells."""

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.core.events import Event, Items
from proxy.core.joiner import join
from proxy.core.splitter import Splitter

MAX_ITEM_BYTES = 1 << 20
WHOLE = 1 << 40
CHUNK_BYTES = (WHOLE, 1, 7, 64 << 10)
"""The feed sizes under which every vector runs: none may change what comes out."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a splitter has made of a whole body."""

    body: bytes
    sizes: list[int]
    items: list[bytes]
    is_list: bool


def cut(body: bytes, size: int) -> Iterable[bytes]:
    """Return `body` in chunks of `size` bytes."""
    return (body[at : at + size] for at in range(0, len(body), size))


def split(chunks: Iterable[bytes], max_item_bytes: int = MAX_ITEM_BYTES) -> Told:
    """Feed all chunks and the end. The events are read only afterwards: later feeds must not change earlier ones."""
    splitter = Splitter(max_item_bytes)
    events: list[Event] = []
    for chunk in chunks:
        events += splitter.feed(chunk)
    events += splitter.finish()
    assert splitter.held == 0
    sizes = [size for event in events if isinstance(event, Items) for size in event.sizes]
    assert splitter.items == len(sizes)
    items = [bytes(event.data) for event in events if isinstance(event, Items)]
    return Told(b"".join(join(events)), sizes, items, splitter.is_list)
