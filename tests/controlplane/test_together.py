"""What is asked by many at the same time is looked up once."""

from __future__ import annotations

import asyncio

import pytest

from connector.controlplane.together import Together


class Library:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.opens = asyncio.Event()
        self.is_burnt = False

    async def look_up(self, question: str) -> str:
        self.asked.append(question)
        await self.opens.wait()
        if self.is_burnt:
            raise LookupError(question)
        return question.upper()


@pytest.fixture
def library() -> Library:
    return Library()


async def test_all_who_wait_share_an_answer_and_the_next_has_a_new_one(library: Library) -> None:
    together = Together(library.look_up)
    asking = [asyncio.create_task(together.of(question)) for question in ("a", "b", "a", "a")]
    await asyncio.sleep(0)
    library.opens.set()
    assert await asyncio.gather(*asking) == ["A", "B", "A", "A"]
    assert library.asked == ["a", "b"]
    assert await together.of("a") == "A"
    assert library.asked == ["a", "b", "a"]


async def test_who_stops_waiting_takes_the_answer_from_nobody(library: Library) -> None:
    together = Together(library.look_up)
    first, second = (asyncio.create_task(together.of("a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    library.opens.set()
    assert await second == "A"
    assert first.cancelled()
    assert library.asked == ["a"]


async def test_a_fault_is_told_to_all_and_not_remembered(library: Library) -> None:
    together, library.is_burnt = Together(library.look_up), True
    library.opens.set()
    told = await asyncio.gather(together.of("a"), together.of("a"), return_exceptions=True)
    assert [type(fault) for fault in told] == [LookupError, LookupError]
    library.is_burnt = False
    assert await together.of("a") == "A"
