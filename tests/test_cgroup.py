"""What a container's limits leave."""

import math
from pathlib import Path

import pytest

from proxy.cgroup import cpu_limit, memory_limit

NONE = math.inf

GROUPS: dict[str, tuple[dict[str, str], float]] = {
    "nothing is known": ({}, NONE),
    "no limit": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, NONE),
    "version 2": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
    "more than one": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
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
        NONE,
    ),
    "nonsense": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "lots\n"}, NONE),
}


def write(files: dict[str, str], root: Path) -> None:
    """Write what the kernel would show."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize("what", GROUPS)
def test_the_cpus_that_a_cgroup_allows(what: str, tmp_path: Path) -> None:
    """A container's limit counts, as do those around it."""
    files, limit = GROUPS[what]
    write(files, tmp_path)
    assert cpu_limit(tmp_path) == limit


MEMORY: dict[str, tuple[dict[str, str], float]] = {
    "nothing is known": ({}, NONE),
    "no limit": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, NONE),
    "version 2": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "134217728\n"}, 128 << 20),
    "the least of several": (
        {
            "proc/self/cgroup": "0::/pod/container\n",
            "sys/fs/cgroup/pod/memory.max": "1000000\n",
            "sys/fs/cgroup/pod/container/memory.max": "2000000\n",
        },
        1_000_000,
    ),
    "version 1": (
        {"proc/self/cgroup": "5:memory:/m\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"},
        256 << 20,
    ),
    "version 1 without a limit": (
        {"proc/self/cgroup": "5:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"},
        NONE,
    ),
}


@pytest.mark.parametrize("what", MEMORY)
def test_the_memory_that_a_cgroup_allows(what: str, tmp_path: Path) -> None:
    """A container's limit counts, as do those around it."""
    files, limit = MEMORY[what]
    write(files, tmp_path)
    assert memory_limit(tmp_path) == limit
