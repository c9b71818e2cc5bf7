"""Children that are ready, that die, and that are not left behind."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.bench.children import Children
from proxy.bench.errors import ChildError

from .processes import children_of, wait_until_gone

READY = re.compile(r"^ready on (\d+)$", re.MULTILINE)
SERVER = "import time; print('ready on 42', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready on 1', flush=True); time.sleep(60)"
PARENT = f"""
import asyncio, re, time
from proxy.bench.children import Children
with Children() as children:
    child = children.start("server", "{sys.executable}", "-c", {SERVER!r})
    asyncio.run(child.line(re.compile("ready")))
    print("go", flush=True)
    time.sleep(60)
"""


async def test_waits_for_the_line_and_leaves_nothing_behind() -> None:
    """A child is ready when it says so, and gone when the context is left."""
    with Children() as children:
        child = children.start("server", sys.executable, "-c", SERVER)
        assert (await child.line(READY))[1] == "42"
        children.check()
        directory = children.directory
    assert not child.is_alive
    assert not directory.exists()


async def test_a_child_that_dies_says_why() -> None:
    """Exit code and last lines are in the message."""
    with Children() as children:
        child = children.start("server", sys.executable, "-c", "import sys; print('no\\nport'); sys.exit(3)")
        with pytest.raises(ChildError, match=r"server ended with exit code 3\n    no\n    port"):
            await child.line(READY)
        with pytest.raises(ChildError):
            children.check()


async def test_a_killed_child_is_named_with_its_signal() -> None:
    """So that the kernel's memory killer can be recognized."""
    with Children() as children:
        child = children.start("server", sys.executable, "-c", SERVER)
        await child.line(READY)
        child.process.kill()
        with pytest.raises(ChildError, match="SIGKILL"):
            await child.line(re.compile("never"))


async def test_a_child_that_is_never_ready_is_given_up() -> None:
    """The wait is bounded."""
    with Children() as children:
        child = children.start("server", sys.executable, "-c", "import time; time.sleep(60)")
        with pytest.raises(ChildError, match=r"not ready within 0\.1 s and printed nothing"):
            await child.line(READY, seconds=0.1)


async def test_a_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Politeness has an end."""
    monkeypatch.setattr("proxy.bench.children.STOP_SECONDS", 0.1)
    with Children() as children:
        child = children.start("server", sys.executable, "-c", STUBBORN)
        await child.line(READY)
    assert child.process.returncode == -9


def test_children_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    """Not even SIGKILL leaves servers behind."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], env={"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "go\n"
    servers = children_of(parent.pid)
    parent.kill()
    parent.communicate(timeout=10)
    assert len(servers) == 1
    wait_until_gone(servers)
