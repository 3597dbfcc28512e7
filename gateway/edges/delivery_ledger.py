"""Delivery's rows of one (target, slot), written only by the slot's present owner.

Taking over raises the epoch, so that a predecessor, however paused, writes nothing more, and then waits for its lease,
so that it sends nothing more.  Every write begins by locking the slot's row and comparing the epoch; a mismatch is
`LostSlot` and ends the process.  State and receipt are one transaction: the receipt waits in the outbox until Kafka
has it.  Everything here may be repeated after a lost answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import psycopg
from psycopg.types.json import Jsonb
from psycopg_pool import PoolTimeout

from gateway.delivery.effects import CreatePacket, MarkPacket, Write
from gateway.delivery.events import Ordered, Started
from gateway.delivery.values import REFUSES_ALL, Known, Member, OpenPacket, ParkedRow
from gateway.edges import delivery_sql as sql
from gateway.edges import pg_arrays as arrays
from gateway.edges.delivery_rows import (
    MemberRow,
    Origin,
    columns,
    known_of,
    merged,
    opened,
    park_columns,
    parked_row,
    settle_columns,
)
from gateway.edges.ledger import Pool
from gateway.record import FINAL_STATES, Op, idempotency_key, lane_signed, lane_unsigned

FINALS: Final = sorted(str(state) for state in FINAL_STATES)
HAND_BACK_S: Final = 2.0
Connection = psycopg.AsyncConnection[tuple[Any, ...]]


LANES_PAGE: Final = 5_000


class LostSlot(Exception):
    """Another worker has taken the slot over; this process must end without sending or writing more."""


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A receipt for the outbox."""

    vendor: str
    event_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A receipt in the outbox, by its number there."""

    number: int
    receipt: ReceiptRow


@dataclass(slots=True)
class Flush:
    """Writes to be committed together, in their order, with their receipts; *parked* by (offset, seq)."""

    writes: list[Write] = field(default_factory=list)
    receipts: list[ReceiptRow] = field(default_factory=list)
    parked: dict[tuple[int, int], bytes] = field(default_factory=dict)
    origins: dict[int, Origin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a take-over found: the machine's start, where members came from, and the hashes of open packets' bytes."""

    started: Started
    origins: Mapping[int, Origin]
    hashes: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class LoadedLane:
    """The parked rows of a lane, what is known of their records, and their last receipts by offset."""

    rows: Sequence[ParkedRow]
    known: Mapping[str, Known]
    receipts: Mapping[int, bytes]


class DeliveryLedger:
    """The ledger as the owner of one slot sees it."""

    def __init__(self, pool: Pool, target: str, slot: int, owner: str) -> None:
        self._pool = pool
        self._target = target
        self._slot = slot
        self._owner = owner
        self.epoch = 0
        self.horizon = 0

    async def raise_epoch(self) -> float:
        """Fence the predecessor; the seconds its lease still runs.

        A predecessor that stands still inside a transaction holds the row until PostgreSQL ends its session
        (`ledger.IDLE_S`); asking again, instead of waiting here, keeps the connection for the other slots' leases.
        """
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(sql.WAIT_BRIEFLY)
            await connection.execute(sql.ADD_OWNER, (self._target, self._slot))
            cursor = await connection.execute(sql.RAISE_EPOCH, (self._owner, self._target, self._slot))
            row: Any = await cursor.fetchone()
        self.epoch, self.horizon, left_s = row
        return float(left_s)

    async def renew(self, lease_s: float) -> None:
        """Extend the lease; raises LostSlot."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(sql.RENEW, (lease_s, self._target, self._slot, self.epoch))
            if await cursor.fetchone() is None:
                raise LostSlot(self._lost())

    async def tell_held(self, code: str) -> None:
        """Show operators what holds the target (empty: nothing), where the machine has no alarm of its own."""
        async with self._pool.connection() as connection:
            mine = (self._target, self._slot, self.epoch)
            await connection.execute(sql.HELD, (code, *mine, [code, REFUSES_ALL]))

    async def hand_back(self) -> None:
        """End the lease: nothing is under way any more.  While PostgreSQL is down it runs out by itself."""
        with suppress(psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout):
            await self._hand_back()

    async def _hand_back(self) -> None:
        async with self._pool.connection(timeout=HAND_BACK_S) as connection:
            await connection.execute(sql.HAND_BACK, (self._target, self._slot, self.epoch))

    def _lost(self) -> str:
        return f"slot {self._slot} of {self._target} has another owner; the worker ends and starts anew"

    async def _fence(self, connection: Connection) -> None:
        cursor = await connection.execute(sql.FENCE, (self._target, self._slot))
        if await cursor.fetchone() != (self.epoch,):
            raise LostSlot(self._lost())

    async def load(self) -> Taken:
        """Close rows that are settled, then read what is open."""
        mine = (self._target, self._slot)
        async with self._pool.connection() as connection, connection.transaction():
            await self._fence(connection)
            await connection.execute(sql.CLOSE_SETTLED, (*mine, FINALS))
            parked, live = await self._lanes(connection)
            rows = await (await connection.execute(sql.OPEN_PACKETS, mine)).fetchall()
            packets, origins, hashes = await self._packets(connection, rows)
        return Taken(Started(self.horizon, parked, live, packets), origins, hashes)

    async def _lanes(self, connection: Connection) -> tuple[set[int], set[int]]:
        """Parked lanes and those among them that nothing blocks, page by page: there may be hundreds of thousands."""
        parked: set[int] = set()
        live: set[int] = set()
        async with connection.cursor(name="parked_lanes") as cursor:
            await cursor.execute(sql.PARKED_LANES, (self._target, self._slot))
            while page := await cursor.fetchmany(LANES_PAGE):
                parked.update(lane_unsigned(lane) for lane, _ in page)
                live.update(lane_unsigned(lane) for lane, is_live in page if is_live)
        return parked, live

    async def _packets(
        self, connection: Connection, rows: Sequence[tuple[Any, ...]]
    ) -> tuple[list[OpenPacket], dict[int, Origin], dict[str, bytes]]:
        """Open packets without the members judged before the packet's row could say so; empty ones are closed."""
        members = {row[0]: msgspec.convert(row[3], list[MemberRow]) for row in rows}
        everyone = [member for listed in members.values() for member in listed]
        known = await self._known(connection, [(member.school_year, member.record_id) for member in everyone])
        asked = (self._target, self._slot, [member.offset for member in everyone])
        seqs: dict[Any, Any] = dict(await (await connection.execute(sql.PARKED_SEQ, asked)).fetchall())
        packets: list[OpenPacket] = []
        hashes: dict[str, bytes] = {}
        for packet, purpose, step, _, sha256, age_s in rows:
            left = [
                opened(member)
                for member in members[packet]
                if member.version not in known.get(member.record_id, Known()).finals
                and seqs.get(member.offset, 0) <= member.seq
            ]
            if not left:
                await connection.execute(sql.MARK_PACKET, ("settled", None, packet))
                continue
            # bytes of a packet that lost members cannot be made again: its hash fits nothing
            hashes[str(packet)] = bytes(sha256) if len(left) == len(members[packet]) else b""
            packets.append(OpenPacket(str(packet), Op(purpose), left, step == "submitted", age_s))
        return packets, {m.offset: m.origin for m in everyone if m.origin is not None}, hashes

    async def known(self, records: Sequence[tuple[int, str]]) -> dict[str, Known]:
        """What is settled of these (school year, record id); one query."""
        async with self._pool.connection() as connection:
            return await self._known(connection, records)

    async def _known(self, connection: Connection, records: Sequence[tuple[int, str]]) -> dict[str, Known]:
        if not records:
            return {}
        years, names = arrays.numbers(year for year, _ in records), arrays.uuids(name for _, name in records)
        asked = (years, names, self._target, FINALS)
        rows = await (await connection.execute(sql.KNOWN, asked)).fetchall()
        return known_of(rows)

    async def lane(self, lane: int) -> LoadedLane:
        """The open parked rows of *lane*."""
        async with self._pool.connection() as connection:
            asked = (self._target, self._slot, lane_signed(lane))
            rows: list[Any] = await (await connection.execute(sql.LANE_ROWS, asked)).fetchall()
            loaded = [parked_row(lane, row) for row in rows]
            receipts = {row[0]: bytes(row[12]) for row in rows if row[12] is not None}
            records = [(row.entry.school_year, row.entry.record_id) for row in loaded]
            return LoadedLane(loaded, await self._known(connection, records), receipts)

    async def write(self, flush: Flush) -> None:
        """Commit *flush* as one transaction; raises LostSlot when the slot has another owner."""
        async with self._pool.connection() as connection, connection.transaction():
            await self._fence(connection)
            for write in merged(flush.writes):
                await self._one(connection, write, flush)
            if flush.receipts:
                await connection.execute(sql.ADD_OUTBOX, (self._target, self._slot, *_outbox_columns(flush.receipts)))

    async def _one(self, connection: Connection, write: Write, flush: Flush) -> None:
        mine = (self._target, self._slot)
        await self._of_slot(connection, write)
        if write.arms:
            armed = {arm.offset: arm.sent for arm in write.arms}  # the last word about each
            await connection.execute(sql.ARM, ([*armed], [*armed.values()], *mine))
        if write.parks:
            given = columns([park_columns(park, flush.parked) for park in write.parks])
            await connection.execute(sql.PARK, (*mine, *given))
        await self._steps(connection, write)
        if write.settles:
            await connection.execute(sql.SETTLE, (*mine, self.epoch, *settle_columns(write.settles), FINALS))
            ended = [(s.entry.offset, str(s.state), s.seq) for s in write.settles if s.row]
            if ended:
                await connection.execute(sql.CLOSE_ROWS, (*columns(ended), *mine))
        if write.orders:
            given = columns([(order.order, order.done, order.outcome) for order in write.orders])
            await connection.execute(sql.CLOSE_ORDERS, given)
        for change in write.packets:
            await self._packet(connection, change, flush)

    async def _of_slot(self, connection: Connection, write: Write) -> None:
        """What is told of the slot as a whole."""
        mine = (self._target, self._slot)
        if write.horizon is not None:
            await connection.execute(sql.RAISE_HORIZON, (write.horizon, *mine, self.epoch))
        if write.alarm is not None:
            await connection.execute(sql.ALARM, (write.alarm, *mine, self.epoch, write.alarm))

    async def _steps(self, connection: Connection, write: Write) -> None:
        """Attempts that settled nothing, and held versions that were revoked."""
        if write.tried:
            tried = [
                (t.entry.school_year, t.entry.record_id, t.entry.version, t.number, t.outcome) for t in write.tried
            ]
            await connection.execute(sql.TRIED, (self._target, self.epoch, *columns(tried)))
        if write.revokes:
            gone = [(r.entry.school_year, r.entry.record_id, r.revokes, r.entry.version) for r in write.revokes]
            await connection.execute(sql.REVOKE, (*columns(gone), self._target))

    async def _packet(self, connection: Connection, change: CreatePacket | MarkPacket, flush: Flush) -> None:
        match change:
            case CreatePacket():
                row = (change.packet, self._target, self._slot, str(change.op), self._members(change.members, flush))
                await connection.execute(sql.ADD_PACKET, (*row, change.sha256, self.epoch))
            case MarkPacket():
                left = None if not change.members else self._members(change.members, flush)
                await connection.execute(sql.MARK_PACKET, (change.step, left, change.packet))

    def _members(self, members: Iterable[Member], flush: Flush) -> Jsonb:
        return Jsonb([msgspec.to_builtins(self._member(member, flush)) for member in members])

    def _member(self, member: Member, flush: Flush) -> MemberRow:
        entry = member.entry
        return MemberRow(
            offset=entry.offset,
            record_id=entry.record_id,
            version=entry.version,
            key=idempotency_key(self._target, entry.record_id, entry.version, entry.content_hash),
            event_id=entry.event_id,
            op=str(entry.op),
            lane=lane_signed(entry.lane),
            content_hash=entry.content_hash,
            vendor=entry.vendor,
            school_year=entry.school_year,
            size=entry.size,
            seq=member.seq,
            revokes=member.revokes,
            origin=flush.origins.get(entry.offset),
        )

    async def orders(self, taken: Sequence[int]) -> list[Ordered]:
        """Open orders for this slot, without those *taken* already."""
        async with self._pool.connection() as connection:
            asked = (self._target, self._slot, list(taken))
            rows: list[Any] = await (await connection.execute(sql.OPEN_ORDERS, asked)).fetchall()
        return [Ordered(order, lane_unsigned(lane), offset, action) for order, lane, offset, action in rows]

    async def unpublished(self, limit: int) -> list[Unpublished]:
        """The oldest receipts that Kafka may not have."""
        async with self._pool.connection() as connection:
            rows: list[Any] = await (
                await connection.execute(sql.UNPUBLISHED, (self._target, self._slot, limit))
            ).fetchall()
        return [Unpublished(number, ReceiptRow(vendor, event, payload)) for number, vendor, event, payload in rows]

    async def published(self, sent: Sequence[Unpublished]) -> None:
        """Kafka has acknowledged these, the oldest ones; raises LostSlot.

        A slot's receipts are written one transaction after the other, so that no older one comes to light later.
        """
        async with self._pool.connection() as connection, connection.transaction():
            await self._fence(connection)
            await connection.execute(sql.PUBLISHED, (self._target, self._slot, sent[-1].number))


def _outbox_columns(receipts: Sequence[ReceiptRow]) -> tuple[str, str, str]:
    return (
        arrays.texts([row.vendor for row in receipts]),
        arrays.uuids(row.event_id for row in receipts),
        arrays.hexes(row.payload.hex() for row in receipts),
    )
