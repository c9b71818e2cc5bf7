"""The one apiserver of a run, and the proxies in front of it."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.bench.children import Children
from proxy.settings import Paging, UpstreamTLS
from tests.fakes.running import Running, running
from tests.real.controlplane import VARIABLE, ControlPlaneError, missing_programs, start
from tests.real.population import populate
from tests.real.server import Server

HOW = "docs/real-apiserver.md"
FEW = Paging(page_items=3)
"""Pages so small that every List takes many."""

Front = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with etcd and kube-apiserver."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} is not set: point it at envtest's binaries ({HOW})")
    if missing := missing_programs(Path(folder)):
        pytest.fail(f"{VARIABLE}={folder} has no executable {' and no '.join(missing)} ({HOW})", pytrace=False)
    return Path(folder).absolute()


@pytest.fixture(scope="session")
def server(assets: Path) -> Iterator[Server]:
    """A populated apiserver, which ends with the run, however that ends."""
    with Children() as children:
        populate(server := _started(children, assets))
        yield server
        children.check()


def _started(children: Children, assets: Path) -> Server:
    try:
        return start(children, assets)
    except ControlPlaneError as error:
        failure = str(error)
    pytest.fail(failure, pytrace=False)  # outside of `except`, to be reported alone


@pytest.fixture
def front(server: Server) -> Front:
    """A way to start proxies in front of the apiserver, each with a mode and other settings."""

    @asynccontextmanager
    async def open_front(mode: str, **changes: Any) -> AsyncIterator[Running]:  # noqa: ANN401
        settings = {"upstream_tls": UpstreamTLS(insecure=True), "paging": FEW} | changes
        async with running(server.url, mode=mode, **settings) as proxy:
            yield proxy

    return open_front
