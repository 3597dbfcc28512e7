"""Stage 1, intake: vendor events become national records, Kafka to Kafka, exactly once.

    take over a slot: gate → fence the predecessor → committed() → seek() → fetch          (order: edges/kafka.py)
    a batch:          fair turns → connector → outputs in memory → one transaction with the offsets

Intake touches no database and makes no request: what needs a decision of a person leaves as a *hold* in the head.
A message is never dropped: every item becomes a mapped record or a receipt, every refused message its original bytes
in ``vendor.<v>.rejected``.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.config import Config
from gateway.edges import topics
from gateway.edges.bulk_gate import BulkGate
from gateway.edges.clock import monotonic_s, now_ms
from gateway.edges.connector_files import load_connectors
from gateway.edges.failpoints import failpoint
from gateway.edges.kafka import AssignedSlot, Output, SlotGroup, SlotProducer
from gateway.edges.kafka_types import Record, TopicPartition
from gateway.edges.keys import load_keys
from gateway.edges.telemetry import logger
from gateway.intake import Connector
from gateway.intake.turns import shares
from gateway.record import vendor_topic
from gateway.workers.intake_given import Preparation
from gateway.workers.intake_outputs import Envelope, outputs_of

STAGE: Final = "intake"
IDLE_WAIT_MS: Final = 200
CPU_BUDGET_S: Final = 0.25

log = logger(__name__)


async def run(config: Config, stop: asyncio.Event) -> None:
    """Own intake slots until *stop*.  Raises GatewayError for a set-up that cannot work."""
    loaded = load_connectors(Path(config.connectors.path), config.connectors.enabled or None)
    connectors = {connector.vendor: connector for connector in loaded.values()}
    await topics.check(config, connectors)
    keys = load_keys(Path(config.keys_file))
    gate = BulkGate(config)
    taking_over = asyncio.Lock()

    async def run_slot(slot: AssignedSlot) -> None:
        envelope = Envelope(keys.lane_token, config.slots)
        await IntakeSlot(config, slot, connectors, envelope, gate).run(taking_over)

    names = [vendor_topic(vendor, kind) for vendor in connectors for kind in ("records", "bulk")]
    group = SlotGroup(config.kafka, group=STAGE, topics=names, run_slot=run_slot, drain_s=config.delivery.drain_s)
    watching = asyncio.create_task(gate.watch())
    watching.add_done_callback(lambda _: stop.set())  # it ends only by a bug: so does the worker
    try:
        await group.run(stop)
    finally:
        if not watching.done():
            watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def take_over(slot: AssignedSlot, producer: SlotProducer, one_at_a_time: asyncio.Lock) -> None:
    """Fence the predecessor, then go to the committed offsets: in this order only (design section 3)."""
    async with one_at_a_time:
        await failpoint("intake.producer_start")
        await producer.start()
    await slot.seek_committed()


class IntakeSlot:
    """One slot: its own producer, its own loop; fair to every vendor's partition of that number."""

    def __init__(
        self,
        config: Config,
        slot: AssignedSlot,
        connectors: Mapping[str, Connector],
        envelope: Envelope,
        gate: BulkGate,
    ) -> None:
        self._settings = config.intake
        self._slot = slot
        self._gate = gate
        self._envelope = envelope
        self._producer = SlotProducer(config.kafka, f"{config.kafka.group_prefix}-{STAGE}-{slot.number}")
        self._connectors = {
            vendor_topic(vendor, kind): connector
            for vendor, connector in connectors.items()
            for kind in ("records", "bulk")
        }
        self._preparation = Preparation(self._connectors)
        self._live = {f"vendor.{v}.records": c.weight for v, c in connectors.items()}
        self._bulk = {f"vendor.{v}.bulk": c.weight for v, c in connectors.items()}
        self._turn = 0

    async def run(self, taking_over: asyncio.Lock) -> None:
        """Take the slot over and read until it is revoked."""
        try:
            await take_over(self._slot, self._producer, taking_over)
            log.info("slot taken over", stage=STAGE, slot=self._slot.number)
            while not self._slot.revoked.is_set():
                records = await self._take_turns()
                if records:
                    await self._publish(records)
        finally:
            await self._producer.stop()

    async def _take_turns(self) -> list[Record]:
        taken = await self._round(self._live, self._settings.batch_records)
        if not taken and self._gate.open:
            taken = await self._round(self._bulk, self._settings.batch_records)
        if taken:
            return taken
        admitted = self._live.keys() | (self._bulk.keys() if self._gate.open else set())
        only = [partition for partition in self._slot.partitions if partition.topic in admitted]
        fetched = await self._slot.fetch(max_records=self._settings.batch_records, timeout_ms=IDLE_WAIT_MS, only=only)
        return [record for records in fetched.values() for record in records]

    async def _round(self, weights: Mapping[str, int], capacity: int) -> list[Record]:
        taken: list[Record] = []
        self._turn += 1
        for topic, share in shares(weights, capacity, self._turn):
            partition = TopicPartition(topic, self._slot.number)
            fetched = await self._slot.fetch(max_records=share, timeout_ms=0, only=(partition,))
            taken += fetched.get(partition, ())
        return taken

    async def _publish(self, records: Sequence[Record]) -> None:
        outputs: list[Output] = []
        offsets: dict[TopicPartition, int] = {}
        given = await self._preparation.given(records)
        started = sliced = monotonic_s()
        size = 0
        rest: list[Record] = []
        for number, record in enumerate(records):
            now = monotonic_s()
            if now - started > CPU_BUDGET_S or size > self._settings.batch_bytes:
                rest = list(records[number:])
                break
            if now - sliced > self._settings.slice_ms / 1000:
                await asyncio.sleep(0)  # heartbeats of the group share this thread
                sliced = monotonic_s()
            size += len(record.value or b"")
            connector = self._connectors[record.topic]
            outputs += outputs_of(connector, record, self._envelope, at_ms=now_ms(), given=given[number])
            offsets[TopicPartition(record.topic, record.partition)] = record.offset + 1
        self._give_back(rest)
        await self._producer.transact(outputs, offsets=offsets, group_id=self._slot.group_id, stage=STAGE)

    def _give_back(self, rest: Sequence[Record]) -> None:
        """Unread what did not fit into this batch."""
        for record in reversed(rest):
            self._slot.consumer.seek(TopicPartition(record.topic, record.partition), record.offset)
