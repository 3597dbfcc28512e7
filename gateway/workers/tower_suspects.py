"""The tower after an unclean end: what may have killed its predecessor is projected in marked runs, then alone.

Faust hands out partitions without telling, so a partition is taken over when its first record comes.  Offsets are
committed later than marks are written, and a group may be sent back: projections may be repeated, and are.  A record
goes whole to quarantine at its third death and the tower goes on; the state that it told stays unknown until somebody
looks there.  Until its offset is committed the mark says that it is buried: it would kill again.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec
import psycopg
from aiokafka.errors import KafkaError

from gateway.edges.faust_app import Inbound
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.marks import Marks
from gateway.edges.telemetry import logger
from gateway.quarantine import marks as crash
from gateway.quarantine.marks import Mark, Span
from gateway.workers.suspects import ABOUT_THE_RECORD, KILLER, Ready

MOST_OFFSETS: Final = 8_000
"""An inbox of 4,000 records, each with a transaction's marker behind it."""

Project = Callable[[Sequence[Inbound]], Awaitable[None]]
Bury = Callable[[Inbound, int], Awaitable[None]]

log = logger(__name__)


class Wary:
    """Stands before *project*; nothing is marked as tried before *ready*, that the ledger is there, has returned."""

    def __init__(self, marks: Marks, project: Project, bury: Bury, ready: Ready) -> None:
        self._marks = marks
        self._project = project
        self._bury = bury
        self._ready = ready
        self._spans: dict[TopicPartition, tuple[Span, ...]] = {}
        self._reached: dict[TopicPartition, int] = {}
        self._since: dict[TopicPartition, int] = {}
        self._buried: dict[TopicPartition, frozenset[int]] = {}

    async def project(self, batch: Sequence[Inbound]) -> None:
        """Returns when everything of *batch* is projected or in quarantine; safe to repeat."""
        apart: dict[TopicPartition, list[Inbound]] = {}
        free: list[Inbound] = []
        for inbound in batch:
            partition = _of(inbound)
            if partition not in self._reached:
                await self._meet(partition, inbound.position.offset)
            self._reached[partition] = inbound.position.offset + 1
            if inbound.position.offset in self._buried[partition]:
                continue
            if partition in self._spans:
                apart.setdefault(partition, []).append(inbound)
            else:
                free.append(inbound)
        if free:
            await self._project(free)
        for partition, suspects in apart.items():
            await self._go_through(partition, suspects)

    async def leave(self) -> None:
        """The tower ends in good order."""
        if self._reached:
            marks = {partition: crash.clean(offset) for partition, offset in self._reached.items()}
            kept = {partition: crash.suspecting(spans, trying=False) for partition, spans in self._spans.items()}
            await self._write(marks | kept)

    async def _meet(self, partition: TopicPartition, first: int) -> None:
        mark = (await self._marks.read((partition,))).get(partition)
        self._reached[partition] = self._since[partition] = first
        self._buried[partition] = frozenset(offset for offset in (mark.buried if mark else ()) if offset >= first)
        end = max(first, mark.offset if mark else 0) + MOST_OFFSETS  # it is not asked where the log ends
        if spans := crash.suspects(mark, first, end, MOST_OFFSETS):
            self._spans[partition] = spans
            place = f"{partition.topic}-{partition.partition}"
            log.warning("partition after an unclean end", partition=place, first=spans[0].first, deaths=spans[0].deaths)
            await self._write({partition: crash.suspecting(spans, trying=False)})
        else:
            await self._write({partition: crash.running(first)})

    async def _write(self, marks: Mapping[TopicPartition, Mark]) -> None:
        await self._marks.write({partition: self._told(partition, mark) for partition, mark in marks.items()})

    def _told(self, partition: TopicPartition, mark: Mark) -> Mark:
        buried = tuple(sorted(self._buried[partition]))
        return msgspec.structs.replace(mark, since=self._since[partition], buried=buried)

    async def _go_through(self, partition: TopicPartition, suspects: list[Inbound]) -> None:
        while suspects and partition in self._spans:
            spans = crash.passed(self._spans[partition], suspects[0].position.offset)
            if not spans:
                del self._spans[partition]
                break
            run = _run(spans[0], suspects)
            await self._try(partition, spans, run)
            suspects = suspects[len(run) :]
            await self._acquit(partition, crash.passed(spans, run[-1].position.offset + 1), run[-1].position.offset + 1)
        if suspects:
            await self._project(suspects)

    async def _acquit(self, partition: TopicPartition, left: tuple[Span, ...], reached: int) -> None:
        """Say that what was tried lived, before another partition's is tried: offsets are committed later."""
        if left:
            self._spans[partition] = left
            await self._write({partition: crash.suspecting(left, trying=False)})
        else:
            del self._spans[partition]
            await self._write({partition: crash.running(reached)})

    async def _try(self, partition: TopicPartition, spans: tuple[Span, ...], run: list[Inbound]) -> None:
        if run[0].position.offset < spans[0].first:
            await self._project(run)
        elif spans[0].is_guilty:
            position, deaths = run[0].position, spans[0].deaths
            log.error("record goes to quarantine", code=KILLER, position=str(position), deaths=deaths)
            await self._bury(run[0], deaths)
            self._buried[partition] |= {position.offset}
        else:
            await self._ready()
            tried = crash.narrowed(spans, run[0].position.offset, run[-1].position.offset)
            await self._write({partition: crash.suspecting(tried, trying=True)})
            try:
                await self._project(run)
            except (psycopg.Error, KafkaError) as error:  # of a ledger that may not be written, say: not the record's
                if not isinstance(error, (psycopg.IntegrityError, *ABOUT_THE_RECORD)):
                    await self._write({partition: crash.suspecting(tried, trying=False)})
                raise


def _run(span: Span, suspects: Sequence[Inbound]) -> list[Inbound]:
    """The leading *suspects* that are taken together: all before *span*, or as many of it as may be tried at once."""
    first = suspects[0].position.offset
    limit, most = (span.first, len(suspects)) if first < span.first else (span.end, span.most)
    return [inbound for inbound in suspects[:most] if inbound.position.offset < limit]


def _of(inbound: Inbound) -> TopicPartition:
    return TopicPartition(inbound.position.topic, inbound.position.partition)
