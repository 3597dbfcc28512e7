"""Crash marks in gateway.marks: read when a partition is taken over, written before a suspect is touched.

The topic is compacted and has as many partitions as there are slots; partition p holds the marks of all stages for
slot p.  Marks are written outside of any transaction: they must stand when the transaction does not.
"""

from collections.abc import Mapping

import msgspec

from gateway.config import Kafka
from gateway.edges.kafka import Output, PlainProducer, read_partition
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.telemetry import logger
from gateway.quarantine.marks import Mark
from gateway.record import MARKS_TOPIC

log = logger(__name__)


class Marks:
    """The marks of one consumer group."""

    def __init__(self, kafka: Kafka, group: str, producer: PlainProducer) -> None:
        self._kafka = kafka
        self._group = group
        self._producer = producer

    def _key(self, partition: TopicPartition) -> bytes:
        return f"{self._group}/{partition.topic}/{partition.partition}".encode()

    async def read(self, partitions: tuple[TopicPartition, ...]) -> dict[TopicPartition, Mark]:
        """The newest mark of each of *partitions* (of one slot) that has one; what is no mark is passed over."""
        keys = {self._key(partition): partition for partition in partitions}
        found: dict[TopicPartition, Mark] = {}
        async for records in read_partition(self._kafka, TopicPartition(MARKS_TOPIC, partitions[0].partition), 0):
            for record in records:
                if record.key not in keys:
                    continue
                try:
                    found[keys[record.key]] = msgspec.json.decode(record.value or b"", type=Mark)
                except msgspec.MsgspecError:
                    log.error("unreadable crash mark", position=f"{MARKS_TOPIC}-{record.partition}@{record.offset}")  # noqa: TRY400  no values
        return found

    async def write(self, marks: Mapping[TopicPartition, Mark]) -> None:
        """Returns when Kafka has them."""
        await self._producer.send(
            [
                Output(MARKS_TOPIC, partition.partition, self._key(partition), msgspec.json.encode(mark), [])
                for partition, mark in marks.items()
            ]
        )
