"""What operators read from Kafka: one record at its position, an event's receipts, the end of the unified stream.

Groupless and read_committed: reading moves no offset and sees no aborted record.  Values leave this file as their
size and SHA-256, or as the fields of a head that are no personal data; never as they are.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.errors import KafkaConnectionError

from gateway.config import Config, Kafka
from gateway.edges.kafka import header, make_consumer
from gateway.edges.kafka_types import Consumer, Record, TopicPartition
from gateway.errors import GatewayError
from gateway.national import codec
from gateway.record import (
    H_EVENT_ID,
    H_OP,
    H_RECORD_ID,
    H_SCHOOL_YEAR,
    H_SOURCE,
    H_VERSION,
    MAPPED_TOPIC,
    NATIONAL_TOPIC,
    Position,
    receipt_partition,
    vendor_topic,
)

POLL_MS: Final = 500
PAGE_RECORDS: Final = 2_000
MARKERS_PER_RECORD: Final = 3
"""How many offsets the end of a partition may hold for one record: transaction markers take offsets too."""

MAX_BACK_OFFSETS: Final = 200_000
"""How far back from the end of a partition a vendor's last records are looked for."""


class KafkaUnavailable(GatewayError):
    """The broker cannot be reached."""


@dataclass(frozen=True, slots=True)
class BytesFound:
    """A record's value as a size and a checksum."""

    position: str
    size_bytes: int
    sha256: str
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class HeadFound:
    """The head of a mapped or national record, without what says who the pupil is."""

    position: str
    connector: str
    op: str
    school_code: str
    school_year: str
    programme: str
    grade: str | None
    source_order: str
    content_hash: str
    version: int | None
    verdict: str | None
    citizen_id: str
    """``attached`` or ``none``: never the ID."""
    holds: tuple[str, ...]
    warnings: tuple[str, ...]
    cause: str | None


@dataclass(frozen=True, slots=True)
class ReceiptFound:
    """One receipt of an event, in the order of the log."""

    position: str
    at_ms: int
    stage: str
    target: str | None
    state: str
    seq: int
    version: int | None
    problems: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class StreamLine:
    """A record of the unified stream from its headers alone: nothing is decoded, so nothing personal can show."""

    position: str
    timestamp_ms: int
    vendor: str
    op: str
    version: int
    record_id: str
    event_id: str
    school_year: str
    size_bytes: int


@asynccontextmanager
async def reading(kafka: Kafka) -> AsyncIterator[Consumer]:
    """A consumer for the functions of this file."""
    consumer = make_consumer(kafka)
    try:
        await consumer.start()
    except KafkaConnectionError as error:
        await consumer.stop()
        message = "Kafka cannot be reached; check kafka.bootstrap_servers"
        raise KafkaUnavailable(message) from error
    try:
        yield consumer
    finally:
        await consumer.stop()


async def record_at(consumer: Consumer, position: Position) -> Record | None:
    """The committed record at *position*; None when it aged out, was compacted away or never was."""
    partition = TopicPartition(position.topic, position.partition)
    consumer.assign([partition])
    beginning = (await consumer.beginning_offsets([partition]))[partition]
    end = (await consumer.end_offsets([partition]))[partition]
    if not beginning <= position.offset < end:
        return None
    consumer.seek(partition, position.offset)
    while await consumer.position(partition) <= position.offset:
        for record in (await consumer.getmany(partition, timeout_ms=POLL_MS, max_records=1)).get(partition, ()):
            return record if record.offset == position.offset else None
    return None


async def bytes_at(consumer: Consumer, position: Position) -> BytesFound | None:
    """Size and SHA-256 of what still lies at *position*."""
    record = await record_at(consumer, position)
    if record is None:
        return None
    value = record.value or b""
    return BytesFound(str(position), len(value), hashlib.sha256(value).hexdigest(), record.timestamp)


async def head_at(consumer: Consumer, position: Position) -> HeadFound | None:
    """The head of the record at *position* of gateway.mapped or national.records; None if it cannot be read."""
    record = await record_at(consumer, position)
    if record is None or record.value is None:
        return None
    split = codec.split_mapped if position.topic == MAPPED_TOPIC else codec.split_record
    try:
        head, _ = split(record.value)
    except (codec.Undecodable, codec.UnknownSchema):
        return None
    return _head(position, head)


def _head(position: Position, head: dict[str, Any]) -> HeadFound:
    order = head["source_order"]
    return HeadFound(
        position=str(position),
        connector=head["connector"],
        op=head["event_type"],
        school_code=head["school_code"],
        school_year=head["school_year"],
        programme=head["programme"],
        grade=head["grade"],
        source_order=f"{order['epoch']}.{order['order']}",
        content_hash=head["content_hash"],
        version=head.get("version"),
        verdict=head.get("verdict"),
        citizen_id="attached" if head.get("citizen_id") else "none",
        holds=tuple(finding["code"] for finding in head.get("holds", ())),
        warnings=tuple(finding["code"] for finding in head["warnings"]),
        cause=head["cause"],
    )


async def receipts_of(config: Config, vendor: str, event: str, since_ms: int) -> list[ReceiptFound]:
    """All receipts of *event*, in order; *since_ms* is the time of its source record, before which there are none."""
    partition = TopicPartition(vendor_topic(vendor, "receipts"), receipt_partition(event, config.slots))
    async with reading(config.kafka) as consumer:
        start = (await consumer.offsets_for_times({partition: since_ms}))[partition]
        if start is None:
            return []
        return [
            _receipt(record, codec.decode_receipt(record.value))
            async for record in _records(consumer, partition, start.offset)
            if record.key == event.encode() and record.value is not None
        ]


def _receipt(record: Record, receipt: dict[str, Any]) -> ReceiptFound:
    return ReceiptFound(
        position=str(Position(record.topic, record.partition, record.offset)),
        at_ms=receipt["at"],
        stage=receipt["stage"],
        target=receipt["target"],
        state=receipt["state"],
        seq=receipt["seq"],
        version=receipt["version"],
        problems=tuple(dict(problem) for problem in receipt["problems"]),
    )


async def _records(consumer: Consumer, partition: TopicPartition, start: int) -> AsyncIterator[Record]:
    consumer.assign([partition])
    end = (await consumer.end_offsets([partition]))[partition]
    consumer.seek(partition, start)
    while await consumer.position(partition) < end:
        fetched = await consumer.getmany(partition, timeout_ms=POLL_MS, max_records=PAGE_RECORDS)
        for record in fetched.get(partition, ()):
            yield record


async def stream_end(config: Config, vendor: str | None, limit: int) -> list[StreamLine]:
    """The last *limit* records of the unified stream (of *vendor*), oldest first."""
    lines: list[StreamLine] = []
    partitions = [TopicPartition(NATIONAL_TOPIC, slot) for slot in range(config.slots)]
    async with reading(config.kafka) as consumer:
        beginnings = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            lines += await _last(consumer, partition, (beginnings[partition], ends[partition]), vendor, limit)
    lines.sort(key=lambda line: line.timestamp_ms)
    return lines[-limit:]


async def _last(
    consumer: Consumer, partition: TopicPartition, span: tuple[int, int], vendor: str | None, limit: int
) -> list[StreamLine]:
    """The last *limit* of one partition: read ever larger ends of it until they suffice."""
    beginning, end = span
    width = max(limit, 1) * MARKERS_PER_RECORD
    while True:
        start = max(beginning, end - width)
        found = [_line(record) async for record in _records(consumer, partition, start)]
        mine = [line for line in found if vendor in (None, line.vendor)]
        if len(mine) >= limit or start == beginning or width > MAX_BACK_OFFSETS:
            return mine[-limit:]
        width *= 4


async def stream_on(config: Config, vendor: str | None) -> AsyncIterator[Sequence[StreamLine]]:
    """What is published from now on, for ever."""
    partitions = [TopicPartition(NATIONAL_TOPIC, slot) for slot in range(config.slots)]
    async with reading(config.kafka) as consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, ends[partition])
        while True:
            fetched = await consumer.getmany(*partitions, timeout_ms=POLL_MS, max_records=PAGE_RECORDS)
            lines = [_line(record) for records in fetched.values() for record in records]
            yield [line for line in lines if vendor in (None, line.vendor)]


def _line(record: Record) -> StreamLine:
    version = header(record, H_VERSION)
    return StreamLine(
        position=str(Position(record.topic, record.partition, record.offset)),
        timestamp_ms=record.timestamp,
        vendor=header(record, H_SOURCE).removeprefix("/vendors/"),
        op=header(record, H_OP),
        version=int(version) if version.isdecimal() else 0,
        record_id=header(record, H_RECORD_ID),
        event_id=header(record, H_EVENT_ID),
        school_year=header(record, H_SCHOOL_YEAR),
        size_bytes=len(record.value or b""),
    )
