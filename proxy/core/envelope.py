"""A List without its items, as one small document: what it says of itself, and what paging adds to it.

Nothing is encoded anew. A document is taken apart into raw members; only where these, put together again, give the
same bytes (compact JSON, as Go writes it, and no key twice) may one of them be replaced.
"""

import json
from dataclasses import dataclass
from typing import Self

import msgspec
from msgspec import Raw

from proxy.core.errors import UnstitchableError

SPACE = b" \t\r\n"
Shape = list[tuple[str, bytes]]
"""The members of a List in order, without the values that may differ from page to page."""

PAGED = frozenset({"continue", "remainingItemCount"})
"""What paging adds to a List's metadata."""


class Metadata(msgspec.Struct, frozen=True):
    """ListMeta (k8s.io/apimachinery/pkg/apis/meta/v1/types.go); to Go null is as good as nothing."""

    resource_version: str | None = msgspec.field(name="resourceVersion", default=None)
    continue_token: str | None = msgspec.field(name="continue", default=None)
    remaining: int | float | None = msgspec.field(name="remainingItemCount", default=None)

    @property
    def version(self) -> str:
        """Return the resourceVersion, empty without one."""
        return self.resource_version or ""

    @property
    def token(self) -> str:
        """Return where the next page continues; empty where the List is complete."""
        return self.continue_token or ""

    @property
    def lacks_items(self) -> bool:
        """Whether items remain and nothing tells how to get them."""
        return bool(self.remaining) and not self.continue_token

    @property
    def is_paged(self) -> bool:
        """Whether there is anything in it that an unpaged List has not."""
        return bool(self.continue_token) or self.remaining is not None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One document. `metadata` is None where it has none, as in the head of a custom resource's List.

    `is_compact` says that it is known to the last byte: no white space in it, and no key twice.
    """

    members: dict[str, Raw]
    metadata: Metadata | None
    is_compact: bool

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """Read a whole document. Raises UnstitchableError for what cannot be the envelope of a List."""
        text = document.rstrip(SPACE)
        try:
            members = msgspec.json.decode(text, type=dict[str, Raw])
            fields, metadata = None, None
            if raw := members.get("metadata"):
                fields = msgspec.json.decode(raw, type=dict[str, Raw] | None)
                metadata = msgspec.json.decode(raw, type=Metadata) if fields is not None else Metadata()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise UnstitchableError("the List's metadata cannot be read") from None
        is_compact = _render(members) == text and (fields is None or _render(fields) == bytes(members["metadata"]))
        if not is_compact:
            _refuse_duplicates(text)
        return cls(members, metadata, is_compact)

    @property
    def shape(self) -> Shape:
        """Return what every page of a List has to have in common."""
        varying = ("metadata", "items", "rows")
        return [(key, b"" if key in varying else bytes(value)) for key, value in self.members.items()]

    def before(self, key: str) -> bytes:
        """Return a compact document up to the value of `key`."""
        kept: dict[str, Raw] = {}
        for name, value in self.members.items():
            if name == key:
                break
            kept[name] = value
        return _render({**kept, key: Raw(b"")}).removesuffix(b"}")

    def unpaged(self) -> bytes:
        """Return a compact document without what paging has added to its metadata."""
        fields = msgspec.json.decode(self.members["metadata"], type=dict[str, Raw])
        kept = {key: value for key, value in fields.items() if key not in PAGED}
        return _render({**self.members, "metadata": Raw(_render(kept))})


def _refuse_duplicates(text: bytes) -> None:
    """Raise UnstitchableError where a key comes twice: of two tokens each reader would believe another."""
    try:
        json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise UnstitchableError("the List's metadata says something twice") from None


def _unique(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key comes twice")


def _render(members: dict[str, Raw]) -> bytes:
    """Write an object as Go does: no white space, the members in their order."""
    return b"{%b}" % b",".join(b"%b:%b" % (msgspec.json.encode(key), bytes(value)) for key, value in members.items())
