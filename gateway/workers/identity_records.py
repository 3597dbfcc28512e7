"""Bytes of identity's topics to values and back: mapped records in, national records and receipts out.

The body is never decoded here: a new head is put before the untouched rest (design section 4).
Hot path: heads are plain dicts.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from gateway.edges.identity_rows import Parking, Published
from gateway.edges.kafka import Output, header
from gateway.edges.kafka_types import Record
from gateway.errors import GatewayError, Problem, receipt_problem
from gateway.identity.plan import UNDECODABLE, Event, Row
from gateway.identity.verdicts import Claim, Confirmed, claim_hash, word_of
from gateway.identity.versions import Entry, Head
from gateway.national import codec
from gateway.record import (
    H_CONTENT_HASH,
    H_CONTENT_TYPE,
    H_EVENT_ID,
    H_LANE,
    H_OP,
    H_RECORD_ID,
    H_SCHOOL_YEAR,
    H_SEQ,
    H_SOURCE,
    H_SPEC,
    H_TRACEPARENT,
    H_TYPE,
    H_VERSION,
    NATIONAL_TOPIC,
    QUARANTINE_TOPIC,
    TYPE_RECORD,
    Headers,
    Op,
    SourceOrder,
    State,
    receipt_partition,
    vendor_topic,
)

_COPIED: Final = (
    "event_id",
    "record_id",
    "lane",
    "event_type",
    "vendor",
    "connector",
    "vendor_ref",
    "vendor_event_id",
    "source_order",
    "school_code",
    "school_year",
    "programme",
    "grade",
    "occurred_at",
    "source",
    "content_hash",
    "cause",
    "traceparent",
)
CANCEL: Final = "cancel"
TEMPORARY_CODE: Final = "DQ-24"
_VENDORS: Final = "/vendors/"
MOST_PROBLEMS: Final = 100
"""In a receipt; the leading ones come first."""


@dataclass(frozen=True, slots=True)
class Item:
    """A mapped record that could be read: what identity decides on, and what it passes on."""

    event: Event
    claim: Claim | None
    head: dict[str, Any]
    rest: bytes
    value: bytes

    def parking(self, row: Row, state: State, problem: Problem) -> Parking:
        """Its new parked row."""
        head, entry = self.head, self.event.entry
        return Parking(
            row=row,
            state=state,
            problem=problem,
            event_id=entry.event_id,
            vendor=head["vendor"],
            school_code=head["school_code"],
            school_year=int(head["school_year"][:4]),
            content_hash=head["content_hash"],
            op=head["event_type"],
            value=self.value,
        )


def first_seq(record: Record) -> int:
    """The number of the first receipt of *record* here: 1, but for a record that was addressed anew."""
    text = header(record, H_SEQ)
    return int(text) if text.isdecimal() and len(text) <= 6 else 1


def read(value: bytes, offset: int, claim_key: bytes, seq: int = 1) -> Item | None:
    """The mapped record *value* at *offset* of its slot; None when it cannot be read or claims nobody."""
    try:
        head, rest = codec.split_mapped(value)
    except (codec.UnknownSchema, codec.Undecodable):
        return None
    op, claimed = Op(head["event_type"]), head["claim"]
    if claimed is None and op is not Op.CANCEL:
        return None
    claim = None if op is Op.CANCEL else _claim(claimed)
    holds = [Problem(hold["code"], hold["field"], hold["rule"]) for hold in head["holds"]]
    if claim is not None and claimed["temporary_code"] and all(hold.code != TEMPORARY_CODE for hold in holds):
        holds.append(Problem(TEMPORARY_CODE, "pupil_code"))
    event = Event(
        offset=offset,
        lane=int(head["lane"], 16),
        record_id=head["record_id"],
        entry=entry_of(head),
        holds=tuple(holds),
        claim_hash=None if claim is None else claim_hash(claim, claim_key),
        seq=seq,
    )
    return Item(event, claim, head, rest, value)


def entry_of(head: dict[str, Any]) -> Entry:
    """The version side of a mapped or national head."""
    order = head["source_order"]
    return Entry(
        event_id=head["event_id"],
        claimant=(head["vendor"], head["school_code"]),
        order=SourceOrder(order["epoch"], order["order"]),
        content_hash=head["content_hash"],
        op=Op(head["event_type"]),
        caused=head["cause"] is not None,
    )


def published(record: Record) -> Published | None:
    """The head that a record of national.records became; None when its bytes cannot be read.

    Raises GatewayError for a record of this gateway in a schema this program does not know: passing over its head
    would let an older program give its version out a second time.
    """
    try:
        head, _ = codec.split_record(record.value or b"")
    except codec.Undecodable:
        return None
    except codec.UnknownSchema as error:
        if not header(record, H_VERSION):
            return None
        position = f"{record.topic}-{record.partition}@{record.offset}"
        message = f"{position} has a schema that this program does not know; start the program that wrote it"
        raise GatewayError(message) from error
    return Published(head["record_id"], int(head["lane"], 16), Head(head["version"], entry_of(head)), record.offset)


def unread(record: Record, code: str = UNDECODABLE) -> Parking | None:
    """The parked row of bytes that could not, or must not, be read, made from headers; None when those are missing."""
    names = (H_LANE, H_RECORD_ID, H_EVENT_ID, H_SOURCE, H_CONTENT_HASH, H_SCHOOL_YEAR, H_OP)
    given = {name: header(record, name) for name in names}
    if not all(given.values()) or not given[H_SOURCE].startswith(_VENDORS):
        return None
    try:
        lane, year = int(given[H_LANE], 16), int(given[H_SCHOOL_YEAR][:4])
        _checked(uuid.UUID(given[H_EVENT_ID]), uuid.UUID(given[H_RECORD_ID]), bytes.fromhex(given[H_CONTENT_HASH]))
    except ValueError:
        return None
    return Parking(
        row=Row(record.offset, record.offset, lane, given[H_RECORD_ID], None, code),
        state=State.PARKED,
        problem=Problem(code),
        event_id=given[H_EVENT_ID],
        vendor=given[H_SOURCE].removeprefix(_VENDORS),
        school_code="",
        school_year=year,
        content_hash=given[H_CONTENT_HASH],
        op=given[H_OP],
        value=msgspec.msgpack.encode((_unread_head(given, record), record.value or b"")),
    )


def _unread_head(given: dict[str, str], record: Record) -> dict[str, Any]:
    """What a receipt can say of bytes that could not be read: its source is the mapped record itself."""
    return {
        "event_id": given[H_EVENT_ID],
        "vendor": given[H_SOURCE].removeprefix(_VENDORS),
        "vendor_event_id": None,
        "vendor_ref": None,
        "record_id": given[H_RECORD_ID],
        "source": {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "index": 0,
            "timestamp": record.timestamp,
        },
    }


def opened(value: bytes) -> tuple[dict[str, Any], bytes]:
    """(head for receipts, the original bytes) of a parked row whose bytes could not be read when they came."""
    return msgspec.msgpack.decode(value, type=tuple[dict[str, Any], bytes])


def _checked(*_values: object) -> None:
    """The parsed values are not needed; that they can be parsed is."""


def national(item: Item, version: int, verdict: Confirmed | None, slot: int) -> Output:
    """The record of the unified stream: new head, untouched rest."""
    head = {name: item.head[name] for name in _COPIED}
    head["version"] = version
    head["citizen_id"] = verdict.citizen_id if verdict else None
    head["verdict"] = word_of(verdict) if verdict else CANCEL
    warnings = verdict.warnings if verdict else ()
    head["warnings"] = [*item.head["warnings"], *({"code": w.code, "field": w.field, "rule": w.rule} for w in warnings)]
    value = codec.encode_record(head, item.rest, schema_id=codec.record_schema_id(item.value))
    return Output(NATIONAL_TOPIC, slot, head["record_id"].encode(), value, _headers(item.head, version))


def _headers(head: dict[str, Any], version: int) -> Headers:
    texts = [
        (H_SPEC, "1.0"),
        (H_EVENT_ID, head["event_id"]),
        (H_SOURCE, f"{_VENDORS}{head['vendor']}"),
        (H_TYPE, TYPE_RECORD),
        (H_CONTENT_TYPE, "application/avro"),
        (H_TRACEPARENT, head["traceparent"] or ""),
        (H_RECORD_ID, head["record_id"]),
        (H_CONTENT_HASH, head["content_hash"]),
        (H_LANE, head["lane"]),
        (H_OP, head["event_type"]),
        (H_SCHOOL_YEAR, head["school_year"]),
        (H_VERSION, str(version)),
    ]
    return [(name, text.encode()) for name, text in texts if text]


def quarantined(record: Record) -> Output:
    """Bytes that nothing can be said about, kept whole; never a reason to stop the slot."""
    headers: Headers = [
        ("dlt-original-topic", record.topic.encode()),
        ("dlt-original-partition", str(record.partition).encode()),
        ("dlt-original-offset", str(record.offset).encode()),
        ("dlt-reason", UNDECODABLE.encode()),
        ("dlt-stage", b"identity"),
        *((name, value or b"") for name, value in record.headers),
    ]
    return Output(QUARANTINE_TOPIC, record.partition, None, record.value or b"", headers)


@dataclass(frozen=True, slots=True)
class Fate:
    """What a receipt tells: the state an event is in now, for every target."""

    state: State
    seq: int
    problems: Sequence[Problem] = ()


def receipt(head: dict[str, Any], fate: Fate, *, slots: int, at_ms: int) -> Output:
    """A receipt of this stage for the event of *head*."""
    event, vendor = head["event_id"], head["vendor"]
    content = {
        "event_id": event,
        "vendor": vendor,
        "vendor_event_id": head["vendor_event_id"],
        "vendor_ref": head["vendor_ref"],
        "record_id": head["record_id"],
        "stage": "identity",
        "target": None,
        "state": str(fate.state),
        "seq": fate.seq,
        "version": None,
        "problems": [receipt_problem(problem) for problem in fate.problems[:MOST_PROBLEMS]],
        "source": head["source"],
        "at": at_ms,
    }
    topic, partition = vendor_topic(vendor, "receipts"), receipt_partition(event, slots)
    return Output(topic, partition, event.encode(), codec.encode_receipt(content), [])


def _claim(claimed: dict[str, Any]) -> Claim:
    return Claim(
        pupil_code=claimed["pupil_code"],
        citizen_id=claimed["citizen_id"] or claimed["citizen_id_candidate"],
        full_name=claimed["full_name"],
        birth=claimed["birth"],
        gender=claimed["gender"],
    )
