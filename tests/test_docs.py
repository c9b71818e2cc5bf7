"""What is written is true: settings, metrics, manifests and links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli import main
from proxy.loading import load
from proxy.settings import Limits, Settings, setting_kinds
from proxy.workers.supervisor import GRACE_SECONDS
from tests.test_metrics import NAMES, WORKER_NAMES

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path for path in (ROOT / "config").iterdir() if path.name != "proxy.yaml")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [*PAGES, *sorted((ROOT / "deploy").iterdir()), ROOT / "config" / "proxy.yaml", ROOT / "Dockerfile"]


def flatten(settings: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the dotted paths of all leaves."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_settings_file_is_the_defaults() -> None:
    """config/proxy.yaml mentions every setting, each with its default."""
    path = ROOT / "config" / "proxy.yaml"
    assert list(flatten(yaml.safe_load(path.read_text()))) == list(setting_kinds())
    assert load(str(path), {}, {"upstream": "http://x"}) == Settings(upstream="http://x")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_can_be_started(path: Path) -> None:
    """Every example goes together, and docs/identity.md leads to it."""
    settings = load(str(path), {}, {})
    assert settings.effective_identity in path.read_text()
    assert f"config/{path.name}" in (ROOT / "docs" / "identity.md").read_text()


def test_every_setting_is_explained() -> None:
    """Every setting in config/proxy.yaml stands under a comment of its own, or shares its section's."""
    explained = False
    for line in (ROOT / "config" / "proxy.yaml").read_text().splitlines():
        if not line.strip():
            explained = False
        elif line.lstrip().startswith("#"):
            explained = True
        else:
            assert explained or line.endswith(":"), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links in the documentation lead to files that are there."""
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_metrics_that_are_named_exist(page: Path) -> None:
    """Every metric that a page or manifest names exists."""
    for name in re.findall(r"\brestream_[a-z_]+[a-z]\b", page.read_text()):
        assert any(name.startswith(known) or known.startswith(name) for known in (*NAMES, *WORKER_NAMES)), name


def test_manifests_use_flags_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """The arguments in deploy/ are flags that the command line knows, and Pods have the time that a drain may take."""
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    found = 0
    for manifest in (ROOT / "deploy").glob("*.yaml"):
        for document in yaml.safe_load_all(manifest.read_text()):
            pod = document.get("spec", {}).get("template", {}).get("spec", {})
            for container in pod.get("containers", []):
                arguments = container.get("args", [])
                if arguments[:1] == ["serve"]:
                    found += 1
                    flags = dict(argument.split("=") for argument in arguments[1:])
                    assert set(flags) <= known
                    delay = float(flags.get("--limits-shutdown-delay-seconds", Limits().shutdown_delay_seconds))
                    drain = float(flags.get("--limits-drain-seconds", Limits().drain_seconds))
                    assert pod["terminationGracePeriodSeconds"] > delay + drain + GRACE_SECONDS
    assert found


def test_the_readme_names_every_command() -> None:
    """Two commands are all that a newcomer needs, and the README says which."""
    readme = (ROOT / "README.md").read_text()
    for words in ("make demo", "make test", "kube-restream serve", "--kubeconfig"):
        assert words in readme


def test_threats_are_held_by_tests_that_exist() -> None:
    """Every test that docs/threat-model.md names exists, and every threat names one."""
    page = (ROOT / "docs" / "threat-model.md").read_text()
    for path, name in re.findall(r"(tests/[a-z0-9_/]+\.py)::(\w+)", page):
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
    for section in page.split("| threat |")[1:]:
        for row in section.partition("\n\n")[0].splitlines()[2:]:
            assert "::test_" in row, row


def test_limits_on_clients_are_told() -> None:
    """docs/http.md says of every limit on clients what happens beyond it."""
    page = (ROOT / "docs" / "http.md").read_text()
    for name in ("connections", "client_connections", "connection_requests", "header_seconds", "header_bytes"):
        assert f"limits.{name}" in page
    for name in ("header_lines", "uri_bytes", "large_heads_bytes", "uploads_bytes", "client_stall_seconds"):
        assert f"limits.{name}" in page
