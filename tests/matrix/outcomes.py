"""What became of an operation, direct and through the proxy, and whether that is the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

Answer = Mapping[str, object]
"""What a client's program says: ``{"value": …}``, ``{"error": text}`` or ``{"lacks": true}``."""

STAMP = "TIME"
KEYS: Mapping[str, str] = {
    "resourceVersion": "VERSION", "resource_version": "VERSION", "uid": "UID", "creationTimestamp": STAMP,
    "creation_timestamp": STAMP, "time": STAMP, "continue": "TOKEN",
}  # fmt: skip
"""Fields that differ from one object to the next: what is put in their place, if there is anything."""

# In text, as kubectl and error messages print the same. Where a value may have another length the next time, what a
# Table puts around it may have, too.
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), STAMP),
    (re.compile(r'("?resourceVersion"?: ?"?)\d+'), r"\1VERSION"),
    (re.compile(r"\btick \d+"), "tick NUMBER"),
    (re.compile(r" +(\d+[smhdy]){1,2}( +|$)", re.MULTILINE), " AGE "),
)


class Verdict(Enum):
    """What a cell of the matrix tells."""

    SAME = "same"
    LACKS = "lacks"
    FAILS = "fails"
    DIFFERS = "differs"


@dataclass(frozen=True)
class Outcome:
    """Both answers, made comparable."""

    direct: Answer
    proxied: Answer

    @property
    def verdict(self) -> Verdict:
        """Compare: only what works both ways and looks the same is the same."""
        if self.direct != self.proxied:
            return Verdict.DIFFERS
        if "lacks" in self.direct:
            return Verdict.LACKS
        return Verdict.SAME if "value" in self.direct else Verdict.FAILS

    @property
    def error(self) -> str:
        """What went wrong, through the proxy if only there."""
        return str(self.proxied.get("error") or self.direct.get("error") or "")


def normalised(value: object, places: Mapping[str, str]) -> object:
    """Return an answer without what is never the same twice; `places` are names to put others for.

    Text that is JSON is compared as JSON, so that a client may print its keys in any order.
    """
    if isinstance(value, Mapping):
        return {key: normalised_field(str(key), field, places) for key, field in value.items()}
    if isinstance(value, list):
        return [normalised(item, places) for item in value]
    if isinstance(value, str):
        return normalised_text(value, places)
    return value


def normalised_field(key: str, value: object, places: Mapping[str, str]) -> object:
    """Return a field, or the placeholder of one that differs each time."""
    if key in KEYS and isinstance(value, str) and value:
        return KEYS[key]
    return normalised(value, places)


def normalised_text(text: str, places: Mapping[str, str]) -> object:
    """Return text as JSON if it is an object, else with everything replaced that differs each time."""
    if text.startswith("{"):
        try:
            return normalised(json.loads(text), places)
        except ValueError:
            pass
    for name, place in places.items():
        text = text.replace(name, place)
    for pattern, place in PATTERNS:
        text = pattern.sub(place, text)
    return text


def shown(answer: Answer, limit: int = 4000) -> str:
    """Return an answer for a terminal."""
    text = json.dumps(answer, indent=1, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
