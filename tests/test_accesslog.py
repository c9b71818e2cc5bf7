"""Lines of a log that several processes share."""

import fcntl
import os
from pathlib import Path

from proxy.accesslog import Lines, apart


def test_a_full_pipe_that_others_write_to_blocks_nobody() -> None:
    """A way of our own to a pipe never blocks, though polling saw room that is gone; the others' way is as before."""
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb", buffering=0) as reader,
        os.fdopen(writing, "wb", buffering=0) as common,
        apart(common) as own,
    ):
        assert own is not common
        assert not fcntl.fcntl(common, fcntl.F_GETFL) & os.O_NONBLOCK
        size = fcntl.fcntl(common, fcntl.F_GETPIPE_SZ)
        own.write(b"x" * (size - 4096))
        lines = Lines(own)
        lines.write(b"first")
        lines.write(b"y" * 5000)  # polling sees a page of room
        lines.write(b"last")
        assert lines.is_read
        assert len(reader.read(size - 4096)) == size - 4096
        assert reader.read(size).startswith(b"first\n")


def test_what_is_no_pipe_stays_as_it_is(tmp_path: Path) -> None:
    """A file is written to as ever; nobody is nobody."""
    with (tmp_path / "log").open("wb", buffering=0) as file:
        assert apart(file) is file
        Lines(file).write(b"line")
    assert (tmp_path / "log").read_bytes() == b"line\n"
    Lines(None).write(b"line")
    assert not Lines(None).is_read
