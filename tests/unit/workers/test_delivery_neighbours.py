"""What the target says of itself is heard by every slot of the worker."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.delivery.events import Answered, Event, Polled, Slowed, Submitted, Uploaded, Vouched
from gateway.edges.kafka import AssignedSlot
from gateway.outcomes import Accepted, Ambiguous, BatchAnswer, Hold, Landed, Unavailable, Verdicts
from gateway.workers.delivery_heard import Heard
from gateway.workers.delivery_slot import DeliverySlot
from tests.fakes.delivery_shell import PARTITION, SETTINGS

RECORD = ("r1", 1)
BUSY = Unavailable(120.0, "429")


@dataclass
class Listening:
    """A neighbour, and what it is told."""

    has_suspects: bool = False
    heard: list[Event] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        self.heard.append(event)


async def told(event: Heard, *neighbours: Listening) -> None:
    """Let a slot hear *event*."""
    parts: Any = SimpleNamespace(target="t", settings=SETTINGS, ledger=None, neighbours=[*neighbours])
    consumer: Any = None
    slot = DeliverySlot(parts, AssignedSlot(0, (PARTITION,), consumer, "g"))
    parts.neighbours.append(slot)
    slot._tell_neighbours(event)  # noqa: SLF001  the machine would want to know of such a batch
    assert slot._inbox.empty()  # noqa: SLF001


@pytest.mark.parametrize(
    "event",
    [
        Answered(1, BatchAnswer({}, slow_down_s=120.0, whole=BUSY)),
        Answered(1, BatchAnswer({}, slow_down_s=120.0, whole=Ambiguous("500"))),
        Uploaded("p", {("r0", 1): Landed(), RECORD: BUSY, ("r2", 1): Unavailable(7.0, "429")}),
        Submitted("p", BUSY),
        Polled("p", BUSY),
    ],
)
async def test_who_is_asked_to_wait_tells_the_other_slots(event: Heard) -> None:
    first, second = Listening(), Listening()
    await told(event, first, second)

    assert (first.heard, second.heard) == ([Slowed(120.0)], [Slowed(120.0)])


@pytest.mark.parametrize(
    "event",
    [
        Answered(1, BatchAnswer({RECORD: Unavailable(9.0, "retry")})),
        Uploaded("p", {RECORD: Unavailable(None, "503")}),
        Submitted("p", Hold("auth")),
        Polled("p", Unavailable(None, "time-out")),
    ],
)
async def test_what_concerns_one_record_or_names_no_time_slows_nobody_else(event: Heard) -> None:
    neighbour = Listening(has_suspects=True)
    await told(event, neighbour)

    assert neighbour.heard == []


@pytest.mark.parametrize(
    "event", [Answered(1, BatchAnswer({RECORD: Accepted()})), Submitted("p", Landed()), Polled("p", Verdicts({}))]
)
async def test_a_target_that_takes_records_is_vouched_for_where_there_are_suspects(event: Heard) -> None:
    calm, doubting = Listening(), Listening(has_suspects=True)
    await told(event, calm, doubting)

    assert (calm.heard, doubting.heard) == ([], [Vouched()])
