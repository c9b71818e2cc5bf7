"""How many CPUs there are to use."""

import os
from pathlib import Path

import pytest

from proxy.process import usable_cpus

ALLOWED = len(os.sched_getaffinity(0))

GROUPS: dict[str, tuple[dict[str, str], float]] = {
    "nothing is known": ({}, 99),
    "no limit": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 99),
    "version 2": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
    "a fraction counts as one": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
    "an outer group's": (
        {
            "proc/self/cgroup": "0::/pod/container\n",
            "sys/fs/cgroup/pod/cpu.max": "100000 100000\n",
            "sys/fs/cgroup/pod/container/cpu.max": "max 100000\n",
        },
        1,
    ),
    "the host's name of a container's group": (
        {"proc/self/cgroup": "0::/../../kubepods/x\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"},
        1,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "5:memory:/m\n4:cpu,cpuacct:/docker/x\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        1,
    ),
    "version 1 without a limit": (
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        99,
    ),
    "nonsense": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "lots\n"}, 99),
}


@pytest.mark.parametrize("what", GROUPS)
def test_the_cpus_that_a_cgroup_allows(what: str, tmp_path: Path) -> None:
    """A container's limit counts, rounded up, as do those around it; without one it is what we may run on."""
    files, limit = GROUPS[what]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cpus(tmp_path) == min(ALLOWED, limit)


def test_the_cpus_of_this_machine() -> None:
    """There is one at least, and no more than we may run on."""
    assert 1 <= usable_cpus() <= ALLOWED
