"""The processes of a soak: an upstream that comes back, a relay on which connections break, the proxy, the load."""

import asyncio
import hashlib
import json
import re
import signal
import sys

import msgspec
import yaml

from proxy.bench.children import Child, Children
from proxy.bench.servers import BACKEND_READY, PROXY_READY
from tests.soak.client import Answer, Connection
from tests.soak.lists import Items
from tests.soak.questions import LARGE, MIDDLING, QUESTIONS, digest
from tests.soak.scene import Epoch, Plan, address_of

RELAY_READY = re.compile(r"^relay ready on (http://\S+)$", re.MULTILINE)
READY_SECONDS = 60.0
BACKEND = (
    *("--pods", "2000", "--churn", "20", "--secrets", "12", "--secret-size", "1MiB"),
    *("--configmaps", "300", "--configmap-size", "4KiB", "--nodes", "60", "--widgets", "400"),
    *("--log-interval-seconds", "0.1"),
)
"""Lists from a few KB to 16 MB; pods alone are written to, every second of them never (they are a working set)."""

MIB = 1 << 20
LIMITS = {
    "first_byte_seconds": 15.0,
    "between_bytes_seconds": 15.0,
    "connect_seconds": 5.0,
    "idle_seconds": 10.0,
    "client_stall_seconds": 4.0,
    "client_min_bytes_per_second": 2048,
    "drain_seconds": 10.0,
}
SETTINGS: dict[str, object] = {
    "allow_mode_header": True,
    "access_log": False,
    "max_item_bytes": 4 * MIB,
    "admission": {"queue_seconds": 1.0, "growth_seconds": 2.0},
    "limits": LIMITS,
    "paging": {"page_bytes": MIB},
}
BUDGET = 32 * MIB
"""Of each worker: less than the Lists would like to have, though the largest fits in."""

RELOADS: tuple[dict[str, object], ...] = (
    {},
    {"paging": {"page_bytes": MIB // 2}},
    {"admission": {"queue_seconds": 0.5, "client_lists": 24}},
    {"limits": LIMITS | {"connect_seconds": 4.0}},
    {"mode": "raw"},
    {"limits": {"idle_seconds": "soon"}},
)
"""What the settings file says instead, one after the other; the last is a mistake, which must change nothing."""

TOLD = re.compile(
    r"kube-restream ready on .*"
    r"|kube-restream: settings read again"
    r"|kube-restream: limits\.idle_seconds: .*; going on with the settings read before"
)
"""What a proxy may print."""


class Stack:
    """All servers. `workers` is the proxy's."""

    def __init__(self, children: Children, workers: int, seed: int) -> None:
        self._children = children
        self._workers = workers
        self._seed = seed
        self._directory = children.directory / "soak"
        self._directory.mkdir()
        self.epoch = Epoch(self._directory / "epoch")
        self._settings = self._directory / "settings.yaml"
        self._reloads = 0
        self._backend: Child
        self._relay: Child
        self.proxy: Child
        self.upstream_url = self.url = self.admin_url = ""

    async def start(self) -> None:
        """Start everything but the load. Raises ChildError."""
        self.epoch.advance()
        await self._start_backend("0")
        port = str(address_of(self.upstream_url)[1])
        self._relay = self._python("relay", "tests.soak.relay", "--to", port, "--seed", str(self._seed))
        relay_url = (await self._relay.line(RELAY_READY))[1]
        self._write_settings()
        told = ("--config", str(self._settings), "--upstream", relay_url, "--workers", str(self._workers))
        ports = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
        self.proxy = self._python("proxy", "tests.soak.child", "serve", *told, *ports)
        ready = await self.proxy.line(PROXY_READY)
        self.url, self.admin_url = ready[1], ready[2]

    async def _start_backend(self, port: str) -> None:
        flags = ("backend", "--listen", f"127.0.0.1:{port}", "--seed", str(self._seed), *BACKEND)
        self._backend = self._python("backend", "proxy", *flags)
        self.upstream_url = (await self._backend.line(BACKEND_READY, READY_SECONDS))[1]

    def _python(self, name: str, module: str, *arguments: str) -> Child:
        return self._children.start(name, sys.executable, "-m", module, *arguments)

    def start_load(self, role: str, scale: float) -> Child:
        """Start a process of the load, with fewer clients where the `scale` is below 1."""
        return self._python(
            role, "tests.soak.load", str(self._directory / "plan.json"), role, str(self._seed), str(scale)
        )

    async def plan(self) -> None:
        """Look at what is right, and write it down for the load. Raises OSError, HangError."""
        listed = {
            question.name: bytes((await self._get(question.target, question.accept)).body) for question in QUESTIONS
        }
        digests = {
            question.name: digest(question, listed[question.name]) for question in QUESTIONS if not question.churns
        }
        for question in (LARGE, MIDDLING):
            items = Items()
            items.take(listed[question.name])
            digests[f"items of {question.name}"] = items.digest()
        objects = {}
        for target in (
            "/api/v1/nodes/{}",
            "/api/v1/namespaces/default/secrets/{}",
            "/api/v1/namespaces/a/configmaps/{}",
        ):
            for name in await self._names(target.format("")[:-1], 3):
                body = (await self._get(target.format(name))).body
                objects[target.format(name)] = hashlib.sha256(body).hexdigest()
        plan = Plan(self.url, self.upstream_url, str(self.epoch.path), digests, objects, await self._pods())
        (self._directory / "plan.json").write_bytes(msgspec.json.encode(plan))

    async def _get(self, target: str, accept: str = "application/json") -> Answer:
        async with await Connection.open(address_of(self.upstream_url)) as connection:
            answer = await connection.ask("GET", target, {"Accept": accept})
        assert answer.status == 200, (target, answer.status)
        return answer

    async def _names(self, target: str, count: int) -> list[str]:
        items = json.loads((await self._get(target)).body)["items"]
        return [item["metadata"]["name"] for item in items[:count]]

    async def _pods(self) -> list[str]:
        items = json.loads((await self._get("/api/v1/pods")).body)["items"]
        return [
            f"/api/v1/namespaces/{item['metadata']['namespace']}/pods/{item['metadata']['name']}"
            for item in items
            if int(item["metadata"]["name"].rpartition("-")[2]) % 2 and item["status"]["phase"] == "Running"
        ][:40]

    # --- what happens meanwhile ---------------------------------------------------------------------------------------

    async def restart_upstream(self, *, kindly: bool) -> None:
        """End the upstream, by SIGTERM or by SIGKILL, and start it again on its port. Raises ChildError."""
        self.epoch.advance()
        self._backend.process.send_signal(signal.SIGTERM if kindly else signal.SIGKILL)
        while self._backend.is_alive:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.01)
        self._children.stop(self._backend)
        await self._start_backend(str(address_of(self.upstream_url)[1]))
        self.epoch.advance()

    def reload(self) -> None:
        """Give the proxy other settings."""
        self._reloads += 1
        self._write_settings()
        self.proxy.process.send_signal(signal.SIGHUP)

    def _write_settings(self) -> None:
        settings = SETTINGS | {"memory_budget": self._workers * BUDGET} | RELOADS[self._reloads % len(RELOADS)]
        self._settings.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def stop_upstream(self) -> None:
        """End relay and upstream, so that no connection to them is left."""
        for child in (self._relay, self._backend):
            self._children.stop(child)

    async def stop_proxy(self) -> tuple[int, list[str]]:
        """End the proxy; return its exit code, and what it has printed that it should not have. Raises ChildError."""
        self.proxy.process.terminate()
        code = await self.proxy.finished(READY_SECONDS)
        return code, [line for line in self.proxy.output().splitlines() if not TOLD.fullmatch(line)]
