"""Identity's ledger rows as values, and their columns: the shapes that ``identity_ledger`` reads and writes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.edges.identity_sql import Column
from gateway.edges.keys import Sealed
from gateway.errors import Problem, describe
from gateway.identity.plan import Row
from gateway.identity.versions import Claimant, Entry, Head
from gateway.record import Op, SourceOrder, State, lane_signed, lane_unsigned

ROW: Final = (
    "place, topic_offset, lane, record_id, event_id, vendor, school_code, epoch, source_order, content_hash, op, "
    "code, claim_hash, seq, state, body, key_id"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """An open parked row with its sealed mapped value."""

    row: Row
    state: State
    sealed: Sealed


@dataclass(frozen=True, slots=True)
class Parking:
    """A new parked row; *value* is the mapped record's bytes, sealed on the way in."""

    row: Row
    state: State
    problem: Problem
    event_id: str
    vendor: str
    school_code: str
    school_year: int
    content_hash: str
    op: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Closing:
    """An open row that ends; *closed_by* is the offset of the newer version that replaced it, if one did."""

    offset: int
    end_state: str
    closed_by: int | None = None


@dataclass(frozen=True, slots=True)
class Repark:
    """An open row that stays open for another reason; its claim as it is hashed now."""

    offset: int
    state: State
    problem: Problem
    seq: int
    claim_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A new head: a version as it stands in national.records at *offset*."""

    record_id: str
    lane: int
    head: Head
    offset: int


@dataclass(frozen=True, slots=True)
class Order:
    """What a person or the resolver asks of the row at *offset*."""

    number: int
    lane: int
    offset: int
    action: str


@dataclass(frozen=True, slots=True)
class Known:
    """Heads and hand-overs of the asked records."""

    heads: dict[str, Head]
    handed_over: dict[str, frozenset[Claimant]]


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What follows a Kafka commit, in one transaction."""

    heads: Sequence[Published] = ()
    next_offset: int | None = None
    closings: Sequence[Closing] = ()
    reparks: Sequence[Repark] = ()
    orders: Sequence[tuple[int, str, str]] = ()


def parked_columns(slot: int, parking: Parking, sealed: Sealed) -> tuple[object, ...]:
    """A new parked row as the values of PARKED_COLUMNS."""
    row, order = parking.row, parking.row.entry.order if parking.row.entry else None
    return (
        "identity",
        slot,
        row.offset,
        row.place,
        lane_signed(row.lane),
        uuid.UUID(row.record_id),
        uuid.UUID(parking.event_id),
        parking.vendor,
        parking.school_code,
        parking.school_year,
        order.epoch if order else None,
        order.order if order else None,
        bytes.fromhex(parking.content_hash),
        parking.op,
        row.claim_hash,
        str(parking.state),
        parking.problem.code,
        parking.problem.field,
        describe(parking.problem).owner,
        sealed.data,
        sealed.key_id,
        row.seq,
    )


def body_context(slot: int, offset: int) -> bytes:
    """What the sealed value of a parked row is bound to."""
    return f"identity|{slot}|{offset}".encode()


def repark_columns(one: Repark) -> tuple[object, ...]:
    """(offset, state, code, field, owner, seq, claim hash) of a row that is parked again."""
    problem = one.problem
    owner = describe(problem).owner
    return one.offset, str(one.state), problem.code, problem.field, owner, one.seq, one.claim_hash


def entry_of(row: Sequence[Any]) -> Entry:
    """(event id, vendor, school, epoch, order, content hash, op) as an entry."""
    event, vendor, school, epoch, order, content_hash, op = row
    return Entry(str(event), (vendor, school), SourceOrder(epoch, order), bytes(content_hash).hex(), Op(op))


def stored_of(row: Sequence[Any]) -> Stored:
    """A row of the columns ROW."""
    place, offset, lane, record, *entry, code, claim_hash, seq, state, body, key_id = row
    readable = entry_of(entry) if entry[3] is not None else None
    parked = Row(place, offset, lane_unsigned(lane), str(record), readable, code, claim_hash, seq)
    return Stored(parked, State(state), Sealed(key_id, body))


def head_columns(slot: int, published: Published) -> tuple[object, ...]:
    """A head as the values of HEAD_COLUMNS."""
    entry = published.head.entry
    return (
        uuid.UUID(published.record_id),
        slot,
        lane_signed(published.lane),
        *entry.claimant,
        published.head.version,
        entry.order.epoch,
        entry.order.order,
        bytes.fromhex(entry.content_hash),
        str(entry.op),
        uuid.UUID(entry.event_id),
        published.offset,
    )


HEAD_COLUMNS: Final = (
    Column("record_id", "uuid"),
    Column("slot", "smallint"),
    Column("lane", "bigint"),
    Column("vendor", "text"),
    Column("school_code", "text"),
    Column("version", "int"),
    Column("epoch", "int"),
    Column("source_order", "bigint"),
    Column("content_hash", "bytea"),
    Column("op", "text"),
    Column("event_id", "uuid"),
    Column("topic_offset", "bigint"),
)
HEAD_CONFLICT: Final = (
    "ON CONFLICT (record_id) DO UPDATE SET vendor = excluded.vendor, school_code = excluded.school_code, "
    "version = excluded.version, epoch = excluded.epoch, source_order = excluded.source_order, "
    "content_hash = excluded.content_hash, op = excluded.op, event_id = excluded.event_id, "
    "topic_offset = excluded.topic_offset WHERE excluded.version > heads.version"
)
PARKED_COLUMNS: Final = (
    Column("stage", "text"),
    Column("slot", "smallint"),
    Column("topic_offset", "bigint"),
    Column("place", "bigint"),
    Column("lane", "bigint"),
    Column("record_id", "uuid"),
    Column("event_id", "uuid"),
    Column("vendor", "text"),
    Column("school_code", "text"),
    Column("school_year", "smallint"),
    Column("epoch", "int"),
    Column("source_order", "bigint"),
    Column("content_hash", "bytea"),
    Column("op", "text"),
    Column("claim_hash", "bytea"),
    Column("state", "text"),
    Column("code", "text"),
    Column("field", "text"),
    Column("owner", "text"),
    Column("body", "bytea"),
    Column("key_id", "text"),
    Column("seq", "int"),
)
PARKED_CONFLICT: Final = (
    "ON CONFLICT (stage, target, slot, topic_offset) DO UPDATE SET state = excluded.state, code = excluded.code, "
    "field = excluded.field, owner = excluded.owner, place = excluded.place, seq = excluded.seq "
    "WHERE parked.state <> 'closed'"
)
