"""What operators read from the ledger, and the orders they write into it.

Reading only, but for ``give_orders``: an order is a row that the owner of the slot takes (`NOTIFY` and a poll each
second); nobody else changes a parked record.  No query here returns a body, a citizen ID or a lane's pupil.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from psycopg.rows import class_row, scalar_row
from psycopg_pool import PoolTimeout

from gateway.edges.ledger import LedgerUnavailable, Pool, make_pool
from gateway.quarantine.plans import Candidate, ParkedId, PlannedOrder

ORDERS_CHANNEL: Final = "hocba_orders"
CONNECT_S: Final = 5.0
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class StateCount:
    """Events of a vendor in one state at one target: counted row by row, and as the tally says."""

    vendor: str
    target: str
    state: str
    events: int
    tally: int


@dataclass(frozen=True, slots=True)
class OpenWork:
    """What has not come to rest.  *parked* rests until somebody acts; everything else moves by itself."""

    parked: int
    behind: int
    waiting: int
    orders: int
    outbox: int
    packets: int
    submitted: int

    @property
    def moving(self) -> int:
        """Zero when the ledger is at rest."""
        return self.waiting + self.orders + self.outbox + self.packets + self.submitted


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A parked record without its body."""

    stage: str
    target: str
    slot: int
    topic_offset: int
    lane: int
    record_id: str
    event_id: str
    vendor: str
    school_year: int
    version: int | None
    op: str
    state: str
    end_state: str | None
    code: str
    field: str
    owner: str
    target_code: str
    seq: int
    attempts: int
    parked_at: datetime
    closed_at: datetime | None
    ordered: bool

    @property
    def id(self) -> ParkedId:
        """The id that people use."""
        return ParkedId(self.stage, self.target, self.slot, self.topic_offset)

    def candidate(self) -> Candidate:
        """What a plan needs of it."""
        return Candidate(self.id, self.lane, self.state, self.code, self.ordered)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A rejected message: where it stood, why, and where its bytes are kept."""

    source_topic: str
    source_partition: int
    source_offset: int
    vendor: str
    stage: str
    reason: str
    field: str
    items: str
    bytes: int
    dlt_partition: int
    dlt_offset: int
    rejected_at: datetime


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order and what became of it."""

    id: int
    stage: str
    target: str
    slot: int
    topic_offset: int
    action: str
    reason: str
    ordered_by: str
    ordered_at: datetime
    state: str
    outcome: str


@dataclass(frozen=True, slots=True)
class ParkedFilter:
    """Which parked rows; None means any, *any_state* includes closed ones."""

    vendor: str | None = None
    code: str | None = None
    target: str | None = None
    stage: str | None = None
    event: str | None = None
    any_state: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """Who gives an order, and why."""

    name: str
    reason: str


_PARKED: Final = """
SELECT stage, target, slot, topic_offset, lane, record_id::text, event_id::text, vendor, school_year, version, op,
       state, end_state, code, field, owner, target_code, seq, attempts, parked_at, closed_at,
       EXISTS (SELECT FROM orders WHERE orders.state = 'open' AND orders.stage = parked.stage
               AND orders.target = parked.target AND orders.slot = parked.slot
               AND orders.topic_offset = parked.topic_offset) AS ordered
FROM parked
"""

_FILTERED: Final = """
WHERE (%(vendor)s::text IS NULL OR vendor = %(vendor)s) AND (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(target)s::text IS NULL OR target = %(target)s) AND (%(stage)s::text IS NULL OR stage = %(stage)s)
  AND (%(event)s::text IS NULL OR event_id::text = %(event)s) AND (%(any_state)s OR state <> 'closed')
"""

_STATE_COUNTS: Final = """
WITH counted AS (SELECT vendor, target, state, count(*) AS events FROM event_states GROUP BY vendor, target, state)
SELECT vendor, target, state,
       coalesce(counted.events, 0)::bigint AS events, coalesce(tallies.events, 0)::bigint AS tally
FROM counted FULL JOIN tallies USING (vendor, target, state)
WHERE coalesce(counted.events, 0) <> 0 OR coalesce(tallies.events, 0) <> 0
ORDER BY vendor, target, state
"""

_OPEN_WORK: Final = """
SELECT (SELECT count(*) FROM parked WHERE state = 'parked') AS parked,
       (SELECT count(*) FROM parked WHERE state = 'parked' AND code = 'GW-03') AS behind,
       (SELECT count(*) FROM parked WHERE state = 'waiting') AS waiting,
       (SELECT count(*) FROM orders WHERE state = 'open') AS orders,
       (SELECT count(*) FROM outbox WHERE NOT published) AS outbox,
       (SELECT count(*) FROM packets WHERE step <> 'settled') AS packets,
       (SELECT count(*) FROM deliveries WHERE state = 'submitted') AS submitted
"""

_GIVE_ORDER: Final = """
INSERT INTO orders (stage, target, slot, lane, topic_offset, action, reason, ordered_by)
SELECT stage, target, slot, lane, topic_offset, %(action)s, %(reason)s, %(by)s FROM parked
WHERE stage = %(stage)s AND target = %(target)s AND slot = %(slot)s AND topic_offset = %(offset)s AND state <> 'closed'
RETURNING id
"""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Pool]:
    """A pool of one connection for a command; raises LedgerUnavailable."""
    pool = make_pool(url, 1)
    try:
        await pool.open(wait=True, timeout=CONNECT_S)
    except PoolTimeout as error:
        await pool.close()
        message = "the ledger (PostgreSQL) cannot be reached; check ledger.url"
        raise LedgerUnavailable(message) from error
    try:
        yield pool
    finally:
        await pool.close()


async def read_rows(
    pool: Pool, shape: type[Row], query: str, parameters: Mapping[str, object] | None = None
) -> list[Row]:
    """The rows of *query* as values of *shape*."""
    async with pool.connection() as connection, connection.cursor(row_factory=class_row(shape)) as cursor:
        return list(await (await cursor.execute(query, parameters)).fetchall())


async def state_counts(pool: Pool, vendor: str | None = None) -> list[StateCount]:
    """Events by vendor, target and state; *tally* differs from *events* only if something is wrong."""
    counts = await read_rows(pool, StateCount, _STATE_COUNTS)
    return [count for count in counts if vendor in (None, count.vendor)]


async def open_work(pool: Pool) -> OpenWork:
    """Whether the ledger has come to rest."""
    return (await read_rows(pool, OpenWork, _OPEN_WORK))[0]


async def parked_rows(pool: Pool, wanted: ParkedFilter, limit: int | None = None) -> list[ParkedRow]:
    """Parked records, oldest first."""
    parameters = {
        "vendor": wanted.vendor,
        "code": wanted.code,
        "target": wanted.target,
        "stage": wanted.stage,
        "event": wanted.event,
        "any_state": wanted.any_state,
        "limit": limit,
    }
    order = "ORDER BY parked_at, stage, target, slot, topic_offset LIMIT %(limit)s"
    return await read_rows(pool, ParkedRow, _PARKED + _FILTERED + order, parameters)


async def parked_by_ids(pool: Pool, ids: Sequence[ParkedId]) -> list[ParkedRow]:
    """The rows with *ids* that exist, closed ones included."""
    query = _PARKED + (
        "JOIN unnest(%(stages)s::text[], %(targets)s::text[], %(slots)s::int[], %(offsets)s::bigint[]) "
        "AS asked (stage, target, slot, topic_offset) USING (stage, target, slot, topic_offset) "
        "ORDER BY stage, target, slot, topic_offset"
    )
    parameters = {
        "stages": [one.stage for one in ids],
        "targets": [one.target for one in ids],
        "slots": [one.slot for one in ids],
        "offsets": [one.offset for one in ids],
    }
    return await read_rows(pool, ParkedRow, query, parameters)


async def rejected_rows(pool: Pool, vendor: str | None, code: str | None, limit: int) -> list[RejectedRow]:
    """Rejected messages, newest first."""
    query = (
        "SELECT source_topic, source_partition, source_offset, vendor, stage, reason, field, items, bytes, "
        "dlt_partition, dlt_offset, rejected_at FROM rejections "
        "WHERE (%(vendor)s::text IS NULL OR vendor = %(vendor)s) AND (%(code)s::text IS NULL OR reason = %(code)s) "
        "ORDER BY rejected_at DESC, source_topic, source_partition, source_offset LIMIT %(limit)s"
    )
    return await read_rows(pool, RejectedRow, query, {"vendor": vendor, "code": code, "limit": limit})


async def rejected_at(pool: Pool, topic: str, partition: int, offset: int) -> RejectedRow | None:
    """The rejected message that stood at this position, if there is one."""
    query = (
        "SELECT source_topic, source_partition, source_offset, vendor, stage, reason, field, items, bytes, "
        "dlt_partition, dlt_offset, rejected_at FROM rejections "
        "WHERE source_topic = %(topic)s AND source_partition = %(partition)s AND source_offset = %(offset)s"
    )
    position = {"topic": topic, "partition": partition, "offset": offset}
    return next(iter(await read_rows(pool, RejectedRow, query, position)), None)


async def give_orders(pool: Pool, orders: Sequence[PlannedOrder], person: Person) -> list[int]:
    """Write all of *orders* in one transaction and wake the owners; the ids of those whose row was still open."""
    given: list[int] = []
    async with pool.connection() as connection, connection.transaction():
        cursor = connection.cursor(row_factory=scalar_row)
        for order in orders:
            await cursor.execute(
                _GIVE_ORDER,
                {
                    "stage": order.id.stage,
                    "target": order.id.target,
                    "slot": order.id.slot,
                    "offset": order.id.offset,
                    "action": order.action,
                    "reason": person.reason,
                    "by": person.name,
                },
            )
            given += [int(str(number)) for number in await cursor.fetchall()]
        owners = sorted({f"{order.id.stage}|{order.id.target}|{order.id.slot}" for order in orders})
        for owner in owners:
            await connection.execute("SELECT pg_notify(%s, %s)", (ORDERS_CHANNEL, owner))
    return given


async def orders_by_ids(pool: Pool, ids: Sequence[int]) -> list[OrderRow]:
    """What became of the orders *ids*."""
    query = (
        "SELECT id, stage, target, slot, topic_offset, action, reason, ordered_by, ordered_at, state, outcome "
        "FROM orders WHERE id = ANY(%(ids)s) ORDER BY id"
    )
    return await read_rows(pool, OrderRow, query, {"ids": list(ids)})
