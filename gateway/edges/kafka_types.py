"""What is used of aiokafka, typed once: the library has no types of its own."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.record import Headers

if TYPE_CHECKING:

    class TopicPartition(NamedTuple):
        """A partition of a topic."""

        topic: str
        partition: int
else:
    from aiokafka import TopicPartition  # the library checks for its own class


class Record(Protocol):
    """A consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


Fetched = Mapping[TopicPartition, Sequence[Record]]


class Consumer(Protocol):
    """AIOKafkaConsumer, as far as it is used."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def subscribe(self, *, topics: list[str], listener: object) -> None: ...
    def assign(self, partitions: Iterable[TopicPartition]) -> None: ...
    def assignment(self) -> frozenset[TopicPartition]: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    def pause(self, *partitions: TopicPartition) -> None: ...
    def resume(self, *partitions: TopicPartition) -> None: ...
    async def position(self, partition: TopicPartition) -> int: ...
    async def committed(self, partition: TopicPartition) -> int | None: ...
    async def commit(self, offsets: Mapping[TopicPartition, int | tuple[int, str]]) -> None: ...
    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...
    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...
    async def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, "OffsetAndTimestamp | None"]: ...
    async def getmany(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> Fetched: ...


class OffsetAndTimestamp(Protocol):
    """The first offset at or after a time."""

    offset: int


class Metadata(Protocol):
    """Where a batch was written: the offset of its first record."""

    offset: int


class Batch(Protocol):
    """aiokafka's BatchBuilder."""

    def append(self, *, key: bytes | None, value: bytes, timestamp: int | None, headers: Headers) -> object | None: ...


class Producer(Protocol):
    """AIOKafkaProducer, as far as it is used."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def create_batch(self) -> Batch: ...
    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[Metadata]": ...
    async def begin_transaction(self) -> None: ...
    async def send_offsets_to_transaction(self, offsets: Mapping[TopicPartition, int], group_id: str) -> None: ...
    async def commit_transaction(self) -> None: ...
