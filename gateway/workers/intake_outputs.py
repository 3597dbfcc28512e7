"""What one vendor message becomes in Kafka: mapped records, the rejected original, and receipts.

Hot path: plain dicts and tuples on purpose.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from gateway.edges.batches import UNREADABLE
from gateway.edges.kafka import Output
from gateway.edges.kafka_types import Record
from gateway.errors import Problem, receipt_problem
from gateway.intake import Connector, Duplicate, Item, Items, Mapped, Rejected, RejectedWhole
from gateway.intake.drift import Drift
from gateway.intake.given import NOTHING, Given
from gateway.intake.outcome import Claim
from gateway.national import codec
from gateway.national.writer import MISFITS
from gateway.national.writer_mapped import Ids, Place, Spot, mapped_value, place
from gateway.record import (
    H_CONTENT_HASH,
    H_CONTENT_TYPE,
    H_EVENT_ID,
    H_LANE,
    H_OP,
    H_RECORD_ID,
    H_SCHOOL_YEAR,
    H_SOURCE,
    H_SPEC,
    H_TRACEPARENT,
    H_TYPE,
    MAPPED_TOPIC,
    TYPE_MAPPED,
    Headers,
    Op,
    Position,
    State,
    event_id,
    lane_text,
    lane_token,
    receipt_partition,
    slot_of,
    vendor_topic,
)

SPEC_HEADER: Final = (H_SPEC, b"1.0")
TYPE_HEADER: Final = (H_TYPE, TYPE_MAPPED.encode())
CONTENT_TYPE_HEADER: Final = (H_CONTENT_TYPE, b"application/avro")
OP_HEADERS: Final = {op: (H_OP, op.value.encode()) for op in Op}
NO_EVIDENCE: Final = codec.encode_evidence(None)
ALL_ITEMS: Final = "*"
MAX_CE_ID: Final = 200
TRACEPARENT: Final = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the stage adds: the lane-token key and the number of slots."""

    lane_key: bytes
    slots: int


@dataclass(frozen=True, slots=True)
class _Sent:
    """What all outputs from one partition of a connector share."""

    place: Place
    source_header: tuple[str, bytes]


class _Message(NamedTuple):
    """The vendor's message while its items are turned into outputs."""

    connector: Connector
    record: Record
    position: Position
    vendor_event_id: str | None
    trace: str | None
    at_ms: int
    sent: _Sent

    def source(self, index: int) -> dict[str, Any]:
        """The place of item *index*, as Avro's Source."""
        place = self.position
        return {
            "topic": place.topic,
            "partition": place.partition,
            "offset": place.offset,
            "index": index,
            "timestamp": self.record.timestamp,
        }


def outputs_of(
    connector: Connector,
    record: Record,
    envelope: Envelope,
    *,
    at_ms: int,
    given: Given = NOTHING,
    drift: Drift | None = None,
) -> list[Output]:
    """Everything that the message *record* causes; deterministic but for the receipts' time *at_ms*."""
    if record.key == UNREADABLE:
        return refused_whole(connector, record, envelope, Problem("GW-01"), at_ms=at_ms)
    message = _message(connector, record, at_ms)
    match connector.process(record.value or b"", message.position, record.timestamp, given):
        case RejectedWhole(problems):
            return _refused(message, problems, envelope)
        case Items(items) as outcome:
            if drift is not None:
                drift.count(connector.name, outcome)
            outputs = [_output(message, item, envelope) for item in items]
            refused = [item for item in items if isinstance(item, Rejected)]
            if refused:
                places = ALL_ITEMS if len(refused) == len(items) else ",".join(str(r.index) for r in refused)
                outputs.append(_rejected(message, refused, places))
            return outputs


def refused_whole(
    connector: Connector, record: Record, envelope: Envelope, problem: Problem, *, at_ms: int
) -> list[Output]:
    """The outputs of a message that is refused without a look inside: one event, whatever is in it."""
    return _refused(_message(connector, record, at_ms), (problem,), envelope)


def _refused(message: _Message, problems: tuple[Problem, ...], envelope: Envelope) -> list[Output]:
    whole = Rejected(0, problems, None, None)
    return [_rejected(message, [whole], ALL_ITEMS), _receipt(message, whole, envelope.slots)]


def _message(connector: Connector, record: Record, at_ms: int) -> _Message:
    topic, partition = record.topic, record.partition
    event = trace = None
    for key, value in record.headers:
        if value is not None:
            if key == H_EVENT_ID:
                event = value
            elif key == H_TRACEPARENT:
                trace = value
    return _Message(
        connector,
        record,
        Position(topic, partition, record.offset),
        _reference(event) if event else None,
        _trace(trace) if trace else None,
        at_ms,
        _sent(connector.vendor, connector.name, connector.mapping_version, topic, partition),
    )


@lru_cache(maxsize=4_096)
def _sent(vendor: str, name: str, mapping_version: str, topic: str, partition: int) -> _Sent:
    return _Sent(place(vendor, f"{name}@{mapping_version}", topic, partition), _source_header(vendor))


def _source_header(vendor: str) -> tuple[str, bytes]:
    return H_SOURCE, f"/vendors/{vendor}".encode()


def _reference(value: bytes) -> str | None:
    """The vendor's own event id, printable and bounded: it goes into receipts and the ledger."""
    text = "".join(c for c in value.decode("utf-8", "replace") if c.isprintable())
    return text[:MAX_CE_ID] or None


def _trace(value: bytes) -> str | None:
    """A W3C traceparent; anything else is no trace and must not get into our headers (design rule 8)."""
    return value.decode("ascii") if TRACEPARENT.fullmatch(value) else None


def _output(message: _Message, item: Item, envelope: Envelope) -> Output:
    match item:
        case Mapped():
            return _mapped(message, item, envelope)
        case Rejected() | Duplicate():
            return _receipt(message, item, envelope.slots)


def _mapped(message: _Message, item: Mapped, envelope: Envelope) -> Output:
    event = event_id(message.position, item.index)
    body = codec.encode_body(item.body) if item.encoded is None else item.encoded
    lane = lane_token(envelope.lane_key, item.pupil_code)
    trace = message.trace or trace_of(event)
    ids = Ids(
        event.encode(), item.record_id.encode(), lane_text(lane).encode(), codec.content_hash(body).encode(),
        trace.encode(),
    )  # fmt: skip
    evidence = NO_EVIDENCE if item.evidence is None else codec.encode_evidence(item.evidence)
    sent = message.sent
    spot = Spot(message.position.offset, message.record.timestamp, message.vendor_event_id)
    try:
        value = mapped_value(sent.place, spot, ids, item, body, evidence)
    except MISFITS:
        value = None
    if value is None:  # the codec decides and words the error, with nothing chained that quotes a value
        value = codec.encode_mapped(_head(message, item, ids), body, evidence)
    headers = [
        SPEC_HEADER,
        (H_EVENT_ID, ids.event),
        sent.source_header,
        TYPE_HEADER,
        CONTENT_TYPE_HEADER,
        (H_TRACEPARENT, ids.trace),
        (H_RECORD_ID, ids.record),
        (H_CONTENT_HASH, ids.content_hash),
        (H_LANE, ids.lane),
        OP_HEADERS[item.event_type],
        _year_header(item.school_year),
    ]
    return Output(MAPPED_TOPIC, slot_of(lane, envelope.slots), ids.record, value, headers)


def _head(message: _Message, item: Mapped, ids: Ids) -> dict[str, Any]:
    """The MappedHead of *item* as the codec takes it."""
    connector = message.connector
    return {
        "event_id": ids.event.decode(),
        "record_id": item.record_id,
        "lane": ids.lane.decode(),
        "vendor": connector.vendor,
        "connector": f"{connector.name}@{connector.mapping_version}",
        "vendor_ref": item.vendor_ref,
        "vendor_event_id": message.vendor_event_id,
        "event_type": str(item.event_type),
        "source_order": {"epoch": item.source_order.epoch, "order": item.source_order.order},
        "school_code": item.school_code,
        "school_year": item.school_year,
        "programme": item.programme,
        "grade": item.grade,
        "occurred_at": item.occurred_at_ms,
        "source": message.source(item.index),
        "content_hash": ids.content_hash.decode(),
        "claim": _claim(item.claim),
        "holds": _findings(item.holds),
        "warnings": _findings(item.warnings),
        "cause": None,
        "traceparent": ids.trace.decode(),
    }


@lru_cache(maxsize=256)
def _year_header(school_year: str) -> tuple[str, bytes]:
    return H_SCHOOL_YEAR, school_year.encode()


def trace_of(event: str) -> str:
    """A W3C traceparent made from the event id: the same after every redelivery."""
    number = event.replace("-", "")
    return f"00-{number}-{number[:16]}-01"


def mapped_headers(head: dict[str, Any]) -> Headers:
    """The headers of gateway.mapped for a MappedHead: enough to route without decoding."""
    return [
        SPEC_HEADER,
        (H_EVENT_ID, head["event_id"].encode()),
        _source_header(head["vendor"]),
        TYPE_HEADER,
        CONTENT_TYPE_HEADER,
        (H_TRACEPARENT, head["traceparent"].encode()),
        (H_RECORD_ID, head["record_id"].encode()),
        (H_CONTENT_HASH, head["content_hash"].encode()),
        (H_LANE, head["lane"].encode()),
        (H_OP, head["event_type"].encode()),
        (H_SCHOOL_YEAR, head["school_year"].encode()),
    ]


def _claim(claim: Claim | None) -> dict[str, Any] | None:
    if claim is None:
        return None
    return {
        "pupil_code": claim.pupil_code,
        "temporary_code": claim.temporary_code,
        "citizen_id": claim.citizen_id,
        "citizen_id_candidate": claim.citizen_id_candidate,
        "full_name": claim.full_name,
        "birth": claim.birth,
        "gender": claim.gender,
        "nationality": claim.nationality,
    }


def _findings(problems: Iterable[Problem]) -> list[dict[str, str]]:
    return [{"code": p.code, "field": p.field, "rule": p.rule} for p in problems]


def _receipt(message: _Message, item: Rejected | Duplicate, partitions: int) -> Output:
    event = event_id(message.position, item.index)
    vendor = message.connector.vendor
    state = State.REJECTED if isinstance(item, Rejected) else State.DUPLICATE
    receipt = {
        "event_id": event,
        "vendor": vendor,
        "vendor_event_id": message.vendor_event_id,
        "vendor_ref": item.vendor_ref,
        "record_id": item.record_id,
        "stage": "intake",
        "target": None,
        "state": str(state),
        "seq": 1,
        "version": None,
        "problems": [receipt_problem(problem, message.connector.severity(problem)) for problem in item.problems],
        "source": message.source(item.index),
        "at": message.at_ms,
    }
    return Output(
        vendor_topic(vendor, "receipts"),
        receipt_partition(event, partitions),
        event.encode(),
        codec.encode_receipt(receipt),
        [],
    )


def _rejected(message: _Message, refused: Sequence[Rejected], places: str) -> Output:
    """The original bytes, once a message, with the first problem; every item's problems are in its receipt."""
    first = refused[0].problems[0]
    place = message.position
    headers: Headers = [
        ("dlt-original-topic", place.topic.encode()),
        ("dlt-original-partition", str(place.partition).encode()),
        ("dlt-original-offset", str(place.offset).encode()),
        ("dlt-original-timestamp", str(message.record.timestamp).encode()),
        ("dlt-reason", first.code.encode()),
        ("dlt-field", first.field.encode()),
        ("dlt-stage", b"intake"),
        ("dlt-items", places.encode()),
    ]
    topic = vendor_topic(message.connector.vendor, "rejected")
    return Output(topic, place.partition, None, message.record.value or b"", headers)
