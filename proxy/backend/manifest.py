"""From what a client sends to what is stored: keys in Go's order, defaults, identity."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import msgspec
from msgspec import Raw, Struct

from proxy.backend import gojson, resources
from proxy.backend.metadata import ObjectMeta
from proxy.backend.objects import Generated, StoredObject, Written
from proxy.backend.resources import Resource
from proxy.backend.status import bad_request

Fields = dict[str, Raw]
Json = dict[str, object]

# Go prints struct fields in the order of their declaration; what isn't listed follows, sorted.
TOP_ORDER = ("metadata", "immutable", "spec", "data", "binaryData", "status", "type", "secrets", "imagePullSecrets")
POD_ORDER = (
    "volumes", "initContainers", "containers", "ephemeralContainers", "restartPolicy", "terminationGracePeriodSeconds",
    "activeDeadlineSeconds", "dnsPolicy", "nodeSelector", "serviceAccountName", "serviceAccount",
    "automountServiceAccountToken", "nodeName", "hostNetwork", "hostPID", "hostIPC", "securityContext",
    "imagePullSecrets", "hostname", "subdomain", "affinity", "schedulerName", "tolerations", "hostAliases",
    "priorityClassName", "priority", "enableServiceLinks", "preemptionPolicy",
)  # fmt: skip
CONTAINER_ORDER = (
    "name", "image", "command", "args", "workingDir", "ports", "envFrom", "env", "resources", "volumeMounts",
    "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "terminationMessagePath",
    "terminationMessagePolicy", "imagePullPolicy", "securityContext",
)  # fmt: skip
POD_DEFAULTS: Json = {
    "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "securityContext": {},
    "schedulerName": "default-scheduler", "enableServiceLinks": True,
}  # fmt: skip
CONTAINER_DEFAULTS: Json = {
    "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
}  # fmt: skip
NEW_STATUS = {
    resources.PODS: Raw(b'{"phase":"Pending","qosClass":"BestEffort"}'),
    resources.NAMESPACES: Raw(b'{"phase":"Active"}'),
}


class Manifest(Struct):
    """An object taken apart: its metadata, and the other top-level keys."""

    metadata: ObjectMeta
    fields: Fields


def parse(resource: Resource, body: bytes) -> Manifest:
    """Read a client's object."""
    try:
        fields = gojson.decode(gojson.normalise(body), dict[str, Raw])
        given = gojson.decode(fields.pop("metadata", Raw(b"{}")), dict[str, Raw])
        # Go reads null as nothing, and typed clients do send `"creationTimestamp":null`.
        metadata = gojson.decode(
            joined({key: value for key, value in given.items() if bytes(value) != b"null"}), ObjectMeta
        )
        kind = gojson.decode(fields.get("kind", Raw(b'""')), str)
        api_version = gojson.decode(fields.get("apiVersion", Raw(b'""')), str)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): {error}") from None
    if kind not in {"", resource.kind} or api_version not in {"", resource.api_version}:
        text = f'{kind} in version "{api_version}" cannot be handled as a {resource.kind}: converting is not possible'
        raise bad_request(text)
    return Manifest(metadata, fields)


def take_apart(resource: Resource, item: bytes) -> Manifest:
    """Read a stored object."""
    fields = gojson.decode(item, dict[str, Raw])
    metadata = gojson.decode(fields.pop("metadata"), ObjectMeta)
    if resource.custom:
        fields.pop("kind", None)
        fields.pop("apiVersion", None)
    return Manifest(metadata, fields)


def assemble(resource: Resource, manifest: Manifest) -> bytes:
    """Print an object as a list item."""
    metadata = gojson.encode(manifest.metadata)
    fields = {key: value for key, value in manifest.fields.items() if key not in {"kind", "apiVersion"}}
    if resource.custom:
        identity = {"apiVersion": resource.api_version, "kind": resource.kind}
        encoded = {key: Raw(gojson.encode(text)) for key, text in identity.items()}
        return gojson.encode(encoded | fields | {"metadata": Raw(gojson.normalise(metadata))})
    return joined(ordered(fields | {"metadata": Raw(metadata)}, TOP_ORDER))


def joined(fields: Fields) -> bytes:
    """Print keys in the order that they stand in."""
    return b"{%b}" % b",".join(gojson.encode(key) + b":" + bytes(value) for key, value in fields.items())


def ordered(fields: Fields, order: tuple[str, ...]) -> Fields:
    """Put keys into an order; unknown ones follow, sorted."""
    rank = {key: number for number, key in enumerate(order)}
    return dict(sorted(fields.items(), key=lambda pair: (rank.get(pair[0], len(rank)), pair[0])))


def complete(resource: Resource, manifest: Manifest) -> None:
    """Fill in what an apiserver fills in for a new object."""
    if resource in NEW_STATUS:
        manifest.fields["status"] = NEW_STATUS[resource]
    if resource is resources.NAMESPACES:
        manifest.fields["spec"] = Raw(b'{"finalizers":["kubernetes"]}')
        manifest.metadata.labels = manifest.metadata.labels | {"kubernetes.io/metadata.name": manifest.metadata.name}


def prepare(resource: Resource, manifest: Manifest) -> None:
    """Bring the body of a written object into the stored form."""
    if resource is resources.PODS:
        manifest.fields["spec"] = pod_spec(manifest.fields.get("spec", Raw(b"{}")))
    if resource is resources.SECRETS:
        manifest.fields = secret_fields(manifest.fields)


def pod_spec(spec: Raw) -> Raw:
    """Print a pod's spec with its defaults, in Go's order."""
    fields = with_defaults(gojson.decode(spec, dict[str, Raw]), POD_DEFAULTS)
    for key in ("initContainers", "containers"):
        if bytes(fields.get(key, b"null")) != b"null":
            containers = gojson.decode(fields[key], list[dict[str, Raw]])
            parts = [joined(ordered(with_defaults(one, CONTAINER_DEFAULTS), CONTAINER_ORDER)) for one in containers]
            fields[key] = Raw(b"[" + b",".join(parts) + b"]")
    return Raw(joined(ordered(fields, POD_ORDER)))


def with_defaults(fields: Fields, defaults: Json) -> Fields:
    """Add what is missing."""
    return {key: Raw(gojson.encode(value)) for key, value in defaults.items()} | fields


def secret_fields(fields: Fields) -> Fields:
    """Move stringData into data, and give a Secret its type."""
    fields = {"type": Raw(b'"Opaque"')} | fields
    if "stringData" in fields:
        plain = gojson.decode(fields.pop("stringData"), dict[str, str])
        data = gojson.decode(fields.get("data", Raw(b"{}")), dict[str, str])
        data |= {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        fields["data"] = Raw(gojson.encode(data))
    return fields


def stamp(resource: Resource, key: str, manifest: Manifest, version: int) -> Written:
    """Give a manifest its resourceVersion and make it an object."""
    manifest.metadata.resourceVersion = str(version)
    return Written(key, version, manifest.metadata.labels, assemble(resource, manifest))


def restamp(resource: Resource, value: StoredObject, version: int) -> StoredObject:
    """Return an object as it was, at the resourceVersion of its deletion."""
    if isinstance(value, Generated):
        return Generated(value.population, value.index, version)
    return stamp(resource, value.key, take_apart(resource, value.data), version)


def timestamp(now: float) -> str:
    """Print a time as metav1.Time does."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
