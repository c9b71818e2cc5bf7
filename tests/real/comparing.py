"""Two Lists of one snapshot, byte for byte; the ages in Tables, which pass with time, aside."""

import asyncio
import json
import re
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from tests.fakes.running import Running
from tests.fakes.wire import PATIENCE, Answer, request
from tests.real.population import COLLECTIONS
from tests.real.server import Server

AGE = re.compile(rb'"\d+[smhdy](?:\d+[smhdy])*"')
"""A cell such as "5s" or "2m30s"."""
EXCERPT = 80
AGREEMENTS = 40
"""How often to ask until nothing was written in between: the apiserver itself writes every few seconds."""

_changes = count()

TABLE = b"application/json;as=Table;g=meta.k8s.io;v=v1"
PARTIAL = b"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
KUBECTL = (
    b"application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)

FORMS: dict[str, tuple[bytes, str]] = {
    "json": (b"application/json", ""),
    "table": (TABLE, ""),
    "table-none": (TABLE, "includeObject=None"),
    "table-metadata": (TABLE, "includeObject=Metadata"),
    "table-object": (TABLE, "includeObject=Object"),
    "kubectl": (KUBECTL, ""),
    "partial": (PARTIAL, ""),
}
"""The Accept of each form of a List, and the option that goes with it."""


@dataclass(frozen=True)
class Query:
    """One List: what it is of (`options` select and shape), in which form, and from when (`version`)."""

    path: str
    accept: bytes = b"application/json"
    options: str = ""
    version: str = ""

    @property
    def target(self) -> str:
        """Return the request target."""
        query = "&".join(part for part in (self.options, self.version) if part)
        return f"{self.path}?{query}" if query else self.path

    @property
    def is_table(self) -> bool:
        """Whether the answer has ages in it."""
        return b"as=Table" in self.accept

    def formed(self, form: str) -> "Query":
        """Return the same List in another form."""
        accept, option = FORMS[form]
        return replace(self, accept=accept, options="&".join(part for part in (self.options, option) if part))

    def exactly(self, version: int) -> "Query":
        """Return the same List as it was at one resourceVersion."""
        return replace(self, version=f"resourceVersion={version}&resourceVersionMatch=Exact")

    def written(self, server: Server, *lines: bytes) -> bytes:
        """Return the request as bytes."""
        return request(self.target, server.credentials, b"Accept: " + self.accept, *lines)


@dataclass(frozen=True)
class Listed:
    """A List that came whole."""

    answer: Answer
    body: bytes
    document: dict[str, Any]
    query: Query

    @property
    def version(self) -> int:
        """Return its resourceVersion."""
        return int(self.document["metadata"]["resourceVersion"])

    @property
    def token(self) -> str:
        """Return its continue token, empty on the last page."""
        return str(self.document["metadata"].get("continue", ""))

    @property
    def count(self) -> int:
        """Return how many items or rows it has."""
        return len(self.document["rows" if self.query.is_table else "items"] or ())

    @property
    def comparable(self) -> bytes:
        """Return the body with nothing in it that passes with time."""
        return AGE.sub(b'"<age>"', self.body) if self.query.is_table else self.body


def listed(answer: Answer, query: Query) -> Listed:
    """Take an answer for a List, or fail."""
    assert (answer.status, answer.complete) == (200, True), (query.target, answer.status, answer.body[:500])
    assert answer.first(b"content-type") == b"application/json", (query.target, answer.lines)
    return Listed(answer, answer.body, json.loads(answer.body), query)


async def direct(server: Server, query: Query) -> Listed:
    """List without the proxy."""
    return listed(await server.ask(query.written(server)), query)


async def through(proxy: Running, server: Server, query: Query) -> Listed:
    """List through the proxy."""
    return listed(await proxy.ask(query.written(server)), query)


async def same_snapshot(proxy: Running, server: Server, query: Query) -> Listed:
    """List through the proxy, and check that this is the List of its own resourceVersion, whole and to the byte.

    This holds whatever is being written meanwhile, and whichever snapshot `query` left it to the server to pick.
    """
    got = await through(proxy, server, query)
    same_bytes(got, await direct(server, query.exactly(got.version)))
    return got


def same_bytes(got: Listed, expected: Listed) -> None:
    """Fail, with where they part, unless both are the same."""
    one, other = got.comparable, expected.comparable
    if one == other:
        return
    at = next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), None)
    at = min(len(one), len(other)) if at is None else at
    around = slice(max(0, at - EXCERPT), at + EXCERPT)
    raise AssertionError(
        f"{got.query.target} ({got.answer.mode or 'direct'}): {len(one)} bytes, {got.count} items; expected"
        f" {expected.query.target}: {len(other)} bytes, {expected.count} items; they part at byte {at}:\n"
        f"{one[around]!r}\n{other[around]!r}"
    )


async def same_answers(proxies: list[Running], server: Server, query: Query) -> Listed:
    """Ask with and without each proxy until no write came in between, and check that all say the same."""
    versions: list[list[int]] = []
    for _ in range(AGREEMENTS):
        expected = await direct(server, query)
        answers = [await through(proxy, server, query) for proxy in proxies]
        answers.append(await direct(server, query))
        versions.append([each.version for each in (expected, *answers)])
        if len(set(versions[-1])) == 1:
            for answer in answers:
                same_bytes(answer, expected)
            return expected
    raise AssertionError(f"{query.target}: there was a write between any two of {AGREEMENTS} answers: {versions}")


async def recent_version(server: Server, name: str) -> int:
    """Write to a collection, and return the resourceVersion that its cache is at when it has seen that.

    Up to 1.30 a cache knows of no version but those of its own objects, and waits for a later one in vain; and a
    version that has not been written for minutes may be compacted away, so that no Exact List of it is to be had.
    """
    collection = COLLECTIONS[name]
    change = {"metadata": {"annotations": {"example.com/change": str(next(_changes))}}}
    written = await server.patch(f"{collection.objects}/object-03", change)
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while (seen := (await direct(server, Query(collection.path, version="resourceVersion=0"))).version) < written:
        assert asyncio.get_running_loop().time() < deadline, f"the cache of {name} is at {seen}, not yet at {written}"
        await asyncio.sleep(0.01)
    return seen
