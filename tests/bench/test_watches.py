"""Watches as a workload: what is noted of events."""

from proxy.bench.watches import LEAST_SECONDS, Watch, Watches


def test_notes_when_each_event_was_complete() -> None:
    """However its bytes arrive: an event ends with its line."""
    watch = Watch()
    for body in (b'{"type":"ADDED"', b"}\n", b"{}\n{}\n{", b"}\n"):
        watch.sink(body)
    assert len(watch.times) == 4
    assert watch.times == sorted(watch.times)
    assert watch.times[1] == watch.times[2]


def test_a_delay_is_counted_from_another_watch() -> None:
    """Event by event, as far as both have come, and since both were open."""
    here, there = Watch(), Watch()
    here.times, there.times = [1.0, 2.5, 3.0], [1.5, 2.0]
    assert here.behind(there, 0.0) == [0.0, 0.5]
    assert here.behind(there, 1.75) == [0.5]


def test_is_never_too_short_for_an_event() -> None:
    """Small runs have few watches, and time enough; large ones are as they are."""
    watches = Watches("watches", 100, 40, 2.0)
    assert watches.scaled(0.001) == Watches("watches", 1, 40, LEAST_SECONDS)
    assert watches.scaled(10) == watches
