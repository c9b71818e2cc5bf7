"""Questions to a worker, which may be slow to answer, or never do."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Question(Generic[T]):
    """One question that is asked with `ask`: again only when it has been answered; who asks meanwhile waits as well."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[T | None] | None = None
        self._asked_at = 0.0

    @property
    def waiting_seconds(self) -> float:
        """How long the answer has been waited for, 0 where nothing was asked."""
        return self._loop.time() - self._asked_at if self._answer is not None else 0.0

    def ask(self) -> asyncio.Future[T | None]:
        """Ask, unless that has been done; return what the answer will be."""
        if self._answer is None:
            self._answer = self._loop.create_future()
            self._asked_at = self._loop.time()
            self._ask()
        return self._answer

    async def within(self, seconds: float) -> T | None:
        """Ask; return the answer, None where there is none in time."""
        answer = self.ask()
        await asyncio.wait([answer], timeout=seconds)
        return answer.result() if answer.done() else None

    def answer(self, value: T | None) -> None:
        """Let those who wait know; None where there will be no answer."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.set_result(value)
