"""Pods as those see them who run in them: containers, ports, and whether they run."""

from __future__ import annotations

from msgspec import Struct

from proxy.backend import gojson, resources, status
from proxy.backend.status import PlainError
from proxy.backend.store import Store


class Port(Struct, frozen=True):
    """A port that a container declares."""

    containerPort: int  # noqa: N815 (the wire's own name)
    name: str = ""


class Container(Struct, frozen=True):
    """A container."""

    name: str
    ports: list[Port] | None = None


class Spec(Struct, frozen=True):
    """A pod's spec."""

    containers: list[Container]


class Waiting(Struct, frozen=True):
    """Why a container doesn't run."""

    reason: str = ""


class State(Struct, frozen=True):
    """What a container does."""

    waiting: Waiting | None = None


class ContainerStatus(Struct, frozen=True):
    """What a container does, by name."""

    name: str
    state: State = State()


class PodStatus(Struct, frozen=True):
    """A pod's status."""

    phase: str = ""
    podIP: str = ""  # noqa: N815
    containerStatuses: list[ContainerStatus] | None = None  # noqa: N815


class Metadata(Struct, frozen=True):
    """Who a pod is."""

    name: str
    namespace: str = ""
    uid: str = ""


class Pod(Struct, frozen=True):
    """A pod."""

    metadata: Metadata
    spec: Spec
    status: PodStatus = PodStatus()

    def container(self, name: str) -> str:
        """Return the container that a request means; one without a name means the only one."""
        names = [container.name for container in self.spec.containers]
        if name and name not in names:
            raise status.bad_request(f"container {name} is not valid for pod {self.metadata.name}")
        if not name and len(names) != 1:
            choices = " ".join(names)
            text = f"a container name must be specified for pod {self.metadata.name}, choose one of: [{choices}]"
            raise status.bad_request(text)
        return name or names[0]

    def waiting(self, container: str) -> str:
        """Return why a container doesn't run yet, nothing if it does."""
        for found in self.status.containerStatuses or []:
            if found.name == container and found.state.waiting:
                return found.state.waiting.reason
        return ""

    def check_running(self, container: str) -> None:
        """Refuse a container in which nothing can be done, with a kubelet's text."""
        if self.waiting(container):
            raise PlainError(500, f'container not found ("{container}")')

    @property
    def ports(self) -> dict[str, int]:
        """The declared ports by name and by number."""
        declared = [port for container in self.spec.containers for port in container.ports or []]
        return {key: port.containerPort for port in declared for key in (port.name, str(port.containerPort)) if key}


def find(store: Store, namespace: str, name: str) -> Pod:
    """Return a pod, or fail as a get does."""
    found = store.collections[resources.PODS].get(f"{namespace}/{name}")
    if found is None:
        raise status.not_found(resources.PODS.plural, "", name)
    return gojson.decode(found.item(), Pod)
