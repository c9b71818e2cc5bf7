"""Objects as documents: from what a client sends to what is stored, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import msgspec
import yaml

from proxy.backend import gojson
from proxy.backend.kinds import protobuf
from proxy.backend.kinds.canonical import Json, MismatchError, Reader, members
from proxy.backend.objects import Generated, StoredObject, Written
from proxy.backend.resources import Resource
from proxy.backend.status import ApiError, bad_request

JSON = "application/json"
# What decode() raises for a body that is neither.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, yaml.YAMLError, RecursionError, TypeError)
YAML = ("application/yaml", "application/apply-patch+yaml")


@dataclass(slots=True)
class Manifest:
    """What a client has sent: an object, the fields in it that its type hasn't, and whether it shall have no owners."""

    document: Json
    unknown: list[str] = field(default_factory=list)
    resets_owners: bool = False


class Loader(yaml.SafeLoader):
    """YAML as JSON: times stay text, and nothing is repeated by reference (a few lines could stand for gigabytes)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted")
        return super().compose_node(parent, index)


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def decode(body: bytes, media_type: str) -> object:
    """Return the value that a body in JSON or YAML holds."""
    if media_type in YAML and not body.lstrip().startswith(b"{"):
        body = msgspec.json.encode(yaml.load(body, Loader))  # noqa: S506 (a safe loader)
    return gojson.DECODER.decode(body)


def parse(resource: Resource, body: bytes, media_type: str = JSON) -> Manifest:
    """Read a client's object."""
    try:
        if media_type == protobuf.MEDIA_TYPE:
            envelope = protobuf.unwrap(body)
            check_identity(resource, envelope.kind, envelope.api_version)
            value: object = protobuf.message(resource.type_name, envelope.raw)
        else:
            value = decode(body, media_type)
    except (*UNDECODABLE, protobuf.MalformedError) as error:
        raise unrecognised(resource, error) from None
    return read(resource, value)


def unrecognised(resource: Resource, error: object) -> ApiError:
    """Return the 400 of a body that can't be decoded."""
    return bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): {error}")


def read(resource: Resource, value: object) -> Manifest:
    """Bring an object into the form in which it is stored."""
    if not isinstance(value, dict):
        raise unrecognised(resource, f"it is no object but a {type(value).__name__}")
    check_identity(resource, value.get("kind") or "", value.get("apiVersion") or "")
    given = {key: item for key, item in value.items() if key not in {"kind", "apiVersion"}}
    reader = Reader()
    try:
        known = reader.struct(
            resource.type_name, {"metadata": members(given.get("metadata"))} if resource.custom else given
        )
    except MismatchError as error:
        kind, version = resource.kind, resource.api_version
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None
    resets = members(given.get("metadata")).get("managedFields") in ([], [{}])
    return Manifest(given | known if resource.custom else known, reader.unknown, resets)


def check_identity(resource: Resource, kind: object, api_version: object) -> None:
    """Refuse another kind than the path's."""
    if kind not in {"", resource.kind} or api_version not in {"", resource.api_version}:
        text = f'{kind} in version "{api_version}" cannot be handled as a {resource.kind}: converting is not possible'
        raise bad_request(text)


def stored(item: bytes) -> Json:
    """Return a stored object, without kind and apiVersion."""
    document = cast("Json", gojson.DECODER.decode(item))
    return {key: value for key, value in document.items() if key not in {"kind", "apiVersion"}}


def metadata(document: Json) -> Json:
    """Return the metadata of an object; what is changed in it is changed in the object."""
    return cast("Json", document.setdefault("metadata", {}))


def key_of(meta: Json) -> str:
    """Return an object's storage key."""
    namespace, name = text(meta, "namespace"), text(meta, "name")
    return f"{namespace}/{name}" if namespace else name


def text(values: Mapping[str, object], key: str) -> str:
    """Return a string, or the empty one."""
    value = values.get(key)
    return value if isinstance(value, str) else ""


def assemble(resource: Resource, document: Json) -> bytes:
    """Print an object as a list item."""
    if resource.custom:
        return gojson.encode(document | {"apiVersion": resource.api_version, "kind": resource.kind})
    return gojson.print_in_order(Reader().struct(resource.type_name, document))


def stamp(resource: Resource, key: str, document: Json, version: int) -> Written:
    """Give an object its resourceVersion."""
    meta = metadata(document) | {"resourceVersion": str(version)}
    return Written(key, version, labels(meta), assemble(resource, document | {"metadata": meta}))


def labels(meta: Json) -> dict[str, str]:
    """Return an object's labels."""
    return cast("dict[str, str]", members(meta.get("labels")))


def restamp(resource: Resource, value: StoredObject, version: int) -> StoredObject:
    """Return an object as it was, at the resourceVersion of its deletion."""
    if isinstance(value, Generated):
        return Generated(value.population, value.index, version)
    return stamp(resource, value.key, stored(value.data), version)


def timestamp(now: float) -> str:
    """Print a time as metav1.Time does."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
