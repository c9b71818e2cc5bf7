"""attach: one console, whatever joins it."""

from __future__ import annotations

import pytest

from proxy.backend.verbs import Behaviour
from tests.backend.cluster import Client, Options

from .peers import POD, spdy_remote, websocket_remote

TARGET = f"{POD}/attach?container=web&stdin=true&stdout=true"


@pytest.fixture
def options() -> Options:
    """Containers that print fifty lines a second."""
    return Options(behaviour=Behaviour(log_interval=0.02))


async def test_a_console_is_shared(client: Client) -> None:
    """What one types shows on both, beside what the container prints, also after one of them has left."""
    async with websocket_remote(client, TARGET, stdin=True, tty=False) as one:
        async with spdy_remote(client, f"{TARGET}&tty=true", stdin=True, tty=True) as two:
            await two.until(b" tick ")
            await one.type(b"from one\n")
            await two.until(b"from one\r\n")
            await two.type(b"from two\r")
            await one.until(b"from two\n")
        await one.type(b"alone\n")
        await one.until(b"alone\n")


async def test_the_end_of_input_ends_nothing(client: Client) -> None:
    """A console goes on when nobody types any more."""
    async with spdy_remote(client, TARGET + "&stderr=true", stdin=True, tty=False) as remote:
        await remote.type(b"last words\n")
        await remote.close_stdin()
        shown = await remote.until(b"last words\n")
        assert len(await remote.until(shown[-1:] + b"web-00020 tick ")) > len(shown)
