"""Create, update, patch and delete: the changes that clients make to the store."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import msgspec

from proxy.backend import cells, gojson, manifest, status
from proxy.backend.encoding import complete
from proxy.backend.manifest import Manifest
from proxy.backend.metadata import Headed, ObjectMeta
from proxy.backend.objects import StoredObject
from proxy.backend.requestpath import Target
from proxy.backend.resources import NAMESPACES, PODS, Resource
from proxy.backend.status import ApiError, Cause, Details
from proxy.backend.store import Page, Store, flatten

MERGE_TYPES = ("application/merge-patch+json", "application/strategic-merge-patch+json")
SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5


@dataclass(frozen=True, slots=True)
class Clock:
    """The two times that a write needs: one to compare, one to print."""

    monotonic: float
    wall: float


@dataclass(frozen=True, slots=True)
class Writer:
    """The verbs of one request."""

    store: Store
    target: Target
    clock: Clock
    dry_run: bool = False

    @property
    def resource(self) -> Resource:
        """The resource that is written."""
        return self.target.resource

    def missing(self, name: str) -> ApiError:
        """Return the 404 of an object."""
        return status.not_found(self.resource.plural, self.resource.group, name)

    def find(self) -> StoredObject:
        """Return the named object."""
        found = self.store.collections[self.resource].get(self.target.key)
        if found is None:
            raise self.missing(self.target.name)
        return found

    def commit(self, key: str, changed: Manifest) -> bytes:
        """Store an object and return it as a list item."""
        if self.dry_run:
            return manifest.assemble(self.resource, changed)
        make = lambda version: manifest.stamp(self.resource, key, changed, version)  # noqa: E731
        change = self.store.put(self.resource, key, make, self.clock.monotonic)
        return change.after.item() if change.after else b""

    def create(self, body: bytes) -> bytes:
        """Add an object."""
        new = manifest.parse(self.resource, body)
        metadata = new.metadata
        self.place(metadata)
        key = f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name
        if self.store.collections[self.resource].get(key) is not None:
            raise status.already_exists(self.resource.plural, self.resource.group, metadata.name)
        metadata.uid = str(uuid.uuid4())
        metadata.creationTimestamp = manifest.timestamp(self.clock.wall)
        metadata.generation = 1 if self.resource is PODS or self.resource.custom else 0
        self.check(new)
        manifest.complete(self.resource, new)
        return self.commit(key, new)

    def check(self, new: Manifest) -> None:
        """Bring an object into its stored form, and refuse one that couldn't be shown in a Table later."""
        try:
            manifest.prepare(self.resource, new)
            cells.cells(self.resource, manifest.assemble(self.resource, new), self.clock.wall)
        except msgspec.DecodeError as error:
            kind, version = self.resource.kind, self.resource.api_version
            text = f'{kind} in version "{version}" cannot be handled as a {kind}: json: {error}'
            raise status.bad_request(text) from None

    def place(self, metadata: ObjectMeta) -> None:
        """Check and fill in where a new object goes and what it is called."""
        if metadata.resourceVersion:
            raise status.bad_request("resourceVersion should not be set on objects to be created")
        if metadata.namespace not in {"", self.target.namespace}:
            text = "the namespace of the provided object does not match the namespace sent on the request"
            raise status.bad_request(text)
        metadata.namespace = self.target.namespace
        if metadata.namespace and self.store.collections[NAMESPACES].get(metadata.namespace) is None:
            raise status.not_found(NAMESPACES.plural, "", metadata.namespace)
        if not metadata.name and metadata.generateName:
            number = uuid.uuid4().int
            letters = (SUFFIX_LETTERS[number >> 8 * place & 15] for place in range(SUFFIX_LENGTH))
            metadata.name = metadata.generateName + "".join(letters)
        if not metadata.name:
            raise self.nameless()

    def nameless(self) -> ApiError:
        """Return the 422 of an object without a name."""
        text = "Required value: name or generateName is required"
        details = Details(
            group=self.resource.group or msgspec.UNSET,
            kind=self.resource.kind,
            causes=[Cause("FieldValueRequired", text, "metadata.name")],
        )
        kind = status.qualified(self.resource.kind, self.resource.group)
        return ApiError(422, "Invalid", f'{kind} "" is invalid: metadata.name: {text}', details)

    def update(self, body: bytes) -> bytes:
        """Replace an object."""
        return self.replace(self.find(), manifest.parse(self.resource, body))

    def patch(self, content_type: str, body: bytes) -> bytes:
        """Merge a patch into an object (strategic patches are merged the same way)."""
        if content_type not in MERGE_TYPES:
            accepted = ", ".join(MERGE_TYPES)
            raise unsupported_media(
                f"the body of the request was in an unknown format - accepted media types include: {accepted}"
            )
        current = self.find()
        try:
            before = gojson.DECODER.decode(complete(self.resource, current.item()))
            change = gojson.DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise status.bad_request(f"error decoding patch: {error}") from None
        return self.replace(current, manifest.parse(self.resource, gojson.encode(merge(before, change))))

    def replace(self, current: StoredObject, new: Manifest) -> bytes:
        """Store the next state of an object, unless it was based on an old one or changes nothing."""
        old = manifest.take_apart(self.resource, current.item())
        metadata = new.metadata
        if metadata.name not in {"", self.target.name}:
            text = f"the name of the object ({metadata.name}) does not match the name on the URL ({self.target.name})"
            raise status.bad_request(text)
        stale_uid = metadata.uid not in {"", old.metadata.uid}
        if stale_uid or metadata.resourceVersion not in {"", old.metadata.resourceVersion}:
            raise status.conflict(self.resource.plural, self.resource.group, self.target.name)
        for inherited in ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion"):
            setattr(metadata, inherited, getattr(old.metadata, inherited))
        if self.target.subresource == "status":
            new = Manifest(old.metadata, old.fields | {"status": new.fields.get("status", msgspec.Raw(b"{}"))})
        self.check(new)
        if manifest.assemble(self.resource, new) == current.item():
            return current.item()
        return self.commit(self.target.key, new)

    def delete(self) -> bytes:
        """Remove an object: a pod is answered itself, everything else with a Status."""
        current = self.find()
        self.remove(current)
        if self.resource is PODS:
            return complete(self.resource, current.item())
        metadata = gojson.decode(gojson.decode(current.item(), Headed).metadata, ObjectMeta)
        return status.success(self.target.name, self.resource.group, self.resource.plural, metadata.uid)

    def remove(self, current: StoredObject) -> None:
        """Take an object out of the store."""
        if not self.dry_run:
            self.store.put(self.resource, current.key, lambda _: None, self.clock.monotonic)

    def delete_collection(self, page: Page) -> Page:
        """Remove what a List has selected, and answer that List."""
        segments = list(page.segments)
        for value in flatten(page.collection, segments):
            self.remove(value)
        return Page(page.collection, page.version, segments, page.token, page.remaining)


def unsupported_media(message: str) -> ApiError:
    """Return the 415 of a body in another format."""
    return ApiError(415, "UnsupportedMediaType", message, Details())


def merge(value: object, patch: object) -> object:
    """Apply a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result: dict[str, object] = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), change)
    return result
