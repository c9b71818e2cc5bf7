"""Writes through the API change what is read, and fail as a real server's do."""

from __future__ import annotations

import io
import json

import pytest

from .cluster import Client

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "made", "creationTimestamp": None},
       "spec": {"containers": [{"image": "<b>", "name": "a"}]}}  # fmt: skip
PODS = "/api/v1/namespaces/a/pods"
WIDGETS = "/apis/example.com/v1/namespaces/a/widgets"
MERGE = {"Content-Type": "application/merge-patch+json"}


async def send(
    client: Client, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, object]]:
    """Send a request with a JSON body."""
    given = {"Content-Type": "application/json"} | (headers or {})
    data = None if body is None else io.BytesIO(json.dumps(body).encode())
    async with client.request(method, path, data=data, headers=given) as response:
        return response.status, json.loads(await response.read())


async def read(client: Client, path: str) -> str:
    """Get a path as text."""
    async with client.get(path) as response:
        return (await response.read()).decode()


async def test_a_created_pod_is_stored_in_gos_order_with_its_defaults(client: Client) -> None:
    """The bytes are those of a typed object: struct order, escapes, no null."""
    code, created = await send(client, "POST", PODS, POD)
    assert code == 201
    text = await read(client, f"{PODS}/made")
    assert json.loads(text) == created
    assert text.startswith('{"kind":"Pod","apiVersion":"v1","metadata":{"name":"made","namespace":"a","uid":"')
    assert '"spec":{"containers":[{"name":"a","image":"\\u003cb\\u003e","resources":{},' in text
    assert text.endswith('"status":{"phase":"Pending","qosClass":"BestEffort"}}\n')
    listed = await read(client, f"{PODS}?fieldSelector=metadata.name%3Dmade")
    assert listed.count('"kind"') == 1
    assert json.loads(listed)["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]  # type: ignore[index]


async def test_a_created_widget_has_sorted_keys(client: Client) -> None:
    """Custom resources keep what they are given, sorted, and floats in Go's form."""
    body = {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "made"}, "spec": {"n": 1, "f": 1e30}}
    assert (await send(client, "POST", WIDGETS, body))[0] == 201
    text = await read(client, f"{WIDGETS}/made")
    assert text.startswith('{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"creationTimestamp":"')
    assert text.endswith('"spec":{"f":1e+30,"n":1}}\n')


async def test_string_data_becomes_data(client: Client) -> None:
    """A Secret is stored in base64 and has a type."""
    body = {"metadata": {"name": "made"}, "stringData": {"k": "v"}}
    _, created = await send(client, "POST", "/api/v1/namespaces/a/secrets", body)
    assert (created["data"], created["type"], "stringData" in created) == ({"k": "dg=="}, "Opaque", False)


async def test_names_can_be_generated(client: Client) -> None:
    """GenerateName gets five letters."""
    body = POD | {"metadata": {"generateName": "x-"}}
    names = {(await send(client, "POST", PODS, body))[1]["metadata"]["name"] for _ in range(3)}  # type: ignore[index]
    assert [len(name) for name in names] == [7, 7, 7]


@pytest.mark.parametrize(
    ("path", "body", "code", "text"),
    [
        (PODS, POD | {"metadata": {}}, 422, "name or generateName is required"),
        (PODS, POD | {"metadata": {"name": "A/b"}}, 422, "a lowercase RFC 1123 subdomain"),
        (PODS, POD | {"kind": "Secret"}, 400, "cannot be handled as a Pod"),
        (PODS, POD | {"metadata": {"name": "x", "namespace": "b"}}, 400, "does not match the namespace"),
        (PODS, POD | {"metadata": {"name": "x", "resourceVersion": "1"}}, 400, "should not be set"),
        (PODS, POD | {"spec": {"containers": "x"}}, 400, "cannot be handled as a Pod: json: "),
        (WIDGETS, {"metadata": {"name": "x"}, "spec": []}, 400, "cannot be handled as a Widget: json: "),
        (PODS, [], 400, "the object provided is unrecognized"),
        ("/api/v1/namespaces/none/pods", POD, 404, 'namespaces "none" not found'),
        ("/api/v1/namespaces", {"metadata": {"name": "a"}}, 409, 'namespaces "a" already exists'),
        ("/api/v1/pods", POD, 405, "does not allow this method"),
    ],
)
async def test_refused_creations(client: Client, path: str, body: object, code: int, text: str) -> None:
    """Nothing is stored, and the Status says why."""
    status, answer = await send(client, "POST", path, body)
    assert (status, answer["kind"], text in str(answer["message"])) == (code, "Status", True)


async def test_an_update_needs_the_current_resource_version(client: Client) -> None:
    """A stale one is a conflict, none at all overwrites."""
    _, first = await send(client, "POST", PODS, POD)
    changed = first | {"metadata": first["metadata"] | {"labels": {"x": "1"}}}  # type: ignore[operator]
    code, second = await send(client, "PUT", f"{PODS}/made", changed)
    assert (code, second["metadata"]["labels"]) == (200, {"x": "1"})  # type: ignore[index]
    code, conflict = await send(client, "PUT", f"{PODS}/made", changed)
    assert (code, conflict["reason"]) == (409, "Conflict")
    assert (await send(client, "PUT", f"{PODS}/made", POD))[0] == 200
    assert (await send(client, "PUT", f"{PODS}/other", POD | {"metadata": {}}))[0] == 404


async def test_an_update_of_a_custom_resource_names_its_version(client: Client) -> None:
    """There is no unconditional one."""
    _, widget = await send(client, "GET", f"{WIDGETS}/w-00002")
    assert (await send(client, "PUT", f"{WIDGETS}/w-00002", widget))[0] == 200
    del widget["metadata"]["resourceVersion"]  # type: ignore[attr-defined]
    code, answer = await send(client, "PUT", f"{WIDGETS}/w-00002", widget)
    assert (code, "must be specified for an update" in str(answer["message"])) == (422, True)


async def test_a_write_that_changes_nothing_has_no_new_version(client: Client) -> None:
    """As in a real store."""
    _, first = await send(client, "POST", PODS, POD)
    assert (await send(client, "PUT", f"{PODS}/made", first)) == (200, first)


async def test_a_merge_patch_merges_and_removes(client: Client) -> None:
    """Null removes a key; generated objects can be patched, too."""
    path = f"{WIDGETS}/w-00002"
    _, patched = await send(client, "PATCH", path, {"metadata": {"labels": {"a": "b"}}, "spec": {"f": None}}, MERGE)
    assert patched["metadata"]["labels"] == {"a": "b"}  # type: ignore[index]
    assert "f" not in patched["spec"]  # type: ignore[operator]
    assert (await send(client, "PATCH", path, {}, {"Content-Type": "application/strategic-merge-patch+json"}))[0] == 415


async def test_deleting(client: Client) -> None:
    """A pod is answered itself, other things with a Status; both are gone afterwards."""
    await send(client, "POST", PODS, POD)
    assert (await send(client, "DELETE", f"{PODS}/made"))[1]["kind"] == "Pod"
    code, answer = await send(client, "DELETE", f"{WIDGETS}/w-00002")
    assert (code, answer["status"], answer["details"]["kind"]) == (200, "Success", "widgets")  # type: ignore[index]
    assert (await send(client, "GET", f"{WIDGETS}/w-00002"))[0] == 404
    assert (await send(client, "DELETE", f"{WIDGETS}/w-00002"))[0] == 404


async def test_deleting_a_collection_answers_what_was_deleted(client: Client) -> None:
    """Selectors count; a dry run deletes nothing."""
    _, dry = await send(client, "DELETE", f"{PODS}?dryRun=All")
    code, deleted = await send(client, "DELETE", PODS)
    assert (code, deleted["kind"], deleted["items"]) == (200, "PodList", dry["items"])
    assert json.loads(await read(client, PODS))["items"] == []
    assert (await send(client, "DELETE", "/api/v1/namespaces"))[0] == 405


async def test_other_formats_are_refused(client: Client) -> None:
    """415 for CBOR, and for protobuf where it is a custom resource; 413 for more than three megabytes."""
    assert (await send(client, "POST", PODS, {}, {"Content-Type": "application/cbor"}))[0] == 415
    assert (await send(client, "POST", WIDGETS, {}, {"Content-Type": "application/vnd.kubernetes.protobuf"}))[0] == 415
    assert (await send(client, "POST", PODS, {"x": "y" * (3 << 20)}))[0] == 413
