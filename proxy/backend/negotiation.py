"""What the client accepts: the form of the answer, its indentation, its compression."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from proxy.backend.listoptions import Query
from proxy.backend.status import not_acceptable

BARE_TYPES = ("application/json", "*/*", "application/*")
# What go-restful lets through for built-in types, before the clauses are looked at closely.
ROUTED_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "*/*")
PARTIAL = "PartialObjectMetadata"
VERSIONS = ("v1", "v1beta1")
PRETTY_AGENTS = ("curl", "Wget", "Mozilla/5.0")
TRUTHS = ("1", "t", "T", "true", "TRUE", "True")
TYPED_MESSAGE = (
    "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
    "application/vnd.kubernetes.protobuf, application/json;stream=watch, "
    "application/vnd.kubernetes.protobuf;stream=watch"
)
HANDLER_MESSAGE = (
    "only the following media types are accepted: application/json, application/yaml, "
    "application/vnd.kubernetes.protobuf"
)


class Form(Enum):
    """The three ways to print objects."""

    OBJECT = "object"
    PARTIAL = "partial"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The clause of the Accept header that won."""

    form: Form = Form.OBJECT
    version: str = "v1"
    pretty: bool = False
    kind: str = ""

    def check(self, *, listed: bool, go_type: str) -> None:
        """Refuse a conversion between one object and a list of them."""
        is_partial_list = self.kind == PARTIAL + "List"
        if self.form is Form.PARTIAL and listed != is_partial_list:
            what = "a list" if listed else "not a list"
            raise not_acceptable(f"you requested {self.kind}, but the requested object is {what} ({go_type})")


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of an Accept header."""

    media: str
    parameters: dict[str, str]

    @property
    def quality(self) -> float:
        """Its q parameter."""
        try:
            return float(self.parameters.get("q", "1"))
        except ValueError:
            return 1.0


def clauses(header: str) -> list[Clause]:
    """Split an Accept header, best first: by q, then exact types before wildcards."""
    found: list[Clause] = []
    for text in header.split(","):
        media, *parameters = [part.strip() for part in text.split(";")]
        pairs = (parameter.partition("=") for parameter in parameters)
        if media:
            found.append(Clause(media, {key.strip(): value.strip() for key, _, value in pairs}))
    return sorted(found, key=lambda clause: (-clause.quality, "*" in clause.media))


def negotiate(header: str, *, custom: bool, tables: bool = True) -> Accepted:
    """Pick the first clause that can be served as JSON."""
    if not header.strip():
        return Accepted()
    found = clauses(header)
    if not custom and not any(clause.media in ROUTED_TYPES for clause in found):
        raise not_acceptable(TYPED_MESSAGE)
    for clause in found:
        if clause.media in BARE_TYPES and (accepted := convert(clause, tables=tables)):
            return accepted
    raise not_acceptable(HANDLER_MESSAGE)


def convert(clause: Clause, *, tables: bool) -> Accepted | None:
    """Return what a clause asks for, or nothing where that can't be served."""
    parameters = clause.parameters
    pretty = parameters.get("pretty") == "1"
    kind = parameters.get("as", "")
    if not kind:
        return Accepted(pretty=pretty)
    version = parameters.get("v", "")
    if parameters.get("g") != "meta.k8s.io" or version not in VERSIONS:
        return None
    if kind == "Table" and tables:
        return Accepted(Form.TABLE, version, pretty)
    if kind in {PARTIAL, PARTIAL + "List"}:
        return Accepted(Form.PARTIAL, version, pretty, kind)
    return None


def is_pretty(query: Query, agent: str, *, accepted: bool = False) -> bool:
    """Whether the answer is indented: by Accept, by query, or for a person's user agent."""
    if accepted:
        return True
    if text := query.get("pretty", ""):
        return text in TRUTHS
    return agent.startswith(PRETTY_AGENTS)


def accepts_gzip(header: str) -> bool:
    """Only a token that is exactly `gzip` counts: neither `*` nor `gzip;q=1.0` does."""
    return any(token.strip() == "gzip" for token in header.split(","))


def accepts_plain_json(header: str) -> bool:
    """Whether an error can be sent as compact JSON: errors allow no conversion."""
    return not header.strip() or any(
        clause.media in BARE_TYPES and "as" not in clause.parameters for clause in clauses(header)
    )
