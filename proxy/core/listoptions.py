"""What a List is asked with, as far as paging cares: ``limit``, ``continue``, ``resourceVersion`` and its match.

The rules are those of k8s.io/apimachinery/pkg/apis/meta/internalversion/validation and of the watch cache
(k8s.io/apiserver/pkg/storage/cacher): what an apiserver would refuse is not rewritten, so that it is refused there.
"""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from proxy.core.request import parse_int64, parse_pair, parse_query

SELECTORS = ("labelSelector", "fieldSelector", "shardSelector")

OWN = frozenset({"limit", "continue", "resourceVersion", "resourceVersionMatch"})
"""The parameters of a page that are the proxy's; every other one is repeated on every page, byte for byte."""

UINT64 = re.compile(r"[0-9]{1,19}|[01][0-9]{19}")
"""What a resourceVersion is to every kube-apiserver; above 2^63 etcd has none."""

NOT_OLDER_THAN, EXACT = "NotOlderThan", "Exact"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The parameters as the apiserver reads them. A `limit` of 0 is none; None is one that cannot be parsed.

    `selects` says that not every item is asked for.
    """

    limit: int | None = 0
    token: str = ""
    version: str = ""
    match: str = ""
    sends_initial_events: bool = False
    selects: bool = False

    @classmethod
    def parse(cls, query: str) -> Self:
        """Read a raw query."""
        if not query:
            return cls()
        options = parse_query(query)
        limit = parse_int64(options.get("limit", ""))
        return cls(
            limit if limit is None else max(limit, 0),
            options.get("continue", ""),
            options.get("resourceVersion", ""),
            options.get("resourceVersionMatch", ""),
            "sendInitialEvents" in options,
            any(options.get(name) for name in SELECTORS),
        )

    @property
    def is_valid(self) -> bool:
        """Whether an apiserver takes the combination; the others go through as they are, to be refused."""
        if self.limit is None or self.sends_initial_events:
            return False
        if self.version and not UINT64.fullmatch(self.version):
            return False
        if self.token:
            return self.version in ("", "0") and not self.match
        if not self.match:
            return True
        return bool(self.version) and (self.match == NOT_OLDER_THAN or (self.match == EXACT and self.version != "0"))

    @property
    def is_exact(self) -> bool:
        """Whether one state is asked for, and no newer one will do."""
        return self.match == EXACT

    @property
    def wants_any(self) -> bool:
        """Whether any state will do, however old."""
        return self.version == "0" and not self.token


def first_page(query: str, options: ListOptions, limit: int) -> str:
    """Return the query of page 1 for an unpaged List of `options`.

    With a limit a resourceVersion N would mean Exact (the legacy rule), and 0 would make the server ignore the limit:
    both become NotOlderThan, which is what they mean without one. 1 is as old as a resourceVersion gets, and is served
    from the watch cache from 1.31 on.
    """
    own = [f"limit={limit}"]
    if options.version:
        own.append(f"resourceVersion={'1' if options.version == '0' else options.version}")
        own.append(f"resourceVersionMatch={options.match or NOT_OLDER_THAN}")
    return _rewritten(query, OWN, own)


def next_page(query: str, token: str, limit: int) -> str:
    """Return the query of a later page: a token carries its resourceVersion, and forbids any other."""
    return _rewritten(query, OWN, [f"limit={limit}", f"continue={quote(token, safe='')}"])


def with_limit(query: str, limit: int) -> str:
    """Return the client's own query with another limit."""
    return _rewritten(query, frozenset({"limit"}), [f"limit={limit}"])


def _rewritten(query: str, dropped: frozenset[str], added: list[str]) -> str:
    kept = [pair for pair in query.split("&") if pair and parse_pair(pair)[0] not in dropped]
    return "&".join(kept + added)
