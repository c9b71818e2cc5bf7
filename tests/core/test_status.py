"""The proxy's own errors, in the bytes in which a real apiserver writes its own."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import errors
from proxy.core.headers import parse_accept
from proxy.core.status import REASONS, phrase, render
from tests.core.recorded import VERSIONS, body

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def varint(data: bytes) -> tuple[int, bytes]:
    """Split a protobuf varint off `data`."""
    value = 0
    for at, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return value, data[at + 1 :]
    raise AssertionError("no end of a varint")


def fields(data: bytes) -> list[tuple[int, int | bytes]]:
    """Decode one protobuf message into its fields, in order."""
    found: list[tuple[int, int | bytes]] = []
    while data:
        tag, data = varint(data)
        value, data = varint(data)
        if tag & 7 == 0:
            found.append((tag >> 3, value))
        else:
            assert tag & 7 == 2
            assert len(data) >= value
            found.append((tag >> 3, data[:value]))
            data = data[value:]
    return found


def unwrap(data: bytes) -> tuple[list[tuple[int, int | bytes]], list[tuple[int, int | bytes]]]:
    """Return the fields of the Unknown around a Status, and those of the Status."""
    assert data[:4] == b"k8s\x00"
    unknown = fields(data[4:])
    raw = dict(unknown)[2]
    assert isinstance(raw, bytes)
    return unknown, fields(raw)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["err-400-limit", "err-400-continue", "err-400-continue-rv", "err-400-selector"])
def test_json_status_is_byte_for_byte_a_servers(version: str, name: str) -> None:
    """A Status without details is written exactly as the apiserver writes it, final line break included."""
    recorded = body(version, f"{name}.json")
    assert render(400, json.loads(recorded)["message"], []) == (b"application/json", recorded)


@pytest.mark.parametrize("version", VERSIONS)
def test_json_status_has_the_keys_of_a_server_in_order(version: str) -> None:
    """Keys come in the apiserver's order; the details are the only ones that are left out."""
    recorded = json.loads(body(version, "err-403.json"))
    rendered = json.loads(render(403, recorded["message"], [])[1])
    assert list(rendered) == [key for key in recorded if key != "details"]
    assert rendered == {key: value for key, value in recorded.items() if key != "details"}


def test_code_without_a_reason_has_none() -> None:
    """Kubernetes has no reason for 502: none is made up."""
    assert render(502, "no", [])[1] == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"no","code":502}\n'
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_protobuf_status_is_laid_out_as_a_servers(version: str) -> None:
    """The same fields in the same order as a real protobuf Status, less its details."""
    recorded_unknown, recorded = unwrap(body(version, "err-404-protobuf.bin"))
    content_type, data = render(403, "no", parse_accept([PROTOBUF]))
    unknown, status = unwrap(data)
    assert content_type == PROTOBUF.encode()
    assert [number for number, _ in unknown] == [number for number, _ in recorded_unknown] == [1, 2, 3, 4]
    assert (unknown[0], unknown[2], unknown[3]) == (recorded_unknown[0], recorded_unknown[2], recorded_unknown[3])
    assert [number for number, _ in status] == [number for number, _ in recorded if number != 5]
    assert dict(status)[1] == dict(recorded)[1]
    assert status == [(1, dict(recorded)[1]), (2, b"Failure"), (3, b"no"), (4, b"Forbidden"), (6, 403)]


def test_protobuf_status_is_length_prefixed() -> None:
    """Every byte of a short Status, as the recorded ones have it."""
    status = b"\x0a\x06\x0a\x00\x12\x00\x1a\x00\x12\x07Failure\x1a\x02no\x22\x00\x30\xf6\x03"
    expected = b"k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Status\x12" + bytes((len(status),)) + status + b"\x1a\x00\x22\x00"
    assert render(502, "no", parse_accept([PROTOBUF])) == (PROTOBUF.encode(), expected)


MESSAGE = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=300)


@given(st.sampled_from([400, 403, 408, 499, 502, 503, 504]), MESSAGE)
def test_all_encodings_say_the_same(code: int, message: str) -> None:
    """JSON, YAML and protobuf carry the same Status, whatever the message."""
    plain = json.loads(render(code, message, [])[1])
    assert (plain["code"], plain["message"], plain.get("reason")) == (code, message, REASONS.get(code))
    assert yaml.safe_load(render(code, message, parse_accept(["application/yaml"]))[1]) == plain
    status = dict(unwrap(render(code, message, parse_accept([PROTOBUF]))[1])[1])
    assert (status[6], status[3], status[4]) == (code, message.encode(), REASONS.get(code, "").encode())


def test_yaml_keys_are_sorted() -> None:
    """YAML is made from sorted keys, as on the apiserver."""
    lines = render(504, "no", parse_accept(["application/yaml"]))[1].decode().splitlines()
    assert lines == sorted(lines)
    assert lines[0] == "apiVersion: v1"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param([], "application/json", id="none"),
        pytest.param([""], "application/json", id="empty"),
        pytest.param(["*/*"], "application/json", id="any"),
        pytest.param(["application/*"], "application/json", id="any application"),
        pytest.param(["application/json, */*"], "application/json", id="kubectl --raw"),
        pytest.param([f"{TABLE},{TABLE}beta1,application/json"], "application/json", id="kubectl get"),
        pytest.param([TABLE], "application/json", id="Table alone: nothing fits"),
        pytest.param([f"{TABLE},application/yaml"], "application/yaml", id="conversion skipped"),
        pytest.param([PROTOBUF], PROTOBUF, id="protobuf"),
        pytest.param([f"{PROTOBUF},application/json"], PROTOBUF, id="typed client-go"),
        pytest.param([f"{PROTOBUF}, */*"], PROTOBUF, id="controller-runtime"),
        pytest.param([f"{PROTOBUF};{PARTIAL},application/json;{PARTIAL},application/json"], "application/json",
                     id="metadata client"),
        pytest.param([f"{PROTOBUF};{PARTIAL}"], "application/json", id="metadata alone: nothing fits"),
        pytest.param(["application/json;q=0.5,application/yaml"], "application/yaml", id="by quality"),
        pytest.param(["application/yaml;q=0.5", PROTOBUF], PROTOBUF, id="two lines"),
        pytest.param(["*/*,application/yaml"], "application/yaml", id="wildcard last"),
        pytest.param(["text/html"], "application/json", id="html: nothing fits"),
        pytest.param(["application/cbor,application/yaml;q=0.1"], "application/yaml", id="the next that there is"),
    ],
)  # fmt: skip
def test_errors_are_negotiated(accept: list[str], content_type: str) -> None:
    """A client gets the error in a media type that it reads; no error is converted to a Table."""
    rendered, data = render(503, "no", parse_accept(accept))
    assert rendered.decode() == content_type
    starts = {"application/json": b'{"kind":"Status"', "application/yaml": b"apiVersion: v1\n", PROTOBUF: b"k8s\x00"}
    assert data.startswith(starts[content_type])


@pytest.mark.parametrize(
    ("code", "text"), [(400, "Bad Request"), (403, "Forbidden"), (502, "Bad Gateway"), (504, "Gateway Timeout")]
)
def test_phrase_of_a_code(code: int, text: str) -> None:
    """The status line says what the code means."""
    assert phrase(code) == text


def test_phrase_of_499_is_nginxs() -> None:
    """The one code without an RFC has a phrase, too."""
    assert phrase(499) == "Client Closed Request"


def every_error(root: type[errors.RestreamError]) -> list[type[errors.RestreamError]]:
    """Return `root` and all that descends from it."""
    return [root, *(error for child in root.__subclasses__() for error in every_error(child))]


@pytest.mark.parametrize("error", every_error(errors.RestreamError))
def test_every_error_can_be_answered(error: type[errors.RestreamError]) -> None:
    """Each failure that the proxy reports has a code that renders, and a label of one word."""
    assert json.loads(render(error.status_hint, str(error("no")), [])[1])["code"] == error.status_hint
    assert phrase(error.status_hint)
    assert re.fullmatch("[a-z0-9_]+", error.reason)


def test_errors_have_labels_of_their_own() -> None:
    """No two failures are counted under one label."""
    found = every_error(errors.RestreamError)
    assert len({error.reason for error in found}) == len(found)
