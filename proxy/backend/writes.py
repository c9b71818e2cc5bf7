"""Create, update, patch and apply: the changes that clients make to the store."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from proxy.backend import cells, defaults, gojson, manifest, rollouts, status
from proxy.backend.kinds.canonical import Json, Reader, members
from proxy.backend.manifest import Manifest
from proxy.backend.objects import StoredObject
from proxy.backend.ownership import managers
from proxy.backend.ownership.managers import UPDATE, Ledger, Manager, Owners
from proxy.backend.ownership.schema import Place
from proxy.backend.requestpath import Target
from proxy.backend.resources import DEPLOYMENTS, NAMESPACES, Resource
from proxy.backend.status import ApiError, Cause, Details
from proxy.backend.store import Store
from proxy.backend.writeoptions import WriteOptions

SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
MAX_NAME = 253
LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = re.compile(rf"{LABEL}(\.{LABEL})*")
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{SUBDOMAIN.pattern}')"
)
# What no update changes.
FIXED = (
    "name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp",
    "deletionGracePeriodSeconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clock:
    """The two times that a write needs: one to compare, one to print."""

    monotonic: float
    wall: float


@dataclass(frozen=True, slots=True)
class Writer:
    """The writes of one request."""

    store: Store
    target: Target
    clock: Clock
    options: WriteOptions
    warnings: list[str] = field(default_factory=list)

    @property
    def resource(self) -> Resource:
        """The resource that is written."""
        return self.target.resource

    @property
    def now(self) -> str:
        """The time of the write."""
        return manifest.timestamp(self.clock.wall)

    def missing(self, name: str) -> ApiError:
        """Return the 404 of an object."""
        return status.not_found(self.resource.plural, self.resource.group, name)

    def find(self) -> StoredObject:
        """Return the named object."""
        found = self.store.collections[self.resource].get(self.target.key)
        if found is None:
            raise self.missing(self.target.name)
        return found

    def commit(self, key: str, document: Json) -> bytes:
        """Store an object and return it as a list item."""
        if self.options.dry_run:
            return manifest.assemble(self.resource, document)
        make = lambda version: manifest.stamp(self.resource, key, document, version)  # noqa: E731
        change = self.store.put(self.resource, key, make, self.clock.monotonic)
        if self.resource is DEPLOYMENTS and self.target.subresource != "status":
            rollouts.reconcile(self.store, key, self.clock.monotonic, self.now)
        return change.after.item() if change.after else b""

    def create(self, new: Manifest) -> bytes:
        """Add an object."""
        self.check_unknown(new)
        document, meta = new.document, manifest.metadata(new.document)
        self.place(meta)
        key = manifest.key_of(meta)
        if self.store.collections[self.resource].get(key) is not None:
            raise status.already_exists(self.resource.plural, self.resource.group, manifest.text(meta, "name"))
        self.begin(document)
        return self.commit(key, self.owned({}, new, self.finished(document)))

    def begin(self, document: Json) -> None:
        """Give a new object its identity."""
        meta = manifest.metadata(document)
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
            meta.pop(name, None)
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": self.now}
        if rollouts.counts_generations(self.resource):
            meta["generation"] = 1
        defaults.begin(self.resource, document)

    def finished(self, document: Json) -> Json:
        """Complete an object, and refuse one that couldn't be shown in a Table later."""
        try:
            defaults.apply(self.resource, document)
            item = manifest.assemble(self.resource, document)
            cells.cells(self.resource, item, self.clock.wall)
        except msgspec.DecodeError as error:
            kind, version = self.resource.kind, self.resource.api_version
            text = f'{kind} in version "{version}" cannot be handled as a {kind}: json: {error}'
            raise status.bad_request(text) from None
        return manifest.stored(item)

    def check_unknown(self, new: Manifest) -> None:
        """Refuse fields that the type doesn't have, or warn of them, as the client wants."""
        if not new.unknown or self.options.validation == "Ignore":
            return
        texts = [f'unknown field "{path}"' for path in new.unknown]
        if self.options.validation == "Strict":
            kind, version = self.resource.kind, self.resource.api_version
            head = f'{kind} in version "{version}" cannot be handled as a {kind}'
            raise status.bad_request(f"{head}: strict decoding error: {', '.join(texts)}")
        self.warnings.extend(texts)

    def place(self, meta: Json) -> None:
        """Check and fill in where a new object goes and what it is called."""
        if meta.get("resourceVersion"):
            raise status.bad_request("resourceVersion should not be set on objects to be created")
        if manifest.text(meta, "namespace") not in {"", self.target.namespace}:
            text = "the namespace of the provided object does not match the namespace sent on the request"
            raise status.bad_request(text)
        meta.pop("namespace", None)
        if self.target.namespace:
            meta["namespace"] = self.target.namespace
            if self.store.collections[NAMESPACES].get(self.target.namespace) is None:
                raise status.not_found(NAMESPACES.plural, "", self.target.namespace)
        if not meta.get("name") and meta.get("generateName"):
            number = uuid.uuid4().int
            letters = (SUFFIX_LETTERS[number >> 8 * place & 15] for place in range(SUFFIX_LENGTH))
            meta["name"] = manifest.text(meta, "generateName") + "".join(letters)
        name = manifest.text(meta, "name")
        if not name:
            raise self.invalid("", "FieldValueRequired", "name", "Required value: name or generateName is required")
        if len(name) > MAX_NAME or not SUBDOMAIN.fullmatch(name):
            text = f'Invalid value: "{name}": {SUBDOMAIN_TEXT}'
            raise self.invalid(name, "FieldValueInvalid", "name", text)

    def invalid(self, name: str, reason: str, field_name: str, text: str) -> ApiError:
        """Return the 422 of an object whose metadata aren't valid."""
        group = self.resource.group or msgspec.UNSET
        causes = [Cause(reason, text, f"metadata.{field_name}")]
        details = Details(name or msgspec.UNSET, group, self.resource.kind, causes=causes)
        kind = status.qualified(self.resource.kind, self.resource.group)
        return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: metadata.{field_name}: {text}', details)

    def update(self, new: Manifest) -> bytes:
        """Replace an object."""
        self.check_unknown(new)
        current = self.find()
        if self.resource.custom and not manifest.metadata(new.document).get("resourceVersion"):
            text = "Invalid value: 0x0: must be specified for an update"
            raise self.invalid(self.target.name, "FieldValueInvalid", "resourceVersion", text)
        return self.replace(current, new)

    def change(self, edit: Callable[[Json], object]) -> bytes:
        """Replace an object by what a function makes of it."""
        current = self.find()
        before = manifest.stored(current.item())
        identity: Json = {"kind": self.resource.kind, "apiVersion": self.resource.api_version}
        new = manifest.read(self.resource, edit(identity | before))
        self.check_unknown(new)
        return self.replace(current, new)

    def replace(self, current: StoredObject, new: Manifest) -> bytes:
        """Store the next state of an object, unless it was based on an old one or changes nothing."""
        old = manifest.read(self.resource, manifest.stored(current.item())).document
        document = self.next_state(old, new.document)
        return self.store_next(current, old, self.owned(old, new, document))

    def next_state(self, old: Json, document: Json) -> Json:
        """Return what an object becomes: what a client can't change stays as it was."""
        meta, before = manifest.metadata(document), manifest.metadata(old)
        name = manifest.text(meta, "name")
        if name not in {"", self.target.name}:
            text = f"the name of the object ({name}) does not match the name on the URL ({self.target.name})"
            raise status.bad_request(text)
        stale = (meta.get(key) not in {None, "", before.get(key)} for key in ("uid", "resourceVersion"))
        if any(stale):
            raise status.conflict(self.resource.plural, self.resource.group, self.target.name)
        kept: Json = {key: before[key] for key in FIXED if key in before}
        meta = {key: value for key, value in meta.items() if key not in FIXED} | kept
        if self.target.subresource == "status":
            document = old | {"status": document.get("status", {})}
        elif "status" in self.resource.subresources:
            document = {key: value for key, value in document.items() if key != "status"} | {
                "metadata": meta, "status": old.get("status", {}),
            }  # fmt: skip
        else:
            document = document | {"metadata": meta}
        defaults.apply(self.resource, document)
        if rollouts.counts_generations(self.resource) and content(document) != content(old):
            number = before.get("generation")
            document["metadata"] = members(document["metadata"]) | {
                "generation": (number if isinstance(number, int) else 0) + 1
            }
        return self.finished(document)

    @property
    def ledger(self) -> Ledger:
        """How owners are found: a subresource owns only its own part."""
        ignored = ("f:spec",) if self.target.subresource == "status" else ("f:status",)
        split = "status" in self.resource.subresources
        return Ledger(Place(self.resource.type_name), self.now, (ignored,) if split else ())

    def manager(self, operation: str) -> Manager:
        """Return who writes."""
        return Manager(self.options.manager, operation, self.resource.api_version, self.target.subresource)

    def owned(self, old: Json, new: Manifest, document: Json) -> Json:
        """Return an object with its owners; one that had none before gets none by an update."""
        given = read_owners(new.document) if not self.target.subresource else {}
        owners: Owners = {} if new.resets_owners else given or read_owners(old)
        if old and not owners:
            return with_owners(document, {})
        live = old or ({} if self.resource.custom else Reader().struct(self.resource.type_name, {}))
        return with_owners(document, self.ledger.update(owners, self.manager(UPDATE), live, document))

    def store_next(self, current: StoredObject, old: Json, document: Json) -> bytes:
        """Store the next state, unless it is the last one; without finalizers a deleted object goes."""
        if gojson.equal(old, document) or unchanged(old, document):
            return current.item()
        meta = manifest.metadata(document)
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            if not self.options.dry_run:
                self.store.put(self.resource, current.key, lambda _: None, self.clock.monotonic)
            return manifest.assemble(self.resource, document)
        return self.commit(current.key, document)


def content(document: Json) -> Json:
    """Return what an object's generation counts."""
    return {key: value for key, value in document.items() if key not in {"metadata", "status"}}


def read_owners(document: Json) -> Owners:
    """Return who owns what in an object."""
    return managers.read(members(document.get("metadata")).get("managedFields"))


def with_owners(document: Json, owners: Owners) -> Json:
    """Return an object that says who owns what."""
    meta = {key: value for key, value in members(document.get("metadata")).items() if key != "managedFields"}
    return document | {"metadata": meta | ({"managedFields": managers.print_all(owners)} if owners else {})}


def unchanged(old: Json, document: Json) -> bool:
    """Whether two states differ in nothing but when somebody became an owner."""
    if {key: entry.fields for key, entry in read_owners(old).items()} != {
        key: entry.fields for key, entry in read_owners(document).items()
    }:
        return False
    return gojson.equal(with_owners(old, {}), with_owners(document, {}))
