"""How long a client is waited for that does not read what it has asked for.

Not how long a response may take: a List of 1 GB over a thin line is fine as long as it moves.
"""

import asyncio
from collections.abc import Callable
from operator import sub

from proxy.settings import Limits


class Patience:
    """Ends where a client has taken too little in each `client_stall_seconds` that it was waited for.

    `taken` tells how many bytes have left for it in all, by each of the ways to count them; that in which most have
    left counts. `give_up` is called at the end.
    """

    def __init__(self, limits: Limits, taken: Callable[[], tuple[int, ...]], give_up: Callable[[], None]) -> None:
        self._seconds = limits.client_stall_seconds
        self._least = max(1, int(limits.client_min_bytes_per_second * self._seconds))
        self._taken = taken
        self._give_up = give_up
        self._before: tuple[int, ...] = ()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Begin to wait for the client."""
        self._before = self._taken()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def end(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if max(map(sub, self._taken(), self._before)) < self._least:
            self._give_up()
        else:
            self.begin()
