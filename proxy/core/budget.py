"""Who may hold how much memory: so many bytes for all Lists together, handed out so that nobody waits for ever.

A List starts when there is room for one window. It may *grow* later, as an item turns out large. Room that is kept for
that alone lets one List at a time grow: whatever the others hold, there is always one that can go on, end, and make
room for the next. Without it Lists that have all started could all wait for one another. While one waits to grow none
starts, so that those before it are fewer and fewer; one that needs less may go first, as it may be what it waits for.

Those that cannot start wait in one queue for each client, and the clients take turns. Where so many wait that no more
are taken, the client with most of them gives one up for another client.

What is no List passes without asking, as it holds nothing while its client reads. Where clients stall, what is held for
them is counted: there is some room that Lists do not get, and what they leave free, up to a quarter of all. Where that
is used up, who has stalled for longest is refused.
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from typing import TypeVar

Key = tuple[str, str]
"""Group and resource."""


T = TypeVar("T")

PASSING_SHARE = 4
"""Which part of all the memory those may hold at most who have not asked for any: a quarter."""


class State(Enum):
    """What has become of a ticket."""

    NEW = 0
    WAITING = 1
    RUNNING = 2
    REFUSED = 3
    ENDED = 4


@dataclass(eq=False, slots=True)
class Ticket:
    """One List: whose it is and of what, and its `window`, the bytes that it needs to start.

    `granted` is what it may hold now, `wanted` what it waits for.
    """

    client: str
    resource: Key
    window: int
    state: State = field(default=State.NEW, init=False)
    granted: int = field(default=0, init=False)
    wanted: int = field(default=0, init=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what may be held and waited for; 0 Lists is no limit.

    `size` bytes in all, of which `growth` are kept for one List at a time to grow, and `passing` for what is no List.
    """

    size: int
    growth: int
    passing: int
    queue_length: int
    client_lists: int = 0
    resource_lists: int = 0


NOTHING = Limits(0, 0, 0, 0)
"""The limits of a process that carries no Lists."""


class Budget:
    """Hands out memory. Methods return the tickets that have changed by them, whose owners should be told."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.waiting = 0
        self._listing = 0  # bytes granted to Lists
        self._passing_size = 0  # and to those that hold without having asked
        self._passing: dict[Ticket, None] = {}  # the oldest first
        self._grower: Ticket | None = None  # who has what is kept for growing
        self._growers: dict[Ticket, None] = {}  # those that wait to grow, the first first
        self._queues: OrderedDict[str, deque[Ticket]] = OrderedDict()  # whose turn it is comes first
        self._of_client: Counter[str] = Counter()
        self._of_resource: Counter[Key] = Counter()
        self._has_looked = False  # since a number or a queue has changed, for
        self._due: Ticket | None = None  # the first in the queues that no number stops

    @property
    def granted(self) -> int:
        """Bytes that may be held now."""
        return self._listing + self._passing_size

    @property
    def growing(self) -> int:
        """Lists that wait to grow."""
        return len(self._growers)

    def renew(self, limits: Limits) -> list[Ticket]:
        """Go by other limits from now on; who has started goes on."""
        self.limits, self._has_looked = limits, False
        return self._hand_out()

    # --- starting -----------------------------------------------------------------------------------------------------

    def enter(self, ticket: Ticket) -> list[Ticket]:
        """Start a List, or put it into its client's queue, or refuse it or another one."""
        ticket.state = State.WAITING
        own = self._queues.setdefault(ticket.client, deque())
        own.append(ticket)
        self.waiting += 1
        self._has_looked = False
        started = self._admit()
        return [*started, self._displace(own)] if self.waiting > self.limits.queue_length else started

    def leave(self, ticket: Ticket) -> list[Ticket]:
        """Forget a List that has ended, or does not want to wait any more."""
        state, ticket.state = ticket.state, State.ENDED
        if state is State.WAITING:
            self._unqueue(ticket)
            return self._admit()
        if state is not State.RUNNING:
            return []
        _count_down(self._of_client, ticket.client)
        _count_down(self._of_resource, ticket.resource)
        self._has_looked = False
        self._growers.pop(ticket, None)
        ticket.wanted = 0
        return self.shrink(ticket, 0)

    def _admit(self) -> list[Ticket]:
        """Start what can be started. Who lacks memory is waited for, so that large windows get their turn, too."""
        started = []
        while (ticket := self._next()) is not None and self._has_room(ticket):
            self._unqueue(ticket)
            if ticket.client in self._queues:
                self._queues.move_to_end(ticket.client)
            ticket.state = State.RUNNING
            ticket.granted = self._window(ticket)
            self._listing += ticket.granted
            self._of_client[ticket.client] += 1
            self._of_resource[ticket.resource] += 1
            self._has_looked = False
            started.append(ticket)
        return started

    def _next(self) -> Ticket | None:
        """Return whose turn it is: the first that no number stops, and that waits for memory alone.

        Asked for whenever a client stalls, while a thousand may wait for a number.
        """
        if not self._has_looked:
            waiting = chain.from_iterable(self._queues.values())
            self._due, self._has_looked = next(filter(self._is_allowed, waiting), None), True
        return self._due

    def _is_allowed(self, ticket: Ticket) -> bool:
        """Whether the numbers of its client's and of its resource's Lists let one start."""
        limits = self.limits
        return (not limits.client_lists or self._of_client[ticket.client] < limits.client_lists) and (
            not limits.resource_lists or self._of_resource[ticket.resource] < limits.resource_lists
        )

    def _has_room(self, ticket: Ticket) -> bool:
        return not self._growers and self._used + self._window(ticket) <= self._ordinary

    def _window(self, ticket: Ticket) -> int:
        """Return what a List starts with; what is larger than all that there is has to do with that."""
        return min(ticket.window, self._ordinary - self.limits.passing)

    def _displace(self, own: deque[Ticket]) -> Ticket:
        """Refuse the last ticket of the longest queue, which is the newcomer's `own` where no other is longer.

        So who comes under many names gets nobody out who has come before.
        """
        ticket = max(self._queues.values(), key=lambda queue: (len(queue), queue is own))[-1]
        self._unqueue(ticket)
        ticket.state = State.REFUSED
        return ticket

    def _unqueue(self, ticket: Ticket) -> None:
        queue = self._queues[ticket.client]
        queue.remove(ticket)
        self.waiting -= 1
        self._has_looked = False
        if not queue:
            del self._queues[ticket.client]

    # --- growing ------------------------------------------------------------------------------------------------------

    def can_ever_hold(self, size: int) -> bool:
        """Whether one List could hold so many bytes if it were alone."""
        return size <= self.limits.size - self.limits.passing

    def grow(self, ticket: Ticket, to: int) -> bool:
        """Let a List hold up to `to` bytes; False where it has to wait until it is returned as changed."""
        if self._grow(ticket, to):
            return True
        ticket.wanted = to
        self._growers[ticket] = None
        return False

    def grow_now(self, ticket: Ticket, to: int) -> bool:
        """Let a List hold up to `to` bytes where nobody waits for any; False if that is not to be had."""
        if self._growers or self._used + to - ticket.granted > self._ordinary or self._next() is not None:
            return False
        return self._grow(ticket, to)

    def stop_growing(self, ticket: Ticket) -> list[Ticket]:
        """Let a List wait no more for what it wanted."""
        ticket.wanted = 0
        del self._growers[ticket]
        return self._admit()

    def shrink(self, ticket: Ticket, to: int) -> list[Ticket]:
        """Take back what a List may hold above `to` bytes."""
        self._listing -= ticket.granted - to
        ticket.granted = to
        if ticket is self._grower and to <= ticket.window:
            self._grower = None
        return self._hand_out()

    @property
    def _ordinary(self) -> int:
        """Bytes that are not kept for growing."""
        return self.limits.size - self.limits.growth

    @property
    def _used(self) -> int:
        """Bytes that Lists do not get any more."""
        return self._listing + max(self._passing_size, self.limits.passing)

    def _grow(self, ticket: Ticket, to: int) -> bool:
        used = self._used + to - ticket.granted
        if used > self._ordinary:
            if used > self.limits.size or self._grower not in (None, ticket):
                return False
            self._grower = ticket
        self._listing += to - ticket.granted
        ticket.granted = to
        return True

    def _hand_out(self) -> list[Ticket]:
        """Give what has become free, to those that have started first."""
        if self._used <= self._ordinary:
            self._grower = None
        grown = [ticket for ticket in self._growers if self._grow(ticket, ticket.wanted)]
        for ticket in grown:
            ticket.wanted = 0
            del self._growers[ticket]
        return grown + self._admit()

    # --- passing ------------------------------------------------------------------------------------------------------

    def stall(self, ticket: Ticket) -> list[Ticket]:
        """Count the window of what is no List, because its client does not take it; some may be refused for that."""
        limits, before = self.limits, self._passing_size
        most = max(limits.passing, before, min(limits.size // PASSING_SHARE, self._ordinary - self._listing))
        self._passing[ticket] = None
        ticket.granted = ticket.window
        self._passing_size += ticket.window
        refused = []
        while self._passing_size > most:
            oldest = next(iter(self._passing))
            oldest.state = State.REFUSED
            refused.append(oldest)
            self._forget_passing(oldest)
        return refused + self._hand_out()

    def go_on(self, ticket: Ticket) -> list[Ticket]:
        """Count it no more."""
        if ticket not in self._passing:
            return []
        self._forget_passing(ticket)
        return self._hand_out()

    def _forget_passing(self, ticket: Ticket) -> None:
        del self._passing[ticket]
        self._passing_size -= ticket.granted
        ticket.granted = 0


def _count_down(counts: dict[T, int], key: T) -> None:
    """Count one less; clients come and go, and a zero for each would stay for ever."""
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
