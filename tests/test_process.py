"""What there is for us to use."""

import math
import os

import pytest

from proxy import cgroup
from proxy.process import DEFAULT_BUDGET, LEAST_BUDGET, memory_budget, usable_cpus

ALLOWED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("limit", "count"), [(0.5, 1), (1.5, min(2, ALLOWED)), (99, ALLOWED), (math.inf, ALLOWED)])
def test_cpus_are_those_of_the_cgroup_rounded_up(limit: float, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's limit counts, and no more than what we may run on."""
    monkeypatch.setattr(cgroup, "cpu_limit", lambda: limit)
    assert usable_cpus() == count


def test_the_cpus_of_this_machine() -> None:
    """There is one at least, and no more than we may run on."""
    assert 1 <= usable_cpus() <= ALLOWED


def test_the_budget_goes_by_the_container() -> None:
    """Two thirds of what is left beside the processes; the default where there is no limit; never nothing."""
    assert memory_budget(1, math.inf) == DEFAULT_BUDGET == 256 << 20
    assert memory_budget(1, 256 << 20) == 128 << 20
    assert memory_budget(2, 512 << 20) == 256 << 20
    assert memory_budget(4, 128 << 20) == LEAST_BUDGET
