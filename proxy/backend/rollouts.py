"""A stand-in for the Deployment controller: every rollout is complete at once, but there are no pods behind it."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, cast

from proxy.backend import gojson, manifest
from proxy.backend.kinds.canonical import Json, members
from proxy.backend.objects import Written
from proxy.backend.resources import DEPLOYMENTS, PODS, REPLICA_SETS, Resource

if TYPE_CHECKING:
    from proxy.backend.store import Store

REVISION = "deployment.kubernetes.io/revision"
DESIRED, MAXIMUM = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
HASH_LABEL = "pod-template-hash"
HASH_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
HASH_LENGTH = 10


def counts_generations(resource: Resource) -> bool:
    """Whether objects of a resource count the changes of their specs."""
    return resource.custom or resource in {PODS, DEPLOYMENTS, REPLICA_SETS}


def reconcile(store: Store, key: str, now: float, time: str) -> None:
    """Do what the controller does when it sees that a Deployment has changed."""
    found = store.collections[DEPLOYMENTS].get(key)
    if found is None:
        return
    before = manifest.stored(found.item())
    deployment = manifest.stored(found.item())
    if not members(deployment["spec"]).get("paused"):
        revision = roll_out(store, deployment, now, time)
        annotate(deployment, {REVISION: str(revision)})
    deployment["status"] = complete_status(deployment, time)
    if not gojson.equal(before, deployment):
        put(store, DEPLOYMENTS, key, deployment, now)


def put(store: Store, resource: Resource, key: str, document: Json, now: float) -> None:
    """Store an object."""
    store.put(resource, key, lambda version: manifest.stamp(resource, key, document, version), now)


def annotate(document: Json, values: Json) -> None:
    """Add annotations."""
    meta = manifest.metadata(document)
    meta["annotations"] = members(meta.get("annotations")) | values


def replicas_of(document: Json) -> int:
    """Return how many replicas somebody wants."""
    count = members(document.get("spec")).get("replicas")
    return count if isinstance(count, int) else 1


def roll_out(store: Store, deployment: Json, now: float, time: str) -> int:
    """Give the template's ReplicaSet all replicas and the others none; return its revision."""
    meta, spec = manifest.metadata(deployment), members(deployment["spec"])
    namespace = manifest.text(meta, "namespace")
    mark = template_hash(spec["template"])
    name = f"{manifest.text(meta, 'name')}-{mark}"
    owned = owned_sets(store, namespace, manifest.text(meta, "uid"))
    current = owned.pop(name, None)
    newest = max((revision_of(one) for one in owned.values()), default=0)
    revision = max(revision_of(current) if current else 0, newest + 1)
    wanted = replicas_of(deployment)
    for other, document in owned.items():
        if replicas_of(document):
            resize(store, f"{namespace}/{other}", document, 0, now)
    if current is None:
        made = replica_set(deployment, name, mark, time)
        annotate(made, revision_annotations(revision, wanted))
        made["status"] = set_status(wanted, 1)
        put(store, REPLICA_SETS, f"{namespace}/{name}", made, now)
    elif replicas_of(current) != wanted or revision_of(current) != revision:
        annotate(current, revision_annotations(revision, wanted))
        resize(store, f"{namespace}/{name}", current, wanted, now)
    return revision


def revision_annotations(revision: int, wanted: int) -> Json:
    """Return what a ReplicaSet says of its Deployment."""
    return {REVISION: str(revision), DESIRED: str(wanted), MAXIMUM: str(wanted + -(-wanted // 4))}


def template_hash(template: object) -> str:
    """Return what tells one template from another, in letters that spell no words."""
    number = int.from_bytes(hashlib.sha256(gojson.encode(template)).digest()[:8])
    letters = []
    for _ in range(HASH_LENGTH):
        number, place = divmod(number, len(HASH_LETTERS))
        letters.append(HASH_LETTERS[place])
    return "".join(letters)


def owned_sets(store: Store, namespace: str, uid: str) -> dict[str, Json]:
    """Return the ReplicaSets of a Deployment by name."""
    collection = store.collections[REPLICA_SETS]
    found: dict[str, Json] = {}
    for key in collection.keys:
        value = collection.get(key)
        if isinstance(value, Written) and key.startswith(f"{namespace}/"):
            document = manifest.stored(value.item())
            if uid in owner_uids(document):
                found[key.partition("/")[2]] = document
    return found


def owner_uids(document: Json) -> set[object]:
    """Return the UIDs of an object's owners."""
    owners = members(document.get("metadata")).get("ownerReferences")
    return {members(owner).get("uid") for owner in owners} if isinstance(owners, list) else set()


def revision_of(document: Json) -> int:
    """Return the revision that a ReplicaSet carries."""
    text = str(members(members(document.get("metadata")).get("annotations")).get(REVISION, ""))
    return int(text) if text.isdecimal() else 0


def replica_set(deployment: Json, name: str, mark: str, time: str) -> Json:
    """Return the ReplicaSet of a Deployment's template."""
    meta, spec = manifest.metadata(deployment), members(deployment["spec"])
    template = members(gojson.DECODER.decode(gojson.encode(spec["template"])))
    labels = members(members(template.get("metadata")).get("labels")) | {HASH_LABEL: mark}
    template["metadata"] = members(template.get("metadata")) | {"labels": labels}
    selector = members(spec.get("selector"))
    matched = members(selector.get("matchLabels")) | {HASH_LABEL: mark}
    owner = {
        "apiVersion": DEPLOYMENTS.api_version, "kind": DEPLOYMENTS.kind, "name": meta["name"], "uid": meta["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip
    made: Json = {
        "name": name, "namespace": meta["namespace"], "generation": 1, "creationTimestamp": time, "labels": labels,
        "uid": str(uuid.uuid4()), "ownerReferences": [owner],
    }  # fmt: skip
    return {
        "metadata": made,
        "spec": {
            "replicas": replicas_of(deployment), "selector": selector | {"matchLabels": matched}, "template": template,
        },
    }  # fmt: skip


def resize(store: Store, key: str, document: Json, count: int, now: float) -> None:
    """Scale a ReplicaSet."""
    meta = manifest.metadata(document)
    generation = cast("int", meta.get("generation") or 0) + 1
    meta["generation"] = generation
    document["spec"] = members(document["spec"]) | {"replicas": count}
    document["status"] = set_status(count, generation)
    put(store, REPLICA_SETS, key, document, now)


def set_status(count: int, generation: int) -> Json:
    """Return the status of a ReplicaSet whose pods are all there."""
    ready: Json = {"fullyLabeledReplicas": count, "readyReplicas": count, "availableReplicas": count} if count else {}
    return ready | {"replicas": count, "observedGeneration": generation}


def complete_status(deployment: Json, time: str) -> Json:
    """Return the status of a Deployment whose rollout is complete."""
    count, meta = replicas_of(deployment), manifest.metadata(deployment)
    held = members(deployment.get("status")).get("conditions")
    conditions = held if isinstance(held, list) and held else [
        condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability.", time),
        condition("Progressing", "NewReplicaSetAvailable", "ReplicaSet has successfully progressed.", time),
    ]  # fmt: skip
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {"observedGeneration": meta.get("generation", 0)} | dict.fromkeys(counts, count) | {"conditions": conditions}


def condition(kind: str, reason: str, message: str, time: str) -> Json:
    """Return a condition that holds."""
    return {
        "type": kind, "status": "True", "lastUpdateTime": time, "lastTransitionTime": time, "reason": reason,
        "message": message,
    }  # fmt: skip
