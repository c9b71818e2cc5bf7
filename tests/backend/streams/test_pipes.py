"""Pipes hold a reader's share and no more; terminals understand what comes in pieces."""

from __future__ import annotations

import asyncio

from proxy.backend.streams.pipes import PIPE_BYTES, Pipe
from proxy.backend.streams.terminals import HELD_LIMIT, Keyboard, Size, Terminal


async def settled(task: asyncio.Task[None]) -> bool:
    """Return whether a task has ended, when every other has had its turn."""
    for _ in range(10):
        await asyncio.sleep(0)
    return task.done()


async def test_a_writer_waits_for_the_reader() -> None:
    """What is over the limit waits until it is read, in order, and the end comes last."""
    pipe = Pipe()
    await pipe.feed(b"x" * (PIPE_BYTES - 1))
    writing = asyncio.create_task(pipe.feed(b"yz"))
    assert not await settled(writing)
    assert await pipe.read() == b"x" * (PIPE_BYTES - 1) + b"yz"
    await writing
    await pipe.end()
    assert (await pipe.read(), await pipe.read()) == (b"", b"")


async def test_what_nobody_reads_is_dropped() -> None:
    """A writer that waits goes on, and never waits again."""
    pipe = Pipe()
    writing = asyncio.create_task(pipe.feed(bytes(PIPE_BYTES)))
    assert not await settled(writing)
    await pipe.drop()
    await writing
    await pipe.feed(bytes(10 * PIPE_BYTES))
    assert (pipe.size, await pipe.read()) == (0, b"")


async def test_sizes_come_in_pieces() -> None:
    """Each object counts when it is complete; what isn't a size is ignored, and never held for long."""
    terminal = Terminal()
    for piece in (b'{"Width":8', b'0,"Height":24}\n{"Width":', b'132,"Height":50}'):
        terminal.feed(piece)
    assert await terminal.next_size() == Size(132, 50)
    terminal.feed(b"junk" * HELD_LIMIT)
    assert len(terminal.held) == HELD_LIMIT
    assert terminal.size == Size(132, 50)


async def test_a_keyboard_ends_with_ctrl_d() -> None:
    """Enter is a newline; what stands behind Ctrl-D is for somebody else."""
    pipe = Pipe()
    await pipe.feed(b"one\rtwo\x04three")
    keyboard = Keyboard(pipe)
    assert (await keyboard.read(), await keyboard.read()) == (b"one\ntwo", b"")
