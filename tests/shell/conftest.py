"""Which loops a module runs on: asyncio's own, and with ``LOOPS`` also uvloop's, which serves in production."""

import asyncio
import sys
from collections.abc import Callable, Mapping

import pytest
import uvloop

FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


if (3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2):
    # There writelines() of asyncio's own loop never pauses the writer (CVE-2024-12254).
    FACTORIES["asyncio"] = uvloop.new_event_loop


def pytest_asyncio_loop_factories(item: pytest.Function) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Choose by the module's ``LOOPS``."""
    return {name: FACTORIES[name] for name in getattr(item.module, "LOOPS", ("asyncio",))}
