"""What a List is asked with: read as the apiserver reads it, and rewritten so that a page means what was asked for."""

import re
from urllib.parse import unquote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.backend import listoptions as backend
from proxy.backend.selectors import EVERYTHING
from proxy.backend.status import ApiError
from proxy.core.listoptions import OWN, ListOptions, first_page, next_page, with_limit
from proxy.core.request import classify
from tests.core.recorded import Exchange, exchanges

TOKEN = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MzA0LCJzdGFydCI6Ii9hLWIvd2ViLTAxM1x1MDAwMCJ9"

# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", ListOptions()),
        ("&&", ListOptions()),
        ("limit=500", ListOptions(limit=500)),
        ("limit=0", ListOptions()),
        ("limit=-1", ListOptions()),
        ("limit=", ListOptions()),
        ("limit", ListOptions()),
        ("limit=007", ListOptions(limit=7)),
        ("limit=%2B5", ListOptions(limit=5)),
        ("limit=9223372036854775807", ListOptions(limit=(1 << 63) - 1)),
        ("limit=9223372036854775808", ListOptions(limit=None)),
        ("limit=+5", ListOptions(limit=None)),
        ("limit=5x", ListOptions(limit=None)),
        ("limit=1e3", ListOptions(limit=None)),
        ("limit=5_0", ListOptions(limit=None)),
        ("limit=%D9%A5", ListOptions(limit=None)),
        ("limit=5&limit=6", ListOptions(limit=5)),
        ("limit=;&limit=6", ListOptions(limit=6)),
        ("limit=%&limit=6", ListOptions(limit=6)),
        ("%6cimit=5", ListOptions(limit=5)),
        ("%6Cimit=5&limit=6", ListOptions(limit=5)),
        ("Limit=5", ListOptions()),
        ("+limit=5", ListOptions()),
        ("limit=5;continue=x", ListOptions()),
        ("limit%3D5", ListOptions()),
        ("continue=a%2Bb%26limit%3D5", ListOptions(token="a+b&limit=5")),
        ("continue=a=b", ListOptions(token="a=b")),
        ("resourceVersion=0", ListOptions(version="0")),
        ("resourceVersion=304&resourceVersionMatch=Exact", ListOptions(version="304", match="Exact")),
        ("sendInitialEvents=false", ListOptions(sends_initial_events=True)),
        ("sendInitialEvents", ListOptions(sends_initial_events=True)),
        ("labelSelector=app%3Dweb", ListOptions(selects=True)),
        ("labelSelector=", ListOptions()),
        ("fieldSelector=spec.nodeName%3Da", ListOptions(selects=True)),
        ("shardSelector=x", ListOptions(selects=True)),
        ("labelSelector=&labelSelector=app", ListOptions()),
        ("timeoutSeconds=5&pretty=true&includeObject=None", ListOptions()),
    ],
)
def test_query_is_read_as_go_reads_it(query: str, options: ListOptions) -> None:
    """Pairs that do not exist for Go do not exist here, and of repeated ones the first counts."""
    assert ListOptions.parse(query) == options


VALID = [
    ("", True),
    ("limit=5", True),
    ("limit=abc", False),
    ("continue=x", True),
    ("continue=x&limit=5", True),
    ("continue=x&resourceVersion=0", True),
    ("continue=x&resourceVersion=", True),
    ("continue=x&resourceVersion=5", False),
    ("continue=x&resourceVersion=00", False),
    ("continue=x&resourceVersionMatch=NotOlderThan", False),
    ("continue=x&resourceVersion=0&resourceVersionMatch=NotOlderThan", False),
    ("continue=x&resourceVersionMatch=", True),
    ("resourceVersion=0", True),
    ("resourceVersion=5", True),
    ("resourceVersion=5&limit=5", True),
    ("resourceVersion=18446744073709551615", True),
    ("resourceVersion=99999999999999999999", False),
    ("resourceVersion=123456789012345678901", False),
    ("resourceVersion=-1", False),
    ("resourceVersion=%2B5", False),
    ("resourceVersion=1.0", False),
    ("resourceVersion=abc", False),
    ("resourceVersion=5%0A", False),
    ("resourceVersion=%D9%A5", False),
    ("resourceVersion=+", False),
    ("resourceVersionMatch=Exact", False),
    ("resourceVersionMatch=NotOlderThan", False),
    ("resourceVersion=&resourceVersionMatch=Exact", False),
    ("resourceVersion=0&resourceVersionMatch=NotOlderThan", True),
    ("resourceVersion=0&resourceVersionMatch=Exact", False),
    ("resourceVersion=5&resourceVersionMatch=Exact", True),
    ("resourceVersion=5&resourceVersionMatch=NotOlderThan", True),
    ("resourceVersion=5&resourceVersionMatch=exact", False),
    ("resourceVersion=5&resourceVersionMatch=MostRecent", False),
    ("resourceVersion=5&resourceVersionMatch=", True),
    ("sendInitialEvents=true", False),
    ("sendInitialEvents=false", False),
    ("sendInitialEvents=", False),
    ("watch=0&resourceVersion=5", True),
]


@pytest.mark.parametrize(("query", "expected"), VALID, ids=[query or "nothing" for query, _ in VALID])
def test_only_what_an_apiserver_takes_is_valid(query: str, *, expected: bool) -> None:
    """What it would refuse is left alone, to be refused there."""
    assert ListOptions.parse(query).is_valid == expected


NOT_OF_OPTIONS = {"err-400-continue", "err-400-selector"}
"""Recorded refusals of what only the apiserver can read."""


@pytest.mark.parametrize("exchange", exchanges(), ids=lambda exchange: f"{exchange.version}/{exchange.name}")
def test_recorded_servers_agree_on_what_is_valid(exchange: Exchange) -> None:
    """400 and 422 are what the recorded servers answered to Lists that are invalid here, and to no others."""
    if classify(exchange.method, exchange.target).verb == "list" and exchange.name not in NOT_OF_OPTIONS:
        options = ListOptions.parse(exchange.target.partition("?")[2])
        assert options.is_valid == (exchange.status not in (400, 422))


@pytest.mark.parametrize(
    ("query", "wants_any"),
    [
        ("", False),
        ("limit=5", False),
        ("continue=x", False),
        ("resourceVersion=0", True),
        ("limit=5&resourceVersion=0", True),
        ("limit=5&continue=x&resourceVersion=0", False),
        ("resourceVersion=00", False),
        ("resourceVersion=5", False),
    ],
)
def test_any_state_is_told(query: str, *, wants_any: bool) -> None:
    """The apiserver compares it as a string."""
    assert ListOptions.parse(query).wants_any == wants_any


# --- rewriting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "limit=5"),
        ("limit=500", "limit=5"),
        ("limit=-1", "limit=5"),
        ("resourceVersion=", "limit=5"),
        ("continue=", "limit=5"),
        ("resourceVersion=0", "limit=5&resourceVersion=1&resourceVersionMatch=NotOlderThan"),
        ("limit=500&resourceVersion=0", "limit=5&resourceVersion=1&resourceVersionMatch=NotOlderThan"),
        (
            "resourceVersion=0&resourceVersionMatch=NotOlderThan",
            "limit=5&resourceVersion=1&resourceVersionMatch=NotOlderThan",
        ),
        ("resourceVersion=304", "limit=5&resourceVersion=304&resourceVersionMatch=NotOlderThan"),
        (
            "resourceVersionMatch=NotOlderThan&resourceVersion=304",
            "limit=5&resourceVersion=304&resourceVersionMatch=NotOlderThan",
        ),
        (
            "resourceVersion=304&resourceVersionMatch=Exact",
            "limit=5&resourceVersion=304&resourceVersionMatch=Exact",
        ),
        ("resourceVersion=304&resourceVersion=0", "limit=5&resourceVersion=304&resourceVersionMatch=NotOlderThan"),
        ("a=b&resourceVersion=0&c=d", "a=b&c=d&limit=5&resourceVersion=1&resourceVersionMatch=NotOlderThan"),
    ],
)
def test_page_1_means_what_the_unpaged_list_means(query: str, expected: str) -> None:
    """With a limit a bare resourceVersion would mean Exact, and 0 that the limit is ignored."""
    assert first_page(query, ListOptions.parse(query), 5) == expected


@pytest.mark.parametrize("query", ["", "resourceVersion=0", "resourceVersion=304&resourceVersionMatch=Exact&limit=9"])
def test_later_pages_have_the_token_only(query: str) -> None:
    """A token with a resourceVersion is a 400, with a match a 422."""
    assert next_page(query, TOKEN, 7) == f"limit=7&continue={TOKEN}"


KEPT = [
    "labelSelector=app%3Dweb%2Ctier+in+%28a%29",
    "labelSelector=app=web,x",
    "fieldSelector=metadata.name%3da",
    "pretty=true",
    "timeoutSeconds=5",
    "includeObject=Object",
    "a",
    "a=",
    "=b",
    "=",
    "limit;x=5",
    "limit=5;continue=x",
    ";",
    "limit=%zz",
    "%limit=5",
    "continue=%",
    "Limit=5",
    "limit%20=5",
    "+limit=5",
    "limit+=5",
    "xlimit=5",
    "limit%00=5",
    "resourceversion=5",
    "resourceVersion[]=5",
    "x=%6c",
    "x=a+b",
    "x=%C3%A9",
    "x=%ff",
    "x=\xe9",
    "x=?#/:@",
    "x=1",
    "x=2",
]
"""Pairs that are not ours, in every spelling that Go would not read as ours either."""

DROPPED = [
    "limit",
    "limit=5",
    "%6cimit=5",
    "%6C%69%6D%69%74=x",
    "limit==",
    "continue=x%26",
    "c%6Fntinue=x",
    "resourceVersion=5",
    "resource%56ersion=",
    "resourceVersionMatch=Exact",
    "resourceVersionMatch=+",
]


@pytest.mark.parametrize("pair", KEPT)
def test_every_other_pair_stays_as_it_is(pair: str) -> None:
    """Byte for byte and in its place: also what Go does not read, as others may."""
    query = f"x=0&{pair}&limit=9&{pair}&y=0"
    kept = f"x=0&{pair}&{pair}&y=0"
    assert first_page(query, ListOptions(limit=9), 5) == f"{kept}&limit=5"
    assert next_page(query, "t", 5) == f"{kept}&limit=5&continue=t"
    assert with_limit(query, 5) == f"{kept}&limit=5"


@pytest.mark.parametrize("pair", DROPPED)
def test_own_pairs_go_however_they_are_written(pair: str) -> None:
    """The first of repeated keys counts, so one that is overlooked would win over ours."""
    assert first_page(f"{pair}&x=1&{pair}", ListOptions(), 5) == "x=1&limit=5"
    assert next_page(f"{pair}&x=1", "t", 5) == "x=1&limit=5&continue=t"


def test_lower_limit_changes_nothing_else() -> None:
    """A client's own token and resourceVersion stay where they were."""
    query = f"limit=500&continue={TOKEN}&resourceVersion=0&%6cimit=7&a=b"
    assert with_limit(query, 5) == f"continue={TOKEN}&resourceVersion=0&a=b&limit=5"


def test_nothing_is_left_of_empty_pairs() -> None:
    """They are none to Go; what is rewritten never begins or ends with a separator."""
    assert first_page("&&a=b&&", ListOptions(), 5) == "a=b&limit=5"
    assert with_limit("&", 5) == "limit=5"


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
@example("a+b/c=&limit=9;#% \x00é\U0001f600")
def test_any_token_comes_back_as_it_was(token: str) -> None:
    """Tokens are opaque; what is asked for is ASCII, and one pair."""
    query = next_page("x=1", token, 5)
    assert re.fullmatch(r"x=1&limit=5&continue=[A-Za-z0-9%._~-]+", query)
    assert backend.parse_query(query)["continue"] == token
    assert ListOptions.parse(query).token == token


# --- against a parser that shares nothing with this one ---------------------------------------------------------------

KEYS = st.sampled_from(
    ["limit", "continue", "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "labelSelector", "x", "y", ""]
)
VALUES = {
    "limit": ["", "0", "5", "%35", "-7", "abc", "500", "%2B5", "+5", "9223372036854775807", "9223372036854775808"],
    "continue": ["", "", "x", "a%2Bb", "a+b", "%26"],
    "resourceVersion": ["", "0", "0", "1", "304", "%30", "007", "-1", "abc", "18446744073709551615"],
    "resourceVersionMatch": ["", "Exact", "NotOlderThan", "NotOlder%54han", "exact"],
    "sendInitialEvents": ["true", "false", ""],
    "labelSelector": ["", "a%3Db", "a=b"],
}


@st.composite
def pairs(draw: st.DrawFn) -> str:
    """Draw a pair: mostly a parameter, perhaps percent-encoded or broken."""
    key = draw(KEYS)
    value = draw(st.sampled_from(VALUES.get(key, ["", "1", "a%20b", "%zz", "a;b", "=", "%3d"])))
    if key and draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(key) - 1))
        key = f"{key[:at]}%{ord(key[at]):02x}{key[at + 1 :]}"
    joint = draw(st.sampled_from(["=", "=", "=", "=", "=", "=;", "%", ""]))
    return f"{key}{joint}{value}"


QUERIES = st.lists(pairs(), max_size=6).map("&".join)


def accepted(query: str) -> backend.ListOptions | None:
    """Return what the embedded apiserver makes of a query, None where it refuses."""
    try:
        options = backend.parse(backend.parse_query(query), watch=False)
        version = backend.parse_version(options.version) if options.version else 0
    except ApiError:
        return None
    return None if (options.token and options.version not in ("", "0")) or version >= 1 << 64 else options


@settings(max_examples=600)
@given(QUERIES)
def test_the_backend_reads_the_same(query: str) -> None:
    """Two parsers that were written apart agree on every option, and on what is valid."""
    ours, theirs = ListOptions.parse(query), accepted(query)
    assert ours.is_valid == (theirs is not None)
    if theirs is not None:
        assert (ours.limit, ours.token) == (theirs.limit, theirs.token)
        assert (ours.version, ours.match) == (theirs.version, theirs.match)
        assert ours.selects == (theirs.selection != EVERYTHING)


@settings(max_examples=600)
@given(QUERIES, st.integers(1, 500))
def test_a_rewritten_query_means_to_the_backend_what_it_should(query: str, limit: int) -> None:
    """Page 1 asks for the same state with our limit, later pages for what follows; the rest is the client's."""
    options, theirs = ListOptions.parse(query), accepted(query)
    if theirs is None or options.token:
        return
    first, later = first_page(query, options, limit), next_page(query, "t/+&", limit)
    asked = accepted(first)
    assert asked is not None
    assert (asked.limit, asked.token) == (limit, "")
    assert asked.version == {"0": "1"}.get(theirs.version, theirs.version)
    assert asked.match == (theirs.match or ("NotOlderThan" if theirs.version else ""))
    asked = accepted(later)
    assert asked is not None
    assert (asked.limit, asked.token, asked.version, asked.match) == (limit, "t/+&", "", "")
    for rewritten in (first, later):
        assert others(rewritten) == others(query)
        read = backend.parse_query(query)
        assert {key: value for key, value in backend.parse_query(rewritten).items() if key not in OWN} == {
            key: value for key, value in read.items() if key not in OWN
        }


@given(QUERIES, st.integers(1, 500))
def test_a_lowered_limit_means_to_the_backend_what_it_should(query: str, limit: int) -> None:
    """Only the limit is another."""
    before, after = backend.parse_query(query), backend.parse_query(with_limit(query, limit))
    assert after.pop("limit") == str(limit)
    before.pop("limit", None)
    assert after == before


def others(query: str) -> list[str]:
    """Return the pairs of a query that are not the proxy's, as they stand."""
    found = []
    for pair in query.split("&"):
        exists = ";" not in pair and not backend.BAD_ESCAPE.search(pair)
        if pair and not (exists and unquote_plus(pair.partition("=")[0]) in OWN):
            found.append(pair)
    return found
