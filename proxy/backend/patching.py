"""PATCH: which kind of patch a body is, and what is written for it."""

from __future__ import annotations

from functools import partial

import msgspec
from msgspec import UNSET

from proxy.backend import gojson, manifest, status
from proxy.backend.kinds.canonical import Json, MismatchError, Reader, members
from proxy.backend.ownership import fieldset, managers
from proxy.backend.ownership.managers import APPLY, ConflictsError
from proxy.backend.ownership.merging import changes, fields_of
from proxy.backend.ownership.schema import KeylessError
from proxy.backend.patches import jsonpatch, mergepatch, strategic
from proxy.backend.patches.errors import InapplicableError, PatchError
from proxy.backend.resources import Resource
from proxy.backend.status import ApiError, Cause, Details
from proxy.backend.writes import Writer, read_owners, with_owners

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC_PATCH, APPLY_PATCH = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def accepted_types(resource: Resource) -> tuple[str, ...]:
    """Return the media types that a resource's patches may have; for custom ones no merge keys are known."""
    strategic_type = () if resource.custom else (STRATEGIC_PATCH,)
    return JSON_PATCH, MERGE_PATCH, *strategic_type, APPLY_PATCH


def unsupported_media(accepted: tuple[str, ...]) -> ApiError:
    """Return the 415 of a body in another format."""
    text = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return ApiError(415, "UnsupportedMediaType", text, Details())


def patch(writer: Writer, media_type: str, body: bytes) -> tuple[int, bytes]:
    """Change the named object; return the answer's code and the object as a list item."""
    if media_type not in accepted_types(writer.resource):
        raise unsupported_media(accepted_types(writer.resource))
    if media_type == APPLY_PATCH:
        return Application(writer).apply(body)
    return 200, writer.change(partial(edit, media_type, writer.resource.type_name, read(body)))


def read(body: bytes) -> object:
    """Decode a patch."""
    try:
        return gojson.DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise status.bad_request(f"error decoding patch: {error}") from None


def edit(media_type: str, type_name: str, change: object, value: Json) -> object:
    """Apply a patch to an object."""
    try:
        match media_type:
            case "application/json-patch+json":
                return jsonpatch.apply(value, change)
            case "application/merge-patch+json":
                return mergepatch.apply(value, change)
            case _:
                return strategic.apply(type_name, value, change)
    except PatchError as error:
        raise status.bad_request(str(error)) from None
    except InapplicableError as error:
        text = f"the server rejected our request due to an error in our request: {error}"
        raise ApiError(422, "Invalid", text, Details()) from None


class Application:
    """One server-side apply."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.resource = writer.resource

    def apply(self, body: bytes) -> tuple[int, bytes]:
        """Apply a configuration, to a new object where there is none."""
        config = self.read(body)
        current = self.writer.store.collections[self.resource].get(self.writer.target.key)
        if current is None:
            return 201, self.create(config)
        old = manifest.read(self.resource, manifest.stored(current.item())).document
        merged = self.merged(old, config)
        owned = members(merged["metadata"]).get("managedFields")
        document = self.writer.next_state(old, manifest.read(self.resource, merged).document)
        document["metadata"] = members(document["metadata"]) | {"managedFields": owned}
        return 200, self.writer.store_next(current, old, document)

    def create(self, config: Json) -> bytes:
        """Make an object of a configuration."""
        writer = self.writer
        meta = members(config["metadata"])
        if writer.target.subresource:
            raise writer.missing(writer.target.name)
        if meta.get("uid"):
            raise status.conflict(self.resource.plural, self.resource.group, writer.target.name)
        document = manifest.read(self.resource, self.merged({}, config)).document
        meta = manifest.metadata(document)
        owned = meta.get("managedFields")
        meta["name"] = writer.target.name
        writer.place(meta)
        writer.begin(document)
        document = writer.finished(document)
        document["metadata"] = members(document["metadata"]) | {"managedFields": owned}
        return writer.commit(writer.target.key, document)

    def read(self, body: bytes) -> Json:
        """Read a configuration: the fields that somebody sets, and no others."""
        try:
            value = manifest.decode(body, APPLY_PATCH)
        except manifest.UNDECODABLE as error:
            raise status.bad_request(f"error decoding YAML: {error}") from None
        if not isinstance(value, dict):
            raise status.bad_request("error decoding YAML: a configuration is an object")
        if value.get("apiVersion") != self.resource.api_version or value.get("kind") != self.resource.kind:
            given, expected = value.get("apiVersion"), self.resource.api_version
            text = f"Incorrect version specified in apply patch. Specified patch version: {given}, expected: {expected}"
            raise status.bad_request(text)
        meta = members(value.get("metadata"))
        if meta.get("managedFields") is not None:
            raise status.bad_request("metadata.managedFields must be nil")
        if meta.get("name") not in {None, self.writer.target.name}:
            text = f"the name of the object ({meta['name']}) does not match the name on the URL"
            raise status.bad_request(f"{text} ({self.writer.target.name})")
        return self.typed({key: item for key, item in value.items() if key not in {"kind", "apiVersion"}}, meta)

    def typed(self, value: Json, meta: Json) -> Json:
        """Check a configuration against its type."""
        reader = Reader(sparse=True)
        known = {"metadata": meta} if self.resource.custom else value
        try:
            config = reader.struct(self.resource.type_name, known)
        except MismatchError as error:
            raise self.untyped(str(error)) from None
        if reader.unknown:
            raise self.untyped(f".{reader.unknown[0]}: field not declared in schema")
        config = (without_nulls(value) if self.resource.custom else {}) | {"metadata": {}} | config
        target = self.writer.target
        namespace = {"namespace": target.namespace} if target.namespace else {}
        config["metadata"] = namespace | members(config["metadata"]) | {"name": target.name}
        return config

    def untyped(self, text: str) -> ApiError:
        """Return the 500 of a configuration that doesn't fit its type; a real one has no better code."""
        target, version = self.writer.target, self.resource.api_version
        what = f"{target.namespace}/{target.name}; {version}, Kind={self.resource.kind}"
        return ApiError(500, "", f"failed to create typed patch object ({what}): {text}")

    def merged(self, old: Json, config: Json) -> Json:
        """Return an object with a configuration and its owners in it."""
        writer = self.writer
        manager = writer.manager(APPLY)
        owners, live = read_owners(old), with_owners(old, {}) if old else {}
        force = writer.options.force
        try:
            merged, owners = writer.ledger.apply(owners, manager, live, config, force=force)
        except KeylessError as error:
            raise self.untyped(str(error)) from None
        except ConflictsError as error:
            own = owned_by_annotation(writer, live) if manager.name == "kubectl" else fieldset.NOTHING
            left = [conflict for conflict in error.conflicts if conflict[1] not in own]
            if left:
                raise conflict_error(left) from None
            merged, owners = writer.ledger.apply(owners, manager, live, config, force=True)
        if manager.name == "kubectl":
            renew_annotation(merged, config, self.resource)
        return with_owners(merged, owners)


def without_nulls(value: Json) -> Json:
    """Return a map without its empty members; null sets nothing."""
    return {
        key: without_nulls(item) if isinstance(item, dict) else item for key, item in value.items() if item is not None
    }


def owned_by_annotation(writer: Writer, live: Json) -> fieldset.Fields:
    """Return what client-side apply has set and nobody has changed since: kubectl may take that over."""
    annotations = members(members(live.get("metadata")).get("annotations"))
    try:
        last = members(gojson.DECODER.decode(str(annotations.get(LAST_APPLIED) or "{}").encode()))
        if last.get("apiVersion") != writer.resource.api_version:
            return fieldset.NOTHING
        last = {key: item for key, item in last.items() if key not in {"kind", "apiVersion"}}
        known = last if writer.resource.custom else Reader(sparse=True).struct(writer.resource.type_name, last)
    except (msgspec.DecodeError, MismatchError):
        return fieldset.NOTHING
    place = writer.ledger.place
    return fields_of(place, known) - frozenset().union(*changes(place, known, live).all())


def renew_annotation(merged: Json, config: Json, resource: Resource) -> None:
    """Keep client-side apply's annotation true, where there is one."""
    annotations = members(members(merged.get("metadata")).get("annotations"))
    if annotations.get(LAST_APPLIED):
        applied = {"apiVersion": resource.api_version, "kind": resource.kind} | config
        annotations[LAST_APPLIED] = gojson.encode(applied).decode() + "\n"


def conflict_error(conflicts: list[managers.Conflict]) -> ApiError:
    """Return the 409 of an apply that would take fields from others."""
    causes = [
        Cause("FieldManagerConflict", f"conflict with {manager.shown()}", fieldset.shown(path))
        for manager, path in conflicts
    ]
    if len(conflicts) == 1:
        text = (
            f"Apply failed with 1 conflict: conflict with {conflicts[0][0].shown()}: {fieldset.shown(conflicts[0][1])}"
        )
        return ApiError(409, "Conflict", text, Details(causes=causes))
    lines: list[str] = []
    for shown in sorted({manager.shown() for manager, _ in conflicts}):
        lines.append(f"conflicts with {shown}:")
        lines += [f"- {fieldset.shown(path)}" for manager, path in conflicts if manager.shown() == shown]
    text = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", text, Details(causes=causes, group=UNSET))
