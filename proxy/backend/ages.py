"""How long ago something was, as kubectl shows it."""

from __future__ import annotations

from datetime import UTC, datetime

UNKNOWN = "<unknown>"
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


def age(timestamp: str | None, now: float) -> str:
    """Return how long ago a time was."""
    if not timestamp:
        return UNKNOWN
    return human_duration(int(now - datetime.fromisoformat(timestamp).astimezone(UTC).timestamp()))


def human_duration(seconds: int) -> str:
    """Return a duration with two significant units at most (apimachinery's HumanDuration)."""
    if seconds < 2 * MINUTE:
        return f"{max(seconds, 0)}s"
    if seconds < 10 * MINUTE:
        return pair(seconds, (MINUTE, "m"), (1, "s"))
    if seconds < 3 * HOUR:
        return f"{seconds // MINUTE}m"
    if seconds < 8 * HOUR:
        return pair(seconds, (HOUR, "h"), (MINUTE, "m"))
    if seconds < 2 * DAY:
        return f"{seconds // HOUR}h"
    if seconds < 8 * DAY:
        return pair(seconds, (DAY, "d"), (HOUR, "h"))
    if seconds < 2 * YEAR:
        return f"{seconds // DAY}d"
    return pair(seconds, (YEAR, "y"), (DAY, "d")) if seconds < 8 * YEAR else f"{seconds // YEAR}y"


def pair(seconds: int, large: tuple[int, str], small: tuple[int, str]) -> str:
    """Two units, without a second one that is zero."""
    rest = seconds % large[0] // small[0]
    return f"{seconds // large[0]}{large[1]}" + (f"{rest}{small[1]}" if rest else "")
