"""The Lists that are asked for again and again, and what makes two bodies of one the same."""

import hashlib
import re
from dataclasses import dataclass

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
MODES = ("", "raw", "streamed", "paged", "buffered")
"""What X-Restream-Mode pins; nothing leaves the choice to the proxy."""

VERSION = re.compile(rb'"resourceVersion":"(\d+)"')
AGE = re.compile(rb'"(?:\d+[smhdy]){1,2}"')
MARGIN = 400
"""Within so many bytes of the beginning, or for custom resources of the end, stands the List's own metadata."""


@dataclass(frozen=True, slots=True)
class Question:
    """One List. Of what `churns` no two Lists are alike, so that it is compared with its own snapshot."""

    name: str
    target: str
    accept: str = "application/json"
    churns: bool = False

    @property
    def is_custom(self) -> bool:
        """Whether the List's metadata stands behind its items."""
        return "/example.com/" in self.target and self.accept == "application/json"


LARGE = Question("secrets", "/api/v1/secrets")
MIDDLING = Question("configmaps", "/api/v1/configmaps")
CHURNED = Question("pods", "/api/v1/pods", churns=True)

QUESTIONS = (
    LARGE,
    MIDDLING,
    CHURNED,
    Question("secrets of a namespace", "/api/v1/namespaces/kube-system/secrets"),
    Question("configmaps of a namespace", "/api/v1/namespaces/default/configmaps"),
    Question("configmap by name", "/api/v1/configmaps?fieldSelector=metadata.name%3Dconfig-00007"),
    Question("nodes by label", "/api/v1/nodes?labelSelector=kubernetes.io%2Farch%3Damd64"),
    Question("nodes", "/api/v1/nodes?resourceVersion=0"),
    Question("widgets", "/apis/example.com/v1/widgets"),
    Question("configmaps as Table", "/api/v1/configmaps", TABLE),
    Question("widgets as Table", "/apis/example.com/v1/widgets", TABLE),
    Question("secrets as metadata", "/api/v1/secrets", PARTIAL),
    Question("pods of a namespace", "/api/v1/namespaces/default/pods", churns=True),
    Question("pods as Table", "/api/v1/pods", TABLE, churns=True),
)


def pinned(mode: str) -> dict[str, str]:
    """Return the header line that pins a mode."""
    return {"X-Restream-Mode": mode} if mode else {}


def version_of(question: Question, body: bytes) -> str:
    """Return the resourceVersion of a List."""
    part = body[-MARGIN:] if question.is_custom else body[:MARGIN]
    found = VERSION.findall(part)
    return str(found[-1 if question.is_custom else 0].decode()) if found else ""


def digest(question: Question, body: bytes) -> str:
    """Return what tells two bodies apart, but for what the clock and other resources' writes have changed.

    That is the List's own resourceVersion where the List does not change, and in a Table the column of ages.
    """
    if question.accept == TABLE:
        body = AGE.sub(b'"AGE"', body)
    if question.churns:
        return hashlib.sha256(body).hexdigest()
    version = version_of(question, body).encode()
    part = b'"resourceVersion":"%b"' % version
    at = body.rfind(part) if question.is_custom else body.find(part)
    result = hashlib.sha256(body[:at])
    result.update(body[at + len(part) :])
    return result.hexdigest()
