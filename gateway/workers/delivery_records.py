"""Records of national.records as delivery needs them: an `Entry` of the headers, a payload at send time, receipts.

Values are kept only while their record is open in memory; what was parked or travels in a former owner's packet is read
again by its offset.  A value that cannot be decoded parks its record and stops nobody else; a record that did not come
from the gateway has no lane to be parked in, so it goes into quarantine whole.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final
from uuid import UUID

import msgspec

from gateway.delivery.effects import Park, Settle
from gateway.delivery.values import UNDECODABLE, Entry
from gateway.edges.delivery_ledger import ReceiptRow
from gateway.edges.delivery_rows import Origin
from gateway.edges.kafka import Output, header
from gateway.edges.kafka_types import Record
from gateway.errors import Problem, receipt_problem
from gateway.national import codec, payload, transcode
from gateway.record import (
    H_CONTENT_HASH,
    H_EVENT_ID,
    H_LANE,
    H_OP,
    H_RECORD_ID,
    H_SCHOOL_YEAR,
    H_SOURCE,
    H_VERSION,
    NATIONAL_TOPIC,
    QUARANTINE_TOPIC,
    Headers,
    Op,
    Position,
    State,
)

SOURCE_PREFIX: Final = "/vendors/"
KEPT_ORIGINS: Final = 20_000
MOST_PROBLEMS: Final = 100
"""Of one receipt; a target may name thousands, and a receipt must fit into a Kafka message."""
MOST_VERSIONS: Final = 2**31 - 1
MOST_YEARS: Final = 2**15 - 1
_LANE: Final = re.compile(r"[0-9a-f]{16}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SOURCE: Final = re.compile(rf"{SOURCE_PREFIX}[A-Za-z0-9._-]{{1,200}}")


@dataclass(frozen=True, slots=True)
class Foreign:
    """A record of the unified stream without the headers that identity writes: it did not come from the gateway."""

    position: Position
    quarantined: Output


def entry_of(record: Record) -> Entry | Foreign:
    """The entry of *record*, as far as the ledger could keep it."""
    try:
        return Entry(
            offset=record.offset,
            record_id=str(UUID(header(record, H_RECORD_ID))),
            event_id=str(UUID(header(record, H_EVENT_ID))),
            version=_within(int(header(record, H_VERSION)), MOST_VERSIONS),
            op=Op(header(record, H_OP)),
            lane=int(_shaped(_LANE, header(record, H_LANE)), 16),
            content_hash=_shaped(_HASH, header(record, H_CONTENT_HASH)),
            vendor=_shaped(_SOURCE, header(record, H_SOURCE)).removeprefix(SOURCE_PREFIX),
            school_year=_within(int(header(record, H_SCHOOL_YEAR)[:4]), MOST_YEARS),
            size=len(record.value or b""),
        )
    except ValueError:
        return _foreign(record)


def _within(number: int, most: int) -> int:
    if not 1 <= number <= most:
        message = "out of range"
        raise ValueError(message)
    return number


def _shaped(shape: re.Pattern[str], text: str) -> str:
    if not shape.fullmatch(text):
        message = "not of its shape"
        raise ValueError(message)
    return text


def _foreign(record: Record) -> Foreign:
    """The bytes as they are, with where they were found and then their own headers."""
    headers: Headers = [
        ("dlt-stage", b"delivery"),
        ("dlt-reason", UNDECODABLE.encode()),
        ("dlt-original-topic", record.topic.encode()),
        ("dlt-original-partition", str(record.partition).encode()),
        ("dlt-original-offset", str(record.offset).encode()),
        *((name, bytes(value)) for name, value in record.headers if value is not None),
    ]
    output = Output(QUARANTINE_TOPIC, record.partition, record.key, record.value or b"", headers)
    return Foreign(Position(record.topic, record.partition, record.offset), output)


@dataclass(slots=True)
class Shelf:
    """The values and origins of what is open in memory, by offset."""

    partition: int
    _values: dict[int, bytes] = field(default_factory=dict)
    _origins: dict[int, Origin] = field(default_factory=dict)

    def keep(self, record: Record) -> None:
        """Remember a record until `forget` or `passed`."""
        self._values[record.offset] = record.value or b""

    def value(self, offset: int) -> bytes:
        """Its bytes, empty if they are not here."""
        return self._values.get(offset, b"")

    def has_origin(self, offset: int) -> bool:
        """Whether a receipt can be written for it."""
        return offset in self._origins or offset in self._values

    def passed(self, offset: int) -> None:
        """Everything below *offset* is settled or in the ledger."""
        for old in list(takewhile(lambda kept: kept < offset, self._values)):  # they came in the order of offsets
            del self._values[old]
        while len(self._origins) > KEPT_ORIGINS:
            del self._origins[next(iter(self._origins))]

    def forget(self, offset: int) -> None:
        """The record at *offset* is settled or parked."""
        self._values.pop(offset, None)
        self._origins.pop(offset, None)

    def learn(self, origins: Mapping[int, Origin]) -> None:
        """Origins that the ledger kept."""
        self._origins |= origins

    def learn_receipt(self, offset: int, receipt: bytes) -> None:
        """The origin inside the last receipt of a parked record."""
        told = codec.decode_receipt(receipt)
        self._origins[offset] = _origin(told["vendor_ref"], told["source"])

    def record(self, offset: int, value: bytes) -> dict[str, Any] | None:
        """The decoded record, None when it cannot be decoded."""
        try:
            record: dict[str, Any] = codec.decode_record(value)
        except (codec.Undecodable, codec.UnknownSchema):
            return None
        self._origins[offset] = _origin(record["head"]["vendor_ref"], record["head"]["source"])
        return record

    def translated(self, offset: int, value: bytes, op: Op) -> bytes | None:
        """The record's payload for an immediate target, None when it cannot be decoded."""
        short = transcode.population_json(value, str(op))
        if short is not None:
            self._origins[offset] = Origin(
                short.vendor_ref, short.topic, short.partition, short.offset, short.index, short.timestamp
            )
            return short.record
        record = self.record(offset, value)
        return None if record is None else msgspec.json.encode(payload.population_payload(record, op=str(op)))

    def origin(self, offset: int, value: bytes = b"") -> Origin:
        """Where the event came from; for an unreadable record its place in the unified stream."""
        known = self._origins.get(offset)
        if known is None:
            try:
                head, _ = codec.split_record(value or self.value(offset))
            except (codec.Undecodable, codec.UnknownSchema):
                return Origin(None, NATIONAL_TOPIC, self.partition, offset, 0, 0)
            known = self._origins[offset] = _origin(head["vendor_ref"], head["source"])
        return known


def _origin(vendor_ref: str | None, source: Mapping[str, Any]) -> Origin:
    return Origin(
        vendor_ref, source["topic"], source["partition"], source["offset"], source["index"], source["timestamp"]
    )


@dataclass(frozen=True, slots=True)
class Receipts:
    """Makes the receipts of one target."""

    target: str

    def settled(self, settle: Settle, origin: Origin, at_ms: int) -> ReceiptRow:
        """The receipt of an end state."""
        return self._row(settle.entry, settle.state, settle.seq, origin, at_ms, ())

    def parked(self, park: Park, origin: Origin, at_ms: int) -> ReceiptRow:
        """The receipt of a parking; a reason's rule is the target's own code."""
        problems = tuple(Problem(reason.code, "", reason.target_code) for reason in park.reasons[:MOST_PROBLEMS])
        return self._row(park.entry, State.PARKED, park.seq, origin, at_ms, problems)

    def _row(
        self, entry: Entry, state: State, seq: int, origin: Origin, at_ms: int, problems: tuple[Problem, ...]
    ) -> ReceiptRow:
        receipt = {
            "event_id": entry.event_id,
            "vendor": entry.vendor,
            "vendor_event_id": None,
            "vendor_ref": origin.vendor_ref,
            "record_id": entry.record_id,
            "stage": "delivery",
            "target": self.target,
            "state": str(state),
            "seq": seq,
            "version": entry.version,
            "problems": [receipt_problem(problem) for problem in problems],
            "source": {
                "topic": origin.topic,
                "partition": origin.partition,
                "offset": origin.offset,
                "index": origin.index,
                "timestamp": origin.timestamp_ms or at_ms,
            },
            "at": at_ms,
        }
        return ReceiptRow(entry.vendor, entry.event_id, codec.encode_receipt(receipt))
