"""The least OpenAPI with which kubectl leaves the validation of a manifest to the server.

Before it creates anything, kubectl looks whether PATCH of the manifest's kind has the query parameter
`fieldValidation`; without it, kubectl would want the complete schemas and validate by itself. From 1.29 on it reads
v3 as JSON, before that v2 as protobuf, whose field numbers are those of gnostic's OpenAPIv2.proto.
"""

from __future__ import annotations

from msgspec import Struct

from proxy.backend import gojson
from proxy.backend.resources import RESOURCES, Resource

V2_PATH = "openapi/v2"
# Not its own media type, which Go refuses to parse ("@"); kube-openapi answers the same.
V2_TYPE = "application/octet-stream"
VARINT_BITS = 7
PATHS = {"": "api/v1", "example.com": "apis/example.com/v1"}


class GroupVersionKind(Struct, frozen=True):
    """A kind, as operations name theirs."""

    group: str
    version: str
    kind: str


class Parameter(Struct, frozen=True, rename={"place": "in"}):
    """One parameter of an operation."""

    name: str
    place: str
    schema: dict[str, str]


class Operation(Struct, frozen=True, rename={"kind": "x-kubernetes-group-version-kind"}):
    """One operation."""

    kind: GroupVersionKind
    parameters: list[Parameter]
    responses: dict[str, dict[str, str]]


class Root(Struct, frozen=True):
    """Where the document of each group version is."""

    paths: dict[str, dict[str, str]]


class Document(Struct, frozen=True):
    """The document of one group version."""

    openapi: str
    info: dict[str, str]
    paths: dict[str, dict[str, Operation]]


def documents() -> dict[str, bytes]:
    """Return every OpenAPI document, by path."""
    root = Root({path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in PATHS.values()})
    found = {"openapi/v3": gojson.encode(root), V2_PATH: v2_document()}
    for group, path in PATHS.items():
        paths = {object_path(one): {"patch": operation(one)} for one in RESOURCES if one.group == group}
        document = Document("3.0.0", {"title": "Kubernetes", "version": "v1"}, paths)
        found[f"openapi/v3/{path}"] = gojson.encode(document)
    return found


def object_path(resource: Resource) -> str:
    """Return the path of one object."""
    namespace = "namespaces/{namespace}/" if resource.namespaced else ""
    return f"/{PATHS[resource.group]}/{namespace}{resource.plural}/{{name}}"


def operation(resource: Resource) -> Operation:
    """Describe the PATCH of one object."""
    kind = GroupVersionKind(resource.group, resource.version, resource.kind)
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [Parameter(name, "query", {"type": "string"}) for name in names]
    return Operation(kind, parameters, {"200": {"description": "OK"}})


def field(number: int, content: bytes | str) -> bytes:
    """Print a length-delimited protobuf field."""
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Print a protobuf varint."""
    out = bytearray()
    while value >> VARINT_BITS:
        out.append(value & 0x7F | 0x80)
        value >>= VARINT_BITS
    out.append(value)
    return bytes(out)


def v2_document() -> bytes:
    """Print the v2 document: swagger, info, paths."""
    info = field(1, "Kubernetes") + field(2, "v1")
    paths = b"".join(field(2, field(1, object_path(one)) + field(2, v2_path(one))) for one in RESOURCES)
    return field(1, "2.0") + field(2, info) + field(8, paths)


def v2_path(resource: Resource) -> bytes:
    """Print the PathItem of one object: a PATCH with its kind and parameters."""
    described = operation(resource)
    kind = field(1, "x-kubernetes-group-version-kind") + field(2, field(2, gojson.encode(described.kind).decode()))
    query = (field(2, "query") + field(4, parameter.name) + field(6, "string") for parameter in described.parameters)
    parameters = (field(8, field(1, field(2, field(3, one)))) for one in query)
    return field(8, b"".join(parameters) + field(13, kind))
