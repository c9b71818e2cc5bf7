"""Whether one address of the upstream is asked at all: what does not answer gets few requests, not all that there are.

A refused connection costs nobody anything. What piles up is what waits in vain: for a connection that nobody accepts or
refuses, for a head that does not come. After `TIMEOUTS` such waits without an answer in between, requests are refused
at once; after a back-off one of them goes through, and decides. `now` is in seconds, by any clock that never goes back.
"""

TIMEOUTS = 5
"""In a row. Envoy's outlier detection counts as many (consecutive_5xx, consecutive_gateway_failure)."""

FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 1.0, 8.0
"""Doubled each time the one that was let through waits in vain as well. Short, as an apiserver restarts in seconds."""

SILENT_SECONDS = 10.0
MAX_WAITING = 256
"""Until the first of them have waited in vain, which takes `first_byte_seconds`, so many may wait where for so long not
one answer has come. An apiserver in need still answers something: API Priority and Fairness sees to that."""


class Breaker:
    """The breaker of one address. A request that `admit` lets through has a `Ticket`, and tells it how it went."""

    def __init__(self) -> None:
        self.waiting = 0
        self._timeouts = 0
        self._backoff = FIRST_BACKOFF_SECONDS
        self._open_until: float | None = None
        self._probe: Ticket | None = None
        self._silent_since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether requests are refused, but for one now and then."""
        return self._open_until is not None

    def admit(self, now: float) -> "Ticket | None":
        """Let a request through; None where it should fail at once."""
        if self._open_until is not None:
            if self._probe is not None or now < self._open_until:
                return None
            self._probe = self._ticket(now)
            return self._probe
        if self.waiting >= MAX_WAITING and now - self._silent_since >= SILENT_SECONDS:
            return None
        return self._ticket(now)

    def _ticket(self, now: float) -> "Ticket":
        if not self.waiting:
            self._silent_since = now
        self.waiting += 1
        return Ticket(self)

    def _answer(self, now: float) -> None:
        self._timeouts, self._backoff = 0, FIRST_BACKOFF_SECONDS
        self._open_until = None
        self._silent_since = now

    def _time_out(self, ticket: "Ticket", now: float) -> None:
        if self._open_until is None:
            self._timeouts += 1
            if self._timeouts >= TIMEOUTS:
                self._open_until = now + self._backoff
        elif ticket is self._probe:
            self._backoff = min(2 * self._backoff, LONGEST_BACKOFF_SECONDS)
            self._open_until = now + self._backoff

    def _leave(self, ticket: "Ticket") -> None:
        self.waiting -= 1
        if ticket is self._probe:
            self._probe = None


class Ticket:
    """A request that waits for an address: `answer` or `time_out` if it comes to that, and `leave` in any case."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._has_left = False

    def answer(self, now: float) -> None:
        """Note an answer, whatever it says; also of one that has left, as a watch does that is connected."""
        self._breaker._answer(now)
        self.leave()

    def time_out(self, now: float) -> None:
        """Note that it has waited in vain."""
        if not self._has_left:
            self._breaker._time_out(self, now)
            self.leave()

    def leave(self) -> None:
        """Wait no longer, for a reason that tells nothing of the address; nothing happens the second time."""
        if not self._has_left:
            self._has_left = True
            self._breaker._leave(self)
