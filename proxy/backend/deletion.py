"""DELETE: of one object, of a collection, and of what belongs to an object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from proxy.backend import defaults, manifest, rollouts, status
from proxy.backend.collection import namespace_scope
from proxy.backend.encoding import complete
from proxy.backend.kinds import protobuf
from proxy.backend.kinds.canonical import Json, MismatchError, Reader, members
from proxy.backend.listoptions import Query
from proxy.backend.objects import StoredObject, Written
from proxy.backend.resources import NAMESPACES, PODS, Resource
from proxy.backend.status import ApiError, Details
from proxy.backend.store import Page, flatten
from proxy.backend.writes import Writer

POLICIES = ("", "Orphan", "Background", "Foreground")


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a client wants of a delete."""

    uid: str = ""
    version: str = ""
    policy: str = ""
    dry_run: bool = False


def parse(body: bytes, media_type: str, query: Query) -> DeleteOptions:
    """Read DeleteOptions from the body, and from the query what isn't there."""
    return of(read("DeleteOptions", body, media_type) if body.strip() else {}, query)


def parse_eviction(body: bytes, media_type: str, query: Query) -> DeleteOptions:
    """Read the DeleteOptions inside of an Eviction."""
    return of(members(read("Eviction", body, media_type).get("deleteOptions")), query)


def of(given: Json, query: Query) -> DeleteOptions:
    """Check DeleteOptions, and take from the query what isn't in them."""
    preconditions = members(given.get("preconditions"))
    policy = manifest.text(given, "propagationPolicy") or query.get("propagationPolicy", "")
    if given.get("orphanDependents") is not None and not policy:
        policy = "Orphan" if given["orphanDependents"] else "Background"
    if policy not in POLICIES:
        supported = ", ".join(f'"{one}"' for one in POLICIES[1:])
        text = f'propagationPolicy: Unsupported value: "{policy}": supported values: {supported}'
        raise ApiError(
            422, "Invalid", f'DeleteOptions.meta.k8s.io "" is invalid: {text}', Details(kind="DeleteOptions")
        )
    dry_run = query.get("dryRun") == "All" or given.get("dryRun") == ["All"]
    uid, version = (manifest.text(preconditions, key) for key in ("uid", "resourceVersion"))
    return DeleteOptions(uid, version, policy, dry_run)


def read(type_name: str, body: bytes, media_type: str) -> Json:
    """Decode what is no object of a resource."""
    try:
        if media_type == protobuf.MEDIA_TYPE:
            return protobuf.message(type_name, protobuf.unwrap(body).raw)
        value = members(manifest.decode(body, media_type))
        return Reader().struct(type_name, {k: v for k, v in value.items() if k not in {"kind", "apiVersion"}})
    except (*manifest.UNDECODABLE, protobuf.MalformedError, MismatchError) as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from None


@dataclass(frozen=True, slots=True)
class Deleter:
    """The deletes of one request."""

    writer: Writer
    options: DeleteOptions

    def delete(self) -> bytes:
        """Delete the named object; the answer is the object itself where it is a pod or isn't gone yet."""
        writer = self.writer
        current = writer.find()
        document = manifest.stored(current.item())
        meta = members(document.get("metadata"))
        self.check(meta)
        left = self.remove(current, document)
        if left is None:
            self.clean_up({meta.get("uid")})
        else:
            return complete(writer.resource, left)
        if writer.resource is PODS:
            return complete(writer.resource, current.item())
        resource, uid = writer.resource, manifest.text(meta, "uid")
        return status.success(writer.target.name, resource.group, resource.plural, uid)

    def check(self, meta: Json) -> None:
        """Refuse where the object isn't the one that the client has seen."""
        wanted = (("UID", "uid", self.options.uid), ("ResourceVersion", "resourceVersion", self.options.version))
        for shown, key, expected in wanted:
            found = manifest.text(meta, key)
            if expected and expected != found:
                resource, name = self.writer.resource, self.writer.target.name
                what = status.qualified(resource.plural, resource.group)
                text = f"Precondition failed: {shown} in precondition: {expected}, {shown} in object meta: {found}"
                message = f'Operation cannot be fulfilled on {what} "{name}": {text}'
                details = Details(name, resource.group or msgspec.UNSET, resource.plural)
                raise ApiError(409, "Conflict", message, details)

    def remove(self, current: StoredObject, document: Json) -> bytes | None:
        """Take an object out of the store; what has finalizers is only marked, and returned."""
        writer = self.writer
        meta = members(document.get("metadata"))
        if meta.get("finalizers"):
            marks: Json = {"deletionTimestamp": writer.now, "deletionGracePeriodSeconds": 0}
            document = document | {"metadata": marks | meta}
            return current.item() if "deletionTimestamp" in meta else self.commit(current.key, document)
        if not self.options.dry_run:
            self.remove_contents(current.key)
            writer.store.put(writer.resource, current.key, lambda _: None, writer.clock.monotonic)
        return None

    def commit(self, key: str, document: Json) -> bytes:
        """Store a marked object."""
        if self.options.dry_run:
            return manifest.assemble(self.writer.resource, document)
        return self.writer.commit(key, document)

    def remove_contents(self, key: str) -> None:
        """Empty a namespace that goes; a controller does so in a real cluster."""
        if self.writer.resource is not NAMESPACES:
            return
        store, scope = self.writer.store, namespace_scope(key)
        for resource, collection in store.collections.items():
            if resource.namespaced:
                for value in list(flatten(collection, collection.segments(scope, store.version))):
                    store.put(resource, value.key, lambda _: None, self.writer.clock.monotonic)

    def clean_up(self, gone: set[object]) -> None:
        """Delete what deleted objects owned, or free it: the garbage collector's part."""
        store, now = self.writer.store, self.writer.clock.monotonic
        while gone and not self.options.dry_run:
            removed: set[object] = set()
            for resource, key, document in self.owned():
                if not gone & rollouts.owner_uids(document):
                    continue
                held = manifest.metadata(document)
                if self.options.policy != "Orphan":
                    store.put(resource, key, lambda _: None, now)
                    removed.add(held.get("uid"))
                    continue
                owners = defaults.items(held, "ownerReferences")
                held["ownerReferences"] = [owner for owner in owners if owner.get("uid") not in gone]
                rollouts.put(store, resource, key, document, now)
            gone = removed

    def owned(self) -> Iterator[tuple[Resource, str, Json]]:
        """Yield every object that has owners; generated ones have none."""
        for resource, collection in self.writer.store.collections.items():
            for key in tuple(collection.keys):
                value = collection.get(key)
                if isinstance(value, Written) and b'"ownerReferences"' in value.data:
                    yield resource, key, manifest.stored(value.data)

    def delete_collection(self, page: Page) -> Page:
        """Delete what a List has selected, and answer that List."""
        segments = list(page.segments)
        gone: set[object] = set()
        for value in flatten(page.collection, segments):
            document = manifest.stored(value.item())
            if self.remove(value, document) is None:
                gone.add(members(document.get("metadata")).get("uid"))
        self.clean_up(gone)
        return Page(page.collection, page.version, segments, page.token, page.remaining)
