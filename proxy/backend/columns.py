"""The column definitions of Tables, with the descriptions that an apiserver gives."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.backend import resources


class Column(Struct, frozen=True):
    """One column, in Go's field order."""

    name: str
    type: str
    format: str
    description: str
    priority: int


NAME_TEXT: Final = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
AGE_TEXT: Final = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
RESTARTS_TEXT: Final = (
    "The number of times the containers in this pod have been restarted and when the last container in this pod has "
    "restarted."
)
IP_TEXT: Final = "podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated."
NODE_TEXT: Final = (
    "NodeName indicates in which node this pod is scheduled. If empty, this pod is a candidate for scheduling by "
    "the scheduler defined in schedulerName. Once this field is set, the kubelet for this node becomes "
    "responsible for the lifecycle of this pod. This field should not be used to express a desire for the pod to "
    "be scheduled on a specific node. https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-"
    "node/#nodename"
)
NOMINATED_TEXT: Final = (
    "nominatedNodeName is set only when this pod preempts other pods on the node, but it cannot be scheduled "
    "right away as preemption victims receive their graceful termination periods. This field does not guarantee "
    "that the pod will be scheduled on this node. Scheduler may decide to place the pod elsewhere if other nodes "
    "become available sooner. Scheduler may also decide to give the resources on this node to a higher priority "
    "pod that is created after preemption. As a result, this field may be different than PodSpec.nodeName when "
    "the pod is scheduled."
)
GATES_TEXT: Final = (
    "If specified, all readiness gates will be evaluated for pod readiness. A pod is ready when all its containers are "
    'ready AND all conditions specified in the readiness gates have status equal to "True" More info: '
    "https://git.k8s.io/enhancements/keps/sig-network/580-pod-readiness-gates"
)

NAME: Final = Column("Name", "string", "name", NAME_TEXT, 0)
AGE: Final = Column("Age", "string", "", AGE_TEXT, 0)


def text(name: str, description: str, priority: int = 0) -> Column:
    """Return a column of strings."""
    return Column(name, "string", "", description, priority)


def number(name: str, description: str) -> Column:
    """Return a column of integers."""
    return Column(name, "integer", "", description, 0)


WORKLOAD: Final = (
    text("Containers", "The names of the containers", 1),
    text("Images", "The images of the containers", 1),
    text("Selector", "The labels of its pods", 1),
)
COLUMNS: Final[dict[resources.Resource, tuple[Column, ...]]] = {
    resources.PODS: (
        NAME,
        text("Ready", "The aggregate readiness state of this pod for accepting traffic."),
        text("Status", "The aggregate status of the containers in this pod."),
        text("Restarts", RESTARTS_TEXT),
        AGE,
        text("IP", IP_TEXT, 1),
        text("Node", NODE_TEXT, 1),
        text("Nominated Node", NOMINATED_TEXT, 1),
        text("Readiness Gates", GATES_TEXT, 1),
    ),
    resources.SECRETS: (
        NAME,
        text("Type", "Used to facilitate programmatic handling of secret data."),
        number("Data", "Data contains the secret data."),
        AGE,
    ),
    resources.CONFIG_MAPS: (NAME, number("Data", "Data contains the configuration data."), AGE),
    resources.NAMESPACES: (NAME, text("Status", "The status of the namespace"), AGE),
    resources.NODES: (
        NAME,
        text("Status", "The status of the node"),
        text("Roles", "The roles of the node"),
        AGE,
        text("Version", "Kubelet Version reported by the node."),
        text("Internal-IP", "List of addresses reachable to the node.", 1),
        text("External-IP", "List of addresses reachable to the node.", 1),
        text("OS-Image", "OS Image reported by the node from /etc/os-release.", 1),
        text("Kernel-Version", "Kernel Version reported by the node from 'uname -r'.", 1),
        text("Container-Runtime", "ContainerRuntime Version reported by the node.", 1),
    ),
    resources.DEPLOYMENTS: (
        NAME,
        text("Ready", "Number of the pod with ready state"),
        number("Up-to-date", "Pods of the current template"),
        number("Available", "Pods that have been ready for at least minReadySeconds"),
        AGE,
        *WORKLOAD,
    ),
    resources.REPLICA_SETS: (
        NAME,
        number("Desired", "How many pods there should be"),
        number("Current", "How many pods there are"),
        number("Ready", "How many pods are ready"),
        AGE,
        *WORKLOAD,
    ),
    resources.SERVICES: (
        NAME,
        text("Type", "How the Service is exposed"),
        text("Cluster-IP", "Its address inside of the cluster"),
        text("External-IP", "Its addresses outside of the cluster"),
        text("Port(s)", "The ports that it exposes"),
        AGE,
        text("Selector", "The labels of the pods behind it", 1),
    ),
    resources.SERVICE_ACCOUNTS: (NAME, number("Secrets", "How many Secrets it may use"), AGE),
    resources.EVENTS: (
        text("Last Seen", "When the Event was last observed"),
        text("Type", "Normal or Warning"),
        text("Reason", "Why the object has changed its state"),
        text("Object", "The object that the Event is about"),
        text("Subobject", "The part of that object", 1),
        text("Source", "Who reports it", 1),
        text("Message", "What has happened"),
        text("First Seen", "When the Event was first observed", 1),
        Column("Count", "string", "", "How often it was observed", 1),
        Column("Name", "string", "name", NAME_TEXT, 1),
    ),
    resources.WIDGETS: (NAME, number("Size", "Custom resource definition column (in JSONPath format): .spec.n")),
}
DEFAULT_COLUMNS: Final = (NAME, text("Created At", AGE_TEXT))


def columns(resource: resources.Resource) -> tuple[Column, ...]:
    """Return the columns of a resource; those without a printer have the two of the default convertor."""
    return COLUMNS.get(resource, DEFAULT_COLUMNS)
