"""gateway.marks in memory."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.edges.kafka_types import TopicPartition
from gateway.quarantine.marks import Mark


class Died(BaseException):
    """The end of the owner's process."""


@dataclass
class FakeMarks:
    """The newest mark of each partition."""

    newest: dict[TopicPartition, Mark] = field(default_factory=dict)

    async def read(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Mark]:
        return {partition: self.newest[partition] for partition in partitions if partition in self.newest}

    async def write(self, marks: Mapping[TopicPartition, Mark]) -> None:
        self.newest.update(marks)
        await asyncio.sleep(0)
