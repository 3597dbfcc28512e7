"""The story of one event, for ``hocba explain``: what the ledger knows, with what still lies in Kafka beside it.

    source position, bytes ─► mapped ─► identity: parked or published ─► national version ─► each target ─► receipts

Values of records never enter the story: sizes, checksums, ids, codes and states only.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from gateway.config import Config
from gateway.edges.ledger import Pool
from gateway.edges.operator_ledger import ParkedRow, RejectedRow
from gateway.edges.operator_stream import BytesFound, HeadFound, ReceiptFound, bytes_at, head_at, reading, receipts_of
from gateway.edges.story_ledger import DeliveryRow, EventState, LedgerStory, story
from gateway.errors import Problem, catalogue, describe
from gateway.record import MAPPED_TOPIC, NATIONAL_TOPIC, Position


@dataclass(frozen=True, slots=True)
class Source:
    """Where the event came from; *bytes* is None when the vendor's record has aged out."""

    position: str
    index: int
    bytes: BytesFound | None
    rejected: RejectedRow | None


@dataclass(frozen=True, slots=True)
class AtTarget:
    """What became of the event at one target."""

    target: str
    state: str
    since: datetime | None
    version: int | None
    attempts: int
    code: str
    field: str
    target_code: str
    packet: str | None
    packet_step: str | None
    parked_as: str | None


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that can be said of one event without saying who it is about."""

    event_id: str
    vendor: str
    vendor_event_id: str | None
    vendor_ref: str | None
    record_id: str | None
    source: Source | None
    mapped: HeadFound | None
    identity: tuple[dict[str, Any], ...]
    national: HeadFound | None
    targets: tuple[AtTarget, ...]
    orders: tuple[dict[str, Any], ...]
    receipts: tuple[ReceiptFound, ...]


async def tell(config: Config, pool: Pool, event: str) -> Story:
    """The story of *event*, which the ledger knows."""
    known = await story(pool, event)
    first = known.states[0] if known.states else None
    source, receipts = None, []
    vendor = first.vendor if first else _vendor(known)
    async with reading(config.kafka) as consumer:
        if first is not None:
            position = Position(first.source_topic, first.source_partition, first.source_offset)
            found = await bytes_at(consumer, position)
            source = Source(str(position), first.source_index, found, known.rejection)
        mapped_at, national_at = positions(known)
        mapped = await head_at(consumer, mapped_at) if mapped_at else None
        national = await head_at(consumer, national_at) if national_at else None
    if vendor:
        since_ms = source.bytes.timestamp_ms if source and source.bytes else 0
        receipts = await receipts_of(config, vendor, event, since_ms)
    return Story(
        event_id=event,
        vendor=vendor,
        vendor_event_id=first.vendor_event_id if first else None,
        vendor_ref=first.vendor_ref if first else None,
        record_id=_record_id(known),
        source=source,
        mapped=mapped,
        identity=tuple(shown(row) for row in known.parked if row.stage == "identity"),
        national=national,
        targets=tuple(at_targets(known)),
        orders=tuple(msgspec.to_builtins(order) for order in known.orders),
        receipts=tuple(receipts),
    )


def positions(known: LedgerStory) -> tuple[Position | None, Position | None]:
    """Where the event stands in gateway.mapped (kept only while identity parks it) and in national.records."""
    mapped = [Position(MAPPED_TOPIC, row.slot, row.topic_offset) for row in known.parked if row.stage == "identity"]
    national = [Position(NATIONAL_TOPIC, row.slot, row.topic_offset) for row in known.deliveries]
    national += [
        Position(NATIONAL_TOPIC, row.slot, row.topic_offset) for row in known.parked if row.stage == "delivery"
    ]
    if known.head is not None:
        national.append(Position(NATIONAL_TOPIC, known.head.slot, known.head.topic_offset))
    return next(iter(mapped), None), next(iter(national), None)


def at_targets(known: LedgerStory) -> list[AtTarget]:
    """One entry a target that anything is known of: the vendor's state, with the proof of delivery beside it."""
    states = {state.target: state for state in known.states}
    deliveries = {delivery.target: delivery for delivery in known.deliveries}
    parked = {row.target: row for row in known.parked if row.stage == "delivery" and row.state != "closed"}
    names = sorted(states.keys() | deliveries.keys() | parked.keys())
    return [_at_target(name, states.get(name), deliveries.get(name), parked.get(name)) for name in names]


def _at_target(target: str, state: EventState | None, delivery: DeliveryRow | None, row: ParkedRow | None) -> AtTarget:
    told = AtTarget(target, "parked", None, None, 0, "", "", "", None, None, None)
    if row is not None:
        told = replace(
            told,
            since=row.parked_at,
            version=row.version,
            attempts=row.attempts,
            code=row.code,
            field=row.field,
            target_code=row.target_code,
            parked_as=str(row.id),
        )
    if delivery is not None:
        told = replace(
            told,
            state=delivery.state,
            since=delivery.settled_at,
            version=delivery.version,
            attempts=max(delivery.attempts, told.attempts),
            target_code=delivery.target_code or told.target_code,
            packet=delivery.packet,
            packet_step=delivery.packet_step,
        )
    if state is not None:
        told = replace(told, state=state.state, since=state.at, code=state.code, field=state.field)
        told = replace(told, version=told.version or state.version)
    return told


def shown(row: ParkedRow) -> dict[str, Any]:
    """A parked row as people and programs see it: with its id, the texts of its reason, and without its lane."""
    plain: dict[str, Any] = msgspec.to_builtins(row)
    del plain["lane"]
    return {"id": str(row.id), **plain, "problem": reason(row.code, row.field)}


def reason(code: str, field: str) -> dict[str, Any] | None:
    """The catalogue's texts for *code*; None for a target's own code that it does not know."""
    if code not in catalogue():
        return None
    texts: dict[str, Any] = msgspec.to_builtins(describe(Problem(code, field)))
    return texts


def _vendor(known: LedgerStory) -> str:
    return next((row.vendor for row in known.parked), "")


def _record_id(known: LedgerStory) -> str | None:
    candidates = [
        *(state.record_id for state in known.states),
        *(row.record_id for row in known.parked),
        *(row.record_id for row in known.deliveries),
        known.head.record_id if known.head else None,
    ]
    return next((one for one in candidates if one), None)
