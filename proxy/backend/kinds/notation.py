"""The notation of the tables, and what it parses to.

A type is a line `Name: field …`, continued on lines that are indented; `Name~` merges as a whole. `<Other.1` stands
for the fields of another type: in JSON they are this one's own, in protobuf a message of that number. A field is its
JSON name, a dot, its protobuf number, and::

    ?  a pointer: it keeps a zero value      !  printed even where it is zero      =X  its default as a merge key
    :T  of type T (none: a string)           [T]  a list                           {T}  a map
    [T/a,b]  merged by the keys a and b      [T/]  a set
    ~  merged as a whole by server-side apply, whatever it is
    ^  strategic merge patches keep only the keys that a patch names (retainKeys)
    +a  a list merged by key `a` in strategic merge patches only     -  merged by server-side apply only
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from proxy.backend.kinds import cluster, containers, groups, meta, pods, volumes

TOKEN = re.compile(
    r"(?P<name>\w+)\.(?P<number>\d+)(?P<pointer>\??)(?P<kept>!?)(?:=(?P<default>\w+))?(?P<atomic>~?)"
    r"(?::(?P<one>\w+)|(?P<list>\[(?P<item>\w*)(?P<merged>/(?P<keys>[\w,]*))?\])|(?P<map>\{(?P<value>\w*)\}))?"
    r"(?P<retain>\^?)(?:\+(?P<patch_key>\w+))?(?P<apply_only>-?)"
)
# What isn't a struct.
SCALARS = ("", "int", "bool", "bytes", "Time", "MicroTime", "Quantity", "IntOrString", "Fields")


class Holds(Enum):
    """How many values a field holds."""

    ONE = "one"
    LIST = "list"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a type."""

    name: str
    number: int
    type: str
    holds: Holds
    pointer: bool
    kept: bool
    atomic: bool
    default: str
    # Of lists: what tells their items apart; no keys mean that they are a set of scalars.
    associative: bool
    keys: tuple[str, ...]
    # Of strategic merge patches.
    merges: bool
    patch_key: str
    retains_keys: bool

    @property
    def is_struct(self) -> bool:
        """Whether its values have fields of their own."""
        return self.type not in SCALARS


@dataclass(frozen=True, slots=True)
class Type:
    """A struct, named as in OpenAPI."""

    name: str
    fields: dict[str, Field]
    # By their numbers in protobuf: the fields that are its own, and the types that it embeds.
    numbered: dict[int, Field]
    embedded: dict[int, str]
    atomic: bool


def read(tables: Iterable[tuple[str, str]]) -> dict[str, Type]:
    """Parse all tables, each with its package; what a type embeds must stand above it."""
    types: dict[str, Type] = {}
    for package, table in tables:
        for line in re.sub(r"\n\s+", " ", table).strip().splitlines():
            head, _, rest = line.partition(": ")
            name = head.rstrip("~")
            types[name] = struct(f"{package}.{name}", rest.split(), types, atomic=name != head)
    return types


def struct(name: str, tokens: list[str], types: dict[str, Type], *, atomic: bool) -> Type:
    """Parse one type."""
    made = Type(name, {}, {}, {}, atomic)
    for token in tokens:
        if token.startswith("<"):
            other, _, number = token[1:].partition(".")
            made.embedded[int(number)] = other
            made.fields.update(types[other].fields)
        else:
            one = field(token)
            made.fields[one.name] = made.numbered[one.number] = one
    return made


def field(token: str) -> Field:
    """Parse one field."""
    match = TOKEN.fullmatch(token)
    if match is None:
        raise ValueError(f"not a field: {token}")
    holds = Holds.LIST if match["list"] else Holds.MAP if match["map"] else Holds.ONE
    keys = tuple(filter(None, (match["keys"] or "").split(",")))
    associative = match["merged"] is not None
    return Field(
        name=match["name"], number=int(match["number"]), type=match["one"] or match["item"] or match["value"] or "",
        holds=holds, pointer=bool(match["pointer"]), kept=bool(match["kept"]),
        atomic=bool(match["atomic"]) or (holds is Holds.LIST and not associative), default=match["default"] or "",
        associative=associative, keys=keys,
        merges=bool(match["patch_key"]) or (associative and not match["apply_only"]),
        patch_key=match["patch_key"] or (keys[0] if keys else ""), retains_keys=bool(match["retain"]),
    )  # fmt: skip


CORE = "io.k8s.api.core.v1"
TYPES = read(
    (
        ("io.k8s.apimachinery.pkg.apis.meta.v1", meta.TABLE),
        *((CORE, module.TABLE) for module in (containers, volumes, pods, cluster)),
        ("io.k8s.api.apps.v1", groups.APPS),
        ("io.k8s.api.autoscaling.v1", groups.AUTOSCALING),
        ("io.k8s.api.policy.v1", groups.POLICY),
        ("io.k8s.api.authorization.v1", groups.AUTHORIZATION),
        ("io.k8s.api.authentication.v1", groups.AUTHENTICATION),
    )
)
