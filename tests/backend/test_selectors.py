"""Selectors select what the apiserver's would."""

import pytest

from proxy.backend import selectors
from proxy.backend.objects import Written
from proxy.backend.status import ApiError

LABELS = {"app": "web", "tier": "front", "size": "10"}
OBJECT = Written("a/x", 1, LABELS, b'{"spec":{"nodeName":"n1"},"status":{"phase":"Running"}}')
PODS = ("spec.nodeName", "spec.hostNetwork", "status.phase", "status.podIP")


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("", True), ("app", True), ("!app", False), ("none", False), ("!none", True), ("app=web", True),
        ("app==web", True), ("app!=web", False), ("none!=web", True), ("app=", False), ("app in (web,db)", True),
        ("app in (db)", False), ("app notin (db)", True), ("none notin (db)", True), ("app notin (web, db)", False),
        ("app=web,tier=front", True), ("app=web,tier=back", False), ("app = web , !none", True), ("size>9", True),
        ("size<9", False), ("app>9", False),
    ],
)  # fmt: skip
def test_label_selectors(selector: str, selected: bool) -> None:
    """Equality, sets, existence and order."""
    assert selectors.parse(selector, "").matches(OBJECT) is selected


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("metadata.name=x", True), ("metadata.name!=x", False), ("metadata.namespace=a", True),
        ("metadata.namespace=b,metadata.name=x", False), ("metadata.namespace!=b", True),
    ],
)  # fmt: skip
def test_field_selectors(selector: str, selected: bool) -> None:
    """Names and namespaces."""
    assert selectors.parse("", selector).matches(OBJECT) is selected


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("spec.nodeName=n1", True), ("spec.nodeName!=n1", False), ("spec.nodeName=n2", False), ("status.podIP=", True),
        ("status.phase!=Failed,status.phase!=Succeeded", True), ("spec.hostNetwork=false", True),
        ("spec.hostNetwork=true", False), ("metadata.name=x,spec.nodeName=n1", True),
        ("metadata.name=y,spec.nodeName=n1", False),
    ],
)  # fmt: skip
def test_fields_of_a_resource(selector: str, selected: bool) -> None:
    """What kubectl describe and drain ask for; absent is empty, or false."""
    assert selectors.parse("", selector, PODS).matches(OBJECT) is selected


@pytest.mark.parametrize(
    ("labels", "fields", "message"),
    [
        ("!!", "", "unable to parse requirement: found '!', expected: identifier"),
        ("a in b", "", "unable to parse requirement: found 'b', expected: '('"),
        ("a in (b", "", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a=b c", "", "unable to parse requirement: found 'c', expected: ',' or 'end of string'"),
        ("a,", "", "unable to parse requirement: found '', expected: identifier after ','"),
        ("", "spec.nodeName=x", "field label not supported: spec.nodeName"),
        ("", "x", "invalid selector: 'x'; can't understand 'x'"),
    ],
)
def test_malformed_selectors_are_bad_requests(labels: str, fields: str, message: str) -> None:
    """They are answered with 400 and what was wrong."""
    with pytest.raises(ApiError) as caught:
        selectors.parse(labels, fields)
    assert (caught.value.code, str(caught.value)) == (400, message)
