"""The tables: every type in them is whole, JSON gets Go's form, protobuf becomes the same."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.backend.kinds import notation, protobuf
from proxy.backend.kinds.canonical import MismatchError, Reader
from proxy.backend.kinds.notation import TYPES, Holds
from proxy.backend.kinds.protobuf import MalformedError
from proxy.backend.resources import RESOURCES, SCALES

from .wire import envelope, message, varint


def test_the_tables_are_closed() -> None:
    """Every struct that a field names is there, every merge key is a field, no number occurs twice."""
    for resource in (*RESOURCES, SCALES):
        assert resource.type_name in TYPES
    for name, kind in TYPES.items():
        own = [field.number for field in kind.numbered.values()] + list(kind.embedded)
        assert len(own) == len(set(own)), name
        for field in kind.fields.values():
            assert not field.is_struct or field.type in TYPES, (name, field.name)
            for key in (*field.keys, *filter(None, [field.patch_key])):
                assert key in TYPES[field.type].fields, (name, field.name)


@pytest.mark.parametrize(
    ("name", "field", "keys", "patch_key"),
    [
        ("PodSpec", "containers", ("name",), "name"),
        ("PodSpec", "imagePullSecrets", ("name",), "name"),
        ("PodSpec", "topologySpreadConstraints", ("topologyKey", "whenUnsatisfiable"), "topologyKey"),
        ("Container", "ports", ("containerPort", "protocol"), "containerPort"),
        ("Container", "volumeMounts", ("mountPath",), "mountPath"),
        ("ServiceSpec", "ports", ("port", "protocol"), "port"),
        ("ObjectMeta", "ownerReferences", ("uid",), "uid"),
        ("PodStatus", "conditions", ("type",), "type"),
    ],
)
def test_merge_keys(name: str, field: str, keys: tuple[str, ...], patch_key: str) -> None:
    """As the API's documentation has them."""
    found = TYPES[name].fields[field]
    assert (found.keys, found.patch_key, found.merges) == (keys, patch_key, True)


def test_other_ways_to_merge() -> None:
    """Atomic lists and maps, sets, and what only one of the two merges knows."""
    spec = TYPES["PodSpec"].fields
    assert (spec["tolerations"].atomic, spec["tolerations"].merges) == (True, False)
    assert (spec["nodeSelector"].holds, spec["nodeSelector"].atomic) == (Holds.MAP, True)
    assert (spec["volumes"].retains_keys, TYPES["LabelSelector"].atomic) == (True, True)
    finalizers = TYPES["ObjectMeta"].fields["finalizers"]
    assert (finalizers.associative, finalizers.keys, finalizers.merges) == (True, (), True)
    claims = TYPES["ResourceRequirements"].fields["claims"]
    assert (claims.associative, claims.merges) == (True, False)
    host_ips = TYPES["PodStatus"].fields["hostIPs"]
    assert (host_ips.associative, host_ips.merges) == (False, True)


def test_a_bad_token_is_told() -> None:
    """A typing error in a table doesn't pass."""
    with pytest.raises(ValueError, match="not a field: name"):
        notation.field("name")


def test_fields_come_in_gos_order_without_what_is_empty() -> None:
    """Pointers keep zero values, `omitempty` drops others, structs are always there."""
    given: Any = {
        "spec": {"hostNetwork": False, "enableServiceLinks": False, "containers": [{"image": "", "name": "a"}]},
        "metadata": {"labels": {"b": "2", "a": "1"}, "creationTimestamp": None, "name": "x"},
    }
    found = Reader().struct("Pod", given)
    assert list(found) == ["metadata", "spec", "status"]
    assert found["spec"] == {"containers": [{"name": "a", "resources": {}}], "enableServiceLinks": False}
    assert list(found["metadata"]["labels"]) == ["a", "b"]  # type: ignore[index]


def test_unknown_fields_are_found() -> None:
    """With their paths, as kubectl shows them."""
    reader = Reader()
    reader.struct("Pod", {"spec": {"containers": [{"name": "a", "imag": "x"}], "y": 1}, "z": 2})
    assert reader.unknown == ["z", "spec.y", "spec.containers[0].imag"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"spec": []}, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        ({"spec": {"containers": "x"}}, "string into Go struct field PodSpec.spec.containers of type []v1.Container"),
        ({"spec": {"hostname": 1}}, "number into Go struct field PodSpec.spec.hostname of type string"),
        ({"spec": {"priority": "1"}}, "string into Go struct field PodSpec.spec.priority of type int32"),
        ({"spec": {"hostPID": "true"}}, "string into Go struct field PodSpec.spec.hostPID of type bool"),
        ({"metadata": {"labels": {"a": 1}}}, "number into Go struct field ObjectMeta.metadata.labels of type string"),
    ],
)
def test_mismatches(value: dict[str, Any], text: str) -> None:
    """What doesn't fit is told in Go's words."""
    with pytest.raises(MismatchError) as caught:
        Reader().struct("Pod", value)
    assert text in str(caught.value)


def test_protobuf_becomes_json() -> None:
    """Embedded messages, maps, lists, times, numbers of either kind, quantities."""
    meta: Any = {1: "p", 11: [{1: "k", 2: "v"}, {1: "l", 2: "w"}], 8: {1: 1_700_000_000}, 10: 30}
    probe: Any = {1: {2: {1: "/", 2: {1: 1, 3: "http"}}}, 2: 5}
    volume: Any = {1: "v", 2: {19: {1: {1: "cm"}, 4: 1}}}
    container: Any = {1: "c", 6: [{3: 80, 4: "TCP"}], 8: {1: [{1: "cpu", 2: {1: "10m"}}]}, 10: probe, 16: 1}
    security: Any = {2: -1, 4: varint(1) + varint(2)}
    raw = message({1: meta, 2: {1: [volume], 2: [container], 4: 0, 14: security}})
    assert Reader().struct("Pod", protobuf.message("Pod", raw)) == {
        "metadata": {
            "name": "p", "labels": {"k": "v", "l": "w"}, "creationTimestamp": "2023-11-14T22:13:20Z",
            "deletionGracePeriodSeconds": 30,
        },
        "spec": {
            "volumes": [{"name": "v", "configMap": {"name": "cm", "optional": True}}],
            "containers": [{
                "name": "c", "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "10m"}}, "stdin": True,
                "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "initialDelaySeconds": 5},
            }],
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsUser": -1, "supplementalGroups": [1, 2]},
        },
        "status": {},
    }  # fmt: skip


def test_secrets_hold_bytes() -> None:
    """In JSON these are base64."""
    assert protobuf.message("Secret", message({2: {1: "k", 2: b"\xff\0"}})) == {"data": {"k": "/wA="}}


def test_fields_of_newer_versions_are_passed_over() -> None:
    """As Go does."""
    assert protobuf.message("ConfigMap", message({99: "x", 98: 1, 3: {}}) + b"\xfd\x31\0\0\0\0") == {
        "binaryData": {"": ""}
    }


def test_the_envelope() -> None:
    """It says what is in it."""
    found = protobuf.unwrap(envelope("v1", "ConfigMap", {1: {1: "x"}}))
    assert (found.api_version, found.kind, found.raw) == ("v1", "ConfigMap", message({1: {1: "x"}}))


@pytest.mark.parametrize(
    "body", [b"{}", b"k8s\0\x0a", b"k8s\0\x0a\x05ab", b"k8s\0\x0b", b"k8s\0" + b"\xff" * 11, b"k8s\0\x08\x01"]
)
def test_what_is_no_protobuf(body: bytes) -> None:
    """Cut messages, unknown wire types and numbers without an end are refused."""
    with pytest.raises(MalformedError):
        protobuf.unwrap(body)


def test_text_must_be_utf8() -> None:
    """A name of other bytes is refused, and so is a number in its place."""
    for broken in (message({1: {1: b"\xff"}}), message({1: {1: 5}})):
        with pytest.raises(MalformedError):
            protobuf.message("ConfigMap", broken)
