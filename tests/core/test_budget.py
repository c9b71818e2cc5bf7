"""The budget: never more than there is, nobody waits without a reason, everybody gets a turn, nothing is left."""

from collections import Counter, defaultdict
from itertools import chain

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.core.budget import Budget, Limits, State, Ticket

PODS, SECRETS = ("", "pods"), ("", "secrets")
LIMITS = Limits(size=100, growth=20, passing=10, queue_length=4)
ORDINARY = 70
"""What Lists get of that without a wait for others."""


def ask(budget: Budget, client: str = "a", window: int = 10) -> Ticket:
    """Let a client ask for a List."""
    ticket = Ticket(client, PODS, window)
    budget.enter(ticket)
    return ticket


def running(tickets: list[Ticket]) -> list[bool]:
    """Return which of some Lists have started."""
    return [ticket.state is State.RUNNING for ticket in tickets]


# --- starting ---------------------------------------------------------------------------------------------------------


def test_starts_while_there_is_room_for_a_window() -> None:
    """Neither what is kept for growing nor what is kept for those who pass is given to a List that starts."""
    budget = Budget(LIMITS)
    tickets = [ask(budget) for _ in range(8)]
    assert running(tickets) == [True] * 7 + [False]
    assert (budget.granted, budget.waiting) == (70, 1)
    assert budget.leave(tickets[3]) == [tickets[7]]
    assert tickets[7].granted == 10


def test_clients_take_turns() -> None:
    """Who asks for one List waits for one of each other client, not for all that they have asked for before."""
    budget = Budget(LIMITS)
    full = ask(budget, "a", ORDINARY)
    many = [ask(budget, "a") for _ in range(3)]
    one = ask(budget, "b")
    assert budget.leave(full) == [many[0], one, many[1], many[2]]


def test_a_large_window_gets_its_turn() -> None:
    """Small ones that would fit do not overtake it for ever; one larger than everything has to do with all of it."""
    budget = Budget(LIMITS)
    first, second = ask(budget), ask(budget)
    large, small = ask(budget, "b", 1000), ask(budget, "c")
    assert budget.leave(first) == []
    assert budget.leave(second) == [large]
    assert large.granted == ORDINARY
    assert small.state is State.WAITING


def test_a_full_queue_refuses_who_has_most_of_it() -> None:
    """A newcomer takes the place of the last one of the client with most; where nobody has more, it is refused."""
    budget = Budget(LIMITS)
    ask(budget, "a", ORDINARY)
    greedy = [ask(budget, "a") for _ in range(4)]
    others = [ask(budget, name) for name in "bcd"]
    assert [ticket.state for ticket in greedy] == [State.WAITING] + 3 * [State.REFUSED]
    assert {ticket.state for ticket in others} == {State.WAITING}
    # Whoever comes under ever other names gets out nobody who came before.
    assert {ask(budget, f"name {number}").state for number in range(20)} == {State.REFUSED}
    assert budget.waiting == 4
    # Nor does one who has as many as others already.
    assert ask(budget, "b").state is State.REFUSED
    assert {ticket.state for ticket in others} == {State.WAITING}


def test_numbers_stop_only_whom_they_concern() -> None:
    """A client at its limit waits, and those behind it go on; no queue at all refuses it at once."""
    budget = Budget(Limits(100, 20, 10, queue_length=4, client_lists=1, resource_lists=2))
    first, second = ask(budget, "a"), ask(budget, "a")
    third = ask(budget, "b")
    assert running([first, second, third]) == [True, False, True]
    other = Ticket("c", PODS, 10)
    assert budget.enter(other) == []  # two of Pods are under way
    secrets = Ticket("c", SECRETS, 10)
    assert budget.enter(secrets) == [secrets]
    assert budget.leave(first) == [second]
    budget.renew(Limits(100, 20, 10, queue_length=0, client_lists=1))
    assert ask(budget, "a").state is State.REFUSED


# --- growing ----------------------------------------------------------------------------------------------------------


def test_one_grows_beyond_what_others_may_have() -> None:
    """With everything given away, one List has the room that is kept; another one has it after that one."""
    budget = Budget(LIMITS)
    first, second, *_ = (ask(budget) for _ in range(7))
    assert budget.grow(first, 25)
    assert not budget.grow(second, 12)
    assert budget.grow(first, 30)
    assert not budget.grow(first, 31)  # the others would have to end
    assert budget.stop_growing(first) == []
    assert budget.shrink(first, 10) == [second]
    assert budget.granted == 72


def test_who_needs_little_goes_before_who_waits_for_it() -> None:
    """A List that waits for much waits for those before it to end: were they to wait behind it, none would go on."""
    budget = Budget(LIMITS)
    large, small = ask(budget, "a", 30), ask(budget, "b", 30)
    assert not budget.grow(large, 80)
    assert budget.grow(small, 40)
    newcomer = ask(budget, "c")
    assert newcomer.state is State.WAITING  # or there would always be others before it
    assert budget.leave(small) == [large]
    assert budget.leave(large) == [newcomer]


def test_who_can_have_it_does_not_wait_behind_who_cannot() -> None:
    """Whatever the order, what is kept goes to the first for whom it is enough."""
    budget = Budget(LIMITS)
    large, small, grower = ask(budget, "a", 20), ask(budget, "b", 20), ask(budget, "c", 30)
    assert budget.grow(grower, 50)
    assert not budget.grow(large, 90)
    assert not budget.grow(small, 30)
    assert budget.shrink(grower, 30) == [small]


def test_who_waits_no_more_lets_others_start() -> None:
    """After its deadline a List that could not grow is in nobody's way, while it still holds what it had."""
    budget = Budget(LIMITS)
    large, small = ask(budget, "a", 30), ask(budget, "b", 30)
    assert not budget.grow(large, 80)
    newcomer = ask(budget, "c")
    assert budget.stop_growing(large) == [newcomer]
    assert budget.leave(small) == []
    assert not budget.grow(large, 81)
    assert budget.leave(newcomer) == [large]
    assert large.granted == 81


def test_who_holds_much_for_long_does_not_keep_others_from_growing() -> None:
    """What one has grown is at home among the rest as soon as there is room for it there."""
    budget = Budget(LIMITS)
    slow, other, *rest = (ask(budget) for _ in range(7))
    assert budget.grow(slow, 30)
    assert not budget.grow(other, 20)
    assert budget.leave(rest[0]) == []
    assert budget.leave(rest[1]) == [other]


def test_what_takes_no_waiting() -> None:
    """`grow_now` takes nothing that is kept, or that somebody waits for; who waits for a number waits for no memory."""
    budget = Budget(Limits(100, 20, 10, queue_length=4, client_lists=1))
    first, limited = ask(budget, "a", 30), ask(budget, "a")
    assert limited.state is State.WAITING
    assert budget.grow_now(first, 60)
    assert not budget.grow_now(first, 71)
    waiting = ask(budget, "b", 30)
    assert not budget.grow_now(first, 61)
    budget.leave(waiting)
    assert budget.grow_now(first, 61)


def test_what_can_never_be_held() -> None:
    """All of it but what is kept for those who pass."""
    budget = Budget(LIMITS)
    assert budget.can_ever_hold(90)
    assert not budget.can_ever_hold(91)
    assert budget.grow(ask(budget), 90)


# --- passing ----------------------------------------------------------------------------------------------------------


def stall(budget: Budget) -> tuple[Ticket, list[Ticket]]:
    """Let the client of what is no List stop to read; return its ticket and who is refused."""
    ticket = Ticket("", ("", ""), 5)
    return ticket, [changed for changed in budget.stall(ticket) if changed.state is State.REFUSED]


def test_stalled_clients_take_what_lists_leave_up_to_a_quarter() -> None:
    """Beyond that, who has stalled for longest is refused; a List that was to start has to wait for the others."""
    budget = Budget(LIMITS)
    stalled = [stall(budget) for _ in range(5)]
    assert [refused for _, refused in stalled] == [[]] * 5
    assert budget.granted == 25
    oldest = stalled[0][0]
    assert stall(budget)[1] == [oldest]
    assert budget.go_on(oldest) == []
    assert budget.granted == 25
    waiting = ask(budget, "a", ORDINARY)
    assert waiting.state is State.WAITING
    assert budget.go_on(stalled[1][0]) == []
    assert budget.go_on(stalled[2][0]) == []
    assert budget.go_on(stalled[3][0]) == [waiting]


def test_stalled_clients_have_room_that_lists_do_not_get() -> None:
    """However many Lists have started, and grown, two pass; a third one takes the place of the first."""
    budget = Budget(LIMITS)
    lists = [ask(budget) for _ in range(7)]
    assert budget.grow(lists[0], 30)
    (first, _), (_, none), (_, refused) = (stall(budget) for _ in range(3))
    assert none == []
    assert refused == [first]
    assert budget.granted == 100


def test_less_memory_takes_nothing_away() -> None:
    """After a reload with a smaller budget Lists go on; others start when there is room in the new one."""
    budget = Budget(LIMITS)
    tickets = [ask(budget) for _ in range(7)]
    assert budget.renew(Limits(50, 10, 10, queue_length=4)) == []
    waiting = ask(budget, "b")
    assert budget.granted == 70
    assert not budget.grow(tickets[0], 11)
    for ticket in tickets[1:5]:
        assert waiting not in budget.leave(ticket)
    assert (tickets[0].granted, waiting.granted) == (11, 0)
    assert budget.leave(tickets[5]) == []
    assert budget.leave(tickets[6]) == [waiting]


def test_one_grows_after_the_other_also_where_there_is_less_than_before() -> None:
    """Who needs no more than its window has nothing of what is kept, however little there is now."""
    budget = Budget(LIMITS)
    first, second, *_ = (ask(budget) for _ in range(7))
    budget.renew(Limits(95, 40, 10, queue_length=4))
    assert budget.grow(first, 20)
    assert not budget.grow(second, 12)
    assert budget.shrink(first, 10) == [second]


# --- whatever happens -------------------------------------------------------------------------------------------------

SIZES = st.integers(1, 70)
NUMBERS = st.integers(0, 99)
CLIENTS = st.sampled_from("abcd")


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    """Draw bounds under which something can be held."""
    size = draw(st.integers(40, 120))
    growth, passing = draw(st.integers(1, size // 2)), draw(st.integers(1, size // 4))
    numbers = st.sampled_from([0, 0, 0, 1, 2])
    return Limits(size, growth, passing, draw(st.sampled_from([0, 2, 5, 50])), draw(numbers), draw(numbers))


class Machine(RuleBasedStateMachine):
    """Clients that do everything they can; who has what is told by the tickets, and compared with what was promised."""

    @initialize(limits=limits())
    def begin(self, limits: Limits) -> None:
        """Begin with some bounds."""
        self.budget = Budget(limits)
        self.lists: list[Ticket] = []
        self.began_with: dict[Ticket, int] = {}
        self.stalled: list[Ticket] = []
        self.overdrawn = 0  # what was used when the bounds became others, and has not been given back yet
        self.overtaken: defaultdict[str, Counter[str]] = defaultdict(Counter)

    # --- what can be asked ------------------------------------------------------------------------------------------

    def those(self, state: State) -> list[Ticket]:
        """Return the Lists that are so."""
        return [ticket for ticket in self.lists if ticket.state is state]

    @property
    def content(self) -> list[Ticket]:
        """Lists under way that wait for nothing."""
        return [ticket for ticket in self.those(State.RUNNING) if not ticket.wanted]

    @property
    def grown(self) -> list[Ticket]:
        """Lists that have more than they began with."""
        return [ticket for ticket in self.those(State.RUNNING) if ticket.granted > self.began_with[ticket]]

    @rule(client=CLIENTS, resource=st.sampled_from([PODS, SECRETS]), window=SIZES)
    def enter(self, client: str, resource: tuple[str, str], window: int) -> None:
        """Ask for a List."""
        newcomer = Ticket(client, resource, window)
        before = self.those(State.WAITING)
        self.lists.append(newcomer)
        changed = self.budget.enter(newcomer)
        refused = [ticket for ticket in changed if ticket.state is State.REFUSED]
        self.note([ticket for ticket in changed if ticket not in refused], [*before, newcomer])
        if not refused:
            return
        lengths = Counter(ticket.client for ticket in (*self.those(State.WAITING), *refused))
        assert len(refused) == 1
        assert lengths.total() > self.budget.limits.queue_length
        assert lengths[refused[0].client] == max(lengths.values())
        if newcomer is not refused[0] and refused[0].client != client:
            assert lengths[client] < max(lengths.values())

    @precondition(lambda self: self.lists)
    @rule(number=NUMBERS)
    def leave(self, number: int) -> None:
        """End a List, whatever it is about."""
        ticket = self.lists[number % len(self.lists)]
        self.lists.remove(ticket)
        before = self.those(State.WAITING)
        self.note(self.budget.leave(ticket), before)

    @precondition(lambda self: self.content)
    @rule(number=NUMBERS, more=SIZES, waits=st.booleans())
    def grow(self, number: int, more: int, waits: bool) -> None:
        """Let a List want more."""
        ticket = self.content[number % len(self.content)]
        more = min(more, self.budget.limits.size - self.budget.limits.passing - ticket.granted)
        to = ticket.granted + more
        if more <= 0:
            return
        assert self.budget.can_ever_hold(to)
        is_pressed = bool(self.growing) or any(map(self.is_allowed, self.those(State.WAITING)))
        is_granted = (self.budget.grow if waits else self.budget.grow_now)(ticket, to)
        assert is_granted == (ticket.granted == to)
        assert bool(ticket.wanted) == (waits and not is_granted)
        if not waits:
            assert is_granted == (not is_pressed and self.used + (0 if is_granted else more) <= self.ordinary)

    @precondition(lambda self: self.growing)
    @rule(number=NUMBERS)
    def give_up(self, number: int) -> None:
        """Let a List wait no more for what it wanted."""
        ticket, before = self.growing[number % len(self.growing)], self.those(State.WAITING)
        self.note(self.budget.stop_growing(ticket), before)
        assert not ticket.wanted

    @precondition(lambda self: self.grown)
    @rule(number=NUMBERS, share=st.floats(0, 1))
    def shrink(self, number: int, share: float) -> None:
        """Let a List need less, and its window at least."""
        ticket, before = self.grown[number % len(self.grown)], self.those(State.WAITING)
        least = self.began_with[ticket]
        self.note(self.budget.shrink(ticket, least + int(share * (ticket.granted - least))), before)

    @rule(window=st.integers(1, 30))
    def stall(self, window: int) -> None:
        """Let the client of something else stop to read."""
        ticket, before, waiting = Ticket("", ("", ""), window), self.stalled.copy(), self.those(State.WAITING)
        held = sum(other.granted for other in before)
        changed = self.budget.stall(ticket)
        refused = [other for other in changed if other.state is State.REFUSED]
        self.note(changed[len(refused) :], waiting)
        assert refused == [*before, ticket][: len(refused)]  # the oldest
        self.stalled = [*before, ticket][len(refused) :]
        assert ticket.granted in (0, window)
        if held + window <= self.budget.limits.passing:
            assert not refused

    @precondition(lambda self: self.stalled)
    @rule(number=NUMBERS)
    def go_on(self, number: int) -> None:
        """Let it read on."""
        ticket, before = self.stalled[number % len(self.stalled)], self.those(State.WAITING)
        self.stalled.remove(ticket)
        self.note(self.budget.go_on(ticket), before)

    @rule(limits=limits())
    def renew(self, limits: Limits) -> None:
        """Go by other bounds."""
        before = self.those(State.WAITING)
        changed = self.budget.renew(limits)
        self.overdrawn = self.used
        self.overtaken.clear()
        self.note(changed, before)

    # --- what was promised ------------------------------------------------------------------------------------------

    def note(self, changed: list[Ticket], before: list[Ticket]) -> None:
        """Look at each List that has started, in order, and at whom it has left behind."""
        started = [ticket for ticket in changed if ticket in before]
        limits = self.budget.limits
        under_way = [ticket for ticket in self.those(State.RUNNING) if ticket not in started]
        waiting = before
        for ticket in started:
            assert ticket.state is State.RUNNING
            self.began_with[ticket] = ticket.granted
            assert ticket.granted == min(ticket.window, self.ordinary - limits.passing)
            assert self.is_allowed(ticket, under_way)
            waiting = [other for other in waiting if other is not ticket and other.state is not State.ENDED]
            behind = {other.client for other in waiting if self.is_allowed(other, under_way)} - {ticket.client}
            under_way.append(ticket)
            for client in behind:
                self.overtaken[client][ticket.client] += 1
                assert self.overtaken[client][ticket.client] == 1
            self.overtaken.pop(ticket.client, None)
        for ticket in changed:
            if ticket not in started:
                assert ticket.state is State.RUNNING
                assert not ticket.wanted
        for client in self.overtaken.keys() - {ticket.client for ticket in self.those(State.WAITING)}:
            del self.overtaken[client]

    def is_allowed(self, ticket: Ticket, under_way: list[Ticket] | None = None) -> bool:
        """Whether no number stops a List."""
        under_way = self.those(State.RUNNING) if under_way is None else under_way
        limits = self.budget.limits
        own = sum(other.client == ticket.client for other in under_way)
        same = sum(other.resource == ticket.resource for other in under_way)
        return own < (limits.client_lists or own + 1) and same < (limits.resource_lists or same + 1)

    @property
    def growing(self) -> list[Ticket]:
        """Lists that wait to grow."""
        return [ticket for ticket in self.lists if ticket.wanted]

    @property
    def ordinary(self) -> int:
        """What is not kept for one List to grow."""
        return self.budget.limits.size - self.budget.limits.growth

    @property
    def used(self) -> int:
        """What Lists do not get any more."""
        stalled = sum(ticket.granted for ticket in self.stalled)
        return sum(ticket.granted for ticket in self.lists) + max(stalled, self.budget.limits.passing)

    @invariant()
    def sums_are_right(self) -> None:
        """What is granted is what the tickets say, and no more than there is, or was when it was granted."""
        assert self.budget.granted == sum(ticket.granted for ticket in chain(self.lists, self.stalled))
        self.overdrawn = min(self.overdrawn, self.used)
        assert self.budget.granted <= self.used <= max(self.budget.limits.size, self.overdrawn)
        assert self.budget.waiting == len(self.those(State.WAITING))
        assert self.budget.growing == len(self.growing)
        assert all(not ticket.granted for ticket in self.lists if ticket.state is not State.RUNNING)

    @invariant()
    def nobody_waits_to_start_without_a_reason(self) -> None:
        """Of those whom no number stops, one at least lacks room, and all wait for it; or one waits to grow."""
        waiting = [ticket for ticket in self.those(State.WAITING) if self.is_allowed(ticket)]
        room = self.ordinary - self.used
        most = self.ordinary - self.budget.limits.passing
        assert not waiting or self.growing or any(min(ticket.window, most) > room for ticket in waiting)

    @invariant()
    def nobody_waits_to_grow_without_a_reason(self) -> None:
        """There is not so much, or it is that which is kept for growing, and another one has it."""
        for ticket in self.growing:
            used = self.used + ticket.wanted - ticket.granted
            others = [other for other in self.those(State.RUNNING) if other is not ticket]
            is_taken = any(other.granted > self.began_with[other] for other in others)
            assert used > self.budget.limits.size or (used > self.ordinary and is_taken)

    def teardown(self) -> None:
        """Once all others have ended, whoever is left has what it wants; in the end nothing is left of anybody."""
        if not hasattr(self, "budget"):
            return
        for ticket in self.stalled:
            self.budget.go_on(ticket)
        while self.lists:
            if len(self.lists) == 1 and self.growing:
                assert not self.budget.can_ever_hold(self.growing[0].wanted)
            self.budget.leave(self.lists.pop())
        assert self.budget.granted == 0
        fresh = Budget(self.budget.limits)
        for budget in (self.budget, fresh):
            budget.renew(fresh.limits)
        assert str(vars(self.budget)) == str(vars(fresh))  # to counters a zero is nothing


TestBudget = Machine.TestCase
TestBudget.settings = settings(max_examples=100, stateful_step_count=40, phases=set(Phase) - {Phase.explain})
