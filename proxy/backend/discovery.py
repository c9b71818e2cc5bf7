"""Discovery, version and health: what clients ask to find the resources."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET, Struct, UnsetType

from proxy.backend import gojson, reviews
from proxy.backend.kinds.canonical import Json
from proxy.backend.resources import GROUPS, PODS, RESOURCES, SCALES, SERVICES, Resource

HEALTH = ("healthz", "readyz", "livez")
# The subresources that a kubelet answers.
STREAMED = {PODS: ("attach", "exec", "log", "portforward", "proxy"), SERVICES: ("proxy",)}
SUBRESOURCE_VERBS = {
    "log": ("get",), "proxy": ("create", "delete", "get", "patch", "update"), "status": ("get", "patch", "update"),
    "scale": ("get", "patch", "update"), "eviction": ("create",),
}  # fmt: skip
FOREIGN = {"scale": (SCALES.group, SCALES.kind), "eviction": ("policy", "Eviction")}
SUBRESOURCE_KINDS = {"attach": "PodAttachOptions", "exec": "PodExecOptions", "portforward": "PodPortForwardOptions"}
AGGREGATED = "apidiscovery.k8s.io"


class ApiResource(Struct, frozen=True, omit_defaults=True):
    """One resource in an APIResourceList."""

    name: str
    singularName: str  # noqa: N815 (these are the wire's own names)
    namespaced: bool
    group: str | UnsetType
    version: str | UnsetType
    kind: str
    verbs: tuple[str, ...]
    shortNames: tuple[str, ...] | UnsetType = UNSET  # noqa: N815
    categories: tuple[str, ...] | UnsetType = UNSET
    storageVersionHash: str | UnsetType = UNSET  # noqa: N815


class GroupVersion(Struct, frozen=True):
    """One version of a group."""

    groupVersion: str  # noqa: N815
    version: str


class Group(Struct, frozen=True):
    """One group in an APIGroupList."""

    name: str
    versions: list[GroupVersion]
    preferredVersion: GroupVersion  # noqa: N815


class ApiResourceList(Struct, frozen=True):
    """An APIResourceList; the core group's has no apiVersion."""

    kind: str
    apiVersion: str | UnsetType  # noqa: N815
    groupVersion: str  # noqa: N815
    resources: list[ApiResource]


def described(resource: Resource) -> ApiResource:
    """Return a resource as discovery describes it."""
    return ApiResource(
        resource.plural, resource.singular, resource.namespaced, UNSET, UNSET, resource.kind, resource.verbs,
        resource.short_names or UNSET, resource.categories or UNSET, resource.storage_hash or UNSET,
    )  # fmt: skip


def subresources(resource: Resource) -> Iterator[ApiResource]:
    """Yield the subresources of a resource."""
    for name in sorted((*STREAMED.get(resource, ()), *resource.subresources)):
        verbs = SUBRESOURCE_VERBS.get(name, ("create", "get"))
        group, kind = FOREIGN.get(name, (UNSET, SUBRESOURCE_KINDS.get(name, resource.kind)))
        version = "v1" if group else UNSET
        yield ApiResource(f"{resource.plural}/{name}", "", resource.namespaced, group, version, kind, verbs)


def in_group(group: str) -> Iterator[ApiResource]:
    """Yield everything that a group serves."""
    for resource in RESOURCES:
        if resource.group == group:
            yield described(resource)
            yield from subresources(resource)
    for review in reviews.REVIEWS:
        if review.group == group:
            singular = review.kind.lower()
            yield ApiResource(review.plural, singular, False, UNSET, UNSET, review.kind, ("create",))


def all_groups() -> list[str]:
    """Return the names of the named groups."""
    named = (group for group in GROUPS if group)
    return list(dict.fromkeys([*named, *(review.group for review in reviews.REVIEWS)]))


def resource_list(group: str) -> bytes:
    """Return the resources of a group."""
    version = f"{group}/v1" if group else "v1"
    return gojson.encode(ApiResourceList("APIResourceList", "v1" if group else UNSET, version, list(in_group(group))))


def documents(address: str, *, streaming: bool) -> dict[str, bytes]:
    """Every discovery document, by path."""
    groups = {name: group_document(name) for name in all_groups()}
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    versions = b'{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":%b}'
    found = {
        "api": versions % gojson.encode(addresses) + b"\n",
        "apis": b'{"kind":"APIGroupList","apiVersion":"v1","groups":[%b]}\n' % b",".join(groups.values()),
        "api/v1": resource_list("") + b"\n",
        "version": version_document(streaming=streaming),
    }
    for name, one in groups.items():
        found[f"apis/{name}"] = b'{"kind":"APIGroup","apiVersion":"v1",' + one[1:] + b"\n"
        found[f"apis/{name}/v1"] = resource_list(name) + b"\n"
    return found


def group_document(name: str) -> bytes:
    """Return a group as the APIGroupList holds it."""
    version = GroupVersion(f"{name}/v1", "v1")
    return gojson.encode(Group(name, [version], version))


def aggregated(path: str, version: str) -> bytes:
    """Return everything below `api` or `apis` in one document (KEP-3352)."""
    items = [aggregated_group(name) for name in ([""] if path == "api" else all_groups())]
    document = {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"{AGGREGATED}/{version}",
        "metadata": {},
        "items": items,
    }
    return gojson.print_in_order(document) + b"\n"


def aggregated_group(name: str) -> Json:
    """Return one group of the aggregated form."""
    found: dict[str, Json] = {}
    for one in in_group(name):
        plural, _, below = one.name.partition("/")
        group, version = one.group or name, one.version or "v1"
        kind: Json = {"group": group or "", "version": version, "kind": one.kind}
        if below:
            held = found[plural].setdefault("subresources", [])
            assert isinstance(held, list)  # noqa: S101 (set one line above)
            held.append({"subresource": below, "responseKind": kind, "verbs": list(one.verbs)})
            continue
        found[plural] = {
            "resource": plural, "responseKind": kind, "scope": "Namespaced" if one.namespaced else "Cluster",
            "singularResource": one.singularName, "verbs": list(one.verbs),
        }  # fmt: skip
        for key, value in (("shortNames", one.shortNames), ("categories", one.categories)):
            if value:
                found[plural][key] = list(value)
    metadata: Json = {"name": name} if name else {}
    versions = [{"version": "v1", "resources": list(found.values()), "freshness": "Current"}]
    return {"metadata": metadata, "versions": versions}


def aggregated_version(accept: str) -> str:
    """Return in which version a client wants the aggregated form, if it does: its first choice counts."""
    for clause in accept.split(","):
        parts = {part.strip() for part in clause.split(";")}
        if f"g={AGGREGATED}" in parts and "as=APIGroupDiscoveryList" in parts:
            return next((version for version in ("v2", "v2beta1") if f"v={version}" in parts), "")
        if "application/json" in parts or "*/*" in parts:
            return ""
    return ""


def version_document(*, streaming: bool) -> bytes:
    """/version: a server with the streaming encoder says 1.34, one without it 1.32."""
    minor = "34" if streaming else "32"
    fields = {"major": "1", "minor": minor}
    if streaming:
        fields |= {"emulationMajor": "1", "emulationMinor": minor, "minCompatibilityMajor": "1"}
        fields |= {"minCompatibilityMinor": str(int(minor) - 1)}
    fields |= {
        "gitVersion": f"v1.{minor}.0", "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.24.0", "compiler": "gc", "platform": "linux/amd64",
    }  # fmt: skip
    return gojson.indent(
        b"{%b}" % b",".join(gojson.encode(pair)[1:-1] for pair in ({key: text} for key, text in fields.items()))
    )
