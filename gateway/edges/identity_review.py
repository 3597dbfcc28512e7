"""What people decide about identities: the rows that wait for them, their word, and the orders that follow from it.

A decision is a verdict of its claim (lane and claim hash) with the person's name and reason: no look-up replaces it, a
corrected claim is another claim.  It is audited like a look-up, with the endpoint ``person``.  Nobody but the owner of
the slot touches a parked row: a decision writes orders.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from gateway.edges.identity_link import Duty
from gateway.edges.identity_rows import body_context
from gateway.edges.identity_verdicts import Audit, insert_audit, verdict_context
from gateway.edges.keys import Keys, Sealed
from gateway.edges.ledger import Pool
from gateway.record import lane_unsigned

REVIEWED: Final = ("ID-03", "ID-04", "DQ-25")
"""What only a person can settle: differences, several people under one code, a person nobody confirms."""
PURPOSE: Final = "REVIEW"
_FOR_EVER: Final = datetime(9000, 1, 1, tzinfo=UTC)
_CHANNEL: Final = "hocba_orders"
_OPEN = "stage = 'identity' AND target = '' AND state <> 'closed'"
_LIST = (
    "SELECT 'identity:' || p.slot || ':' || p.topic_offset AS id, p.vendor, p.school_code, p.code, "
    "coalesce(v.verdict, '') AS verdict, coalesce(v.field, '') AS differences, p.record_id::text, p.parked_at "
    "FROM parked p LEFT JOIN verdicts v ON v.lane = p.lane AND v.claim_hash = p.claim_hash "
    f"WHERE p.{_OPEN.replace(' AND ', ' AND p.')} AND p.code = ANY(%s) AND (%s = '' OR p.school_code = %s) "
    "ORDER BY p.parked_at, p.slot, p.topic_offset LIMIT %s"
)
_DECIDE = (
    "INSERT INTO verdicts (lane, claim_hash, verdict, field, citizen_id, key_id, checked_at, expires_at, decided_by, "
    "reason) VALUES (%s, %s, 'confirmed', '', %s, %s, %s, %s, %s, %s) ON CONFLICT (lane, claim_hash) DO UPDATE SET "
    "verdict = excluded.verdict, field = '', citizen_id = excluded.citizen_id, key_id = excluded.key_id, "
    "checked_at = excluded.checked_at, expires_at = excluded.expires_at, decided_by = excluded.decided_by, "
    "reason = excluded.reason"
)
_ORDER = (
    "INSERT INTO orders (stage, slot, lane, topic_offset, action, reason, ordered_by) "
    "SELECT 'identity', slot, lane, topic_offset, 'release', %(reason)s, %(by)s FROM parked p "
    f"WHERE {_OPEN} AND {{which}} AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.stage = 'identity' "
    "AND o.slot = p.slot AND o.topic_offset = p.topic_offset AND o.state = 'open') RETURNING slot"
)
_SAME_CLAIM = "lane = %(lane)s AND claim_hash = %(claim_hash)s AND code = ANY(%(codes)s)"


@dataclass(frozen=True, slots=True)
class Review:
    """A record that waits for a person; *differences* are ``field:how``, never a value."""

    id: str
    vendor: str
    school_code: str
    code: str
    verdict: str
    differences: str
    record_id: str
    parked_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's word that the pupil of the row at *offset* of *slot* has this citizen ID."""

    slot: int
    offset: int
    citizen_id: str = field(repr=False)
    reason: str
    by: str


class ReviewDesk:
    """The ledger as the people see it who settle identities."""

    def __init__(self, pool: Pool, keys: Keys) -> None:
        self._pool = pool
        self._keys = keys

    async def waiting(self, codes: Sequence[str], *, school: str = "", limit: int = 100) -> list[Review]:
        """The records that wait, oldest first."""
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(Review))
            await cursor.execute(_LIST, (list(codes), school, school, limit))
            return await cursor.fetchall()

    async def value(self, slot: int, offset: int) -> bytes | None:
        """The mapped record of an open row of identity; None if there is none."""
        statement = f"SELECT body, key_id FROM parked WHERE {_OPEN} AND slot = %s AND topic_offset = %s"
        async with self._pool.connection() as connection:
            row: Any = await (await connection.execute(statement, (slot, offset))).fetchone()
        return None if row is None else self._keys.open(Sealed(row[1], bytes(row[0])), body_context(slot, offset))

    async def confirm(self, decision: Decision, now: datetime) -> int:
        """Keep *decision* for the row's claim and release what waits for it; 0 if the row waits for nobody."""
        async with self._pool.connection() as connection, connection.transaction():
            row = await self._claim(connection, decision)
            if row is None:
                return 0
            lane, claim_hash = row
            key = (lane_unsigned(lane), bytes(claim_hash))
            sealed = self._keys.seal(decision.citizen_id.encode(), verdict_context(key))
            said = (decision.by, decision.reason)
            await connection.execute(_DECIDE, (lane, claim_hash, sealed.data, sealed.key_id, now, _FOR_EVER, *said))
            duty = Duty(PURPOSE, decision.by, "person")
            await insert_audit(connection, [Audit(key[0], uuid.uuid4(), duty, "confirmed")], now)
            given = {"lane": lane, "claim_hash": claim_hash, "codes": list(REVIEWED)}
            return await _give(connection, _SAME_CLAIM, given | {"reason": decision.reason, "by": decision.by})

    async def _claim(self, connection: psycopg.AsyncConnection[Any], decision: Decision) -> Any:
        statement = (
            f"SELECT lane, claim_hash FROM parked WHERE {_OPEN} AND slot = %s AND topic_offset = %s "
            "AND code = ANY(%s) AND claim_hash IS NOT NULL"
        )
        given = (decision.slot, decision.offset, list(REVIEWED))
        return await (await connection.execute(statement, given)).fetchone()


async def _give(connection: psycopg.AsyncConnection[Any], which: str, given: dict[str, object]) -> int:
    rows = await (await connection.execute(_ORDER.format(which=which), given)).fetchall()
    for slot in {row[0] for row in rows}:
        await connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, f"identity||{slot}"))
    return len(rows)
