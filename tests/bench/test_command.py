"""`kube-restream bench` in miniature, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import cli

ARMS = "raw,streamed"
TOKEN = "open-sesame"


def bench(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmark in a directory."""
    command = [sys.executable, "-m", "proxy", "bench", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=50)


def test_measures_arms_side_by_side_and_again(tmp_path: Path) -> None:
    """Markdown on standard output, every sample and what it takes to repeat it in JSON."""
    done = bench(tmp_path, "--workloads", "configmaps-table", "--scale", "0.002", "--rounds", "1", "--arms", ARMS)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    title = lines[0].split("|")[1].strip()
    assert title.startswith("10 Lists of 20 ConfigMaps of 100 KB as Table at once, ")
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["raw", "streamed"]
    assert "| configmaps" not in done.stdout
    document = json.loads((tmp_path / "bench-out/bench.json").read_text())
    assert document["parameters"]["workloads"] == ["configmaps-table"]
    assert {"cpu", "cores", "kernel", "python"} <= set(document["machine"])
    samples = {(sample["arm"], sample["workload"]): sample["values"] for sample in document["samples"]}
    assert len(samples) == 2
    assert samples["streamed", "configmaps-table"]["items"] == 200
    assert (tmp_path / "bench-out/memory.png").exists()
    again = bench(tmp_path, "--repeat", "bench-out/bench.json", "--out", "again")
    assert again.returncode == 0, again.stderr
    assert "| configmaps-table: streamed, CPU per GB, x raw |" in again.stdout
    repeated = json.loads((tmp_path / "again/bench.json").read_text())
    assert repeated["parameters"] == document["parameters"]


def test_lists_a_real_cluster_without_telling_whom_it_is(tmp_path: Path) -> None:
    """Arms that cannot have the credential say so; neither it nor anything but GETs goes anywhere."""
    (tmp_path / "token").write_text(TOKEN)
    command = [sys.executable, "-m", "proxy", "backend", "--listen", "127.0.0.1:0", "--token", TOKEN, "--pods", "50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as backend:
        assert backend.stdout is not None
        url = backend.stdout.readline().split()[-1]
        access = ("--upstream", url, "--token-file", "token", "--targets", "/api/v1/pods?limit=9")
        done = bench(tmp_path, *access, "--rounds", "1", "--arms", "direct,haproxy,streamed")
        backend.terminate()
    assert done.returncode == 0, done.stderr
    assert "haproxy is left out" in done.stderr
    assert "one List of /api/v1/pods?limit=9" in done.stdout
    written = (tmp_path / "bench-out/upstream.json").read_text()
    assert TOKEN not in written + done.stdout + done.stderr
    assert [sample["arm"] for sample in json.loads(written)["samples"]] == ["direct", "streamed"]


def test_an_old_run_that_is_none_is_an_error(tmp_path: Path) -> None:
    """Said in one line."""
    (tmp_path / "old.json").write_text("{}")
    done = bench(tmp_path, "--repeat", "old.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("kube-restream bench: old.json is not the JSON of a run: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--arms", "squid"),
        ("--workloads", "pods,squid"),
        ("--rounds", "0"),
        ("--scale", "-1"),
        ("--scale", "nan"),
        ("--scale", "inf"),
        ("--gigabyte", "--paging"),
        ("--upstream", "https://user:password@127.0.0.1:6443"),
        ("--targets", "pods"),
    ],
)
def test_refuses_what_makes_no_sense(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """Bad arguments are exit code 2, before anything is started."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", *arguments])
    assert ended.value.code == 2
    assert f"argument {arguments[0]}" in capsys.readouterr().err
