"""Clients of what has no end: watches that miss nothing, logs, commands, tunnels."""

import asyncio
import json
import re
from contextlib import suppress

import aiohttp

from tests.soak.client import Answer, Connection, HangError
from tests.soak.questions import CHURNED, version_of
from tests.soak.scene import Scene
from tests.soak.tally import EXACT, LEFT

WATCH = "/api/v1/pods?watch=1"
EVENT_VERSION = re.compile(rb'"resourceVersion":"(\d+)"')
TICK = re.compile(rb"(\S+) tick (\d+)")
WATCH_SECONDS = 20
"""Watches that end well have to fit between two restarts of the upstream."""

COMMAND_BYTES = 300_000
ECHOES = 20


async def watcher(scene: Scene) -> None:
    """Watch on and on from where the last watch has ended, and list anew only after an error."""
    version = ""
    what = "watch"
    while not scene.is_over:
        epoch = scene.epoch.now()
        try:
            if not version:
                version = await _current_version(scene)
                if not version:
                    await scene.pause()
                continue
            version = await _watch(scene, what, version, epoch)
        except (OSError, HangError) as error:
            scene.tally.fail(what, str(error))
            version = ""
        if not version:
            await scene.pause()


async def _current_version(scene: Scene) -> str:
    async with await Connection.open(scene.proxy) as connection:
        answer = await connection.ask("GET", "/api/v1/pods?limit=1")
    return "" if answer.trouble else version_of(CHURNED, bytes(answer.body))


async def _watch(scene: Scene, what: str, version: str, epoch: int) -> str:
    """Watch once; return where to go on, nothing after an error."""
    seconds = scene.source.randrange(2, WATCH_SECONDS)
    async with await Connection.open(scene.proxy) as connection:
        try:
            answer = await connection.ask("GET", f"{WATCH}&resourceVersion={version}&timeoutSeconds={seconds}")
        except asyncio.CancelledError:
            scene.tally.note(what, LEFT)
            raise
    if trouble := answer.trouble:
        scene.note_trouble(what, answer, trouble)
        if answer.status >= 400:
            return ""
    body = bytes(answer.body)
    lines, _, rest = body.rpartition(b"\n")
    if rest and not answer.trouble:
        scene.tally.fail(what, f"ended cleanly within an event: {rest[:80]!r}")
        return ""
    if not await _saw_everything(scene, what, version, lines + b"\n" if lines else b"", epoch) or answer.trouble:
        return ""
    return _last_version(lines) or version


async def _saw_everything(scene: Scene, what: str, version: str, events: bytes, epoch: int) -> bool:
    """Compare with what the upstream says now of the same time; False where that cannot be said."""
    try:
        direct = await scene.direct(f"{WATCH}&resourceVersion={version}&timeoutSeconds=1")
    except (OSError, HangError):
        direct = Answer()
    if epoch % 2 or scene.epoch.now() != epoch or direct.trouble or b'{"type":"ERROR"' in direct.body:
        scene.tally.note(what, "ended, but its upstream is gone")
        return False
    if bytes(direct.body).startswith(events):
        scene.tally.note(what, EXACT)
        return True
    scene.tally.fail(what, f"from {version}: {len(events):,} bytes of events that are not the upstream's")
    return False


def _last_version(lines: bytes) -> str:
    """Return the object's resourceVersion in the last event; those of owners have other names."""
    found = EVENT_VERSION.search(lines[lines.rfind(b"\n") + 1 :])
    return found[1].decode() if found else ""


async def follower(scene: Scene) -> None:
    """Follow a log: line after line, none twice, none missing."""
    what = "log"
    while not scene.is_over:
        path = scene.source.choice(scene.plan.pods)
        numbers: list[int] = []
        rest = b""

        def take(part: bytes, numbers: list[int] = numbers) -> None:
            nonlocal rest
            *lines, rest = (rest + part).split(b"\n")
            numbers += [int(found[2]) for line in lines if (found := TICK.fullmatch(line))]

        try:
            async with await Connection.open(scene.proxy) as connection:
                connection.on_body_part = take
                connection.begin("GET", f"{path}/log?follow=true&tailLines=50", {"Accept": "*/*"})
                with suppress(TimeoutError):
                    async with asyncio.timeout(scene.source.uniform(2, 30)):
                        await connection.answer()
                answer = connection.seen
        except (OSError, HangError) as error:
            scene.tally.fail(what, str(error))
            continue
        if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            scene.tally.fail(what, f"lines are missing or out of order: {numbers[:5]} … {numbers[-5:]}")
        elif answer.complete and answer.status == 200:
            scene.tally.fail(what, "a log that is followed ended cleanly")
        elif answer.status >= 400:
            scene.note_trouble(what, answer, answer.trouble)
            await scene.pause(answer)
        else:
            scene.tally.note(what, EXACT if numbers else "nothing came")


async def commander(scene: Scene) -> None:
    """Run commands over WebSocket, and know how each has ended."""
    what = "exec"
    async with aiohttp.ClientSession() as session:
        while not scene.is_over:
            path = scene.source.choice(scene.plan.pods)
            command = f"command=head&command=-c&command={COMMAND_BYTES}&command=/dev/zero"
            url = f"{scene.plan.proxy}{path}/exec?stdout=true&stderr=true&{command}"
            output, status = 0, b""
            try:
                async with asyncio.timeout(60), session.ws_connect(url, protocols=("v4.channel.k8s.io",)) as socket:
                    async for message in socket:
                        data = bytes(message.data) if message.type is aiohttp.WSMsgType.BINARY else b"\xff"
                        if data[0] == 1:
                            output += len(data) - 1
                        elif data[0] == 3:
                            status = data[1:]
            except TimeoutError:
                scene.tally.fail(what, f"nothing more behind {output:,} bytes")
                continue
            except (aiohttp.ClientError, OSError) as error:
                scene.tally.note(what, _name(error))
                await scene.pause()
                continue
            _judge_command(scene, what, output, status)
            await asyncio.sleep(0.1)


def _judge_command(scene: Scene, what: str, output: int, status: bytes) -> None:
    if not status:
        scene.tally.note(what, "no exit status")
    elif json.loads(status).get("status") == "Success" and output == COMMAND_BYTES:
        scene.tally.note(what, EXACT)
    else:
        scene.tally.fail(what, f"{output:,} bytes, {status[:200]!r}")


async def echoer(scene: Scene) -> None:
    """Send bytes through a tunnel and have the same back."""
    what = "tunnel"
    async with aiohttp.ClientSession() as session:
        while not scene.is_over:
            url = f"{scene.plan.proxy}{scene.source.choice(scene.plan.pods)}:80/proxy/ws"
            try:
                async with asyncio.timeout(90), session.ws_connect(url, max_msg_size=0) as socket:
                    for _ in range(ECHOES):
                        block = scene.source.randbytes(scene.source.choice((1, 1000, 200_000)))
                        await socket.send_bytes(block)
                        message = await socket.receive()
                        if message.type is not aiohttp.WSMsgType.BINARY:
                            scene.tally.note(what, "ended")
                            break
                        if message.data != block:
                            scene.tally.fail(what, f"{len(message.data):,} bytes back for {len(block):,}")
                            break
                        await asyncio.sleep(0.05)
                    else:
                        scene.tally.note(what, EXACT)
            except TimeoutError:
                scene.tally.fail(what, "nothing more")
            except (aiohttp.ClientError, OSError) as error:
                scene.tally.note(what, _name(error))
                await scene.pause()


def _name(error: Exception) -> str:
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"status {error.status}"
    return "reset" if isinstance(error, ConnectionResetError) else type(error).__name__
