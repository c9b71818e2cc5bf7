"""What the process as a whole needs from the system before it serves."""

import ctypes
import gc
import math
import os
import resource
from pathlib import Path

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3


def raise_open_files_limit() -> int:
    """Raise the soft limit on open files to the hard one and return it; 1,024 connections are soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def freeze_objects() -> None:
    """Take what lives as long as the process out of the garbage collector's sight.

    To look at the 43,000 objects of the imported modules once more takes 6 to 11 ms, in which every client waits.
    """
    gc.collect()
    gc.freeze()


def keep_freed_memory() -> None:
    """Keep glibc from giving buffers of up to 1 MiB back to the kernel each time they are freed.

    Read and window buffers live for microseconds; faulting their pages in anew doubled the CPU per GB of the streamed
    path (2.6 against 1.3 s/GB with 256 KiB reads). Costs at most the two thresholds of idle memory.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # not glibc
    mallopt(M_MMAP_THRESHOLD, 4 << 20)
    mallopt(M_TRIM_THRESHOLD, 8 << 20)


def usable_cpus(root: Path = Path("/")) -> int:
    """Return how many CPUs there are for us: those that we may run on, and no more than our cgroup's share of them."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return math.ceil(min(allowed, _cpu_limit(root)))


def _cpu_limit(root: Path) -> float:
    """Return the CPUs that the cgroups of this process, the innermost to the outermost, allow; inf without a limit."""
    limits = [math.inf]
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / ("sys/fs/cgroup" + ("/cpu" if controllers else ""))
        group = base / name.lstrip("/")
        # In a container the name may be the host's, which leads nowhere; its own group is then at the base.
        limits += [_limit_of(folder) for folder in (group, *group.parents) if folder.is_relative_to(base)]
    return min(limits)


def _limit_of(group: Path) -> float:
    """Return the limit of one cgroup, version 2 or 1."""
    words = _read(group / "cpu.max").split() or (
        _read(group / "cpu.cfs_quota_us").split() + _read(group / "cpu.cfs_period_us").split()
    )
    if len(words) != 2 or not words[0].isdigit() or not words[1].isdigit() or not int(words[1]):
        return math.inf
    return int(words[0]) / int(words[1]) or math.inf


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
