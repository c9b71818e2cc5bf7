"""Which way a response takes, decided once from the request and once more from the response's head.

Every plan carries the reason for which it was picked; the reasons are a closed set, as they become labels.
"""

from dataclasses import dataclass
from typing import Literal

from proxy.core.headers import Lines, first
from proxy.core.listoptions import ListOptions
from proxy.core.negotiation import JSON, Media
from proxy.core.request import RequestInfo
from proxy.core.weights import Key, Weights

Mode = Literal["raw", "streamed", "paged", "buffered"]
ListMode = Literal["auto", "raw", "streamed", "paged", "buffered"]


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes are copied as they come."""

    reason: str
    mode: Mode = "raw"


@dataclass(frozen=True, slots=True)
class Streamed:
    """The body is cut into items and re-emitted while it arrives; one window is held.

    `limit` replaces the client's own, 0 leaves it alone.
    """

    reason: str
    mode: Mode = "streamed"
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Paged:
    """The List is asked for in pages, which are stitched into the one that the client wanted; two pages are held."""

    reason: str
    mode: Mode = "paged"


@dataclass(frozen=True, slots=True)
class Buffered:
    """The whole body is held, then sent with one write: the path to compare with."""

    reason: str
    mode: Mode = "buffered"


Plan = Raw | Streamed | Paged | Buffered

NOT_A_LIST = Raw("not_a_list_request")
BODY_NOT_A_LIST = Raw("not_a_list")
"""A 200 to a List request whose body turns out to have no array of items."""

UNSTITCHABLE = Streamed("unstitchable")
"""A List whose pages would not make what an unpaged response is."""

MODES: tuple[Mode, ...] = ("raw", "streamed", "paged", "buffered")
BY_MODE: dict[str, type[Plan]] = {"raw": Raw, "streamed": Streamed, "paged": Paged, "buffered": Buffered}

STREAMING_ENCODER = 33
"""The minor version from which JSON Lists are encoded item by item (KEP-5116)."""

LIMIT_FROM_CACHE = 31
"""The minor version from which a List with a limit is served from the watch cache; before, each page goes to etcd."""

UNCACHED = frozenset({("", "events"), ("events.k8s.io", "events")})
"""What has no watch cache, so that a limit counts whatever the version (default_storage_factory_builder.go)."""

BUILT_IN = frozenset(
    {"", "apps", "autoscaling", "batch", "policy"}
    | {
        f"{name}.k8s.io"
        for name in (
            *("admissionregistration", "apiextensions", "apiregistration", "authentication", "authorization"),
            *("certificates", "coordination", "discovery", "events", "flowcontrol.apiserver", "internal.apiserver"),
            *("networking", "node", "rbac.authorization", "resource", "scheduling", "storage", "storagemigration"),
        )
    }
)
"""The groups that kube-apiserver serves itself, besides those of custom resources."""

USUALLY_AGGREGATED = frozenset({"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the upstream: its minor version, and the (group, version) pairs that others serve for it.

    None is what could not be learnt.
    """

    minor: int | None = None
    aggregated: frozenset[tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A List as it was asked for."""

    info: RequestInfo
    options: ListOptions
    media: Media

    @property
    def key(self) -> Key:
        """Return under what its items' weight is known."""
        return self.info.group, self.info.resource

    @property
    def is_everything(self) -> bool:
        """Whether every object of the resource was asked for, in one response."""
        options = self.options
        is_whole = not options.token and (not options.limit or self.limit_is_ignored)
        return is_whole and not (self.info.namespace or options.selects)

    @property
    def limit_is_ignored(self) -> bool:
        """Whether the watch cache answers, with everything that it has (`computeListLimit` in cacher.go)."""
        return self.options.wants_any and self.key not in UNCACHED


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans Lists with what is known at the moment. `now` is in seconds, by the clock that `Weights` were told."""

    facts: Facts
    weights: Weights
    now: float

    def plan(self, request: ListRequest, mode: ListMode, pinned_by: str) -> Plan:
        """Plan what to do with a List. `mode` is what settings, a route or the client's X-Restream-Mode pin.

        `pinned_by` says which of them; ``auto`` leaves the choice to the rules.
        """
        if mode == "raw":
            return Raw(pinned_by)
        if not request.media.takes_json:
            return Raw("media_type")
        if mode in ("streamed", "buffered"):
            return BY_MODE[mode](pinned_by)
        if not request.options.is_valid:
            return Streamed("options")
        if self._pages_itself(request):
            return Streamed("client_pages", limit=self._lowered(request))
        return self._plan_unpaged(request, mode, pinned_by)

    def _plan_unpaged(self, request: ListRequest, mode: ListMode, pinned_by: str) -> Plan:
        reason = pinned_by
        if mode == "auto":
            reason, streams = self._choose(request)
            if streams:
                return Streamed(reason)
        if request.media.is_pretty:
            return Raw("pretty")
        if self.weights.is_distrusted(request.key, self.now):
            return UNSTITCHABLE
        return Paged(reason)

    def _choose(self, request: ListRequest) -> tuple[str, bool]:
        """Return why a List should be paged, or (True) why it should be streamed straight through."""
        minor = self.facts.minor
        if self._is_aggregated(request):
            return "aggregated", False
        if minor is None:
            return "unknown_version", False
        if minor >= STREAMING_ENCODER:
            if request.media.form == "object":
                return "streaming_encoder", True
            return request.media.form, False
        is_heavy = request.is_everything and self.weights.is_heavy(request.key)
        if minor < LIMIT_FROM_CACHE and request.limit_is_ignored and not is_heavy:
            return "watch_cache", True
        return "whole_encoder", False

    def _is_aggregated(self, request: ListRequest) -> bool:
        info = request.info
        if info.group in BUILT_IN:
            return False
        if self.facts.aggregated is not None:
            return (info.group, info.version) in self.facts.aggregated
        return info.group in USUALLY_AGGREGATED or self.weights.is_foreign(request.key)

    def _pages_itself(self, request: ListRequest) -> bool:
        """Whether the client loops on tokens, and gets pages where it asks for them."""
        options = request.options
        if options.token:
            return True
        is_ignored = request.limit_is_ignored and not self._is_aggregated(request)
        return bool(options.limit) and not is_ignored

    def _lowered(self, request: ListRequest) -> int:
        """Return a lower limit than the client's where its page would be too heavy, else 0."""
        limit = request.options.limit or 0
        lowered = self.weights.lowered(request.key, limit)
        return lowered if lowered < limit else 0


def judge_response(plan: Plan, status: int, lines: Lines) -> Plan:
    """Keep `plan` if a response with these header lines can be a JSON List, else fall back to `Raw` with the reason."""
    if isinstance(plan, Raw):
        return plan
    if status != 200:
        return Raw("status")
    if first(lines, b"content-type").partition(";")[0].strip().lower() != JSON:
        return Raw("media_type")
    if first(lines, b"content-encoding").strip().lower() not in ("", "identity"):
        return Raw("content_encoding")
    return plan
