"""Both ways to find items against Python's own parser, on mutated Lists."""

import sys
from random import Random
from time import monotonic

from proxy.core import scanner
from tests.core.recorded import json_bodies
from tests.core.test_scanner import HEAD, SAMPLE, TAIL, is_json, passes

TOKENS: tuple[bytes, ...] = (
    b'"',
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"-",
    b"0",
    b"1e",
    b".5",
    b"true",
    b"null",
)
TOKENS += (
    b" ",
    b"\n",
    b"\x00",
    b"\x1f",
    b"\x7f",
    b"\x80",
    b"\xc3",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\xff",
)
MOST = 20_000
"""Bytes of a recorded List that are used: small ones are mutated more often."""

SURROGATE = b"\\ud"
"""One without its other half is refused in items; outside of them yajl takes it, and it passes as it stands."""


def mutated(random: Random, body: bytes) -> bytes:
    """Return a List with a few faults, or none: what was cut out, doubled, moved or put in may be good JSON."""
    changed = bytearray(body)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(changed))
        end = min(len(changed), at + random.choice((0, 1, 1, 2, 8, 64)))
        other = random.randint(0, len(changed))
        changed[at:end] = random.choice((b"", random.choice(TOKENS), bytes(changed[other : other + 16])))
    return bytes(changed)


def pieces(random: Random, body: bytes) -> list[bytes]:
    """Cut a body anywhere."""
    cuts = sorted(random.randint(0, len(body)) for _ in range(random.choice((0, 1, 3, 20))))
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def fuzz(seconds: float, seed: int) -> str:
    """Mutate for a while; return what was found, empty for nothing."""
    has_compiled = scanner.is_compiled
    try:
        return _fuzz(seconds, seed)
    finally:
        scanner.is_compiled = has_compiled  # else what runs next would look at one finder alone


def _fuzz(seconds: float, seed: int) -> str:
    random = Random(seed)
    seeds = [
        HEAD + SAMPLE + TAIL,
        *(body for _, body in json_bodies() if b'"items":[' in body[:MOST] and len(body) < MOST),
    ]
    ways = (True, False) if scanner.is_compiled else (False,)
    end, count = monotonic() + seconds, 0
    while monotonic() < end:
        body = mutated(random, random.choice(seeds))
        for way in ways:
            scanner.is_compiled = way
            is_taken = passes(pieces(random, body))
            if is_taken != is_json(body) and not (is_taken and SURROGATE in body.lower()):
                return (
                    f"{'the compiled scanner' if way else 'the Python finder'} does not judge as Python does: {body!r}"
                )
        count += 1
    sys.stdout.write(f"scanner: {count:,} Lists, {len(ways)} finders, seed {seed}: all judged as Python does\n")
    return ""
