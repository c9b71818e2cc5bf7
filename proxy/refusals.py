"""Settings that do not go together, and those that are not safe: refused at start, in one line."""

import math
import re
from ipaddress import ip_network
from typing import cast
from urllib.parse import urlsplit

from proxy.addresses import check_url, is_loopback, shown, split_address
from proxy.core.filters import compile_one
from proxy.process import LEAST_BUDGET
from proxy.settings import Settings, SettingsError, UpstreamTLS, setting_kinds, value_at

MAY_BE_ZERO = frozenset(
    {
        *("limits.client_connections", "limits.connection_requests", "limits.shutdown_delay_seconds"),
        *("admission.client_lists", "admission.resource_lists"),
    }
)

MAX_WORKERS = 256
"""More cores than that in one Pod are more likely a slip of the pen."""


def check(settings: Settings) -> None:
    """Refuse combinations that cannot work or are not safe."""
    _check_addresses(settings)
    _check_credentials(settings)
    _check_clients(settings)
    _check_filters(settings)
    if (settings.tls.cert is None) != (settings.tls.key is None):
        raise SettingsError("tls: cert and key belong together")
    if (settings.upstream_tls.cert is None) != (settings.upstream_tls.key is None):
        raise SettingsError("upstream_tls: cert and key belong together")
    if settings.upstream_tls.ca and settings.upstream_tls.insecure:
        raise SettingsError("upstream_tls.insecure: makes no sense with upstream_tls.ca")
    _check_positive(settings)


def _check_positive(settings: Settings) -> None:
    if settings.workers != "auto" and not 0 < settings.workers <= MAX_WORKERS:
        raise SettingsError(f"workers: must be auto, or from 1 to {MAX_WORKERS}")
    if settings.memory_budget != "auto" and settings.memory_budget < LEAST_BUDGET:
        raise SettingsError(f"memory_budget: must be auto, or at least {LEAST_BUDGET >> 20}MiB")
    for key, kind in setting_kinds().items():
        if kind not in (int, float):
            continue
        value = cast("float", value_at(settings, key))
        if not (0 < value < math.inf or (value == 0 and key in MAY_BE_ZERO)):
            raise SettingsError(f"{key}: must be {'0 or ' if key in MAY_BE_ZERO else ''}more than 0, and finite")


def _check_addresses(settings: Settings) -> None:
    for key in ("listen", "admin_listen"):
        try:
            split_address(getattr(settings, key))
        except ValueError as error:
            raise SettingsError(f"{key}: {error}") from None
    for network in settings.trusted_proxies:
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise SettingsError(f"trusted_proxies: expected networks such as 10.0.0.0/8, got {network!r}") from None
    if not settings.upstreams:
        if settings.kubeconfig is None and not settings.in_cluster:
            raise SettingsError("upstream: required (or a kubeconfig, or in_cluster)")
        return
    for url in settings.upstreams:
        try:
            check_url(url)
        except ValueError:
            raise SettingsError(
                f"upstream: expected http://host:port or https://host:port, got {shown(url)!r}"
            ) from None
    _check_equals(settings.upstreams)


def _check_equals(upstreams: tuple[str, ...]) -> None:
    """Refuse addresses that cannot be one upstream, which is asked at any of them for the same things."""
    first = urlsplit(upstreams[0])
    seen = set()
    for url in map(urlsplit, upstreams):
        if url.scheme != first.scheme or url.path.rstrip("/") != first.path.rstrip("/"):
            raise SettingsError("upstream: all addresses need the same scheme and the same path")
        where = url.hostname, url.port or (443 if url.scheme == "https" else 80)
        if where in seen:
            raise SettingsError(f"upstream: {url.netloc} is there twice")
        seen.add(where)


def _check_credentials(settings: Settings) -> None:
    has_own = settings.upstream_token_file or settings.upstream_tls.cert or settings.kubeconfig
    if has_own and settings.effective_identity == "pass-through":
        key = next(key for key in ("kubeconfig", "upstream_token_file", "upstream_tls.cert") if value_at(settings, key))
        raise SettingsError(
            f"{key}: with identity pass-through, a client without a token would act as the proxy; "
            "set identity: proxy-identity if that is meant"
        )
    if settings.kubeconfig and (settings.upstream_token_file or settings.upstream_tls != UpstreamTLS()):
        raise SettingsError("kubeconfig: has its own TLS and credential; drop upstream_tls and upstream_token_file")
    if settings.in_cluster and (settings.kubeconfig or settings.upstream_token_file or settings.upstream_tls.ca):
        raise SettingsError(
            "in_cluster: brings its CA and token; drop kubeconfig, upstream_tls.ca, upstream_token_file"
        )
    if settings.context and not settings.kubeconfig:
        raise SettingsError("context: of which kubeconfig?")
    if settings.effective_identity == "front-proxy":
        _check_front_proxy(settings)
    if not settings.uses_own_identity:
        return
    if not (has_own or settings.in_cluster):
        raise SettingsError(
            "identity: proxy-identity needs a kubeconfig, in_cluster, upstream_token_file or upstream_tls.cert"
        )


def _check_clients(settings: Settings) -> None:
    """Refuse that whoever connects acts as the proxy, unless only this machine connects or a setting says so."""
    tls = settings.tls
    if tls.client_ca and not tls.cert:
        raise SettingsError("tls.client_ca: clients show certificates to a listener with TLS; set tls.cert and tls.key")
    if tls.client_certificate == "optional" and not tls.client_ca:
        raise SettingsError("tls.client_certificate: vouched for by which tls.client_ca?")
    is_open = not (is_loopback(split_address(settings.listen)[0]) or settings.demands_client_certificates)
    if settings.uses_own_identity and is_open and not settings.anyone_may_act_as_proxy:
        raise SettingsError(
            "listen: with identity proxy-identity whoever connects acts as the proxy; use loopback, demand client "
            "certificates (tls.client_ca) or set anyone_may_act_as_proxy: true"
        )
    if settings.anyone_may_act_as_proxy and not settings.uses_own_identity:
        raise SettingsError("anyone_may_act_as_proxy: makes no sense without identity: proxy-identity")


def _check_filters(settings: Settings) -> None:
    for key, kind in setting_kinds().items():
        if key.startswith("filters.") and kind == tuple[str, ...]:
            for expression in cast("tuple[str, ...]", value_at(settings, key)):
                try:
                    compile_one(expression)
                except re.error as error:
                    raise SettingsError(f"{key}: not a regular expression: {expression!r}: {error}") from None


def _check_front_proxy(settings: Settings) -> None:
    """Refuse a front proxy that could not tell who its clients are, or that the upstream would not believe."""
    if settings.kubeconfig or settings.upstream_token_file:
        key = "kubeconfig" if settings.kubeconfig else "upstream_token_file"
        raise SettingsError(f"{key}: identity front-proxy speaks for its clients, with upstream_tls.cert alone")
    if settings.upstreams and urlsplit(settings.upstreams[0]).scheme != "https":
        raise SettingsError(
            "upstream: identity front-proxy needs https, as its certificate is what the upstream believes"
        )
    if not settings.tls.client_ca:
        raise SettingsError("tls.client_ca: identity front-proxy needs to know who may vouch for clients")
    if not settings.upstream_tls.cert:
        raise SettingsError(
            "upstream_tls.cert: identity front-proxy needs one that the upstream's requestheader CA signed"
        )
