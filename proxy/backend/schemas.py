"""The tables of ``kinds`` as OpenAPI schemas, with the extensions by which clients merge."""

from __future__ import annotations

from proxy.backend.kinds.canonical import Json
from proxy.backend.kinds.notation import TYPES, Field, Holds
from proxy.backend.resources import Resource

PATCH_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation", "force")
SCALARS: dict[str, Json] = {
    "": {"type": "string"}, "int": {"type": "integer", "format": "int32"}, "bool": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"}, "Time": {"type": "string", "format": "date-time"},
    "MicroTime": {"type": "string", "format": "date-time"}, "Quantity": {"type": "string"},
    "IntOrString": {"type": "string", "format": "int-or-string"}, "Fields": {"type": "object"},
}  # fmt: skip
IDENTITY: Json = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}


def path_of(resource: Resource) -> str:
    """Return where the API of a resource's group is."""
    return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"


def object_path(resource: Resource) -> str:
    """Return the path of one object."""
    namespace = "namespaces/{namespace}/" if resource.namespaced else ""
    return f"/{path_of(resource)}/{namespace}{resource.plural}/{{name}}"


def group_version_kind(resource: Resource) -> Json:
    """Return a kind as OpenAPI names it."""
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def schema_name(resource: Resource) -> str:
    """Return the name of a resource's schema."""
    return "com.example.v1.Widget" if resource.custom else TYPES[resource.type_name].name


def schemas(resources: list[Resource], base: str) -> Json:
    """Return the schemas of some resources and of everything in them; `base` is where references point."""
    found: Json = {}
    for resource in resources:
        kind = {"x-kubernetes-group-version-kind": [group_version_kind(resource)]}
        found[schema_name(resource)] = struct(resource.type_name, base) | kind
        own = found[schema_name(resource)]
        assert isinstance(own, dict)  # noqa: S101 (set two lines above)
        own["properties"] = IDENTITY | own["properties"]
        if resource.custom:
            own["x-kubernetes-preserve-unknown-fields"] = True
        for name in sorted(reachable(resource.type_name)):
            found.setdefault(TYPES[name].name, struct(name, base))
    return found


def reachable(type_name: str) -> set[str]:
    """Return every struct inside of a type."""
    found: set[str] = set()
    pending = [type_name]
    while pending:
        below = {field.type for field in TYPES[pending.pop()].fields.values() if field.is_struct} - found
        found |= below
        pending += below
    return found


def struct(type_name: str, base: str) -> Json:
    """Return the schema of a struct."""
    kind = TYPES[type_name]
    required = [field.name for field in kind.fields.values() if field.kept]
    out: Json = {"type": "object", "properties": {field.name: of(field, base) for field in kind.fields.values()}}
    if required:
        out["required"] = required
    return out | ({"x-kubernetes-map-type": "atomic"} if kind.atomic else {})


def of(field: Field, base: str) -> Json:
    """Return the schema of a field."""
    one: Json = {"allOf": [{"$ref": base + TYPES[field.type].name}]} if field.is_struct else dict(SCALARS[field.type])
    if field.holds is Holds.ONE:
        return one
    if field.holds is Holds.MAP:
        atomic: Json = {"x-kubernetes-map-type": "atomic"} if field.atomic else {}
        return {"type": "object", "additionalProperties": one} | atomic
    out: Json = {"type": "array", "items": one}
    out["x-kubernetes-list-type"] = "atomic" if not field.associative else "map" if field.keys else "set"
    if field.keys:
        out["x-kubernetes-list-map-keys"] = list(field.keys)
    if field.merges:
        out["x-kubernetes-patch-strategy"] = "merge,retainKeys" if field.retains_keys else "merge"
        if field.patch_key:
            out["x-kubernetes-patch-merge-key"] = field.patch_key
    return out
