"""The clients: each asks for the List of a cell, and tells what its user would get to know."""

import asyncio
import gc
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.fakes.wire import Client, request
from tests.faults.cells import Cell

PATIENCE_SECONDS = 60
AT_ONCE = {"quick": 160, "curl": 16, "python": 16, "kubectl": 6}
"""How many of each ask at the same time; curl and kubectl are processes."""

NO_STATUS = "the error is no Kubernetes Status"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client reports: an `error`, or a List, by the `digest` of its items; `body` is None where it parses."""

    error: str = ""
    digest: str = ""
    body: bytes | None = None
    fault: str = ""
    """What is wrong with the error itself."""
    mode: str = field(default="", compare=False)


def digest(items: object) -> str:
    """Return what tells two arrays of items apart, however they are written."""
    return hashlib.sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()


def read_list(body: bytes) -> str:
    """Return the digest of a List's items, nothing where it is not one."""
    try:
        return digest(json.loads(body)["items"])
    except (ValueError, KeyError, TypeError):
        return ""


async def ask_quickly(url: str, cell: Cell) -> Outcome:
    """Ask as the tests' own client, to which a body is complete if its framing says so."""
    host, port = url.removeprefix("http://").split(":")
    async with await Client.connect(host, int(port)) as client:
        answer = await client.ask(request(cell.path, b"Accept: application/json", b"Connection: close"))
    if not answer.complete:
        return Outcome(f"{answer.status}, unfinished behind {len(answer.body)} bytes", mode=answer.mode)
    if answer.status >= 400:
        is_status = answer.body.startswith(b'{"kind":"Status"')
        return Outcome(f"{answer.status} {answer.body[:200]!r}", fault="" if is_status else NO_STATUS, mode=answer.mode)
    return Outcome(digest=read_list(answer.body), body=answer.body, mode=answer.mode)


async def ask_curl(url: str, cell: Cell) -> Outcome:
    """Ask as curl, which decodes; ``pretty=false`` as it would else be taken for a human, to whom Lists go raw."""
    flags = ("--silent", "--show-error", "--fail", "--compressed", "--max-time", str(PATIENCE_SECONDS))
    code, output, errors = await run("curl", *flags, f"{url}{cell.path}?pretty=false")
    if code:
        return Outcome(errors.strip() or f"exit code {code}")
    return Outcome(digest=read_list(output), body=output)


class Kubectl:
    """One kubectl, with nothing of the user's own configuration; discovery is cached."""

    def __init__(self, binary: str, home: Path) -> None:
        self.name = Path(binary).name
        self._binary = binary
        self._home = home

    async def __call__(self, url: str, cell: Cell) -> Outcome:
        """Ask for everything at once: with chunks of its own it would be paging itself."""
        what = ("get", f"{cell.resource}.{cell.plan.group}", "--output", "json", "--chunk-size", "0")
        flags = ("--server", url, "--cache-dir", str(self._home), "--request-timeout", f"{PATIENCE_SECONDS}s")
        code, output, errors = await run(self._binary, *what, *flags)
        if code:
            return Outcome(errors.strip().rpartition("\n")[2] or f"exit code {code}")
        return Outcome(digest=read_list(output))


class Python:
    """The Python Kubernetes client, on threads of this process."""

    def __init__(self) -> None:
        self._client: Any = import_module("kubernetes").client

    async def __call__(self, url: str, cell: Cell) -> Outcome:
        """Ask as its users do: what is no object with items raises in their hands if not before."""
        return await asyncio.to_thread(self._ask, url, cell)

    def _ask(self, url: str, cell: Cell) -> Outcome:
        configuration = self._client.Configuration()
        configuration.host, configuration.retries = url, False
        with self._client.ApiClient(configuration) as api:
            custom = self._client.CustomObjectsApi(api)
            try:
                found = custom.list_cluster_custom_object(
                    cell.plan.group, "v1", cell.resource, _request_timeout=PATIENCE_SECONDS
                )
                return Outcome(digest=digest(found["items"]))
            except Exception as error:
                return Outcome(f"{type(error).__name__}: {str(error)[:200]}")
            finally:
                api.rest_client.pool_manager.clear()
                gc.collect(1)


async def run(*command: str) -> tuple[int, bytes, str]:
    """Run to the end; return exit code, output and errors."""
    environment = {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir(), "KUBECONFIG": os.devnull}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output, errors.decode(errors="replace")


def kubectls(*, every: bool = False) -> list[str]:
    """Return the newest kubectl at hand, or every version that stands beside the installed one."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    versions = sorted(
        Path(found).resolve().parent.glob("kubectl.1.*"), key=lambda path: int(path.name.rpartition(".")[2])
    )
    return list(map(str, versions if every else versions[-1:])) or [found]


def has_python() -> bool:
    """Whether the Python client is installed."""
    return find_spec("kubernetes") is not None


def missing() -> dict[str, str]:
    """Return which clients are not at hand, and what would bring them."""
    found = {
        "curl": "" if shutil.which("curl") else "install curl",
        "kubectl": "" if kubectls() else "install kubectl",
        "python": "" if has_python() else "pip install --group clients",
    }
    return {client: remedy for client, remedy in found.items() if remedy}
