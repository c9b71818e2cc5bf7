"""The cells of Table rows, read through views that skip whatever a row doesn't show."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw, Struct

from proxy.backend import gojson, resources, summaries
from proxy.backend.ages import UNKNOWN, age
from proxy.backend.resources import Resource
from proxy.backend.summaries import NONE, Cell


class Meta(Struct, frozen=True):
    """The part of ObjectMeta that rows show."""

    name: str = ""
    creationTimestamp: str | None = None  # noqa: N815 (these are the wire's own names)
    labels: dict[str, str] = {}


class Reasoned(Struct, frozen=True):
    """A waiting or terminated container."""

    reason: str = ""


class State(Struct, frozen=True):
    """The state of a container."""

    waiting: Reasoned | None = None
    terminated: Reasoned | None = None


class ContainerStatus(Struct, frozen=True):
    """One container's status."""

    ready: bool = False
    restartCount: int = 0  # noqa: N815
    state: State = State()


class PodSpec(Struct, frozen=True):
    """The part of a pod's spec that rows show."""

    containers: list[Raw] | None = None
    nodeName: str = ""  # noqa: N815


class PodStatus(Struct, frozen=True):
    """The part of a pod's status that rows show."""

    phase: str = ""
    reason: str = ""
    podIP: str = ""  # noqa: N815
    nominatedNodeName: str = ""  # noqa: N815
    containerStatuses: list[ContainerStatus] | None = None  # noqa: N815


class Pod(Struct, frozen=True):
    """A pod."""

    metadata: Meta = Meta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class Data(Struct, frozen=True):
    """A Secret or ConfigMap."""

    metadata: Meta
    type: str = ""
    data: dict[str, Raw] | None = None


class Phase(Struct, frozen=True):
    """A phase."""

    phase: str = ""


class Namespace(Struct, frozen=True):
    """A Namespace."""

    metadata: Meta
    status: Phase = Phase()


class Condition(Struct, frozen=True):
    """A Node's condition."""

    type: str
    status: str


class Address(Struct, frozen=True):
    """A Node's address."""

    type: str
    address: str


class NodeInfo(Struct, frozen=True):
    """A Node's nodeInfo."""

    kernelVersion: str = ""  # noqa: N815
    osImage: str = ""  # noqa: N815
    containerRuntimeVersion: str = ""  # noqa: N815
    kubeletVersion: str = ""  # noqa: N815


class NodeStatus(Struct, frozen=True):
    """A Node's status."""

    conditions: list[Condition] | None = None
    addresses: list[Address] | None = None
    nodeInfo: NodeInfo = NodeInfo()  # noqa: N815


class NodeSpec(Struct, frozen=True):
    """The part of a Node's spec that rows show."""

    unschedulable: bool = False


class Node(Struct, frozen=True):
    """A Node."""

    metadata: Meta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class WidgetSpec(Struct, frozen=True):
    """A widget's spec."""

    n: int | float | str | None = None


class Widget(Struct, frozen=True):
    """A widget."""

    metadata: Meta
    spec: WidgetSpec = WidgetSpec()


class AnyObject(Struct, frozen=True):
    """Any object."""

    metadata: Meta


def pod_cells(item: bytes, now: float) -> list[Cell]:
    """Return the row of a pod."""
    pod = gojson.decode(item, Pod)
    statuses = pod.status.containerStatuses or []
    ready = sum(status.ready for status in statuses)
    restarts = sum(status.restartCount for status in statuses)
    return [
        pod.metadata.name, f"{ready}/{len(pod.spec.containers or [])}", pod_status(pod.status), str(restarts),
        age(pod.metadata.creationTimestamp, now), pod.status.podIP or NONE, pod.spec.nodeName or NONE,
        pod.status.nominatedNodeName or NONE, NONE,
    ]  # fmt: skip


def pod_status(status: PodStatus) -> str:
    """Return what a pod waits for, if anything, else its phase."""
    text = status.reason or status.phase
    for container in reversed(status.containerStatuses or []):
        state = container.state.waiting or container.state.terminated
        text = state.reason if state and state.reason else text
    return text


def secret_cells(item: bytes, now: float) -> list[Cell]:
    """Return the row of a Secret."""
    secret = gojson.decode(item, Data)
    return [secret.metadata.name, secret.type, len(secret.data or {}), age(secret.metadata.creationTimestamp, now)]


def configmap_cells(item: bytes, now: float) -> list[Cell]:
    """Return the row of a ConfigMap."""
    config = gojson.decode(item, Data)
    return [config.metadata.name, len(config.data or {}), age(config.metadata.creationTimestamp, now)]


def namespace_cells(item: bytes, now: float) -> list[Cell]:
    """Return the row of a Namespace."""
    namespace = gojson.decode(item, Namespace)
    return [namespace.metadata.name, namespace.status.phase, age(namespace.metadata.creationTimestamp, now)]


def node_cells(item: bytes, now: float) -> list[Cell]:
    """Return the row of a Node."""
    node = gojson.decode(item, Node)
    ready = any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions or [])
    internal = [address.address for address in node.status.addresses or [] if address.type == "InternalIP"]
    info = node.status.nodeInfo
    state = ("Ready" if ready else "NotReady") + (",SchedulingDisabled" if node.spec.unschedulable else "")
    return [
        node.metadata.name, state, NONE, age(node.metadata.creationTimestamp, now), info.kubeletVersion,
        internal[0] if internal else NONE, NONE, info.osImage or UNKNOWN, info.kernelVersion or UNKNOWN,
        info.containerRuntimeVersion or UNKNOWN,
    ]  # fmt: skip


def widget_cells(item: bytes, now: float) -> list[Cell]:
    """Return the row of a widget."""
    del now
    widget = gojson.decode(item, Widget)
    size = widget.spec.n
    return [widget.metadata.name, size if isinstance(size, int) else None]


def default_cells(item: bytes, now: float) -> list[Cell]:
    """Return the row of anything else."""
    del now
    metadata = gojson.decode(item, AnyObject).metadata
    return [metadata.name, metadata.creationTimestamp]


PRINTERS: dict[Resource, Callable[[bytes, float], list[Cell]]] = {
    resources.PODS: pod_cells,
    resources.SECRETS: secret_cells,
    resources.CONFIG_MAPS: configmap_cells,
    resources.NAMESPACES: namespace_cells,
    resources.NODES: node_cells,
    resources.WIDGETS: widget_cells,
    **summaries.PRINTERS,
}


def cells(resource: Resource, item: bytes, now: float) -> list[Cell]:
    """Return the cells of one object."""
    return PRINTERS.get(resource, default_cells)(item, now)
