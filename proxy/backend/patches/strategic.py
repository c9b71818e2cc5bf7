"""Strategic merge patch: a merge patch that knows which lists are merged, and by which key.

The rules are those of k8s.io/apimachinery/pkg/util/strategicpatch; the keys come from the tables in ``kinds``.
"""

from __future__ import annotations

from typing import cast

from proxy.backend.kinds.canonical import Json
from proxy.backend.kinds.notation import TYPES, Field, Holds
from proxy.backend.patches.errors import InapplicableError, PatchError

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_PREFIX = "$deleteFromPrimitiveList/"
ORDER_PREFIX = "$setElementOrder/"

Items = list[object]


def apply(type_name: str, value: Json, patch: object) -> Json:
    """Apply a patch to an object of a type."""
    if not isinstance(patch, dict):
        raise PatchError("error decoding patch: a strategic merge patch is an object")
    return merge_struct(type_name, value, patch)


def field_of(type_name: str, key: str) -> Field | None:
    """Return a field of a type; maps and free-form values have none."""
    return TYPES[type_name].fields.get(key) if type_name in TYPES else None


def merge_struct(type_name: str, value: Json, patch: Json) -> Json:
    """Merge a patch into a struct or a map."""
    if DIRECTIVE in patch:
        return directed(patch)
    result = retained(value, patch)
    ordered = {key.removeprefix(ORDER_PREFIX): order for key, order in patch.items() if key.startswith(ORDER_PREFIX)}
    for key, order in ordered.items():
        result |= reordered(field_of(type_name, key), key, result, patch, order)
    for key, change in patch.items():
        if key.startswith(ORDER_PREFIX) or key == RETAIN_KEYS or key in ordered:
            continue
        if key.startswith(DELETE_PREFIX):
            delete_scalars(result, key.removeprefix(DELETE_PREFIX), change)
        elif change is None:
            result.pop(key, None)
        else:
            result[key] = merge_value(field_of(type_name, key), result.get(key), change)
    return result


def directed(patch: Json) -> Json:
    """Return what a struct becomes that the patch replaces or deletes."""
    match patch[DIRECTIVE]:
        case "replace":
            return {key: change for key, change in patch.items() if key != DIRECTIVE}
        case "delete":
            return {}
        case other:
            raise InapplicableError(f"unknown patch type: {other} in map: {sorted(patch)}")


def retained(value: Json, patch: Json) -> Json:
    """Return a struct with only the keys that the patch wants to stay, where it says so."""
    keys = patch.get(RETAIN_KEYS)
    if keys is None:
        return dict(value)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise InapplicableError("invalid patch format of retainKeys")
    missing = [
        key for key, change in patch.items() if not key.startswith("$") and change is not None and key not in keys
    ]
    if missing:
        raise InapplicableError(f"{missing[0]} is in the patch, but not in its retainKeys list")
    return {key: kept for key, kept in value.items() if key in keys}


def delete_scalars(result: Json, key: str, gone: object) -> None:
    """Take scalars out of a list."""
    held = result.get(key)
    if isinstance(held, list) and isinstance(gone, list):
        result[key] = [item for item in held if item not in gone]


def merge_value(field: Field | None, value: object, change: object) -> object:
    """Merge one field."""
    if isinstance(change, dict):
        single = field.type if field and field.holds is Holds.ONE else ""
        return merge_struct(single, value if isinstance(value, dict) else {}, change)
    if isinstance(change, list):
        if field is None or not field.merges:
            return without_directives(change)
        return merge_list(field, value if isinstance(value, list) else [], change)
    return change


def without_directives(change: object) -> object:
    """Return new content as it is stored."""
    if isinstance(change, dict):
        kept = {key: item for key, item in change.items() if not key.startswith("$") and item is not None}
        return {key: without_directives(item) for key, item in kept.items()}
    if isinstance(change, list):
        kept_items = [item for item in change if not (isinstance(item, dict) and item.get(DIRECTIVE) == "delete")]
        return [without_directives(item) for item in kept_items]
    return change


def merge_list(field: Field, value: Items, change: Items) -> Items:
    """Merge a list, by key or as a set."""
    if not field.patch_key:
        merged = list(dict.fromkeys(map(hashable, [*value, *change])))
        return interleaved(field, merged, change, value)
    live, patch = special(field, value, change)
    merged = list(live)
    for item in patch:
        key = key_of(field, item)
        position = next((n for n, other in enumerate(merged) if key_of(field, other) == key), None)
        current = {} if position is None else cast("Json", merged[position])
        new = merge_struct(field.type, current, cast("Json", item))
        if position is None:
            merged.append(new)
        else:
            merged[position] = new
    return interleaved(field, merged, patch, live)


def special(field: Field, value: Items, change: Items) -> tuple[Items, Items]:
    """Carry out what a patch says of whole items, and return the list and what is left of the patch."""
    left: Items = []
    live, replace = list(value), False
    for item in change:
        directive = item.get(DIRECTIVE) if isinstance(item, dict) else None
        if directive == "delete":
            gone = key_of(field, item)
            live = [other for other in live if key_of(field, other) != gone]
        elif directive == "replace":
            replace = True
        elif directive is not None:
            raise InapplicableError(f"unknown patch type: {directive}")
        else:
            left.append(item)
    return ([without_directives(item) for item in left], []) if replace else (live, left)


def key_of(field: Field, item: object) -> object:
    """Return what tells an item of a list apart: itself, or its merge key."""
    if not field.patch_key:
        return hashable(item)
    if not isinstance(item, dict) or field.patch_key not in item:
        raise InapplicableError(f"map: {item} does not contain declared merge key: {field.patch_key}")
    return hashable(item[field.patch_key])


def hashable(key: object) -> object:
    """Return a scalar; nothing else tells items apart."""
    if isinstance(key, dict | list):
        raise InapplicableError(f"{key} is no scalar")
    return key


def reordered(field: Field | None, key: str, result: Json, patch: Json, order: object) -> Json:
    """Merge a list whose order the patch gives, and put it into that order."""
    if field is None or not field.merges or not isinstance(order, list):
        raise InapplicableError(f"$setElementOrder/{key} doesn't belong to a list that is merged")
    live, change = result.get(key), patch.get(key)
    if change is None and key in patch:
        result.pop(key, None)
        return {}
    if not isinstance(change, list) and not isinstance(live, list):
        return {}
    known = [key_of(field, item) for item in order]
    given = change if isinstance(change, list) else []
    for item in given:
        if not (isinstance(item, dict) and DIRECTIVE in item) and key_of(field, item) not in known:
            raise InapplicableError("The order in patch list doesn't match its $setElementOrder list")
    current = live if isinstance(live, list) else []
    return {key: interleaved(field, merge_list(field, current, given), order, current)}


def interleaved(field: Field, merged: Items, patch: Items, live: Items) -> Items:
    """Put the patch's items into its order, the others into the live one, and weave both as the live list had them."""
    first = positions(field, patch)
    before = positions(field, live)
    mine = sorted((item for item in merged if key_of(field, item) in first), key=lambda one: first[key_of(field, one)])
    others = [item for item in merged if key_of(field, item) not in first]
    out: Items = []
    while mine and others:
        left, right = (before.get(key_of(field, items[0])) for items in (others, mine))
        earlier = left is not None and right is not None and left < right
        out.append((others if earlier else mine).pop(0))
    return out + others + mine


def positions(field: Field, items: Items) -> dict[object, int]:
    """Return where each item stands."""
    return {key_of(field, item): number for number, item in reversed([*enumerate(items)])}
