"""A target's rate is kept by all workers together, each by the share of its slots."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise

import pytest

from gateway.workers.delivery_limit import Limit, Ready
from tests.fakes.simulated_loop import SimulatedLoop

Rush = Callable[..., Coroutine[None, None, list[float]]]


async def at_once() -> None:
    """The lease allows it."""


@pytest.fixture
def rush(loop: SimulatedLoop) -> Rush:
    """When each of so many requests left that were wanted at once; each takes 10 ms."""

    async def begun_at(limit: Limit, requests: int, ready: Ready = at_once) -> list[float]:
        at: list[float] = []

        async def ask() -> None:
            at.append(loop.time())
            await asyncio.sleep(0.01)

        await asyncio.gather(*(limit.perform(ready, ask) for _ in range(requests)))
        return at

    return begun_at


def test_two_workers_stay_within_the_rate_by_the_slots_they_own(loop: SimulatedLoop, rush: Rush) -> None:
    few, many = Limit(50, 24.0, lambda: 1 / 12), Limit(50, 24.0, lambda: 3 / 12)

    async def both() -> tuple[list[float], list[float]]:
        one, other = await asyncio.gather(rush(few, 30), rush(many, 90))
        return one, other

    at_few, at_many = loop.run(both())

    assert min(later - earlier for earlier, later in pairwise(at_few)) == pytest.approx(1 / 2)
    assert min(later - earlier for earlier, later in pairwise(at_many)) == pytest.approx(1 / 6)


def test_the_share_of_the_moment_counts(loop: SimulatedLoop, rush: Rush) -> None:
    share = 1.0
    limit = Limit(50, 10.0, lambda: share)
    whole = loop.run(rush(limit, 11))
    share = 0.5
    half = loop.run(rush(limit, 11))

    assert whole[-1] - whole[0] == pytest.approx(1.0)
    assert half[-1] - half[0] == pytest.approx(2.0)


def test_without_a_rate_only_the_number_at_a_time_counts(loop: SimulatedLoop, rush: Rush) -> None:
    at = loop.run(rush(Limit(4), 12))

    assert [round(moment - at[0], 3) for moment in at] == [0.0] * 4 + [0.01] * 4 + [0.02] * 4


def test_requests_that_are_given_up_while_they_wait_cost_nobody_time(loop: SimulatedLoop, rush: Rush) -> None:
    limit = Limit(16, 1.0)

    async def story() -> float:
        [first] = await rush(limit, 1)
        for _ in range(4):
            waiting = asyncio.ensure_future(rush(limit, 12))
            await asyncio.sleep(0.1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        [next_] = await rush(limit, 1)
        return next_ - first

    assert loop.run(story()) == pytest.approx(1.0)


def test_what_waited_for_the_lease_does_not_leave_all_at_once(loop: SimulatedLoop, rush: Rush) -> None:
    limit, back = Limit(8, 2.0), asyncio.Event()

    async def renewed() -> None:
        await back.wait()

    async def story() -> list[float]:
        asyncio.get_running_loop().call_later(30.0, back.set)
        return await rush(limit, 8, renewed)

    at = loop.run(story())

    assert min(later - earlier for earlier, later in pairwise(at)) == pytest.approx(0.5)
