"""Every setting with its default, as one frozen value. What is wrong with one is a line that begins with its path.

config/proxy.yaml documents each setting with its default, and a test keeps the two equal.
"""

import re
from typing import Literal, get_args

import msgspec

from proxy.core.planning import ListMode

KIB, MIB = 1 << 10, 1 << 20

Identity = Literal["pass-through", "proxy-identity", "front-proxy"]
Activity = Literal["auto", "always", "never"]
ClientCertificate = Literal["required", "optional"]
Automatic = int | Literal["auto"]
Upstreams = str | tuple[str, ...]

CHOICES = {
    "mode": get_args(ListMode),
    "identity": get_args(Identity),
    "workers": ("auto", "a number"),
    "memory_budget": ("auto", "a size"),
    "client_certificate": get_args(ClientCertificate),
    "active": get_args(Activity),
}


class SettingsError(Exception):
    """One line for the user: the key's path and what is wrong with it."""


class DownstreamTLS(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """TLS on the main listener; both files or neither. `client_ca` is who may vouch for clients."""

    cert: str | None = None
    key: str | None = None
    client_ca: str | None = None
    client_certificate: ClientCertificate = "required"


class UpstreamTLS(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """TLS towards the upstream."""

    ca: str | None = None
    insecure: bool = False
    server_name: str | None = None
    cert: str | None = None
    key: str | None = None


class Filters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """kubectl proxy's filters, with its defaults; regular expressions."""

    active: Activity = "auto"
    accept_hosts: tuple[str, ...] = (r"^localhost$", r"^127\.0\.0\.1$", r"^\[::1\]$")
    accept_paths: tuple[str, ...] = ("^.*",)
    reject_paths: tuple[str, ...] = ("^/api/.*/pods/.*/exec", "^/api/.*/pods/.*/attach")
    reject_methods: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on clients, on what connections may hold (bytes) and on how long things may take (seconds)."""

    connections: int = 10_000
    client_connections: int = 0
    connection_requests: int = 0
    header_seconds: float = 32.0
    header_bytes: int = 1 * MIB
    header_lines: int = 1000
    uri_bytes: int = 1 * MIB
    large_heads_bytes: int = 32 * MIB
    uploads_bytes: int = 64 * MIB
    read_buffer_bytes: int = 256 * KIB
    write_buffer_bytes: int = 256 * KIB
    connect_seconds: float = 10.0
    first_byte_seconds: float = 75.0
    between_bytes_seconds: float = 75.0
    idle_seconds: float = 180.0
    shutdown_delay_seconds: float = 0.0
    drain_seconds: float = 30.0
    client_stall_seconds: float = 60.0
    client_min_bytes_per_second: int = 1024


class Paging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the paged plan asks for pages."""

    page_bytes: int = 2 * MIB
    page_items: int = 500
    page_limit_bytes: int = 64 * MIB
    token_seconds: float = 240.0


class Admission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How Lists wait for memory, and how many there may be at once (0: as many as there is memory for)."""

    queue_seconds: float = 5.0
    queue_length: int = 1000
    growth_seconds: float = 10.0
    client_lists: int = 0
    resource_lists: int = 0


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mode of some resources' Lists; ``*`` is any."""

    mode: ListMode
    group: str = "*"
    resource: str = "*"

    def matches(self, group: str, resource: str) -> bool:
        """Whether the route is for a resource; the core group is the empty one."""
        return self.group in ("*", group) and self.resource in ("*", resource)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that `kube-restream serve` can be told."""

    upstream: Upstreams | None = None
    listen: str = "127.0.0.1:8001"
    admin_listen: str = "127.0.0.1:9001"
    workers: Automatic = 1
    mode: ListMode = "auto"
    routes: tuple[Route, ...] = ()
    allow_mode_header: bool = False
    max_item_bytes: int = 16 * MIB
    memory_budget: Automatic = "auto"
    identity: Identity | None = None
    kubeconfig: str | None = None
    context: str | None = None
    in_cluster: bool = False
    upstream_token_file: str | None = None
    anyone_may_act_as_proxy: bool = False
    trusted_proxies: tuple[str, ...] = ()
    access_log: bool = True
    tls: DownstreamTLS = DownstreamTLS()
    upstream_tls: UpstreamTLS = UpstreamTLS()
    filters: Filters = Filters()
    limits: Limits = Limits()
    paging: Paging = Paging()
    admission: Admission = Admission()

    def mode_of(self, group: str, resource: str) -> tuple[ListMode, str]:
        """Return the mode of a resource's Lists, and what has set it: the first route that matches, or `mode`."""
        for route in self.routes:
            if route.matches(group, resource):
                return route.mode, "route"
        return self.mode, "settings"

    @property
    def upstreams(self) -> tuple[str, ...]:
        """Return the URLs of the upstream, none where a kubeconfig or the Pod's environment is to tell."""
        return (self.upstream,) if isinstance(self.upstream, str) else self.upstream or ()

    @property
    def effective_identity(self) -> Identity:
        """Return who the upstream sees, with the default that goes by the kubeconfig."""
        return self.identity or ("proxy-identity" if self.kubeconfig else "pass-through")

    @property
    def uses_own_identity(self) -> bool:
        """Whether the upstream sees the proxy's credential instead of the client's."""
        return self.effective_identity == "proxy-identity"

    @property
    def filters_requests(self) -> bool:
        """Whether requests are filtered: unless told otherwise, where whoever connects acts as the proxy."""
        return self.filters.active == "always" or (self.filters.active == "auto" and self.uses_own_identity)

    @property
    def demands_client_certificates(self) -> bool:
        """Whether nobody gets as far as HTTP whom the client CA does not vouch for."""
        return self.tls.client_ca is not None and self.tls.client_certificate == "required"


def is_size(key: str) -> bool:
    """Whether a setting is in bytes, so that it may have a unit."""
    return key.endswith("_bytes") or key == "memory_budget"


def setting_kinds() -> dict[str, object]:
    """Return the type of every setting by its dotted path."""
    kinds: dict[str, object] = {}
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            kinds.update({f"{field.name}.{inner.name}": inner.type for inner in msgspec.structs.fields(field.type)})
        else:
            kinds[field.name] = field.type
    return kinds


def value_at(settings: Settings, key: str) -> object:
    """Return the setting at a dotted path."""
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def explain(message: str) -> str:
    """Turn msgspec's message into ``path: what is wrong``."""
    text, _, path = message.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    unknown = re.search(r"unknown field `(.*)`", text)
    if unknown:
        return f"{path}.{unknown[1]}: unknown setting".lstrip(".")
    if "enum value" in text:
        text += f" (expected one of {', '.join(CHOICES[path.rpartition('.')[2]])})"
    return f"{path or 'settings'}: {text[:1].lower()}{text[1:]}"
