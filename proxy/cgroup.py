"""What the cgroups of this process, version 1 or 2, leave to it: in a container, the container's limits."""

import math
from collections.abc import Callable
from pathlib import Path

ROOT = Path("/")

NO_LIMIT = 1 << 60
"""Version 1 has no word for it, but 2**63 less a page."""


def cpu_limit(root: Path = ROOT) -> float:
    """Return the CPUs that are allowed, inf without a limit."""
    return _least(root, "cpu", _cpus)


def memory_limit(root: Path = ROOT) -> float:
    """Return the bytes of memory that are allowed, inf without a limit."""
    return _least(root, "memory", _bytes)


def _least(root: Path, controller: str, limit_of: Callable[[Path], float]) -> float:
    """Return the lowest of the limits of the groups that this process is in, the innermost to the outermost."""
    limits = [math.inf]
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = root / ("sys/fs/cgroup" + (f"/{controller}" if controllers else ""))
        group = base / name.lstrip("/")
        # In a container the name may be the host's, which leads nowhere; its own group is then at the base.
        limits += [limit_of(folder) for folder in (group, *group.parents) if folder.is_relative_to(base)]
    return min(limits)


def _cpus(group: Path) -> float:
    words = _read(group / "cpu.max").split() or (
        _read(group / "cpu.cfs_quota_us").split() + _read(group / "cpu.cfs_period_us").split()
    )
    if len(words) != 2 or not words[0].isdigit() or not words[1].isdigit() or not int(words[1]):
        return math.inf
    return int(words[0]) / int(words[1]) or math.inf


def _bytes(group: Path) -> float:
    text = (_read(group / "memory.max") or _read(group / "memory.limit_in_bytes")).strip()
    return int(text) if text.isdigit() and 0 < int(text) < NO_LIMIT else math.inf


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
