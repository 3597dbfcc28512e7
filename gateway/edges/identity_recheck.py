"""The nightly re-check: orders for fresh look-ups of pupils whom the registers may know by now.

An order makes its row wait again, and above the high-water mark of waiting rows the stream pauses (design section 3).
So no run orders more than half of the room below that mark, those longest not asked about first; a row asked about
within *rested* hours is left in peace, and the next run goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from gateway.edges.ledger import Pool

RECHECKED: Final = ("ID-02", "ID-05", "DQ-25")
"""What registers may know by now: not found, no citizen ID yet, not confirmed."""
CHANNEL: Final = "hocba_orders"
EXPIRE_PAGE: Final = 5_000

_BUSY = (
    "SELECT (SELECT count(*) FROM parked WHERE stage = 'identity' AND target = '' AND state = 'waiting') + "
    "(SELECT count(*) FROM orders WHERE stage = 'identity' AND state = 'open')"
)
_ORDER = (
    "INSERT INTO orders (stage, slot, lane, topic_offset, action, reason, ordered_by) "
    "SELECT 'identity', p.slot, p.lane, p.topic_offset, 'release', %(reason)s, %(by)s "
    "FROM parked p LEFT JOIN verdicts v ON v.lane = p.lane AND v.claim_hash = p.claim_hash "
    "WHERE p.stage = 'identity' AND p.target = '' AND p.state <> 'closed' AND p.code = ANY(%(codes)s) "
    "AND coalesce(v.checked_at, p.parked_at) <= %(before)s AND NOT EXISTS (SELECT 1 FROM orders o "
    "WHERE o.stage = 'identity' AND o.slot = p.slot AND o.topic_offset = p.topic_offset AND o.state = 'open') "
    "ORDER BY coalesce(v.checked_at, p.parked_at) LIMIT %(most)s RETURNING slot"
)
_EXPIRE = (
    "UPDATE parked SET body = NULL, key_id = NULL, claim_hash = NULL WHERE ctid IN (SELECT ctid FROM parked "
    "WHERE stage = 'identity' AND state = 'closed' AND body IS NOT NULL AND closed_at < %s LIMIT %s)"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked about again: rows parked under *codes* and not looked up since *before*; *most* is None for all."""

    reason: str
    by: str
    before: datetime
    codes: Sequence[str] = RECHECKED
    most: int | None = None


async def recheck(pool: Pool, wish: Wish) -> int:
    """Order fresh look-ups; how many."""
    async with pool.connection() as connection, connection.transaction():
        return await _order(connection, wish)


async def recheck_within(pool: Pool, wish: Wish, high_water: int) -> int:
    """Order as many of them as fit into half of the room below *high_water*; how many."""
    async with pool.connection() as connection, connection.transaction():
        busy: Any = await (await connection.execute(_BUSY)).fetchone()
        room = max(0, (high_water - int(busy[0])) // 2)
        limited = Wish(wish.reason, wish.by, wish.before, wish.codes, room)
        return await _order(connection, limited) if room else 0


async def expire_bodies(pool: Pool, now: datetime, kept: timedelta) -> int:
    """Empty identity's rows that were closed longer than *kept* ago, a page at a time; how many."""
    emptied, page = 0, EXPIRE_PAGE
    while page == EXPIRE_PAGE:
        async with pool.connection() as connection:
            page = (await connection.execute(_EXPIRE, (now - kept, EXPIRE_PAGE))).rowcount
        emptied += page
    return emptied


async def _order(connection: psycopg.AsyncConnection[Any], wish: Wish) -> int:
    given = {
        "reason": wish.reason,
        "by": wish.by,
        "codes": list(wish.codes),
        "before": wish.before,
        "most": wish.most,
    }
    rows = await (await connection.execute(_ORDER, given)).fetchall()
    for slot in {row[0] for row in rows}:
        await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"identity||{slot}"))
    return len(rows)
