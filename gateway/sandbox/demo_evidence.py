"""What a run left behind, read for the judge: the unified stream, the targets' books, the ledger's states.

Reading only.  The stream is read read_committed, as the ministry reads it; the books are the simulators' files.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, LiteralString

import msgspec

from gateway.config import Config
from gateway.edges.kafka import header, read_partition
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.ledger import Pool
from gateway.edges.operator_ledger import open_work
from gateway.record import H_EVENT_ID, H_RECORD_ID, H_VERSION, NATIONAL_TOPIC, State
from gateway.sandbox.checker import Book, Evidence, Published, Sent
from gateway.sandbox.simulators.book import read_book, read_sends

KEY_PER_RECORD: Final = frozenset({"population"})
"""Targets whose idempotency key names one record; the sector's names a packet."""

_IDENTITY: Final = """
SELECT CASE WHEN state = 'waiting' THEN 'waiting' WHEN code IN ('ID-03', 'ID-04') THEN 'review' ELSE 'parked' END,
    count(*)
FROM parked WHERE stage = 'identity' AND state <> 'closed' GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class LedgerLook:
    """One look at the ledger: states by (event, target), what is on its way, and identity's counts."""

    states: Mapping[tuple[str, str], State]
    moving: Mapping[str, int]
    identity: Mapping[str, int]
    reasons: Mapping[tuple[str, str], str] = field(repr=False, default_factory=dict)
    """The code shown with each open state."""


def read_sent(path: Path) -> list[Sent]:
    """The vendors' file."""
    return msgspec.json.Decoder(Sent).decode_lines(path.read_bytes())


async def read_tallies(pool: Pool) -> dict[tuple[str, State], int]:
    """Events by (target, state): cheap, for a live display."""
    rows = await _rows(pool, "SELECT target, state, sum(events)::bigint FROM tallies GROUP BY target, state")
    return {(str(target), State(str(state))): int(str(count)) for target, state, count in rows}


async def look(pool: Pool) -> LedgerLook:
    """Everything of the ledger that the judge and the wait need; some hundred thousand rows at most."""
    found = await _rows(pool, "SELECT event_id::text, target, state, code FROM event_states")
    identity = await _rows(pool, _IDENTITY)
    work = await open_work(pool)
    return LedgerLook(
        states={(str(event), str(target)): State(str(state)) for event, target, state, _ in found},
        moving={"orders": work.orders, "receipts": work.outbox, "packets": work.packets, "submitted": work.submitted},
        identity={str(name): int(str(count)) for name, count in identity},
        reasons={(str(event), str(target)): str(code) for event, target, _, code in found},
    )


async def _rows(pool: Pool, query: LiteralString) -> list[tuple[object, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(query)).fetchall()


async def read_unified(config: Config) -> list[Published]:
    """The unified stream, partition by partition, as a read_committed consumer sees it now."""
    published: list[Published] = []
    for slot in range(config.slots):
        async for records in read_partition(config.kafka, TopicPartition(NATIONAL_TOPIC, slot), 0):
            published += [
                Published(header(r, H_EVENT_ID), header(r, H_RECORD_ID), int(header(r, H_VERSION))) for r in records
            ]
    return published


def read_books(paths: Mapping[str, Path]) -> dict[str, Book]:
    """The targets' books from their files."""
    return {
        name: Book(list(read_book(path)), list(read_sends(path)), key_per_record=name in KEY_PER_RECORD)
        for name, path in paths.items()
    }


async def collect(
    config: Config, sent: Sequence[Sent], books: Mapping[str, Path], seen: LedgerLook, *, repaired: bool
) -> Evidence:
    """The evidence of a run at rest."""
    unified = await read_unified(config)
    read = await asyncio.to_thread(read_books, books)
    return Evidence(sent, unified, read, seen.states, repaired)


def without_state(sent: Iterable[Sent], targets: Sequence[str], seen: LedgerLook) -> list[tuple[Sent, str]]:
    """The events that have no state yet at a target."""
    return [(event, target) for event in sent for target in targets if (event.event_id, target) not in seen.states]
