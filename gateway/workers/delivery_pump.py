"""The way of one slot to the ledger: writes and readings, one after the other, as they were asked for.

A reading is heard before the next write is made, so that what the machine knows is never older than the ledger that it
was merged with.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.delivery.effects import LoadLane, Write
from gateway.delivery.events import Event, LaneLoaded, Received, Written
from gateway.delivery.values import Entry
from gateway.edges.clock import now_ms
from gateway.edges.delivery_ledger import Flush
from gateway.edges.delivery_rows import Origin
from gateway.edges.kafka_start import hold_while_away
from gateway.edges.kafka_types import Record
from gateway.edges.ledger import hold_while_down
from gateway.edges.telemetry import logger
from gateway.workers.delivery_alarms import tell_alarms
from gateway.workers.delivery_parts import Parts
from gateway.workers.delivery_records import Foreign, Receipts, entry_of

FLUSH_ROWS: Final = 2_000

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records whose knowledge is to be read; *heard* is set when the machine has them."""

    records: Sequence[Record]
    position: int
    heard: asyncio.Event
    killers: frozenset[int] = frozenset()


class Pump:
    """What goes to the ledger; *tell* hears what was written and read."""

    def __init__(self, parts: Parts, number: int, tell: Callable[[Event], None]) -> None:
        self._parts = parts
        self._number = number
        self._tell = tell
        self._told = Receipts(parts.target)
        self._jobs: asyncio.Queue[Write | LoadLane | Fetched] = asyncio.Queue()
        self.receipts = asyncio.Event()
        self.taken_orders: set[int] = set()

    def put(self, job: Write | LoadLane | Fetched) -> None:
        """Behind everything that was asked for before."""
        self._jobs.put_nowait(job)

    async def run(self) -> None:
        """One thing after the other, for ever; writes that follow each other are one transaction."""
        jobs = self._jobs
        held: Write | LoadLane | Fetched | None = None
        while True:
            job = held if held is not None else await jobs.get()
            held = None
            match job:
                case Write():
                    writes = [job]
                    while not jobs.empty() and len(writes) < FLUSH_ROWS:
                        following = jobs.get_nowait()
                        if not isinstance(following, Write):
                            held = following
                            break
                        writes.append(following)
                    await self._flush(writes)
                case LoadLane(lane=lane):
                    await self._load(lane)
                case Fetched():
                    await self._receive(job)

    async def _flush(self, writes: list[Write]) -> None:
        flush = await self._prepared(writes)
        await hold_while_down(lambda: self._parts.ledger.write(flush), "delivery rows")
        for write in writes:
            tell_alarms(write, self._parts.target, self._number)
            self.taken_orders.difference_update(order.order for order in write.orders)
            for settle in write.settles:
                self._parts.shelf.forget(settle.entry.offset)
            for park in write.parks:
                if not park.step:  # it is sent next
                    self._parts.shelf.forget(park.entry.offset)
            self._tell(Written(write.ticket))
        if flush.receipts:
            self.receipts.set()

    async def _prepared(self, writes: list[Write]) -> Flush:
        """The receipts of *writes*; origins that are not in memory are read again."""
        shelf = self._parts.shelf
        told = [c.entry.offset for write in writes for c in write.settles]
        told += [c.entry.offset for write in writes for c in write.parks]
        values = await self._parts.reader.values(offset for offset in told if not shelf.has_origin(offset))
        for offset, value in values.items():
            shelf.origin(offset, value)
        flush = Flush(list(writes))
        at_ms = now_ms()
        for write in writes:
            for settle in write.settles:
                flush.receipts.append(self._told.settled(settle, shelf.origin(settle.entry.offset), at_ms))
            for park in write.parks:
                if park.step:
                    continue
                row = self._told.parked(park, shelf.origin(park.entry.offset), at_ms)
                flush.receipts.append(row)
                flush.parked[park.entry.offset, park.seq] = row.payload
            for packet in write.packets:
                for member in packet.members or ():
                    flush.origins[member.entry.offset] = shelf.origin(member.entry.offset)
        return flush

    async def _load(self, lane: int) -> None:
        loaded = await hold_while_down(lambda: self._parts.ledger.lane(lane), "parked rows")
        for offset, receipt in loaded.receipts.items():
            self._parts.shelf.learn_receipt(offset, receipt)
        self._tell(LaneLoaded(lane, loaded.rows, loaded.known))

    async def _receive(self, job: Fetched) -> None:
        read = [entry_of(record) for record in job.records]
        await self._quarantine([one for one in read if isinstance(one, Foreign)])
        entries = [one for one in read if isinstance(one, Entry)]
        asked = [(entry.school_year, entry.record_id) for entry in entries]
        known = await hold_while_down(lambda: self._parts.ledger.known(asked), "known versions")
        ours = {entry.offset for entry in entries}
        for record in job.records:
            if record.offset in job.killers:  # its receipt must not be made from its bytes
                place = Origin(None, record.topic, record.partition, record.offset, 0, record.timestamp)
                self._parts.shelf.learn({record.offset: place})
            elif record.offset in ours:
                self._parts.shelf.keep(record)
        self._tell(Received(entries, known, job.position, job.killers))
        job.heard.set()

    async def _quarantine(self, foreign: Sequence[Foreign]) -> None:
        """Their offsets pass once Kafka has them; after a crash they may stand there twice."""
        if not foreign:
            return
        outputs = [one.quarantined for one in foreign]
        await hold_while_away(lambda: self._parts.producer.send(outputs), "quarantine")
        for one in foreign:
            log.error("foreign record quarantined", target=self._parts.target, position=str(one.position))
