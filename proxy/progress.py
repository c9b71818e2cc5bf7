"""The account of one request under way, which the metrics and the access log are fed from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from proxy.core.planning import Mode, Plan
from proxy.core.request import RequestInfo

OTHER = ("other", "other")
"""Group and resource until the upstream has answered 2xx for them."""


@dataclass(slots=True)
class Progress:
    """One request under way: the handler and the relay write it, a scrape may read it at any time.

    `held` tells how many bytes the proxy holds for the response now, `held_up` of what the client has sent. Times are
    those of `time.monotonic`: uvloop's own clock ticks in milliseconds.
    """

    info: RequestInfo
    started: float
    mode: Mode = "raw"
    reason: str = ""
    held: Callable[[], int] = int
    held_up: Callable[[], int] = int
    code: int = 0
    items: int = 0
    item_bytes: int = 0
    pages: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    """From the client, through a tunnel; the body of a request is not counted."""
    peak_held: int = 0
    upstream_first_byte: float | None = None
    first_byte: float | None = None
    stalled_seconds: float = 0.0
    abort_reason: str = ""
    audit_id: str = ""
    labels: tuple[str, str] = OTHER
    count_items: Callable[[float], None] | None = field(default=None, repr=False)

    @property
    def mode_line(self) -> bytes:
        """Return the value of X-Restream-Mode."""
        return f"{self.mode}; reason={self.reason}".encode()

    def note_plan(self, plan: Plan) -> None:
        """Note how the request is carried, and why so."""
        self.mode, self.reason = plan.mode, plan.reason

    def note_upstream_first_byte(self) -> None:
        """Note the head of the upstream's response, the first one where there are many."""
        if self.upstream_first_byte is None:
            self.upstream_first_byte = monotonic()

    def note_held(self) -> None:
        """Take a look at what is held, for the peak."""
        self.peak_held = max(self.peak_held, self.held() + self.held_up())
