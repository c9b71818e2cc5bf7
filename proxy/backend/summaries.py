"""The cells of resources that are only ever written, not generated: they are few, so they are read as a whole."""

from __future__ import annotations

from collections.abc import Callable

from proxy.backend import manifest, resources
from proxy.backend.ages import UNKNOWN, age
from proxy.backend.defaults import items
from proxy.backend.kinds.canonical import Json, members
from proxy.backend.resources import Resource

Cell = str | int | None
NONE = "<none>"


def whole(document: Json, *path: str) -> int:
    """Return a number, zero where there is none."""
    value: object = document
    for name in path:
        value = members(value).get(name)
    return value if isinstance(value, int) else 0


def name_and_age(document: Json, now: float) -> tuple[str, str]:
    """Return what every row has."""
    meta = members(document.get("metadata"))
    return manifest.text(meta, "name"), age(manifest.text(meta, "creationTimestamp"), now)


def wide(document: Json) -> list[Cell]:
    """Return the containers, images and selector of a workload."""
    spec = members(document.get("spec"))
    containers = items(members(members(spec.get("template")).get("spec")), "containers")
    selector = members(members(spec.get("selector")).get("matchLabels"))
    return [
        ",".join(manifest.text(one, "name") for one in containers),
        ",".join(manifest.text(one, "image") for one in containers),
        selector_text(selector) or NONE,
    ]


def selector_text(selector: Json) -> str:
    """Print equalities."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))


def deployment(item: bytes, now: float) -> list[Cell]:
    """Return the row of a Deployment."""
    document = manifest.stored(item)
    name, old = name_and_age(document, now)
    ready = f"{whole(document, 'status', 'readyReplicas')}/{whole(document, 'spec', 'replicas')}"
    counts = (whole(document, "status", key) for key in ("updatedReplicas", "availableReplicas"))
    return [name, ready, *counts, old, *wide(document)]


def replica_set(item: bytes, now: float) -> list[Cell]:
    """Return the row of a ReplicaSet."""
    document = manifest.stored(item)
    name, old = name_and_age(document, now)
    desired = whole(document, "spec", "replicas")
    counts = (whole(document, "status", key) for key in ("replicas", "readyReplicas"))
    return [name, desired, *counts, old, *wide(document)]


def service(item: bytes, now: float) -> list[Cell]:
    """Return the row of a Service."""
    document = manifest.stored(item)
    name, old = name_and_age(document, now)
    spec = members(document.get("spec"))
    ports = ",".join(map(port_text, items(spec, "ports"))) or NONE
    kind, address = manifest.text(spec, "type"), manifest.text(spec, "clusterIP")
    return [
        name,
        kind,
        address or NONE,
        external(document, kind),
        ports,
        old,
        selector_text(members(spec.get("selector"))) or NONE,
    ]


def external(document: Json, kind: str) -> str:
    """Return where a Service is reached from outside."""
    spec = members(document.get("spec"))
    if kind == "ExternalName":
        return manifest.text(spec, "externalName")
    addresses = spec.get("externalIPs")
    if isinstance(addresses, list) and addresses:
        return ",".join(map(str, addresses))
    ingress = items(members(members(document.get("status")).get("loadBalancer")), "ingress")
    found = ",".join(manifest.text(one, "ip") or manifest.text(one, "hostname") for one in ingress)
    return found or ("<pending>" if kind == "LoadBalancer" else NONE)


def port_text(port: Json) -> str:
    """Print a port: `80/TCP`, or `80:30080/TCP` where nodes have one for it."""
    number = f"{port.get('port')}:{port['nodePort']}" if port.get("nodePort") else str(port.get("port"))
    return f"{number}/{port.get('protocol', 'TCP')}"


def service_account(item: bytes, now: float) -> list[Cell]:
    """Return the row of a ServiceAccount."""
    document = manifest.stored(item)
    name, old = name_and_age(document, now)
    return [name, len(items(document, "secrets")), old]


def event(item: bytes, now: float) -> list[Cell]:
    """Return the row of an Event."""
    document = manifest.stored(item)
    involved, series = members(document.get("involvedObject")), members(document.get("series"))
    first = manifest.text(document, "firstTimestamp") or manifest.text(document, "eventTime")
    last = manifest.text(series, "lastObservedTime") or manifest.text(document, "lastTimestamp") or first
    source = members(document.get("source"))
    parts = (manifest.text(source, key) for key in ("component", "host"))
    reporter = ", ".join(filter(None, parts)) or manifest.text(document, "reportingComponent")
    what = f"{manifest.text(involved, 'kind').lower()}/{manifest.text(involved, 'name')}"
    seen, begun = (age(moment, now) if moment else UNKNOWN for moment in (last, first))
    return [
        seen, manifest.text(document, "type"), manifest.text(document, "reason"), what,
        manifest.text(involved, "fieldPath"), reporter, manifest.text(document, "message").strip(), begun,
        whole(series, "count") or whole(document, "count") or 1, name_and_age(document, now)[0],
    ]  # fmt: skip


PRINTERS: dict[Resource, Callable[[bytes, float], list[Cell]]] = {
    resources.DEPLOYMENTS: deployment,
    resources.REPLICA_SETS: replica_set,
    resources.SERVICES: service,
    resources.SERVICE_ACCOUNTS: service_account,
    resources.EVENTS: event,
}
