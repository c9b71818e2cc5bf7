"""Who comes when, and who does not come at all."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.bench import rounds
from proxy.bench.arms import arms
from proxy.bench.screen import PlainScreen
from proxy.bench.workloads import CATALOGUE, DEFAULT
from proxy.core.planning import MODES


@given(st.lists(st.integers(), unique=True), st.integers(0, 100))
def test_everybody_comes_once_in_a_round(members: list[int], number: int) -> None:
    """And over as many rounds as there are members, each is first once."""
    assert sorted(rounds.rotated(members, number)) == sorted(members)
    firsts = [rounds.rotated(members, number + shift)[:1] for shift in range(len(members))]
    assert sorted(first for (first,) in firsts) == sorted(members)


def chosen(name: str, encoder: str = "streaming") -> tuple[list[str], str]:
    """Return the arms of a workload, and what is said of the others."""
    out = io.StringIO()
    names = [arm.name for arm in rounds.suitable(CATALOGUE[name], arms(), PlainScreen(out), encoder)]
    return names, out.getvalue()


def test_a_get_is_the_same_in_each_of_our_modes() -> None:
    """So only one of them is measured."""
    assert chosen("gets-1")[0] == ["direct", "kubectl proxy", "haproxy", "nginx", "streamed"]


def test_what_does_not_fit_into_memory_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten Lists of 1 GB on a machine of 12 GB; a backend that assembles holds them for everybody but paged."""
    monkeypatch.setattr(rounds, "available_memory", lambda: 12 * 10**9)
    names, said = chosen("configmaps")
    assert "buffered" not in names
    assert "streamed" in names
    assert said == "buffered is left out of configmaps: it takes 9,537 MiB, more than there is\n"
    assert chosen("configmaps", "whole")[0] == ["paged"]


def test_the_default_is_known() -> None:
    """And every workload can be made small."""
    assert set(DEFAULT) <= set(CATALOGUE)
    for name, workload in CATALOGUE.items():
        assert workload.scaled(1e-9).name == name == workload.name
        assert workload.title
        assert set(workload.modes) <= set(MODES)
