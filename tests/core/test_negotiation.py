"""Accept lines, read as the apiserver reads them: what clients send, and what recorded servers answered."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.headers import parse_accept
from proxy.core.negotiation import BINARY, TRUE, Media, negotiate, without_binary
from proxy.core.request import classify
from tests.core.recorded import Exchange, exchanges

JSON, YAML, PROTOBUF, CBOR = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/cbor",
)
TABLE = "as=Table;v=v1;g=meta.k8s.io"
OLD_TABLE = "as=Table;v=v1beta1;g=meta.k8s.io"
PARTIAL = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
NOTHING = Media(takes_json=False)
OBJECT, BINARY_FIRST = Media(), Media(prefers_binary=True)

CLIENTS: dict[str, tuple[str, Media]] = {
    "kubectl get": (f"{JSON};{TABLE},{JSON};{OLD_TABLE},{JSON}", Media("table")),
    "kubectl -o json, dynamic client, Python client": (JSON, OBJECT),
    "kubectl get --raw, client-go without a preference": (f"{JSON}, */*", OBJECT),
    "client-go, typed": (f"{PROTOBUF},{JSON}", BINARY_FIRST),
    "client-go with protobuf, controller-runtime": (f"{PROTOBUF}, */*", BINARY_FIRST),
    "dynamic client with CBOR": (f"{JSON};q=0.9,{CBOR};q=1", BINARY_FIRST),
    "metadata client": (f"{PROTOBUF};{PARTIAL},{JSON};{PARTIAL},{JSON}", Media("partial", prefers_binary=True)),
    "curl": ("*/*", OBJECT),
    "browser": ("text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", OBJECT),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_gets_what_it_asks_for(name: str) -> None:
    """The form of the items, and whether JSON is only its second choice; of many lines the apiserver reads one."""
    accept, expected = CLIENTS[name]
    assert negotiate([accept], "", "") == expected
    assert negotiate([accept, YAML, PROTOBUF], "", "") == expected
    assert negotiate([accept.upper().replace("AS=", "as=")], "", "").takes_json


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ([], OBJECT),
        ([""], OBJECT),
        (["", ""], OBJECT),
        ([" "], NOTHING),
        (["nonsense"], NOTHING),
        ([YAML], NOTHING),
        ([PROTOBUF], NOTHING),
        ([CBOR], NOTHING),
        (["text/html"], NOTHING),
        (["application/*"], OBJECT),
        (["*/*"], OBJECT),
        (["text/*"], NOTHING),
        ([f"{YAML},{JSON}"], NOTHING),
        ([f"{JSON},{YAML}"], OBJECT),
        ([f"{YAML};q=0.5,{JSON}"], OBJECT),
        ([f"{JSON};q=0.5,{YAML}"], NOTHING),
        ([f"*/*,{YAML}"], NOTHING),
        ([f"*/*,{PROTOBUF}"], BINARY_FIRST),
        ([f"*/*;q=1,{PROTOBUF};q=0.5"], OBJECT),
        ([f"{JSON};q=0"], OBJECT),
        ([f"text/html,{JSON}"], OBJECT),
        ([f"{JSON},{PROTOBUF}"], OBJECT),
        ([f"{PROTOBUF};q=0.1,{JSON};q=0.2"], OBJECT),
        ([f"{PROTOBUF},{YAML},{JSON}"], NOTHING),
        ([f"{JSON}; as = Table ; v = v1 ; g = meta.k8s.io"], Media("table")),
        ([f'{JSON};as="Table";v="v1";g="meta.k8s.io"'], NOTHING),
        ([f"{JSON};stream=x,{YAML}"], NOTHING),
        ([f"{JSON};stream=watch"], OBJECT),
        ([f"{JSON};sv=v2,{JSON};{TABLE}"], Media("table")),
        ([f"{JSON};sv=v1"], OBJECT),
        ([f"{JSON};{OLD_TABLE}"], Media("table")),
        ([f"*/*;{TABLE}"], Media("table")),
        ([f"{JSON};as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io"], Media("partial")),
        ([f"{JSON};drop=metadata.managedFields"], OBJECT),
        ([f"{JSON};profile=nopeer;charset=utf-8"], OBJECT),
    ],
)
def test_first_clause_that_can_be_served_decides(accept: list[str], expected: Media) -> None:
    """By preference, then as written, wildcards last."""
    assert negotiate(accept, "", "") == expected


@pytest.mark.parametrize(
    "wanted",
    [
        "as=Table;v=v1",
        "as=Table;g=meta.k8s.io",
        "as=Table",
        "as=Table;v=v2;g=meta.k8s.io",
        "as=Table;v=v1;g=apps",
        "as=table;v=v1;g=meta.k8s.io",
        "as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io",
        "as=PodList;v=v1;g=meta.k8s.io",
        "as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        pytest.param(
            "v=v1;g=meta.k8s.io",
        ),
    ],
)
def test_conversion_that_does_not_exist_is_skipped(wanted: str) -> None:
    """Then the next clause is tried, and without one nothing can be served as JSON."""
    assert negotiate([f"{JSON};{wanted}"], "", "") == NOTHING
    assert negotiate([f"{JSON};{wanted},{JSON};{TABLE}"], "", "") == Media("table")
    assert negotiate([f"{PROTOBUF};{wanted},{JSON}"], "", "") == OBJECT


def test_table_is_never_binary() -> None:
    """Protobuf has no Tables, so that clause says nothing of a preference."""
    assert negotiate([f"{PROTOBUF};{TABLE},{JSON};{TABLE}"], "", "") == Media("table")


# --- pretty -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "query", "agent", "expected"),
    [
        ("", "", "", False),
        ("", "pretty", "", False),
        ("", "pretty=", "", False),
        ("", "pretty=1", "", True),
        ("", "pretty=t", "", True),
        ("", "pretty=T", "", True),
        ("", "pretty=true", "", True),
        ("", "pretty=TRUE", "", True),
        ("", "pretty=True", "", True),
        ("", "pretty=tRUE", "", False),
        ("", "pretty=yes", "", False),
        ("", "pretty=0", "", False),
        ("", "%70retty=1", "", True),
        ("", "pretty=%31", "", True),
        ("", "pretty=0&pretty=1", "", False),
        ("", "pretty=1&pretty=0", "", True),
        ("", "pretty=1;x", "", False),
        ("", "xpretty=1", "", False),
        ("", "", "curl/8.5.0", True),
        ("", "", "Wget/1.21", True),
        ("", "", "Mozilla/5.0 (X11)", True),
        ("", "", "Mozilla/4.0", False),
        ("", "", "libcurl", False),
        ("", "", "Curl", False),
        ("", "pretty=false", "curl/8.5.0", False),
        ("", "pretty=nonsense", "curl/8.5.0", False),
        ("", "pretty=", "curl/8.5.0", True),
        ("*/*", "", "curl/8.5.0", True),
        (f"{JSON};pretty=1", "", "", True),
        (f"{JSON};pretty=true", "", "", False),
        (f"{JSON};pretty=1", "pretty=0", "", True),
        (f"{JSON};pretty=0", "", "curl/8.5.0", True),
        (f"{YAML};pretty=1;q=0.5,{JSON}", "", "", False),
        (f"text/html;pretty=1,{JSON}", "", "", False),
        (f"{JSON};{TABLE};pretty=1", "", "", True),
    ],
)
def test_pretty_is_what_the_server_calls_so(accept: str, query: str, agent: str, *, expected: bool) -> None:
    """The matched clause, else the query, else who asks."""
    assert negotiate([accept] if accept else [], query, agent).is_pretty == expected


def test_go_parses_these_as_true() -> None:
    """strconv.ParseBool."""
    assert {"1", "t", "T", "true", "TRUE", "True"} == TRUE


# --- without binary ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ([f"{PROTOBUF},{JSON}"], JSON),
        ([f"{PROTOBUF}, */*"], "*/*"),
        ([f"{JSON};q=0.9,{CBOR};q=1"], f"{JSON};q=0.9"),
        ([f"{PROTOBUF};{PARTIAL},{JSON};{PARTIAL},{JSON}"], f"{JSON};{PARTIAL},{JSON}"),
        ([f"{PROTOBUF},{JSON}", YAML], JSON),
        ([f"{PROTOBUF.upper()} ; q=1, {JSON}"], JSON),
        ([f"{JSON},{PROTOBUF}x"], f"{JSON},{PROTOBUF}x"),
    ],
)
def test_binary_clauses_go_and_others_stay(accept: list[str], expected: str) -> None:
    """What is left asks for the same as the client's next choice."""
    assert without_binary(accept) == expected


CLAUSES = st.builds(
    lambda media, parameter, quality: f"{media}{parameter}{quality}",
    st.sampled_from([JSON, YAML, PROTOBUF, CBOR, "*/*", "application/*", "text/html", "text/*", PROTOBUF.upper(), "x"]),
    st.sampled_from(["", "", f";{TABLE}", f";{PARTIAL}", ";as=x", ";pretty=1"]),
    st.sampled_from(["", "", ";q=0.5", ";q=0.9", ";q=x", "; q=0"]),
)


@given(st.lists(st.lists(CLAUSES, min_size=1, max_size=3).map(",".join), min_size=1, max_size=2))
def test_what_is_left_without_binary_gets_the_same_as_json(accept: list[str]) -> None:
    """Whoever takes JSON still does, in the same form, and has no other choice before it."""
    media = negotiate(accept, "", "")
    if not media.takes_json:
        return
    left = without_binary(accept)
    assert negotiate([left], "", "") == Media(media.form, is_pretty=media.is_pretty)
    assert not any(clause.type in BINARY for clause in parse_accept([left]))


def test_what_is_left_without_binary_passes_go_restful() -> None:
    """Its check of built-in resources knows exact types and ``*/*`` only."""
    left = without_binary([f"{PROTOBUF}, application/*"])
    assert {clause.type for clause in parse_accept([left])} & {JSON, "*/*"}


# --- recorded ---------------------------------------------------------------------------------------------------------

FORMS = {"Table": "table", "PartialObjectMetadataList": "partial"}


@pytest.mark.parametrize("exchange", exchanges(), ids=lambda exchange: f"{exchange.version}/{exchange.name}")
def test_recorded_answers_are_foretold(exchange: Exchange) -> None:
    """What the two servers made of the same lines: JSON or not, of which form, indented or not."""
    if exchange.method != "GET" or classify("GET", exchange.target).verb != "list" or exchange.status != 200:
        return
    media = negotiate(exchange.accept, exchange.target.partition("?")[2], exchange.user_agent)
    if exchange.content_type != JSON:
        assert media.prefers_binary or not media.takes_json
        return
    assert media.takes_json
    if not exchange.content_encoding:
        assert media.form == FORMS.get(json.loads(exchange.body)["kind"], "object")
        assert media.is_pretty == exchange.body.startswith(b"{\n")
