"""PATCH over HTTP: the four kinds, what they refuse, and what apply says to whom."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backend.cluster import Client

from .http import APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC, Body, config_map, send, warnings

MAPS = "/api/v1/namespaces/a/configmaps"
PODS = "/api/v1/namespaces/a/pods"
WIDGETS = "/apis/example.com/v1/namespaces/a/widgets"
POD: Any = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}


def manager(name: str, query: str = "") -> str:
    """Return the path of a ConfigMap for somebody who applies it."""
    return f"{MAPS}/m?fieldManager={name}{query}"


async def test_every_kind_of_patch(client: Client) -> None:
    """Each changes what it says, and nothing else."""
    await send(client, "POST", PODS, POD)
    path = f"{PODS}/p"
    await send(client, "PATCH", path, [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}], JSON_PATCH)
    await send(client, "PATCH", path, {"metadata": {"annotations": {"n": "1"}}}, MERGE)
    code, found = await send(client, "PATCH", path, {"spec": {"containers": [{"name": "c", "tty": True}]}}, STRATEGIC)
    assert (code, found["metadata"]["labels"], found["metadata"]["annotations"]) == (200, {"a": "b"}, {"n": "1"})
    assert (found["spec"]["containers"][0]["image"], found["spec"]["containers"][0]["tty"]) == ("x:1", True)
    assert (found["metadata"]["generation"], found["spec"]["containers"][0]["resources"]) == (2, {})


@pytest.mark.parametrize(
    ("media_type", "body", "code", "text"),
    [
        (JSON_PATCH, {}, 400, "a JSON patch is an array"),
        (JSON_PATCH, [{"op": "remove", "path": "/nope"}], 422, "doc is missing path: /nope"),
        (JSON_PATCH, b"[", 400, "error decoding patch"),
        (MERGE, b'{"x":' * 5000 + b"1" + b"}" * 5000, 400, ""),
        (APPLY, b"? []\n: 1\n", 400, "error decoding YAML"),
        (STRATEGIC, {"spec": {"containers": [{"image": "x"}]}}, 422, "does not contain declared merge key: name"),
        (MERGE, {"metadata": {"resourceVersion": "1"}}, 409, "the object has been modified"),
        (MERGE, {"metadata": {"name": "q"}}, 400, "does not match the name on the URL"),
        (MERGE, {"spec": {"containers": 1}}, 400, "cannot unmarshal number"),
        (JSON, {}, 415, "accepted media types include: application/json-patch+json, "),
    ],
)
async def test_refused_patches(client: Client, media_type: str, body: Body, code: int, text: str) -> None:
    """The Status says why."""
    await send(client, "POST", PODS, POD)
    query = "?fieldManager=x" if media_type == APPLY else ""
    found, answer = await send(client, "PATCH", f"{PODS}/p{query}", body, media_type)
    assert (found, text in answer["message"]) == (code, True), answer


async def test_who_applies_says_who_it_is(client: Client) -> None:
    """The user agent isn't enough."""
    code, answer = await send(client, "PATCH", f"{PODS}/p", POD, APPLY)
    assert (code, "fieldManager: Required value" in answer["message"]) == (422, True)


async def test_only_apply_creates(client: Client) -> None:
    """Other patches of what isn't there are 404."""
    assert (await send(client, "PATCH", f"{MAPS}/m", {}, MERGE))[0] == 404
    code, made = await send(client, "PATCH", manager("one"), config_map("m", k="1"), APPLY)
    assert (code, made["data"], made["metadata"]["namespace"]) == (201, {"k": "1"}, "a")
    entry = made["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"], entry["fieldsV1"]) == ("one", "Apply", {"f:data": {"f:k": {}}})


async def test_apply_takes_yaml(client: Client) -> None:
    """Times stay text; references are refused."""
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata:\n  k: 2020-01-01\n"
    assert (await send(client, "PATCH", manager("one"), text, APPLY))[1]["data"] == {"k": "2020-01-01"}
    code, answer = await send(client, "PATCH", manager("one"), b"a: &x [1]\nb: *x\n", APPLY)
    assert (code, "aliases" in answer["message"]) == (400, True)


async def test_a_conflict_names_its_causes(client: Client) -> None:
    """409 with a cause for each field; force takes them; what is withdrawn goes."""
    await send(client, "PATCH", manager("one"), config_map("m", k="1", l="1"), APPLY)
    code, answer = await send(client, "PATCH", manager("two"), config_map("m", k="2"), APPLY)
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.k"}
    assert (code, answer["reason"], answer["details"]["causes"]) == (409, "Conflict", [cause])
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.k'
    forced = (await send(client, "PATCH", manager("two", "&force=true"), config_map("m", k="2"), APPLY))[1]
    assert forced["data"] == {"k": "2", "l": "1"}
    assert (await send(client, "PATCH", manager("one"), config_map("m"), APPLY))[1]["data"] == {"k": "2"}


async def test_several_conflicts_are_told_by_manager(client: Client) -> None:
    """As kubectl prints them."""
    await send(client, "POST", f"{MAPS}?fieldManager=one", config_map("m", k="1", l="1"))
    message = (await send(client, "PATCH", manager("two"), config_map("m", k="2", l="2"), APPLY))[1]["message"]
    assert message == 'Apply failed with 2 conflicts: conflicts with "one" using v1:\n- .data.k\n- .data.l'


async def test_kubectl_takes_over_from_client_side_apply(client: Client) -> None:
    """What its annotation says it has set is no conflict for kubectl; the annotation stays true."""
    annotation = "kubectl.kubernetes.io/last-applied-configuration"
    last = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"k":"1"}}'
    given = config_map("m", k="1")
    given["metadata"]["annotations"] = {annotation: last}
    await send(client, "POST", f"{MAPS}?fieldManager=kubectl-client-side-apply", given)
    assert (await send(client, "PATCH", manager("other"), config_map("m", k="2"), APPLY))[0] == 409
    code, taken = await send(client, "PATCH", manager("kubectl"), config_map("m", k="2"), APPLY)
    assert (code, taken["data"], '"k":"2"' in taken["metadata"]["annotations"][annotation]) == (200, {"k": "2"}, True)


async def test_applying_the_same_again_changes_nothing(client: Client) -> None:
    """Neither the resourceVersion nor the owners."""
    first = (await send(client, "PATCH", manager("one"), config_map("m", k="1"), APPLY))[1]
    assert (await send(client, "PATCH", manager("one"), config_map("m", k="1"), APPLY))[1] == first


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"apiVersion": "v2"}, 400, "Incorrect version specified in apply patch"),
        ({"metadata": {"name": "x"}}, 400, "does not match the name on the URL"),
        ({"metadata": {"managedFields": []}}, 400, "metadata.managedFields must be nil"),
        ({"dta": {}}, 500, "failed to create typed patch object (a/m; v1, Kind=ConfigMap): .dta: field not declared"),
        ({"metadata": {"resourceVersion": "1"}}, 409, "the object has been modified"),
    ],
)
async def test_refused_configurations(client: Client, change: dict[str, Any], code: int, text: str) -> None:
    """What no configuration may say."""
    await send(client, "POST", MAPS, config_map("m", k="1"))
    found, answer = await send(client, "PATCH", manager("one"), config_map("m", k="1") | change, APPLY)
    assert (found, text in answer["message"]) == (code, True), answer


async def test_custom_resources_are_applied_member_by_member(client: Client) -> None:
    """And strategic merge patches of them are refused, as nothing is known of their lists."""
    config = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"n": 1}}
    path = f"{WIDGETS}/w?fieldManager=one"
    assert (await send(client, "PATCH", path, config, APPLY))[0] == 201
    other = config | {"spec": {"f": 0.5}}
    found = (await send(client, "PATCH", f"{WIDGETS}/w?fieldManager=two", other, APPLY))[1]
    assert (found["spec"], found["metadata"]["generation"]) == ({"n": 1, "f": 0.5}, 2)
    code, answer = await send(client, "PATCH", path, {}, STRATEGIC)
    assert (code, STRATEGIC in answer["message"]) == (415, False)


async def test_generated_objects_can_be_applied_to(client: Client) -> None:
    """Their owners are kept, and one is added."""
    config = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"mine": "1"}}}
    code, found = await send(client, "PATCH", f"{PODS}/web-00012?fieldManager=one", config, APPLY)
    owners = [entry["manager"] for entry in found["metadata"]["managedFields"]]
    assert (code, found["metadata"]["labels"]["mine"], owners) == (200, "1", ["one", "kube-controller-manager"])


async def test_the_owner_of_a_plain_write_is_its_user_agent(client: Client) -> None:
    """Up to the slash; maps that are new count as set, too."""
    made = (await send(client, "POST", MAPS, config_map("m", k="1")))[1]
    entry = made["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"]) == ("tester", "Update")
    assert entry["fieldsV1"] == {"f:data": {".": {}, "f:k": {}}}
    changed = (await send(client, "PATCH", manager("editor"), {"data": {"k": "2"}}, MERGE))[1]
    fields = {entry["manager"]: entry["fieldsV1"] for entry in changed["metadata"]["managedFields"]}
    assert fields == {"tester": {"f:data": {}}, "editor": {"f:data": {"f:k": {}}}}


async def test_owners_can_be_reset(client: Client) -> None:
    """An empty list, or a list of one empty entry."""
    await send(client, "POST", MAPS, config_map("m", k="1"))
    change = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    assert "managedFields" not in (await send(client, "PATCH", f"{MAPS}/m", change, JSON_PATCH))[1]["metadata"]
    # An object without owners gets none by an update.
    assert "managedFields" not in (await send(client, "PATCH", f"{MAPS}/m", {"data": {"k": "2"}}, MERGE))[1]["metadata"]


@pytest.mark.parametrize(("validation", "code"), [("Strict", 400), ("Warn", 201), ("Ignore", 201)])
async def test_unknown_fields(client: Client, validation: str, code: int) -> None:
    """They are refused, warned of, or dropped without a word."""
    body = config_map("m") | {"dta": {}}
    found, answer = await send(client, "POST", f"{MAPS}?fieldValidation={validation}", body)
    assert (found, "dta" in answer) == (code, False)
    told = await warnings(client, "POST", f"{MAPS}?fieldValidation={validation}", body | {"metadata": {"name": "n"}})
    assert told == (['299 - "unknown field \\"dta\\""'] if validation == "Warn" else [])


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("dryRun=some", 'dryRun: Unsupported value: "some"'),
        ("fieldValidation=some", 'fieldValidation: Unsupported value: "some"'),
        ("fieldManager=" + "x" * 129, "may not be longer than 128"),
        ("force=true", "may not be specified for non-apply patch"),
    ],
)
async def test_options_are_checked(client: Client, query: str, text: str) -> None:
    """422 names the field."""
    code, answer = await send(client, "PATCH", f"{MAPS}/m?{query}", {}, MERGE)
    assert (code, text in answer["message"], answer["details"]["kind"]) == (422, True, "PatchOptions")


@pytest.mark.parametrize("media_type", [MERGE, APPLY])
async def test_a_dry_run_stores_nothing(client: Client, media_type: str) -> None:
    """It only answers what would be."""
    await send(client, "POST", MAPS, config_map("m", k="1"))
    path = manager("one", "&dryRun=All" + ("&force=true" if media_type == APPLY else ""))
    code, answer = await send(client, "PATCH", path, config_map("m", k="2"), media_type)
    assert (code, answer["data"]) == (200, {"k": "2"})
    assert (await send(client, "GET", f"{MAPS}/m"))[1]["data"] == {"k": "1"}


async def test_status_is_written_by_itself(client: Client) -> None:
    """The main resource keeps the status, the subresource everything else."""
    await send(client, "POST", PODS, POD)
    change = {"status": {"phase": "Running"}, "spec": {"hostname": "h"}}
    found = (await send(client, "PATCH", f"{PODS}/p/status", change, MERGE))[1]
    assert (found["status"]["phase"], "hostname" in found["spec"]) == ("Running", False)
    assert [entry.get("subresource") for entry in found["metadata"]["managedFields"]] == [None, "status"]
    found = (await send(client, "PATCH", f"{PODS}/p", {"status": {"phase": "Failed"}}, MERGE))[1]
    assert found["status"]["phase"] == "Running"
    assert (await send(client, "PATCH", f"{MAPS}/m/status", {}, MERGE))[0] == 404
