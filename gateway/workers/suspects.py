"""A slot after an unclean end: first what may have killed its predecessor, with a mark before each, then the batches.

    take_over   read the marks → what is suspect → mark "running" (one write for all partitions of the slot)
    go_through  mark a run or a record → take it → what passed is forgotten;  its third death → *bury* it
    leave       mark "clean"

One suspect of a process is in hand at a time, so that a death is put down to the right one.  Normal running costs two
marks for each take-over.  What ends a try and says nothing about the record, as Kafka's own trouble or the loss of the
slot does, takes the mark back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec
from aiokafka.errors import CorruptRecordException, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from gateway.config import Kafka
from gateway.edges.bell import rings
from gateway.edges.kafka import AssignedSlot, Output, PlainProducer
from gateway.edges.kafka_types import Record, TopicPartition
from gateway.edges.marks import Marks
from gateway.edges.telemetry import logger
from gateway.quarantine import marks as crash
from gateway.quarantine.marks import Span
from gateway.record import QUARANTINE_TOPIC, Headers

ABOUT_THE_RECORD: Final = (MessageSizeTooLargeError, RecordListTooLargeError, CorruptRecordException)
"""Kafka's answers that the record itself causes, each time."""
KILLER: Final = "GW-02"
FETCH_MS: Final = 200
TAKE_BACK_S: Final = 2.0

Take = Callable[[Sequence[Record]], Awaitable[None]]
Bury = Callable[[Record, int], Awaitable[None]]
Ready = Callable[[], Awaitable[object]]

log = logger(__name__)


def quarantined(record: Record, stage: str, deaths: int) -> Output:
    """The record that kills *stage*, whole: where it was, why it is here, and then its own key and headers."""
    headers: Headers = [
        ("dlt-original-topic", record.topic.encode()),
        ("dlt-original-partition", str(record.partition).encode()),
        ("dlt-original-offset", str(record.offset).encode()),
        ("dlt-original-timestamp", str(record.timestamp).encode()),
        ("dlt-reason", KILLER.encode()),
        ("dlt-stage", stage.encode()),
        ("dlt-deaths", str(deaths).encode()),
        ("dlt-owner", b"gateway"),
        *((name, bytes(value)) for name, value in record.headers if value is not None),
    ]
    return Output(QUARANTINE_TOPIC, record.partition, record.key, record.value or b"", headers)


async def _at_once() -> None:
    """Nothing has to be waited for."""


class Ward:
    """What the slots of one process share: the marks of its group, and the turn of one suspect at a time."""

    def __init__(self, kafka: Kafka, group: str, producer: PlainProducer) -> None:
        self.marks = Marks(kafka, f"{kafka.group_prefix}.{group}", producer)
        self.turn = asyncio.Lock()


class Suspects:
    """What is suspect in one slot for one assignment; *most_records* is the stage's largest batch."""

    def __init__(self, ward: Ward, slot: AssignedSlot, most_records: int) -> None:
        self._ward = ward
        self._slot = slot
        self._most = 2 * most_records  # offsets: each record may be followed by a transaction's marker
        self._spans: dict[TopicPartition, tuple[Span, ...]] = {}
        self._ends: Mapping[TopicPartition, int] = {}
        self._since: Mapping[TopicPartition, int] = {}
        self._begun: set[TopicPartition] = set()
        self._blamed = False

    async def take_over(self) -> None:
        """Learn what the predecessor left; the slot stands at its committed offsets."""
        self._since = positions = await self._positions()
        known = await self._ward.marks.read(self._slot.partitions)
        self._ends = await self._slot.consumer.end_offsets(self._slot.partitions)
        for partition, position in positions.items():
            spans = crash.suspects(known.get(partition), position, self._ends[partition], self._most)
            if spans:
                self._spans[partition] = spans
                place = f"{partition.topic}-{partition.partition}"
                log.warning("slot after an unclean end", partition=place, suspects=_told(spans))
        await self._write_all(positions, crash.running)

    async def go_through(self, take: Take, bury: Bury, ready: Ready = _at_once) -> None:
        """Take every suspect, until the slot is revoked; none is marked before *ready* has returned."""
        for partition in list(self._spans):
            while (spans := self._spans.get(partition)) and not self._slot.revoked.is_set():
                await ready()
                await self._step(partition, spans, take, bury)
            if partition not in self._spans:
                await self._write({partition: crash.running(await self._slot.consumer.position(partition))})

    def blame(self, error: BaseException) -> None:
        """Let the mark stand: *error* of a task beside the try ends the slot, and cancels the try only by that."""
        self._blamed = self._blamed or not _is_innocent(error)

    async def leave(self) -> None:
        """The slot is left in good order; what is suspect still remains so."""
        await self._write_all(await self._positions(), crash.clean)

    async def _positions(self) -> dict[TopicPartition, int]:
        return {partition: await self._slot.consumer.position(partition) for partition in self._slot.partitions}

    async def _write_all(self, positions: Mapping[TopicPartition, int], other: Callable[[int], crash.Mark]) -> None:
        """Marks of what is suspect, and *other* ones where nothing is."""
        marks = {partition: other(position) for partition, position in positions.items()}
        suspecting = {partition: crash.suspecting(spans, trying=False) for partition, spans in self._spans.items()}
        await self._write(marks | suspecting)

    async def _write(self, marks: Mapping[TopicPartition, crash.Mark]) -> None:
        since = self._since
        told = {partition: msgspec.structs.replace(mark, since=since[partition]) for partition, mark in marks.items()}
        await self._ward.marks.write(told)

    async def _step(self, partition: TopicPartition, spans: tuple[Span, ...], take: Take, bury: Bury) -> None:
        span = spans[0]
        fetched = await self._slot.fetch(max_records=span.most, timeout_ms=FETCH_MS, only=(partition,))
        records = fetched.get(partition, ())
        if self._slot.revoked.is_set():
            return
        first = records[0].offset if records else await self._slot.consumer.position(partition)
        if partition not in self._begun and (records or first >= spans[-1].end):
            spans = self._spans[partition] = crash.anchored(spans, first, self._ends[partition], self._most)
            span = spans[0]
        if records:
            self._begun.add(partition)
        if records and records[0].offset >= span.end:  # markers alone, or what compaction or retention took away
            self._slot.consumer.seek(partition, records[0].offset)
        elif records:
            await self._try(partition, spans, records, take, bury)
        position = await self._slot.consumer.position(partition)
        self._pass(partition, position)
        if records and position == records[0].offset < span.end:  # none could be taken now: waits without a mark
            await rings(self._slot.revoked, FETCH_MS / 1000)

    async def _try(
        self, partition: TopicPartition, spans: tuple[Span, ...], records: Sequence[Record], take: Take, bury: Bury
    ) -> None:
        span = spans[0]
        records = self._kept(partition, records, span)
        async with self._ward.turn:
            if self._slot.revoked.is_set():
                self._slot.consumer.seek(partition, records[0].offset)
            elif records[-1].offset < span.first:
                await take(records)
            elif span.is_guilty:
                place = f"{partition.topic}-{partition.partition}@{span.first}"
                log.error("record goes to quarantine", code=KILLER, position=place, deaths=span.deaths)
                await bury(records[0], span.deaths)
            else:
                self._spans[partition] = crash.narrowed(spans, records[0].offset, records[-1].offset)
                await self._write({partition: crash.suspecting(self._spans[partition], trying=True)})
                await self._marked(partition, take, records)
                await self._acquit(partition)

    async def _marked(self, partition: TopicPartition, take: Take, records: Sequence[Record]) -> None:
        try:
            await take(records)
        except (asyncio.CancelledError, KafkaError) as error:
            if not self._blamed and _is_innocent(error):
                await self._take_back(partition)
            raise

    async def _acquit(self, partition: TopicPartition) -> None:
        """Say that what was tried lived, before another slot tries: the offset may be committed later."""
        position = await self._slot.consumer.position(partition)
        left = crash.passed(self._spans[partition], position)
        mark = crash.suspecting(left, trying=False) if left else crash.running(position)
        await self._write({partition: mark})

    async def _take_back(self, partition: TopicPartition) -> None:
        with suppress(KafkaError, TimeoutError):
            mark = crash.suspecting(self._spans[partition], trying=False)
            async with asyncio.timeout(TAKE_BACK_S):
                await self._write({partition: mark})

    def _kept(self, partition: TopicPartition, records: Sequence[Record], span: Span) -> Sequence[Record]:
        """The leading *records* that are all before, or all inside of *span*; the others are unread."""
        limit = span.first if records[0].offset < span.first else span.end
        kept = [record for record in records if record.offset < limit]
        if len(kept) < len(records):
            self._slot.consumer.seek(partition, records[len(kept)].offset)
        return kept

    def _pass(self, partition: TopicPartition, position: int) -> None:
        left = crash.passed(self._spans[partition], position)
        if left:
            self._spans[partition] = left
        else:
            del self._spans[partition]


def _is_innocent(error: BaseException) -> bool:
    """Whether what ended a try says nothing about the record."""
    return isinstance(error, asyncio.CancelledError | KafkaError) and not isinstance(error, ABOUT_THE_RECORD)


def _told(spans: Sequence[Span]) -> list[str]:
    return [f"{span.first}..{span.end - 1}: {span.deaths}" for span in spans]
