"""Label and field selectors, as the apiserver reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from msgspec import Raw

from proxy.backend import gojson
from proxy.backend.status import bad_request

TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|>|<|[^\s=!,()<>]+)")
FIELD_TERM = re.compile(r"^(.*?)(!=|==|=)(.*)$")
EQUALS = ("=", "==")
FIELDS = ("metadata.name", "metadata.namespace")
# Where a field isn't called what it is.
PATHS = {"source": ("source", "component")}

Requirement = Callable[[Mapping[str, str]], bool]


class Selectable(Protocol):
    """What is selected: an object in the store."""

    @property
    def key(self) -> str:
        """Its storage key."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""

    def item(self) -> bytes:
        """Its bytes."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a field selector wants of a field inside of an object."""

    path: tuple[str, ...]
    value: str
    equal: bool

    def holds(self, item: bytes) -> bool:
        """Whether an object is so; what isn't there is empty, or false where it could be true."""
        data: bytes | Raw = item
        for name in self.path:
            data = gojson.decode(data, dict[str, Raw]).get(name, Raw(b"{}"))
        text = bytes(data).decode().strip('"')
        absent = self.value if self.value == "false" else ""
        return ((absent if text == "{}" else text) == self.value) is self.equal


@dataclass(frozen=True, slots=True)
class Selection:
    """What a request selects of a collection."""

    requirements: tuple[Requirement, ...] = ()
    name: str | None = None
    namespace: str | None = None
    excluded_names: frozenset[str] = frozenset()
    excluded_namespaces: frozenset[str] = frozenset()
    contents: tuple[Content, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether nothing is filtered."""
        return self == EVERYTHING

    @property
    def by_labels_only(self) -> bool:
        """Whether keys don't matter."""
        return not (self.excluded_names or self.excluded_namespaces) and self.name is None and self.namespace is None

    def matches_labels(self, labels: Mapping[str, str]) -> bool:
        """Whether every label requirement holds."""
        return all(requirement(labels) for requirement in self.requirements)

    def matches_key(self, key: str) -> bool:
        """Whether the field selector holds for a storage key."""
        namespace, _, name = key.rpartition("/")
        if self.name not in {None, name} or self.namespace not in {None, namespace}:
            return False
        return name not in self.excluded_names and namespace not in self.excluded_namespaces

    def matches_content(self, item: Callable[[], bytes]) -> bool:
        """Whether an object's other fields are as selected; it is only printed where they matter."""
        if not self.contents:
            return True
        data = item()
        return all(content.holds(data) for content in self.contents)

    def matches(self, value: Selectable) -> bool:
        """Whether an object is selected."""
        return self.matches_key(value.key) and self.matches_labels(value.labels) and self.matches_content(value.item)


EVERYTHING = Selection()


class Tokens:
    """The words of a label selector."""

    def __init__(self, text: str) -> None:
        self.words = TOKEN.findall(text)
        self.position = 0

    def peek(self) -> str:
        """Return the next word, or nothing at the end."""
        return self.words[self.position] if self.position < len(self.words) else ""

    def take(self) -> str:
        """Consume the next word."""
        word = self.peek()
        self.position += 1
        return word

    def identifier(self) -> str:
        """Consume a key or value, or fail as the apiserver does."""
        word = self.take()
        if not word or not re.match(r"[^=!,()<>]", word):
            raise bad_request(f"unable to parse requirement: found '{word}', expected: identifier")
        return word


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Parse a label selector."""
    tokens = Tokens(text)
    found: list[Requirement] = []
    while tokens.peek():
        found.append(parse_requirement(tokens))
        separator = tokens.take()
        if separator not in {"", ","}:
            raise bad_request(f"unable to parse requirement: found '{separator}', expected: ',' or 'end of string'")
        if separator and not tokens.peek():
            raise bad_request("unable to parse requirement: found '', expected: identifier after ','")
    return tuple(found)


def parse_requirement(tokens: Tokens) -> Requirement:
    """Parse one requirement."""
    if tokens.peek() == "!":
        tokens.take()
        missing = tokens.identifier()
        return lambda labels: missing not in labels
    key = tokens.identifier()
    operator = tokens.peek()
    if operator in {"", ","}:
        return lambda labels: key in labels
    tokens.take()
    if operator in {"in", "notin"}:
        values = parse_values(tokens)
        wanted = operator == "in"
        return lambda labels: (key in labels and labels[key] in values) if wanted else labels.get(key) not in values
    return comparison(key, operator, parse_value(tokens))


def parse_value(tokens: Tokens) -> str:
    """Return a value; an empty one is legal."""
    return "" if tokens.peek() in {"", ","} else tokens.identifier()


def parse_values(tokens: Tokens) -> frozenset[str]:
    """Return a parenthesised set of values."""
    if (word := tokens.take()) != "(":
        raise bad_request(f"unable to parse requirement: found '{word}', expected: '('")
    values: set[str] = set()
    while True:
        values.add("" if tokens.peek() in {",", ")"} else tokens.identifier())
        word = tokens.take()
        if word == ")":
            return frozenset(values)
        if word != ",":
            raise bad_request(f"unable to parse requirement: found '{word}', expected: ',' or ')'")


def comparison(key: str, operator: str, value: str) -> Requirement:
    """Return a requirement on one value."""
    if operator in EQUALS:
        return lambda labels: labels.get(key) == value
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    if operator in {">", "<"} and re.fullmatch(r"-?\d+", value):
        number = int(value)
        return lambda labels: ordered(labels.get(key, ""), operator, number)
    expected = "in, notin, =, ==, !=, gt, lt"
    raise bad_request(f"unable to parse requirement: found '{operator}', expected: {expected}")


def ordered(text: str, operator: str, number: int) -> bool:
    """Whether a label's number stands in the given order; labels that are no number never do."""
    if not re.fullmatch(r"-?\d+", text):
        return False
    return int(text) > number if operator == ">" else int(text) < number


def parse(labels: str, fields: str, selectable: Collection[str] = ()) -> Selection:
    """Parse both selectors of a request; `selectable` are the fields that it may name besides those of every object."""
    contents: list[Content] = []
    equal: dict[str, str] = {}
    unequal: dict[str, set[str]] = {field: set() for field in FIELDS}
    for term in filter(None, fields.split(",")):
        match = FIELD_TERM.match(term)
        if match is None:
            raise bad_request(f"invalid selector: '{fields}'; can't understand '{term}'")
        field, operator, value = match.groups()
        if field in selectable:
            path = PATHS.get(field) or tuple(field.split("."))
            contents.append(Content(path, value, operator in EQUALS))
            continue
        if field not in FIELDS:
            raise bad_request(f"field label not supported: {field}")
        if operator in EQUALS:
            equal[field] = value
        else:
            unequal[field].add(value)
    name, namespace = FIELDS
    return Selection(
        parse_labels(labels),
        equal.get(name),
        equal.get(namespace),
        frozenset(unequal[name]),
        frozenset(unequal[namespace]),
        tuple(contents),
    )
