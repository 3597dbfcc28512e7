"""The ledger's drift counts: what the tower adds and what ``hocba connector coverage --live`` shows.

A report counts once however often it is read: the watermark of its partition moves in the same transaction, and a
report at or below it is passed over.  A connector has at most MAX_NAMES names a kind; what comes above is summed
under ``…``, because names are the vendor's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from gateway.edges.ledger import Pool
from gateway.intake.drift import DriftReport, summed
from gateway.record import DRIFT_TOPIC, Position

MAX_NAMES: Final = 256
MORE: Final = "…"

Connection = psycopg.AsyncConnection[tuple[object, ...]]

_ADVANCE: Final = """
INSERT INTO watermarks AS known (topic, slot, next_offset) VALUES (%s, %s, %s)
ON CONFLICT (topic, slot) DO UPDATE SET next_offset = excluded.next_offset
WHERE known.next_offset < excluded.next_offset
RETURNING slot
"""

_NAMES: Final = "SELECT connector, kind, name FROM drift WHERE connector = ANY (%s)"

_ADD: Final = """
INSERT INTO drift AS known (connector, kind, name, times, first_at, last_at)
SELECT connector, kind, name, times, %s, %s FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[])
    AS told (connector, kind, name, times)
ORDER BY connector, kind, name
ON CONFLICT (connector, kind, name) DO UPDATE SET
    times = known.times + excluded.times,
    first_at = least(known.first_at, excluded.first_at), last_at = greatest(known.last_at, excluded.last_at)
"""

_SHOW: Final = """
SELECT connector, kind, name, times, first_at, last_at FROM drift WHERE connector = ANY (%s)
ORDER BY connector, kind, times DESC, name
"""


@dataclass(frozen=True, slots=True)
class Told:
    """A drift report and where it stood."""

    position: Position
    at: datetime
    report: DriftReport


@dataclass(frozen=True, slots=True)
class Counted:
    """One line of the live drift report."""

    connector: str
    kind: str
    name: str
    times: int
    first_at: datetime
    last_at: datetime


async def project(pool: Pool, told: Sequence[Told]) -> None:
    """Adds the reports not yet added, in one transaction; safe to repeat."""
    if not told:
        return
    async with pool.connection() as connection, connection.transaction():
        fresh = [one for one in sorted(told, key=lambda one: one.position) if await _is_new(connection, one.position)]
        if fresh:
            await _add(connection, fresh)


async def _is_new(connection: Connection, position: Position) -> bool:
    row = (DRIFT_TOPIC, position.partition, position.offset + 1)
    return await (await connection.execute(_ADVANCE, row)).fetchone() is not None


async def _add(connection: Connection, fresh: Sequence[Told]) -> None:
    sums = summed(one.report for one in fresh)
    connectors = sorted({connector for connector, _, _ in sums})
    known = {(str(c), str(k), str(n)) for c, k, n in await (await connection.execute(_NAMES, (connectors,))).fetchall()}
    rows: dict[tuple[str, str, str], int] = {}
    for key, times in sorted(sums.items()):
        connector, kind, _ = key
        if key not in known and sum(k[:2] == (connector, kind) for k in known) >= MAX_NAMES:
            key = (connector, kind, MORE)  # noqa: PLW2901  the same count under the name for all others
        known.add(key)
        rows[key] = rows.get(key, 0) + times
    columns = [[*column] for column in zip(*((*key, times) for key, times in rows.items()), strict=True)]
    times_told = [one.at for one in fresh]
    await connection.execute(_ADD, [min(times_told), max(times_told), *columns])


async def counted(pool: Pool, connectors: Sequence[str]) -> list[Counted]:
    """The counts of *connectors*, the most frequent first."""
    async with pool.connection() as connection:
        found = await (await connection.execute(_SHOW, (list(connectors),))).fetchall()
    return [Counted(*row) for row in found]  # type: ignore[arg-type]  # the columns of the table above
