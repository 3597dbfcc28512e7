"""A message whose schema is not known yet holds its own partition, in order, and nobody else's."""

from dataclasses import dataclass, field
from typing import cast

from gateway.edges.kafka_types import Record, TopicPartition
from gateway.edges.vendor_schemas import Unusable, VendorSchemas, Waiting
from gateway.intake.decode_avro import WriterSchema, id_header
from gateway.intake.given import NOTHING, Given
from gateway.workers.intake_schemas import WriterSchemas, with_schemas
from tests.unit.intake.loaded import connectors

AVRO, JSON = "vendor.emis.records", "vendor.vnedu.records"
BY_TOPIC = {AVRO: connectors()["emis_avro_primary"], JSON: connectors()["vnedu_flat_thcs"]}
SCHEMA = next(iter(BY_TOPIC[AVRO].schemas.values()))


@dataclass(frozen=True)
class Message:
    topic: str
    partition: int
    offset: int
    value: bytes | None = b"{}"
    headers: tuple[()] = field(default=())


class Known(VendorSchemas):
    """Knows what it is told."""

    def __init__(self, answers: dict[int, WriterSchema | Unusable | Waiting]) -> None:
        self.answers = answers

    def known(self, schema_id: int) -> WriterSchema | Unusable | Waiting:
        return self.answers.get(schema_id, Waiting())


def named(number: int, partition: int, offset: int) -> Message:
    return Message(AVRO, partition, offset, id_header(number) + b"x")


def test_behind_a_message_that_waits_its_partition_waits_and_others_go_on() -> None:
    schemas = WriterSchemas(BY_TOPIC, Known({8: SCHEMA, 9: Unusable(0.0)}))
    records = [
        named(8, 0, 1),
        Message(JSON, 0, 1),
        named(7, 0, 2),
        named(8, 0, 3),
        named(8, 1, 1),
        named(9, 1, 2),
        Message(JSON, 0, 2),
    ]

    ready = schemas.ready(records)  # type: ignore[arg-type]  # what a batch reads of a record

    assert [(r.topic, r.partition, r.offset) for r in ready.records] == [
        (AVRO, 0, 1), (JSON, 0, 1), (AVRO, 1, 1), (AVRO, 1, 2), (JSON, 0, 2),
    ]  # fmt: skip
    assert [given.schema for given in ready.given] == [SCHEMA, None, SCHEMA, None, None]
    assert [(r.partition, r.offset) for r in ready.held] == [(0, 2), (0, 3)]
    assert schemas.is_held(TopicPartition(AVRO, 0))
    assert not schemas.is_held(TopicPartition(AVRO, 1))


def test_what_needs_no_registry_waits_for_none() -> None:
    schemas = WriterSchemas(BY_TOPIC, Known({}))
    connector = BY_TOPIC[AVRO]
    values = [
        id_header(1002) + b"x",
        SCHEMA.header + b"x",
        b"",
        b"{}",
        None,
        id_header(7) + b"x" * connector.max_bytes,
    ]

    ready = schemas.ready([Message(AVRO, 0, n, value) for n, value in enumerate(values)])  # type: ignore[misc]

    assert list(ready.given) == [NOTHING] * len(values)
    assert not ready.held


def test_connectors_without_avro_cost_nothing() -> None:
    records = cast("list[Record]", [Message(JSON, 0, 1)])

    ready = WriterSchemas({JSON: BY_TOPIC[JSON]}, Known({})).ready(records)

    assert ready.records is records


def test_a_schema_joins_what_else_is_known() -> None:
    findings = Given(findings=())

    assert with_schemas([findings, findings], [Given(schema=SCHEMA), NOTHING]) == [Given(schema=SCHEMA), findings]
