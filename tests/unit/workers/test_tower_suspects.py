"""Towers that die over a record, or are killed, or are sent back: every record is projected, killers aside.

A partition is a list of offsets; offsets are committed whenever Faust pleases, behind what was projected.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import msgspec
import psycopg
import pytest
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from gateway.edges.faust_app import Inbound
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.marks import Marks
from gateway.quarantine import marks as crash
from gateway.quarantine.marks import Span
from gateway.record import Position
from gateway.workers import tower_suspects
from gateway.workers.tower_suspects import Wary
from tests.fakes.marks import Died, FakeMarks

TOPIC = "vendor.mau.receipts"
PARTITION = TopicPartition(TOPIC, 0)


@dataclass
class Log:
    """A partition of *end* records, and one tower after the other."""

    end: int
    killers: frozenset[int] = frozenset()
    batch: int = 100
    committed: int = 0
    marks: FakeMarks = field(default_factory=FakeMarks)
    projected: set[int] = field(default_factory=set)
    buried: list[int] = field(default_factory=list)
    ledger_up: asyncio.Event = field(default_factory=asyncio.Event)
    refuses: Exception | None = None
    away_once_buried: bool = False
    deaths: int = 0

    def __post_init__(self) -> None:
        self.ledger_up.set()
        self.wary = self.tower()

    def tower(self) -> Wary:
        async def project(batch: Sequence[Inbound]) -> None:
            await self.ledger_up.wait()
            if self.refuses:
                raise self.refuses
            offsets = {one.position.offset for one in batch}
            if offsets & self.killers:
                raise Died
            self.projected |= offsets

        async def bury(inbound: Inbound, deaths: int) -> None:
            assert deaths == crash.KILLS
            self.buried.append(inbound.position.offset)
            if self.away_once_buried:
                self.ledger_up.clear()

        return Wary(cast("Marks", self.marks), project, bury, self.ledger_up.wait)

    async def live(self, commits: Sequence[int] = (), *, killed_after: int | None = None) -> bool:
        """One tower's life: after its batch n what was reached *commits[n]* batches before is committed.

        False when it died, by itself or *killed_after* so many batches.
        """
        self.wary = wary = self.tower()
        reached = [self.committed]
        try:
            for number, start in enumerate(range(self.committed, self.end, self.batch)):
                if number == killed_after:
                    self.deaths += 1
                    return False
                await wary.project([inbound(at) for at in range(start, min(start + self.batch, self.end))])
                reached.append(start + self.batch)
                behind = commits[number] if number < len(commits) else len(reached)
                self.committed = max(self.committed, reached[max(0, len(reached) - 1 - behind)])
        except Died:
            self.deaths += 1
            return False
        await wary.leave()
        self.committed = self.end
        return True


def inbound(offset: int) -> Inbound:
    return Inbound(Position(TOPIC, 0, offset), 0, [], b"")


@given(
    killers=st.frozensets(st.integers(0, 399), max_size=4),
    batch=st.integers(1, 200),
    commits=st.lists(st.integers(0, 3), max_size=6),
)
async def test_every_killer_is_buried_and_all_others_are_projected_whenever_offsets_are_committed(
    killers: frozenset[int], batch: int, commits: list[int]
) -> None:
    log = Log(400, killers, batch)
    await log.marks.write({PARTITION: crash.running(0)})

    while not await log.live(commits):
        assert log.deaths <= 4 * len(killers)

    assert set(log.buried) == killers
    assert len(log.buried) == len(killers)
    assert log.projected == set(range(400)) - killers


@pytest.mark.parametrize("back_to", [0, 150, 19_900])
async def test_a_group_sent_back_below_an_unclean_mark_projects_everything_again(back_to: int) -> None:
    """A restored ledger: the receipts are heard again from before it was saved."""
    log = Log(20_000, frozenset({17_000}), batch=500)
    assert not await log.live([0] * 39)
    assert log.committed > 16_000
    log.projected.clear()
    log.committed = back_to

    while not await log.live():
        assert log.deaths <= 6

    assert log.projected == set(range(back_to, 20_000)) - {17_000}


async def test_a_killer_far_behind_what_was_committed_costs_a_restart_for_each_batch_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tower_suspects, "MOST_OFFSETS", 200)
    log = Log(2_300, frozenset({2_250}))
    await log.marks.write({PARTITION: crash.running(0)})

    while not await log.live():  # nothing is ever committed
        assert log.deaths <= 2_250 // 200 + 4

    assert log.buried == [2_250]


@pytest.mark.parametrize("at", [15_000, 1_000_000])
@pytest.mark.parametrize("span", [(), (1, 2)])
async def test_a_killer_below_an_unclean_mark_is_found_after_the_group_was_sent_back(
    at: int, span: tuple[int, ...]
) -> None:
    """A later version of the program dies of what an earlier one could project."""
    left = crash.suspecting((Span(at, at + span[0], span[1]),), trying=False) if span else crash.running(at)
    left = msgspec.structs.replace(left, since=at - 1_000)
    log = Log(20_000, frozenset({10}), batch=500, marks=FakeMarks({PARTITION: left}))

    while not await log.live():
        assert log.deaths <= 6

    assert log.buried == [10]


async def test_towers_killed_while_the_ledger_is_away_condemn_nobody() -> None:
    log = Log(200, batch=10)
    await log.live([0] * 9, killed_after=10)
    log.ledger_up.clear()
    for _ in range(6):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(log.live(), 0.05)  # and SIGKILL
    log.ledger_up.set()

    assert await log.live()
    assert log.buried == []
    assert log.projected == set(range(200))


@pytest.mark.parametrize(
    "refusal", [psycopg.errors.ReadOnlySqlTransaction(), psycopg.errors.InsufficientPrivilege(), KafkaConnectionError()]
)
async def test_towers_that_end_because_nothing_can_be_written_condemn_nobody(refusal: Exception) -> None:
    """The ledger answers, and takes nothing: a standby, a right that is missing."""
    log = Log(200, batch=10)
    await log.live([0] * 9, killed_after=10)
    log.refuses = refusal
    for _ in range(6):
        with pytest.raises(type(refusal)):
            await log.live()
    log.refuses = None

    assert await log.live()
    assert log.buried == []


async def test_a_record_that_the_ledger_refuses_each_time_is_condemned() -> None:
    log = Log(30, batch=30)
    await log.marks.write({PARTITION: crash.running(0)})
    log.refuses = psycopg.errors.ForeignKeyViolation()
    while not log.buried:
        with suppress(psycopg.IntegrityError):
            assert not await log.live()

    assert log.buried[0] == 0


async def test_a_tower_that_is_stopped_before_the_offset_is_committed_leaves_word_of_what_it_buried() -> None:
    log = Log(200, frozenset({7}), batch=100)
    await log.marks.write({PARTITION: crash.running(0)})
    for _ in range(3):
        assert not await log.live()
    log.away_once_buried = True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(log.live(), 0.5)
    await log.wary.leave()
    log.ledger_up.set()

    assert await log.live()
    assert log.buried == [7]
