"""Identity's rows of one slot: heads as a projection, parked rows, orders; written only by the slot's present owner.

Kafka holds the truth and PostgreSQL must agree after any crash, so each write has its side of the Kafka commit:

    before   parked rows of the batch, and older rows they replaced (``closed_by`` = the replacing offset)
    after    heads with the watermark, closed and re-parked rows, finished orders: one transaction

A take-over raises the slot's epoch, so that a paused predecessor can write no more; it deletes rows at or above the
committed offset and reopens what they replaced, because that batch never happened; and it closes rows whose event it
finds in national.records above the watermark, because that release did happen.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg

from gateway.edges.identity_rows import (
    HEAD_COLUMNS,
    HEAD_CONFLICT,
    PARKED_COLUMNS,
    PARKED_CONFLICT,
    ROW,
    Aftermath,
    Closing,
    Known,
    Order,
    Parking,
    Published,
    Repark,
    Stored,
    body_context,
    entry_of,
    head_columns,
    parked_columns,
    repark_columns,
    stored_of,
)
from gateway.edges.identity_sql import columns_of, insert
from gateway.edges.keys import Keys, Sealed
from gateway.edges.ledger import Pool
from gateway.identity.versions import Claimant, Head
from gateway.record import NATIONAL_TOPIC, lane_signed, lane_unsigned

OWNER: Final = "@identity"
"""The stage's name in slot_owner; no target can have it."""
SYSTEM_PAGE: Final = 500

_FENCE = "SELECT 1 FROM slot_owner WHERE target = %s AND slot = %s AND epoch = %s FOR SHARE"
_MINE = "stage = 'identity' AND target = '' AND slot = %(slot)s"
_OPEN = f"{_MINE} AND state <> 'closed'"


class SlotLost(Exception):
    """Another worker has taken the slot over; this process must end without writing more, and may start anew."""


class SlotLedger:
    """The ledger as the owner of one slot of identity sees it; every write compares the epoch first."""

    def __init__(self, pool: Pool, keys: Keys, slot: int) -> None:
        self._pool = pool
        self._keys = keys
        self._slot = slot
        self._epoch = 0

    async def raise_epoch(self) -> None:
        """Shut the predecessor out: waits for its writes in flight, refuses all later ones."""
        statement = (
            "INSERT INTO slot_owner (target, slot, epoch) VALUES (%s, %s, 1) "
            "ON CONFLICT (target, slot) DO UPDATE SET epoch = slot_owner.epoch + 1 RETURNING epoch"
        )
        async with self._pool.connection() as connection:
            row: Any = await (await connection.execute(statement, (OWNER, self._slot))).fetchone()
            self._epoch = int(row[0])

    async def is_used(self) -> bool:
        """Whether this slot has parked rows or a watermark, so that committed offsets must exist."""
        statement = (
            f"SELECT EXISTS (SELECT 1 FROM parked WHERE {_MINE}) "
            "OR EXISTS (SELECT 1 FROM watermarks WHERE topic = %(topic)s AND slot = %(slot)s)"
        )
        return bool((await self._rows(statement, topic=NATIONAL_TOPIC))[0][0])

    async def undo_from(self, committed: int) -> int:
        """Forget what was written for the batch at and above *committed*: it never happened.  The rows deleted."""
        async with self._pool.connection() as connection, connection.transaction():
            await self._fence(connection)
            given = {"slot": self._slot, "committed": committed}
            gone = await connection.execute(
                f"DELETE FROM parked WHERE {_MINE} AND topic_offset >= %(committed)s", given
            )
            reopen = (
                "UPDATE parked SET state = CASE code WHEN 'ID-01' THEN 'waiting' ELSE 'parked' END, "
                "end_state = NULL, closed_at = NULL, closed_by = NULL "
                f"WHERE {_MINE} AND closed_by >= %(committed)s"
            )
            await connection.execute(reopen, given)
            return gone.rowcount

    async def watermark(self) -> int:
        """The next offset of national.records to project."""
        statement = "SELECT next_offset FROM watermarks WHERE topic = %(topic)s AND slot = %(slot)s"
        rows = await self._rows(statement, topic=NATIONAL_TOPIC)
        return int(rows[0][0]) if rows else 0

    async def catch_up(self, heads: Sequence[Published], next_offset: int) -> None:
        """Project records found above the watermark; open rows of these events were released."""
        events = [published.head.entry.event_id for published in heads]
        async with self._pool.connection() as connection, connection.transaction():
            await self._fence(connection)
            await self._project(connection, heads, next_offset)
            await connection.execute(
                f"UPDATE parked SET state = 'closed', end_state = 'released', closed_at = now() "
                f"WHERE {_OPEN} AND event_id = ANY(%(events)s::uuid[])",
                {"slot": self._slot, "events": events},
            )

    async def open_lanes(self) -> tuple[set[int], int]:
        """The lanes with open rows, and how many rows wait for a look-up."""
        lanes = await self._rows(f"SELECT DISTINCT lane FROM parked WHERE {_OPEN}")
        waiting = await self._rows(f"SELECT count(*) FROM parked WHERE {_MINE} AND state = 'waiting'")
        return {lane_unsigned(row[0]) for row in lanes}, int(waiting[0][0])

    async def lanes(self, lanes: Iterable[int]) -> list[Stored]:
        """All open rows of *lanes*, in lane order."""
        statement = f"SELECT {ROW} FROM parked WHERE {_OPEN} AND lane = ANY(%(lanes)s) ORDER BY place, topic_offset"
        return [stored_of(row) for row in await self._rows(statement, lanes=[lane_signed(lane) for lane in lanes])]

    async def waiting(self, after: int) -> list[Stored]:
        """The next page of rows that wait for a look-up, above offset *after*."""
        statement = (
            f"SELECT {ROW} FROM parked WHERE {_MINE} AND state = 'waiting' AND topic_offset > %(after)s "
            f"ORDER BY topic_offset LIMIT {SYSTEM_PAGE}"
        )
        return [stored_of(row) for row in await self._rows(statement, after=after)]

    async def behind(self) -> set[int]:
        """Lanes with rows behind another; one of them may have become the first by a crash."""
        statement = f"SELECT DISTINCT lane FROM parked WHERE {_OPEN} AND code = 'GW-03'"
        return {lane_unsigned(row[0]) for row in await self._rows(statement)}

    def unseal(self, stored: Stored) -> bytes:
        """The mapped value of a parked row."""
        return self._keys.open(stored.sealed, self._context(stored.row.offset))

    async def heads(self, records: Sequence[str]) -> Known:
        """Heads and hand-overs of *records*."""
        rows = await self._rows(
            "SELECT record_id, version, event_id, vendor, school_code, epoch, source_order, content_hash, op "
            "FROM heads WHERE record_id = ANY(%(records)s::uuid[])",
            records=list(records),
        )
        allowed: dict[str, frozenset[Claimant]] = {}
        statement = "SELECT record_id, vendor, school_code FROM handovers WHERE record_id = ANY(%(records)s::uuid[])"
        for record, vendor, school in await self._rows(statement, records=list(records)):
            allowed[str(record)] = allowed.get(str(record), frozenset()) | {(vendor, school)}
        return Known({str(row[0]): Head(row[1], entry_of(row[2:])) for row in rows}, allowed)

    async def park(self, parkings: Sequence[Parking], closings: Sequence[Closing]) -> None:
        """Write the batch's parked rows and close what they replace, before the Kafka commit."""
        async with self._pool.connection() as connection, connection.transaction():
            await self._fence(connection)
            rows = [parked_columns(self._slot, parking, self._seal(parking)) for parking in parkings]
            await insert(connection, "parked", PARKED_COLUMNS, rows, PARKED_CONFLICT)
            await self._close(connection, closings)

    async def finish(self, after: Aftermath) -> None:
        """Write what follows the Kafka commit; safe to repeat."""
        async with self._pool.connection() as connection, connection.transaction():
            await self._fence(connection)
            if after.next_offset is not None:
                await self._project(connection, after.heads, after.next_offset)
            await self._close(connection, after.closings)
            await self._repark(connection, after.reparks)
            if after.orders:
                statement = (
                    "UPDATE orders SET state = o.state, outcome = o.outcome, done_at = now() "
                    "FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS o (id, state, outcome) WHERE orders.id = o.id"
                )
                await connection.execute(statement, columns_of(after.orders, 3))

    async def orders(self, below: int) -> list[Order]:
        """Open orders for rows below offset *below*, oldest first; what stands above is not yet committed."""
        statement = (
            "SELECT id, lane, topic_offset, action FROM orders WHERE stage = 'identity' AND target = '' "
            f"AND slot = %(slot)s AND state = 'open' AND topic_offset < %(below)s ORDER BY id LIMIT {SYSTEM_PAGE}"
        )
        rows = await self._rows(statement, below=below)
        return [Order(number, lane_unsigned(lane), offset, action) for number, lane, offset, action in rows]

    async def _rows(self, statement: str, **given: object) -> list[Any]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(statement, {"slot": self._slot, **given})).fetchall()

    async def _fence(self, connection: psycopg.AsyncConnection[Any]) -> None:
        cursor = await connection.execute(_FENCE, (OWNER, self._slot, self._epoch))
        if await cursor.fetchone() is None:
            message = f"slot {self._slot} of identity has another owner"
            raise SlotLost(message)

    async def _project(
        self, connection: psycopg.AsyncConnection[Any], heads: Sequence[Published], next_offset: int
    ) -> None:
        newest = {published.record_id: published for published in sorted(heads, key=lambda one: one.offset)}
        rows = [head_columns(self._slot, published) for published in newest.values()]
        await insert(connection, "heads", HEAD_COLUMNS, rows, HEAD_CONFLICT)
        await connection.execute(
            "INSERT INTO watermarks (topic, slot, next_offset) VALUES (%s, %s, %s) ON CONFLICT (topic, slot) "
            "DO UPDATE SET next_offset = greatest(watermarks.next_offset, excluded.next_offset)",
            (NATIONAL_TOPIC, self._slot, next_offset),
        )

    async def _close(self, connection: psycopg.AsyncConnection[Any], closings: Sequence[Closing]) -> None:
        if not closings:
            return
        statement = (
            "UPDATE parked SET state = 'closed', end_state = c.end_state, closed_by = c.closed_by, closed_at = now() "
            "FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) AS c (topic_offset, end_state, closed_by) "
            "WHERE stage = 'identity' AND target = '' AND slot = %s "
            "AND parked.topic_offset = c.topic_offset AND state <> 'closed'"
        )
        columns = columns_of([(one.offset, one.end_state, one.closed_by) for one in closings], 3)
        await connection.execute(statement, (*columns, self._slot))

    async def _repark(self, connection: psycopg.AsyncConnection[Any], reparks: Sequence[Repark]) -> None:
        if not reparks:
            return
        statement = (
            "UPDATE parked SET state = r.state, code = r.code, field = r.field, owner = r.owner, seq = r.seq, "
            "claim_hash = r.claim_hash "
            "FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::bytea[]) "
            "AS r (topic_offset, state, code, field, owner, seq, claim_hash) WHERE stage = 'identity' AND target = '' "
            "AND slot = %s AND parked.topic_offset = r.topic_offset AND parked.state <> 'closed'"
        )
        rows = [repark_columns(one) for one in reparks]
        await connection.execute(statement, (*columns_of(rows, 7), self._slot))

    def _seal(self, parking: Parking) -> Sealed:
        return self._keys.seal(parking.value, self._context(parking.row.offset))

    def _context(self, offset: int) -> bytes:
        return body_context(self._slot, offset)
