"""One run: every client does every operation direct and through the proxy, each in a namespace of its own."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.matrix.children import Program, Server
from tests.matrix.installing import Client
from tests.matrix.operations import LISTS, OPERATIONS
from tests.matrix.outcomes import Answer, Outcome, Verdict, normalised

OBJECTS = json.loads((Path(__file__).parent / "clients" / "objects.json").read_text(encoding="utf-8"))
PATHS = {"ConfigMap": "configmaps", "Pod": "pods"}
PODS = 2000
WIDGETS = 300
# As long as each other, so that what is printed around them is, too.
FIRST_NAMESPACE = 100_001
SEEN_SECONDS = 5.0


@dataclass(frozen=True)
class Setting:
    """A backend and a proxy in front of it: what one table of the page is about."""

    name: str
    encoder: str
    mode: str
    operations: Sequence[str]
    pods: int = PODS


SETTINGS = (
    Setting("auto", "streaming", "auto", tuple(OPERATIONS)),
    Setting("auto-whole", "whole", "auto", LISTS),
    Setting("streamed", "streaming", "streamed", LISTS),
    Setting("paged", "whole", "paged", LISTS),
    Setting("buffered", "streaming", "buffered", LISTS),
)
"""What is run unless told otherwise: everything as the proxy does by default, Lists in every mode."""


@dataclass
class Table:
    """The outcomes of a setting by client and operation, and how its Lists travelled."""

    setting: Setting
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    modes: Counter[str] = field(default_factory=Counter)


@dataclass
class Bench:
    """The servers of a setting, and the programs that run against them."""

    backend: Server
    proxy: Server
    scratch: Path
    numbers: Iterator[int]

    def namespace(self) -> str:
        """Make a namespace with everything in it that operations start from."""
        name = f"cell-{next(self.numbers)}"
        send = self.backend.send
        send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        for item in OBJECTS["setup"]:
            send("POST", f"/api/v1/namespaces/{name}/{PATHS[item['kind']]}", item)
        pod = next(item for item in OBJECTS["setup"] if item["kind"] == "Pod")
        path = f"/api/v1/namespaces/{name}/pods/{pod['metadata']['name']}/status"
        send("PUT", path, pod | {"status": OBJECTS["pod_status"]})
        return name

    def ask(self, program: Program, server: Server, operation: str) -> Answer:
        """Have one operation done in a namespace of its own, and make the answer comparable."""
        namespace = self.namespace()
        answer = program.ask(operation, namespace)
        places = {
            str(program.scratch): "SCRATCH",
            server.url: "SERVER",
            server.url.removeprefix("http://"): "HOST",
            namespace: "NAMESPACE",
        }
        result = normalised(answer, places)
        assert isinstance(result, dict)
        return result

    def requests(self) -> Counter[str]:
        """Return how many requests the proxy has answered, by mode."""
        counted: Counter[str] = Counter()
        for family in text_string_to_metric_families(self.proxy.metrics()):
            for sample in family.samples:
                if sample.name == "restream_requests_total":
                    counted[sample.labels["mode"]] += int(sample.value)
        return counted

    def has_answered_since(self, before: Counter[str]) -> bool:
        """Return whether the proxy has answered anything since; a request is counted when its client has left."""
        deadline = time.monotonic() + SEEN_SECONDS
        while self.requests() == before:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def run(clients: Sequence[Client], settings: Iterable[Setting], scratch: Path) -> list[Table]:
    """Run everything."""
    return [run_setting(clients, setting, scratch / setting.name) for setting in settings]


def run_setting(clients: Sequence[Client], setting: Setting, scratch: Path) -> Table:
    """Run all clients in one setting."""
    table = Table(setting)
    objects = ("--pods", str(setting.pods), "--widgets", str(WIDGETS), "--namespaces", "1")
    with (
        Server("backend", "--encoder", setting.encoder, *objects, "--log-interval-seconds", "0.1") as backend,
        Server(
            "serve", "--upstream", backend.url, "--mode", setting.mode, "--admin-listen", "127.0.0.1:0",
            "--no-access-log",
        ) as proxy,
    ):  # fmt: skip
        bench = Bench(backend, proxy, scratch, itertools.count(FIRST_NAMESPACE))
        for client in clients:
            run_client(bench, client, table)
        table.modes = bench.requests()
    return table


def run_client(bench: Bench, client: Client, table: Table) -> None:
    """Run one client's operations, each direct and then through the proxy."""
    with ExitStack() as stack:
        direct, proxied = (
            stack.enter_context(program(client, server, bench.scratch / client.name.replace(" ", "-") / way))
            for way, server in (("direct", bench.backend), ("proxied", bench.proxy))
        )
        started = time.monotonic()
        for operation in table.setting.operations:
            wanted = bench.ask(direct, bench.backend, operation)
            before = bench.requests()
            found = bench.ask(proxied, bench.proxy, operation)
            outcome = Outcome(wanted, found)
            if outcome.verdict is Verdict.SAME and not bench.has_answered_since(before):
                outcome = Outcome(wanted, {"error": "nothing went through the proxy"})
            table.outcomes[client.name, operation] = outcome
        report(f"{table.setting.name}: {client.name} in {time.monotonic() - started:.0f} s")


def program(client: Client, server: Server, scratch: Path) -> Program:
    """Return a client's program for one way, with nothing of our environment that would lead it elsewhere."""
    scratch.mkdir(parents=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(scratch), "KUBECONFIG": os.devnull, **client.env}
    return Program([*client.command, server.url, str(scratch)], client.folder, scratch, env)


def report(text: str) -> None:
    """Tell how far the run is."""
    sys.stderr.write(f"{text}\n")
