"""What generated objects look like: templates that are rendered once and then only joined.

A shape appends the pieces of one list item to a buffer. Pods come from a pool of variants, so that neighbours differ;
large data is sliced out of one seeded pool at a different offset for each object. Nothing is kept for an object.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from typing import Protocol

from proxy.backend import gojson, podspec

# An odd multiplier maps indexes to 48-bit UID tails one to one.
UID_MULTIPLIER = 0x9E3779B97F4B
UID_MASK = (1 << 48) - 1

# Pods differ from their neighbours, yet the pool must stay in the processor's cache.
POOL_BYTES = 2 << 20
MAX_VARIANTS = 512
MIN_VARIANTS = 16

# Larger objects repeat the pool, so that a 1 GiB object needs no 1 GiB pool.
MAX_DATA_POOL = 3 << 18
OFFSETS = 4096
SLOTS = ("@NAME@", "@NS@", "@UID@", "@RV@")

Piece = bytes | memoryview


class Shape(Protocol):
    """How the objects of one collection are rendered."""

    def append(self, out: list[Piece], name: bytes, namespace: bytes, index: int, version: int) -> None:
        """Append the pieces of one list item."""

    def labels(self, index: int) -> Mapping[str, str]:
        """Return the labels of one item, for selectors."""


def compile_text(text: bytes) -> bytes:
    """Turn placeholders into a bytes format with the arguments of `arguments()`."""
    text = text.replace(b"%", b"%%").replace(b"@NAME@", b"%(n)b").replace(b"@NS@", b"%(s)b")
    return text.replace(b"@UID@", b"%(u)012x").replace(b"@RV@", b"%(v)d")


def positional(text: bytes) -> bytes:
    """As compile_text(), for texts whose placeholders stand in the order of SLOTS (faster)."""
    text = text.replace(b"%", b"%%")
    for slot, conversion in zip(SLOTS, (b"%b", b"%b", b"%012x", b"%d"), strict=True):
        text = text.replace(slot.encode(), conversion)
    return text


def uid_template(source: random.Random) -> str:
    """Return a version 4 UID whose tail is filled in for each object."""
    digits = f"{source.getrandbits(72):018x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-8{digits[15:]}-@UID@"


class PodShape:
    """Pods of about a given size, from a pool of variants."""

    def __init__(self, seed: int, size: int, count: int, nodes: int) -> None:
        variants = max(min(MAX_VARIANTS, POOL_BYTES // max(size, 1), count), MIN_VARIANTS)
        self.variants: list[tuple[bytes, bytes, bytes, bytes]] = []
        self.label_maps: list[Mapping[str, str]] = []
        for number in range(variants):
            source = random.Random(f"{seed}-pod-{number}")
            pod = podspec.build(source, number, uid_template(source), size, nodes)
            head, middle, between, tail = self.cut(gojson.print_in_order(pod.document))
            self.variants.append((positional(head), middle, between, tail))
            self.label_maps.append(pod.labels)

    @staticmethod
    def cut(text: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        """Cut a pod after the last place that changes with a write, and around its two IP addresses."""
        end = text.index(b'"note"')
        middle, between, tail = text[end:].split(b"@IP@")
        return text[:end], middle, between, tail

    def append(self, out: list[Piece], name: bytes, namespace: bytes, index: int, version: int) -> None:
        """Append the pieces of one pod."""
        head, middle, between, tail = self.variants[index % len(self.variants)]
        address = b"10.%d.%d.%d" % (64 + (index >> 16), index >> 8 & 255, index & 255)
        uid = index * UID_MULTIPLIER & UID_MASK
        out += (head % (name, namespace, uid, version, version), middle, address, between, address, tail)

    def labels(self, index: int) -> Mapping[str, str]:
        """Return the labels of the pod's variant."""
        return self.label_maps[index % len(self.label_maps)]


class DataPool:
    """Seeded text that objects slice differently, aligned to a unit that must not be cut."""

    def __init__(self, text: bytes, unit: int) -> None:
        self.view = memoryview(text)
        self.unit = unit

    @classmethod
    def base64(cls, seed: int, size: int) -> DataPool:
        """Random bytes in base64: any slice at a multiple of four is base64 again."""
        raw = random.Random(f"{seed}-data").randbytes(min(size, MAX_DATA_POOL) + 3 * OFFSETS)
        return cls(base64.b64encode(raw[: len(raw) // 3 * 3]), 4)

    @classmethod
    def text(cls, seed: int, size: int) -> DataPool:
        """Lines of one width with HTML escapes and UTF-8, as they stand inside a JSON string."""
        source = random.Random(f"{seed}-text")
        unit = len(cls.line(source))
        count = min(size, MAX_DATA_POOL) // unit + 64
        return cls(b"".join(cls.line(source) for _ in range(count)), unit)

    @staticmethod
    def line(source: random.Random) -> bytes:
        """One line of configuration."""
        return f"key.{source.getrandbits(32):08x} = \\u003cé\\u0026中\\u003e {source.getrandbits(96):024x}\\n".encode()

    def append(self, out: list[Piece], index: int, size: int) -> None:
        """Append `size` bytes, rounded down to the unit, from an offset that depends on the index."""
        size -= size % self.unit
        start = index * 2654435761 % OFFSETS * self.unit % len(self.view)
        while size > 0:
            piece = self.view[start : start + size]
            out.append(piece)
            size -= len(piece)
            start = 0


class DataShape:
    """Secrets and ConfigMaps: a head, one large value, a tail."""

    def __init__(self, document: object, pool: DataPool, size: int) -> None:
        head, tail = gojson.print_in_order(document).split(b"@DATA@")
        self.head = positional(head)
        self.tail = tail
        self.pool = pool
        sample = self.head % (b"secret-0000000", b"default", 0, 1000)
        self.size = max(size - len(sample) - len(tail), pool.unit)

    def append(self, out: list[Piece], name: bytes, namespace: bytes, index: int, version: int) -> None:
        """Append the pieces of one Secret or ConfigMap."""
        out.append(self.head % (name, namespace, index * UID_MULTIPLIER & UID_MASK, version))
        self.pool.append(out, index, self.size)
        out.append(self.tail)

    def labels(self, index: int) -> Mapping[str, str]:
        """Return the one label that all of them have."""
        del index
        return podspec.DATA_LABELS


class PlainShape:
    """Small objects: a few whole-document templates."""

    def __init__(self, texts: list[bytes], label_maps: list[Mapping[str, str]]) -> None:
        self.texts = [compile_text(text) for text in texts]
        self.label_maps = label_maps

    def append(self, out: list[Piece], name: bytes, namespace: bytes, index: int, version: int) -> None:
        """Append one object."""
        uid = index * UID_MULTIPLIER & UID_MASK
        values = {b"n": name, b"s": namespace, b"u": uid, b"v": version}
        out.append(self.texts[index % len(self.texts)] % values)

    def labels(self, index: int) -> Mapping[str, str]:
        """Return the labels of the object's template; `@NAME@` can't occur in them."""
        return self.label_maps[index % len(self.label_maps)]
