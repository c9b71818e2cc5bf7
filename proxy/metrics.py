"""Every metric, in one registry of its own, fed from `Progress` while a request runs and from its end.

Labels are bounded: never a user, a namespace or a path. A group and resource are ``other`` until the upstream has
answered 2xx for them, so that invented paths add no series.
"""

import platform
import re
from collections.abc import Iterable
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from proxy import __version__
from proxy.collectors import Held, ItemSizes
from proxy.core import scanner
from proxy.core.budget import Budget
from proxy.core.planning import MODES
from proxy.progress import Progress

RetryKind = Literal["connection", "page"]

ClientRefusal = Literal[
    "connections",
    "client_connections",
    "handshake",
    "head_slow",
    "head_large",
    "heads_full",
    "target_long",
    "malformed",
]
"""Why the listener has not taken a connection or a request: one of `limits`, or what is no HTTP."""

DURATIONS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
SIZES = tuple(float(1000 * 4**power) for power in range(12))
"""1 KB to 4.2 GB: client-go's own histogram ends at 16 MB, below the Lists that matter."""

MAX_RESOURCES = 500
"""Distinct (group, resource) pairs that become labels; large clusters have some 300 with their CRDs."""

NAME = re.compile(r"[a-z0-9.-]{1,253}")
"""What groups and resources are made of (RFC 1123); an upstream that answers 2xx for anything else makes no labels."""

VERBS = frozenset(
    {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "proxy", "head", "options"}
)


class Metrics:
    """The registry and everything in it."""

    def __init__(self, open_files_limit: int, budget: Budget) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each of ours, which Prometheus does not need
        self.registry = registry = CollectorRegistry()
        self._progress: dict[int, Progress] = {}
        self._resources: set[tuple[str, str]] = set()
        self._requests = Counter(
            "restream_requests",
            "Requests answered or aborted, by the plan, its reason and the status code sent.",
            ["mode", "reason", "verb", "group", "resource", "code"],
            registry=registry,
        )
        by_mode_and_verb = ["mode", "verb"]
        self._duration = Histogram(
            "restream_request_duration_seconds",
            "From the request's head to the last byte of the response handed to the kernel.",
            by_mode_and_verb,
            buckets=DURATIONS,
            registry=registry,
        )
        self._first_byte = Histogram(
            "restream_first_byte_seconds",
            "From the request's head to the first byte of the response's body sent to the client.",
            by_mode_and_verb,
            buckets=DURATIONS,
            registry=registry,
        )
        self._upstream_first_byte = Histogram(
            "restream_upstream_first_byte_seconds",
            "From the request's head to the head of the upstream's response.",
            by_mode_and_verb,
            buckets=DURATIONS,
            registry=registry,
        )
        self._response_bytes = Histogram(
            "restream_response_bytes",
            "Size of the response's body as sent to the client.",
            by_mode_and_verb,
            buckets=SIZES,
            registry=registry,
        )
        self._items = Counter(
            "restream_items",
            "Items of Lists passed on, counted while they pass.",
            ["mode", "group", "resource"],
            registry=registry,
        )
        self._pages = Counter(
            "restream_upstream_pages",
            "List responses read from the upstream: one a List, or as many as it took pages.",
            ["mode", "group", "resource"],
            registry=registry,
        )
        self._peak = Histogram(
            "restream_request_peak_buffered_bytes",
            "Most bytes held at once for one request: windows, whole bodies, and what waits to be sent.",
            ["mode"],
            buckets=SIZES,
            registry=registry,
        )
        self._stalls = Counter(
            "restream_client_stall_seconds",
            "Time spent waiting for clients that do not read as fast as the upstream writes.",
            ["mode"],
            registry=registry,
        )
        self._aborts = Counter(
            "restream_aborts",
            "Responses that could not be completed, by reason.",
            ["reason"],
            registry=registry,
        )
        self.upstream_up = Gauge(
            "restream_upstream_up",
            "Whether an address of the upstream is taken to be well.",
            ["address"],
            registry=registry,
        )
        self.upstream_breaker_open = Gauge(
            "restream_upstream_breaker_open",
            "Whether an address that did not answer gets no more than a request now and then.",
            ["address"],
            registry=registry,
        )
        self.upstream_failovers = Counter(
            "restream_upstream_failovers",
            "Requests that went to another address, as there was no connection to this one, or not soon.",
            ["address"],
            registry=registry,
        )
        self._retries = Counter(
            "restream_upstream_retries",
            "Requests sent again after their connection ended, and pages asked for again; refused beyond the budget.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.client_refusals = Counter(
            "restream_client_refusals",
            "Connections and requests of clients that the listener has not taken, by reason.",
            ["reason"],
            registry=registry,
        )
        self.connections = Gauge(
            "restream_client_connections", "Open connections of clients, handshakes included.", registry=registry
        )
        self.head_bytes = Gauge(
            "restream_head_bytes", "Bytes held for requests' heads that are unfinished, or large.", registry=registry
        )
        for refusal in get_args(ClientRefusal):
            self.client_refusals.labels(refusal)
        self.item_sizes = ItemSizes()
        registry.register(self.item_sizes)
        registry.register(Held(self._progress, budget))
        Gauge("restream_open_files_limit", "Limit on open files, raised at start.", registry=registry).set(
            open_files_limit
        )
        build = {
            "version": __version__,
            "python_version": platform.python_version(),
            "scanner": "compiled" if scanner.is_compiled else "python",
        }
        info = Gauge("restream_build_info", "Always 1; the labels tell.", list(build), registry=registry)
        info.labels(**build).set(1)
        for kind in get_args(RetryKind):
            for outcome in ("granted", "refused"):
                self._retries.labels(kind, outcome)
        for mode in MODES:
            self._peak.labels(mode)
            self._stalls.labels(mode)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def forget_addresses(self, labels: Iterable[str]) -> None:
        """Show addresses of the upstream no more that the settings do not name any more."""
        for label in labels:
            for gauge in (self.upstream_up, self.upstream_breaker_open):
                gauge.remove(label)

    def begin(self, progress: Progress) -> None:
        """Count a request as under way."""
        self._progress[id(progress)] = progress

    def learn(self, progress: Progress) -> None:
        """Let a resource that the upstream has answered 2xx for become a label."""
        info = progress.info
        if not info.is_resource:
            return
        key = (info.group, info.resource)
        if key not in self._resources:
            if len(self._resources) >= MAX_RESOURCES or not NAME.fullmatch(info.group + info.resource):
                return
            self._resources.add(key)
        progress.labels = key

    def begin_list(self, progress: Progress) -> None:
        """From here on count a List's items."""
        progress.count_items = self._items.labels(progress.mode, *progress.labels).inc

    def note_page(self, progress: Progress) -> None:
        """Count a List response of the upstream."""
        progress.pages += 1
        self._pages.labels(progress.mode, *progress.labels).inc()

    def note_retry(self, kind: RetryKind, *, is_granted: bool) -> None:
        """Count what would be sent again, and whether it may be."""
        self._retries.labels(kind, "granted" if is_granted else "refused").inc()

    def note_stall(self, progress: Progress, seconds: float) -> None:
        """Count time spent waiting for a client."""
        progress.stalled_seconds += seconds
        self._stalls.labels(progress.mode).inc(seconds)

    def end(self, progress: Progress, now: float) -> None:
        """Observe a request that is over, `now` by `time.monotonic`."""
        del self._progress[id(progress)]
        progress.held = progress.held_up = (
            int  # a closure over windows and bodies: kept, it would keep them until the next collection
        )
        mode, info = progress.mode, progress.info
        verb = info.verb if info.verb in VERBS else "other"
        self._requests.labels(mode, progress.reason, verb, *progress.labels, str(progress.code)).inc()
        self._duration.labels(mode, verb).observe(now - progress.started)
        if progress.first_byte is not None:
            self._first_byte.labels(mode, verb).observe(progress.first_byte - progress.started)
        if progress.upstream_first_byte is not None:
            self._upstream_first_byte.labels(mode, verb).observe(progress.upstream_first_byte - progress.started)
        self._response_bytes.labels(mode, verb).observe(progress.bytes_sent)
        self._peak.labels(mode).observe(progress.peak_held)
        if progress.abort_reason:
            self._aborts.labels(progress.abort_reason).inc()

    def render(self) -> bytes:
        """Return the exposition in Prometheus' text format."""
        return generate_latest(self.registry)
