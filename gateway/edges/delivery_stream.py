"""What delivery does with national.records beside reading on: commit an offset, read single records again."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Final

from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from gateway.config import Kafka
from gateway.edges.kafka import AssignedSlot, read_partition
from gateway.edges.kafka_types import Record, TopicPartition
from gateway.edges.telemetry import logger

NEAR: Final = 2_000
"""Offsets so close are read in one go."""

log = logger(__name__)


async def commit(slot: AssignedSlot, offset: int, settled: int) -> bool:
    """Commit *offset* for the slot's partition; False when the group did not take it: what follows is read again.

    *settled* (-1: not told) goes with it as the offset's metadata, for the gate of back-loads.
    """
    try:
        await slot.consumer.commit({slot.partitions[0]: (offset, str(settled) if settled >= 0 else "")})
    except (CommitFailedError, IllegalStateError, KafkaError) as error:
        log.warning("offset not committed", slot=slot.number, offset=offset, error=type(error).__name__)
        return False
    return True


async def read_records(kafka: Kafka, partition: TopicPartition, offsets: Iterable[int]) -> dict[int, Record]:
    """The records at *offsets* that are still there, by offset."""
    found: dict[int, Record] = {}
    for run in _runs(sorted(set(offsets))):
        async with aclosing(_reading(kafka, partition, run[0])) as batches:
            async for records in batches:
                found |= {record.offset: record for record in records if record.offset in run}
                if records[-1].offset >= run[-1]:
                    break
    return found


async def _reading(kafka: Kafka, partition: TopicPartition, start: int) -> AsyncGenerator[Sequence[Record], None]:
    async for records in read_partition(kafka, partition, start, max_records=NEAR):
        yield records


def _runs(offsets: list[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for offset in offsets:
        if runs and offset - runs[-1][-1] < NEAR:
            runs[-1].append(offset)
        else:
            runs.append([offset])
    return runs
