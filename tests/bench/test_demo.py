"""`kube-restream demo` in miniature, as a newcomer runs it: a command in a directory."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import children_of, wait_until_gone

PNG = b"\x89PNG\r\n\x1a\n"
WITHOUT_EXTRAS = (
    "import sys; sys.modules.update(rich=None, matplotlib=None); from proxy.cli import main; sys.exit(main())"
)
SMALL = ("--pods", "400", "--lists", "2")


@contextmanager
def started(
    directory: Path, *arguments: str, prefix: tuple[str, ...] = ("-m", "proxy")
) -> Iterator[subprocess.Popen[str]]:
    """Start the demo with a directory for temporary files of its own, and a setting that it must not listen to."""
    with subprocess.Popen(
        [sys.executable, *prefix, "demo", *SMALL, *arguments],
        cwd=directory,
        env={**os.environ, "TMPDIR": str(directory), "RESTREAM_MODE": "raw"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        try:
            yield demo
        finally:
            demo.kill()


def test_compares_both_paths_and_draws_them(tmp_path: Path) -> None:
    """A run prints the table, says how to go on, writes the plot and leaves nothing else."""
    with started(tmp_path) as demo:
        shown, _ = demo.communicate(timeout=25)
    assert demo.returncode == 0, shown
    assert re.search(r"items +│ +800 │ +800 │", shown)
    assert "peak RSS of the proxy" in shown
    assert "buffered bytes at peak" in shown
    assert "byte for byte" in shown
    assert "--keep" in shown
    assert (tmp_path / "demo-out/memory.png").read_bytes().startswith(PNG)
    assert [path.name for path in tmp_path.iterdir()] == ["demo-out"]


def test_keeps_running_until_told_to_end(tmp_path: Path) -> None:
    """With --keep the servers stay until Ctrl-C; rich and matplotlib may be missing, which is said in one line."""
    shown = ""
    with started(tmp_path, "--keep", prefix=("-c", WITHOUT_EXTRAS)) as demo:
        assert demo.stdout is not None
        while "    curl" not in shown and (line := demo.stdout.readline()):
            shown += line
        children = children_of(demo.pid)
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate(timeout=10)
    assert demo.returncode == 128 + signal.SIGINT
    assert re.search(r"Not installed: rich, matplotlib; .*pip install", shown)
    assert re.search(r"items +800 +800", shown)
    assert re.search(r"kubectl --server http://127\.0\.0\.1:\d+ get pods\n", shown)
    assert len(children) == 2
    assert "Traceback" not in rest
    wait_until_gone(children)
    assert not list(tmp_path.iterdir())
