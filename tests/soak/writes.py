"""Clients of single objects: GETs that are exact, and writes that are made once."""

import hashlib
import json

from tests.soak.client import Answer, Connection, HangError
from tests.soak.scene import Scene
from tests.soak.tally import EXACT

SERVICES = "/api/v1/namespaces/default/services"


async def getter(scene: Scene) -> None:
    """Get one object after the other."""
    what = "GET"
    connection: Connection | None = None
    while not scene.is_over:
        target, expected = scene.source.choice(list(scene.plan.objects.items()))
        try:
            if connection is None or not connection.is_open:
                connection = await Connection.open(scene.proxy)
            answer = await connection.ask("GET", target)
        except (OSError, HangError) as error:
            scene.tally.fail(what, f"{target}: {error}")
            connection = None
            continue
        if answer.trouble:
            scene.note_trouble(what, answer, answer.trouble)
            connection.close()
            await scene.pause(answer)
        elif hashlib.sha256(answer.body).hexdigest() == expected:
            scene.tally.note(what, EXACT)
        else:
            scene.tally.fail(what, f"{target}: status {answer.status}, {bytes(answer.body[:200])!r}")


async def writer(scene: Scene) -> None:
    """Create, read and delete; as each name is new, a conflict would be a write that was sent twice."""
    number = 0
    while not scene.is_over:
        number += 1
        name = f"soak-{scene.source.getrandbits(64):016x}-{number}"
        try:
            async with await Connection.open(scene.proxy) as connection:
                await _life(scene, connection, name)
        except (OSError, HangError) as error:
            scene.tally.fail("write", str(error))
        except Lost as lost:
            scene.note_trouble("write", lost.answer, lost.answer.trouble)
            await scene.pause(lost.answer)


class Lost(Exception):  # noqa: N818 (nobody's mistake)
    """A write of which its client does not know what has become, or that came to a new upstream."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


async def _life(scene: Scene, connection: Connection, name: str) -> None:
    epoch = scene.epoch.now()
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}
    made = await connection.ask("POST", SERVICES, {"Content-Type": "application/json"}, json.dumps(manifest).encode())
    if made.trouble:
        raise Lost(made)
    for method, codes in (("GET", {200}), ("DELETE", {200}), ("GET", {404})):
        answer = await connection.ask(method, f"{SERVICES}/{name}")
        if not answer.complete or (answer.trouble and answer.status not in {200, 404}):
            raise Lost(answer)
        if scene.epoch.now() != epoch or epoch % 2:
            scene.tally.note("write", "answered, but its upstream is gone")
            return
        if answer.status not in codes:
            scene.tally.fail("write", f"{method} {name}: status {answer.status}, {bytes(answer.body[:200])!r}")
            return
        if method == "GET" and answer.status == 200 and answer.body != made.body:
            scene.tally.fail("write", f"{name} is not what was made: {bytes(answer.body[:200])!r}")
            return
    scene.tally.note("write", EXACT)
