"""Lists of a real cluster, read-only: whatever is asked for, by every arm that can reach it.

The credential stays in the files that the command line names: ours and kubectl read them for themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from proxy import identity, loading, settings
from proxy.bench import arms, kubectl, pictures, report, rounds, speed
from proxy.bench.arms import Arm
from proxy.bench.children import Children
from proxy.bench.errors import BenchError
from proxy.bench.lists import PODS, Lists, Reference
from proxy.bench.load import Door
from proxy.bench.meters import Figures, Run
from proxy.bench.parameters import Parameters
from proxy.bench.report import Result
from proxy.bench.screen import Screen
from proxy.bench.servers import start_proxy
from proxy.bench.stack import Stack, running
from proxy.core.errors import CredentialError
from proxy.core.planning import MODES

PEERS = ("kubectl proxy", "haproxy", "nginx")


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a cluster: paths of files, never what is in them."""

    kubeconfig: Path | None = None
    token_file: Path | None = None
    ca: Path | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """Return what `kube-restream serve` is told."""
        named = {"kubeconfig": self.kubeconfig, "upstream-token-file": self.token_file, "upstream-ca": self.ca}
        given = [text for name, path in named.items() if path for text in (f"--{name}", str(path))]
        return (*given, "--identity", "proxy-identity") if self.has_credential else tuple(given)

    @property
    def has_credential(self) -> bool:
        """Whether the cluster is told who asks."""
        return bool(self.kubeconfig or self.token_file)

    async def door(self, upstream: str) -> Door:
        """Return how a client goes there that no proxy helps. Raises BenchError."""
        told = {
            "upstream": upstream,
            "kubeconfig": self.kubeconfig and str(self.kubeconfig),
            "upstream_token_file": self.token_file and str(self.token_file),
            "upstream_tls.ca": self.ca and str(self.ca),
            "identity": "proxy-identity" if self.has_credential else None,
        }
        try:
            known = identity.establish(loading.load(None, {}, told))
            authorization = await known.credential.authorize() if known.credential else b""
        except (settings.SettingsError, CredentialError) as error:
            raise BenchError(f"--upstream: {error}") from None
        address = known.addresses[0]
        tls = address.tls.get() if address.tls else None
        return Door(upstream, tls, address.server_name, address.prefix.decode(), authorization.decode())


@dataclass(frozen=True, slots=True)
class Target(Lists):
    """Lists of whatever there is at a path."""

    @classmethod
    def at(cls, path: str) -> Self:
        """Return the List of a path."""
        return cls(path, PODS, 0, 0)

    @property
    def title(self) -> str:
        """Say it in words."""
        return f"one List of {self.name}"

    @property
    def target(self) -> str:
        """Return what is asked for."""
        return self.name


async def run(access: Access, parameters: Parameters, screen: Screen, children: Children, out: Path) -> Result:
    """Measure every target, each arm in a fresh process. Raises BenchError."""
    door = await access.door(parameters.upstream)
    chosen = [reaching(arm, parameters.upstream, access) for arm in arms.available(parameters.arms, screen)]
    able, targets = arms.announced(chosen, screen), [Target.at(path) for path in parameters.targets]
    runs: list[Run] = []
    with screen.bar("rounds", parameters.rounds * len(able) * len(targets), "{:.0f}".format) as bar:
        for target in targets:
            for number in range(parameters.rounds):
                for arm in rounds.rotated(able, number):
                    bar.note(f"{target.name}, {number + 1}: {arm.name}")
                    stack = Stack(arm.name, None, await arm.start(children, parameters.upstream), door)
                    async with running(children, stack):
                        # A live cluster's Lists differ from one to the next.
                        runs.append(await target.measure(stack, Reference(is_exact=False), number + 1))
                    bar.advance(1)
    figures, names = Figures(runs), [arm.name for arm in able]
    panels = [speed.panel(target, runs) for target in targets]
    pictures.draw_memory(out / "upstream.png", screen, "Memory of the proxy", panels)
    about = f"GETs of a live cluster; medians of {parameters.rounds} rounds, a fresh proxy for each arm and round."
    tables = [report.table(target, figures, names) for target in targets]
    return Result(about, parameters, report.versions(able), tables, runs)


def reaching(arm: Arm, upstream: str, access: Access) -> Arm:
    """Return an arm that reaches the cluster, or that says why it cannot."""
    if arm.name in MODES:
        return replace(arm, start=partial(start_proxy, mode=arm.name, flags=access.flags))
    path = kubectl.find()
    if arm.name == "kubectl proxy" and access.kubeconfig and path:
        return replace(arm, start=partial(arms.start_kubectl, path, kubeconfig=access.kubeconfig))
    if arm.name in PEERS and (access.has_credential or urlsplit(upstream).scheme == "https"):
        return replace(arm, missing="it reaches this cluster only with a configuration of its own")
    return arm
