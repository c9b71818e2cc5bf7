"""What the upstream says of itself, asked for with the proxy's own credential, or with none.

Each address is asked for its version, as those of a control plane differ while it is upgraded. A List is planned for
the oldest of them: a plan for an old server is right for a new one too, only slower, and so it may go to any.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

import msgspec

from proxy.core.errors import RestreamError
from proxy.core.planning import STREAMING_ENCODER, Facts
from proxy.identity import Identity
from proxy.upstream.connection import Response
from proxy.upstream.place import Place, Request
from proxy.upstream.pool import Upstream

VERSION = b"/version"
"""Readable by everyone on a default cluster (system:public-info-viewer)."""

API_SERVICES = b"/apis/apiregistration.k8s.io/v1/apiservices"
"""Tells which groups are aggregated; readable where the proxy has a credential that may."""

PATIENCE_SECONDS, FIRST_WAIT_SECONDS = 3.0, 1.0
MAX_BYTES = 8 << 20
FRESH_SECONDS, RETRY_SECONDS = 60.0, 10.0
"""How long an answer holds, and how soon a failure is tried again. Control planes are upgraded under their address."""

T = TypeVar("T")
Ask = Callable[[Request], Awaitable[Response]]

MINOR = re.compile(r"[0-9]{1,4}(?![0-9])")
"""What a minor version begins with: ``33``, ``27+``."""


class Version(msgspec.Struct, frozen=True):
    """k8s.io/apimachinery/pkg/version.Info, as far as it matters."""

    major: str
    minor: str


class Spec(msgspec.Struct, frozen=True):
    """Of an APIService: without a `service`, kube-apiserver serves the group itself."""

    group: str = ""
    version: str = ""
    service: dict[str, object] | None = None


class Service(msgspec.Struct, frozen=True):
    """One APIService."""

    spec: Spec


class Services(msgspec.Struct, frozen=True):
    """An APIServiceList."""

    items: list[Service]


@dataclass(slots=True)
class Known:
    """What an address was asked when it had risen so often, and the minor version that it told then, if it did."""

    rises: int
    minor: int | None = None


class Discovery:
    """Asks the upstream, and remembers what it said."""

    def __init__(self, upstream: Upstream, identity: Identity) -> None:
        self._upstream = upstream
        self._identity = identity
        self._known: dict[Place, Known] = {}
        self._aggregated: frozenset[tuple[str, str]] | None = None
        self._stale_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def facts(self) -> Facts:
        """Return what is known. Only who asks first waits; later, what is old is renewed in the background."""
        if self._task is None and (self._stale_at is None or monotonic() > self._stale_at or self._is_outdated):
            self._task = asyncio.get_running_loop().create_task(self._learn())
        if self._stale_at is None and self._task is not None:
            # Of several, one that does not answer should not keep Lists from the others: unknown is paged.
            await asyncio.wait([self._task], timeout=None if len(self._upstream.places) == 1 else FIRST_WAIT_SECONDS)
        return Facts(self._oldest(), self._aggregated)

    async def probe(self) -> str:
        """Return what keeps the upstream from answering, nothing if it does; any answer below 500 will do."""
        try:
            status, _ = await self._get(VERSION, self._upstream.send)
        except RestreamError as error:
            return str(error)
        except TimeoutError:
            # Of several, the checks have found by now whether it was only the one that was asked.
            places = self._upstream.places
            is_well = len(places) > 1 and any(place.is_up for place in places)
            return "" if is_well else "the upstream did not answer in time"
        return f"the upstream answered {status}" if status >= 500 else ""

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def _eligible(self) -> list[Place]:
        """Return where a List may go: to addresses that are up, or to all where none is."""
        places = self._upstream.places
        return [place for place in places if place.is_up] or places

    @property
    def _is_outdated(self) -> bool:
        """Whether an address has come back and has not been asked since: it may be of another version now."""
        known = self._known
        return any(place not in known or known[place].rises != place.rises for place in self._eligible)

    def _oldest(self) -> int | None:
        """Return the oldest version that a List may meet, None where one is not known."""
        minors = []
        for place in self._eligible:
            known = self._known.get(place)
            minors.append(known.minor if known is not None and known.rises == place.rises else None)
        known_minors = [minor for minor in minors if minor is not None]
        return min(known_minors) if len(known_minors) == len(minors) else None

    async def _learn(self) -> None:
        """Ask for everything; what cannot be had leaves in force what was known before."""
        is_known = False
        try:
            is_known = all(await asyncio.gather(*map(self._learn_version, self._eligible)))
            oldest = self._oldest()
            if oldest is not None and oldest >= STREAMING_ENCODER:
                await self._learn_aggregated()
        finally:
            self._stale_at = monotonic() + (FRESH_SECONDS if is_known else RETRY_SECONDS)
            self._task = None

    async def _learn_version(self, place: Place) -> bool:
        """Ask an address for its version; False where it does not tell."""
        rises = place.rises
        version = await self._read(VERSION, Version, place.ask)
        digits = MINOR.match(version.minor) if version is not None and version.major == "1" else None
        before = self._known.get(place)
        if digits:
            self._known[place] = Known(rises, int(digits[0]))
        elif before is None or before.rises != rises:
            self._known[place] = Known(rises)
        return bool(digits)

    async def _learn_aggregated(self) -> None:
        services = await self._read(API_SERVICES, Services, self._upstream.send)
        if services is not None:
            specs = [service.spec for service in services.items]
            self._aggregated = frozenset((spec.group, spec.version) for spec in specs if spec.service is not None)

    async def _read(self, target: bytes, kind: type[T], ask: Ask) -> T | None:
        try:
            status, body = await self._get(target, ask)
            return msgspec.json.decode(body, type=kind) if status == 200 else None
        except (RestreamError, TimeoutError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    async def _get(self, target: bytes, ask: Ask) -> tuple[int, bytes]:
        """Ask for a small document. Raises RestreamErrors and TimeoutError."""
        identity = self._identity
        lines = [(b"Accept", b"application/json")]
        body = bytearray()
        async with asyncio.timeout(PATIENCE_SECONDS):
            authorization = await identity.credential.authorize() if identity.credential is not None else b""
            if authorization:
                lines.append((b"Authorization", authorization))
            response = await ask(Request("GET", target, lines))
            try:
                while len(body) < MAX_BYTES and (pieces := await response.body.read()):
                    body += b"".join(pieces)
            finally:
                self._upstream.release(response)
        return response.status, bytes(body)
