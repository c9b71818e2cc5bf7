"""Child processes of a run: servers that say when they are ready, and clients that answer line by line."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.matrix.outcomes import Answer

ROOT = Path(__file__).parent.parent.parent
READY = re.compile(r"ready on (\S+)(?: \(admin (\S+)\))?")
STOP_SECONDS = 10
CELL_SECONDS = 90
LAST_CHARACTERS = 2000


class Server:
    """`kube-restream backend` or `serve` on a loopback port of its own."""

    def __init__(self, command: str, *arguments: str) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RESTREAM_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "proxy", command, "--listen", "127.0.0.1:0", *arguments],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = READY.search(line)
        if found is None:
            self.process.kill()
            raise RuntimeError(f"{command} did not come up: {line!r}")
        self.url = found[1]
        self.admin_url = found[2] or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def send(self, method: str, path: str, body: object) -> None:
        """Write something. Raises HTTPError."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 (our own server)
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=STOP_SECONDS) as response:  # noqa: S310
            response.read()

    def metrics(self) -> str:
        """Scrape the admin listener."""
        with urllib.request.urlopen(f"{self.admin_url}/metrics", timeout=STOP_SECONDS) as response:  # noqa: S310
            text: str = response.read().decode()
        return text


class Program:
    """A client's program, which is started again where an operation has killed or hung it."""

    def __init__(self, command: Sequence[str], folder: Path, scratch: Path, env: Mapping[str, str]) -> None:
        self.command = command
        self.folder = folder
        self.scratch = scratch
        self.log = scratch / "log"
        self.env = dict(env)
        self.process: subprocess.Popen[str] | None = None
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, operation: str, namespace: str, seconds: float = CELL_SECONDS) -> Answer:
        """Have an operation done. What takes longer than `seconds`, or ends the program, is an error."""
        process = self.process or self.start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"operation": operation, "namespace": namespace}) + "\n")
            process.stdin.flush()
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            self.stop()
            return {"error": f"no answer within {seconds:g} s"}
        except BrokenPipeError:
            line = ""
        if not line:
            self.stop()
            words = self.log.read_text(encoding="utf-8", errors="replace")[-LAST_CHARACTERS:]
            return {"error": f"the program ended: {words}"}
        answer: Answer = json.loads(line)
        return answer

    def start(self) -> subprocess.Popen[str]:
        """Start the program, and read what it says as it comes."""
        with self.log.open("ab") as errors:
            process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, text=True, process_group=0,
            )  # fmt: skip
        self.lines = queue.SimpleQueue()
        threading.Thread(target=forward, args=(process, self.lines), daemon=True).start()
        self.process = process
        return process

    def stop(self) -> None:
        """End it; it may be in the middle of something."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # with what it has started itself
            self.process.wait()
            assert self.process.stdin is not None
            with suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process = None


def forward(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    """Pass lines on; an empty one is the end."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put("")
