"""What clients ask before they do anything: discovery, schemas, who they are and what they may."""

from __future__ import annotations

import pytest

from proxy.backend.resources import RESOURCES
from tests.backend.cluster import Client

from .http import Body, send
from .wire import envelope

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def test_access_is_allowed(client: Client) -> None:
    """In JSON and protobuf; what was asked is repeated."""
    spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    code, answer = await send(client, "POST", ACCESS, {"spec": spec})
    assert (code, answer["kind"], answer["spec"], answer["status"]["allowed"]) == (
        201, "SelfSubjectAccessReview", spec, True,
    )  # fmt: skip
    body = envelope("authorization.k8s.io/v1", "SelfSubjectAccessReview", {2: {1: {2: "get", 5: "pods"}}})
    assert (await send(client, "POST", ACCESS, body, "application/vnd.kubernetes.protobuf"))[1] == answer


async def test_rules_and_self(client: Client) -> None:
    """Everything, to everybody."""
    rules = (await send(client, "POST", RULES, {"spec": {"namespace": "a"}}))[1]["status"]
    assert (rules["resourceRules"][0]["verbs"], rules["incomplete"]) == (["*"], False)
    user = (await send(client, "POST", SELF, {}))[1]["status"]["userInfo"]
    assert "system:authenticated" in user["groups"]


@pytest.mark.parametrize(
    ("method", "body", "media_type", "code"),
    [
        ("GET", None, "application/json", 405),
        ("POST", b"[", "application/json", 400),
        ("POST", {"spec": []}, "application/json", 400),
        ("POST", {}, "text/plain", 415),
    ],
)
async def test_refused_reviews(client: Client, method: str, body: Body, media_type: str, code: int) -> None:
    """Reviews can only be created."""
    assert (await send(client, method, ACCESS, body, media_type))[0] == code


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
async def test_aggregated_discovery_says_the_same(client: Client, version: str) -> None:
    """Every resource and subresource that the plain form has, with the same verbs."""
    for path in ("api", "apis"):
        async with client.get(f"/{path}", headers={"Accept": AGGREGATED.format(version)}) as response:
            found = await response.json()
            assert response.headers["Content-Type"] == AGGREGATED.format(version)
        assert (found["kind"], found["apiVersion"]) == ("APIGroupDiscoveryList", f"apidiscovery.k8s.io/{version}")
        for group in found["items"]:
            name = group["metadata"].get("name")
            plain = (await send(client, "GET", f"/apis/{name}/v1" if name else "/api/v1"))[1]["resources"]
            verbs = {one["name"]: one["verbs"] for one in plain}
            aggregated = {}
            for one in group["versions"][0]["resources"]:
                aggregated[one["resource"]] = one["verbs"]
                for below in one.get("subresources", []):
                    aggregated[f"{one['resource']}/{below['subresource']}"] = below["verbs"]
            assert aggregated == verbs


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "APIGroupList"),
        ("application/json," + AGGREGATED.format("v2"), "APIGroupList"),
        (AGGREGATED.format("v3") + ",application/json", "APIGroupList"),
        (AGGREGATED.format("v2") + ",application/json", "APIGroupDiscoveryList"),
    ],
)
async def test_the_plain_form_is_for_those_who_want_it(client: Client, accept: str, kind: str) -> None:
    """The first form that can be served counts."""
    async with client.get("/apis", headers={"Accept": accept}) as response:
        assert (await response.json())["kind"] == kind


def references(value: object) -> set[str]:
    """Return every reference in a document."""
    if isinstance(value, dict):
        below = set().union(*map(references, value.values())) if value else set()
        return below | ({value["$ref"]} if isinstance(value.get("$ref"), str) else set())
    return set().union(*map(references, value)) if isinstance(value, list) and value else set()


async def test_schemas(client: Client) -> None:
    """Every kind has one, no reference leads nowhere, merge keys are told."""
    paths = (await send(client, "GET", "/openapi/v3"))[1]["paths"]
    kinds: set[str] = set()
    for place in paths.values():
        document = (await send(client, "GET", place["serverRelativeURL"]))[1]
        schemas = document["components"]["schemas"]
        assert {reference.removeprefix("#/components/schemas/") for reference in references(document)} <= schemas.keys()
        for schema in schemas.values():
            kinds |= {one["kind"] for one in schema.get("x-kubernetes-group-version-kind", [])}
    assert kinds == {resource.kind for resource in RESOURCES}
    core = (await send(client, "GET", "/openapi/v3/api/v1"))[1]["components"]["schemas"]
    containers = core["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert "containers" in core["io.k8s.api.core.v1.PodSpec"]["required"]


async def test_version_two(client: Client) -> None:
    """As protobuf for kubectl, as JSON for others."""
    assert "io.k8s.api.core.v1.Pod" in (await send(client, "GET", "/openapi/v2"))[1]["definitions"]
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    async with client.get("/openapi/v2", headers={"Accept": accept}) as response:
        assert b"/apis/apps/v1/namespaces/{namespace}/deployments/{name}" in await response.read()
