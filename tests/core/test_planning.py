"""Plans: which requests may be cut, and which answers are."""

import json

import pytest

from proxy.core.headers import parse_accept
from proxy.core.planning import (
    BY_MODE,
    MODES,
    Buffered,
    ListMode,
    Plan,
    Raw,
    Streamed,
    judge_response,
    plan_request,
)
from proxy.core.request import classify
from tests.core.recorded import Exchange, exchanges

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def plan(method: str, target: str, accept: list[str], mode: ListMode = "auto", pinned_by: str = "settings") -> Plan:
    """Plan a request as the handler does."""
    return plan_request(classify(method, target), method, accept, mode=mode, pinned_by=pinned_by)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param([], Streamed("auto"), id="no Accept"),
        pytest.param([""], Streamed("auto"), id="empty Accept"),
        pytest.param([f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"], Streamed("auto"),
                     id="kubectl get"),
        pytest.param(["application/json"], Streamed("auto"), id="kubectl -o json, dynamic client, Python"),
        pytest.param(["application/json, */*"], Streamed("auto"), id="kubectl get --raw"),
        pytest.param([f"{PROTOBUF},application/json"], Streamed("auto"), id="typed client-go"),
        pytest.param([f"{PROTOBUF}, */*"], Streamed("auto"), id="controller-runtime"),
        pytest.param(["application/json;q=0.9,application/cbor;q=1"], Streamed("auto"), id="dynamic client with CBOR"),
        pytest.param([f"{PROTOBUF};{PARTIAL},application/json;{PARTIAL},application/json"], Streamed("auto"),
                     id="metadata client"),
        pytest.param(["*/*"], Streamed("auto"), id="curl"),
        pytest.param(["text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"], Streamed("auto"),
                     id="browser"),
        pytest.param(["application/*"], Streamed("auto"), id="any application"),
        pytest.param(["APPLICATION/JSON"], Streamed("auto"), id="capitals"),
        pytest.param([PROTOBUF, "application/json"], Streamed("auto"), id="two lines"),
        pytest.param(["application/json;q=0"], Streamed("auto"), id="q=0 is no refusal"),
        pytest.param([PROTOBUF], Raw("media_type"), id="protobuf only"),
        pytest.param([f"{PROTOBUF};{PARTIAL}"], Raw("media_type"), id="protobuf metadata only"),
        pytest.param(["application/yaml"], Raw("media_type"), id="yaml only"),
        pytest.param(["application/yaml,application/cbor"], Raw("media_type"), id="yaml or cbor"),
        pytest.param(["text/html"], Raw("media_type"), id="html"),
        pytest.param(["text/*"], Raw("media_type"), id="any text"),
        pytest.param(["application/jsonx"], Raw("media_type"), id="longer than json"),
    ],
)  # fmt: skip
def test_list_is_streamed_if_json_may_come(accept: list[str], expected: Plan) -> None:
    """What every client sends leads to a plan; a List that cannot come as JSON is not planned."""
    assert plan("GET", "/api/v1/pods", accept) == expected


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/apis/example.com/v1/widgets?limit=500", Streamed("auto")),
        ("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dx", Streamed("auto")),
        ("HEAD", "/api/v1/pods", Raw("head")),
        ("GET", "/api/v1/pods?watch=1", Raw("not_a_list_request")),
        ("GET", "/api/v1/watch/pods", Raw("not_a_list_request")),
        ("GET", "/api/v1/namespaces/a/pods/x", Raw("not_a_list_request")),
        ("GET", "/api/v1/nodes/n/proxy/pods", Raw("not_a_list_request")),
        ("DELETE", "/api/v1/pods", Raw("not_a_list_request")),
        ("POST", "/api/v1/namespaces/a/pods", Raw("not_a_list_request")),
        ("GET", "/api", Raw("not_a_list_request")),
        ("GET", "/apis", Raw("not_a_list_request")),
        ("GET", "/api/v1", Raw("not_a_list_request")),
        ("GET", "/version", Raw("not_a_list_request")),
        ("CONNECT", "host:443", Raw("not_a_list_request")),
    ],
)
@pytest.mark.parametrize("mode", ["auto", "streamed"])
def test_only_lists_are_planned(method: str, target: str, expected: Plan, mode: ListMode) -> None:
    """No setting makes the proxy cut what is not a GET of a collection."""
    made = plan(method, target, ["application/json"], mode, "auto")
    assert made == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("auto", Streamed("auto")), ("raw", Raw("a")), ("streamed", Streamed("a")), ("buffered", Buffered("a"))],
)
def test_mode_can_be_pinned(mode: ListMode, expected: Plan) -> None:
    """A pinned mode is taken, and the plan says who pinned it."""
    assert plan("GET", "/api/v1/pods", [], mode, "a") == expected


def test_pinned_mode_does_not_change_what_is_possible() -> None:
    """A List that comes as protobuf stays raw, and so does a raw List that comes as JSON."""
    assert plan("GET", "/api/v1/pods", [PROTOBUF], "buffered", "settings") == Raw("media_type")
    assert plan("GET", "/api/v1/pods", [PROTOBUF], "raw", "settings") == Raw("settings")


def test_every_mode_has_its_plan() -> None:
    """The mode that a plan reports is the one by which it is pinned."""
    assert {mode: BY_MODE[mode]("why").mode for mode in MODES} == {mode: mode for mode in MODES}


STREAMED, BUFFERED, RAW = Streamed("auto"), Buffered("header"), Raw("head")


@pytest.mark.parametrize("planned", [STREAMED, BUFFERED])
@pytest.mark.parametrize(
    ("status", "content_type", "encoding", "reason"),
    [
        (200, "application/json", "", None),
        (200, "application/json; charset=utf-8", "", None),
        (200, "application/json;as=Table;g=meta.k8s.io;v=v1", "", None),
        (200, "Application/JSON ;x", "", None),
        (200, "application/json", "identity", None),
        (200, "application/json", " Identity ", None),
        (200, "application/json", "gzip", "content_encoding"),
        (200, "application/json", "gzip, identity", "content_encoding"),
        (200, "application/vnd.kubernetes.protobuf", "", "media_type"),
        (200, "application/json-seq", "", "media_type"),
        (200, "application/yaml", "", "media_type"),
        (200, "text/plain; charset=utf-8", "", "media_type"),
        (200, "", "", "media_type"),
        (200, "application/yaml", "gzip", "media_type"),
        (201, "application/json", "", "status"),
        (204, "", "", "status"),
        (206, "application/json", "", "status"),
        (304, "application/json", "", "status"),
        (403, "application/json", "", "status"),
        (410, "application/json", "", "status"),
        (429, "text/plain", "gzip", "status"),
        (504, "", "", "status"),
    ],
)  # fmt: skip
def test_plan_is_kept_for_a_plain_json_200(
    planned: Plan, status: int, content_type: str, encoding: str, reason: str | None
) -> None:
    """An answer that cannot be a JSON List goes raw, and the reason says what stood in the way."""
    assert judge_response(planned, status, content_type, encoding) == (planned if reason is None else Raw(reason))


@pytest.mark.parametrize("status", [200, 404])
def test_raw_stays_raw(status: int) -> None:
    """An answer never changes the reason of a plan that was raw before."""
    assert judge_response(RAW, status, "application/json", "gzip") is RAW


@pytest.mark.parametrize("exchange", exchanges(), ids=lambda exchange: f"{exchange.version}/{exchange.name}")
def test_recorded_lists_are_planned_and_nothing_else(exchange: Exchange) -> None:
    """Of the recorded exchanges exactly the JSON Lists are cut."""
    made = plan(exchange.method, exchange.target, exchange.accept)
    judged = judge_response(made, exchange.status, exchange.content_type, exchange.content_encoding)
    is_plain = exchange.content_type == "application/json" and not exchange.content_encoding
    is_list = exchange.method == "GET" and exchange.status == 200 and is_plain and has_items(exchange.body)
    assert isinstance(judged, Streamed) == is_list


def has_items(body: bytes) -> bool:
    """Whether a body is one JSON document with an array of items, or its null."""
    try:
        return bool({"items", "rows"} & set(json.loads(body)))
    except ValueError:
        return False


def test_preference_is_read_in_one_place() -> None:
    """Planning asks whether JSON is acceptable at all; which clause wins is the upstream's to say."""
    accept = [f"{PROTOBUF};q=1,application/json;q=0.1"]
    assert parse_accept(accept)[0].type == PROTOBUF
    assert plan("GET", "/api/v1/pods", accept) == Streamed("auto")
