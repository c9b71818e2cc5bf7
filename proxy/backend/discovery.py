"""Discovery, version and health: enough for kubectl to find the resources."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from proxy.backend import gojson
from proxy.backend.resources import RESOURCES, Resource

CUSTOM_GROUP = "example.com"
HEALTH = ("healthz", "readyz", "livez")


class ApiResource(Struct, frozen=True):
    """One resource in an APIResourceList."""

    name: str
    singularName: str  # noqa: N815 (these are the wire's own names)
    namespaced: bool
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
        resource.plural, resource.singular, resource.namespaced, resource.kind, resource.verbs,
        resource.short_names or UNSET, resource.categories or UNSET, resource.storage_hash or UNSET,
    )  # fmt: skip


def resource_list(group: str) -> bytes:
    """Return the resources of a group."""
    found = [described(resource) for resource in RESOURCES if resource.group == group]
    version = f"{group}/v1" if group else "v1"
    return gojson.encode(ApiResourceList("APIResourceList", "v1" if group else UNSET, version, found))


def documents(address: str, *, streaming: bool) -> dict[str, bytes]:
    """Every discovery document, by path."""
    version = GroupVersion(f"{CUSTOM_GROUP}/v1", "v1")
    group = Group(CUSTOM_GROUP, [version], version)
    one = gojson.encode(group)
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    versions = b'{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":%b}'
    return {
        "api": versions % gojson.encode(addresses) + b"\n",
        "apis": b'{"kind":"APIGroupList","apiVersion":"v1","groups":[%b]}\n' % one,
        "api/v1": resource_list("") + b"\n",
        f"apis/{CUSTOM_GROUP}": b'{"kind":"APIGroup","apiVersion":"v1",' + one[1:] + b"\n",
        f"apis/{CUSTOM_GROUP}/v1": resource_list(CUSTOM_GROUP) + b"\n",
        "version": version_document(streaming=streaming),
    }


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
