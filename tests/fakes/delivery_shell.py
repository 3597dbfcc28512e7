"""The shell of a delivery slot in simulated time: the real slot, lease, sender and shelf; fake Kafka, ledger, target.

Asserted where it would break (design section 9): I3, I4, I5, I6; at rest (`check_rest`): I1, I2, I9; `in_hand` is what
I11 bounds; `outputs` and the receipts are what I10 looks at.
"""

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from aiokafka.errors import CommitFailedError, KafkaConnectionError

from gateway.config import Config, Connectors, Delivery, Kafka, Ledger, Registry
from gateway.delivery.effects import Settle
from gateway.delivery.events import Ordered
from gateway.delivery.retry import Backoff
from gateway.delivery.values import Entry, Settings
from gateway.edges.kafka import AssignedSlot, Output
from gateway.edges.kafka_types import Fetched, TopicPartition
from gateway.outcomes import Ambiguous, BatchAnswer, Refused, Send, Unavailable
from gateway.record import NATIONAL_TOPIC, State
from gateway.workers import delivery_lease, delivery_slot
from gateway.workers.delivery_lease import Lease
from gateway.workers.delivery_limit import Limit
from gateway.workers.delivery_parts import Parts
from gateway.workers.delivery_records import Shelf, entry_of
from gateway.workers.delivery_send import BatchSender, Door
from gateway.workers.delivery_slot import DeliverySlot
from tests.fakes.delivery_records import National, national
from tests.fakes.delivery_slot_ledger import FakeSlotLedger, SlotStore, as_ledger
from tests.fakes.simulated_loop import SimulatedLoop
from tests.fakes.targets import FakeImmediate, Forget, Lose

PARTITION = TopicPartition(NATIONAL_TOPIC, 0)
LEASE_S, REQUEST_S, DRAIN_S = 2.0, 0.6, 1.0
Mode = Literal["ok", "down", "busy", "loses", "forgets", "slow"]
SETTINGS = Settings(
    Backoff(0.1, 2.0),
    batch_records=4,
    concurrency=2,
    window_records=12,
    breaker_failures=2,
    breaker_open_s=0.5,
    most_attempts=3,
    horizon_ahead=6,
)


@cache
def made(number: int, version: int, op: str) -> National:
    """A real record of the stream; making one takes milliseconds."""
    return national(number, version, number * 100 + version, slots=1, op=op)


@dataclass
class Line:
    """A record in the fake log."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    topic: str = NATIONAL_TOPIC
    partition: int = 0
    timestamp: int = 1_760_000_000_000


@dataclass
class FakeConsumer:
    """The consumer of one owner; only the group's present member may commit."""

    shell: "Shell"
    at: int = 0

    async def committed(self, partition: TopicPartition) -> int:
        return self.shell.committed

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.at = offset

    async def position(self, partition: TopicPartition) -> int:
        return self.at

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> Fetched:
        lines = self.shell.log[self.at : self.at + max_records]
        if self.shell.kafka_down or not lines:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        await asyncio.sleep(0.001)
        self.at += len(lines)
        self.shell.most_in_hand = max(self.shell.most_in_hand, self.shell.in_hand(self.at))
        return {PARTITION: lines}

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, len(self.shell.log))

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        shell, (offset, _settled) = self.shell, offsets[PARTITION]
        if shell.kafka_down:
            raise KafkaConnectionError
        if shell.owner is None or shell.owner.consumer is not self:
            raise CommitFailedError
        for entry in shell.entries[shell.committed : offset]:
            assert shell.store.core.is_safe(entry), f"I5: offset {offset} passes {entry.offset}"
        shell.committed = max(shell.committed, offset)


@dataclass
class FakeReader:
    """Values from the shelf or the log."""

    shell: "Shell"
    shelf: Shelf

    async def values(self, offsets: Iterable[int]) -> dict[int, bytes]:
        return {offset: self.shelf.value(offset) or self.shell.log[offset].value or b"" for offset in offsets}


@dataclass
class FakeProducer:
    shell: "Shell"

    async def send(self, outputs: Sequence[Output]) -> None:
        if self.shell.kafka_down:
            raise KafkaConnectionError
        await asyncio.sleep(0.001)
        self.shell.outputs += outputs


@dataclass
class NoSuspects:
    """A clean end before: nothing is suspect."""

    async def take_over(self) -> None: ...
    async def leave(self) -> None: ...
    async def go_through(self, take: object, bury: object, ready: object) -> None: ...
    def blame(self, error: BaseException) -> None: ...


@dataclass
class Owner:
    """One worker's hold on the slot."""

    ledger: FakeSlotLedger
    consumer: FakeConsumer
    slot: AssignedSlot
    run: DeliverySlot
    task: "asyncio.Task[None]"


@dataclass
class Way:
    """How one owner's batches reach the shared target."""

    shell: "Shell"
    ledger: FakeSlotLedger

    async def send(self, batch: Sequence[Send]) -> BatchAnswer:
        shell = self.shell
        self._may_send()
        lanes = {shell.lane_of[send.record_id] for send in batch}
        assert len(lanes) == len(batch)
        assert not lanes & shell.flying, "I3: two of a pupil in flight"
        shell.note(batch)
        shell.flying |= lanes
        try:
            await asyncio.sleep(shell.latency_s / 2)
            self._may_send()
            answer = await shell.judge(batch)
            await asyncio.sleep(shell.latency_s / 2 if shell.mode != "slow" else 5.0)
        finally:
            shell.flying -= lanes
        return answer

    def _may_send(self) -> None:
        assert self.shell.store.active == self.ledger.epoch, "I6: a send after the epoch ended"


@dataclass
class Shell:
    """One slot and its world."""

    loop: SimulatedLoop
    seed: int
    settings: Settings = SETTINGS
    mode: Mode = "ok"
    latency_s: float = 0.05
    kafka_down: bool = False
    log: list[Line] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    lane_of: dict[str, int] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    flying: set[int] = field(default_factory=set)
    keys: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    sends: list[tuple[float, int]] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    committed: int = 0
    most_in_hand: int = 0
    owner: Owner | None = None
    former: list[Owner] = field(default_factory=list)
    ends: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.store = SlotStore(self.loop.time)
        self.target = FakeImmediate(max_records=self.settings.batch_records)
        self.refused: set[str] = set()
        for module in (delivery_slot, delivery_lease):
            module.monotonic_s = self.loop.time  # type: ignore[attr-defined]
        delivery_slot.dice = self.dice.random  # type: ignore[attr-defined]

    # --- the world -------------------------------------------------------------------------------

    def publish(self, number: int, op: str = "UPDATE") -> str:
        """The next version of pupil *number*'s record; returns its id."""
        version = self.versions[number] = self.versions.get(number, 0) + 1
        one = made(number, version, op)
        line = Line(len(self.log), one.record_id.encode(), one.value, [*one.headers])
        entry = entry_of(line)
        assert isinstance(entry, Entry)
        self.log.append(line)
        self.entries.append(entry)
        self.lane_of[one.record_id] = entry.lane
        return one.record_id

    def note(self, batch: Sequence[Send]) -> None:
        self.sends.append((self.loop.time(), len(batch)))
        for send in batch:
            keys = self.keys.setdefault((send.record_id, send.version), set())
            keys.add(send.key)
            assert len(keys) == 1, "I4: one key for one version"
            settled = self.store.core.settled.get((send.record_id, send.version))
            assert settled is None, "a settled record is sent"

    async def judge(self, batch: Sequence[Send]) -> BatchAnswer:
        match self.mode:
            case "down":
                return BatchAnswer({}, whole=Ambiguous("connection"))
            case "busy":
                return BatchAnswer({}, slow_down_s=1.0, whole=Unavailable(1.0, "429"))
            case "loses":
                self.target.whole.append(Lose())
            case "forgets":
                self.target.script[batch[0].record_id] = deque([Forget()])
            case _:
                pass
        for send in batch:
            if send.record_id in self.refused:
                self.target.script[send.record_id] = deque([Refused("MAU-L07", "school")])
        answer = await self.target.send(batch)
        self.target.script.clear()
        return BatchAnswer(
            {v: said for v, said in answer.answers.items() if said != Ambiguous("missing")}, None, answer.whole
        )

    def in_hand(self, position: int) -> int:
        """How many records were fetched and are neither settled nor taken over."""
        return sum(not self.store.core.is_safe(entry) for entry in self.entries[self.committed : position])

    # --- owners ----------------------------------------------------------------------------------

    def assign(self) -> None:
        """A worker is given the slot; whoever had it is not told."""
        if self.owner is not None:
            self.former.append(self.owner)
        ledger, consumer = FakeSlotLedger(self.store), FakeConsumer(self)
        slot = AssignedSlot(0, (PARTITION,), consumer, "g")  # type: ignore[arg-type]
        lease, shelf = Lease(as_ledger(ledger), LEASE_S, REQUEST_S), Shelf(0)
        reader: Any = FakeReader(self, shelf)
        sender = BatchSender("t", Way(self, ledger), Door(lease, Limit(self.settings.concurrency)), reader)
        producer: Any = FakeProducer(self)
        suspects: Any = NoSuspects()
        parts = Parts(
            config=config(), target="t", settings=self.settings, ledger=as_ledger(ledger), lease=lease, shelf=shelf,
            reader=reader, sender=sender, producer=producer, bell=asyncio.Event(), neighbours=[], suspects=suspects,
            closed_s=lambda: 0.0,
        )  # fmt: skip
        run = DeliverySlot(parts, slot)
        self.owner = Owner(ledger, consumer, slot, run, self.loop.create_task(run.run()))

    def crash(self) -> None:
        """Like kill -9: the owner's tasks end where they stand, and another worker takes the slot."""
        owner = self.owner
        assert owner is not None
        self.ends += 1
        self.owner = None
        self.loop.run(_killed(owner.task))
        self.flying.clear()
        self.loop.run(self._assigned())

    def isolate(self) -> None:
        """The owner goes on but cannot reach the ledger, and another worker takes the slot."""
        assert self.owner is not None
        self.ends += 1
        self.owner.ledger.cut_off = True
        self.loop.run(self._assigned())

    def hand_over(self) -> None:
        """A rebalance in good order."""
        owner = self.owner
        assert owner is not None
        self.ends += 1
        owner.slot.revoked.set()
        self.loop.run(_ended(owner.task))
        self.owner = None
        self.loop.run(self._assigned())

    async def _assigned(self) -> None:
        self.assign()

    def pass_time(self, seconds: float) -> None:
        """Let *seconds* pass; an owner that ended with an error is a bug, unless it lost its slot."""
        self.loop.run(asyncio.sleep(seconds))
        if self.owner is not None and self.owner.task.done():
            if not self.owner.task.cancelled():
                self.owner.task.result()
            message = "the owner ended"
            raise AssertionError(message)
        for owner in self.former:
            if owner.task.done() and (error := owner.task.exception()) is not None:
                assert type(error).__name__ == "LostSlot", error

    def order(self, offset: int, action: Literal["release", "discard"]) -> None:
        orders = self.store.orders
        orders.append(Ordered(len(orders) + 1, self.entries[offset].lane, offset, action))

    # --- at rest ---------------------------------------------------------------------------------

    def is_at_rest(self) -> bool:
        return self.committed == len(self.log) and len(self.store.published) == len(self.store.outbox)

    def rest(self, most_s: float = 200.0) -> None:
        until = self.loop.time() + most_s
        while not self.is_at_rest():
            assert self.loop.time() < until, f"no rest: {self.committed} of {len(self.log)}"
            self.pass_time(0.5)

    def check_rest(self) -> None:
        core, effects = self.store.core, self.target.effects
        for entry in self.entries:
            settled = (entry.record_id, entry.version) in core.settled
            assert settled != (entry.offset in core.rows), f"I1: {entry.record_id} v{entry.version}"
        assert len(set(effects)) == len(effects), "I9: an effect is doubled"
        for name in {name for name, _ in effects}:
            versions = [version for other, version in effects if other == name]
            assert versions == sorted(versions), "I2: a version goes back"
        accepted = {version for version, settle in core.settled.items() if _is_accepted(settle)}
        assert accepted <= set(effects), "accepted without an effect"
        told = [row.event_id for _, row in self.store.outbox]
        assert {entry.event_id for entry in self.entries} <= set(told), "a record without a receipt"


def _is_accepted(settle: Settle) -> bool:
    return settle.state is State.ACCEPTED


async def _killed(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _ended(task: "asyncio.Task[None]") -> None:
    await asyncio.wait_for(task, 60.0)


@cache
def config() -> Config:
    """A configuration with the times of this world."""
    return Config(
        slots=1,
        kafka=Kafka(bootstrap_servers="nowhere:1"),
        ledger=Ledger(url="nowhere"),
        keys_file="none",
        state_dir="none",
        registry=Registry(url="http://nowhere", credentials_file="none"),
        targets={},
        connectors=Connectors(),
        delivery=Delivery(lease_s=LEASE_S, window_records=SETTINGS.window_records, drain_s=DRAIN_S),
    )
