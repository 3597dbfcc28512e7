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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.config import Config
from gateway.edges import topics
from gateway.edges.bell import rings
from gateway.edges.bulk_gate import BulkGate
from gateway.edges.clock import monotonic_s, now_ms
from gateway.edges.connector_files import load_connectors
from gateway.edges.failpoints import failpoint, record_failpoint
from gateway.edges.kafka import AssignedSlot, Output, PlainProducer, SlotGroup, SlotProducer
from gateway.edges.kafka_types import Record, TopicPartition
from gateway.edges.keys import load_keys
from gateway.edges.telemetry import logger
from gateway.edges.vendor_schemas import VendorSchemas, vendor_schemas
from gateway.errors import Problem
from gateway.intake import Connector
from gateway.intake.drift import Drift, write_report
from gateway.intake.given import Given
from gateway.intake.turns import shares
from gateway.record import DRIFT_TOPIC, MAPPED_TOPIC
from gateway.workers.intake_given import Preparation, start_verifier, within
from gateway.workers.intake_outputs import Envelope, outputs_of, refused_whole
from gateway.workers.intake_schemas import WriterSchemas, with_schemas
from gateway.workers.suspects import KILLER, Suspects, Ward, quarantined

STAGE: Final = "intake"
IDLE_WAIT_MS: Final = 200
CPU_BUDGET_S: Final = 0.25

log = logger(__name__)


async def run(config: Config, stop: asyncio.Event) -> None:
    """Own intake slots until *stop*.  Raises GatewayError for a set-up that cannot work."""
    connectors = _by_vendor(config)
    signatures = start_verifier(config.documents, connectors.values())
    await topics.check(config, connectors)
    keys = load_keys(Path(config.keys_file))
    gate = BulkGate(config)
    taking_over = asyncio.Lock()
    marker = PlainProducer(config.kafka)
    ward = Ward(config.kafka, STAGE, marker)
    asked = vendor_schemas(config.schema_registry_url, Path(config.state_dir) / "schemas")
    means = Means(Preparation(connectors, signatures), asked, Envelope(keys.lane_token, config.slots), gate)

    async def run_slot(slot: AssignedSlot) -> None:
        suspects = Suspects(ward, slot, config.intake.batch_records)
        await IntakeSlot(config, slot, means, suspects).run(taking_over)

    group = SlotGroup(
        config.kafka,
        group=STAGE,
        topics=list(means.preparation.by_topic),
        run_slot=run_slot,
        drain_s=config.delivery.drain_s,
    )
    await marker.start()
    watching = asyncio.create_task(gate.watch())
    watching.add_done_callback(lambda _: stop.set())  # it ends only by a bug: so does the worker
    try:
        await group.run(stop)
    finally:
        if not watching.done():
            watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await marker.stop()
        await asked.close()
        if signatures is not None:
            signatures.close()


def _by_vendor(config: Config) -> dict[str, Connector]:
    loaded = load_connectors(Path(config.connectors.path), config.connectors.enabled or None)
    return {connector.vendor: connector for connector in loaded.values()}


async def take_over(slot: AssignedSlot, producer: SlotProducer, one_at_a_time: asyncio.Lock) -> None:
    """Fence the predecessor, then go to the committed offsets: in this order only (design section 3)."""
    async with one_at_a_time:
        await failpoint("intake.producer_start")
        await producer.start()
    await slot.seek_committed()


@dataclass(frozen=True, slots=True)
class Means:
    """What the slots of a worker share."""

    preparation: Preparation
    schemas: VendorSchemas
    envelope: Envelope
    gate: BulkGate


class IntakeSlot:
    """One slot: its own producer, its own loop; fair to every vendor's partition of that number."""

    def __init__(
        self,
        config: Config,
        slot: AssignedSlot,
        means: Means,
        suspects: Suspects,
    ) -> None:
        preparation = means.preparation
        self._settings = config.intake
        self._slot = slot
        self._gate = means.gate
        self._suspects = suspects
        self._envelope = means.envelope
        self._producer = SlotProducer(config.kafka, f"{config.kafka.group_prefix}-{STAGE}-{slot.number}")
        self._preparation = preparation
        self._schemas = WriterSchemas(preparation.by_topic, means.schemas)
        self._connectors = preparation.by_topic
        self._live = {f"vendor.{v}.records": c.weight for v, c in preparation.connectors.items()}
        self._bulk = {f"vendor.{v}.bulk": c.weight for v, c in preparation.connectors.items()}
        self._turn = 0
        self._records_a_message = 1
        self._drift = Drift()
        self._carried: Sequence[Record] = ()
        """Read, and left over from the last batch: to read them again would cost as much as to map them."""

    async def run(self, taking_over: asyncio.Lock) -> None:
        """Take the slot over and read until it is revoked."""
        try:
            await take_over(self._slot, self._producer, taking_over)
            await self._suspects.take_over()
            log.info("slot taken over", stage=STAGE, slot=self._slot.number)
            await self._suspects.go_through(self._publish_and_give_back, self._bury)
            while not self._slot.revoked.is_set():
                records = self._carried or await self._take_turns()
                if records:
                    self._carried = await self._publish(records)
                elif reports := self._drift_reports():
                    await self._producer.transact(reports, stage=STAGE)
            self._give_back(self._carried)
            await self._suspects.leave()
        finally:
            await self._producer.stop()

    async def _take_turns(self) -> list[Record]:
        """Live records first; behind them what the gate allows of bulk."""
        most = self._settings.batch_records
        taken = await self._round(self._live, most)
        bulk = min(most - len(taken), self._bulk_messages())
        if bulk > 0:
            taken += await self._round(self._bulk, bulk)
        if taken:
            return taken
        bulk = self._bulk_messages()
        admitted = self._live.keys() | (self._bulk.keys() if bulk else set())
        only = [p for p in self._slot.partitions if p.topic in admitted and not self._schemas.is_held(p)]
        if not only:
            await self._idle(IDLE_WAIT_MS / 1000)
            return []
        fetched = await self._slot.fetch(max_records=bulk or most, timeout_ms=IDLE_WAIT_MS, only=only)
        return [record for records in fetched.values() for record in records]

    def _bulk_messages(self) -> int:
        """Messages of bulk that may be taken now, by how many records the last ones held."""
        allowance = self._gate.allowance(self._slot.number)
        return max(1, allowance // self._records_a_message) if allowance else 0

    async def _round(self, weights: Mapping[str, int], capacity: int) -> list[Record]:
        taken: list[Record] = []
        self._turn += 1
        for topic, share in shares(weights, capacity, self._turn):
            partition = TopicPartition(topic, self._slot.number)
            if self._schemas.is_held(partition):
                continue
            fetched = await self._slot.fetch(max_records=share, timeout_ms=0, only=(partition,))
            taken += fetched.get(partition, ())
        return taken

    async def _publish_and_give_back(self, records: Sequence[Record]) -> None:
        self._give_back(await self._publish(records))

    async def _publish(self, records: Sequence[Record]) -> Sequence[Record]:
        """One transaction over the first of *records*; gives those that are left for the next one."""
        outputs: list[Output] = []
        offsets: dict[TopicPartition, int] = {}
        records, rest = within(records, self._settings.batch_bytes)
        ready = self._schemas.ready(records)
        records = ready.records
        given = with_schemas(await self._preparation.given(records), ready.given)
        started = sliced = monotonic_s()
        for number, record in enumerate(records):
            now = monotonic_s()
            if now - started > CPU_BUDGET_S:
                rest = [*records[number:], *ready.held, *rest]
                break
            if now - sliced > self._settings.slice_ms / 1000:
                await asyncio.sleep(0)  # heartbeats of the group share this thread
                sliced = monotonic_s()
            record_failpoint("intake.record", record.value)
            outputs += self._mapped(record, given[number])
            offsets[TopicPartition(record.topic, record.partition)] = record.offset + 1
        else:
            rest = [*ready.held, *rest]
        if ready.held:  # nothing of a held partition may be carried past what is held
            self._give_back(rest)
            rest = []
        outputs += self._drift_reports()
        if offsets or outputs:  # else all of them wait for their schemas
            await self._producer.transact(outputs, offsets=offsets, group_id=self._slot.group_id, stage=STAGE)
        return rest

    def _mapped(self, record: Record, given: Given) -> list[Output]:
        """What becomes of one message; of bulk, the gate is told what it has put into the stream."""
        connector = self._connectors[record.topic]
        made = outputs_of(connector, record, self._envelope, at_ms=now_ms(), given=given, drift=self._drift)
        if record.topic in self._bulk:
            records = sum(output.topic == MAPPED_TOPIC for output in made)
            self._records_a_message = max(1, records)
            self._gate.spend(self._slot.number, records)
        return made

    async def _idle(self, seconds: float) -> None:
        await rings(self._slot.revoked, seconds)

    async def _bury(self, record: Record, deaths: int) -> None:
        """Refuse the message that kills this stage, unread: whole to quarantine and to its vendor's dead letters."""
        connector = self._connectors[record.topic]
        outputs = refused_whole(connector, record, self._envelope, Problem(KILLER), at_ms=now_ms())
        outputs.append(quarantined(record, STAGE, deaths))
        offsets = {TopicPartition(record.topic, record.partition): record.offset + 1}
        await self._producer.transact(outputs, offsets=offsets, group_id=self._slot.group_id, stage=STAGE)

    def _drift_reports(self) -> list[Output]:
        """What was counted and is due; counts of a slot that dies before are lost, which a drift report can bear."""
        return [
            Output(DRIFT_TOPIC, self._slot.number, report.connector.encode(), write_report(report), [])
            for report in self._drift.take(monotonic_s())
        ]

    def _give_back(self, rest: Sequence[Record]) -> None:
        """Unread what did not fit into this batch."""
        for record in reversed(rest):
            self._slot.consumer.seek(TopicPartition(record.topic, record.partition), record.offset)
