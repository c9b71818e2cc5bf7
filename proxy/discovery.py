"""What the upstream says of itself, asked for with the proxy's own credential, or with none."""

import asyncio
import re
from time import monotonic
from typing import TypeVar

import msgspec

from proxy.core.errors import RestreamError
from proxy.core.planning import STREAMING_ENCODER, Facts
from proxy.identity import Identity
from proxy.upstream.pool import Request, Upstream

VERSION = b"/version"
"""Readable by everyone on a default cluster (system:public-info-viewer)."""

API_SERVICES = b"/apis/apiregistration.k8s.io/v1/apiservices"
"""Tells which groups are aggregated; readable where the proxy has a credential that may."""

PATIENCE_SECONDS = 3.0
MAX_BYTES = 8 << 20
FRESH_SECONDS, RETRY_SECONDS = 60.0, 10.0
"""How long an answer holds, and how soon a failure is tried again. Control planes are upgraded under their address."""

T = TypeVar("T")

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


class Discovery:
    """Asks the upstream, and remembers what it said."""

    def __init__(self, upstream: Upstream, identity: Identity) -> None:
        self._upstream = upstream
        self._identity = identity
        self._facts = Facts()
        self._stale_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def facts(self) -> Facts:
        """Return what is known. Only who asks first waits; later, what is old is renewed in the background."""
        if self._task is None and (self._stale_at is None or monotonic() > self._stale_at):
            self._task = asyncio.get_running_loop().create_task(self._learn())
        if self._stale_at is None and self._task is not None:
            await asyncio.shield(self._task)
        return self._facts

    async def probe(self) -> str:
        """Return what keeps the upstream from answering, nothing if it does; any answer below 500 will do."""
        try:
            status, _ = await self._get(VERSION)
        except RestreamError as error:
            return str(error)
        except TimeoutError:
            return "the upstream did not answer in time"
        return f"the upstream answered {status}" if status >= 500 else ""

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _learn(self) -> None:
        """Ask for everything; what cannot be had leaves in force what was known before."""
        minor = None
        try:
            minor = await self._minor()
            if minor is not None:
                aggregated = await self._aggregated() if minor >= STREAMING_ENCODER else None
                self._facts = Facts(minor, aggregated if aggregated is not None else self._facts.aggregated)
        finally:
            self._stale_at = monotonic() + (RETRY_SECONDS if minor is None else FRESH_SECONDS)
            self._task = None

    async def _minor(self) -> int | None:
        version = await self._read(VERSION, Version)
        digits = MINOR.match(version.minor) if version is not None and version.major == "1" else None
        return int(digits[0]) if digits else None

    async def _aggregated(self) -> frozenset[tuple[str, str]] | None:
        services = await self._read(API_SERVICES, Services)
        if services is None:
            return None
        specs = [service.spec for service in services.items]
        return frozenset((spec.group, spec.version) for spec in specs if spec.service is not None)

    async def _read(self, target: bytes, kind: type[T]) -> T | None:
        try:
            status, body = await self._get(target)
            return msgspec.json.decode(body, type=kind) if status == 200 else None
        except (RestreamError, TimeoutError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    async def _get(self, target: bytes) -> tuple[int, bytes]:
        """Ask for a small document. Raises RestreamErrors and TimeoutError."""
        identity = self._identity
        lines = [(b"Host", identity.address.authority), (b"Accept", b"application/json")]
        body = bytearray()
        async with asyncio.timeout(PATIENCE_SECONDS):
            authorization = await identity.credential.authorize() if identity.credential is not None else b""
            if authorization:
                lines.append((b"Authorization", authorization))
            response = await self._upstream.send(Request("GET", target, lines))
            try:
                while len(body) < MAX_BYTES and (pieces := await response.body.read()):
                    body += b"".join(pieces)
            finally:
                self._upstream.release(response)
        return response.status, bytes(body)
