"""How delivery's values stand in the rows of the ledger, and come out of them again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.delivery.effects import Park, Settle, Write
from gateway.delivery.values import Entry, Known, Member, ParkedRow, Reason, Sent
from gateway.edges import pg_arrays as arrays
from gateway.errors import catalogue
from gateway.record import Op, State, lane_signed, lane_unsigned


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Where a record's event came from, for its receipts."""

    vendor_ref: str | None
    topic: str
    partition: int
    offset: int
    index: int
    timestamp_ms: int


class MemberRow(msgspec.Struct, frozen=True, kw_only=True):
    """A packet's member as its row keeps it."""

    offset: int
    record_id: str
    version: int
    key: str
    event_id: str
    op: str
    lane: int
    content_hash: str
    vendor: str
    school_year: int
    size: int
    seq: int
    origin: Origin | None
    revokes: int = 0


def known_of(rows: Iterable[tuple[Any, ...]]) -> dict[str, Known]:
    """What rows of `deliveries` (record id, version, state, op, maybe_sent, revoked) say of each record."""
    finals: dict[str, set[int]] = {}
    held: dict[str, tuple[int, str]] = {}
    maybe: dict[str, int] = {}
    gone: dict[str, int] = {}
    for record, version, state, op, doubt, revoked in rows:
        name = str(record)
        finals.setdefault(name, set()).add(version)
        if state == State.ACCEPTED:
            held[name] = max(held.get(name, (0, "")), (version, op))
        if doubt:
            maybe[name] = max(maybe.get(name, 0), version)
        if revoked:
            gone[name] = max(gone.get(name, 0), version)
    return {
        name: Known(
            frozenset(versions),
            held[name][0] if name in held else 0,
            Op(held[name][1]) if name in held else None,
            maybe.get(name, 0),
            gone.get(name, 0),
        )
        for name, versions in finals.items()
    }


def columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """The columns of *rows*, for one ``unnest``."""
    return [list(column) for column in zip(*rows, strict=True)]


def parked_row(lane: int, row: tuple[Any, ...]) -> ParkedRow:
    """A row of `parked` as the machine knows it."""
    offset, record_id, event_id, version, op, content_hash, vendor, year, code, target_code, seq, sent, _ = row
    entry = Entry(
        offset=offset,
        record_id=str(record_id),
        event_id=str(event_id),
        version=version,
        op=Op(op),
        lane=lane,
        content_hash=bytes(content_hash).hex(),
        vendor=vendor,
        school_year=year,
        size=0,
    )
    return ParkedRow(entry, Reason(code, target_code), seq, sent)


def opened(member: MemberRow) -> Member:
    """A packet's member as the machine knows it."""
    entry = Entry(
        offset=member.offset,
        record_id=member.record_id,
        event_id=member.event_id,
        version=member.version,
        op=Op(member.op),
        lane=lane_unsigned(member.lane),
        content_hash=member.content_hash,
        vendor=member.vendor,
        school_year=member.school_year,
        size=member.size,
    )
    return Member(entry, member.seq, member.revokes)


def settle_columns(settles: Sequence[Settle]) -> tuple[str, ...]:
    """The columns of SETTLE, one array each."""
    entries = [settle.entry for settle in settles]
    return (
        arrays.numbers(entry.school_year for entry in entries),
        arrays.uuids(entry.record_id for entry in entries),
        arrays.numbers(entry.version for entry in entries),
        arrays.numbers(lane_signed(entry.lane) for entry in entries),
        arrays.numbers(entry.offset for entry in entries),
        arrays.uuids(entry.event_id for entry in entries),
        arrays.texts([entry.vendor for entry in entries]),
        arrays.hexes(entry.content_hash for entry in entries),
        arrays.texts([settle.op.value for settle in settles]),
        arrays.texts([settle.state.value for settle in settles]),
        arrays.uuids(settle.packet for settle in settles),
        arrays.booleans(settle.doubt for settle in settles),
        arrays.numbers(settle.attempts for settle in settles),
        arrays.numbers(settle.seq for settle in settles),
        arrays.texts([settle.reply for settle in settles]),
    )


def merged(writes: Sequence[Write]) -> Iterator[Write]:
    """The writes in their order, with those that only settle records put together as long as no record comes again."""
    settles: list[Settle] = []
    seen: set[tuple[str, int]] = set()
    for write in writes:
        names = {(settle.entry.record_id, settle.entry.version) for settle in write.settles}
        if not write.only_settles or not seen.isdisjoint(names):
            if settles:
                yield Write(write.ticket, settles)
            settles, seen = [], set()
        if not write.only_settles:
            yield write
        else:
            settles += write.settles
            seen |= names
    if settles:
        yield Write(writes[-1].ticket, settles)


def _sent(park: Park) -> Sent:
    if park.step:  # a successor goes on by itself
        return "again"
    return "maybe" if park.doubt else "no"


def park_columns(park: Park, receipts: Mapping[tuple[int, int], bytes]) -> tuple[Any, ...]:
    """One row of PARK, with the receipt of this state."""
    entry, reason = park.entry, park.reasons[0]
    return (
        entry.offset,
        lane_signed(entry.lane),
        entry.record_id,
        entry.event_id,
        entry.vendor,
        entry.school_year,
        entry.version,
        bytes.fromhex(entry.content_hash),
        str(entry.op),
        reason.code,
        catalogue()[reason.code].owner,
        reason.target_code,
        _sent(park),
        park.seq,
        park.attempts,
        receipts.get((entry.offset, park.seq)),
    )
