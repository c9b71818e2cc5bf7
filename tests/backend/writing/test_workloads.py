"""Deployments roll out at once: their ReplicaSets, revisions, scale; defaults of what is created; Tables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backend.cluster import Client

from .http import APPLY, JSON_PATCH, MERGE, Body, send
from .wire import envelope

APPS = "/apis/apps/v1/namespaces/a"
ACCOUNTS = "/api/v1/namespaces/a/serviceaccounts"
SERVICES = "/api/v1/namespaces/a/services"
PROTOBUF = "application/vnd.kubernetes.protobuf"
REVISION = "deployment.kubernetes.io/revision"


def deployment(image: str = "x:1", **spec: object) -> dict[str, Any]:
    """Return a Deployment."""
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": template} | spec}


async def replica_sets(client: Client) -> list[tuple[str, int]]:
    """Return the revisions of all ReplicaSets with their replicas."""
    items = (await send(client, "GET", f"{APPS}/replicasets"))[1]["items"]
    return sorted((item["metadata"]["annotations"][REVISION], item["spec"]["replicas"]) for item in items)


async def test_a_rollout_is_complete_at_once(client: Client) -> None:
    """What kubectl rollout status looks at says so; an old template's ReplicaSet comes back with a new revision."""
    code, made = await send(client, "POST", f"{APPS}/deployments", deployment(replicas=2))
    assert (code, made["metadata"]["generation"], made["spec"]["strategy"]["type"]) == (201, 1, "RollingUpdate")
    found = (await send(client, "GET", f"{APPS}/deployments/d"))[1]
    status = found["status"]
    assert (status["observedGeneration"], status["updatedReplicas"], status["availableReplicas"]) == (1, 2, 2)
    assert await replica_sets(client) == [("1", 2)]
    await send(client, "PUT", f"{APPS}/deployments/d", deployment("x:2", replicas=2))
    assert await replica_sets(client) == [("1", 0), ("2", 2)]
    await send(client, "PUT", f"{APPS}/deployments/d", deployment("x:1", replicas=2))
    assert await replica_sets(client) == [("2", 0), ("3", 2)]
    assert (await send(client, "GET", f"{APPS}/deployments/d"))[1]["metadata"]["annotations"] == {REVISION: "3"}


async def test_revisions_count_without_replicas(client: Client) -> None:
    """A Deployment scaled to nothing is rolled back, too."""
    await send(client, "POST", f"{APPS}/deployments", deployment(replicas=0))
    for image in ("x:2", "x:1"):
        await send(client, "PUT", f"{APPS}/deployments/d", deployment(image, replicas=0))
    assert await replica_sets(client) == [("2", 0), ("3", 0)]


async def test_a_paused_deployment_does_not_roll_out(client: Client) -> None:
    """Until it is resumed."""
    await send(client, "POST", f"{APPS}/deployments", deployment(paused=True))
    assert await replica_sets(client) == []
    await send(client, "PATCH", f"{APPS}/deployments/d", {"spec": {"paused": False}}, MERGE)
    assert await replica_sets(client) == [("1", 1)]


async def test_replica_sets_go_with_their_deployment(client: Client) -> None:
    """By their owner references."""
    await send(client, "POST", f"{APPS}/deployments", deployment())
    assert (await send(client, "DELETE", f"{APPS}/deployments/d"))[0] == 200
    assert await replica_sets(client) == []


async def test_scale(client: Client) -> None:
    """It is read, replaced and patched; a stale one is a conflict."""
    await send(client, "POST", f"{APPS}/deployments", deployment())
    path = f"{APPS}/deployments/d/scale"
    code, scale = await send(client, "GET", path)
    assert (code, scale["apiVersion"], scale["spec"], scale["status"]) == (
        200, "autoscaling/v1", {"replicas": 1}, {"replicas": 1, "selector": "app=d"},
    )  # fmt: skip
    assert (await send(client, "PUT", path, scale | {"spec": {"replicas": 3}}))[1]["spec"] == {"replicas": 3}
    assert (await send(client, "PUT", path, scale | {"spec": {"replicas": 4}}))[0] == 409
    change = [{"op": "replace", "path": "/spec/replicas", "value": 5}]
    assert (await send(client, "PATCH", path, change, JSON_PATCH))[0] == 200
    assert await replica_sets(client) == [("1", 5)]
    assert (await send(client, "PATCH", path, {"spec": {"replicas": -1}}, MERGE))[0] == 422
    assert (await send(client, "PATCH", f"{path}?fieldManager=x", {}, APPLY))[0] == 415
    body = envelope("autoscaling/v1", "Scale", {1: {1: "d"}, 2: {1: 2}})
    assert (await send(client, "PUT", path, body, PROTOBUF))[1]["spec"] == {"replicas": 2}
    owners = (await send(client, "GET", f"{APPS}/deployments/d"))[1]["metadata"]["managedFields"]
    assert "scale" in [entry.get("subresource") for entry in owners]


async def test_services_get_addresses_and_ports(client: Client) -> None:
    """What is given stays."""
    given = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"a": "b"}}}
    spec = (await send(client, "POST", SERVICES, given))[1]["spec"]
    port = spec["ports"][0]
    assert (port["protocol"], port["targetPort"], 30000 <= port["nodePort"] < 32768) == ("TCP", 80, True)
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    headless = {"metadata": {"name": "h"}, "spec": {"clusterIP": "None", "ports": [{"port": 1, "targetPort": "x"}]}}
    spec = (await send(client, "POST", SERVICES, headless))[1]["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"], spec["ports"][0]["targetPort"]) == ("None", ["None"], "x")


async def test_protobuf_is_stored_as_json_would_be(client: Client) -> None:
    """A pod and a Secret as kubectl from 1.33 on sends them."""
    body = envelope("v1", "Pod", {1: {1: "p", 3: ""}, 2: {2: [{1: "c", 2: "x", 8: {}}], 3: "Always"}, 3: {}})
    code, made = await send(client, "POST", "/api/v1/namespaces/a/pods", body, PROTOBUF)
    same = {"metadata": {"name": "q"}, "spec": {"containers": [{"name": "c", "image": "x"}], "restartPolicy": "Always"}}
    assert (code, made["spec"]) == (201, (await send(client, "POST", "/api/v1/namespaces/a/pods", same))[1]["spec"])
    secret = envelope("v1", "Secret", {1: {1: "s"}, 2: {1: "k", 2: b"v"}, 3: "Opaque"})
    assert (await send(client, "POST", "/api/v1/namespaces/a/secrets", secret, PROTOBUF))[1]["data"] == {"k": "dg=="}


@pytest.mark.parametrize("body", [b"{}", envelope("v1", "Secret", {}), b"k8s\0\x12\xff"])
async def test_other_protobuf_is_refused(client: Client, body: bytes) -> None:
    """No envelope, another kind, a cut message."""
    assert (await send(client, "POST", "/api/v1/namespaces/a/pods", body, PROTOBUF))[0] == 400


@pytest.mark.parametrize(
    ("path", "body", "cells"),
    [
        (f"{APPS}/deployments", deployment(replicas=2), ["d", "2/2", 2, 2, None, "c", "x:1", "app=d"]),
        (
            SERVICES,
            {"metadata": {"name": "s"}, "spec": {"clusterIP": "10.0.0.9", "ports": [{"port": 80}]}},
            ["s", "ClusterIP", "10.0.0.9", "<none>", "80/TCP", None, "<none>"],
        ),
        (
            SERVICES,
            {"metadata": {"name": "s"}, "spec": {"type": "ExternalName", "externalName": "x.org"}},
            ["s", "ExternalName", "<none>", "x.org", "<none>", None, "<none>"],
        ),
        (ACCOUNTS, {"metadata": {"name": "s"}, "secrets": [{"name": "x"}]}, ["s", 1, None]),
        (
            "/api/v1/namespaces/a/events",
            {
                "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"}, "type": "Normal",
                "reason": "R", "message": "m\n", "source": {"component": "k"}, "count": 3,
            },
            [None, "Normal", "R", "pod/p", "", "k", "m", "<unknown>", 3, "e"],
        ),
    ],
)  # fmt: skip
async def test_tables(client: Client, path: str, body: Body, cells: list[object]) -> None:
    """Every column has its cell."""
    await send(client, "POST", path, body)
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    async with client.get(path, headers={"Accept": accept}) as response:
        table = await response.json()
    row = table["rows"][0]["cells"]
    assert len(row) == len(table["columnDefinitions"])
    assert [found if wanted is not None else None for found, wanted in zip(row, cells, strict=True)] == cells
