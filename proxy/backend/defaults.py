"""What an apiserver fills in: the defaults of fields, and what an object of some kinds begins with."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import cast

from proxy.backend import resources
from proxy.backend.kinds.canonical import Json, members
from proxy.backend.resources import Resource

# k8s.io/kubernetes/pkg/apis/core/v1/defaults.go and pkg/apis/apps/v1/defaults.go.
POD: Json = {
    "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "securityContext": {},
    "schedulerName": "default-scheduler",
}  # fmt: skip
CONTAINER: Json = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
DEPLOYMENT: Json = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
SERVICE: Json = {"sessionAffinity": "None", "type": "ClusterIP", "internalTrafficPolicy": "Cluster"}
PROBE: Json = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
FILE_MODE = 0o644
NODE_PORTS = range(30000, 32768)


def fill(document: Json, key: str, values: Json) -> Json:
    """Return one member of an object, completed with what it lacks; it stays part of the object."""
    held = cast("Json", document.setdefault(key, {}))
    complete(held, values)
    return held


def complete(held: Json, values: Json) -> None:
    """Add what is missing or null."""
    for name, value in values.items():
        if held.get(name) is None:
            held[name] = dict(value) if isinstance(value, dict) else value


def items(held: Json, key: str) -> list[Json]:
    """Return the objects in a list."""
    found = held.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def apply(resource: Resource, document: Json) -> None:
    """Complete an object in place."""
    if (complete_one := DEFAULTS.get(resource)) is not None:
        complete_one(document)


def pod(document: Json) -> None:
    """Complete a pod."""
    complete(pod_spec(document), {"enableServiceLinks": True})


def pod_spec(document: Json) -> Json:
    """Complete the spec of a pod, or of a template for pods."""
    spec = fill(document, "spec", POD)
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        complete(spec, {"serviceAccountName": account, "serviceAccount": account})
    for key in ("initContainers", "containers"):
        for one in items(spec, key):
            container(one)
    for volume in items(spec, "volumes"):
        if volume.keys() == {"name"}:
            volume["emptyDir"] = {}
        for source in ("secret", "configMap", "downwardAPI", "projected"):
            if isinstance(volume.get(source), dict):
                fill(volume, source, {"defaultMode": FILE_MODE})
    return spec


def container(one: Json) -> None:
    """Complete a container."""
    image = str(one.get("image") or "")
    tag = image.rpartition("/")[2].partition(":")[2]
    latest = "@" not in image and tag in {"", "latest"}
    complete(one, CONTAINER | {"resources": {}, "imagePullPolicy": "Always" if latest else "IfNotPresent"})
    for port in items(one, "ports"):
        complete(port, {"protocol": "TCP"})
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(one.get(name), dict):
            probe(fill(one, name, PROBE))
    for variable in items(one, "env"):
        source = members(variable.get("valueFrom"))
        if isinstance(source.get("fieldRef"), dict):
            fill(source, "fieldRef", {"apiVersion": "v1"})


def probe(one: Json) -> None:
    """Complete a probe."""
    if isinstance(one.get("httpGet"), dict):
        fill(one, "httpGet", {"path": "/", "scheme": "HTTP"})


def deployment(document: Json) -> None:
    """Complete a Deployment."""
    spec = fill(document, "spec", DEPLOYMENT)
    pod_spec(fill(spec, "template", {"metadata": {}}))
    strategy = fill(spec, "strategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        fill(strategy, "rollingUpdate", {"maxUnavailable": "25%", "maxSurge": "25%"})


def replica_set(document: Json) -> None:
    """Complete a ReplicaSet."""
    spec = fill(document, "spec", {"replicas": 1})
    pod_spec(fill(spec, "template", {"metadata": {}}))


def service(document: Json) -> None:
    """Complete a Service; addresses and ports are drawn from its name, as there is no other allocator."""
    spec = fill(document, "spec", SERVICE)
    seed = sum(document_name(document).encode()) * 2654435761
    kind = spec["type"]
    for number, port in enumerate(items(spec, "ports")):
        complete(port, {"protocol": "TCP"})
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
        if kind in {"NodePort", "LoadBalancer"} and not port.get("nodePort"):
            port["nodePort"] = NODE_PORTS[(seed + number) % len(NODE_PORTS)]
    if kind == "ExternalName":
        return
    complete(spec, {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
    if not spec.get("clusterIP"):
        spec["clusterIP"] = f"10.96.{seed >> 8 & 255}.{seed & 255 or 1}"
    complete(spec, {"clusterIPs": [spec["clusterIP"]]})
    if kind in {"NodePort", "LoadBalancer"}:
        complete(spec, {"externalTrafficPolicy": "Cluster"})
    if kind == "LoadBalancer":
        complete(spec, {"allocateLoadBalancerNodePorts": True})


def document_name(document: Json) -> str:
    """Return an object's namespace and name."""
    meta = members(document.get("metadata"))
    return f"{meta.get('namespace')}/{meta.get('name')}"


def secret(document: Json) -> None:
    """Move stringData into data, and give a Secret its type."""
    plain = members(document.pop("stringData", None))
    if plain:
        data = fill(document, "data", {})
        data |= {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
    complete(document, {"type": "Opaque"})


DEFAULTS: dict[Resource, Callable[[Json], None]] = {
    resources.PODS: pod,
    resources.DEPLOYMENTS: deployment,
    resources.REPLICA_SETS: replica_set,
    resources.SERVICES: service,
    resources.SECRETS: secret,
}
# What a new object of a kind has, whatever its client has sent.
NEW_STATUS: dict[Resource, Json] = {
    resources.PODS: {"phase": "Pending", "qosClass": "BestEffort"},
    resources.NAMESPACES: {"phase": "Active"},
    resources.DEPLOYMENTS: {},
    resources.REPLICA_SETS: {"replicas": 0},
    resources.SERVICES: {"loadBalancer": {}},
}


def begin(resource: Resource, document: Json) -> None:
    """Give a new object what only a server may give it."""
    if resource in NEW_STATUS:
        document["status"] = dict(NEW_STATUS[resource])
    if resource is resources.NAMESPACES:
        document["spec"] = {"finalizers": ["kubernetes"]}
        meta = cast("Json", document["metadata"])
        meta["labels"] = members(meta.get("labels")) | {"kubernetes.io/metadata.name": meta["name"]}
