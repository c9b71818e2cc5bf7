"""What a run was asked to do: enough to do it again."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.bench.arms import NAMES
from proxy.bench.servers import STREAMING
from proxy.bench.workloads import DEFAULT


@dataclass(frozen=True, slots=True)
class Parameters:
    """The command line, as it stands in the JSON of a run."""

    statement: str
    workloads: tuple[str, ...] = DEFAULT
    arms: tuple[str, ...] = NAMES
    scale: float = 1.0
    rounds: int = 3
    encoder: str = STREAMING
    upstream: str = ""
    targets: tuple[str, ...] = ()
