"""What the tower writes: event states with their tallies in one statement, rejections, and a look at what is open.

PostgreSQL 18 returns the old and the new row of an upsert, so a tally moves by exactly what the statement changed:
two towers that overlap during a rebalance, or a batch that comes twice, cannot count an event twice.  Rows are
written in the order of their keys, so that two towers wait for each other and never in a circle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import psycopg

from gateway.edges.ledger import Pool
from gateway.quarantine.fates import Fate, rounds
from gateway.record import FINAL_STATES, Position

Connection = psycopg.AsyncConnection[tuple[object, ...]]

_FINAL: Final = [str(state) for state in sorted(FINAL_STATES)]

_MOVE_STATES: Final = """
WITH moved AS (
    INSERT INTO event_states AS known (
        event_id, target, month, vendor, record_id, vendor_ref, vendor_event_id, state, rank, seq, version,
        code, field, owner, source_topic, source_partition, source_offset, source_index, at)
    SELECT * FROM unnest(
        %s::uuid[], %s::text[], %s::date[], %s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::smallint[],
        %s::int[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::bigint[], %s::int[],
        %s::timestamptz[])
    ON CONFLICT (event_id, target, month) DO UPDATE SET
        record_id = coalesce(excluded.record_id, known.record_id),
        vendor_ref = coalesce(excluded.vendor_ref, known.vendor_ref),
        vendor_event_id = coalesce(excluded.vendor_event_id, known.vendor_event_id),
        state = excluded.state, rank = excluded.rank, seq = excluded.seq,
        version = coalesce(excluded.version, known.version),
        code = excluded.code, field = excluded.field, owner = excluded.owner, at = excluded.at
    WHERE (excluded.rank, excluded.seq, excluded.at) > (known.rank, known.seq, known.at) AND known.state <> ALL (%s)
    RETURNING new.vendor AS vendor, new.target AS target, old.state AS before, new.state AS after
), steps AS (
    SELECT vendor, target, after AS state, 1 AS step FROM moved
    UNION ALL
    SELECT vendor, target, before, -1 FROM moved WHERE before IS NOT NULL
)
INSERT INTO tallies AS tally (vendor, target, state, events)
SELECT vendor, target, state, sum(step) FROM steps GROUP BY vendor, target, state HAVING sum(step) <> 0
ORDER BY vendor, target, state
ON CONFLICT (vendor, target, state) DO UPDATE SET events = tally.events + excluded.events
"""

_ADD_REJECTIONS: Final = """
INSERT INTO rejections (
    source_topic, source_partition, source_offset, month, vendor, stage, reason, field, items, bytes,
    dlt_partition, dlt_offset, rejected_at)
SELECT * FROM unnest(
    %s::text[], %s::int[], %s::bigint[], %s::date[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::int[], %s::int[], %s::bigint[], %s::timestamptz[])
ON CONFLICT DO NOTHING
"""

_OLDEST_OPEN: Final = """
SELECT vendor, count(*), min(at), extract(epoch FROM now() - min(at))
FROM event_states WHERE state IN ('parked', 'waiting') GROUP BY vendor ORDER BY vendor
"""

RANGED: Final = ("deliveries", "event_states", "rejections", "outbox", "lookups")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A whole input message that was refused, and where its bytes lie (vendor.<v>.rejected)."""

    source: Position
    vendor: str
    stage: str
    reason: str
    field: str
    items: str
    size_bytes: int
    kept_at: Position
    rejected_at: datetime

    @property
    def month(self) -> date:
        """The month of its row: of the rejected record itself, which names no other time."""
        return self.rejected_at.date().replace(day=1)


@dataclass(frozen=True, slots=True)
class OpenEvents:
    """A vendor's events that have not ended, with the age of the oldest."""

    vendor: str
    events: int
    since: datetime
    oldest_s: float


async def project(pool: Pool, told: Iterable[Fate], rejections: Iterable[Rejection]) -> None:
    """Bring states, tallies and rejections up to date in one transaction; safe to repeat."""
    async with pool.connection() as connection, connection.transaction():
        for fates in rounds(told):
            await move_states(connection, fates)
        await _add_rejections(connection, sorted(rejections, key=lambda rejection: rejection.source))


async def move_states(connection: Connection, fates: Sequence[Fate]) -> None:
    """One round in one statement, inside the caller's transaction; every (event, target) stands in it once."""
    rows = [
        (
            fate.event_id,
            fate.target,
            fate.month,
            fate.vendor,
            fate.record_id,
            fate.vendor_ref,
            fate.vendor_event_id,
            str(fate.state),
            fate.rank,
            fate.seq,
            fate.version,
            fate.reason.code,
            fate.reason.field,
            fate.reason.owner,
            fate.source.topic,
            fate.source.partition,
            fate.source.offset,
            fate.source_index,
            fate.at,
        )
        for fate in fates
    ]
    await connection.execute(_MOVE_STATES, [*_columns(rows), _FINAL])


async def _add_rejections(connection: Connection, rejections: Sequence[Rejection]) -> None:
    if not rejections:
        return
    rows = [
        (
            rejection.source.topic,
            rejection.source.partition,
            rejection.source.offset,
            rejection.month,
            rejection.vendor,
            rejection.stage,
            rejection.reason,
            rejection.field,
            rejection.items,
            rejection.size_bytes,
            rejection.kept_at.partition,
            rejection.kept_at.offset,
            rejection.rejected_at,
        )
        for rejection in rejections
    ]
    await connection.execute(_ADD_REJECTIONS, _columns(rows))


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


async def oldest_open(pool: Pool) -> list[OpenEvents]:
    """Each vendor's open events: the watch on the oldest unfinished record."""
    async with pool.connection() as connection:
        found = await (await connection.execute(_OLDEST_OPEN)).fetchall()
    return [OpenEvents(str(row[0]), int(str(row[1])), _datetime(row[2]), float(str(row[3]))) for row in found]


async def outside_ranges(pool: Pool) -> list[str]:
    """The partitioned tables whose catch-all holds rows: a migration with the next ranges is due."""
    found: list[str] = []
    async with pool.connection() as connection:
        for table in RANGED:
            row = await (await connection.execute(f"SELECT EXISTS (SELECT FROM {table}_other)")).fetchone()
            if row is not None and row[0]:
                found.append(table)
    return found


def _datetime(value: object) -> datetime:
    if not isinstance(value, datetime):
        message = f"expected a timestamp, got {type(value).__name__}"
        raise TypeError(message)
    return value
