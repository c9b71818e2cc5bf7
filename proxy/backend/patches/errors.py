"""What is wrong with a patch."""

from __future__ import annotations


class PatchError(ValueError):
    """A patch that can't be read: 400."""


class InapplicableError(ValueError):
    """A patch that can't be applied to this object: 422."""
