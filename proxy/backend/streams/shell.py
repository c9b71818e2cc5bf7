"""Running a command line: the commands by name, and as much of a shell as `sh -c` with one line needs."""

from __future__ import annotations

import shlex

from proxy.backend.streams.commands import COMMANDS, Process
from proxy.backend.streams.outcomes import CommandError

NOT_FOUND = 127
USAGE = 2


async def run(process: Process) -> int:
    """Run a command, or fail as a container runtime does where there is none."""
    if not process.arguments:
        raise CommandError("error executing command in container: no command specified")
    name = process.arguments[0].removeprefix("/usr").removeprefix("/bin/")
    if name == "sh":
        return await sh(process)
    command = COMMANDS.get(name)
    if command is None:
        cause = f'exec: "{process.arguments[0]}": executable file not found in $PATH: unknown'
        text = "OCI runtime exec failed: exec failed: unable to start container process"
        raise CommandError(f"error executing command in container: failed to exec in container: {text}: {cause}")
    return await command(process)


async def sh(process: Process) -> int:
    """`sh -c LINE`, or the lines of standard input."""
    match process.arguments[1:]:
        case ("-c", line, *_):
            code, _ = await run_line(process, line)
            return code
        case ():
            return await interactive(process)
        case _:
            return await process.fail("only -c LINE is known", USAGE)


async def interactive(process: Process) -> int:
    """Run each line as it comes; `exit` and the end of the input end it."""
    held = b""
    code = 0
    while data := await process.stdin.read():
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            code, leaves = await run_line(process, line.decode(errors="replace"))
            if leaves:
                return code
    return code


async def run_line(process: Process, line: str) -> tuple[int, bool]:
    """Run what is between semicolons; return the last exit code, and whether the shell is to be left."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError as error:
        return await process.fail(f"syntax error: {error}", USAGE), True
    code = 0
    for command in split(words):
        if command[:1] == ["exit"]:
            return exit_code(command[1:], code), True
        code = await run_simple(process, command)
    return code, False


def split(words: list[str]) -> list[list[str]]:
    """Split at semicolons."""
    commands: list[list[str]] = [[]]
    for word in words:
        if word == ";":
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def exit_code(arguments: list[str], code: int) -> int:
    """Return what `exit` ends a shell with."""
    text = arguments[0] if arguments else str(code)
    return int(text) & 0xFF if text.isdecimal() and len(text) < 10 else USAGE


async def run_simple(process: Process, words: list[str]) -> int:
    """Run one command, whose output may go to standard error."""
    inner = process.calling(*words)
    if words[-2:] == [">&", "2"]:
        inner = Process(
            tuple(words[:-2]), process.stdin, process.stderr, process.stderr, process.terminal, process.files,
            process.hostname,
        )  # fmt: skip
    try:
        return await run(inner)
    except CommandError:
        await process.stderr(f"sh: 1: {words[0]}: not found\n".encode())
        return NOT_FOUND
