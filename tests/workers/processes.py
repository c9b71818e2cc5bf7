"""The processes of a proxy with workers, seen from outside: by their command lines, files and sockets."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROC = Path("/proc")
ESTABLISHED = "01"


def workers_of(pid: int) -> dict[int, int]:
    """Return the process ids of the workers of a supervisor by their numbers; zombies have no command line."""
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit() and parent_of(int(folder.name)) == pid:
            words = _read(folder / "cmdline").split("\0")
            if "proxy.workers" in words:
                found[int(words[words.index("proxy.workers") + 1])] = int(folder.name)
    return found


def children_of(pid: int) -> list[int]:
    """Return all children of a process, zombies as well."""
    return [
        int(folder.name) for folder in PROC.iterdir() if folder.name.isdigit() and parent_of(int(folder.name)) == pid
    ]


def parent_of(pid: int) -> int | None:
    """Return the parent of a process, None where there is none such."""
    words = _read(PROC / str(pid) / "stat").rpartition(")")[2].split()
    return int(words[1]) if words else None


def is_running(pid: int) -> bool:
    """Whether a process is there, and not a zombie."""
    words = _read(PROC / str(pid) / "stat").rpartition(")")[2].split()
    return bool(words) and words[0] != "Z"


def memory_of(pid: int, field: str) -> int:
    """Return ``VmRSS`` or ``VmHWM`` in bytes."""
    line = next(line for line in _read(PROC / str(pid) / "status").splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) << 10


def connections_of(pid: int, port: int) -> int:
    """Return how many connections to a port on this side a process has."""
    inodes = set()
    for line in _read(PROC / str(pid) / "net" / "tcp").splitlines()[1:]:
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) == port and words[3] == ESTABLISHED:
            inodes.add(words[9])
    return len(inodes & set(_sockets_of(pid)))


def descriptors() -> set[int]:
    """Return the file descriptors that we have open."""
    return {int(path.name) for path in (PROC / "self" / "fd").iterdir()}


@contextmanager
def without_descriptors() -> Iterator[None]:
    """Leave no descriptor to be had in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = [os.dup(0) for _ in range(max(descriptors()))]  # no gap is left below the limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare) + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in spare:
            os.close(fd)


def _sockets_of(pid: int) -> list[str]:
    links = []
    for path in (PROC / str(pid) / "fd").iterdir():
        try:
            links.append(str(path.readlink()))
        except OSError:
            continue
    return [link.removeprefix("socket:[").removesuffix("]") for link in links]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
