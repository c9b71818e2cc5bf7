"""What the process as a whole needs from the system before it serves."""

import ctypes
import gc
import math
import os
import resource
from collections.abc import Callable
from typing import cast

from proxy import cgroup

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3

OWN_FILES = 64
"""What else is open: listeners, the admin listener's connections, logs, files that are read again."""

DEFAULT_BUDGET = 256 << 20
LEAST_BUDGET = 8 << 20
PROCESS_BYTES = 64 << 20
"""What a process needs for itself: 46 MiB when idle, and what requests cost beside their bytes."""


def raise_open_files_limit() -> int:
    """Raise the soft limit on open files to the hard one and return it; 1,024 connections are soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def most_connections(open_files: int) -> int:
    """Return how many clients can be served with so many files: each may need a connection to the upstream as well."""
    return max(1, (open_files - OWN_FILES) // 2)


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
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 4 << 20)
        mallopt(M_TRIM_THRESHOLD, 8 << 20)


def give_back_freed_memory() -> None:
    """Give back to the kernel what was freed between what is in use, which glibc never does by itself.

    While Lists come to a stop for slow clients, such holes become a quarter of what is held (paged: 204 MiB taken for
    163, and 161 without them). Takes 2 to 11 ms where there are that many, 0.1 ms else.
    """
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    """Return a function of the C library, None where it is another one."""
    try:
        return cast("Callable[..., int]", getattr(ctypes.CDLL(None), name))
    except (OSError, AttributeError):
        return None


def usable_cpus() -> int:
    """Return how many CPUs there are for us: those that we may run on, and no more than our cgroup's share of them."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return math.ceil(min(allowed, cgroup.cpu_limit()))


def memory_budget(workers: int, limit: float | None = None) -> int:
    """Return the bytes that Lists may hold in `workers` processes together, where the settings do not say.

    In a container two thirds of what its `limit` leaves beside the processes themselves: what is held is known, what
    the allocator makes of it (up to an eighth more) and what the kernel counts as ours is not.
    """
    limit = cgroup.memory_limit() if limit is None else limit
    if limit == math.inf:
        return DEFAULT_BUDGET
    return max(LEAST_BUDGET, int(limit - workers * PROCESS_BYTES) * 2 // 3)
