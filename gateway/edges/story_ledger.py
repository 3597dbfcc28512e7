"""What the ledger knows of one event: the rows that ``hocba explain`` puts in order.

The question may be an event id, the vendor's own event id (ce_id), the vendor's record id or a national record id.
No row here holds personal data; the tables' ids are pseudonyms.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.edges.ledger import Pool
from gateway.edges.operator_ledger import (
    OrderRow,
    ParkedFilter,
    ParkedRow,
    RejectedRow,
    parked_rows,
    read_rows,
    rejected_at,
)
from gateway.record import Position

MAX_EVENTS: Final = 20


@dataclass(frozen=True, slots=True)
class EventState:
    """The state of the event at one target, from its receipts."""

    event_id: str
    target: str
    vendor: str
    record_id: str | None
    vendor_ref: str | None
    vendor_event_id: str | None
    state: str
    rank: int
    seq: int
    version: int | None
    code: str
    field: str
    owner: str
    source_topic: str
    source_partition: int
    source_offset: int
    source_index: int
    at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """What became of the version at one target."""

    target: str
    record_id: str
    version: int
    slot: int
    topic_offset: int
    op: str
    state: str
    target_code: str
    packet: str | None
    packet_step: str | None
    attempts: int
    settled_at: datetime


@dataclass(frozen=True, slots=True)
class HeadRow:
    """The event as the present head of its record."""

    record_id: str
    slot: int
    version: int
    topic_offset: int
    op: str


@dataclass(frozen=True, slots=True)
class LedgerStory:
    """Everything the ledger holds of one event."""

    event_id: str
    states: tuple[EventState, ...]
    rejection: RejectedRow | None
    parked: tuple[ParkedRow, ...]
    deliveries: tuple[DeliveryRow, ...]
    head: HeadRow | None
    orders: tuple[OrderRow, ...]


@dataclass(frozen=True, slots=True)
class ItemState:
    """The state of one item of a message at one target."""

    event_id: str
    source_index: int
    target: str
    state: str
    code: str
    field: str


@dataclass(frozen=True, slots=True)
class _Event:
    event_id: str


_STATES: Final = """
SELECT event_id::text, target, vendor, record_id::text, vendor_ref, vendor_event_id, state, rank, seq, version,
       code, field, owner, source_topic, source_partition, source_offset, source_index, at
FROM event_states WHERE event_id = %(event)s::uuid ORDER BY target
"""

_DELIVERIES: Final = """
SELECT d.target, d.record_id::text, d.version, d.slot, d.topic_offset, d.op, d.state, d.target_code, d.packet::text,
       p.step AS packet_step, d.attempts, d.settled_at
FROM deliveries d LEFT JOIN packets p ON p.packet = d.packet
WHERE d.event_id = %(event)s::uuid ORDER BY d.target, d.version
"""

_HEAD: Final = """
SELECT record_id::text, slot, version, topic_offset, op FROM heads WHERE event_id = %(event)s::uuid
"""

_ORDERS: Final = """
SELECT o.id, o.stage, o.target, o.slot, o.topic_offset, o.action, o.reason, o.ordered_by, o.ordered_at,
       o.state, o.outcome
FROM orders o JOIN parked p USING (stage, target, slot, topic_offset)
WHERE p.event_id = %(event)s::uuid ORDER BY o.id
"""

_BY_ID: Final = """
SELECT event_id::text FROM (
    SELECT event_id FROM event_states WHERE event_id = %(id)s::uuid OR record_id = %(id)s::uuid
    UNION SELECT event_id FROM parked WHERE event_id = %(id)s::uuid OR record_id = %(id)s::uuid
    UNION SELECT event_id FROM deliveries WHERE event_id = %(id)s::uuid OR record_id = %(id)s::uuid
    UNION SELECT event_id FROM heads WHERE event_id = %(id)s::uuid OR record_id = %(id)s::uuid
    UNION SELECT m.event_id
    FROM packets p CROSS JOIN LATERAL jsonb_to_recordset(p.members) AS m (event_id uuid, record_id uuid)
    WHERE p.step <> 'settled' AND (m.event_id = %(id)s::uuid OR m.record_id = %(id)s::uuid)
) AS found ORDER BY event_id LIMIT %(limit)s
"""

_BY_VENDORS_ID: Final = """
SELECT DISTINCT event_id::text FROM event_states
WHERE vendor_event_id = %(text)s OR vendor_ref = %(text)s ORDER BY event_id LIMIT %(limit)s
"""


async def items_at(pool: Pool, position: Position) -> list[ItemState]:
    """What became of the items of the message at *position*."""
    query = (
        "SELECT event_id::text, source_index, target, state, code, field FROM event_states "
        "WHERE source_topic = %(topic)s AND source_partition = %(partition)s AND source_offset = %(offset)s "
        "ORDER BY source_index, target"
    )
    place = {"topic": position.topic, "partition": position.partition, "offset": position.offset}
    return await read_rows(pool, ItemState, query, place)


async def events_of(pool: Pool, text: str) -> list[str]:
    """The event ids that *text* means, at most MAX_EVENTS: an id of ours first, else one of the vendor's."""
    try:
        ours = str(uuid.UUID(text))
    except ValueError:
        ours = ""
    found: list[_Event] = []
    if ours:
        found = await read_rows(pool, _Event, _BY_ID, {"id": ours, "limit": MAX_EVENTS})
    if not found:
        found = await read_rows(pool, _Event, _BY_VENDORS_ID, {"text": text, "limit": MAX_EVENTS})
    return [row.event_id for row in found]


async def story(pool: Pool, event: str) -> LedgerStory:
    """All rows of *event*; parts the event never reached are empty."""
    asked = {"event": event}
    states = await read_rows(pool, EventState, _STATES, asked)
    rejection = None
    if states:
        first = states[0]
        rejection = await rejected_at(pool, first.source_topic, first.source_partition, first.source_offset)
    heads = await read_rows(pool, HeadRow, _HEAD, asked)
    return LedgerStory(
        event_id=event,
        states=tuple(states),
        rejection=rejection,
        parked=tuple(await parked_rows(pool, ParkedFilter(event=event, any_state=True))),
        deliveries=tuple(await read_rows(pool, DeliveryRow, _DELIVERIES, asked)),
        head=heads[0] if heads else None,
        orders=tuple(await read_rows(pool, OrderRow, _ORDERS, asked)),
    )
