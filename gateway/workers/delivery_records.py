"""Records of national.records as delivery needs them: an `Entry` of the headers, a payload at send time, receipts.

Values are kept only while their record is open in memory; what was parked or travels in a former owner's packet is read
again by its offset.  A value that cannot be decoded parks its record and stops nobody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.delivery.effects import Park, Settle
from gateway.delivery.values import Entry
from gateway.edges.delivery_ledger import Origin, ReceiptRow
from gateway.edges.kafka import header
from gateway.edges.kafka_types import Record
from gateway.errors import GatewayError, Problem, describe
from gateway.national import codec
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
    Op,
    Position,
    State,
)

SOURCE_PREFIX: Final = "/vendors/"
KEPT_ORIGINS: Final = 20_000


class NoEntry(GatewayError):
    """A record of the unified stream lacks the headers that identity writes: it did not come from the gateway."""


def entry_of(record: Record) -> Entry:
    """The entry of *record*; raises NoEntry."""
    try:
        return Entry(
            offset=record.offset,
            record_id=header(record, H_RECORD_ID),
            event_id=header(record, H_EVENT_ID),
            version=int(header(record, H_VERSION)),
            op=Op(header(record, H_OP)),
            lane=int(header(record, H_LANE), 16),
            content_hash=bytes.fromhex(header(record, H_CONTENT_HASH)).hex(),
            vendor=header(record, H_SOURCE).removeprefix(SOURCE_PREFIX),
            school_year=int(header(record, H_SCHOOL_YEAR)[:4]),
            size=len(record.value or b""),
        )
    except ValueError as error:
        message = f"{Position(record.topic, record.partition, record.offset)} lacks the headers of a national record"
        raise NoEntry(message) from error


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
        for old in [kept for kept in self._values if kept < offset]:
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
        problems = tuple(Problem(reason.code, "", reason.target_code) for reason in park.reasons)
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
            "problems": [_described(problem) for problem in problems],
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


def _described(problem: Problem) -> dict[str, str]:
    text = describe(problem)
    return {
        "code": text.code,
        "field": text.field,
        "severity": text.severity,
        "owner": text.owner,
        "fix_vi": text.fix_vi,
        "fix_en": text.fix_en,
        "rule": text.rule,
    }
