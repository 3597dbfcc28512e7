"""Aliases: which official pupil code a temporary one has become (DQ-24), and the orders that let its records go on.

A code is personal data (``TAM-<citizen id>``): the temporary one is only a lane here, the official one is sealed.
An alias is recorded once: what a second one says otherwise is a conflict, because records went out under the first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from gateway.edges.keys import Keys, Sealed
from gateway.edges.ledger import Pool
from gateway.record import lane_signed, lane_token, lane_unsigned

_CHANNEL: Final = "hocba_orders"
_RECORD = (
    "INSERT INTO aliases (lane, official_code, key_id, reason, recorded_by) VALUES (%s, %s, %s, %s, %s) "
    "ON CONFLICT (lane) DO NOTHING RETURNING lane"
)
_RELEASE = (
    "INSERT INTO orders (stage, slot, lane, topic_offset, action, reason, ordered_by) "
    "SELECT 'identity', slot, lane, topic_offset, 'release', %(reason)s, %(by)s FROM parked p "
    "WHERE stage = 'identity' AND target = '' AND lane = %(lane)s AND state <> 'closed' AND NOT EXISTS "
    "(SELECT 1 FROM orders o WHERE o.stage = 'identity' AND o.slot = p.slot AND o.topic_offset = p.topic_offset "
    "AND o.state = 'open') ORDER BY place, topic_offset RETURNING slot"
)


@dataclass(frozen=True, slots=True)
class Alias:
    """A temporary code and the official one that took its place; never printed."""

    temporary: str = field(repr=False)
    official: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of aliases: places in the list that was given (from 1) for the conflicts."""

    new: int
    known: int
    conflicts: tuple[int, ...]
    released: int


class AliasStore:
    """Aliases by the temporary code's lane."""

    def __init__(self, pool: Pool, keys: Keys) -> None:
        self._pool = pool
        self._keys = keys

    async def known(self, lanes: Iterable[int]) -> dict[int, str]:
        """The official codes of those of *lanes* that have one."""
        wanted = [lane_signed(lane) for lane in lanes]
        if not wanted:
            return {}
        async with self._pool.connection() as connection:
            return await self._read(connection, wanted)

    async def record(self, aliases: Sequence[Alias], *, reason: str, by: str) -> Recorded:
        """Keep *aliases* and order the release of what is parked under them, in one transaction."""
        new, known, conflicts, released = 0, 0, list[int](), 0
        async with self._pool.connection() as connection, connection.transaction():
            for place, alias in enumerate(aliases, 1):
                lane = lane_token(self._keys.lane_token, alias.temporary)
                sealed = self._keys.seal(alias.official.encode(), alias_context(lane))
                given = (lane_signed(lane), sealed.data, sealed.key_id, reason, by)
                if await (await connection.execute(_RECORD, given)).fetchone():
                    new += 1
                elif (await self._read(connection, [lane_signed(lane)]))[lane] == alias.official:
                    known += 1
                else:
                    conflicts.append(place)
                    continue
                released += await _release(connection, lane, reason, by)
        return Recorded(new, known, tuple(conflicts), released)

    async def _read(self, connection: psycopg.AsyncConnection[Any], lanes: Sequence[int]) -> dict[int, str]:
        statement = "SELECT lane, official_code, key_id FROM aliases WHERE lane = ANY(%s::bigint[])"
        rows = await (await connection.execute(statement, (list(lanes),))).fetchall()
        found = {lane_unsigned(lane): Sealed(key_id, bytes(data)) for lane, data, key_id in rows}
        return {lane: self._keys.open(sealed, alias_context(lane)).decode() for lane, sealed in found.items()}


async def _release(connection: psycopg.AsyncConnection[Any], lane: int, reason: str, by: str) -> int:
    given = {"lane": lane_signed(lane), "reason": reason, "by": by}
    slots = [row[0] for row in await (await connection.execute(_RELEASE, given)).fetchall()]
    for slot in set(slots):
        await connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, f"identity||{slot}"))
    return len(slots)


def alias_context(lane: int) -> bytes:
    """What a sealed official code is bound to."""
    return f"alias|{lane}".encode()
