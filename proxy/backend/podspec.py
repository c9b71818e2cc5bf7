"""The documents that generated objects start from, with their keys in Go's struct order.

`@NAME@`, `@NS@`, `@UID@`, `@RV@`, `@IP@` and `@DATA@` are filled in for each object.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

Document = dict[str, object]

CREATED = "2026-01-{day:02d}T{hour:02d}:{minute:02d}:00Z"
NOTE = 'a<b & "q" \\ }]},{"metadata":\u2028'
FOREIGN_NOTE = f"é中😀 {NOTE}"
FOREIGN_EVERY = 64  # pods: text outside ASCII is rare in a cluster, and costs whoever checks UTF-8 more
DATA_LABELS: Mapping[str, str] = {"app": "data"}
ENV_BYTES = 130  # what one more variable adds to the JSON, with its managedFields entry
BARE_GROWTH = 22  # what name, namespace, UID and version of an object have more bytes than their placeholders
REASONS = ("ImagePullBackOff", "CrashLoopBackOff")


@dataclass(frozen=True, slots=True)
class PodDocument:
    """One pod variant."""

    document: Document
    labels: Mapping[str, str]


def created(number: int) -> str:
    """Return a creation time that depends on nothing but a number."""
    return CREATED.format(day=1 + number % 28, hour=number % 24, minute=number * 7 % 60)


def managed(manager: str, api_version: str, time: str, fields: Document) -> Document:
    """One managedFields entry of a typed object."""
    return {
        "manager": manager, "operation": "Update", "apiVersion": api_version, "time": time,
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    }  # fmt: skip


def build(source: random.Random, number: int, uid: str, size: int, nodes: int) -> PodDocument:
    """Build a pod whose JSON has about `size` bytes."""
    labels = {"app": f"web-{number % 10}", "pod-template-hash": f"{source.getrandbits(40):010x}"}
    variables = 0
    document = pod(number, uid, nodes, labels, variables, "")
    missing = size - len(msgspec.json.encode(document)) - 40
    if missing > 4 * ENV_BYTES:
        variables = missing * 2 // 3 // ENV_BYTES
        document = pod(number, uid, nodes, labels, variables, "")
        missing = size - len(msgspec.json.encode(document)) - 40
    if missing > 0:
        document = pod(number, uid, nodes, labels, variables, words(source, missing))
    return PodDocument(document, labels)


def words(source: random.Random, size: int) -> str:
    """Prose of an exact size in ASCII."""
    text = " ".join(f"{source.getrandbits(32):x}" for _ in range(size // 5 + 1))
    return text[:size]


def pod(number: int, uid: str, nodes: int, labels: Mapping[str, str], variables: int, filler: str) -> Document:
    """One pod document."""
    time = created(number)
    ready = number % 16 != 15
    note = NOTE if number % FOREIGN_EVERY else FOREIGN_NOTE
    annotations = {"example.com/revision": "@RV@", "note": note}
    if filler:
        annotations["text"] = filler
    metadata: Document = {
        "name": "@NAME@", "namespace": "@NS@", "uid": uid, "resourceVersion": "@RV@", "generation": 1,
        "creationTimestamp": time, "labels": labels, "annotations": annotations,
        "managedFields": [managed("kube-controller-manager", "v1", time, fields(variables))],
    }  # fmt: skip
    return {"metadata": metadata, "spec": spec(number, nodes, variables), "status": status(number, time, ready=ready)}


def fields(variables: int) -> Document:
    """Return the fieldsV1 of a pod."""
    env: Document = {".": {}}
    for number in range(variables):
        env[f'k:{{"name":"E{number}"}}'] = {".": {}, "f:name": {}, "f:value": {}}
    container: Document = {".": {}, "f:image": {}, "f:name": {}}
    if variables:
        container["f:env"] = env
    return {
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {"f:containers": {'k:{"name":"web"}': container}},
    }


def spec(number: int, nodes: int, variables: int) -> Document:
    """Return the spec of a pod."""
    mount: Document = {"name": "data", "readOnly": True, "mountPath": "/data"}
    container: Document = {"name": "web", "image": f"registry.example.com/web:1.{number % 30}"}
    if variables:
        container["env"] = [{"name": f"E{n}", "value": f"{n * number:020d}"} for n in range(variables)]
    container |= {
        "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "64Mi"}},
        "volumeMounts": [mount], "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File", "imagePullPolicy": "Always",
    }  # fmt: skip
    return {
        "volumes": [{"name": "data", "emptyDir": {}}], "containers": [container], "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": "default",
        "serviceAccount": "default", "nodeName": f"node-{number % max(nodes, 1):05d}", "securityContext": {},
        "schedulerName": "default-scheduler", "priority": 0, "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }  # fmt: skip


def status(number: int, time: str, *, ready: bool) -> Document:
    """Return the status of a pod: most are running, some wait."""
    truth = "True" if ready else "False"
    state: Document = {"running": {"startedAt": time}} if ready else {"waiting": {"reason": REASONS[number % 2]}}
    container: Document = {
        "name": "web", "state": state, "lastState": {}, "ready": ready, "restartCount": number % 5,
        "image": f"registry.example.com/web:1.{number % 30}", "imageID": "", "started": ready,
    }  # fmt: skip
    return {
        "phase": "Running" if ready else "Pending",
        "conditions": [
            {"type": kind, "status": truth, "lastProbeTime": None, "lastTransitionTime": time}
            for kind in ("Ready", "PodScheduled")
        ],
        "hostIP": "192.168.0.1", "podIP": "@IP@", "podIPs": [{"ip": "@IP@"}], "startTime": time,
        "containerStatuses": [container], "qosClass": "Burstable",
    }  # fmt: skip


def data_document(uid: str, fields_of: Document, value: Document, kind: str) -> Document:
    """Return a Secret or ConfigMap around `@DATA@`."""
    time = created(3)
    metadata: Document = {
        "name": "@NAME@", "namespace": "@NS@", "uid": uid, "resourceVersion": "@RV@", "creationTimestamp": time,
        "labels": DATA_LABELS, "managedFields": [managed("kubectl-create", "v1", time, fields_of)],
    }  # fmt: skip
    document: Document = {"metadata": metadata, "data": value}
    if kind == "Secret":
        document["type"] = "Opaque"
    return document


def bare_document(source: random.Random, uid: str, size: int) -> Document:
    """Return a ConfigMap with nothing but a text, of about `size` bytes if these are enough."""
    metadata: Document = {
        "name": "@NAME@", "namespace": "@NS@", "uid": uid, "resourceVersion": "@RV@", "creationTimestamp": created(3),
    }  # fmt: skip
    missing = size - len(msgspec.json.encode({"metadata": metadata, "data": {"text": ""}})) - BARE_GROWTH
    return {"metadata": metadata, "data": {"text": words(source, max(0, missing))}}


def namespace_document(uid: str, name: str) -> Document:
    """Return a Namespace; its name is known, because a label repeats it."""
    time = created(1)
    labels = {"kubernetes.io/metadata.name": name}
    owner = managed(
        "kubectl-create", "v1", time, {"f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}}}}
    )
    metadata: Document = {
        "name": name, "uid": uid, "resourceVersion": "@RV@", "creationTimestamp": time, "labels": labels,
        "managedFields": [owner],
    }  # fmt: skip
    return {"metadata": metadata, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


def node_document(number: int, uid: str) -> Document:
    """Return a Node."""
    time = created(number)
    labels = {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
    metadata: Document = {
        "name": "@NAME@", "uid": uid, "resourceVersion": "@RV@", "creationTimestamp": time, "labels": labels,
        "managedFields": [managed("kubelet", "v1", time, {"f:status": {"f:conditions": {".": {}}}})],
    }  # fmt: skip
    ready = {
        "type": "Ready", "status": "True", "lastHeartbeatTime": time, "lastTransitionTime": time,
        "reason": "KubeletReady", "message": "kubelet is posting ready status",
    }  # fmt: skip
    return {
        "metadata": metadata, "spec": {},
        "status": {
            "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"},
            "allocatable": {"cpu": "8", "memory": "30Gi", "pods": "110"},
            "conditions": [ready],
            "addresses": [{"type": "InternalIP", "address": "192.168.0.1"}, {"type": "Hostname", "address": "@NAME@"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}, "nodeInfo": node_info(),
        },
    }  # fmt: skip


def node_info() -> Document:
    """Return the nodeInfo of every Node."""
    return {
        "machineID": "0" * 32, "systemUUID": "", "bootID": "", "kernelVersion": "6.1.0", "osImage": "Example Linux",
        "containerRuntimeVersion": "containerd://2.0.0", "kubeletVersion": "v1.34.0", "kubeProxyVersion": "",
        "operatingSystem": "linux", "architecture": "amd64",
    }  # fmt: skip


def widget_document(number: int, uid: str) -> Document:
    """Return a custom resource: every key sorted, numbers of every kind."""
    time = created(number)
    names = ("big", "e", "empty", "f", "html", "n", "nested", "none")
    fields_v1: Document = {"f:spec": {".": {}} | {f"f:{name}": {} for name in names}}
    owner = {
        "apiVersion": "example.com/v1", "fieldsType": "FieldsV1", "fieldsV1": fields_v1, "manager": "kubectl-create",
        "operation": "Update", "time": time,
    }  # fmt: skip
    metadata: Document = {
        "creationTimestamp": time, "generation": 1, "managedFields": [owner], "name": "@NAME@", "namespace": "@NS@",
        "resourceVersion": "@RV@", "uid": uid,
    }  # fmt: skip
    body: Document = {
        "big": 12345678901234567, "e": msgspec.Raw(b"1e+30"), "empty": {}, "f": 1.5, "html": "<a&b>\u2028", "n": number,
        "nested": [{"x": [1, {"y": "}]}"}]}], "none": None,
    }  # fmt: skip
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata, "spec": body}
