"""Plans: which requests may be cut, and which answers are."""

import json

import pytest

from proxy.core.headers import parse_accept
from proxy.core.listoptions import ListOptions
from proxy.core.negotiation import negotiate
from proxy.core.planning import (
    BY_MODE,
    MODES,
    Buffered,
    Facts,
    ListMode,
    ListRequest,
    Paged,
    Plan,
    Planner,
    Raw,
    Streamed,
    judge_response,
)
from proxy.core.request import classify
from proxy.core.weights import Weights
from tests.core.recorded import Exchange, exchanges

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PROTOBUF = "application/vnd.kubernetes.protobuf"
STREAMED = Streamed("streaming_encoder")


def plan(target: str, accept: list[str], mode: ListMode = "auto", pinned_by: str = "settings") -> Plan:
    """Plan a List of a server that streams them."""
    query = target.partition("?")[2]
    request = ListRequest(classify("GET", target), ListOptions.parse(query), negotiate(accept, query, "test"))
    return Planner(Facts(minor=34), Weights(2 << 20, 500, 64 << 20), 0.0).plan(request, mode, pinned_by)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param([], STREAMED, id="no Accept"),
        pytest.param([""], STREAMED, id="empty Accept"),
        pytest.param([f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"], Paged("table"),
                     id="kubectl get"),
        pytest.param(["application/json"], STREAMED, id="kubectl -o json, dynamic client, Python"),
        pytest.param(["application/json, */*"], STREAMED, id="kubectl get --raw"),
        pytest.param([f"{PROTOBUF},application/json"], STREAMED, id="typed client-go"),
        pytest.param([f"{PROTOBUF}, */*"], STREAMED, id="controller-runtime"),
        pytest.param(["application/json;q=0.9,application/cbor;q=1"], STREAMED, id="dynamic client with CBOR"),
        pytest.param([f"{PROTOBUF};{PARTIAL},application/json;{PARTIAL},application/json"], Paged("partial"),
                     id="metadata client"),
        pytest.param(["*/*"], STREAMED, id="curl"),
        pytest.param(["text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"], STREAMED,
                     id="browser"),
        pytest.param(["application/*"], STREAMED, id="any application"),
        pytest.param(["APPLICATION/JSON"], STREAMED, id="capitals"),
        pytest.param([PROTOBUF, "application/json"], STREAMED, id="two lines"),
        pytest.param(["application/json;q=0"], STREAMED, id="q=0 is no refusal"),
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
    assert plan("/api/v1/pods", accept) == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("auto", STREAMED),
        ("raw", Raw("a")),
        ("streamed", Streamed("a")),
        ("paged", Paged("a")),
        ("buffered", Buffered("a")),
    ],
)
def test_mode_can_be_pinned(mode: ListMode, expected: Plan) -> None:
    """A pinned mode is taken, and the plan says who pinned it."""
    assert plan("/api/v1/pods", [], mode, "a") == expected


def test_pinned_mode_does_not_change_what_is_possible() -> None:
    """A List that comes as protobuf stays raw, and so does a raw List that comes as JSON."""
    assert plan("/api/v1/pods", [PROTOBUF], "buffered", "settings") == Raw("media_type")
    assert plan("/api/v1/pods", [PROTOBUF], "raw", "settings") == Raw("settings")


def test_every_mode_has_its_plan() -> None:
    """The mode that a plan reports is the one by which it is pinned."""
    assert {mode: BY_MODE[mode]("why").mode for mode in MODES} == {mode: mode for mode in MODES}


BUFFERED, RAW = Buffered("header"), Raw("head")


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
    """Of the recorded Lists exactly those that are JSON are cut."""
    if exchange.method != "GET" or classify("GET", exchange.target).verb != "list":
        return
    made = plan(exchange.target, exchange.accept)
    judged = judge_response(made, exchange.status, exchange.content_type, exchange.content_encoding)
    is_plain = exchange.content_type == "application/json" and not exchange.content_encoding
    is_list = exchange.method == "GET" and exchange.status == 200 and is_plain and has_items(exchange.body)
    assert isinstance(judged, (Streamed, Paged)) == is_list


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
    assert plan("/api/v1/pods", accept) == STREAMED
