"""Which clients are at hand: kubectls on this machine, Python and Node clients in a cache folder of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".matrix"
INSTALL_SECONDS = 600
VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(.*)")
PYTHONS: Mapping[str, tuple[str, str]] = {
    "kubernetes-31": ("kubernetes", "kubernetes_python"),
    "kubernetes-37": ("kubernetes", "kubernetes_python"),
    "kubernetes-asyncio": ("kubernetes_asyncio", "asyncio_client"),
    "kr8s": ("kr8s", "kr8s_client"),
    "lightkube": ("lightkube", "lightkube_client"),
}
"""Requirements file of each Python client: its package, and the module that runs it."""


@dataclass(frozen=True)
class Client:
    """A client that can be run: a column of the matrix. `command` lacks the server and the scratch folder."""

    name: str
    version: str
    command: tuple[str, ...] = ()
    folder: Path = ROOT
    env: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    """Why it is not at hand, and how it would be."""


def kubectls(pattern: str = "") -> list[Client]:
    """Return every kubectl: those that `pattern` ($KUBECTLS) names, or the one on PATH and what stands beside it.

    Of several files with one version, the first counts.
    """
    paths = sorted(Path(pattern).parent.glob(Path(pattern).name)) if pattern else beside_the_installed()
    found: dict[str, Client] = {}
    for path in paths:
        if version := kubectl_version(path):
            command = (sys.executable, "-m", "tests.matrix.clients.kubectl")
            env = {"MATRIX_KUBECTL": str(path)}
            found.setdefault(version, Client(f"kubectl {short(version)}", version, command, env=env))
    if not found:
        how = "`kubectl` is not on `PATH`; install one, or name several with `KUBECTLS='/opt/kubectl*'`"
        return [Client("kubectl", "", missing=how)]
    return [found[version] for version in sorted(found, key=order)]


def beside_the_installed() -> list[Path]:
    """Return the kubectl on PATH and the versions in its folder, links resolved."""
    installed = shutil.which("kubectl")
    if installed is None:
        return []
    path = Path(installed).resolve()
    return [one for one in sorted(path.parent.glob("kubectl*")) if os.access(one, os.X_OK)]


def kubectl_version(path: Path) -> str:
    """Ask a kubectl for its version; one that does not say is none."""
    command = [str(path), "version", "--client", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    try:
        return str(json.loads(done.stdout)["clientVersion"]["gitVersion"]).removeprefix("v")
    except (ValueError, KeyError):
        return ""


def order(version: str) -> tuple[int, ...]:
    """Return what versions are sorted by."""
    match = VERSION.fullmatch(version)
    return tuple(int(number) for number in match.groups()[:3]) if match else ()


def short(version: str) -> str:
    """Return a version without its patch; a build that is not a release keeps what it is called."""
    match = VERSION.fullmatch(version)
    return f"{match[1]}.{match[2]}{match[4]}" if match else version


def python_client(name: str) -> Client:
    """Install a Python client into an environment of its own, unless it is there."""
    package, module = PYTHONS[name]
    requirements = HERE / "requirements" / f"{name}.txt"
    version = pinned(requirements.read_text(encoding="utf-8"), package)
    title = package.replace("_", "-")
    shown = f"{title} {version.partition('.')[0]}" if title == "kubernetes" else title
    folder = CACHE / name
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
    reason = install(folder, requirements.read_bytes(), [[sys.executable, "-m", "venv", str(folder)], pip])
    if reason:
        return Client(shown, version, missing=f"pip could not install it ({reason}); it needs a package index")
    return Client(shown, version, (str(python), "-m", f"tests.matrix.clients.{module}"))


def pinned(requirements: str, package: str) -> str:
    """Return the version that a requirements file pins a package to."""
    found = re.search(rf"^{package}==(\S+)$", requirements, re.MULTILINE)
    assert found, package
    return found[1]


def node_client() -> Client:
    """Install the Node client, and the Node that it needs, into a folder of their own."""
    source = HERE / "clients" / "node"
    lock = (source / "package-lock.json").read_bytes()
    name = "client-node"
    version = str(json.loads(lock)["packages"]["node_modules/@kubernetes/client-node"]["version"])
    npm = shutil.which("npm")
    if npm is None:
        return Client(name, version, missing="`npm` is not on `PATH`; install Node (it brings npm)")
    folder = CACHE / "node" / "client"
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(source / file, folder / file)
    shutil.copy(HERE / "clients" / "objects.json", folder.parent)
    node = str(folder / "node_modules" / ".bin" / "node")
    ci = [npm, "ci", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error"]
    # A Node comes by an install script, which an npm may be told not to run.
    if reason := install(folder / "node_modules", lock, [ci, [node, "--version"]]):
        return Client(name, version, missing=f"npm could not install it ({reason}); it needs a package registry")
    return Client(name, version, (node, str(folder / "client.mjs")))


def install(folder: Path, wanted: bytes, commands: list[list[str]]) -> str:
    """Run commands that fill a folder, unless they have filled it with just this before; return what went wrong."""
    stamp = folder / ".installed"
    if stamp.exists() and stamp.read_bytes() == wanted:
        return ""
    shutil.rmtree(folder, ignore_errors=True)
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            return type(error).__name__
        if done.returncode:
            sys.stderr.write(done.stderr)
            return f"exit code {done.returncode}"
    stamp.write_bytes(wanted)
    return ""


def clients() -> Iterator[Client]:
    """Yield every client, installed where that is possible."""
    yield from kubectls(os.environ.get("KUBECTLS", ""))
    for name in PYTHONS:
        yield python_client(name)
    yield node_client()
