"""Queries are read by Go's rules."""

import pytest

from proxy.backend import listoptions
from proxy.backend.status import ApiError


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a=1&a=2", {"a": "1"}), ("a=x+y%2B", {"a": "x y+"}), ("a=1;b=2&c=3", {"c": "3"}), ("a=%zz&b", {"b": ""}),
        ("&&", {}), ("=v", {"": "v"}),
    ],
)  # fmt: skip
def test_queries(query: str, expected: dict[str, str]) -> None:
    """The first value wins; pairs with semicolons or bad escapes don't exist."""
    assert listoptions.parse_query(query) == expected


@pytest.mark.parametrize(
    ("query", "watch"),
    [
        ("", False), ("watch", True), ("watch=", True), ("watch=no", True), ("watch=f", True), ("watch=0", False),
        ("watch=False", False), ("watch=true", True), ("watch=0&watch=1", False),
    ],
)  # fmt: skip
def test_booleans(query: str, watch: bool) -> None:
    """Only `0` and `false` are false."""
    assert listoptions.parse(listoptions.parse_query(query)).watch is watch


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ("limit=abc", 400, 'strconv.ParseInt: parsing "abc": invalid syntax'),
        ("limit=99999999999999999999", 400, "value out of range"),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422, "is forbidden for resourceVersion"),
        ("resourceVersion=1&resourceVersionMatch=Other", 422, 'supported values: "Exact", "NotOlderThan", ""'),
        ("continue=x&resourceVersion=1&resourceVersionMatch=Exact", 422, "when continue is provided"),
        ("watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan", 422, "unless sendInitialEvents is provided"),
        ("sendInitialEvents=false", 422, "sendInitialEvents is forbidden for list"),
        ("sendInitialEvents=false&resourceVersionMatch=Exact", 422, "is invalid: [resourceVersionMatch: "),
    ],
)
def test_invalid_options(query: str, code: int, text: str) -> None:
    """Contradictions are 422, values that don't parse 400."""
    with pytest.raises(ApiError) as caught:
        listoptions.parse(listoptions.parse_query(query))
    assert caught.value.code == code
    assert text in str(caught.value)


def test_negative_limits_are_none() -> None:
    """Only a positive limit pages."""
    assert listoptions.parse({"limit": "-3"}).limit == 0


def test_durations() -> None:
    """Go's notation; a bare number has no unit."""
    assert listoptions.duration("1m1.5s") == 61.5
    with pytest.raises(ApiError, match="missing unit in duration"):
        listoptions.duration("30")
