"""lightkube."""

from __future__ import annotations

from lightkube import ApiError, Client, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.types import PatchType

from tests.matrix.clients.cells import (
    COMMAND,
    CONTAINER,
    LISTED,
    MANAGER,
    OBJECTS,
    PAGE,
    Cell,
    Json,
    Operations,
    changes,
    digest,
    kubeconfig,
)


def described(error: Exception) -> str:
    """Return what an error says."""
    return f"{type(error).__name__} {error}"


OPERATIONS = Operations(described)
Widget = create_namespaced_resource("example.com", "v1", "Widget", "widgets")


def connect(cell: Cell) -> Client:
    """Return a client."""
    return Client(config=KubeConfig.from_dict(kubeconfig(cell)), namespace=cell.namespace, field_manager=MANAGER)


def made(name: str) -> ConfigMap:
    """Return one of our objects."""
    return ConfigMap.from_dict(OBJECTS[name])


@OPERATIONS.add
def get(cell: Cell) -> object:
    """Get an object."""
    return connect(cell).get(ConfigMap, "settings").to_dict()


@OPERATIONS.add
def missing(cell: Cell) -> object:
    """Get an object that is not there."""
    try:
        connect(cell).get(ConfigMap, "nope")
    except ApiError as error:
        return error.status.to_dict()
    raise AssertionError("found")


@OPERATIONS.add
def whole_list(cell: Cell) -> object:
    """List without a limit."""
    return digest(pod.to_dict() for pod in connect(cell).list(Pod, namespace=LISTED))


@OPERATIONS.add
def pages(cell: Cell) -> object:
    """List page by page."""
    return digest(pod.to_dict() for pod in connect(cell).list(Pod, namespace=LISTED, chunk_size=PAGE))


@OPERATIONS.add
def custom(cell: Cell) -> object:
    """List custom resources of all namespaces."""
    return digest(widget.to_dict() for widget in connect(cell).list(Widget, namespace="*"))


@OPERATIONS.add
def watch(cell: Cell) -> object:
    """See an object come, change and go while watching."""
    api, seen = connect(cell), []
    listed = api.list(ConfigMap)
    list(listed)
    api.create(made("created"))
    for event, item in api.watch(ConfigMap, resource_version=listed.resourceVersion, server_timeout=20):
        seen.append(changes(event, item.to_dict()))
        if event == "ADDED":
            api.patch(ConfigMap, "created", OBJECTS["ready_patch"], patch_type=PatchType.MERGE)
        elif event == "MODIFIED":
            api.delete(ConfigMap, "created")
        else:
            break
    return seen


@OPERATIONS.add
def informer(cell: Cell) -> object:
    """Wait for a condition."""
    return connect(cell).wait(Pod, "web", for_conditions=["Ready"]).to_dict()


@OPERATIONS.add
def create(cell: Cell) -> object:
    """Create an object."""
    return connect(cell).create(made("created")).to_dict()


@OPERATIONS.add
def replace(cell: Cell) -> object:
    """Replace an object."""
    return connect(cell).replace(made("replacement")).to_dict()


def patched(cell: Cell, kind: type, name: str, body: object, form: PatchType) -> Json:
    """Patch an object."""
    found: Json = connect(cell).patch(kind, name, body, patch_type=form).to_dict()
    return found


@OPERATIONS.add
def json_patch(cell: Cell) -> object:
    """Patch: JSON."""
    return patched(cell, ConfigMap, "settings", OBJECTS["json_patch"], PatchType.JSON)


@OPERATIONS.add
def merge_patch(cell: Cell) -> object:
    """Patch: merge."""
    return patched(cell, ConfigMap, "settings", OBJECTS["merge_patch"], PatchType.MERGE)


@OPERATIONS.add
def strategic_patch(cell: Cell) -> object:
    """Patch: strategic."""
    return patched(cell, Pod, "web", OBJECTS["strategic_patch"], PatchType.STRATEGIC)


@OPERATIONS.add
def server_side_apply(cell: Cell) -> object:
    """Apply on the server, twice."""
    return [connect(cell).apply(made(name)).to_dict() for name in ("applied", "applied_again")]


@OPERATIONS.add
def delete(cell: Cell) -> object:
    """Delete an object."""
    api = connect(cell)
    api.delete(ConfigMap, "settings")
    return [item.metadata.name for item in api.list(ConfigMap)]


@OPERATIONS.add
def delete_collection(cell: Cell) -> object:
    """Delete all of a namespace; lightkube's deletecollection takes no selector."""
    api = connect(cell)
    api.deletecollection(ConfigMap)
    return [item.metadata.name for item in api.list(ConfigMap)]


@OPERATIONS.add
def execute(cell: Cell) -> object:
    """Run a command, with output on both streams and an exit code; another one with input."""
    api = connect(cell)
    done = api.exec("web", container=CONTAINER, command=COMMAND, stdout=True, stderr=True, timeout=20)
    cat = api.exec("web", container=CONTAINER, command="cat", stdin="in\n", stdout=True, timeout=20)
    return [list(done), list(cat)]


@OPERATIONS.add
def logs(cell: Cell) -> object:
    """Read the last lines."""
    return list(connect(cell).log("web", tail_lines=3))


@OPERATIONS.add
def follow_logs(cell: Cell) -> object:
    """Follow the lines that come."""
    followed = connect(cell).log("web", follow=True, tail_lines=2)
    numbers = [int(next(followed).split(" tick ")[1]) for _ in range(5)]
    return [number - numbers[0] for number in numbers]


@OPERATIONS.add
def can_i(cell: Cell) -> object:
    """Ask what is allowed."""
    attributes = ResourceAttributes(verb="list", resource="pods")
    review = SelfSubjectAccessReview(
        metadata=ObjectMeta(), spec=SelfSubjectAccessReviewSpec(resourceAttributes=attributes)
    )
    return connect(cell).create(review).status.to_dict()


if __name__ == "__main__":
    OPERATIONS.serve()
