"""One process of the load: ``python -m tests.soak.load PLAN ROLE SEED SCALE``; SIGTERM lets it finish."""

import asyncio
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

from tests.soak import lists, rude, streams, writes
from tests.soak.scene import Plan, Scene
from tests.soak.tally import Tally

TELL_SECONDS = 1.0
FINISH_SECONDS = 10.0
"""How long requests under way may take at the end; what takes longer is left. Scaled down with the load."""

Role = Callable[[Scene], Awaitable[None]]
ROLES: dict[str, dict[Role, int]] = {
    "lists": {lists.lister: 8, lists.pager: 1},
    "more-lists": {lists.lister: 8},
    "rude": {rude.slow: 6, rude.stalling: 3, rude.vanishing: 4, rude.loris: 8, rude.malformed: 2},
    "streams": {streams.watcher: 12, streams.follower: 6, streams.commander: 2, streams.echoer: 3},
    "single": {writes.getter: 6, writes.writer: 2},
}
"""How many clients of each kind run in a process of each name."""


async def run(scene: Scene, role: str, scale: float) -> None:
    """Run clients until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    counts = {client: max(1, round(count * scale)) for client, count in ROLES[role].items()}
    tasks = [asyncio.ensure_future(client(scene)) for client, count in counts.items() for _ in range(count)]
    telling = asyncio.ensure_future(_tell(scene.tally))
    ended = asyncio.ensure_future(stop.wait())
    await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
    scene.is_over = True
    await asyncio.wait(tasks, timeout=FINISH_SECONDS * scale)
    for task in (*tasks, telling, ended):
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            scene.tally.fail(role, f"the client itself broke: {result!r}")
    scene.tally.tell()


async def _tell(tally: Tally) -> None:
    while True:
        await asyncio.sleep(TELL_SECONDS)
        tally.tell()


def main() -> None:
    """Run from the command line."""
    path, role, seed, scale = sys.argv[1:]
    plan = msgspec.json.decode(Path(path).read_bytes(), type=Plan)
    uvloop.run(run(Scene(plan, Tally(), random.Random(f"{seed}-{role}")), role, float(scale)))


if __name__ == "__main__":
    main()
