"""Kubernetes Status objects: every error that the backend answers, with the bytes of a real apiserver."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, Struct, UnsetType

from proxy.backend import gojson


class Cause(Struct, frozen=True):
    """One cause in a Status' details."""

    reason: str
    message: str
    field: str | UnsetType = UNSET


class Details(Struct, frozen=True):
    """A Status' details, in Go's field order."""

    name: str | UnsetType = UNSET
    group: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    uid: str | UnsetType = UNSET
    causes: list[Cause] | UnsetType = UNSET
    retryAfterSeconds: int | UnsetType = UNSET  # noqa: N815 (the wire's own name)


class Status(Struct, frozen=True):
    """A Status in Go's field order."""

    kind: str
    apiVersion: str  # noqa: N815
    metadata: dict[str, str]
    status: str
    message: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    details: Details | UnsetType = UNSET
    code: int | UnsetType = UNSET


class ApiError(Exception):
    """A request that is answered with a Failure Status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Details | None = None,
        *,
        token: str = "",
        indented: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details
        self.token = token
        self.indented = indented

    def body(self) -> bytes:
        """Return the Status as compact JSON, without the newline that ends it on the wire."""
        metadata = {"continue": self.token} if self.token else {}
        return gojson.encode(
            Status(
                "Status", "v1", metadata, "Failure", str(self), self.reason or UNSET, self.details or UNSET, self.code
            )
        )

    @property
    def retry_after(self) -> int | None:
        """Seconds for the Retry-After header, which follows details.retryAfterSeconds."""
        seconds = self.details.retryAfterSeconds if self.details else UNSET
        return None if seconds is UNSET else seconds


class PlainError(Exception):
    """A request that never reaches an API handler: Go's http.Error with a text body."""

    def __init__(self, code: int, text: str, lines: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.code = code
        self.lines = tuple(lines)


SUCCESS = gojson.encode(Status("Status", "v1", {}, "Success", code=201))


def success(name: str, group: str, plural: str, uid: str) -> bytes:
    """Return the Status that a delete answers."""
    details = Details(name, group or UNSET, plural, uid or UNSET)
    return gojson.encode(Status("Status", "v1", {}, "Success", details=details))


def bad_request(message: str) -> ApiError:
    """400 without details."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401 for a wrong or missing token."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def unknown_resource() -> ApiError:
    """404 for a resource that its known group doesn't serve."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", Details())


def method_not_allowed() -> ApiError:
    """405 for a verb without a route."""
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", Details()
    )


def qualified(plural: str, group: str) -> str:
    """Return a resource as error texts name it."""
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> ApiError:
    """404 for a missing object."""
    message = f'{qualified(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, Details(name, group or UNSET, plural))


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """409 for a name that is taken."""
    message = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, Details(name, group or UNSET, plural))


def conflict(plural: str, group: str, name: str) -> ApiError:
    """409 for a write that carries an old resourceVersion."""
    message = (
        f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return ApiError(409, "Conflict", message, Details(name, group or UNSET, plural))


def invalid_options(faults: list[tuple[str, str, str]]) -> ApiError:
    """422 for ListOptions that contradict each other; a fault is (cause reason, field, text)."""
    causes = [Cause(reason, text, field) for reason, field, text in faults]
    texts = [f"{field}: {text}" for _, field, text in faults]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = Details(group="meta.k8s.io", kind="ListOptions", causes=causes)
    return ApiError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {joined}', details)


def version_too_large(wanted: int, current: int) -> ApiError:
    """504 for a resourceVersion from the future."""
    cause = Cause("ResourceVersionTooLarge", "Too large resource version")
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return ApiError(504, "Timeout", message, Details(causes=[cause], retryAfterSeconds=1))


def expired_list() -> ApiError:
    """410 for an Exact list older than the history."""
    return ApiError(410, "Expired", "The resourceVersion for the provided list is too old.")


def expired_continue(token: str) -> ApiError:
    """410 for an old continue token; the given one resumes at the latest resourceVersion."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    return ApiError(410, "Expired", message, token=token)


def not_acceptable(message: str) -> ApiError:
    """406: indented, because nothing that the client accepts could carry it."""
    return ApiError(406, "NotAcceptable", message, Details() if message.startswith("406") else None, indented=True)
