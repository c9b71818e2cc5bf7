"""ListOptions: what the query of a List or watch asks for, parsed and validated as Go does."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote_plus

from proxy.backend import selectors
from proxy.backend.selectors import EVERYTHING, Selection
from proxy.backend.status import bad_request, invalid_options

BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
INTEGER = re.compile(r"[+-]?\d+")
MAX_INT64 = (1 << 63) - 1
FORBIDDEN = "FieldValueForbidden"
MATCHES = ("Exact", "NotOlderThan")

Query = dict[str, str]
Fault = tuple[str, str, str]


def parse_query(text: str) -> Query:
    """Split a raw query by Go's rules: `&` only, no `;`, no bad escapes, the first of repeated keys wins."""
    query: Query = {}
    for pair in text.split("&"):
        if not pair or ";" in pair or BAD_ESCAPE.search(pair):
            continue
        key, _, value = pair.partition("=")
        query.setdefault(unquote_plus(key), unquote_plus(value))
    return query


def boolean(query: Query, key: str) -> bool:
    """Absent, `0` and `false` are false; everything else is true, the empty string too."""
    return key in query and query[key].lower() not in {"0", "false"}


def integer(query: Query, key: str) -> int:
    """Return an int64, or zero where it is absent."""
    text = query.get(key, "")
    if not text:
        return 0
    if not INTEGER.fullmatch(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if abs(int(text)) > MAX_INT64:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def duration(text: str) -> float:
    """Parse a Go duration such as 1m30s into seconds."""
    parts = DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        known = text and text[0].isdigit()
        cause = f'missing unit in duration "{text}"' if known else f'invalid duration "{text}"'
        raise bad_request(f"invalid timeout specified in the request URL - time: {cause}")
    return sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The options of one List or watch."""

    watch: bool = False
    limit: int = 0
    token: str = ""
    version: str = ""
    match: str = ""
    bookmarks: bool = False
    initial_events: bool | None = None
    timeout_seconds: int = 0
    selection: Selection = EVERYTHING

    @property
    def is_watch_list(self) -> bool:
        """Whether the end of the initial events is marked with a bookmark."""
        return bool(self.initial_events) and self.bookmarks


def parse(query: Query, *, watch: bool | None = None, selectable: Collection[str] = ()) -> ListOptions:
    """Parse and validate; `watch` is given where the path has decided it, `selectable` by the resource."""
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    options = ListOptions(
        watch=boolean(query, "watch") if watch is None else watch,
        limit=max(integer(query, "limit"), 0),
        token=query.get("continue", ""),
        version=version,
        match=match,
        bookmarks=boolean(query, "allowWatchBookmarks"),
        initial_events=boolean(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
        timeout_seconds=max(integer(query, "timeoutSeconds"), 0),
        selection=selectors.parse(query.get("labelSelector", ""), query.get("fieldSelector", ""), selectable),
    )
    faults = watch_faults(options) if options.watch else list_faults(options)
    if faults:
        raise invalid_options(faults)
    return options


def forbidden(field: str, text: str) -> Fault:
    """One contradiction."""
    return FORBIDDEN, field, f"Forbidden: {text}"


def list_faults(options: ListOptions) -> list[Fault]:
    """Return what makes the options of a List invalid."""
    faults = match_faults(options) if options.match else []
    if options.initial_events is not None:
        faults.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return faults


def match_faults(options: ListOptions) -> list[Fault]:
    """Return what makes a List's resourceVersionMatch invalid."""
    field = "resourceVersionMatch"
    faults: list[Fault] = []
    if not options.version:
        faults.append(forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if options.token:
        faults.append(forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
    if options.match not in MATCHES:
        faults.append(unsupported(options.match))
    if options.match == "Exact" and options.version == "0":
        faults.append(forbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    return faults


def unsupported(match: str) -> Fault:
    """Return an unknown resourceVersionMatch."""
    text = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
    return "FieldValueNotSupported", "resourceVersionMatch", text


def watch_faults(options: ListOptions) -> list[Fault]:
    """Return what makes the options of a watch invalid."""
    field = "resourceVersionMatch"
    faults: list[Fault] = []
    if options.initial_events is not None and options.match != "NotOlderThan":
        faults.append(forbidden(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if options.match:
        if options.initial_events is None:
            text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            faults.append(forbidden(field, text))
        if options.match not in MATCHES:
            faults.append(unsupported(options.match))
        if options.token:
            faults.append(forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
    return faults


def parse_version(text: str) -> int:
    """Return a resourceVersion, which is an unsigned number for every apiserver."""
    if not text.isascii() or not text.isdigit():
        fault = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}": {fault}')
    return int(text)
