"""What of requests is let through where whoever connects acts as the proxy: kubectl proxy's filters.

A page in a browser can send requests to a listener on loopback, under a name of its own that it has rebound to
127.0.0.1 (DNS rebinding), hence the hosts; and browsers let any page open a WebSocket to anywhere, hence no exec.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d*)?")


@dataclass(frozen=True, slots=True)
class Filter:
    """Regular expressions that match anywhere, as Go's MatchString does."""

    accept_hosts: tuple[re.Pattern[str], ...]
    accept_paths: tuple[re.Pattern[str], ...]
    reject_paths: tuple[re.Pattern[str], ...]
    reject_methods: tuple[re.Pattern[str], ...]

    @classmethod
    def compile(
        cls, hosts: Iterable[str], paths: Iterable[str], no_paths: Iterable[str], no_methods: Iterable[str]
    ) -> Self:
        """Compile the expressions. Raises re.error."""
        return cls(*(tuple(map(compile_one, each)) for each in (hosts, paths, no_paths, no_methods)))

    def refusal(self, method: str, path: str, host: str) -> str:
        """Return why a request is not let through, nothing if it is; `path` is as written, `host` the Host line."""
        written = readings(path)
        if any(_matches(each, self.reject_paths) for each in written):
            return "the path is one that filters.reject_paths rejects"
        if _matches(method, self.reject_methods):
            return "the method is one that filters.reject_methods rejects"
        if not all(_matches(each, self.accept_paths) for each in written):
            return "the path is none that filters.accept_paths accepts"
        if not _matches(_name(host), self.accept_hosts):
            return "Host is none that filters.accept_hosts accepts"
        return ""


def compile_one(expression: str) -> re.Pattern[str]:
    """Compile an expression. A line break is a character like others: it must not hide what stands behind it."""
    return re.compile(expression, re.DOTALL)


def readings(path: str) -> set[str]:
    """Return a path as written, decoded, and without what servers drop: empty segments and dots.

    kubectl proxy sees decoded paths and redirects those that are not clean; here they pass as they are, so a rule has
    to hold for whatever the upstream makes of them.
    """
    decoded = unquote(path, errors="surrogateescape")
    segments: list[str] = []
    for segment in decoded.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    clean = "/" + "/".join(segments)
    return {path, decoded, f"{clean}/" if segments and decoded.endswith("/") else clean}


def _name(host: str) -> str:
    """Return a Host without its port, an IPv6 address in its brackets."""
    match = AUTHORITY.fullmatch(host.lower())
    return match[1] if match else host


def _matches(text: str, patterns: tuple[re.Pattern[str], ...]) -> bool:
    return any(pattern.search(text) for pattern in patterns)
