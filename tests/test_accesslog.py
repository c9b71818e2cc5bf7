"""Lines of a log: of one request each, whatever it says of itself, and whoever else writes there."""

import fcntl
import json
import os
from pathlib import Path
from tempfile import TemporaryFile

from hypothesis import given
from hypothesis import strategies as st

from proxy.accesslog import AccessLog, Lines, apart
from proxy.core.request import classify
from proxy.progress import Progress


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


ODD = st.text(st.characters(codec="latin-1") | st.sampled_from('\n\r\x1b\x7f\x9b\u2028\u202e\ud800"'), max_size=40)


@given(ODD, ODD)
def test_no_request_writes_lines_of_its_own(path: str, agent: str) -> None:
    """Whatever a client sends is one line of JSON, with nothing in it that a terminal would obey."""
    progress = Progress(classify("GET", "/x"), 0.0, audit_id=agent)
    with TemporaryFile(buffering=0) as stream:
        AccessLog(stream).write(progress, method="GET", target="/" + path, user_agent=agent, now=1.0)
        stream.seek(0)
        text = stream.read().decode()
    assert text.endswith("}\n")
    assert text[:-1].isprintable()
    assert json.loads(text)["method"] == "GET"
