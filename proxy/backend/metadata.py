"""ObjectMeta in Go's struct order: typed objects and PartialObjectMetadata are printed from it."""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType

from proxy.backend import gojson


class ManagedFields(Struct, omit_defaults=True):
    """One managedFields entry."""

    manager: str = ""
    operation: str = ""
    apiVersion: str = ""  # noqa: N815 (these are the wire's own names)
    time: str = ""
    fieldsType: str = ""  # noqa: N815
    fieldsV1: Raw | UnsetType = UNSET  # noqa: N815
    subresource: str = ""


class ObjectMeta(Struct, omit_defaults=True):
    """An object's metadata."""

    name: str = ""
    generateName: str = ""  # noqa: N815
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815
    generation: int = 0
    creationTimestamp: str = ""  # noqa: N815
    deletionTimestamp: str = ""  # noqa: N815
    deletionGracePeriodSeconds: int | UnsetType = UNSET  # noqa: N815
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    ownerReferences: list[Raw] = []  # noqa: N815
    finalizers: list[str] = []
    managedFields: list[ManagedFields] = []  # noqa: N815


class Headed(Struct):
    """Any object, seen only as far as its metadata."""

    metadata: Raw


def partial(item: bytes, version: str, *, custom: bool) -> bytes:
    """Return an item as PartialObjectMetadata; a custom resource's sorted metadata gets the struct's order."""
    metadata: bytes | Raw = gojson.decode(item, Headed).metadata
    if custom:
        metadata = gojson.encode(gojson.decode(metadata, ObjectMeta))
    head = f'{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/{version}","metadata":'
    return b"%b%b}" % (head.encode(), metadata)
