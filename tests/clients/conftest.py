"""A backend that demands a token, and a proxy for each way in which kubectl can bring one."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TOKEN = "planted-token"
READY = re.compile(r"ready on (\S+)")


@dataclass(frozen=True)
class Kubectl:
    """One kubectl binary with the flags that reach the proxy, and nothing of the user's own configuration."""

    binary: Path
    flags: tuple[str, ...]
    home: Path

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command line."""
        return [str(self.binary), *self.flags, "--cache-dir", str(self.home / "cache"), *arguments]

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run to the end and return standard output; fail with both streams if it fails."""
        done = subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True, timeout=50, env=self.env, check=False
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def env(self) -> dict[str, str]:
        """An environment without a kubeconfig."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": os.devnull}


def kubectls() -> list[Path]:
    """Every kubectl at hand: the installed one, and the versions that stand beside it."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    return sorted(Path(found).resolve().parent.glob("kubectl.1.*")) or [Path(found)]


KUBECTLS: list[Path | None] = [*kubectls()] or [None]


@pytest.fixture(params=KUBECTLS, ids=lambda path: path.name if path else "none", scope="session")
def binary(request: pytest.FixtureRequest) -> Path:
    """Each kubectl in turn."""
    if request.param is None:
        pytest.skip("kubectl is not installed")
    return Path(request.param)


@pytest.fixture(params=["kubeconfig identity", "bearer token over TLS"])
def kubectl(
    request: pytest.FixtureRequest, binary: Path, proxies: dict[str, tuple[str, ...]], tmp_path: Path
) -> Kubectl:
    """A kubectl on its way through the proxy, in each credential mode."""
    return Kubectl(binary, proxies[request.param], tmp_path)


@pytest.fixture(scope="session")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, ...]]]:
    """Start backend and proxies; the flags for kubectl by credential mode."""
    home = tmp_path_factory.mktemp("proxies")
    backend, url = _start("backend", "--pods", "30", "--token", TOKEN)
    kubeconfig = home / "kubeconfig"
    kubeconfig.write_text(
        f'{{"clusters": [{{"name": "c", "cluster": {{"server": "{url}"}}}}], "current-context": "x",'
        f' "contexts": [{{"name": "x", "context": {{"cluster": "c", "user": "u"}}}}],'
        f' "users": [{{"name": "u", "user": {{"token": "{TOKEN}"}}}}]}}'
    )
    cert, key = _certificate(home)
    children = [backend]
    try:
        plain, plain_url = _start("serve", "--kubeconfig", str(kubeconfig), "--admin-listen", "127.0.0.1:0")
        children.append(plain)
        tls, tls_url = _start(
            "serve", "--upstream", url, "--tls-cert", cert, "--tls-key", key, "--admin-listen", "127.0.0.1:0"
        )
        children.append(tls)
        yield {
            "kubeconfig identity": ("--server", plain_url),
            "bearer token over TLS": ("--server", tls_url, "--certificate-authority", cert, "--token", TOKEN),
        }
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.communicate(timeout=20)


@pytest.fixture(scope="session")
def paged() -> Iterator[dict[str, str]]:
    """Start a backend that holds whole Lists, and a proxy that pages them; their addresses."""
    backend, url = _start("backend", "--pods", "300", "--widgets", "90", "--encoder", "whole")
    children = [backend]
    try:
        proxy, proxy_url = _start(
            "serve", "--upstream", url, "--mode", "paged", "--admin-listen", "127.0.0.1:0", paging_page_items="40"
        )
        children.append(proxy)
        yield {"direct": url, "paged": proxy_url}
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.communicate(timeout=20)


def _start(command: str, *arguments: str, **settings: str) -> tuple[subprocess.Popen[str], str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "proxy", command, "--listen", "127.0.0.1:0", *arguments],
        env=os.environ | {f"RESTREAM_{name.upper()}": value for name, value in settings.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    ready = READY.search(line)
    assert ready, f"{command} did not come up: {line!r}"
    return child, ready[1]


def _certificate(home: Path) -> tuple[str, str]:
    """Return a self-signed certificate for 127.0.0.1 and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    cert, key = home / "tls.crt", home / "tls.key"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run([*command, *names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return str(cert), str(key)
