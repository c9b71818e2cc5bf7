"""Classification by Kubernetes' own rules: one row per URL."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.request import RequestInfo, classify, is_true, is_upgrade, parse_query
from tests.core.recorded import Exchange, exchanges


def pods(verb: str, namespace: str = "", name: str = "", subresource: str = "") -> RequestInfo:
    """Return the classification of a request for Pods."""
    return RequestInfo(verb, "", "v1", namespace, "pods", subresource, name)


def deployments(verb: str, namespace: str = "", name: str = "", subresource: str = "") -> RequestInfo:
    """Return the classification of a request for Deployments."""
    return RequestInfo(verb, "apps", "v1", namespace, "deployments", subresource, name)


def namespaces(verb: str, name: str = "", subresource: str = "") -> RequestInfo:
    """Return the classification of a request for Namespaces: a named one is its own namespace."""
    return RequestInfo(verb, "", "v1", name, "namespaces", subresource, name)


RESOURCES = [
    ("GET", "/api/v1/pods", pods("list")),
    ("GET", "/api/v1/pods/", pods("list")),
    ("GET", "/api/v1/pods//", pods("list")),
    ("GET", "//api/v1/pods", pods("list")),
    ("HEAD", "/api/v1/pods", pods("list")),
    ("GET", "/api/v1/namespaces/a/pods", pods("list", "a")),
    ("GET", "/api/v1/namespaces/a/pods/", pods("list", "a")),
    ("GET", "/api/v1/namespaces/a/pods/x", pods("get", "a", "x")),
    ("HEAD", "/api/v1/namespaces/a/pods/x", pods("get", "a", "x")),
    ("GET", "/api/v1/namespaces/a/pods/x/log", pods("get", "a", "x", "log")),
    ("GET", "/api/v1/namespaces/a/pods/x/log/more/and/more", pods("get", "a", "x", "log")),
    ("POST", "/api/v1/namespaces/a/pods", pods("create", "a")),
    ("POST", "/api/v1/namespaces/a/pods/x/exec?command=ls", pods("create", "a", "x", "exec")),
    ("PUT", "/api/v1/namespaces/a/pods/x", pods("update", "a", "x")),
    ("PATCH", "/api/v1/namespaces/a/pods/x", pods("patch", "a", "x")),
    ("DELETE", "/api/v1/namespaces/a/pods/x", pods("delete", "a", "x")),
    ("DELETE", "/api/v1/namespaces/a/pods", pods("deletecollection", "a")),
    ("DELETE", "/api/v1/pods?limit=5", pods("deletecollection")),
    ("OPTIONS", "/api/v1/pods", pods("")),
    ("get", "/api/v1/pods", pods("")),
    ("GET", "/api/v1/namespaces", namespaces("list")),
    ("GET", "/api/v1/namespaces/", namespaces("list")),
    ("POST", "/api/v1/namespaces", namespaces("create")),
    ("GET", "/api/v1/namespaces/a", namespaces("get", "a")),
    ("DELETE", "/api/v1/namespaces/a", namespaces("delete", "a")),
    ("GET", "/api/v1/namespaces/a/status", namespaces("get", "a", "status")),
    ("PUT", "/api/v1/namespaces/a/finalize", namespaces("update", "a", "finalize")),
    ("GET", "/api/v1/namespaces/a/other", RequestInfo("list", "", "v1", "a", "other")),
    ("GET", "/api/v1/namespaces//pods", pods("list")),
    ("GET", "/api/v1/nodes/n/proxy/pods", RequestInfo("get", "", "v1", "", "nodes", "proxy", "n")),
    ("GET", "/api/v1/componentstatuses", RequestInfo("list", "", "v1", "", "componentstatuses")),
    ("GET", "/apis/apps/v1/deployments", deployments("list")),
    ("GET", "/apis/apps/v1/namespaces/a/deployments", deployments("list", "a")),
    ("GET", "/apis/apps/v1/namespaces/a/deployments/x", deployments("get", "a", "x")),
    ("GET", "/apis/apps/v1/namespaces/a/deployments/x/scale", deployments("get", "a", "x", "scale")),
    ("GET", "/apis/example.com/v1/widgets?limit=5", RequestInfo("list", "example.com", "v1", "", "widgets")),
    ("GET", "/api/v1/watch/pods", pods("watch")),
    ("GET", "/api/v1/watch/namespaces/a/pods/x", pods("watch", "a", "x")),
    ("GET", "/apis/apps/v1/watch/deployments", deployments("watch")),
    ("GET", "/api/v1/watch/pods?watch=0", pods("watch")),
    ("GET", "/api/v1/proxy/namespaces/a/pods/x/any/path", pods("proxy", "a", "x")),
    ("GET", "/api/v1/proxy/nodes/n", RequestInfo("proxy", "", "v1", "", "nodes", "", "n")),
    # A namespace, a resource and a name that are called like parts of the grammar.
    ("GET", "/api/v1/namespaces/watch/pods", pods("list", "watch")),
    ("GET", "/api/v1/pods/watch", pods("get", "", "watch")),
    ("GET", "/api/v1/namespaces/namespaces", namespaces("get", "namespaces")),
    # The path is decoded before it is split, as Go's URL.Path is.
    ("GET", "/api/v1/p%6fds", pods("list")),
    ("GET", "/api/v1%2Fpods", pods("list")),
    ("GET", "/%61pi/v1/pods%2f", pods("list")),
    ("GET", "/api/v1/pods/a%2Fb", pods("get", "", "a", "b")),
    ("GET", "/api/v1/pods/a%20b", pods("get", "", "a b")),
    ("GET", "/api/v1/pods/a+b", pods("get", "", "a+b")),
    ("GET", "/api/v1/pods%3Fwatch=1", RequestInfo("list", "", "v1", "", "pods?watch=1")),
    ("GET", "/api/v1/pods#watch", RequestInfo("list", "", "v1", "", "pods#watch")),
    ("GET", "/api//v1/pods", RequestInfo("get", "", "", "", "v1", "", "pods")),
    ("GET", "/apis/apps//v1/deployments", RequestInfo("get", "apps", "", "", "v1", "", "deployments")),
]


@pytest.mark.parametrize(("method", "target", "info"), RESOURCES)
def test_resource_request(method: str, target: str, info: RequestInfo) -> None:
    """A path of the API is split into verb, group, version, namespace, resource, name and subresource."""
    assert classify(method, target) == info
    assert info.is_resource


NON_RESOURCES = [
    "",
    "/",
    "*",
    "/version",
    "/healthz",
    "/readyz?verbose",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3/api/v1",
    "/debug/pprof/profile",
    "/api",
    "/api/",
    "/api/v1",
    "/api/v1/",
    "/api/v1/?watch=1",
    "/apis",
    "/apis/",
    "/apis/apps",
    "/apis/apps/v1",
    "/apis/apps/v1/",
    "/apis/apps/deployments",
    "/API/v1/pods",
    "/apix/v1/pods",
    "/v1/api/pods",
    "/prefix/api/v1/pods",
    "/api/v1/watch",
    "/api/v1/watch/",
    "/api/v1/proxy",
    "/apis/apps/v1/watch",
    "/api/v1/pods/%",
    "/api/v1/pods/%2",
    "/api/v1/pods/%zz",
    "/api/v1/pods%",
    "/%/api/v1/pods",
    "/api/v1%00pods",
    "http://host/api/v1/pods",
    "host:443",
]


@pytest.mark.parametrize("target", NON_RESOURCES)
def test_non_resource_request(target: str) -> None:
    """Discovery, health, and what the apiserver would refuse are no resources: their verb is the method."""
    info = classify("GET", target)
    assert info == RequestInfo("get")
    assert not info.is_resource
    assert classify("HEAD", target).verb == "head"


WATCHES = [
    ("watch", "watch"),
    ("watch=", "watch"),
    ("watch=1", "watch"),
    ("watch=true", "watch"),
    ("watch=True", "watch"),
    ("watch=no", "watch"),
    ("watch=off", "watch"),
    ("watch=f", "watch"),
    ("watch=00", "watch"),
    ("watch=%20false", "watch"),
    ("watch=%31", "watch"),
    ("w%61tch=1", "watch"),
    ("watch=1&watch=0", "watch"),
    ("watch=&watch=false", "watch"),
    ("limit=5&watch=true", "watch"),
    ("watch=1=0", "watch"),
    ("&&watch", "watch"),
    ("", "list"),
    ("watch=0", "list"),
    ("watch=false", "list"),
    ("watch=False", "list"),
    ("watch=FALSE", "list"),
    ("watch=%30", "list"),
    ("watch=f%61lse", "list"),
    ("watch=0&watch=1", "list"),
    ("watch=false&watch", "list"),
    ("Watch=1", "list"),
    ("watch =1", "list"),
    ("watch+=1", "list"),
    ("xwatch=1", "list"),
    ("labelSelector=watch%3D1", "list"),
    ("labelSelector=a&amp;watch=1", "list"),  # the pair has a raw semicolon
    ("watch=1;", "list"),
    ("a=b;watch=1", "list"),
    ("watch=1;limit=5", "list"),
    ("watch=%zz", "list"),
    ("watch=%", "list"),
    ("w%atch=1", "list"),
    ("watch=%zz&watch=1", "watch"),
    ("watch=1;&watch=0", "list"),
    ("allowWatchBookmarks=true&sendInitialEvents=true", "list"),
    # What is not an int64 spoils all options but `watch`.
    ("limit=abc", "list"),
    ("limit=abc&watch=1", "watch"),
    ("limit=abc&watch", "watch"),
    ("limit=abc&watch=0", "list"),
    ("limit=abc&watch=False", "list"),
    ("timeoutSeconds=1.5", "list"),
    ("timeoutSeconds=1.5&watch=true", "watch"),
    ("timeoutSeconds=1.5&watch=false", "list"),
    ("limit=9223372036854775808&watch=1", "watch"),
]


@pytest.mark.parametrize(("query", "verb"), WATCHES)
def test_watch_or_list(query: str, verb: str) -> None:
    """`watch` is read as the apiserver reads it: by its first value, and only 0, false and absence say no."""
    assert classify("GET", f"/api/v1/pods?{query}") == pods(verb)
    assert classify("HEAD", f"/api/v1/pods?{query}").verb == verb
    assert classify("GET", f"/api/v1/pods/x?{query}") == pods("get", "", "x")
    assert classify("DELETE", f"/api/v1/pods?{query}").verb == "deletecollection"


NAMES = [
    ("fieldSelector=metadata.name%3Dx", "x"),
    ("fieldSelector=metadata.name=x", "x"),
    ("fieldSelector=metadata.name%3D%3Dx", "x"),
    ("fieldSelector=status.phase%3DRunning,metadata.name%3Dx", "x"),
    ("fieldSelector=metadata.name%3Dx,metadata.name%3Dy", "x"),
    ("fieldSelector=metadata.name%3Dx&fieldSelector=metadata.name%3Dy", "x"),
    ("fieldSelector=metadata.name%3Dx&limit=500&timeoutSeconds=-1", "x"),
    ("fieldSelector=metadata.name%3Dx&limit=%2B9223372036854775807", "x"),
    ("fieldSelector=metadata.name%3Dx&limit=-9223372036854775808", "x"),
    ("fieldSelector=metadata.name%3Da.b-c", "a.b-c"),
    ("fieldSelector=metadata.name%3D", ""),
    ("fieldSelector=metadata.name", ""),
    ("fieldSelector=metadata.name!%3Dx", ""),
    ("fieldSelector=metadata.namespace%3Dx", ""),
    ("fieldSelector=xmetadata.name%3Dx", ""),
    ("fieldSelector=metadata.name%3Da%2Fb", ""),
    ("fieldSelector=metadata.name%3Da%25b", ""),
    ("fieldSelector=metadata.name%3D.", ""),
    ("fieldSelector=metadata.name%3D..", ""),
    ("fieldSelector=", ""),
    ("fieldSelector=metadata.name%3Dx;", ""),
    ("labelSelector=metadata.name%3Dx", ""),
    ("fieldSelector=metadata.name%3Dx&limit=abc", ""),
    ("fieldSelector=metadata.name%3Dx&limit=1_0", ""),
    ("fieldSelector=metadata.name%3Dx&limit=%2B", ""),
    ("fieldSelector=metadata.name%3Dx&limit=%D9%A1", ""),
    ("fieldSelector=metadata.name%3Dx&limit=9223372036854775808", ""),
    ("fieldSelector=metadata.name%3Dx&timeoutSeconds=10s", ""),
]


@pytest.mark.parametrize(("query", "name"), NAMES)
@pytest.mark.parametrize("verb", ["list", "watch"])
def test_name_that_a_field_selector_demands(query: str, name: str, verb: str) -> None:
    """A List or watch of one name is a request for that name, but no less a List or watch."""
    watch = "&watch=1" if verb == "watch" else ""
    assert classify("GET", f"/api/v1/pods?{query}{watch}") == pods(verb, "", name)


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("a=1&b=2&a=3", {"a": "1", "b": "2"}),
        ("a=b+c%2B", {"a": "b c+"}),
        ("a+b=1", {"a b": "1"}),
        ("a&b=&=c&&", {"a": "", "b": "", "": "c"}),
        ("a=1;b=2&c=3;&;&d=4", {"d": "4"}),
        ("a=%3B", {"a": ";"}),
        ("a=%zz&b=%4&%zz=1&c=%41", {"c": "A"}),
        ("a=b=c", {"a": "b=c"}),
        ("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", {"continue": "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ"}),
        ("a=%C3%A9", {"a": "é"}),
    ],
)
def test_query_is_read_as_go_reads_it(query: str, options: dict[str, str]) -> None:
    """Only ``&`` separates, broken pairs do not exist, ``+`` is a space, and a key's first value stays."""
    assert parse_query(query) == options


@pytest.mark.parametrize(
    ("value", "truth"),
    [(None, False), ("0", False), ("false", False), ("FaLsE", False), ("", True), ("1", True), ("no", True)],
)
def test_boolean_is_read_as_the_apiserver_reads_it(value: str | None, truth: bool) -> None:
    """Absence, ``0`` and ``false`` are false; the empty string and all else are true."""
    assert is_true(value) is truth


@pytest.mark.parametrize(
    ("method", "target", "long_running"),
    [
        ("GET", "/api/v1/pods?watch=1", True),
        ("GET", "/api/v1/watch/pods", True),
        ("GET", "/api/v1/proxy/nodes/n", True),
        ("GET", "/api/v1/nodes/n/proxy/", True),
        ("GET", "/api/v1/namespaces/a/pods/x/log?follow=true", True),
        ("POST", "/api/v1/namespaces/a/pods/x/exec", True),
        ("POST", "/api/v1/namespaces/a/pods/x/attach", True),
        ("POST", "/api/v1/namespaces/a/pods/x/portforward", True),
        ("GET", "/api/v1/pods", False),
        ("GET", "/api/v1/pods?watch=0", False),
        ("GET", "/api/v1/namespaces/a/pods/log", False),
        ("GET", "/api/v1/namespaces/a/pods/x/status", False),
        ("GET", "/version", False),
        ("DELETE", "/api/v1/pods", False),
    ],
)
def test_long_running_requests_are_the_apiservers(method: str, target: str, long_running: bool) -> None:
    """What kube-apiserver exempts from its deadline is exempt here; no List is."""
    assert classify(method, target).is_long_running is long_running


@pytest.mark.parametrize(
    ("values", "upgrade"),
    [
        (["Upgrade"], True),
        (["upgrade"], True),
        (["keep-alive, Upgrade"], True),
        (["keep-alive", "UPGRADE"], True),
        (["x-upgrade-y"], True),
        (["keep-alive"], False),
        (["close"], False),
        ([""], False),
        ([], False),
    ],
)
def test_upgrade_is_asked_for_by_any_connection_value(values: list[str], upgrade: bool) -> None:
    """As the apiserver does: the word anywhere in any Connection line, in any case."""
    assert is_upgrade(values) is upgrade


@pytest.mark.parametrize("exchange", exchanges(), ids=lambda exchange: f"{exchange.version}/{exchange.name}")
def test_recorded_request_is_classified_as_it_was_answered(exchange: Exchange) -> None:
    """Real servers answered what is called a List with a List, and what is called a watch with events."""
    info = classify(exchange.method, exchange.target)
    if exchange.status != 200 or exchange.method != "GET" or not exchange.content_type.startswith("application/json"):
        return
    if exchange.content_encoding or not info.is_resource:
        return
    is_watch = not exchange.body or exchange.body.startswith(b'{"type":')
    assert info.verb == ("watch" if is_watch else "list")
    assert is_watch or {"items", "rows"} & set(json.loads(exchange.body))


@given(st.text(max_size=10), st.text(max_size=200))
@example("GET", "/api/v1/\udcff%41")
@example("GET", "/api/v1/\x00/\xff%ff%00?\xff=%ff&fieldSelector=\xff")
def test_classify_never_raises(method: str, target: str) -> None:
    """Any text is some request."""
    assert isinstance(classify(method, target), RequestInfo)


WORDS = [
    "/",
    "//",
    "api",
    "apis",
    "v1",
    "namespaces",
    "pods",
    "watch",
    "proxy",
    "%2F",
    "%",
    "?",
    "&",
    "watch=",
    ";",
    "é",
]


@given(st.sampled_from(["GET", "HEAD", "DELETE", "POST"]), st.lists(st.sampled_from(WORDS), max_size=14).map("".join))
def test_only_a_collection_is_a_list(method: str, target: str) -> None:
    """Whatever the path, a List is a GET or HEAD without a name."""
    info = classify(method, f"/api/{target}")
    if info.verb == "list":
        assert method in ("GET", "HEAD")
        assert not info.name
