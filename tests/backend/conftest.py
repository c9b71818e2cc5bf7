"""Real servers in this process, each with a client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .cluster import Client, Options, client_of, generated_backend


@pytest.fixture
def options() -> Options:
    """Say how the cluster is made; a test module may override it."""
    return Options()


@pytest.fixture
async def client(options: Options) -> AsyncIterator[Client]:
    """Connect to a generated cluster."""
    async with client_of(generated_backend(options)) as connected:
        yield connected
