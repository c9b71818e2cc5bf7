"""Which kubectl is run, and with which configuration."""

from pathlib import Path

import pytest
import yaml

from proxy.bench import kubectl


def executable(path: Path) -> None:
    """Make a file that a shell would find."""
    path.touch()
    path.chmod(0o755)


def test_takes_the_newest_behind_a_dispatcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are compared as numbers: 1.33 is newer than 1.9."""
    for name in ("kubectl", "kubectl.1.9", "kubectl.1.33", "kubectl.1.32", "kubectl.old"):
        executable(tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kubectl.find() == tmp_path / "kubectl.1.33"


def test_takes_the_only_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where kubectl is just kubectl."""
    executable(tmp_path / "kubectl")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kubectl.find() == tmp_path / "kubectl"


def test_knows_when_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo goes on without."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kubectl.find() is None


def test_writes_a_kubeconfig_that_points_to_the_backend(tmp_path: Path) -> None:
    """One cluster, no credential."""
    written = yaml.safe_load(kubectl.write_kubeconfig(tmp_path, "http://127.0.0.1:1234").read_text())
    assert written["clusters"][0]["cluster"] == {"server": "http://127.0.0.1:1234"}
    assert written["users"] == [{"name": "nobody", "user": {}}]
