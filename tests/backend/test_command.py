"""The command line of the backend."""

import argparse

import pytest

from proxy.backend import command


@pytest.mark.parametrize(("text", "size"), [("2500", 2500), ("20KiB", 20480), ("1MiB", 1 << 20), ("2gib", 2 << 30)])
def test_sizes_are_plain_or_binary(text: str, size: int) -> None:
    """A size is bytes, KiB, MiB or GiB."""
    assert command.size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1MB", "x"])
def test_other_sizes_are_refused(text: str) -> None:
    """Anything else is a usage error."""
    with pytest.raises(argparse.ArgumentTypeError):
        command.size(text)
