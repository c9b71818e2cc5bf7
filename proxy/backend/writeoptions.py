"""CreateOptions, UpdateOptions and PatchOptions: what the query of a write asks for."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET

from proxy.backend.listoptions import Query, boolean
from proxy.backend.status import ApiError, Cause, Details

VALIDATIONS = ("Ignore", "Warn", "Strict")
MAX_MANAGER = 128


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """The options of one write."""

    manager: str = "unknown"
    dry_run: bool = False
    force: bool = False
    validation: str = "Warn"


def parse(query: Query, agent: str, *, kind: str, applies: bool = False) -> WriteOptions:
    """Parse and validate; without a manager a client is called what its user agent begins with."""
    options = f"{kind}.meta.k8s.io"
    if query.get("dryRun", "All") != "All":
        text = f'Unsupported value: "{query["dryRun"]}": supported values: "All"'
        raise invalid(options, "dryRun", "FieldValueNotSupported", text)
    validation = query.get("fieldValidation") or "Warn"
    if validation not in VALIDATIONS:
        supported = ", ".join(f'"{one}"' for one in ("", *VALIDATIONS))
        text = f'Unsupported value: "{validation}": supported values: {supported}'
        raise invalid(options, "fieldValidation", "FieldValueNotSupported", text)
    manager = query.get("fieldManager", "")
    if len(manager) > MAX_MANAGER:
        text = f'Invalid value: "{manager}": may not be longer than {MAX_MANAGER} bytes'
        raise invalid(options, "fieldManager", "FieldValueInvalid", text)
    if applies and not manager:
        raise invalid(options, "fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
    if "force" in query and not applies:
        text = "Forbidden: may not be specified for non-apply patch"
        raise invalid(options, "force", "FieldValueForbidden", text)
    name = manager or agent.partition("/")[0][:MAX_MANAGER] or "unknown"
    return WriteOptions(name, "dryRun" in query, boolean(query, "force"), validation)


def invalid(kind: str, field: str, reason: str, text: str) -> ApiError:
    """Return the 422 of one option."""
    name, _, group = kind.partition(".")
    details = Details(group=group or UNSET, kind=name, causes=[Cause(reason, text, field)])
    return ApiError(422, "Invalid", f'{kind} "" is invalid: {field}: {text}', details)
