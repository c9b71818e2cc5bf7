"""The resources that the backend serves, by group and plural name."""

from __future__ import annotations

from dataclasses import dataclass

TYPED_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
NAMESPACE_VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: how discovery describes it and how its objects are printed."""

    plural: str
    singular: str
    kind: str
    namespaced: bool = True
    group: str = ""
    version: str = "v1"
    verbs: tuple[str, ...] = TYPED_VERBS
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    storage_hash: str = ""
    cached: bool = True
    zero_value: str = ""
    # Custom resources print sorted keys, with kind and apiVersion in every item and metadata last.
    custom: bool = False
    subresources: tuple[str, ...] = ()
    # The fields that selectors may name besides metadata.name and metadata.namespace.
    selectable: tuple[str, ...] = ()

    @property
    def type_name(self) -> str:
        """Its type in the tables of ``kinds``."""
        return "CustomResource" if self.custom else self.kind

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        """The kind of its List."""
        return self.kind + "List"

    @property
    def type_meta(self) -> bytes:
        """What stands before a typed item's first key where it is printed alone."""
        return f'"kind":"{self.kind}","apiVersion":"{self.api_version}",'.encode()


# What autoscaling clients see of a resource that has replicas.
SCALES = Resource("scales", "scale", "Scale", group="autoscaling")

# zero_value: what Go prints after the metadata of an empty object, as seen in bookmarks.
PODS = Resource(
    "pods", "pod", "Pod", short_names=("po",), categories=("all",), storage_hash="xPOwRZ+Yhw8=",
    zero_value=',"spec":{"containers":null},"status":{}', subresources=("eviction", "status"),
    selectable=(
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
)  # fmt: skip
SECRETS = Resource("secrets", "secret", "Secret", storage_hash="S6u1pOWzb84=", selectable=("type",))
CONFIG_MAPS = Resource("configmaps", "configmap", "ConfigMap", short_names=("cm",), storage_hash="qFsyl6wFWjQ=")
NAMESPACES = Resource(
    "namespaces", "namespace", "Namespace", namespaced=False, verbs=NAMESPACE_VERBS, short_names=("ns",),
    storage_hash="Q3oi5N2YM8M=", zero_value=',"spec":{},"status":{}', subresources=("status",),
    selectable=("status.phase",),
)  # fmt: skip
NODES = Resource(
    "nodes", "node", "Node", namespaced=False, short_names=("no",), storage_hash="XwShjMxG9Fs=",
    subresources=("status",), selectable=("spec.unschedulable",),
    zero_value=',"spec":{},"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},"nodeInfo":{"machineID":"",'
    '"systemUUID":"","bootID":"","kernelVersion":"","osImage":"","containerRuntimeVersion":"","kubeletVersion":"",'
    '"kubeProxyVersion":"","operatingSystem":"","architecture":""}}',
)  # fmt: skip
EVENTS = Resource(
    "events", "event", "Event", short_names=("ev",), storage_hash="r2yiGXH7wu8=", cached=False,
    zero_value=',"involvedObject":{},"source":{},"firstTimestamp":null,"lastTimestamp":null,"eventTime":null,'
    '"reportingComponent":"","reportingInstance":""',
    selectable=(
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    ),
)  # fmt: skip
SERVICE_ACCOUNTS = Resource(
    "serviceaccounts", "serviceaccount", "ServiceAccount", short_names=("sa",), storage_hash="pbx9ZvyFpBE="
)
SERVICES = Resource(
    "services", "service", "Service", short_names=("svc",), categories=("all",), storage_hash="0/CO1lhkEBI=",
    zero_value=',"spec":{},"status":{"loadBalancer":{}}', subresources=("status",),
    selectable=("spec.clusterIP", "spec.type"),
)  # fmt: skip
WIDGETS = Resource(
    "widgets", "widget", "Widget", group="example.com", verbs=CUSTOM_VERBS, storage_hash="gIwvi5rymmg=", custom=True
)
WORKLOAD_ZERO = ',"spec":{"selector":null,"template":{"metadata":{},"spec":{"containers":null}}%s},"status":{%s}'
DEPLOYMENTS = Resource(
    "deployments", "deployment", "Deployment", group="apps", short_names=("deploy",), categories=("all",),
    storage_hash="8aSe+NMegvE=", zero_value=WORKLOAD_ZERO % (',"strategy":{}', ""), subresources=("scale", "status"),
)  # fmt: skip
REPLICA_SETS = Resource(
    "replicasets", "replicaset", "ReplicaSet", group="apps", short_names=("rs",), categories=("all",),
    storage_hash="P1RzHs8/mWQ=", zero_value=WORKLOAD_ZERO % ("", '"replicas":0'), subresources=("scale", "status"),
    selectable=("status.replicas",),
)  # fmt: skip

RESOURCES = (
    CONFIG_MAPS, EVENTS, NAMESPACES, NODES, PODS, SECRETS, SERVICE_ACCOUNTS, SERVICES, DEPLOYMENTS, REPLICA_SETS,
    WIDGETS,
)  # fmt: skip
CUSTOM_GROUP = "example.com"
GROUPS = tuple(dict.fromkeys(resource.group for resource in RESOURCES))
BY_NAME = {(resource.group, resource.version, resource.plural): resource for resource in RESOURCES}
