"""OpenAPI v2 as protobuf, which kubectl up to 1.28 reads; the field numbers are those of gnostic's OpenAPIv2.proto."""

from __future__ import annotations

from proxy.backend import gojson, schemas
from proxy.backend.resources import RESOURCES, Resource

# Not its own media type, which Go refuses to parse ("@"); kube-openapi answers the same.
MEDIA_TYPE = "application/octet-stream"
VARINT_BITS = 7


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


def document() -> bytes:
    """Print the v2 document: swagger, info, paths."""
    info = field(1, "Kubernetes") + field(2, "v1")
    paths = b"".join(field(2, field(1, schemas.object_path(one)) + field(2, v2_path(one))) for one in RESOURCES)
    return field(1, "2.0") + field(2, info) + field(8, paths)


def v2_path(resource: Resource) -> bytes:
    """Print the PathItem of one object: a PATCH with its kind and parameters."""
    names = gojson.encode(schemas.group_version_kind(resource)).decode()
    kind = field(1, "x-kubernetes-group-version-kind") + field(2, field(2, names))
    query = (field(2, "query") + field(4, name) + field(6, "string") for name in schemas.PATCH_PARAMETERS)
    parameters = (field(8, field(1, field(2, field(3, one)))) for one in query)
    return field(8, b"".join(parameters) + field(13, kind))
