"""A target's rate is kept by all workers together, each by the share of its slots."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest

from gateway.workers import delivery_limit
from gateway.workers.delivery_limit import Limit
from tests.fakes.simulated_loop import SimulatedLoop

Rush = Callable[[Limit, int], Coroutine[None, None, list[float]]]


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedLoop]:
    """Simulated time, which the limit reads too."""
    made = SimulatedLoop()
    monkeypatch.setattr(delivery_limit, "monotonic_s", made.time)
    yield made
    made.end()


@pytest.fixture
def rush(loop: SimulatedLoop) -> Rush:
    """When each of so many requests left that were wanted at once; each takes 10 ms."""

    async def begun_at(limit: Limit, requests: int) -> list[float]:
        at: list[float] = []

        async def ask() -> None:
            async with limit:
                at.append(loop.time())
                await asyncio.sleep(0.01)

        await asyncio.gather(*(ask() for _ in range(requests)))
        return at

    return begun_at


def test_two_workers_stay_within_the_rate_by_the_slots_they_own(loop: SimulatedLoop, rush: Rush) -> None:
    few, many = Limit(50, 24.0, slots=12), Limit(50, 24.0, slots=12)

    async def both() -> tuple[list[float], list[float]]:
        one, other = await asyncio.gather(rush(few, 30), rush(many, 90))
        return one, other

    with ExitStack() as owned:
        for limit in (few, *(many for _ in range(3))):
            owned.enter_context(limit.owning())
        at_few, at_many = loop.run(both())

    assert min(later - earlier for earlier, later in pairwise(at_few)) == pytest.approx(1 / 2)  # 1 of 12 slots
    assert min(later - earlier for earlier, later in pairwise(at_many)) == pytest.approx(1 / 6)  # 3 of 12 slots


def test_a_slot_that_goes_takes_its_share_with_it(loop: SimulatedLoop, rush: Rush) -> None:
    limit = Limit(50, 10.0, slots=2)
    with limit.owning():
        with limit.owning():
            whole = loop.run(rush(limit, 11))
        half = loop.run(rush(limit, 11))

    assert whole[-1] - whole[0] == pytest.approx(1.0)
    assert half[-1] - half[0] == pytest.approx(2.0)


def test_without_a_rate_only_the_number_at_a_time_counts(loop: SimulatedLoop, rush: Rush) -> None:
    at = loop.run(rush(Limit(4), 12))

    assert [round(moment - at[0], 3) for moment in at] == [0.0] * 4 + [0.01] * 4 + [0.02] * 4


def test_a_request_that_is_given_up_while_it_waits_leaves_its_turn(loop: SimulatedLoop, rush: Rush) -> None:
    limit = Limit(1, 1.0)

    async def story() -> list[float]:
        await rush(limit, 1)
        waiting = asyncio.ensure_future(rush(limit, 1))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return await rush(limit, 1)

    assert len(loop.run(story())) == 1
