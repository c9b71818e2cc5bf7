"""kr8s, in its asyncio form."""

from __future__ import annotations

import asyncio
import json
import socket

import kr8s.asyncio
from kr8s.asyncio.objects import APIObject, ConfigMap, Pod, Table, new_class

from tests.matrix.clients.cells import COMMAND, HTTP, LISTED, OBJECTS, Cell, Operations, changes, digest, kubeconfig


def described(error: Exception) -> str:
    """Return what an error says; groups are shown by what is in them."""
    if isinstance(error, ExceptionGroup):
        return " ".join(map(described, error.exceptions))
    return f"{type(error).__name__} {error}"


OPERATIONS = Operations(described)
Widget = new_class("Widget", "example.com/v1", asyncio=True, plural="widgets")


async def connect(cell: Cell) -> kr8s.asyncio.Api:
    """Return the client."""
    return await kr8s.asyncio.api(kubeconfig=kubeconfig(cell), namespace=cell.namespace)


async def found(cell: Cell, kind: type[APIObject] = ConfigMap, name: str = "settings") -> APIObject:
    """Get an object."""
    return await kind.get(name, namespace=cell.namespace, api=await connect(cell))


async def made(cell: Cell, name: str) -> ConfigMap:
    """Return one of our objects, which the server does not have yet."""
    return await ConfigMap(json.loads(json.dumps(OBJECTS[name])), namespace=cell.namespace, api=await connect(cell))


@OPERATIONS.add
async def get(cell: Cell) -> object:
    """Get an object."""
    return (await found(cell)).raw.to_dict()


@OPERATIONS.add
async def missing(cell: Cell) -> object:
    """Get an object that is not there."""
    try:
        await found(cell, name="nope")
    except kr8s.NotFoundError as error:
        return str(error)
    raise AssertionError("found")


async def listed(cell: Cell, *, limit: str) -> object:
    """List pods with another limit than the hundred that kr8s asks for."""
    api, items, token = await connect(cell), [], ""
    while True:
        params = {key: value for key, value in (("limit", limit), ("continue", token)) if value}
        async with api.call_api(version="v1", url="pods", namespace=LISTED, params=params) as response:
            page = response.json()
        items += page["items"]
        token = page["metadata"].get("continue", "")
        if not token:
            return digest(items)


@OPERATIONS.add
async def whole_list(cell: Cell) -> object:
    """List without a limit."""
    return await listed(cell, limit="")


@OPERATIONS.add
async def pages(cell: Cell) -> object:
    """List as kr8s does: a hundred at a time."""
    api = await connect(cell)
    return digest([pod.raw.to_dict() async for pod in api.get(Pod, namespace=LISTED)])


@OPERATIONS.add
async def custom(cell: Cell) -> object:
    """List custom resources of all namespaces."""
    api = await connect(cell)
    return digest([widget.raw.to_dict() async for widget in api.get(Widget, namespace=kr8s.ALL)])


@OPERATIONS.add
async def table(cell: Cell) -> object:
    """List as a Table."""
    api = await connect(cell)
    found_tables = [one async for one in api.get(Pod, namespace=LISTED, as_object=Table)]
    return [[one.raw.columnDefinitions.to_list(), digest(one.raw.rows.to_list())] for one in found_tables]


@OPERATIONS.add
async def watch(cell: Cell) -> object:
    """See an object come, change and go while watching."""
    api, seen = await connect(cell), []
    version = (await found(cell)).metadata.resourceVersion
    item = await made(cell, "created")
    await item.create()
    async for event, changed in api.watch(ConfigMap, namespace=cell.namespace, since=version):
        if changed.name != "created":
            continue
        seen.append(changes(event, changed.raw.to_dict()))
        if event == "ADDED":
            await item.patch(OBJECTS["ready_patch"])
        elif event == "MODIFIED":
            await item.delete()
        else:
            break
    return seen


@OPERATIONS.add
async def informer(cell: Cell) -> object:
    """Wait for a change."""
    item, other = await found(cell), await found(cell)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(item.wait("jsonpath='{.data.colour}'=green", timeout=20))
        group.create_task(other.patch(OBJECTS["merge_patch"]))
    return [waiting.done(), item.raw.to_dict()]


@OPERATIONS.add
async def create(cell: Cell) -> object:
    """Create an object."""
    item = await made(cell, "created")
    await item.create()
    return item.raw.to_dict()


@OPERATIONS.add
async def json_patch(cell: Cell) -> object:
    """Patch: JSON."""
    item = await found(cell)
    await item.patch(OBJECTS["json_patch"], type="json")
    return item.raw.to_dict()


@OPERATIONS.add
async def merge_patch(cell: Cell) -> object:
    """Patch: merge."""
    item = await found(cell)
    await item.patch(OBJECTS["merge_patch"])
    return item.raw.to_dict()


@OPERATIONS.add
async def delete(cell: Cell) -> object:
    """Delete an object."""
    item = await found(cell)
    await item.delete()
    return await item.exists()


@OPERATIONS.add
async def execute(cell: Cell) -> object:
    """Run a command, with output on both streams and an exit code; kr8s sends no input."""
    pod = await found(cell, Pod, "web")
    assert isinstance(pod, Pod)
    done = await pod.exec(list(COMMAND), check=False, timeout=20)
    return [done.stdout, done.stderr, done.returncode]


@OPERATIONS.add
async def logs(cell: Cell) -> object:
    """Read the last lines."""
    pod = await found(cell, Pod, "web")
    return [line async for line in pod.logs(tail_lines=3)]


@OPERATIONS.add
async def follow_logs(cell: Cell) -> object:
    """Follow the lines that come."""
    pod, numbers = await found(cell, Pod, "web"), []
    async for line in pod.logs(follow=True, tail_lines=2, timeout=20):
        numbers.append(int(line.split(" tick ")[1]))
        if len(numbers) == 5:
            break
    return [number - numbers[0] for number in numbers]


def free_port() -> int:
    """Return a port that is free; kr8s's own choice may be one that is not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@OPERATIONS.add
async def port_forward(cell: Cell) -> object:
    """Forward two ports, and use each."""
    pod, answers = await found(cell, Pod, "web"), []
    for port, sent, end in ((7, b"echo", b"echo"), (80, HTTP, b"/hello\n")):
        async with asyncio.timeout(20), pod.portforward(port, local_port=free_port()) as local:
            reader, writer = await asyncio.open_connection("127.0.0.1", local)
            writer.write(sent)
            answers.append((await reader.readuntil(end)).decode())
            writer.close()
    return answers


@OPERATIONS.add
async def can_i(cell: Cell) -> object:
    """Ask what is allowed: kr8s has objects of unknown kinds for that."""
    api, review = await connect(cell), OBJECTS["review"]
    async with api.call_api(
        "POST", version=review["apiVersion"], url="selfsubjectaccessreviews", content=json.dumps(review)
    ) as response:
        return response.json()["status"]


@OPERATIONS.add
async def resources(cell: Cell) -> object:
    """List what the server serves."""
    api = await connect(cell)
    return [await api.api_resources(), [version async for version in api.api_versions()]]


@OPERATIONS.add
async def raw(cell: Cell) -> object:
    """Get paths that are no resources'."""
    api, answers = await connect(cell), []
    for path in ("/version", "/api", "/apis"):
        async with api.call_api("GET", version="", base=path) as response:
            answers.append(response.json())
    return answers


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        OPERATIONS.serve(runner.run)
