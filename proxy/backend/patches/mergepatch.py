"""JSON Merge Patch (RFC 7396)."""

from __future__ import annotations


def apply(value: object, patch: object) -> object:
    """Apply a patch; null removes."""
    if not isinstance(patch, dict):
        return patch
    result: dict[str, object] = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = apply(result.get(key), change)
    return result
