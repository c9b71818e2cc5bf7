"""Questions to somebody who may be slow."""

import asyncio

from proxy.workers.asking import Question


async def test_who_asks_meanwhile_waits_for_the_same_answer() -> None:
    """A question is asked once until it has been answered, however many want to know; then anew."""
    asked = []
    question = Question[str](lambda: asked.append(1))
    waiting = [asyncio.ensure_future(question.within(20)) for _ in range(3)]
    await asyncio.sleep(0)
    question.answer("yes")
    assert await asyncio.gather(*waiting) == ["yes"] * 3
    assert len(asked) == 1
    question.ask()
    assert len(asked) == 2
    question.answer(None)


async def test_an_answer_that_comes_too_late() -> None:
    """Who has no more time gets None; the answer is for the next one, and until then the silence is measured."""
    asked = []
    question = Question[str](lambda: asked.append(1))
    assert question.waiting_seconds == 0
    assert await question.within(0.01) is None
    assert question.waiting_seconds > 0
    later = asyncio.ensure_future(question.within(20))
    await asyncio.sleep(0)
    question.answer("late")
    assert await later == "late"
    assert len(asked) == 1
    assert question.waiting_seconds == 0
    question.answer("nobody asked")
