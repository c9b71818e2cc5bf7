"""Every setting, parsed once into a frozen value and checked as a whole.

A flag beats a ``RESTREAM_*`` variable beats the file beats the default. What is wrong is one line that begins with the
key's path. config/proxy.yaml documents each setting with its default, and a test keeps the two equal.
"""

import math
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
import yaml

from proxy.core.planning import ListMode

KIB, MIB = 1 << 10, 1 << 20
UNITS = {"": 1, "B": 1, "KiB": KIB, "MiB": MIB, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
SIZE = re.compile(r"(\d+)\s*([A-Za-z]*)$")
SWITCHES = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}
ENV_PREFIX = "RESTREAM_"

Identity = Literal["pass-through", "proxy-identity"]
Workers = int | Literal["auto"]

CHOICES = {"mode": get_args(ListMode), "identity": get_args(Identity), "workers": ("auto", "a number")}

MAX_WORKERS = 256
"""More cores than that in one Pod are more likely a slip of the pen."""


class SettingsError(Exception):
    """One line for the user: the key's path and what is wrong with it."""


class DownstreamTLS(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """TLS on the main listener; both files or neither."""

    cert: str | None = None
    key: str | None = None


class UpstreamTLS(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """TLS towards the upstream."""

    ca: str | None = None
    insecure: bool = False
    server_name: str | None = None
    cert: str | None = None
    key: str | None = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on what one connection may hold (bytes) and on how long things may take (seconds)."""

    header_bytes: int = 1 * MIB
    read_buffer_bytes: int = 256 * KIB
    write_buffer_bytes: int = 256 * KIB
    connect_seconds: float = 10.0
    first_byte_seconds: float = 75.0
    between_bytes_seconds: float = 75.0
    idle_seconds: float = 180.0
    drain_seconds: float = 30.0


class Paging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the paged plan asks for pages."""

    page_bytes: int = 2 * MIB
    page_items: int = 500
    page_limit_bytes: int = 64 * MIB
    token_seconds: float = 240.0
    reserve_bytes: int = 256 * MIB


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

    upstream: str | None = None
    listen: str = "127.0.0.1:8001"
    admin_listen: str = "127.0.0.1:9001"
    workers: Workers = 1
    mode: ListMode = "auto"
    routes: tuple[Route, ...] = ()
    allow_mode_header: bool = False
    max_item_bytes: int = 16 * MIB
    identity: Identity | None = None
    kubeconfig: str | None = None
    context: str | None = None
    upstream_token_file: str | None = None
    access_log: bool = True
    tls: DownstreamTLS = DownstreamTLS()
    upstream_tls: UpstreamTLS = UpstreamTLS()
    limits: Limits = Limits()
    paging: Paging = Paging()

    def mode_of(self, group: str, resource: str) -> tuple[ListMode, str]:
        """Return the mode of a resource's Lists, and what has set it: the first route that matches, or `mode`."""
        for route in self.routes:
            if route.matches(group, resource):
                return route.mode, "route"
        return self.mode, "settings"

    @property
    def uses_own_identity(self) -> bool:
        """Whether the upstream sees the proxy's credential instead of the client's."""
        return (self.identity or ("proxy-identity" if self.kubeconfig else "pass-through")) == "proxy-identity"


def load(path: str | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Merge file, environment and `flags` (dotted key path to value, None for absent). Raises SettingsError."""
    merged = _read_file(path) if path else {}
    for key, kind in setting_kinds().items():
        name = ENV_PREFIX + key.replace(".", "_").upper()
        if environ.get(name):
            _put(merged, key, _typed(key, kind, environ[name]))
        if flags.get(key) is not None:
            _put(merged, key, _typed(key, kind, flags[key]))
    upstream = merged.get("upstream")
    if isinstance(upstream, list) and len(upstream) == 1:
        merged["upstream"] = upstream[0]
    _parse_sizes(merged, "")
    try:
        settings = msgspec.convert(merged, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(explain(str(error))) from None
    _check(settings)
    return settings


def setting_kinds() -> dict[str, object]:
    """Return the type of every setting by its dotted path."""
    kinds: dict[str, object] = {}
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            kinds.update({f"{field.name}.{inner.name}": inner.type for inner in msgspec.structs.fields(field.type)})
        else:
            kinds[field.name] = field.type
    return kinds


def parse_size(text: str) -> int:
    """Read ``16MiB``, ``2 MB`` or ``65536`` as bytes. Raises ValueError."""
    match = SIZE.match(text.strip())
    if match is None or match[2] not in UNITS:
        raise ValueError(f"expected a size such as 16MiB, got {text!r}")
    return int(match[1]) * UNITS[match[2]]


def split_address(text: str) -> tuple[str, int]:
    """Split ``host:port``, ``[::1]:port`` or ``:port`` (all interfaces). Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 0xFFFF:
        raise ValueError(f"expected host:port, got {text!r}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 (asked for by leaving the host out)


def check_url(text: str) -> None:
    """Raise ValueError unless `text` is the URL of an upstream: http or https, a host, perhaps a path."""
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.port == 0:
        raise ValueError("not the URL of an upstream")
    if url.query or url.fragment or url.username:
        raise ValueError("not the URL of an upstream alone")


def is_loopback(host: str) -> bool:
    """Whether only this machine (or Pod) can reach a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read_file(path: str) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    loaded = _parse_yaml(path, text)
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingsError(f"{path}: expected a mapping of settings")
    return loaded


def _parse_yaml(name: str, text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise SettingsError(f"{name}: {where}not YAML") from None


def _typed(key: str, kind: object, value: object) -> object:
    """Read what a flag or a variable says as the setting's type; text stays text, whatever YAML would make of it."""
    if isinstance(value, str) and get_origin(kind) is tuple:
        return _parse_yaml(key, value)
    if not isinstance(value, str) or kind not in (bool, int, float, Workers) or (kind == Workers and value == "auto"):
        return value
    try:
        if kind in (int, Workers):
            return parse_size(value) if key.endswith("_bytes") else int(value)
        return float(value) if kind is float else SWITCHES[value.lower()]
    except KeyError:
        raise SettingsError(f"{key}: expected true or false, got {value!r}") from None
    except ValueError as error:
        expected = "auto or a number" if kind == Workers else "a number"
        problem = error if key.endswith("_bytes") else f"expected {expected}, got {value!r}"
        raise SettingsError(f"{key}: {problem}") from None


def _put(merged: dict[str, Any], key: str, value: object) -> None:
    *parents, name = key.split(".")
    for parent in parents:
        inner = merged.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{parent}: expected a mapping")
        merged = inner
    merged[name] = value


def _parse_sizes(settings: dict[str, Any], path: str) -> None:
    for key, value in settings.items():
        if isinstance(value, dict):
            _parse_sizes(value, f"{path}{key}.")
        elif str(key).endswith("_bytes") and isinstance(value, str):
            try:
                settings[key] = parse_size(value)
            except ValueError as error:
                raise SettingsError(f"{path}{key}: {error}") from None


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


def _check(settings: Settings) -> None:
    """Refuse combinations that cannot work or are not safe."""
    _check_addresses(settings)
    _check_credentials(settings)
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
    for key, kind in setting_kinds().items():
        if kind in (int, float) and not 0 < cast("float", _get(settings, key)) < math.inf:
            raise SettingsError(f"{key}: must be more than 0, and finite")


def _check_addresses(settings: Settings) -> None:
    for key in ("listen", "admin_listen"):
        try:
            split_address(getattr(settings, key))
        except ValueError as error:
            raise SettingsError(f"{key}: {error}") from None
    if settings.upstream is None:
        if settings.kubeconfig is None:
            raise SettingsError("upstream: required (or a kubeconfig)")
        return
    try:
        check_url(settings.upstream)
    except ValueError:
        raise SettingsError(
            f"upstream: expected http://host:port or https://host:port, got {settings.upstream!r}"
        ) from None


def _check_credentials(settings: Settings) -> None:
    has_own = settings.upstream_token_file or settings.upstream_tls.cert or settings.kubeconfig
    if has_own and not settings.uses_own_identity:
        key = next(key for key in ("kubeconfig", "upstream_token_file", "upstream_tls.cert") if _get(settings, key))
        raise SettingsError(
            f"{key}: with identity pass-through, a client without a token would act as the proxy; "
            "set identity: proxy-identity if that is meant"
        )
    if settings.kubeconfig and (settings.upstream_token_file or settings.upstream_tls != UpstreamTLS()):
        raise SettingsError("kubeconfig: has its own TLS and credential; drop upstream_tls and upstream_token_file")
    if settings.context and not settings.kubeconfig:
        raise SettingsError("context: of which kubeconfig?")
    if not settings.uses_own_identity:
        return
    if not has_own:
        raise SettingsError("identity: proxy-identity needs a kubeconfig, upstream_token_file or upstream_tls.cert")
    if not is_loopback(split_address(settings.listen)[0]):
        raise SettingsError("listen: with identity proxy-identity whoever connects acts as the proxy; use loopback")


def _get(settings: Settings, key: str) -> object:
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value
