"""Files of a pod and their archives, by the commands that kubectl cp runs."""

from __future__ import annotations

import io
import tarfile

import pytest

from proxy.backend.streams import files, shell
from proxy.backend.streams.commands import Process
from proxy.backend.streams.files import Files
from proxy.backend.streams.terminals import Terminal


class Result:
    """What a command has printed and returned."""

    def __init__(self, content: bytes = b"") -> None:
        self.stdin = [content]
        self.stdout = b""
        self.stderr = b""
        self.code = -1

    async def read(self) -> bytes:
        """Return the input, then its end."""
        return self.stdin.pop() if self.stdin else b""

    async def out(self, data: bytes) -> None:
        """Take output."""
        self.stdout += data

    async def err(self, data: bytes) -> None:
        """Take errors."""
        self.stderr += data


async def run(inside: Files, *arguments: str, stdin: bytes = b"") -> Result:
    """Run a command."""
    result = Result(stdin)
    process = Process(arguments, result, result.out, result.err, Terminal(), inside, "pod")
    result.code = await shell.run(process)
    return result


def archive(members: dict[str, bytes | None]) -> bytes:
    """Return an archive; what has no content is a directory."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as made:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            member.size = len(content or b"")
            made.addfile(member, io.BytesIO(content or b""))
    return body.getvalue()


def content(body: bytes) -> dict[str, bytes | None]:
    """Return what is in an archive."""
    with tarfile.open(fileobj=io.BytesIO(body)) as opened:
        found = {}
        for member in opened:
            extracted = opened.extractfile(member)
            found[member.name] = extracted.read() if extracted else None
        return found


async def test_what_is_packed_is_unpacked() -> None:
    """Files and directories come back under the name that was asked for."""
    inside = Files()
    members: dict[str, bytes | None] = {"d/a": b"1", "d/sub/b": bytes(70_000), "d/empty": None}
    done = await run(inside, "tar", "-xmf", "-", "-C", "/data", stdin=archive(members))
    assert (done.code, done.stderr) == (0, b"")
    assert (await run(inside, "ls", "/data/d")).stdout == b"a\nempty\nsub\n"
    assert (await run(inside, "cat", "/data/d/a")).stdout == b"1"
    packed = content((await run(inside, "tar", "cf", "-", "/data/d")).stdout)
    expected = {f"data/{name}": body for name, body in members.items()}
    assert packed == expected | {"data/d": None, "data/d/sub": None}
    assert content((await run(inside, "tar", "cf", "-", "-C", "/data", "d/a")).stdout) == {"d/a": b"1"}


async def test_nothing_leaves_the_directory() -> None:
    """Members with dots or slashes in front stay below, or are left out."""
    inside = Files()
    await run(
        inside, "tar", "xf", "-", "-C", "/data", stdin=archive({"../etc/x": b"no", "/abs": b"yes", "a/../b": b"b"})
    )
    assert (await run(inside, "ls", "/data")).stdout == b"abs\nb\n"
    assert (await run(inside, "ls", "/etc")).stdout == b""


async def test_what_is_missing_is_named() -> None:
    """Exit code 2 and a line, with an archive of the rest."""
    inside = Files()
    inside.write("/data/a", b"1")
    done = await run(inside, "tar", "cf", "-", "/nope", "/data/a")
    assert (done.code, done.stderr) == (2, b"tar: /nope: Cannot stat: No such file or directory\n")
    assert content(done.stdout) == {"data/a": b"1"}


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "text"),
    [
        (("tar", "xf", "-"), b"junk" * 200, 2, b"does not look like a tar archive"),
        (("tar", "xf", "-"), archive({"a": bytes(2000)})[:1000], 2, b"does not look like a tar archive"),
        (("tar", "czf", "-", "/"), b"", 2, b"only cf"),
        (("tar", "cf", "/data/x.tar", "/"), b"", 2, b"only cf"),
        (("cat", "/nope"), b"", 1, b"cat: /nope: No such file or directory\n"),
        (("ls", "/nope"), b"", 2, b"ls: /nope: No such file or directory\n"),
        (("test", "-x", "/data"), b"", 2, b"test: "),
        (("head", "-c", "1", "/etc/passwd"), b"", 1, b"head: only"),
        (("sleep", "forever"), b"", 1, b"sleep: invalid"),
        (("sh", "-c", "echo 'open"), b"", 2, b"syntax error"),
        (("sh", "script"), b"", 2, b"only -c LINE"),
    ],
)
async def test_what_commands_refuse(arguments: tuple[str, ...], stdin: bytes, code: int, text: bytes) -> None:
    """An exit code, and a line on standard error."""
    done = await run(Files(), *arguments, stdin=stdin)
    assert (done.code, done.stdout) == (code, b"")
    assert text in done.stderr


async def test_the_disk_is_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than fits is refused, as by a full disk; what is replaced doesn't count."""
    monkeypatch.setattr(files, "DISK_BYTES", 1000)
    inside = Files()
    assert (await run(inside, "tar", "xf", "-", stdin=archive({"a": bytes(900)}))).code == 0
    assert (await run(inside, "tar", "xf", "-", stdin=archive({"a": bytes(950)}))).code == 0
    full = await run(inside, "tar", "xf", "-", stdin=archive({"b": bytes(100)}))
    assert (full.code, full.stderr) == (2, b"tar: /b: No space left on device\n")


@pytest.mark.parametrize(
    ("line", "code", "stdout"),
    [
        ("test -d /data", 0, b""),
        ("test -d /data/nope", 1, b""),
        ("echo -n 'a  b'; /bin/echo c", 0, b"a  bc\n"),
        ("false; exit", 1, b""),
        ("exit 300", 44, b""),
        ("true; false", 1, b""),
        ("hostname", 0, b"pod\n"),
    ],
)
async def test_a_line_of_shell(line: str, code: int, stdout: bytes) -> None:
    """Commands between semicolons, and what `exit` leaves with."""
    done = await run(Files(), "/bin/sh", "-c", line)
    assert (done.code, done.stdout) == (code, stdout)
