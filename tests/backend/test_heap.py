"""What malloc is told."""

import ctypes
from types import SimpleNamespace

import pytest

from proxy.backend import heap


def test_tells_glibc_what_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both thresholds: setting one alone would freeze the other at its small default."""
    told: dict[int, int] = {}
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=told.__setitem__))
    heap.keep_freed_memory()
    assert told == {-1: heap.KEPT_BYTES, -3: heap.KEPT_BYTES}


def test_leaves_other_libraries_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither musl nor macOS has mallopt."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    heap.keep_freed_memory()
