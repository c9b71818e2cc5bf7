"""`kube-restream bench` in miniature, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import cli


def bench(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmark in a directory."""
    command = [sys.executable, "-m", "proxy", "bench", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=50)


def test_measures_arms_side_by_side(tmp_path: Path) -> None:
    """Markdown on standard output, every sample in JSON."""
    workloads = ("--workloads", "secrets,configmaps-table,gets-64,watches")
    done = bench(tmp_path, *workloads, "--scale", "0.002", "--rounds", "1", "--arms", "direct,streamed")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("| one List of 1 Secrets of 1 MiB, 1.0 MB each | CPU s/GB | x kubectl proxy | MB/s |")
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["direct", "streamed"]
    document = json.loads((tmp_path / "bench-out/bench.json").read_text())
    assert document["parameters"]["scale"] == 0.002
    assert {"cpu", "cores", "kernel", "python"} <= set(document["machine"])
    samples = {(sample["arm"], sample["workload"]): sample["values"] for sample in document["samples"]}
    assert len(samples) == 8
    assert samples["streamed", "configmaps-table"]["items"] == 200
    assert 0.1 < samples["streamed", "secrets"]["proxy_cpu_seconds_per_gigabyte"] < 1000
    assert 1e-6 < samples["streamed", "gets-64"]["proxy_cpu_seconds_per_request"] < 0.1
    assert samples["streamed", "watches"]["events"] > 0
    assert "proxy_cpu_seconds_per_gigabyte" not in samples["direct", "secrets"]
    assert (tmp_path / "bench-out/memory.png").exists()


def test_measures_the_memory_of_large_lists(tmp_path: Path) -> None:
    """One row for each case, with what the proxy needed above idle."""
    done = bench(tmp_path, "--gigabyte", "--scale", "0.0005")
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:7]]
    assert [row[0].partition(",")[0] for row in rows] == ["streamed", "raw", "streamed", "streamed", "buffered"]
    assert [row[3] for row in rows] == ["200", "–", "2,000", "200", "50"]  # noqa: RUF001
    assert all(row[-1].endswith("iB") for row in rows)
    assert (tmp_path / "bench-out/gigabyte.json").exists()


def test_measures_what_paging_spares(tmp_path: Path) -> None:
    """A table for each workload with the bounds, every sample with its curves in JSON, and a picture."""
    done = bench(tmp_path, "--paging", "--scale", "0.01", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    heads = [line.split("|")[1:-1] for line in done.stdout.splitlines() if "| direct |" in line]
    assert [head[0].partition(",")[0].strip() for head in heads] == [
        "10 Lists of 1 Secrets of 1 MiB at once",
        "10 Lists of 500 pods of 2.5 KB at once",
        "one List of 500 pods of 2.5 KB",
    ]
    assert [cell.strip() for cell in heads[0][1:]] == ["direct", "streamed", "paged", "paged / direct", "bound"]
    assert "1/15: " in done.stdout
    samples = json.loads((tmp_path / "bench-out/paging.json").read_text())["samples"]
    assert [sample["arm"] for sample in samples] == 2 * ["direct", "streamed", "paged"] + ["direct", "paged"]
    assert set(samples[2]["series"]) == {"backend", "proxy"}
    assert (tmp_path / "bench-out/paging.png").exists()


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
    ],
)
def test_refuses_what_makes_no_sense(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """Bad arguments are exit code 2, before anything is started."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", *arguments])
    assert ended.value.code == 2
    assert f"argument {arguments[0]}" in capsys.readouterr().err
