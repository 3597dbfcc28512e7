"""The right to erasure (facts section 10): what the gateway keeps of one pupil beside the proof of what it did.

Erased are verdicts (with the sealed citizen ID), aliases, and the sealed bodies and claim hashes of closed rows.  Left
are open rows, because a record on its way is no copy (it is counted, so that somebody settles or discards it first),
and what names nobody: lanes, record ids, hashes, the audit.  Running workers drop what they hold in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from gateway.edges.ledger import Pool
from gateway.record import lane_signed

CHANNEL: Final = "hocba_erasures"
_VERDICTS = "DELETE FROM verdicts WHERE lane = %s"
_ALIASES = "DELETE FROM aliases WHERE lane = %s"
_BODIES = (
    "UPDATE parked SET body = NULL, key_id = NULL, claim_hash = NULL "
    "WHERE stage = 'identity' AND lane = %s AND state = 'closed' AND body IS NOT NULL"
)
_OPEN = "SELECT count(*) FROM parked WHERE stage = 'identity' AND target = '' AND lane = %s AND state <> 'closed'"
_NOTE = (
    "INSERT INTO erasures (lane, reason, ordered_by, verdicts, aliases, bodies, open_rows) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s)"
)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased of all the pupils together; *open_rows* were left."""

    pupils: int = 0
    verdicts: int = 0
    aliases: int = 0
    bodies: int = 0
    open_rows: int = 0


async def erase(pool: Pool, lanes: Sequence[int], *, reason: str, by: str) -> Erased:
    """Erase the pupils of *lanes*, each in a transaction of its own with its note; safe to repeat."""
    total = Erased()
    for lane in dict.fromkeys(lanes):
        async with pool.connection() as connection, connection.transaction():
            one = await _erase(connection, lane_signed(lane), reason, by)
        total = Erased(
            total.pupils + 1,
            total.verdicts + one.verdicts,
            total.aliases + one.aliases,
            total.bodies + one.bodies,
            total.open_rows + one.open_rows,
        )
    return total


async def _erase(connection: psycopg.AsyncConnection[Any], lane: int, reason: str, by: str) -> Erased:
    verdicts, aliases, bodies = [
        (await connection.execute(statement, (lane,))).rowcount for statement in (_VERDICTS, _ALIASES, _BODIES)
    ]
    row: Any = await (await connection.execute(_OPEN, (lane,))).fetchone()
    await connection.execute(_NOTE, (lane, reason, by, verdicts, aliases, bodies, row[0]))
    await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(lane)))
    return Erased(1, verdicts, aliases, bodies, row[0])
