"""kubectl, each version at hand, gets the same through mode paged as from the apiserver itself."""

import re
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path

import pytest

from tests.clients.conftest import Kubectl

AGE = re.compile(r" +\d+[smhd]\S*$", re.MULTILINE)
LISTS = {
    "pages of its own": ("get", "pods", "-A"),
    "no pages": ("get", "pods", "-A", "--chunk-size=0"),
    "json": ("get", "pods", "-A", "-o", "json", "--chunk-size=0"),
    "custom resources": ("get", "widgets", "-A", "-o", "yaml", "--chunk-size=0"),
    "nothing": ("get", "pods", "-n", "none", "-o", "json", "--chunk-size=0"),
    "raw": ("get", "--raw", "/api/v1/pods"),
    "raw, custom resources": ("get", "--raw", "/apis/example.com/v1/namespaces/default/widgets"),
}


@pytest.mark.parametrize("what", LISTS)
def test_gets_the_same(binary: Path, paged: dict[str, str], tmp_path: Path, what: str) -> None:
    """The output through the proxy is the output without it; but for ages in Tables to the byte."""
    outputs = []
    for url in (paged["direct"], paged["paged"]):
        output = Kubectl(binary, ("--server", url), tmp_path).run(*LISTS[what])
        outputs.append(AGE.sub(" age", output) if "-o" not in LISTS[what] else output)
    assert outputs[0] == outputs[1]
    assert outputs[0]


@pytest.mark.parametrize("query", ["", "?resourceVersion=0", "?limit=500&resourceVersion=0"])
def test_lists_are_paged(paged: dict[str, str], query: str) -> None:
    """What kubectl and client-go ask for is paged indeed, and the same without kubectl."""
    lines, body = get(paged["paged"], f"/api/v1/pods{query}")
    assert lines["X-Restream-Mode"] == "paged; reason=settings"
    assert lines["Transfer-Encoding"] == "chunked"
    assert body == get(paged["direct"], "/api/v1/pods")[1]


def get(url: str, target: str) -> tuple[HTTPMessage, bytes]:
    """Return the header lines and the body of an answer."""
    connection = HTTPConnection(url.partition("://")[2], timeout=20)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.headers, answer.read()
    finally:
        connection.close()
