"""What a request asks for, by Kubernetes' own rules.

The grammar is that of the apiserver's RequestInfo resolver (k8s.io/apiserver/pkg/endpoints/request/requestinfo.go):
a request is a non-resource request until proven otherwise, and a List only if nothing else fits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
VERBS_IN_PATH = ("watch", "proxy")
NAMESPACE_SUBRESOURCES = ("status", "finalize")
LONG_RUNNING_VERBS = frozenset({"watch", "proxy"})
LONG_RUNNING_SUBRESOURCES = frozenset({"attach", "exec", "proxy", "log", "portforward"})
HEX = frozenset(b"0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """One classified request. For a non-resource request only `verb` (the method in lower case) is set."""

    verb: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""

    @property
    def is_resource(self) -> bool:
        """Whether the path names an API resource."""
        return bool(self.resource)

    @property
    def is_long_running(self) -> bool:
        """Whether kube-apiserver exempts the request from its 60 s deadline (and we from our timeouts)."""
        return self.verb in LONG_RUNNING_VERBS or self.subresource in LONG_RUNNING_SUBRESOURCES


def classify(method: str, target: str) -> RequestInfo:
    """Classify by `method` and the request `target` (origin-form, exactly as on the wire).

    Never raises: what the apiserver would refuse is a non-resource request here, and passes to be refused there.
    """
    path, _, query = target.partition("?")
    non_resource = RequestInfo(method.lower())
    decoded = _unescape(path)
    if decoded is None:
        return non_resource
    parts = decoded.strip("/").split("/")
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return non_resource
    group = ""
    if parts[0] == "apis":
        if len(parts) < 4:
            return non_resource
        group = parts.pop(1)
    return _resource_request(method, group, parts[1], parts[2:], query) or non_resource


def _resource_request(method: str, group: str, version: str, parts: list[str], query: str) -> RequestInfo | None:
    verb = VERBS.get(method, "")
    if parts[0] in VERBS_IN_PATH:
        if len(parts) < 2:
            return None  # 500 from the apiserver
        verb = parts.pop(0)
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    resource, name, subresource = (*parts[:3], "", "", "")[:3]
    if verb == "proxy":
        subresource = ""
    if not name and verb == "get":
        verb, name = _list_or_watch(query)
    elif not name and verb == "delete":
        verb = "deletecollection"
    return RequestInfo(verb, group, version, namespace, resource, subresource, name)


def _list_or_watch(query: str) -> tuple[str, str]:
    options = parse_query(query) if query else {}
    verb = "watch" if is_true(options.get("watch")) else "list"
    if any(parse_int64(options.get(key, "")) is None for key in ("limit", "timeoutSeconds")):
        return verb, ""
    return verb, _required_name(options.get("fieldSelector", ""))


def parse_query(query: str) -> dict[str, str]:
    """Parse as Go's net/url does, keeping the first value of a key as ListOptions do.

    Split on ``&`` alone; a pair with a raw ``;`` or a broken escape does not exist; ``+`` is a space.
    """
    options: dict[str, str] = {}
    for pair in query.split("&"):
        key, value = parse_pair(pair)
        if key is not None:
            options.setdefault(key, value)
    return options


def parse_pair(pair: str) -> tuple[str | None, str]:
    """Read one ``key=value`` of a query; a key of None is a pair that does not exist for Go."""
    if not pair or ";" in pair:
        return None, ""
    key, _, value = pair.partition("=")
    plain_key, plain_value = _unescape(key.replace("+", " ")), _unescape(value.replace("+", " "))
    return (None, "") if plain_value is None else (plain_key, plain_value)


def is_true(value: str | None) -> bool:
    """Read a boolean parameter as the apiserver does: everything but ``0``, ``false`` and absence is true."""
    return value is not None and value != "0" and value.lower() != "false"


def is_upgrade(connection_values: Iterable[str]) -> bool:
    """Whether a request wants another protocol: any Connection value with ``upgrade`` in it, in any case."""
    return any("upgrade" in value.lower() for value in connection_values)


def _unescape(text: str) -> str | None:
    """Percent-decode; None where an escape is broken (Go refuses those, Python's urllib keeps them)."""
    if "%" not in text:
        return text
    raw = text.encode("utf-8", "surrogateescape")
    for escape in raw.split(b"%")[1:]:
        if len(escape) < 2 or not HEX.issuperset(escape[:2]):
            return None
    return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")


def parse_int64(text: str) -> int | None:
    """Read a number as Go's ParseInt does, 0 where there is none; None where the apiserver answers 400."""
    if not text:
        return 0
    digits = text[1:] if text[0] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    digits = digits.lstrip("0")[:20] or "0"
    number = -int(digits) if text[0] == "-" else int(digits)
    return number if -(1 << 63) <= number < 1 << 63 else None


def _required_name(field_selector: str) -> str:
    """Return the name that a field selector demands exactly (``metadata.name=x``, also with ``==``), else nothing."""
    for term in field_selector.split(","):
        key, equals, value = term.partition("=")
        if key == "metadata.name" and equals:
            name = value.removeprefix("=")
            return name if name not in ("", ".", "..") and not set("/%") & set(name) else ""
    return ""
