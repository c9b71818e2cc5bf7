"""What Lists wait for before they start, and whenever they grow: memory (`proxy.core.budget`)."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import assert_never

from proxy import process
from proxy.core.budget import Budget, Key, Limits, State, Ticket
from proxy.core.errors import ListTooLargeError, QueueFullError, TooManyRequestsError
from proxy.core.planning import Buffered, Paged, Plan, Raw, Streamed
from proxy.core.weights import usual_bytes
from proxy.settings import Settings
from proxy.upstream.connection import RECEIVED

GROWTH_ITEMS = 2
"""Of the largest items so many fit into what is kept for Lists that grow: one that is sent, one that arrives."""

PASSING_SHARE = 16
"""Which part of all the memory is kept for what is no List and has a client that does not read: by default 25 of them
hold what they may hold at most."""


class Admission:
    """Hands out leases: the right of a request to hold memory."""

    def __init__(self, settings: Settings) -> None:
        self._leases: dict[Ticket, Lease] = {}
        self._take(settings)
        self.budget = Budget(limits_of(settings))

    def renew(self, settings: Settings) -> None:
        """Go by other settings from now on; what has been handed out stays handed out."""
        self._take(settings)
        self.tell(self.budget.renew(limits_of(settings)))

    def _take(self, settings: Settings) -> None:
        self._settings = settings.admission
        self.read_bytes = read_bytes(settings)
        self._page_bytes = settings.paging.page_bytes

    async def admit(self, client: str, resource: Key, plan: Plan, item_bytes: float) -> "Lease":
        """Wait until a List may start. `item_bytes` is what its items are known to weigh, 0 if they are not.

        Raises QueueFullError, and TooManyRequestsError after `queue_seconds`.
        """
        lease = Lease(self, Ticket(client, resource, self._window(plan, item_bytes)), self._settings.growth_seconds)
        try:
            await lease.start(self._settings.queue_seconds)
        except BaseException:
            lease.end()
            raise
        return lease

    def pass_by(self) -> "Lease":
        """Return the lease of what is no List, so that it need not ask."""
        return Lease(self, Ticket("", ("", ""), 2 * self.read_bytes), 0.0)

    def _window(self, plan: Plan, item_bytes: float) -> int:
        """Return what a plan needs to go on: what waits to be read, is being cut, and waits to be sent."""
        match plan:
            case Raw() | Buffered():
                return 2 * self.read_bytes
            case Streamed():
                return int(2.5 * self.read_bytes + 2 * item_bytes)
            case Paged():
                return 2 * usual_bytes(self._page_bytes) + self.read_bytes
            case _:
                assert_never(plan)

    def enter(self, lease: "Lease") -> None:
        """Let a lease take part."""
        self._leases[lease.ticket] = lease
        self.tell(self.budget.enter(lease.ticket))

    def leave(self, lease: "Lease") -> None:
        """Forget a lease."""
        self._leases.pop(lease.ticket, None)
        self.tell(self.budget.leave(lease.ticket))

    def stall(self, lease: "Lease") -> None:
        """Count what is held for a request that has not asked."""
        self._leases[lease.ticket] = lease
        self.tell(self.budget.stall(lease.ticket))

    def go_on(self, lease: "Lease") -> None:
        """Count it no more."""
        self._leases.pop(lease.ticket, None)
        self.tell(self.budget.go_on(lease.ticket))

    def tell(self, changed: Iterable[Ticket]) -> None:
        """Tell leases that their tickets have changed."""
        for ticket in changed:
            self._leases[ticket].wake()


def read_bytes(settings: Settings) -> int:
    """Return what waits to be read at most: reading stops where it is more than the setting, behind what came last."""
    return settings.limits.read_buffer_bytes + len(RECEIVED)


def limits_of(settings: Settings) -> Limits:
    """Return the bounds that the settings set; the budget itself goes by the container where they do not."""
    size = process.memory_budget(workers=1) if settings.memory_budget == "auto" else settings.memory_budget
    admission = settings.admission
    return Limits(
        size,
        growth=min(GROWTH_ITEMS * settings.max_item_bytes, size // 2),
        passing=min(max(size // PASSING_SHARE, 2 * read_bytes(settings)), size // 4),
        queue_length=admission.queue_length,
        client_lists=admission.client_lists,
        resource_lists=admission.resource_lists,
    )


class Lease:
    """The right of one request to hold memory, from its start to its `end`."""

    def __init__(self, admission: Admission, ticket: Ticket, patience: float) -> None:
        self.ticket = ticket
        self._admission = admission
        self._budget = admission.budget
        self._patience = patience
        self._waiter: asyncio.Future[None] | None = None
        self._growing = asyncio.Lock()
        self.on_refusal: Callable[[], None] | None = None

    @property
    def read_bytes(self) -> int:
        """Return what one read brings at most."""
        return self._admission.read_bytes

    async def start(self, seconds: float) -> None:
        """Wait for the window for so many seconds. Raises TooManyRequestsError."""
        self._admission.enter(self)
        ticket = self.ticket
        if ticket.state is State.WAITING:
            await self._wait(seconds)
        if ticket.state is State.REFUSED:
            raise QueueFullError("too many Lists are waiting, try again later")
        if ticket.state is State.WAITING:
            raise TooManyRequestsError("too many Lists at once, try again later")

    async def read_on(self, held: int, item_bytes: int) -> None:
        """Have the right to read on in items of such a size, with so much held that was read. Raises as `hold` does."""
        await self.hold(held + self._coming(item_bytes))

    async def hold(self, size: int) -> None:
        """Have the right to so many bytes, for which the others may have to be waited for.

        Raises ListTooLargeError where that can never be, TooManyRequestsError after `growth_seconds`.
        """
        ticket = self.ticket
        if size <= ticket.granted:
            return
        if not self._budget.can_ever_hold(size):
            raise ListTooLargeError("more would have to be held than memory_budget")
        async with self._growing:  # two pages may be under way
            if size <= ticket.granted or self._budget.grow(ticket, size):
                return
            try:
                await self._wait(self._patience)
            finally:
                is_late = ticket.wanted > 0
                if is_late:
                    self._admission.tell(self._budget.stop_growing(ticket))
            if is_late:
                raise TooManyRequestsError("no memory for so large an item or page, try again later")

    def hold_now(self, size: int) -> bool:
        """Have the right to so many bytes if that takes no waiting, and nobody else waits for memory."""
        return size <= self.ticket.granted or self._budget.grow_now(self.ticket, size)

    def settle(self, held: int, item_bytes: int = 0) -> None:
        """Give back what is above the window, and is not needed to read on."""
        ticket = self.ticket
        needed = max(ticket.window, held + self._coming(item_bytes))
        if ticket.granted > needed:
            self._admission.tell(self._budget.shrink(ticket, needed))

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Count what is held for what is no List, while its client does not take it."""
        if self.ticket.state is State.RUNNING:
            yield
            return
        self._admission.stall(self)
        try:
            yield
        finally:
            self._admission.go_on(self)

    def _coming(self, item_bytes: int) -> int:
        """Return what comes to that: what is read, what waits behind it, and a copy of the item that it cuts in two."""
        return 2 * self.read_bytes + min(self.read_bytes, item_bytes)

    def wake(self) -> None:
        """Look at the ticket again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        elif self.ticket.state is State.REFUSED and self.on_refusal is not None:
            self.on_refusal()

    def end(self) -> None:
        """Give everything back."""
        self._admission.leave(self)

    async def _wait(self, seconds: float) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter
        except TimeoutError:
            return
        finally:
            self._waiter = None
