"""The heads of one connection: one that is coming, which has its time, and those of requests that are not answered."""

import asyncio
from collections.abc import Callable

from proxy.downstream.heads import SMALL_BYTES, Heads
from proxy.downstream.parser import Parser


class Arrival:
    """Watches over a parser. `is_paused` tells whether it is us who do not read on."""

    def __init__(self, parser: Parser, heads: Heads, seconds: float, is_paused: Callable[[], bool]) -> None:
        self.held = 0
        """What the heads of requests that wait or are under way take, in bytes."""
        self._parser = parser
        self._heads = heads
        self._seconds = seconds
        self._is_paused = is_paused
        self._timer: asyncio.TimerHandle | None = None
        self._is_noted = False

    def look(self) -> None:
        """Look at what the parser has come to: whether a head is coming, since when, and what it takes."""
        is_coming = self._parser.is_in_head
        if is_coming and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)
        elif not is_coming:
            self._forget_timer()
        if is_coming or self._is_noted:
            self._note()

    def hold(self, size: int) -> None:
        """Count what the head of a request takes from now on; a negative one takes it no more."""
        self.held += size
        if self._is_noted or self.held > SMALL_BYTES:
            self._note()

    def end(self) -> None:
        """Forget everything."""
        self._forget_timer()
        self._heads.note(self, 0)

    def refuse_head(self) -> None:
        """Give the head that is coming up, for those of all connections take too much."""
        self._forget_timer()
        self._parser.refuse(503, "too much is held for large heads, try again later")

    def _expire(self) -> None:
        """Refuse a head that has taken too long to come, unless that is our own fault."""
        self._timer = None
        if not self._is_paused():
            self._parser.refuse(408, f"no complete head within {self._seconds:g} s")
        self.look()

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _note(self) -> None:
        whole = self.held if self.held > SMALL_BYTES else 0
        unfinished = self._parser.head_size
        self._is_noted = bool(whole or unfinished)
        self._heads.note(self, unfinished, whole)
