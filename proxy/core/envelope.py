"""A List without its items, as one small document: what it says of itself, and what paging adds to it.

Nothing is encoded anew. A document is taken apart into raw members; only where these, put together again, give the
same bytes (compact JSON, as Go writes it, and no key twice) may one of them be replaced.
"""

from dataclasses import dataclass
from typing import Self

import msgspec
from msgspec import Raw

from proxy.core.errors import UnstitchableError

SPACE = b" \t\r\n"


class Metadata(msgspec.Struct, frozen=True):
    """ListMeta (k8s.io/apimachinery/pkg/apis/meta/v1/types.go). An empty `token` is a List that is complete."""

    version: str = msgspec.field(name="resourceVersion", default="")
    token: str = msgspec.field(name="continue", default="")
    remaining: int | None = msgspec.field(name="remainingItemCount", default=None)

    @property
    def is_paged(self) -> bool:
        """Whether there is anything in it that an unpaged List has not."""
        return bool(self.token) or self.remaining is not None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One document. `metadata` is None where it has none, as in the head of a custom resource's List."""

    members: dict[str, Raw]
    metadata: Metadata | None
    is_compact: bool

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """Read a whole document. Raises UnstitchableError for what cannot be the envelope of a List."""
        text = document.rstrip(SPACE)
        try:
            members = msgspec.json.decode(text, type=dict[str, Raw])
            raw = members.get("metadata")
            metadata = None if raw is None else msgspec.json.decode(raw, type=Metadata)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise UnstitchableError("the List's metadata cannot be read") from None
        return cls(members, metadata, _render(members) == text)

    @property
    def identity(self) -> tuple[bytes, bytes]:
        """Return kind and apiVersion, empty where they are not known."""
        return bytes(self.members.get("kind", b"")), bytes(self.members.get("apiVersion", b""))

    def before(self, key: str) -> bytes:
        """Return the document up to the value of `key`."""
        kept: dict[str, Raw] = {}
        for name, value in self.members.items():
            if name == key:
                break
            kept[name] = value
        return _render({**kept, key: Raw(b"")}).removesuffix(b"}")

    def unpaged(self) -> bytes:
        """Return the document without what paging has added to its metadata. Raises UnstitchableError."""
        raw = self.members["metadata"]
        fields = msgspec.json.decode(raw, type=dict[str, Raw])
        if not self.is_compact or _render(fields) != bytes(raw):
            raise UnstitchableError("the List is not compact JSON")
        kept = {key: value for key, value in fields.items() if key not in ("continue", "remainingItemCount")}
        return _render({**self.members, "metadata": Raw(_render(kept))})


def _render(members: dict[str, Raw]) -> bytes:
    """Write an object as Go does: no white space, the members in their order."""
    return b"{%b}" % b",".join(b"%b:%b" % (msgspec.json.encode(key), bytes(value)) for key, value in members.items())
