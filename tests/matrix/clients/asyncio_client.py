"""kubernetes-asyncio."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kubernetes_asyncio import client, stream
from kubernetes_asyncio import watch as watching
from kubernetes_asyncio.dynamic import DynamicClient

from tests.matrix.clients.cells import (
    COMMAND,
    CONTAINER,
    LABELS,
    LISTED,
    MANAGER,
    OBJECTS,
    PAGE,
    Cell,
    Json,
    Operations,
    changes,
    digest,
)


def described(error: Exception) -> str:
    """Return what an error says, without the headers of its response."""
    return f"{type(error).__name__} {getattr(error, 'status', '')} {getattr(error, 'body', None) or error}"


OPERATIONS = Operations(described)


@asynccontextmanager
async def connect(cell: Cell) -> AsyncIterator[client.ApiClient]:
    """Open a client."""
    async with client.ApiClient(client.Configuration(host=cell.server)) as opened:
        yield opened


@asynccontextmanager
async def core(cell: Cell) -> AsyncIterator[client.CoreV1Api]:
    """Open the API of the core group."""
    async with connect(cell) as opened:
        yield client.CoreV1Api(opened)


@asynccontextmanager
async def sockets(cell: Cell) -> AsyncIterator[client.CoreV1Api]:
    """Open the same for what is done over WebSockets."""
    async with stream.WsApiClient(client.Configuration(host=cell.server)) as opened:
        yield client.CoreV1Api(opened)


def plain(api: client.CoreV1Api, item: object) -> Json:
    """Return an object of the client's as JSON."""
    found: Json = api.api_client.sanitize_for_serialization(item)
    return found


@OPERATIONS.add
async def get(cell: Cell) -> object:
    """Get an object."""
    async with core(cell) as api:
        return plain(api, await api.read_namespaced_config_map("settings", cell.namespace))


@OPERATIONS.add
async def missing(cell: Cell) -> object:
    """Get an object that is not there."""
    async with core(cell) as api:
        try:
            await api.read_namespaced_config_map("nope", cell.namespace)
        except client.ApiException as error:
            return [error.status, error.reason, json.loads(error.body)]
    raise AssertionError("found")


@OPERATIONS.add
async def whole_list(cell: Cell) -> object:
    """List without a limit."""
    async with core(cell) as api:
        listed = await api.list_namespaced_pod(LISTED)
        return digest(plain(api, item) for item in listed.items)


@OPERATIONS.add
async def pages(cell: Cell) -> object:
    """List page by page."""
    async with core(cell) as api:
        page = await api.list_namespaced_pod(LISTED, limit=PAGE)
        items, sizes = page.items, [len(page.items)]
        while page.metadata._continue:
            page = await api.list_namespaced_pod(LISTED, limit=PAGE, _continue=page.metadata._continue)
            items += page.items
            sizes.append(len(page.items))
        return [sizes, digest(plain(api, item) for item in items)]


@OPERATIONS.add
async def custom(cell: Cell) -> object:
    """List custom resources of all namespaces."""
    async with connect(cell) as opened:
        listed = await client.CustomObjectsApi(opened).list_cluster_custom_object("example.com", "v1", "widgets")
        return digest(listed["items"])


@OPERATIONS.add
async def watch(cell: Cell) -> object:
    """See an object come, change and go while watching."""
    seen = []
    async with core(cell) as api:
        version = (await api.list_namespaced_config_map(cell.namespace)).metadata.resource_version
        await api.create_namespaced_config_map(cell.namespace, OBJECTS["created"])
        async with watching.Watch().stream(
            api.list_namespaced_config_map, cell.namespace, resource_version=version, timeout_seconds=20
        ) as events:
            async for event in events:
                seen.append(changes(event["type"], event["raw_object"]))
                if event["type"] == "ADDED":
                    await api.patch_namespaced_config_map("created", cell.namespace, OBJECTS["ready_patch"])
                elif event["type"] == "MODIFIED":
                    await api.delete_namespaced_config_map("created", cell.namespace)
                else:
                    break
    return seen


@OPERATIONS.add
async def create(cell: Cell) -> object:
    """Create an object."""
    async with core(cell) as api:
        return plain(api, await api.create_namespaced_config_map(cell.namespace, OBJECTS["created"]))


@OPERATIONS.add
async def replace(cell: Cell) -> object:
    """Replace an object."""
    async with core(cell) as api:
        done = await api.replace_namespaced_config_map("settings", cell.namespace, OBJECTS["replacement"])
        return plain(api, done)


async def patched(cell: Cell, resource: str, name: str, body: object, form: str) -> object:
    """Patch an object with a content type of our choice."""
    async with core(cell) as api:
        call = getattr(api, f"patch_namespaced_{resource}")
        return plain(api, await call(name, cell.namespace, body, _content_type=form))


@OPERATIONS.add
async def json_patch(cell: Cell) -> object:
    """Patch: JSON."""
    return await patched(cell, "config_map", "settings", OBJECTS["json_patch"], "application/json-patch+json")


@OPERATIONS.add
async def merge_patch(cell: Cell) -> object:
    """Patch: merge."""
    return await patched(cell, "config_map", "settings", OBJECTS["merge_patch"], "application/merge-patch+json")


@OPERATIONS.add
async def strategic_patch(cell: Cell) -> object:
    """Patch: strategic."""
    return await patched(cell, "pod", "web", OBJECTS["strategic_patch"], "application/strategic-merge-patch+json")


@OPERATIONS.add
async def server_side_apply(cell: Cell) -> object:
    """Apply on the server, twice."""
    async with connect(cell) as opened:
        found = await DynamicClient(opened, cache_file=str(cell.scratch / cell.namespace))
        resource = await found.resources.get(api_version="v1", kind="ConfigMap")
        return [
            (
                await found.server_side_apply(
                    resource, body=OBJECTS[name], name="applied", namespace=cell.namespace, field_manager=MANAGER
                )
            ).to_dict()
            for name in ("applied", "applied_again")
        ]


@OPERATIONS.add
async def delete(cell: Cell) -> object:
    """Delete an object."""
    async with core(cell) as api:
        return plain(api, await api.delete_namespaced_config_map("settings", cell.namespace))


@OPERATIONS.add
async def delete_collection(cell: Cell) -> object:
    """Delete by a selector."""
    async with core(cell) as api:
        await api.delete_collection_namespaced_config_map(cell.namespace, label_selector=LABELS)
        return [item.metadata.name for item in (await api.list_namespaced_config_map(cell.namespace)).items]


@OPERATIONS.add
async def execute(cell: Cell) -> object:
    """Run a command, with output on both streams and an exit code; another one with input."""
    where: Json = {"container": CONTAINER, "stdout": True, "stderr": True, "tty": False, "_preload_content": False}
    found: dict[int, str] = {}
    async with sockets(cell) as api:
        call = api.connect_get_namespaced_pod_exec
        connection = await call("web", cell.namespace, command=list(COMMAND), stdin=False, **where)
        async with connection as opened:
            async for message in opened:
                found[message.data[0]] = found.get(message.data[0], "") + message.data[1:].decode()
        code = stream.WsApiClient.parse_error_data(found.pop(stream.ws_client.ERROR_CHANNEL))
        async with await call("web", cell.namespace, command=["cat"], stdin=True, **where) as opened:
            await opened.send_bytes(b"\0in\n")
            while not (echoed := (await opened.receive_bytes(timeout=20))[1:]):
                pass
    return [{channel: text for channel, text in found.items() if text}, code, echoed.decode()]


@OPERATIONS.add
async def attach(cell: Cell) -> object:
    """See what is typed come back between the lines of the console."""
    seen: set[str] = set()
    async with sockets(cell) as api:
        connection = await api.connect_get_namespaced_pod_attach(
            "web", cell.namespace, container=CONTAINER, stdin=True, stdout=True, stderr=True, tty=False,
            _preload_content=False,
        )  # fmt: skip
        async with connection as opened:
            await opened.send_bytes(b"\0typed\n")
            while not {"typed", "tick"} <= seen:
                text = (await opened.receive_bytes(timeout=20))[1:].decode()
                seen |= {"tick" if " tick " in line else line for line in text.splitlines()}
    return sorted(seen)


@OPERATIONS.add
async def logs(cell: Cell) -> object:
    """Read the last lines."""
    async with core(cell) as api:
        return await api.read_namespaced_pod_log("web", cell.namespace, tail_lines=3)


@OPERATIONS.add
async def follow_logs(cell: Cell) -> object:
    """Follow the lines that come."""
    numbers: list[int] = []
    async with core(cell) as api:
        followed = await api.read_namespaced_pod_log(
            "web", cell.namespace, follow=True, tail_lines=2, _preload_content=False
        )
        while len(numbers) < 5:
            line = await asyncio.wait_for(followed.content.readline(), 20)
            numbers.append(int(line.split(b" tick ")[1]))
        followed.close()
    return [number - numbers[0] for number in numbers]


@OPERATIONS.add
async def can_i(cell: Cell) -> object:
    """Ask what is allowed."""
    async with connect(cell) as opened:
        api = client.AuthorizationV1Api(opened)
        return plain(api, await api.create_self_subject_access_review(OBJECTS["review"]))["status"]


@OPERATIONS.add
async def resources(cell: Cell) -> object:
    """List what the server serves."""
    async with connect(cell) as opened:
        groups = await client.ApisApi(opened).get_api_versions()
        listed = await client.CoreV1Api(opened).get_api_resources()
        return [[one.name for one in groups.groups], [one.name for one in listed.resources]]


@OPERATIONS.add
async def raw(cell: Cell) -> object:
    """Get paths that are no resources', and a List as it comes."""
    async with connect(cell) as opened:
        answers = []
        for path in ("/version", "/api", "/apis", f"/api/v1/namespaces/{LISTED}/pods"):
            answer = await opened.request("GET", cell.server + path)
            answers.append(json.loads(answer.data))
        return [answers[:3], digest(answers[3]["items"])]


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        OPERATIONS.serve(runner.run)
