"""kubectl, each version at hand, through the proxy: exec, attach, logs -f, cp and port-forward.

One version a generation of protocols does everything, the others are only seen to work.
"""

import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.clients.conftest import KUBECTLS, Kubectl
from tests.clients.conftest import _start as start

POD = "web-00016"
SPDY = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}
WEBSOCKETS = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "true", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "true"}
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "1.27": ("kubectl.1.27", {}),
    "1.30 SPDY": ("kubectl.1.30", SPDY),
    "1.30 WebSockets": ("kubectl.1.30", WEBSOCKETS),
    "1.33": ("kubectl.1.33", {}),
}
FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)")
SECONDS = 20


@dataclass(frozen=True)
class StreamingKubectl(Kubectl):
    """A kubectl that is told which protocols to use."""

    switches: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """An environment with the switches."""
        return super().env | self.switches

    def outcome(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """Run to the end; return the exit code and both streams."""
        done = subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True, timeout=50, env=self.env, check=False
        )
        return done.returncode, done.stdout, done.stderr

    @contextmanager
    def running(self, *arguments: str, terminal: int | None = None) -> Iterator[subprocess.Popen[str]]:
        """Run until the test has seen enough; on a terminal, if one is given."""
        child = subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.PIPE if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.STDOUT if terminal is None else subprocess.DEVNULL,
            text=True,
            env=self.env,
        )
        try:
            yield child
        finally:
            child.terminate()
            child.communicate(timeout=SECONDS)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a backend whose containers print twenty lines a second, and a proxy in front of it; the proxy's address."""
    children = []
    try:
        backend, url = start("backend", "--pods", "30", "--log-interval-seconds", "0.05")
        children.append(backend)
        proxy, proxy_url = start("serve", "--upstream", url, "--admin-listen", "127.0.0.1:0", "--no-access-log")
        children.append(proxy)
        yield proxy_url
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.communicate(timeout=SECONDS)


@pytest.fixture(params=WAYS)
def kubectl(request: pytest.FixtureRequest, server: str, tmp_path: Path) -> StreamingKubectl:
    """A kubectl of each generation."""
    name, switches = WAYS[request.param]
    for path in KUBECTLS:
        if path and path.name == name:
            return StreamingKubectl(path, ("--server", server), tmp_path, switches)
    pytest.skip(f"{name} is not installed")


def test_works(binary: Path, server: str, tmp_path: Path) -> None:
    """Every version runs a command with input, output on both streams and an exit code."""
    command = ("exec", "-i", POD, "--", "sh", "-c", "cat; echo oops >&2; exit 3")
    code, stdout, stderr = StreamingKubectl(binary, ("--server", server), tmp_path).outcome(*command, stdin="in\n")
    assert (code, stdout) == (3, "in\n")
    assert stderr == "oops\ncommand terminated with exit code 3\n"


def test_commands_that_do_not_exist(kubectl: StreamingKubectl) -> None:
    """The runtime's error is told, exit code 1."""
    code, _, stderr = kubectl.outcome("exec", POD, "--", "nope")
    assert code == 1
    assert 'exec: "nope": executable file not found' in stderr


def test_megabytes_of_input_and_output(kubectl: StreamingKubectl) -> None:
    """Eight megabytes each way, counted where they arrive."""
    assert kubectl.run("exec", "-i", POD, "--", "wc", "-c", stdin="x" * (8 << 20)) == f"{8 << 20}\n"
    assert len(kubectl.run("exec", POD, "--", "head", "-c", "8M", "/dev/zero")) == 8 << 20


def test_a_terminal_is_resized(kubectl: StreamingKubectl) -> None:
    """The first size is told, a change too, and Ctrl-D ends it."""
    outer, inner = pty.openpty()
    try:
        resize(outer, 24, 80)
        with kubectl.running("exec", "-it", POD, "--", "winsize", terminal=inner) as child:
            wait_for(outer, b"24 80\r\n")
            resize(outer, 50, 132)
            child.send_signal(signal.SIGWINCH)  # as the kernel does for those whom the terminal controls
            wait_for(outer, b"50 132\r\n")
            os.write(outer, b"\x04")
            assert child.wait(SECONDS) == 0
    finally:
        os.close(outer)
        os.close(inner)


def resize(terminal: int, rows: int, columns: int) -> None:
    """Change the size of a terminal."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def wait_for(terminal: int, text: bytes) -> None:
    """Read until something was printed."""
    shown = b""
    while text not in shown:
        shown += os.read(terminal, 1024)


def test_attach_joins_the_console(kubectl: StreamingKubectl) -> None:
    """What is typed comes back between the lines that the container prints."""
    with kubectl.running("attach", "-i", POD) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("typed\n")
        child.stdin.flush()
        lines: set[str] = set()
        while not {"typed", "tick"} <= lines:
            line = child.stdout.readline()
            assert line
            lines.add("tick" if " tick " in line else line.strip())


def test_logs_are_followed(kubectl: StreamingKubectl) -> None:
    """Lines come one by one, without a gap, for as long as kubectl stays."""
    with kubectl.running("logs", "-f", "--tail=3", POD) as child:
        assert child.stdout is not None
        numbers = [int(child.stdout.readline().split(" tick ")[1]) for _ in range(6)]
    assert numbers == list(range(numbers[0], numbers[0] + 6))


def test_files_are_copied_both_ways(kubectl: StreamingKubectl, tmp_path: Path) -> None:
    """A directory comes back as it went."""
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    files = {"a.txt": b"one\n", "sub/b.bin": os.urandom(1 << 20), "empty": b""}
    for name, content in files.items():
        (source / name).write_bytes(content)
    kubectl.run("cp", str(source), f"{POD}:/data")
    kubectl.run("cp", f"{POD}:/data/source", str(tmp_path / "copy"))
    assert {name: (tmp_path / "copy" / name).read_bytes() for name in files} == files


def test_ports_are_forwarded(kubectl: StreamingKubectl) -> None:
    """Several connections at once, each with its half-close; a port without a listener is told of."""
    with kubectl.running("port-forward", "--address", "127.0.0.1", POD, ":7", ":80", ":81") as child:
        assert child.stdout is not None
        ports: dict[str, int] = {}
        while len(ports) < 3:
            found = FORWARDING.match(child.stdout.readline())
            assert found
            ports[found[2]] = int(found[1])
        first, second = connect(ports["7"]), connect(ports["7"])
        with first, second, connect(ports["80"]) as http:
            content = os.urandom(100_000)
            second.sendall(b"second")
            first.sendall(content)
            first.shutdown(socket.SHUT_WR)
            assert received(first) == content
            http.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
            assert received(http).endswith(f"{POD}:80 GET /hello\n".encode())
            second.shutdown(socket.SHUT_WR)
            assert received(second) == b"second"
        with connect(ports["81"]) as refused:
            assert received(refused) == b""
        while "connection refused" not in (line := child.stdout.readline()):
            assert line


def connect(port: int) -> socket.socket:
    """Connect to a port that kubectl forwards."""
    return socket.create_connection(("127.0.0.1", port), timeout=SECONDS)


def received(connection: socket.socket) -> bytes:
    """Return everything until the other side's end."""
    content = b""
    try:
        while data := connection.recv(1 << 16):
            content += data
    except ConnectionResetError:
        pass  # kubectl drops a connection that was refused behind it
    return content
