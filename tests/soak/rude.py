"""Clients that are slow, stop reading, vanish, or were never serious."""

import asyncio
from time import monotonic

from tests.soak.client import Connection, HangError
from tests.soak.questions import LARGE, MIDDLING, MODES, pinned
from tests.soak.scene import Scene
from tests.soak.tally import LEFT

SLOW_BYTES_PER_SECOND = 50_000
SMALL_BUFFER = 64 << 10
STALL_SECONDS = 25.0, 30.0
"""How long a client reads nothing. The proxy, told to wait for 4 s, looks at most twice once it has more to send."""

LORIS_SECONDS = 12.0
BAD_REQUESTS = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
    "two lengths": b"POST /api/v1/pods HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "both framings": b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"GET /api HTTP/1.1\r\nHost : x\r\n\r\n",
    "a bad chunk": b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a head without end": b"GET /api HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (1500 << 10) + b"\r\n\r\n",
    "no Host": b"GET /api HTTP/1.1\r\n\r\n",
}


async def slow(scene: Scene) -> None:
    """Read a List at the speed of a bad line; it has to be exact all the same, or visibly broken."""
    while not scene.is_over:
        mode, epoch = scene.source.choice(MODES), scene.epoch.now()
        what = "List of a slow client"
        try:
            async with await Connection.open(scene.proxy, rate=SLOW_BYTES_PER_SECOND) as connection:
                connection.begin("GET", MIDDLING.target, pinned(mode))
                answer = await connection.answer()
                await scene.judge(what, MIDDLING, answer, epoch)
        except asyncio.CancelledError:
            scene.tally.note(what, LEFT)
            raise
        except (OSError, HangError) as error:
            scene.tally.fail(what, str(error))
            continue
        if answer.trouble:
            await scene.pause(answer)


async def stalling(scene: Scene) -> None:
    """Stop reading in the middle: the proxy has to give up, so that the rest never looks complete."""
    what = "List of a client that stalls"
    while not scene.is_over:
        mode = scene.source.choice(MODES)
        try:
            async with await Connection.open(scene.proxy, receive_buffer=SMALL_BUFFER) as connection:
                connection.freeze_at(1)
                connection.begin("GET", LARGE.target, pinned(mode))
                if await connection.until(1):
                    await asyncio.sleep(scene.source.uniform(*STALL_SECONDS))
                    connection.thaw()
                answer = await connection.answer()
        except (OSError, HangError) as error:
            scene.tally.fail(what, str(error))
            continue
        if answer.trouble:
            scene.note_trouble(what, answer, answer.trouble)
            await scene.pause(answer)
        else:
            scene.tally.fail(what, f"complete, {len(answer.body):,} bytes in {mode or 'auto'}")


async def vanishing(scene: Scene) -> None:
    """Leave at any moment: before the head, in the middle, with an RST, with a FIN."""
    while not scene.is_over:
        what, mode = "List of a client that vanishes", scene.source.choice(MODES)
        question = scene.source.choice((LARGE, MIDDLING))
        try:
            connection = await Connection.open(scene.proxy)
        except OSError as error:
            scene.tally.fail(what, str(error))
            continue
        connection.begin("GET", question.target, pinned(mode))
        if scene.source.random() < 0.3:
            await asyncio.sleep(scene.source.uniform(0, 0.05))
        else:
            await connection.until(scene.source.randrange(1, 4 << 20))
        if connection.seen.trouble.startswith("status"):
            scene.tally.note(what, connection.seen.trouble)
            await scene.pause(connection.seen)
        else:
            scene.tally.note(what, LEFT)
        connection.reset() if scene.source.random() < 0.5 else connection.close()
        await asyncio.sleep(scene.source.uniform(0, 0.1))


async def loris(scene: Scene) -> None:
    """Send a head a byte at a time, or nothing at all."""
    while not scene.is_over:
        what = "slow loris"
        head = b"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\nX-Slow: " if scene.source.random() < 0.7 else b""
        end = monotonic() + LORIS_SECONDS
        try:
            async with await Connection.open(scene.proxy) as connection:
                connection.expect()
                connection.send(head)
                while connection.is_open and monotonic() < end and not scene.is_over:
                    await asyncio.sleep(0.3)
                    connection.send(b"x" if head else b"")
                scene.tally.note(what, LEFT if connection.is_open else "was shown the door")
        except OSError as error:
            scene.tally.fail(what, str(error))


async def malformed(scene: Scene) -> None:
    """Send what is no request: an error or the end, never an answer that looks like one."""
    while not scene.is_over:
        name, data = scene.source.choice(list(BAD_REQUESTS.items()))
        what = "bad request"
        try:
            async with await Connection.open(scene.proxy) as connection:
                connection.expect()
                connection.send(data)
                answer = await connection.answer()
        except (OSError, HangError) as error:
            scene.tally.fail(what, f"{name}: {error}")
            continue
        if 0 < answer.status < 400 or answer.status == 500:
            scene.tally.fail(what, f"{name}: status {answer.status}")
        else:
            scene.tally.note(what, answer.trouble or "no answer")
        await asyncio.sleep(0.2)
