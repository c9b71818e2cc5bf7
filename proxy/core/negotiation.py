"""Which of its forms an apiserver would answer a List in, by the client's Accept lines.

As k8s.io/apiserver/pkg/endpoints/handlers/negotiation does: the clauses in order of preference, the first that can be
served decides; a clause that asks for a conversion that does not exist is skipped.
"""

from dataclasses import dataclass
from typing import Literal

from proxy.core.headers import MediaRange, parse_accept
from proxy.core.request import parse_query

JSON, YAML = "application/json", "application/yaml"
BINARY = frozenset({"application/vnd.kubernetes.protobuf", "application/cbor"})

Form = Literal["object", "table", "partial"]
FORMS: dict[str, Form] = {"Table": "table", "PartialObjectMetadataList": "partial"}

TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
PRETTY_AGENTS = ("curl", "Wget", "Mozilla/5.0")


@dataclass(frozen=True, slots=True)
class Media:
    """What a List would come as. `form` is what its items are; `prefers_binary` says that JSON is second best."""

    form: Form = "object"
    takes_json: bool = True
    prefers_binary: bool = False
    is_pretty: bool = False


def negotiate(accept: list[str], query: str, user_agent: str) -> Media:
    """Read a request as far as it decides about the form of the answer. Of Accept lines the first one counts."""
    if not any(accept[:1]):
        return Media(is_pretty=_is_pretty(None, query, user_agent))
    binary = False
    for clause in parse_accept(accept[:1]):
        form = _form(clause)
        if form is None:
            continue
        if clause.matches(JSON):
            return Media(form, prefers_binary=binary, is_pretty=_is_pretty(clause, query, user_agent))
        if clause.type == YAML:
            break
        binary = binary or clause.type in BINARY
    return Media(takes_json=False)


def without_binary(accept: list[str]) -> str:
    """Return the value of an Accept line that asks for the same, but for what is not text."""
    kept = []
    for clause in accept[0].split(","):
        media_type, semicolon, rest = clause.partition(";")
        if media_type.strip().lower() not in BINARY:
            # go-restful, which looks first for built-in resources, knows */* but not application/*.
            media_type = media_type.replace("application/*", "*/*")
            kept.append(media_type + semicolon + rest)
    return ",".join(kept).strip()


def _form(clause: MediaRange) -> Form | None:
    """Return what a clause asks the items to be, None where no apiserver can do it."""
    if clause.parameters.get("stream", "") not in ("", "watch") or clause.parameters.get("sv", "") not in ("", "v1"):
        return None
    kind, group, version = (clause.parameters.get(name) for name in ("as", "g", "v"))
    if kind is group is version is None:
        return "object"
    if group != "meta.k8s.io" or version not in ("v1", "v1beta1") or (kind == "Table" and clause.type in BINARY):
        return None
    return FORMS.get(kind or "")


def _is_pretty(clause: MediaRange | None, query: str, user_agent: str) -> bool:
    """Whether the body would be indented for a human to read (negotiate.go, `isPrettyPrint`)."""
    if clause is not None and clause.parameters.get("pretty") == "1":
        return True
    asked = parse_query(query).get("pretty", "") if query else ""
    return asked in TRUE if asked else user_agent.startswith(PRETTY_AGENTS)
