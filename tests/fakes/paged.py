"""A List that a scripted upstream serves in pages, as an apiserver does, and what can go wrong with one of them.

The rules of ``limit``, ``continue``, ``resourceVersion`` and its match are an apiserver's: what one would refuse is
refused here too. Tokens are opaque: only those that were issued are known.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

from tests.fakes.apiserver import Exchange, response
from tests.fakes.wire import Lines, request

OWN = ("limit", "continue", "resourceVersion", "resourceVersionMatch")
"""The parameters of a page that are the proxy's to set."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How an apiserver writes one kind of List; a custom resource's has its metadata last, and always a token."""

    target: str
    kind: str
    version: str = "v1"
    accept: str = "application/json"
    before_items: str = ""
    key: str = "items"
    is_custom: bool = False
    counts_remaining: bool = True
    empty: str = "[]"


PODS = Shape("/api/v1/pods", "PodList")
SELECTED = Shape("/api/v1/pods?labelSelector=app%3Dweb", "PodList", counts_remaining=False)
WIDGETS = Shape("/apis/example.com/v1/widgets", "WidgetList", "example.com/v1", is_custom=True)
TABLE = Shape(
    "/api/v1/pods",
    "Table",
    "meta.k8s.io/v1",
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
    '"columnDefinitions":[{"name":"Name","type":"string"}],',
    "rows",
)
PARTIAL = Shape(
    "/api/v1/pods",
    "PartialObjectMetadataList",
    "meta.k8s.io/v1",
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
    empty="null",
)
SHAPES = {"pods": PODS, "selected": SELECTED, "widgets": WIDGETS, "table": TABLE, "partial": PARTIAL}


def make_items(count: int, size: int = 0) -> tuple[bytes, ...]:
    """Make items of which each can be told from the others, of at least `size` bytes."""
    return tuple(
        (b'{"metadata":{"name":"item-%04d","note":"a\\u003cb \xc3\xa9 ]},{","pad":"' % number).ljust(size - 3, b"x")
        + b'"}}'
        for number in range(count)
    )


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it would be served, or (without a token) a whole List."""

    shape: Shape
    items: tuple[bytes, ...]
    version: str = "300"
    token: str = ""
    remaining: int = 0
    number: int = 1

    @property
    def body(self) -> bytes:
        """Return the document, down to the final newline."""
        shape = self.shape
        items = b"[%b]" % b",".join(self.items) if self.items else shape.empty.encode()
        head = (
            f'"kind":"{shape.kind}","apiVersion":"{shape.version}","metadata":{self._metadata()},{shape.before_items}'
        )
        if shape.is_custom:
            tail = f',"kind":"{shape.kind}","metadata":{self._metadata()}}}\n'
            return f'{{"apiVersion":"{shape.version}","{shape.key}":'.encode() + items + tail.encode()
        return f'{{{head}"{shape.key}":'.encode() + items + b"}\n"

    def _metadata(self) -> str:
        token = f'"continue":"{self.token}"' if self.token or self.shape.is_custom else ""
        remaining = f'"remainingItemCount":{self.remaining}' if self.remaining else ""
        version = f'"resourceVersion":"{self.version}"' if self.version else ""
        order = (token, remaining, version) if self.shape.is_custom else (version, token, remaining)
        return "{" + ",".join(filter(None, order)) + "}"


Fault = Callable[[Exchange, Page], Awaitable[Page | None]]
"""Answers instead of the List (None), or returns the page that is to be served, perhaps changed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a page."""

    exchange: Exchange
    options: list[tuple[str, str]]

    def option(self, name: str) -> str:
        """Return a parameter as an apiserver reads it: the first of its name, empty without one."""
        return next((value for key, value in self.options if key == name), "")

    @property
    def limit(self) -> int:
        """Return the limit, 0 for none."""
        return int(self.option("limit") or 0)

    @property
    def own(self) -> dict[str, str]:
        """Return what the proxy has set, but for the limit."""
        return {name: self.option(name) for name in OWN[1:] if self.option(name)}

    @property
    def others(self) -> list[str]:
        """Return the pairs of every other parameter, as they stood on the wire."""
        pairs = self.exchange.target.partition(b"?")[2].decode("latin-1").split("&")
        return [pair for pair in pairs if pair.partition("=")[0] not in OWN]

    def refusal(self) -> tuple[bytes, bytes] | None:
        """Return why an apiserver would not take the combination (validation.go)."""
        version, match = self.option("resourceVersion"), self.option("resourceVersionMatch")
        if self.option("continue"):
            if match:
                return b"422 Unprocessable Entity", b"resourceVersionMatch is forbidden for continue"
            if version not in ("", "0"):
                return b"400 Bad Request", b"specifying resource version is not allowed when using continue"
        elif match and (not version or match not in ("Exact", "NotOlderThan") or (match == "Exact" and version == "0")):
            return b"422 Unprocessable Entity", b"resourceVersionMatch is forbidden"
        return None


@dataclass(slots=True)
class PagedList:
    """The List, as a script for `Apiserver`. `faults` are by the number of the page, counted from 1.

    `sizes` says how many items the first pages have, whatever the limit; all of these have a token. `known` maps tokens
    to where they continue.
    """

    shape: Shape = PODS
    items: tuple[bytes, ...] = make_items(8)
    framing: str = "length"
    chunk_size: int = 50
    version: str = "300"
    sizes: Sequence[int] = ()
    ignores_limit: bool = False
    lines: Lines = field(default_factory=lambda: [(b"Audit-Id", b"0e1f"), (b"Content-Type", b"application/json")])
    faults: dict[int, Fault] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    strange_tokens: list[str] = field(default_factory=list)
    known: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """Return the unpaged List."""
        return Page(self.shape, self.items, self.version).body

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        await exchange.body()
        query = exchange.target.partition(b"?")[2].decode("latin-1")
        asked = Asked(exchange, parse_qsl(query, keep_blank_values=True))
        self.asked.append(asked)
        token = asked.option("continue")
        if token and token not in self.known:
            self.strange_tokens.append(token)
        refusal = asked.refusal() or ((b"400 Bad Request", b"strange token") if self.strange_tokens else None)
        if refusal is not None:
            await exchange.send(status(*refusal))
            return
        page: Page | None = self.page(asked)
        assert page is not None
        if page.number in self.faults:
            page = await self.faults[page.number](exchange, page)
        if page is not None:
            await self.serve(exchange, page)

    def page(self, asked: Asked) -> Page:
        """Return what was asked for."""
        number, start = self.known.get(asked.option("continue"), (1, 0))
        size, left = asked.limit, len(self.items) - start
        if not size or self.ignores_limit or (asked.option("resourceVersion") == "0" and not asked.option("continue")):
            return Page(self.shape, self.items[start:], self.version, number=number)
        if number <= len(self.sizes):
            size = self.sizes[number - 1]
        elif size >= left:
            return Page(self.shape, self.items[start:], self.version, number=number)
        token = f"page {number + 1} from {start + size}: +/=&?%\u00e9"
        self.known[token] = number + 1, start + size
        remaining = left - size if self.shape.counts_remaining else 0
        return Page(self.shape, self.items[start : start + size], self.version, token, remaining, number)

    async def serve(self, exchange: Exchange, page: Page) -> None:
        """Send a page."""
        await exchange.send(self.render(page))
        if self.framing == "close":
            exchange.close()

    def render(self, page: Page) -> bytes:
        """Return a page's response."""
        return response(page.body, lines=self.lines, framing=self.framing, chunk_size=self.chunk_size)


def request_for(shape: Shape, *lines: bytes, version: str = "1.1", target: str = "") -> bytes:
    """Write a client's request for a whole List."""
    return request(target or shape.target, b"Accept: " + shape.accept.encode(), *lines, version=version)


def status(code: bytes, message: bytes = b"", *, token: str = "", lines: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """Write a response that is a Failure Status; the one of an expired token holds a new one."""
    metadata = f'"continue":"{token}"'.encode() if token else b""
    body = b'{"kind":"Status","apiVersion":"v1","metadata":{%b},"status":"Failure","message":"%b","code":%b}\n'
    all_lines = [(b"Content-Type", b"application/json"), *lines]
    return response(body % (metadata, message, code[:3]), status=code, lines=all_lines)


# --- faults -----------------------------------------------------------------------------------------------------------


def answers(*pieces: bytes, close: bool = False) -> Fault:
    """Send something else."""

    async def answer(exchange: Exchange, _: Page) -> None:
        await exchange.send(*pieces)
        if close:
            exchange.close()

    return answer


def changes(**members: object) -> Fault:
    """Change members of the page."""

    async def change(_: Exchange, page: Page) -> Page:
        return replace(page, **members)  # type: ignore[arg-type]  # whatever the test wants

    return change


def dies(at: int, ending: str, served: PagedList) -> Fault:
    """Send the first `at` bytes of the response, then a FIN or an RST; ``stall`` sends nothing more."""

    async def die(exchange: Exchange, page: Page) -> None:
        if at:
            await exchange.send(served.render(page)[:at])
        if ending == "stall":
            await exchange.wait_closed()
        elif ending == "fin":
            exchange.close()
        else:
            exchange.reset()

    return die


def times(count: int, fault: Fault) -> Fault:
    """Let a fault happen so many times, then serve the page."""
    left = count

    async def happen(exchange: Exchange, page: Page) -> Page | None:
        nonlocal left
        left -= 1
        return page if left < 0 else await fault(exchange, page)

    return happen
