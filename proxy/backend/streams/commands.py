"""The commands that a pod has: coroutines over streams and files in memory. No process is ever started."""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from proxy.backend.streams import archives
from proxy.backend.streams.files import Files, NoSpaceError
from proxy.backend.streams.pipes import Sink, Source
from proxy.backend.streams.terminals import Size, Terminal

# What generated output is written in.
BLOCK_BYTES = 32 * 1024
# A client tells its size beside the command, so it may come a moment later.
SIZE_SECONDS = 0.5
COUNT = re.compile(r"(\d{1,15})([kKMG]?)")
MULTIPLES = {"": 1, "k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
ZEROS = bytes(BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class Process:
    """A command that runs, and what it is connected to."""

    arguments: tuple[str, ...]
    stdin: Source
    stdout: Sink
    stderr: Sink
    terminal: Terminal
    files: Files
    hostname: str

    async def fail(self, text: str, code: int = 1) -> int:
        """Say what is wrong."""
        await self.stderr(f"{self.arguments[0]}: {text}\n".encode())
        return code

    def calling(self, *arguments: str) -> Process:
        """Return a process with the same streams for another command."""
        return replace(self, arguments=arguments)


Command = Callable[[Process], Awaitable[int]]


async def cat(process: Process) -> int:
    """`cat [FILE…]`: files, or standard input while it comes."""
    code = 0
    for path in process.arguments[1:]:
        content = process.files.read(path)
        if content is None:
            code = await process.fail(f"{path}: No such file or directory")
        else:
            await write(process.stdout, content)
    if not process.arguments[1:]:
        while data := await process.stdin.read():
            await process.stdout(data)
    return code


async def write(sink: Sink, content: bytes) -> None:
    """Write in blocks, so that a slow reader is waited for."""
    for start in range(0, len(content), BLOCK_BYTES):
        await sink(content[start : start + BLOCK_BYTES])


async def echo(process: Process) -> int:
    """`echo [-n] [TEXT…]`."""
    words = process.arguments[1:]
    newline = words[:1] != ("-n",)
    text = " ".join(words if newline else words[1:]) + "\n" * newline
    await process.stdout(text.encode())
    return 0


async def true(process: Process) -> int:
    """Succeed: `true`."""
    del process
    return 0


async def false(process: Process) -> int:
    """Fail: `false`."""
    del process
    return 1


async def head(process: Process) -> int:
    """`head -c N /dev/zero`: that many bytes, as fast as they are read."""
    match process.arguments[1:]:
        case ("-c", count, "/dev/zero") if found := COUNT.fullmatch(count):
            left = int(found[1]) * MULTIPLES[found[2]]
        case _:
            return await process.fail("only -c N /dev/zero is known")
    while left:
        block = ZEROS[:left]
        left -= len(block)
        await process.stdout(block)
    return 0


async def count_bytes(process: Process) -> int:
    """`wc -c`: how much came over standard input."""
    if process.arguments[1:] != ("-c",):
        return await process.fail("only -c is known")
    size = 0
    while data := await process.stdin.read():
        size += len(data)
    await process.stdout(b"%d\n" % size)
    return 0


async def stty(process: Process) -> int:
    """`stty size`: rows and columns."""
    if process.arguments[1:] != ("size",):
        return await process.fail("only size is known")
    if process.terminal.size == Size():
        try:
            async with asyncio.timeout(SIZE_SECONDS):
                await process.terminal.next_size()
        except TimeoutError:
            pass
    await process.stdout(f"{process.terminal.size}\n".encode())
    return 0


async def winsize(process: Process) -> int:
    """`winsize`: rows and columns, again whenever they change, until standard input ends."""

    async def follow() -> None:
        while True:
            await process.stdout(f"{await process.terminal.next_size()}\n".encode())

    following = asyncio.create_task(follow())
    try:
        while await process.stdin.read():
            pass
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return 0


async def sleep(process: Process) -> int:
    """`sleep SECONDS`."""
    text = process.arguments[1] if process.arguments[1:] else ""
    if not text.replace(".", "", 1).isdecimal():
        return await process.fail("invalid time interval")
    await asyncio.sleep(float(text))
    return 0


async def hostname(process: Process) -> int:
    """`hostname`: the pod's name."""
    await process.stdout(f"{process.hostname}\n".encode())
    return 0


async def test(process: Process) -> int:
    """`test -d PATH`, `test -f PATH`."""
    match process.arguments[1:]:
        case ("-d", path):
            return 0 if process.files.is_directory(path) else 1
        case ("-f", path):
            return 0 if process.files.read(path) is not None else 1
        case _:
            return await process.fail("only -d and -f are known", 2)


async def ls(process: Process) -> int:
    """`ls [PATH]`."""
    path = process.arguments[1] if process.arguments[1:] else "/"
    if process.files.is_directory(path):
        names = process.files.listed(path)
    elif process.files.read(path) is not None:
        names = [path]
    else:
        return await process.fail(f"{path}: No such file or directory", 2)
    await process.stdout("".join(f"{name}\n" for name in names).encode())
    return 0


async def tar(process: Process) -> int:
    """`tar cf - PATH…` and `tar xf - [-C PATH]`, with the flags that kubectl cp sends."""
    request = archives.parse(process.arguments[1:])
    if request is None:
        return await process.fail("only cf - PATH and xf - [-C PATH] are known", 2)
    if request.extract:
        body = bytearray()
        while data := await process.stdin.read():
            body += data
            if len(body) > archives.ARCHIVE_BYTES:
                return await process.fail("-: No space left on device", 2)
        try:
            archives.extract(process.files, bytes(body), request.directory)
        except archives.ArchiveError as error:
            return await process.fail(str(error), 2)
        except NoSpaceError as error:
            return await process.fail(f"{error}: No space left on device", 2)
        return 0
    missing = [path for path in request.paths if not process.files.below(posixpath.join(request.directory, path))]
    for path in missing:
        await process.fail(f"{path}: Cannot stat: No such file or directory")
    await write(process.stdout, archives.create(process.files, request))
    return 2 if missing else 0


COMMANDS: Mapping[str, Command] = {
    "cat": cat, "echo": echo, "false": false, "head": head, "hostname": hostname, "ls": ls, "sleep": sleep,
    "stty": stty, "tar": tar, "test": test, "true": true, "wc": count_bytes, "winsize": winsize,
}  # fmt: skip
