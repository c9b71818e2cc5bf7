"""Watches see what happens, in order, and say where they are."""

from __future__ import annotations

import json
from typing import TypedDict

import pytest
from aiohttp import ClientResponse

from proxy.backend.churn import Churn
from proxy.backend.objects import Sizes
from proxy.backend.verbs import Behaviour

from .cluster import Client, Options, client_of, generated_backend

PODS = "/api/v1/namespaces/a/pods"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
POD = {"metadata": {"name": "made", "labels": {"app": "new"}}, "spec": {"containers": []}}
PLAIN = {"Accept-Encoding": "identity"}
MERGE = {"Content-Type": "application/merge-patch+json"}
END = {"k8s.io/initial-events-end": "true"}


class Meta(TypedDict, total=False):
    """An object's metadata."""

    name: str
    resourceVersion: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Watched(TypedDict, total=False):
    """An object in an event."""

    kind: str
    metadata: Meta
    rows: list[dict[str, Watched]]
    columnDefinitions: list[object] | None
    code: int
    message: str


class Event(TypedDict):
    """One line of a watch."""

    type: str
    object: Watched


async def next_event(response: ClientResponse) -> Event:
    """Read one line."""
    event: Event = json.loads(await response.content.readline())
    return event


async def label(client: Client, labels: dict[str, str | None]) -> None:
    """Change the labels of the pod."""
    body = json.dumps({"metadata": {"labels": labels}})
    async with client.patch(f"{PODS}/made", data=body, headers=MERGE) as response:
        assert response.status == 200


async def create(client: Client) -> None:
    """Make the pod."""
    async with client.post(PODS, json=POD) as response:
        assert response.status == 201


async def version_of(client: Client) -> str:
    """Return the current resourceVersion."""
    async with client.get("/api/v1/nodes") as response:
        version: str = (await response.json())["metadata"]["resourceVersion"]
        return version


async def test_a_watch_follows_an_object_through_its_life(client: Client) -> None:
    """Added, modified, deleted, with rising resourceVersions and a kind in each object."""
    version = await version_of(client)
    async with client.get(f"{PODS}?watch=1&resourceVersion={version}") as response:
        await create(client)
        await label(client, {"x": "1"})
        await client.delete(f"{PODS}/made")
        events = [await next_event(response) for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert {event["object"]["kind"] for event in events} == {"Pod"}
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == [int(version) + number for number in (1, 2, 3)]


async def test_a_selecting_watch_sees_objects_come_and_go(client: Client) -> None:
    """What stops matching is deleted for this watch, with the labels that it had."""
    await create(client)
    version = await version_of(client)
    async with client.get(f"{PODS}?watch=1&resourceVersion={version}&labelSelector=x%3D1") as response:
        await label(client, {"y": "1"})
        await label(client, {"x": "1"})
        await label(client, {"x": "2"})
        events = [await next_event(response) for _ in range(2)]
    assert [event["type"] for event in events] == ["ADDED", "DELETED"]
    assert events[1]["object"]["metadata"]["labels"]["x"] == "1"
    assert int(events[1]["object"]["metadata"]["resourceVersion"]) == int(version) + 3


async def test_other_namespaces_and_resources_are_not_seen(client: Client) -> None:
    """A watch has the scope of its path."""
    version = await version_of(client)
    async with client.get(
        f"/api/v1/namespaces/a-b/pods?watch=1&resourceVersion={version}&timeoutSeconds=1"
    ) as response:
        await create(client)
        assert await response.read() == b""


@pytest.mark.parametrize(
    "path", ["/api/v1/watch/nodes", "/api/v1/nodes?watch", "/api/v1/nodes?watch=1&resourceVersion=0"]
)
async def test_a_watch_from_nowhere_starts_with_what_is_there(client: Client, path: str) -> None:
    """Every node is added, in order; without bookmarks no end is marked."""
    async with client.get(path) as response:
        events = [await next_event(response) for _ in range(3)]
    assert [event["object"]["metadata"]["name"] for event in events] == [f"node-{n:05d}" for n in range(3)]


async def test_the_end_of_the_initial_events_is_marked(client: Client) -> None:
    """The bookmark has the list's resourceVersion, and events go on behind it."""
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    version = await version_of(client)
    async with client.get(f"{PODS}?{query}&fieldSelector=metadata.name%3Dmade") as response:
        mark = await next_event(response)
        await create(client)
        assert (await next_event(response))["type"] == "ADDED"
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"] == {"resourceVersion": version, "annotations": END}


async def test_bookmarks_come_while_nothing_happens() -> None:
    """Only for those who allow them."""
    options = Options(behaviour=Behaviour(bookmark_interval=0.01))
    async with client_of(generated_backend(options)) as client:
        version = await version_of(client)
        async with client.get(f"{PODS}?watch=1&resourceVersion={version}&allowWatchBookmarks=true") as response:
            bookmark = await next_event(response)
    assert (bookmark["type"], bookmark["object"]["metadata"]) == ("BOOKMARK", {"resourceVersion": version})


async def test_a_watch_from_too_long_ago_ends_with_an_error(client: Client) -> None:
    """One ERROR event with 410, then a clean end."""
    async with client.get(f"{PODS}?watch=1&resourceVersion=1") as response:
        assert response.status == 200
        event = await next_event(response)
        assert await response.read() == b""
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert event["object"]["message"].startswith("too old resource version: 1 (")


async def test_initial_events_from_the_future_are_an_error(client: Client) -> None:
    """504 in an event."""
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=99999"
    async with client.get(f"{PODS}?{query}") as response:
        assert (await next_event(response))["object"]["code"] == 504


async def test_only_the_first_table_has_columns(client: Client) -> None:
    """Each event is a Table of one row."""
    async with client.get("/api/v1/nodes?watch=1", headers=TABLE) as response:
        events = [await next_event(response) for _ in range(2)]
    assert [event["object"]["kind"] for event in events] == ["Table", "Table"]
    assert [event["object"]["columnDefinitions"] is None for event in events] == [False, True]


async def test_list_and_watch_together_miss_nothing_of_a_churn() -> None:
    """What a List holds, changed by the events since, is what a later List holds."""
    backend = generated_backend(Options(sizes=Sizes(pods=300)))
    churn = Churn(backend.store, rate=1, seed=7)
    async with client_of(backend) as client:
        async with client.get("/api/v1/pods", headers=PLAIN) as response:
            first = await response.json()
        version = first["metadata"]["resourceVersion"]
        held = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in first["items"]}
        async with client.get(f"/api/v1/pods?watch=1&resourceVersion={version}") as response:
            for number in range(500):
                churn.write(float(number) / 1000)
            for _ in range(500):
                event = await next_event(response)
                metadata = event["object"]["metadata"]
                held.pop(metadata["name"], None)
                if event["type"] != "DELETED":
                    held[metadata["name"]] = metadata["resourceVersion"]
        async with client.get("/api/v1/pods", headers=PLAIN) as response:
            last = await response.json()
    assert held == {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in last["items"]}


async def test_a_watch_that_leaves_is_forgotten() -> None:
    """No listener stays behind."""
    backend = generated_backend(Options())
    async with client_of(backend) as client:
        async with client.get(f"{PODS}?watch=1&resourceVersion={backend.store.version}"):
            assert len(backend.store.listeners) == 1
        async with client.get(f"{PODS}?watch=1&resourceVersion=0&timeoutSeconds=1") as response:
            await response.read()
    assert len(backend.store.listeners) == 0
