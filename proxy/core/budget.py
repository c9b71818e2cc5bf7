"""Who may hold how much memory: so many bytes for all Lists together, handed out so that nobody waits for ever.

A List starts when there is room for one window. It may *grow* later, as an item turns out large. Room that is kept for
that alone lets one List at a time grow: whatever the others hold, there is always one that can go on, end, and make
room for the next. Without it Lists that have all started could all wait for one another.

Those that cannot start wait in one queue for each client, and the clients take turns. Where so many wait that no more
are taken, the client with most of them gives one up for another client.

What is no List passes without asking, as it holds nothing while its client reads. Where clients stall, what is held for
them is taken from the Lists, up to a quarter of all; beyond that, who has stalled for longest is refused.
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

Key = tuple[str, str]
"""Group and resource."""


T = TypeVar("T")

PASSING_SHARE = 4
"""Which part of all the memory those may hold who have not asked for any: a quarter."""


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
    """Bounds on what Lists may hold and wait for; 0 Lists is no limit.

    `size` bytes in all, of which `growth` are kept for one List at a time to grow.
    """

    size: int
    growth: int
    queue_length: int
    client_lists: int = 0
    resource_lists: int = 0


NOTHING = Limits(0, 0, 0)
"""The limits of a process that carries no Lists."""


class Budget:
    """Hands out memory. Methods return the tickets that have changed by them, whose owners should be told."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.granted = 0
        self.waiting = 0
        self._grower: Ticket | None = None
        self._extra = 0  # what the grower has of the room that is kept for growing
        self._growers: deque[Ticket] = deque()
        self._queues: OrderedDict[str, deque[Ticket]] = OrderedDict()  # whose turn it is comes first
        self._passing: dict[Ticket, None] = {}  # those that hold without having asked, the oldest first
        self._passing_size = 0
        self._of_client: Counter[str] = Counter()
        self._of_resource: Counter[Key] = Counter()

    def renew(self, limits: Limits) -> list[Ticket]:
        """Go by other limits from now on; who has started goes on."""
        self.limits = limits
        return self._let_grow() + self._admit()

    def enter(self, ticket: Ticket) -> list[Ticket]:
        """Start a List, or put it into its client's queue, or refuse it or another one."""
        if self._queues or not self._can_start(ticket):
            ticket.state = State.WAITING
            self._queues.setdefault(ticket.client, deque()).append(ticket)
            self.waiting += 1
            started = self._admit()  # a number may be all that the others wait for
            return [*started, self._displace()] if self.waiting > self.limits.queue_length else started
        self._start(ticket)
        return [ticket]

    def can_ever_hold(self, size: int) -> bool:
        """Whether one List could hold so many bytes if it were alone."""
        return size <= self.limits.size

    def grow(self, ticket: Ticket, to: int) -> bool:
        """Let a List hold up to `to` bytes; False where it has to wait until it is returned as changed."""
        is_behind = bool(self._growers) and ticket is not self._grower
        is_granted = not is_behind and self._grow(ticket, to)
        if not is_granted:
            ticket.wanted = to
            # Only the one that has begun to grow can make room for the others.
            (self._growers.appendleft if ticket is self._grower else self._growers.append)(ticket)
        return is_granted

    def grow_now(self, ticket: Ticket, to: int) -> bool:
        """Let a List hold up to `to` bytes where nobody waits for any; False if that is not to be had."""
        if self.waiting or self._growers or self._used + to - ticket.granted > self._ordinary:
            return False
        return self._grow(ticket, to)

    def shrink(self, ticket: Ticket, to: int) -> list[Ticket]:
        """Take back what a List may hold above `to` bytes, what it has of the room for growing first."""
        freed = ticket.granted - to
        ticket.granted = to
        self.granted -= freed
        if ticket is self._grower:
            self._extra -= min(freed, self._extra)
            if not self._extra:
                self._grower = None
        return self._let_grow() + self._admit()

    def leave(self, ticket: Ticket) -> list[Ticket]:
        """Forget a List that has ended, or does not want to wait any more."""
        state, ticket.state = ticket.state, State.ENDED
        if state is State.WAITING:
            self._unqueue(ticket)
            return self._admit()
        if state is not State.RUNNING:
            return []
        self.stop_growing(ticket)
        _count_down(self._of_client, ticket.client)
        _count_down(self._of_resource, ticket.resource)
        return self.shrink(ticket, 0)

    def stall(self, ticket: Ticket) -> list[Ticket]:
        """Count the window of what is no List, because its client does not take it; some may be refused for that."""
        self._passing[ticket] = None
        ticket.granted = ticket.window
        self.granted += ticket.window
        self._passing_size += ticket.window
        refused = []
        while self._passing_size > self.limits.size // PASSING_SHARE:
            oldest = next(iter(self._passing))
            oldest.state = State.REFUSED
            refused.append(oldest)
            self._forget_passing(oldest)
        return refused

    def go_on(self, ticket: Ticket) -> list[Ticket]:
        """Count it no more."""
        if ticket not in self._passing:
            return []
        self._forget_passing(ticket)
        return self._let_grow() + self._admit()

    def _forget_passing(self, ticket: Ticket) -> None:
        del self._passing[ticket]
        self._passing_size -= ticket.granted
        self.granted -= ticket.granted
        ticket.granted = 0

    def stop_growing(self, ticket: Ticket) -> None:
        """Let a List wait no more for what it wanted."""
        if ticket.wanted:
            ticket.wanted = 0
            self._growers.remove(ticket)

    # --- growing ------------------------------------------------------------------------------------------------------

    @property
    def _ordinary(self) -> int:
        """Bytes that are not kept for growing."""
        return self.limits.size - self.limits.growth

    @property
    def _used(self) -> int:
        """Bytes granted but for those of the room that is kept for growing."""
        return self.granted - self._extra

    def _grow(self, ticket: Ticket, to: int) -> bool:
        more = to - ticket.granted
        from_kept = max(0, self._used + more - self._ordinary)
        if from_kept:
            if self._grower not in (None, ticket) or self._extra + from_kept > self.limits.growth:
                return False
            self._grower = ticket
            self._extra += from_kept
        ticket.granted = to
        self.granted += more
        return True

    def _let_grow(self) -> list[Ticket]:
        grown = []
        while self._growers and self._grow(self._growers[0], self._growers[0].wanted):
            ticket = self._growers.popleft()
            ticket.wanted = 0
            grown.append(ticket)
        return grown

    # --- starting -----------------------------------------------------------------------------------------------------

    def _is_allowed(self, ticket: Ticket) -> bool:
        """Whether the numbers of its client's and of its resource's Lists let one start."""
        limits = self.limits
        return (not limits.client_lists or self._of_client[ticket.client] < limits.client_lists) and (
            not limits.resource_lists or self._of_resource[ticket.resource] < limits.resource_lists
        )

    def _has_room(self, ticket: Ticket) -> bool:
        """Whether there is memory for its window; what is larger than all of it has to do with all of it."""
        return not self._growers and self._used + min(ticket.window, self._ordinary) <= self._ordinary

    def _can_start(self, ticket: Ticket) -> bool:
        return self._is_allowed(ticket) and self._has_room(ticket)

    def _start(self, ticket: Ticket) -> None:
        ticket.state = State.RUNNING
        ticket.granted = min(ticket.window, self._ordinary)
        self.granted += ticket.granted
        self._of_client[ticket.client] += 1
        self._of_resource[ticket.resource] += 1

    def _admit(self) -> list[Ticket]:
        """Start what can be started. Who lacks memory is waited for, so that large windows get their turn, too."""
        started = []
        while (ticket := self._next()) is not None and self._has_room(ticket):
            self._unqueue(ticket)
            if ticket.client in self._queues:
                self._queues.move_to_end(ticket.client)
            self._start(ticket)
            started.append(ticket)
        return started

    def _next(self) -> Ticket | None:
        """Return whose turn it is: the first that no number stops."""
        return next((ticket for queue in self._queues.values() for ticket in queue if self._is_allowed(ticket)), None)

    def _displace(self) -> Ticket:
        """Refuse the last ticket of the longest queue."""
        ticket = max(self._queues.values(), key=len)[-1]
        self._unqueue(ticket)
        ticket.state = State.REFUSED
        return ticket

    def _unqueue(self, ticket: Ticket) -> None:
        queue = self._queues[ticket.client]
        queue.remove(ticket)
        self.waiting -= 1
        if not queue:
            del self._queues[ticket.client]


def _count_down(counts: dict[T, int], key: T) -> None:
    """Count one less; clients come and go, and a zero for each would stay for ever."""
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
