"""What waits for its turn at a slow target does not leave once the slot is lost or the target closed."""

import asyncio
from typing import Any

import pytest

from gateway.outcomes import Unavailable
from gateway.workers.delivery_limit import Limit
from gateway.workers.delivery_send import NOT_SENT, Door
from tests.fakes.free_lease import FreeLease
from tests.fakes.simulated_loop import SimulatedLoop


class Closing:
    """A target that is closed from a moment on."""

    def __init__(self, loop: SimulatedLoop, at: float) -> None:
        self.loop, self.at = loop, at

    def closed_s(self) -> float:
        return max(0.0, self.loop.time() - self.at)


class Way:
    """A door and what went through it: when each request began, and what was said to each."""

    def __init__(self, loop: SimulatedLoop, limit: Limit, takes_s: float = 0.01, **more: Any) -> None:
        lease: Any = FreeLease()
        self.loop, self.takes_s = loop, takes_s
        self.door = Door(lease, limit, **more)
        self.began: list[float] = []

    async def ask(self) -> str | Unavailable:
        return await self.door.ask(self._request, "lost")

    async def _request(self) -> str:
        self.began.append(self.loop.time())
        await asyncio.sleep(self.takes_s)
        return "answered"


def test_what_waits_for_its_turn_comes_back_at_once_when_the_slot_is_lost(loop: SimulatedLoop) -> None:
    way = Way(loop, Limit(4, 0.5))

    async def story() -> tuple[list[str | Unavailable], float]:
        waiting = asyncio.gather(*(way.ask() for _ in range(12)))
        await asyncio.sleep(3.0)
        way.door.shut()
        shut_at = loop.time()
        return await waiting, loop.time() - shut_at

    said, took_s = loop.run(story())

    assert said == ["answered", "answered", *[NOT_SENT] * 10]
    assert len(way.began) == 2
    assert took_s == pytest.approx(0.0)


def test_what_is_under_way_when_the_slot_is_lost_is_answered(loop: SimulatedLoop) -> None:
    way = Way(loop, Limit(4), takes_s=2.0)

    async def story() -> list[str | Unavailable]:
        asked = asyncio.gather(*(way.ask() for _ in range(6)))
        await asyncio.sleep(1.0)
        way.door.shut()
        return await asked

    assert loop.run(story()) == [*["answered"] * 4, *[NOT_SENT] * 2]


def test_nothing_leaves_through_a_door_that_is_shut(loop: SimulatedLoop) -> None:
    way = Way(loop, Limit(4))

    async def story() -> str | Unavailable:
        way.door.shut()
        return await way.ask()

    assert loop.run(story()) == NOT_SENT
    assert way.began == []


def test_other_slots_go_on_at_the_full_rate(loop: SimulatedLoop) -> None:
    limit = Limit(4, 1.0)
    lost, kept = Way(loop, limit), Way(loop, limit)

    async def story() -> list[str | Unavailable]:
        gone = asyncio.gather(*(lost.ask() for _ in range(20)))
        asked = asyncio.gather(*(kept.ask() for _ in range(3)))
        await asyncio.sleep(2.5)
        lost.door.shut()
        await gone
        return await asked

    assert loop.run(story()) == ["answered"] * 3
    assert len(lost.began) == 3
    assert [round(at - lost.began[-1]) for at in kept.began] == [1, 2, 3]


def test_what_was_cut_before_a_maintenance_window_does_not_leave_in_it(loop: SimulatedLoop) -> None:
    way = Way(loop, Limit(8, 1.0), closed_s=Closing(loop, loop.time() + 3.5).closed_s)

    async def story() -> list[str | Unavailable]:
        return await asyncio.gather(*(way.ask() for _ in range(8)))

    said = loop.run(story())

    assert said.count(NOT_SENT) == 4
    assert len(way.began) == 4


def test_a_request_without_an_answer_in_its_time_is_lost(loop: SimulatedLoop) -> None:
    assert loop.run(Way(loop, Limit(1), takes_s=6.0).ask()) == "lost"


def test_a_cancelled_request_is_no_answer(loop: SimulatedLoop) -> None:
    way = Way(loop, Limit(1, 0.1))

    async def story() -> bool:
        await way.ask()
        task = asyncio.ensure_future(way.ask())
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert loop.run(story())
