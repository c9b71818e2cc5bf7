"""Leases: what is waited for, and given back however the waiting ends; how the memory is divided."""

import asyncio

import pytest

from proxy.admission import Admission, Lease, limits_of
from proxy.core.errors import ListTooLargeError, TooManyRequestsError
from proxy.core.planning import Buffered, Paged, Plan, Raw, Streamed
from proxy.settings import Admission as Numbers
from proxy.settings import Limits, Settings
from proxy.workers.supervisor import share

MIB = 1 << 20
READ = 512 << 10
"""What one read brings at most: the setting, and what came last."""

SETTINGS = Settings(memory_budget=8 * MIB, admission=Numbers(queue_seconds=5, growth_seconds=5))
IMPATIENT = Settings(memory_budget=8 * MIB, admission=Numbers(queue_seconds=0.01, growth_seconds=0.01))
PODS = ("", "pods")


async def start(admission: Admission, plan: Plan, item_bytes: float = 0.0) -> Lease:
    """Let a List start."""
    return await admission.admit("a", PODS, plan, item_bytes)


@pytest.mark.parametrize(
    ("plan", "window"),
    [
        (Raw("pretty"), 2 * READ),
        (Buffered("settings"), 2 * READ),
        (Streamed("settings"), 2.5 * READ + 2 * 1000),
        (Paged("settings"), 5 * MIB + READ),
    ],
)
async def test_windows(plan: Plan, window: int) -> None:
    """What a List starts with is what its plan needs to go on, by what its items are known to weigh."""
    admission = Admission(Settings(memory_budget=64 * MIB))
    lease = await start(admission, plan, 1000)
    assert lease.ticket.granted == admission.budget.granted == window
    lease.end()
    assert admission.budget.granted == 0


async def test_what_is_not_needed_any_more_is_given_back() -> None:
    """But for the window, what is held, and what the next read may bring, with the beginning of an item at its end."""
    admission = Admission(SETTINGS)
    lease = await start(admission, Streamed("settings"))
    window = lease.ticket.window
    await lease.read_on(2 * MIB, MIB)
    assert lease.ticket.granted == 2 * MIB + 3 * READ
    lease.settle(2 * MIB, MIB)
    assert lease.ticket.granted == 2 * MIB + 3 * READ
    lease.settle(1 * MIB, 1000)
    assert lease.ticket.granted == 1 * MIB + 2 * READ + 1000
    lease.settle(0)
    assert lease.ticket.granted == window
    lease.end()


async def two_in_need(admission: Admission) -> tuple[Lease, Lease, "asyncio.Task[None]"]:
    """Let one List grow as far as it can, and another one wait for that."""
    large, small = [await start(admission, Streamed("settings")) for _ in range(2)]
    await large.hold(large.ticket.window + 4 * MIB)
    task = asyncio.get_running_loop().create_task(small.hold(3 * MIB))
    await asyncio.sleep(0)
    assert admission.budget.growing == 1
    return large, small, task


@pytest.mark.parametrize("what", ["ends", "shrinks"])
async def test_who_waits_to_grow_is_told(what: str) -> None:
    """As soon as another one has ended, or needs less."""
    admission = Admission(SETTINGS)
    large, small, task = await two_in_need(admission)
    if what == "ends":
        large.end()
    else:
        large.settle(0)
    await task
    assert small.ticket.granted == 3 * MIB
    large.end()
    small.end()
    assert admission.budget.granted == 0


async def test_who_is_cancelled_while_it_waits_to_grow_waits_no_more() -> None:
    """A page that was asked for ahead may be dropped: its List goes on, and grows for another one."""
    admission = Admission(SETTINGS)
    large, small, task = await two_in_need(admission)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert admission.budget.growing == 0
    late = asyncio.get_running_loop().create_task(start(admission, Raw("pretty")))
    again = asyncio.get_running_loop().create_task(small.hold(2 * MIB))
    await asyncio.sleep(0)
    large.end()
    await again
    assert small.ticket.granted == 2 * MIB
    small.end()
    (await late).end()
    assert admission.budget.granted == 0


async def test_two_pages_of_a_list_grow_one_after_the_other() -> None:
    """Each has what it has asked for in the end; one that comes to nothing is not in the other's way."""
    admission = Admission(SETTINGS)
    large, small, task = await two_in_need(admission)
    other = asyncio.get_running_loop().create_task(small.hold(4 * MIB))
    await asyncio.sleep(0)
    assert admission.budget.growing == 1
    large.end()
    await asyncio.gather(task, other)
    assert small.ticket.granted == 4 * MIB
    small.end()
    assert admission.budget.granted == 0


async def test_deadlines() -> None:
    """Who has waited for too long is told to come back, and leaves nothing behind; who can never have it, at once."""
    admission = Admission(IMPATIENT)
    large, small, task = await two_in_need(admission)
    with pytest.raises(TooManyRequestsError):
        await task
    assert admission.budget.growing == 0
    with pytest.raises(TooManyRequestsError):
        await start(admission, Streamed("settings"))
    assert admission.budget.waiting == 0
    with pytest.raises(ListTooLargeError):
        await small.hold(8 * MIB)
    large.end()
    small.end()
    assert admission.budget.granted == 0


async def test_other_settings() -> None:
    """A larger budget starts who waits; a smaller one takes nothing away."""
    admission = Admission(SETTINGS)
    leases = [await start(admission, Streamed("settings")) for _ in range(2)]
    waiting = asyncio.get_running_loop().create_task(start(admission, Streamed("settings")))
    await asyncio.sleep(0)
    admission.renew(Settings(memory_budget=16 * MIB))
    leases.append(await waiting)
    admission.renew(SETTINGS)
    assert all(lease.ticket.granted == lease.ticket.window for lease in leases)
    for lease in leases:
        lease.end()
    assert admission.budget.granted == 0


@pytest.mark.parametrize("memory", [8, 16, 64, 256, 4096])
@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("read_buffer", [64 << 10, 256 << 10, 4 * MIB])
def test_something_is_left_for_everybody(memory: int, workers: int, read_buffer: int) -> None:
    """However small the budget: room to start, to grow, and to pass."""
    settings = Settings(memory_budget=memory * MIB, limits=Limits(read_buffer_bytes=read_buffer))
    limits = limits_of(share(settings, workers))
    assert limits.size * workers <= memory * MIB
    assert 0 < limits.passing <= limits.size // 4
    assert 0 < limits.growth <= limits.size // 2
    assert limits.size - limits.growth - limits.passing >= limits.size // 4
