"""How many retries there may be in all: a share of the requests, so that an upstream in need is not asked twice.

Each retry on its own is harmless; what brings a server down that comes back is that all of them come at once. The
figures are those of Finagle's RetryBudget: a fifth of the requests of the last ten seconds, and ten a second for those
who ask little.
"""

from collections import deque
from dataclasses import dataclass

WINDOW_SECONDS = 10
SHARE = 0.2
RESERVE_PER_SECOND = 10


@dataclass(slots=True)
class Second:
    """What happened within one second."""

    number: int
    requests: int = 0
    retries: int = 0


class RetryBudget:
    """The retries of all requests to the upstream. `now` is in seconds, by any clock that never goes back."""

    def __init__(self) -> None:
        self._seconds: deque[Second] = deque()
        self._requests = self._retries = 0  # of all of them

    def note_request(self, now: float) -> None:
        """Count a request that is no retry."""
        self._second(now).requests += 1
        self._requests += 1

    def take(self, now: float) -> bool:
        """Take one retry; False where there is none left."""
        second = self._second(now)
        if self._retries + 1 > RESERVE_PER_SECOND * WINDOW_SECONDS + SHARE * self._requests:
            return False
        second.retries += 1
        self._retries += 1
        return True

    def _second(self, now: float) -> Second:
        """Return the second that it is, and forget those that are out of the window."""
        seconds, number = self._seconds, int(now)
        while seconds and seconds[0].number <= number - WINDOW_SECONDS:
            old = seconds.popleft()
            self._requests -= old.requests
            self._retries -= old.retries
        if not seconds or seconds[-1].number != number:
            seconds.append(Second(number))
        return seconds[-1]
