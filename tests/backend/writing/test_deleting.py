"""DELETE: its options, finalizers, and what goes with an object."""

from __future__ import annotations

import pytest

from tests.backend.cluster import Client

from .http import MERGE, Body, config_map, send
from .wire import envelope

MAPS = "/api/v1/namespaces/a/configmaps"
PODS = "/api/v1/namespaces/a/pods"
PROTOBUF = "application/vnd.kubernetes.protobuf"


async def names(client: Client, path: str) -> list[str]:
    """Return the names in a List."""
    return [item["metadata"]["name"] for item in (await send(client, "GET", path))[1]["items"]]


async def test_preconditions(client: Client) -> None:
    """Another UID or resourceVersion than the client has seen is a conflict, in JSON and in protobuf."""
    made = (await send(client, "POST", MAPS, config_map("m")))[1]
    for wanted in ({"uid": "other"}, {"resourceVersion": "1"}):
        code, answer = await send(client, "DELETE", f"{MAPS}/m", {"kind": "DeleteOptions", "preconditions": wanted})
        assert (code, answer["reason"], "Precondition failed: " in answer["message"]) == (409, "Conflict", True)
    body = envelope("v1", "DeleteOptions", {2: {1: "other"}})
    assert (await send(client, "DELETE", f"{MAPS}/m", body, PROTOBUF))[0] == 409
    code, answer = await send(client, "DELETE", f"{MAPS}/m", {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert (code, answer["status"], answer["details"]["uid"]) == (200, "Success", made["metadata"]["uid"])


@pytest.mark.parametrize("query", ["", "?dryRun=All"])
async def test_dry_runs(client: Client, query: str) -> None:
    """In the query or in the body."""
    await send(client, "POST", MAPS, config_map("m"))
    body = None if query else {"dryRun": ["All"]}
    assert (await send(client, "DELETE", f"{MAPS}/m{query}", body))[0] == 200
    assert (await send(client, "GET", f"{MAPS}/m"))[0] == 200


@pytest.mark.parametrize(
    ("body", "code"), [({"propagationPolicy": "Other"}, 422), ({"gracePeriodSeconds": "x"}, 400), (b"[", 400)]
)
async def test_refused_options(client: Client, body: Body, code: int) -> None:
    """What is no DeleteOptions deletes nothing."""
    await send(client, "POST", MAPS, config_map("m"))
    assert (await send(client, "DELETE", f"{MAPS}/m", body))[0] == code
    assert (await send(client, "GET", f"{MAPS}/m"))[0] == 200


async def test_finalizers_keep_an_object(client: Client) -> None:
    """It is marked, and goes when the last of them is taken away."""
    given = config_map("m")
    given["metadata"]["finalizers"] = ["example.com/f"]
    await send(client, "POST", MAPS, given)
    code, marked = await send(client, "DELETE", f"{MAPS}/m")
    assert (code, marked["kind"], marked["metadata"]["deletionGracePeriodSeconds"]) == (200, "ConfigMap", 0)
    again = (await send(client, "DELETE", f"{MAPS}/m"))[1]
    assert again["metadata"]["deletionTimestamp"] == marked["metadata"]["deletionTimestamp"]
    assert (await send(client, "PATCH", f"{MAPS}/m", {"metadata": {"finalizers": None}}, MERGE))[0] == 200
    assert (await send(client, "GET", f"{MAPS}/m"))[0] == 404


@pytest.mark.parametrize(
    ("policy", "left"), [("Background", []), ("Foreground", []), ("Orphan", ["child", "grandchild"])]
)
async def test_what_an_object_owns(client: Client, policy: str, left: list[str]) -> None:
    """It goes with its owner, or is freed."""
    for name, owner in (("parent", ""), ("child", "parent"), ("grandchild", "child")):
        given = config_map(name)
        given["metadata"]["labels"] = {"family": "1"}
        if owner:
            uid = (await send(client, "GET", f"{MAPS}/{owner}"))[1]["metadata"]["uid"]
            reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid}
            given["metadata"]["ownerReferences"] = [reference]
        await send(client, "POST", MAPS, given)
    await send(client, "DELETE", f"{MAPS}/parent", {"propagationPolicy": policy})
    assert await names(client, f"{MAPS}?labelSelector=family") == left
    if left:
        assert "ownerReferences" not in (await send(client, "GET", f"{MAPS}/child"))[1]["metadata"]


async def test_a_namespace_goes_with_everything_in_it(client: Client) -> None:
    """Nothing of it is listed afterwards."""
    await send(client, "POST", MAPS, config_map("m"))
    assert (await send(client, "DELETE", "/api/v1/namespaces/a"))[0] == 200
    assert await names(client, PODS) == []
    assert (await send(client, "GET", f"{MAPS}/m"))[0] == 404
    assert await names(client, "/api/v1/namespaces/a-b/pods") != []


async def test_collections_are_deleted_by_selectors(client: Client) -> None:
    """Only what is selected goes."""
    for name in ("x", "y"):
        given = config_map(name)
        given["metadata"]["labels"] = {"pick": name}
        await send(client, "POST", MAPS, given)
    code, gone = await send(client, "DELETE", f"{MAPS}?labelSelector=pick%3Dx")
    assert (code, [item["metadata"]["name"] for item in gone["items"]]) == (200, ["x"])
    assert await names(client, f"{MAPS}?labelSelector=pick") == ["y"]


async def test_evictions(client: Client) -> None:
    """A pod is deleted as kubectl drain wants it."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web-00012"}}
    wrong = body | {"deleteOptions": {"preconditions": {"uid": "other"}}}
    assert (await send(client, "POST", f"{PODS}/web-00012/eviction", wrong))[0] == 409
    assert (await send(client, "POST", f"{PODS}/web-00012/eviction", body))[0] == 201
    assert (await send(client, "GET", f"{PODS}/web-00012"))[0] == 404
    assert (await send(client, "GET", f"{PODS}/web-00013/eviction"))[0] == 405
