"""Which resource a path names, by the apiserver's own rules (its RequestInfo resolver)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from proxy.backend.resources import BY_NAME, CUSTOM_GROUP, GROUPS, Resource
from proxy.backend.status import ApiError, PlainError, unknown_resource

NOT_FOUND = "404 page not found\n"
NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class Target:
    """What a resource path points at."""

    resource: Resource
    namespace: str
    name: str
    subresource: str
    watch: bool

    @property
    def key(self) -> str:
        """The storage key of the named object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def segments(raw_path: str) -> list[str]:
    """Return a path's parts without the slashes at either end."""
    stripped = unquote(raw_path).strip("/")
    return stripped.split("/") if stripped else []


def names_resource(parts: list[str]) -> bool:
    """Return whether a path goes deeper than discovery does."""
    return (parts[:1] == ["api"] and len(parts) > 2) or (parts[:1] == ["apis"] and len(parts) > 3)


def parse(parts: list[str]) -> Target:
    """Resolve the parts of a resource path, or fail as an apiserver does."""
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    if group not in GROUPS or (parts[0] == "apis" and not group) or version != "v1":
        raise PlainError(404, NOT_FOUND)
    watch = rest[0] == "watch" and len(rest) > 1
    namespace, rest = split_namespace(rest[1:] if watch else rest)
    plural, name, subresource = [*rest, "", "", ""][:3]
    resource = BY_NAME.get((group, version, plural))
    # Behind proxy stands a path of somebody else's.
    if resource is None or (len(rest) > 3 and subresource != "proxy"):
        raise missing(group)
    if namespace and not resource.namespaced:
        raise missing(group)
    return Target(resource, namespace, name, subresource, watch)


def split_namespace(rest: list[str]) -> tuple[str, list[str]]:
    """Take `namespaces/NAME/` off, unless the Namespace itself is meant."""
    if rest[0] != "namespaces" or len(rest) < 3 or rest[2] in NAMESPACE_SUBRESOURCES:
        return "", rest
    return rest[1], rest[2:]


def missing(group: str) -> ApiError | PlainError:
    """Return the 404: a known group answers a Status, a custom one plain text."""
    return PlainError(404, NOT_FOUND) if group == CUSTOM_GROUP else unknown_resource()
