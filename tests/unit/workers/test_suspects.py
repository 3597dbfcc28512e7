"""An owner among suspects: what it must come back to, and when it may look guilty.  Kafka is a list of offsets."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.edges.kafka import AssignedSlot
from gateway.edges.kafka_types import Fetched, Record, TopicPartition
from gateway.quarantine import marks as crash
from gateway.workers.suspects import Ready, Suspects, Take, Ward
from tests.fakes.marks import Died, FakeMarks

PARTITION = TopicPartition("national.records", 0)


@dataclass
class Slot:
    """A log, and a consumer of it that gets over so many offsets in one fetch; the rest are aborted transactions."""

    offsets: Sequence[int]
    at: int
    over: int = 1_000_000
    partitions: tuple[TopicPartition, ...] = (PARTITION,)
    revoked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def consumer(self) -> "Slot":
        return self

    async def position(self, _: TopicPartition) -> int:
        return self.at

    def seek(self, _: TopicPartition, offset: int) -> None:
        self.at = offset

    async def end_offsets(self, _: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {PARTITION: self.offsets[-1] + 1}

    async def fetch(self, *, max_records: int, timeout_ms: int, only: Sequence[TopicPartition]) -> Fetched:
        await asyncio.sleep(0)
        reached = min(self.at + self.over, self.offsets[-1] + 1)
        found = [offset for offset in self.offsets if self.at <= offset < reached][:max_records]
        self.at = found[-1] + 1 if found else reached
        return {PARTITION: [record(offset) for offset in found]} if found else {}


def record(offset: int) -> Record:
    return cast("Record", SimpleNamespace(topic=PARTITION.topic, partition=0, offset=offset))


@dataclass
class Stage:
    """Owners of the slot, one after the other; *buried* are offset and deaths."""

    slot: Callable[[], Slot]
    marks: FakeMarks = field(default_factory=lambda: FakeMarks({PARTITION: crash.running(0)}))
    buried: list[tuple[int, int]] = field(default_factory=list)

    async def own(self, take: Take, *ready: Ready) -> bool:
        """One owner's life among the suspects; False when it died."""

        async def bury(killer: Record, deaths: int) -> None:
            self.buried.append((killer.offset, deaths))

        ward = cast("Ward", SimpleNamespace(marks=self.marks, turn=asyncio.Lock()))
        suspects = Suspects(ward, cast("AssignedSlot", self.slot()), most_records=1_000)
        try:
            await suspects.take_over()
            await suspects.go_through(take, bury, *ready)
        except Died:
            return False
        return True


async def test_what_was_acquitted_but_not_committed_is_found_when_it_kills_later() -> None:
    """Delivery decodes what it sends: with its target down a killer lives on, and a later run dies of it."""
    stage = Stage(lambda: Slot(range(300), at=0))
    in_hand: set[int] = set()
    tries = 0

    async def take(records: Sequence[Record]) -> None:
        nonlocal tries
        tries += 1
        in_hand.update(one.offset for one in records)
        if 10 in in_hand and tries >= 4:  # the target is back
            raise Died

    lives = 1
    while not await stage.own(take):
        in_hand.clear()
        lives += 1
        assert lives < 10

    assert stage.buried == [(10, 3)]


@pytest.mark.parametrize("first", [20_000, 200_001])
async def test_a_killer_behind_a_long_aborted_stretch_is_found(first: int) -> None:
    committed = 0
    offsets = [first, first + 1, first + 2]
    stage = Stage(lambda: Slot(offsets, at=committed, over=6_000))

    async def take(records: Sequence[Record]) -> None:
        nonlocal committed
        if any(one.offset == first + 1 for one in records):
            raise Died
        committed = records[-1].offset + 1

    for _ in range(3):
        assert not await stage.own(take)

    assert await stage.own(take)
    assert stage.buried == [(first + 1, 3)]


async def test_records_that_cannot_be_taken_yet_wait_without_a_mark() -> None:
    """Intake holds a partition whose schema it cannot ask for; who is killed then was not trying."""
    slot = Slot(range(10), at=0)
    stage = Stage(lambda: slot)

    async def hold(records: Sequence[Record]) -> None:
        slot.seek(PARTITION, records[0].offset)

    life = asyncio.create_task(stage.own(hold))
    waited = 0
    for _ in range(20):
        await asyncio.sleep(0.01)
        waited += not stage.marks.newest[PARTITION].trying
    slot.revoked.set()
    await life

    assert waited >= 15  # half of them when it tries again at once


async def test_nothing_is_marked_before_there_is_room_for_it() -> None:
    """A window that is full waits for its target; who is killed then was not trying."""
    stage, room, taken = Stage(lambda: Slot(range(10), at=0)), asyncio.Event(), list[int]()

    async def take(records: Sequence[Record]) -> None:
        taken.extend(one.offset for one in records)

    life = asyncio.create_task(stage.own(take, room.wait))
    await asyncio.sleep(0.05)
    assert (stage.marks.newest[PARTITION].trying, taken) == (False, [])
    room.set()

    assert await life
    assert taken == list(range(10))
