"""What a command ends with, as the Status that the error stream carries."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from proxy.backend import gojson


class Cause(Struct, frozen=True, omit_defaults=True):
    """A cause; of its fields only those that are set are written."""

    reason: str = ""
    message: str = ""


class Details(Struct, frozen=True):
    """The causes."""

    causes: list[Cause]


class Outcome(Struct, frozen=True):
    """A Status without kind and apiVersion, as a kubelet writes it."""

    status: str
    message: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    details: Details | UnsetType = UNSET
    code: int | UnsetType = UNSET

    def json(self) -> bytes:
        """Return the Status from v4 of the protocol on."""
        return b'{"metadata":{},' + gojson.encode(self)[1:]

    def text(self) -> bytes:
        """Return what went over the error stream before: the message of a failure."""
        return self.message.encode() if self.message else b""


class CommandError(Exception):
    """A command that could not be run."""


SUCCESS = Outcome("Success")


def exited(code: int) -> Outcome:
    """Return the outcome of a command that has ended."""
    if code == 0:
        return SUCCESS
    message = f"command terminated with non-zero exit code: command terminated with exit code {code}"
    return Outcome("Failure", message, "NonZeroExitCode", Details([Cause("ExitCode", str(code))]))


def failed(error: CommandError) -> Outcome:
    """Return the outcome of a command that never ran."""
    return Outcome(
        "Failure", f"Internal error occurred: {error}", "InternalError", Details([Cause(message=str(error))]), 500
    )
