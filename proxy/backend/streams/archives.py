"""Tar archives of a pod's files."""

from __future__ import annotations

import io
import posixpath
import tarfile
from dataclasses import dataclass

from proxy.backend.streams.files import DISK_BYTES, Files, absolute

# An archive that fills the disk, and its heads.
ARCHIVE_BYTES = DISK_BYTES + (16 << 20)
FLAGS = ("--no-same-permissions", "--no-same-owner")


class ArchiveError(Exception):
    """What isn't an archive."""


@dataclass(frozen=True, slots=True)
class Request:
    """What tar is asked for."""

    extract: bool
    directory: str
    paths: tuple[str, ...]


def parse(arguments: tuple[str, ...]) -> Request | None:
    """Understand a command line: letters, `-` for the standard streams, a directory to begin in, paths."""
    words = [word for word in arguments if word not in FLAGS]
    if len(words) < 2 or words[1] != "-":
        return None
    letters, rest = words[0].lstrip("-"), words[2:]
    if not letters.endswith("f") or not set(letters) <= set("cfxmp") or ("c" in letters) == ("x" in letters):
        return None
    directory = "/"
    if rest[:1] == ["-C"] and len(rest) > 1:
        directory, rest = rest[1], rest[2:]
    return Request("x" in letters, directory, tuple(rest))


def extract(files: Files, body: bytes, directory: str) -> None:
    """Write what is in an archive; what would lie outside of the directory is left out, links are, too."""
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
            for member in archive:
                path = absolute(posixpath.join(directory, member.name.lstrip("/")))
                if not path.startswith(absolute(directory).rstrip("/") + "/"):
                    continue
                if member.isdir():
                    files.make_directory(path)
                elif member.isfile() and (content := archive.extractfile(member)):
                    files.write(path, content.read())
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError("This does not look like a tar archive") from error


def create(files: Files, request: Request) -> bytes:
    """Return an archive of what is there."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:", format=tarfile.GNU_FORMAT) as archive:
        for wanted in request.paths:
            for path in files.below(posixpath.join(request.directory, wanted)):
                add(archive, files, path, name_of(path, wanted, request.directory))
    return body.getvalue()


def name_of(path: str, wanted: str, directory: str) -> str:
    """Return a member's name: as the path was asked for, without the slash in front."""
    top = absolute(posixpath.join(directory, wanted))
    below = path[len(top.rstrip("/")) :] if path != top else ""
    return (posixpath.normpath(wanted).lstrip("/") + below).lstrip("/") or "."


def add(archive: tarfile.TarFile, files: Files, path: str, name: str) -> None:
    """Add a file or a directory."""
    member = tarfile.TarInfo(name)
    content = files.read(path)
    if content is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(member)
    else:
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
