"""How often, and after how long, a page may be asked for again while none of its bytes have been passed on.

Retry-After is honoured (RFC 9110, section 10.2.3; an apiserver sends whole seconds), the waits are bounded and
jittered, so that Lists which failed together do not come back together.
"""

import re

MAX_RETRIES = 4
PATIENCE_SECONDS = 30.0
"""All waits for one page together. Longer than a storage timeout (2 s) and most of what API Priority and Fairness asks
for (1 to 32 s), shorter than clients' own patience."""

FIRST_WAIT_SECONDS = 0.1

DATE = re.compile(r"(Mon|Tues?|Wed(nes)?|Thu(rs)?|Fri|Sat(ur)?|Sun)(day)?,? ")
"""What an HTTP-date begins with, in each of its three forms (RFC 9110, section 5.6.7)."""


class Retries:
    """The retries of one page."""

    def __init__(self) -> None:
        self._count = 0
        self._waited = 0.0

    def next_wait(self, retry_after: str, jitter: float) -> float | None:
        """Return the seconds to wait before the next try, None for no more.

        `retry_after` is the line's value, empty without one; `jitter` is a random number from 0 to 1. A date, which a
        load balancer may send, is given up on, as there is no clock here to read it by.
        """
        if DATE.match(retry_after):
            return None
        asked = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
        backoff = FIRST_WAIT_SECONDS * 2**self._count * (0.5 + 0.5 * jitter)
        wait = asked + backoff
        self._count += 1
        self._waited += wait
        return wait if self._count <= MAX_RETRIES and self._waited <= PATIENCE_SECONDS else None


def is_retryable(status: int) -> bool:
    """Whether a status tells of a trouble that may pass: the client asks too much, or the server is in need."""
    return status == 429 or status >= 500
