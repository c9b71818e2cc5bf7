"""Plans: which requests may be cut, and which answers are."""

import json
from dataclasses import dataclass, replace
from itertools import product

import pytest

from proxy.core.headers import Lines, parse_accept
from proxy.core.listoptions import ListOptions
from proxy.core.negotiation import negotiate
from proxy.core.planning import (
    BY_MODE,
    MODES,
    UNSTITCHABLE,
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
        pytest.param([PROTOBUF, "application/json"], Raw("media_type"), id="two lines, of which the server reads one"),
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
    assert judge_response(planned, status, _lines(content_type, encoding)) == (
        planned if reason is None else Raw(reason)
    )


@pytest.mark.parametrize("status", [200, 404])
def test_raw_stays_raw(status: int) -> None:
    """An answer never changes the reason of a plan that was raw before."""
    assert judge_response(RAW, status, _lines("application/json", "gzip")) is RAW


@pytest.mark.parametrize("exchange", exchanges(), ids=lambda exchange: f"{exchange.version}/{exchange.name}")
def test_recorded_lists_are_planned_and_nothing_else(exchange: Exchange) -> None:
    """Of the recorded Lists exactly those that are JSON are cut."""
    if exchange.method != "GET" or classify("GET", exchange.target).verb != "list":
        return
    made = plan(exchange.target, exchange.accept)
    judged = judge_response(made, exchange.status, _lines(exchange.content_type, exchange.content_encoding))
    is_plain = exchange.content_type == "application/json" and not exchange.content_encoding
    is_list = exchange.method == "GET" and exchange.status == 200 and is_plain and has_items(exchange.body)
    assert isinstance(judged, (Streamed, Paged)) == is_list


def _lines(content_type: str, content_encoding: str) -> Lines:
    """Return the header lines of a response; an empty value stands for none."""
    lines = ((b"Content-Type", content_type), (b"Content-Encoding", content_encoding))
    return [(name, value.encode()) for name, value in lines if value]


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


# --- auto -------------------------------------------------------------------------------------------------------------

PODS = "/api/v1/pods"
DEPLOYMENTS = "/apis/apps/v1/deployments"
EVENTS = "/api/v1/namespaces/a/events"
NEW_EVENTS = "/apis/events.k8s.io/v1/events"
WIDGETS = "/apis/example.com/v1/widgets"
METRICS = "/apis/metrics.k8s.io/v1beta1/pods"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HEAVY = 65 << 20
ACCEPTS = {"object": "application/json", "table": TABLE, "partial": f"application/json;{PARTIAL}"}
NEITHER: frozenset[tuple[str, str]] = frozenset()
WIDGETS_ARE_AGGREGATED = frozenset({("example.com", "v1")})


@dataclass(frozen=True, slots=True)
class Case:
    """A List, and what is known when it is asked for."""

    target: str = PODS
    minor: int | None = 34
    accept: str = "application/json"
    aggregated: frozenset[tuple[str, str]] | None = None
    mode: ListMode = "auto"
    agent: str = ""
    list_bytes: int = 0
    is_foreign: bool = False
    is_distrusted: bool = False
    item_bytes: int = 0

    @property
    def request(self) -> ListRequest:
        """Return the request as the handler reads it."""
        query = self.target.partition("?")[2]
        media = negotiate([self.accept], query, self.agent)
        return ListRequest(classify("GET", self.target), ListOptions.parse(query), media)

    def plan(self) -> Plan:
        """Plan it, ten seconds after everything was learnt."""
        request, weights = self.request, Weights(2 << 20, 500, 64 << 20)
        if self.list_bytes:
            weights.learn_list(request.key, self.list_bytes)
        if self.is_foreign:
            weights.learn_foreign(request.key, is_foreign=True)
        if self.is_distrusted:
            weights.distrust(request.key, 0.0)
        if self.item_bytes:
            weights.learn_items(request.key, "object", 10, 10 * self.item_bytes)
        return Planner(Facts(self.minor, self.aggregated), weights, 10.0).plan(request, self.mode, "settings")


ANY = f"{PODS}?resourceVersion=0"
WHOLE = Paged("whole_encoder")
CLIENT_PAGES = Streamed("client_pages")
AGGREGATED = Paged("aggregated")

AUTO: list[tuple[str, Case, Plan]] = [
    # From 1.33 on JSON Lists are encoded item by item, Tables and metadata are not.
    ("1.33", Case(minor=33), STREAMED),
    ("1.36", Case(minor=36), STREAMED),
    ("1.36, any state", Case(ANY, 36), STREAMED),
    ("1.36, state N", Case(f"{PODS}?resourceVersion=5", 36), STREAMED),
    ("1.36, exactly N", Case(f"{PODS}?resourceVersion=5&resourceVersionMatch=Exact", 36), STREAMED),
    ("1.36, selected", Case(f"{PODS}?labelSelector=a%3Db", 36), STREAMED),
    ("1.36, heavy", Case(minor=36, list_bytes=HEAVY), STREAMED),
    ("1.36, protobuf first", Case(minor=36, accept=f"{PROTOBUF},application/json"), STREAMED),
    ("1.36, Table", Case(minor=36, accept=TABLE), Paged("table")),
    ("1.36, Table, any state", Case(ANY, 36, TABLE), Paged("table")),
    ("1.36, metadata", Case(minor=36, accept=ACCEPTS["partial"]), Paged("partial")),
    ("1.36, Table of widgets", Case(WIDGETS, 36, TABLE), Paged("table")),
    ("1.36, widgets", Case(WIDGETS, 36), STREAMED),
    # Before, they are put together as a whole.
    ("1.30", Case(minor=30), WHOLE),
    ("1.31", Case(minor=31), WHOLE),
    ("1.32", Case(minor=32), WHOLE),
    ("1.32, Table", Case(minor=32, accept=TABLE), WHOLE),
    ("1.32, metadata", Case(minor=32, accept=ACCEPTS["partial"]), WHOLE),
    ("1.32, protobuf first", Case(minor=32, accept=f"{PROTOBUF},application/json"), WHOLE),
    ("1.32, widgets", Case(WIDGETS, 32), WHOLE),
    ("1.32, state N", Case(f"{PODS}?resourceVersion=5", 32), WHOLE),
    ("1.32, not before N", Case(f"{PODS}?resourceVersion=5&resourceVersionMatch=NotOlderThan", 32), WHOLE),
    ("1.32, exactly N", Case(f"{PODS}?resourceVersion=5&resourceVersionMatch=Exact", 32), WHOLE),
    ("1.32, one object's List", Case(f"{PODS}?fieldSelector=metadata.name%3Da", 32), WHOLE),
    # Any state comes from the watch cache; up to 1.30 pages of it would come from etcd.
    ("1.31, any state", Case(ANY, 31), WHOLE),
    ("1.30, any state", Case(ANY, 30), Streamed("watch_cache")),
    ("1.30, any state, Table", Case(ANY, 30, TABLE), Streamed("watch_cache")),
    ("1.30, any state, limit", Case(f"{ANY}&limit=500", 30), Streamed("watch_cache")),
    ("1.30, any state, heavy", Case(ANY, 30, list_bytes=HEAVY), WHOLE),
    ("1.30, any state, heavy, limit", Case(f"{ANY}&limit=500", 30, list_bytes=HEAVY), WHOLE),
    ("1.30, any state, as heavy as may be", Case(ANY, 30, list_bytes=64 << 20), Streamed("watch_cache")),
    ("1.30, any state, heavy, a part", Case(f"{ANY}&labelSelector=a", 30, list_bytes=HEAVY), Streamed("watch_cache")),
    (
        "1.30, any state, heavy, a namespace",
        Case("/api/v1/namespaces/a/pods?resourceVersion=0", 30, list_bytes=HEAVY),
        Streamed("watch_cache"),
    ),
    # Nobody knows what serves the List.
    ("unknown version", Case(minor=None), Paged("unknown_version")),
    ("unknown version, any state", Case(ANY, None), Paged("unknown_version")),
    ("unknown version, Table", Case(minor=None, accept=TABLE), Paged("unknown_version")),
    ("unknown version, widgets", Case(WIDGETS, None), Paged("unknown_version")),
    ("aggregated", Case(WIDGETS, 36, aggregated=WIDGETS_ARE_AGGREGATED), AGGREGATED),
    ("aggregated, Table", Case(WIDGETS, 36, TABLE, WIDGETS_ARE_AGGREGATED), AGGREGATED),
    ("aggregated, 1.30, any state", Case(f"{WIDGETS}?resourceVersion=0", 30, is_foreign=True), AGGREGATED),
    ("aggregated, unknown version", Case(WIDGETS, None, is_foreign=True), AGGREGATED),
    ("another version is", Case(WIDGETS, 36, aggregated=frozenset({("example.com", "v2")})), STREAMED),
    ("foreign", Case(WIDGETS, 36, is_foreign=True), AGGREGATED),
    ("foreign, but known not to be", Case(WIDGETS, 36, aggregated=NEITHER, is_foreign=True), STREAMED),
    ("metrics", Case(METRICS, 36), AGGREGATED),
    ("metrics, of kube-apiserver itself", Case(METRICS, 36, aggregated=NEITHER), STREAMED),
    ("built-in is never foreign", Case(PODS, 36, is_foreign=True), STREAMED),
    ("built-in is never aggregated", Case(DEPLOYMENTS, 36, aggregated=frozenset({("apps", "v1")})), STREAMED),
    ("CRDs are built-in", Case(CRDS, 36, is_foreign=True), STREAMED),
    # The client's own pages.
    ("limit", Case(f"{PODS}?limit=500", 36), CLIENT_PAGES),
    ("limit, Table", Case(f"{PODS}?limit=500", 36, TABLE), CLIENT_PAGES),
    ("limit, 1.30", Case(f"{PODS}?limit=500", 30), CLIENT_PAGES),
    ("limit, unknown version", Case(f"{PODS}?limit=500", None), CLIENT_PAGES),
    ("limit, aggregated", Case(f"{WIDGETS}?limit=500", 36, aggregated=WIDGETS_ARE_AGGREGATED), CLIENT_PAGES),
    ("limit, state N", Case(f"{PODS}?limit=500&resourceVersion=5", 32), CLIENT_PAGES),
    ("limit that is ignored", Case(f"{ANY}&limit=500", 36), STREAMED),
    ("limit that is ignored, Table", Case(f"{ANY}&limit=500", 36, TABLE), Paged("table")),
    ("limit that is ignored, 1.32", Case(f"{ANY}&limit=500", 32), WHOLE),
    ("limit that is ignored, widgets", Case(f"{WIDGETS}?limit=500&resourceVersion=0", 32), WHOLE),
    ("limit of events", Case(f"{EVENTS}?limit=500&resourceVersion=0", 32), CLIENT_PAGES),
    ("limit of new events", Case(f"{NEW_EVENTS}?limit=500&resourceVersion=0", 36), CLIENT_PAGES),
    (
        "limit, any state, aggregated",
        Case(f"{WIDGETS}?limit=500&resourceVersion=0", 36, aggregated=WIDGETS_ARE_AGGREGATED),
        CLIENT_PAGES,
    ),
    ("no limit", Case(f"{PODS}?limit=0", 32), WHOLE),
    ("token", Case(f"{PODS}?continue=x", 32), CLIENT_PAGES),
    ("token and limit", Case(f"{PODS}?continue=x&limit=5", 36, TABLE), CLIENT_PAGES),
    ("token, any state", Case(f"{PODS}?continue=x&limit=5&resourceVersion=0", 36), CLIENT_PAGES),
    ("limit of heavy items", Case(f"{PODS}?limit=500", 36, item_bytes=1 << 20), replace(CLIENT_PAGES, limit=64)),
    ("token, limit of heavy items", Case(f"{PODS}?limit=500&continue=x", 36, item_bytes=1 << 20),
     replace(CLIENT_PAGES, limit=64)),
    ("low limit of heavy items", Case(f"{PODS}?limit=64", 36, item_bytes=1 << 20), CLIENT_PAGES),
    ("token without a limit, heavy items", Case(f"{PODS}?continue=x", 36, item_bytes=1 << 20), CLIENT_PAGES),
    # What gets in the way.
    ("invalid", Case(f"{PODS}?limit=x", 32), Streamed("options")),
    ("invalid, any version", Case(f"{PODS}?resourceVersionMatch=Exact", None), Streamed("options")),
    ("protobuf only", Case(minor=32, accept=PROTOBUF), Raw("media_type")),
    ("protobuf only, with a token", Case(f"{PODS}?continue=x", 32, PROTOBUF), Raw("media_type")),
    ("indented", Case(f"{PODS}?pretty=1", 32), Raw("pretty")),
    ("indented, 1.36, Table", Case(f"{PODS}?pretty=1", 36, TABLE), Raw("pretty")),
    ("indented, for curl", Case(minor=32, agent="curl/8"), Raw("pretty")),
    ("indented page", Case(f"{PODS}?pretty=1&limit=5", 32), CLIENT_PAGES),
    ("distrusted", Case(minor=32, is_distrusted=True), UNSTITCHABLE),
    ("distrusted, Table", Case(minor=36, accept=TABLE, is_distrusted=True), UNSTITCHABLE),
    ("distrusted, streamed anyway", Case(minor=36, is_distrusted=True), STREAMED),
    ("distrusted, the client's pages", Case(f"{PODS}?limit=5", 32, is_distrusted=True), CLIENT_PAGES),
]  # fmt: skip


@pytest.mark.parametrize(("case", "expected"), [entry[1:] for entry in AUTO], ids=[entry[0] for entry in AUTO])
def test_auto_picks_by_what_it_costs_the_server(case: Case, expected: Plan) -> None:
    """What is assembled as a whole is asked for in pages, where its pages are cheaper and make the same List."""
    assert case.plan() == expected


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case(mode="paged", minor=36), Paged("settings")),
        (Case(ANY, 30, mode="paged"), Paged("settings")),
        (Case(mode="paged", minor=None, accept=f"{PROTOBUF},application/json"), Paged("settings")),
        (Case(f"{ANY}&limit=500", 36, mode="paged"), Paged("settings")),
        (Case(f"{PODS}?limit=500", 36, mode="paged"), CLIENT_PAGES),
        (Case(f"{PODS}?continue=x", 36, mode="paged"), CLIENT_PAGES),
        (Case(f"{PODS}?limit=x", 36, mode="paged"), Streamed("options")),
        (Case(f"{PODS}?pretty=1", 36, mode="paged"), Raw("pretty")),
        (Case(mode="paged", is_distrusted=True), UNSTITCHABLE),
        (Case(mode="paged", accept=PROTOBUF), Raw("media_type")),
        (Case(f"{PODS}?pretty=1", 32, mode="streamed"), Streamed("settings")),
        (Case(f"{PODS}?limit=500", 32, mode="streamed", item_bytes=1 << 20), Streamed("settings")),
        (Case(f"{PODS}?limit=x", 32, mode="streamed"), Streamed("settings")),
        (Case(mode="streamed", accept=PROTOBUF), Raw("media_type")),
        (Case(f"{PODS}?continue=x", mode="buffered"), Buffered("settings")),
        (Case(f"{PODS}?limit=x", mode="raw", accept=PROTOBUF), Raw("settings")),
    ],
)
def test_pinned_mode_gives_way_to_what_cannot_be(case: Case, expected: Plan) -> None:
    """A pinned plan is taken as far as the request allows, and no further."""
    assert case.plan() == expected


REASONS = {
    "settings", "media_type", "options", "client_pages", "pretty", "unstitchable", "aggregated", "unknown_version",
    "streaming_encoder", "table", "partial", "watch_cache", "whole_encoder",
}  # fmt: skip
"""They become labels of metrics: the set is closed."""

QUERIES = [
    "", "limit=500", "limit=0", "limit=x", "continue=x", "continue=x&limit=5", "resourceVersion=0",
    "resourceVersion=0&limit=500", "resourceVersion=5", "resourceVersion=5&limit=500", "resourceVersion=5&continue=x",
    "resourceVersion=5&resourceVersionMatch=Exact", "labelSelector=a&resourceVersion=0", "pretty=1", "pretty=1&limit=5",
]  # fmt: skip
MODES_TO_PIN: list[ListMode] = ["auto", "raw", "streamed", "paged", "buffered"]


@pytest.mark.parametrize("mode", MODES_TO_PIN)
@pytest.mark.parametrize("minor", [None, 30, 31, 32, 33, 36])
def test_every_plan_keeps_its_promises(minor: int | None, mode: ListMode) -> None:
    """Over all combinations of what is asked for and what is known: what a plan may never be."""
    targets = [PODS, EVENTS, WIDGETS]
    accepts = [*ACCEPTS.values(), PROTOBUF]
    aggregated = [None, NEITHER, WIDGETS_ARE_AGGREGATED]
    known = [(0, False, False), (HEAVY, False, False), (0, True, False), (0, False, True), (HEAVY, True, True)]
    for target, query, accept, groups, (heavy, foreign, distrusted) in product(
        targets, QUERIES, accepts, aggregated, known
    ):
        case = Case(
            f"{target}?{query}",
            minor,
            accept,
            groups,
            mode,
            list_bytes=heavy,
            is_foreign=foreign,
            is_distrusted=distrusted,
        )
        keeps_its_promises(case, case.plan())


def keeps_its_promises(case: Case, plan: Plan) -> None:
    """Check what holds whatever the rules for `auto` are."""
    request = case.request
    options, media = request.options, request.media
    assert plan.reason in REASONS
    if case.mode == "raw":
        assert plan == Raw("settings")
    elif not media.takes_json:
        assert plan == Raw("media_type")
    if isinstance(plan, Paged):
        assert case.mode in ("auto", "paged")
        assert options.is_valid
        assert not any((options.token, media.is_pretty, case.is_distrusted))
        # A limit counts but in any state out of the watch cache: else the client would get more than it asked for.
        assert not options.limit or (options.version == "0" and request.info.resource != "events")
    if isinstance(plan, Streamed):
        assert plan.limit == 0
    if isinstance(plan, Buffered):
        assert case.mode == "buffered"
    if case.mode == "auto" and media.takes_json and options.token and options.is_valid:
        assert plan == CLIENT_PAGES
