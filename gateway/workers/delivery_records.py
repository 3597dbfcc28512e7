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

import msgspec

from gateway.delivery.effects import Park, Settle
from gateway.delivery.values import UNDECODABLE, Entry
from gateway.edges.delivery_ledger import ReceiptRow
from gateway.edges.delivery_rows import Origin
from gateway.edges.kafka import Output
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
_NEEDED: Final = (H_RECORD_ID, H_EVENT_ID, H_VERSION, H_OP, H_LANE, H_CONTENT_HASH, H_SOURCE, H_SCHOOL_YEAR)
_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_OPS: Final = {str(op): op for op in Op}
_SHAPE: Final = re.compile(
    "\n".join(
        (
            f"({_UUID})",
            f"({_UUID})",
            "([0-9]{1,10})",
            f"({'|'.join(_OPS)})",
            "([0-9a-f]{16})",
            "([0-9a-f]{64})",
            f"{SOURCE_PREFIX}([A-Za-z0-9._-]{{1,200}})",
            "([0-9]{4})(?:-[0-9]{4})?",
        )
    )
)
"""The needed headers as identity writes them, a line each."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A record of the unified stream without the headers that identity writes: it did not come from the gateway."""

    position: Position
    quarantined: Output


def entry_of(record: Record) -> Entry | Foreign:
    """The entry of *record*, as far as the ledger could keep it: all that is needed in one look at its headers."""
    found = dict(reversed(record.headers))  # the first of a name
    try:
        said = _SHAPE.fullmatch("\n".join([str(found[name] or b"", "utf-8") for name in _NEEDED]))
    except (KeyError, UnicodeDecodeError):
        return _foreign(record)
    if said is None:
        return _foreign(record)
    record_id, event_id, version, op, lane, content_hash, vendor, year = said.groups()
    number, school_year = int(version), int(year)
    if not (1 <= number <= MOST_VERSIONS and 1 <= school_year <= MOST_YEARS):
        return _foreign(record)
    size = len(record.value or b"")
    return Entry(
        record.offset, record_id, event_id, number, _OPS[op], int(lane, 16), content_hash, vendor, school_year, size
    )


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
