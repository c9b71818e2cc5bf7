"""The files of a pod, in memory."""

from __future__ import annotations

import posixpath

# All files of one pod together.
DISK_BYTES = 256 << 20
ROOT = ("/", "/data", "/etc", "/tmp")  # noqa: S108 (names in memory)


class NoSpaceError(Exception):
    """More than fits."""


def absolute(path: str) -> str:
    """Return a path from the root, without dots; commands run in the root."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


class Files:
    """Directories and regular files by absolute path."""

    def __init__(self) -> None:
        self.directories = set(ROOT)
        self.content: dict[str, bytes] = {}

    def is_directory(self, path: str) -> bool:
        """Return whether there is such a directory."""
        return absolute(path) in self.directories

    def make_directory(self, path: str) -> None:
        """Make a directory, and those above it."""
        path = absolute(path)
        while path not in self.directories:
            self.directories.add(path)
            path = posixpath.dirname(path)

    def read(self, path: str) -> bytes | None:
        """Return what is in a file, if there is one."""
        return self.content.get(absolute(path))

    def write(self, path: str, content: bytes) -> None:
        """Write a file, and make the directories above it."""
        path = absolute(path)
        others = sum(len(body) for name, body in self.content.items() if name != path)
        if others + len(content) > DISK_BYTES:
            raise NoSpaceError(path)
        self.make_directory(posixpath.dirname(path))
        self.content[path] = content

    def below(self, path: str) -> list[str]:
        """Return a file, or a directory with everything in it, sorted; nothing if there is neither."""
        path = absolute(path)
        prefix = path.rstrip("/") + "/"
        return sorted(name for name in (*self.directories, *self.content) if name == path or name.startswith(prefix))

    def listed(self, path: str) -> list[str]:
        """Return what a directory has in it."""
        path = absolute(path)
        return [posixpath.basename(name) for name in self.below(path) if posixpath.dirname(name) == path != name]
