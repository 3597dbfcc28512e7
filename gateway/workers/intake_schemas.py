"""Which messages of a batch may be mapped now: those whose writer schema is known, and no one else's wait.

A vendor's schema id that is neither the connector's own nor known yet holds the partition it stands in, from that
record on: the records are unread and come again.  The other partitions go on; no attempt is burned (design rule 1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.edges.clock import monotonic_s
from gateway.edges.kafka_types import Record, TopicPartition
from gateway.edges.vendor_schemas import VendorSchemas, Waiting
from gateway.intake import Connector
from gateway.intake.decode_avro import WriterSchema, schema_id_of
from gateway.intake.given import NOTHING, Given

HOLD_S: Final = 0.2
"""How long a held partition is left alone before it is looked at again."""


@dataclass(frozen=True, slots=True)
class Held:
    """The writer schema is not known yet."""


HELD: Final = Held()


@dataclass(frozen=True, slots=True)
class Ready:
    """What may be mapped now, each with its schema where it needs one; *held* go back to their partitions."""

    records: Sequence[Record]
    given: Sequence[Given]
    held: Sequence[Record]


class WriterSchemas:
    """Finds the writer schemas of a slot's batches; *by_topic*: the connector of each vendor topic."""

    def __init__(self, by_topic: Mapping[str, Connector], schemas: VendorSchemas) -> None:
        self._by_topic = by_topic
        self._schemas = schemas
        self._held_until: dict[TopicPartition, float] = {}
        self._avro = {topic for topic, connector in by_topic.items() if connector.format == "avro"}

    def ready(self, records: Sequence[Record]) -> Ready:
        """*records* in their order; behind one that is held, its whole partition is."""
        if self._avro.isdisjoint({record.topic for record in records}):
            return Ready(records, [NOTHING] * len(records), ())
        waiting: set[TopicPartition] = set()
        ready: list[tuple[Record, Given]] = []
        held: list[Record] = []
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            found = HELD if partition in waiting else self._of(record)
            if isinstance(found, Held):
                waiting.add(partition)
                self._held_until[partition] = monotonic_s() + HOLD_S
                held.append(record)
            else:
                ready.append((record, found))
        return Ready([record for record, _ in ready], [found for _, found in ready], held)

    def is_held(self, partition: TopicPartition) -> bool:
        """Whether *partition* is left alone for this moment."""
        return self._held_until.get(partition, 0.0) > monotonic_s()

    def _of(self, record: Record) -> Given | Held:
        if record.topic not in self._avro:
            return NOTHING
        value = record.value or b""
        number = schema_id_of(value)
        connector = self._by_topic[record.topic]
        if number is None or connector.brings_schema(value) or len(value) > connector.max_bytes:
            return NOTHING
        found = self._schemas.known(number)
        if isinstance(found, Waiting):
            return HELD
        return Given(schema=found) if isinstance(found, WriterSchema) else NOTHING


def with_schemas(given: Sequence[Given], schemas: Sequence[Given]) -> list[Given]:
    """Each of *given* with the schema of the same place in *schemas*."""
    pairs = zip(given, schemas, strict=True)
    return [one if other.schema is None else replace(one, schema=other.schema) for one, other in pairs]
