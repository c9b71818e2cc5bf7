"""Clients that list: in every plan, on kept and on fresh connections, whole and in pages of their own."""

import hashlib
from urllib.parse import quote

import msgspec

from tests.soak.client import Answer, Connection, HangError
from tests.soak.questions import LARGE, MIDDLING, MODES, QUESTIONS, Question, pinned
from tests.soak.scene import Scene
from tests.soak.tally import EXACT

KEEP = 0.8
"""How many requests of a hundred leave their connection to the next one."""

OWN_LIMIT = 37


async def lister(scene: Scene) -> None:
    """List one thing after the other."""
    connection: Connection | None = None
    while not scene.is_over:
        question, mode = scene.source.choice(QUESTIONS), scene.source.choice(MODES)
        what = f"List {mode or 'auto'}"
        try:
            if connection is None or not connection.is_open:
                connection = await Connection.open(scene.proxy)
            answer = await _list(scene, connection, question, mode, what)
        except (OSError, HangError) as error:
            scene.tally.fail(what, f"{question.name}: {error}")
            connection = None
            continue
        if answer.trouble:
            await scene.pause(answer)
        if answer.trouble or scene.source.random() > KEEP:
            connection.close()
    if connection is not None:
        connection.close()


async def _list(scene: Scene, connection: Connection, question: Question, mode: str, what: str) -> Answer:
    epoch = scene.epoch.now()
    answer = await connection.ask("GET", question.target, {"Accept": question.accept} | pinned(mode))
    await scene.judge(what, question, answer, epoch)
    return answer


async def pager(scene: Scene) -> None:
    """List page by page, as client-go and kubectl do; items of all pages together are those of the List."""
    what = "List in the client's pages"
    while not scene.is_over:
        question = scene.source.choice((LARGE, MIDDLING))
        try:
            answer, found = await _pages(scene, question)
        except (OSError, HangError) as error:
            scene.tally.fail(what, f"{question.name}: {error}")
            continue
        if trouble := answer.trouble:
            scene.note_trouble(what, answer, trouble)
            await scene.pause(answer)
        elif found == scene.plan.digests[f"items of {question.name}"]:
            scene.tally.note(what, EXACT)
        else:
            scene.tally.fail(what, f"{question.name}: other items than the upstream's")


async def _pages(scene: Scene, question: Question) -> tuple[Answer, str]:
    items, token = Items(), ""
    async with await Connection.open(scene.proxy) as connection:
        while True:
            target = f"{question.target}?limit={OWN_LIMIT}" + (f"&continue={quote(token)}" if token else "")
            answer = await connection.ask("GET", target)
            if answer.trouble:
                return answer, ""
            token = items.take(bytes(answer.body))
            if not token:
                return answer, items.digest()


class Metadata(msgspec.Struct):
    """A List's own."""

    token: str = msgspec.field(name="continue", default="")


class Page(msgspec.Struct):
    """A page whose items stay as they are written."""

    items: list[msgspec.Raw]
    metadata: Metadata


class Items:
    """The items of all pages of a List."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def take(self, body: bytes) -> str:
        """Take a page, and return the token of the next one."""
        page = msgspec.json.decode(body, type=Page)
        for item in page.items:
            self._hash.update(bytes(item))
        return page.metadata.token

    def digest(self) -> str:
        """Return what tells them from others."""
        return self._hash.hexdigest()
