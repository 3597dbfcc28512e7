"""One slot of delivery: takes over, then hears, decides and acts until it is revoked.

    fetch, answers, timer, orders ─► one inbox ─► machine.handle ─► effects
    writes and readings of the ledger ─► one pump (delivery_pump.py), in their order ─► inbox

Nothing decides beside the machine and nothing writes beside the pump; requests are tasks, and no loop waits for one.
A reading of the ledger is heard before the next write is made, so the machine's knowledge is never older than the
ledger's it was merged with.

After an unclean end the first records are suspects (suspects.py): each run of them is given to the machine alone, and
the next one when it is settled or parked, or after PASS_S: a killer kills when it is decoded, at once, and what waits
for its target must not hold the others.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.delivery.effects import (
    BuildPacket,
    Commit,
    Drained,
    Effect,
    ForgetPacket,
    LoadLane,
    PacketEffect,
    PauseFetch,
    Poll,
    RebuildPacket,
    ResumeFetch,
    SendBatch,
    Submit,
    Upload,
    WakeAt,
    Write,
)
from gateway.delivery.events import (
    Answered,
    Event,
    Polled,
    Revoked,
    Slowed,
    Submitted,
    Uploaded,
    Vouched,
    Woke,
)
from gateway.delivery.machine import Machine
from gateway.edges.bell import rings
from gateway.edges.clock import dice, monotonic_s
from gateway.edges.delivery_ledger import LostSlot
from gateway.edges.delivery_stream import commit
from gateway.edges.failpoints import failpoint
from gateway.edges.kafka import AssignedSlot
from gateway.edges.kafka_start import hold_while_away
from gateway.edges.kafka_types import Record
from gateway.edges.ledger import hold_while_down
from gateway.edges.telemetry import logger
from gateway.workers.delivery_heard import Heard, slow_down_s, took
from gateway.workers.delivery_held import Held
from gateway.workers.delivery_outbox import publish
from gateway.workers.delivery_parts import Parts
from gateway.workers.delivery_pump import Fetched, Pump
from gateway.workers.delivery_send import BatchSender, PacketSender
from gateway.workers.suspects import quarantined

FETCH_RECORDS: Final = 500
FETCH_MS: Final = 200
COMMIT_S: Final = 0.2
ORDERS_S: Final = 1.0
CALENDAR_S: Final = 1.0
OUTBOX_RECORDS: Final = 1_000
FLUSH_ROWS: Final = 2_000
PASS_S: Final = 5.0
DRAIN_SHARE: Final = 0.6
"""Of the drain budget: for answers under way; the rest is for writing, committing and handing back."""

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A task of the slot ended with an error: so does the slot."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class _DrainOver:
    """The budget for answers under way is spent."""


class DeliverySlot:
    """The loop of one slot for one assignment; nothing of it outlives the assignment."""

    def __init__(self, parts: Parts, slot: AssignedSlot) -> None:
        self._parts = parts
        self._slot = slot
        self._machine = Machine(parts.settings, dice)
        self._inbox: asyncio.Queue[Event | _Failed | _DrainOver] = asyncio.Queue()
        self._pump = Pump(parts, slot.number, self.tell)
        self._held = Held(parts.ledger, parts.target, slot.number)
        self._room = asyncio.Event()
        self._moved = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._commit_to = -1
        self._settled = -1
        self._committed = (-1, -1)
        self._drained = False
        self._ending = False

    async def run(self) -> None:
        """Take the slot over and deliver until it is revoked."""
        parts = self._parts
        if not await self._own():
            return
        taken = await hold_while_down(parts.ledger.load, "take-over")
        end = await hold_while_away(self._end_of_stream, "take-over")
        parts.shelf.learn(taken.origins)
        if isinstance(parts.sender, PacketSender):
            parts.sender.hashes.update(taken.hashes)
        await hold_while_away(self._slot.seek_committed, "take-over")
        await hold_while_away(parts.suspects.take_over, "take-over")
        log.info(
            "slot taken over",
            stage="delivery",
            target=parts.target,
            slot=self._slot.number,
            epoch=parts.ledger.epoch,
            parked_lanes=len(taken.started.parked),
            open_packets=len(taken.started.packets),
        )
        parts.neighbours.append(self)
        try:
            self._room.set()
            self._hear(Slowed(parts.closed_s()))
            # what came after its lease had run out, the former owner cannot have sent
            self._hear(replace(taken.started, horizon=min(taken.started.horizon, end)))
            del taken  # hundreds of thousands of lanes, which the machine has now
            for work in (self._fetch(), self._pump.run(), self._commit(), self._orders(), self._revoke()):
                self._spawn(work)
            self._spawn(publish(parts, self._pump.receipts))
            self._spawn(self._calendar())
            self._spawn(parts.lease.keep())
            self._spawn(self._held.keep())
            await self._loop()
            await parts.suspects.leave()
        finally:
            await self._end()
            parts.neighbours.remove(self)

    async def _own(self) -> bool:
        """Fence the predecessor, wait for its lease, begin ours; False when the slot was revoked meanwhile."""
        parts = self._parts
        left_s = await hold_while_down(parts.ledger.raise_epoch, "take-over")
        if left_s > 0 and await rings(self._slot.revoked, left_s):
            return False
        await hold_while_down(parts.lease.renew, "take-over")
        return True

    async def _end_of_stream(self) -> int:
        partition = self._slot.partitions[0]
        return (await self._slot.consumer.end_offsets([partition]))[partition]

    # --- hear, decide, act ---------------------------------------------------------------------------------------

    async def _loop(self) -> None:
        while not self._drained:
            event = await self._inbox.get()
            match event:
                case _Failed(error=asyncio.CancelledError()):
                    message = "a task of the slot was cancelled by nobody"
                    raise RuntimeError(message)
                case _Failed(error=error):
                    if not isinstance(error, LostSlot):
                        self._parts.suspects.blame(error)
                    raise error
                case _DrainOver():
                    log.warning("drain budget spent", slot=self._slot.number, machine=repr(self._machine))
                    return
                case _:
                    self._hear(event)
        await self._commit_now()
        await self._parts.ledger.hand_back()

    def _hear(self, event: Event) -> None:
        if isinstance(event, Answered | Uploaded | Submitted | Polled):
            self._held.hear(event)
            self._tell_neighbours(event)
        for effect in self._machine.handle(event, monotonic_s()):
            self._perform(effect)

    def _tell_neighbours(self, event: Heard) -> None:
        """What the target says of itself holds for every slot of the worker."""
        wait_s, vouches = slow_down_s(event), took(event)
        for neighbour in self._parts.neighbours:
            if neighbour is self:
                continue
            if wait_s is not None:
                neighbour.tell(Slowed(wait_s))
            if vouches and neighbour.has_suspects:
                neighbour.tell(Vouched())

    @property
    def has_suspects(self) -> bool:
        """Whether records of this slot were refused as a whole and wait for a sign that others are taken."""
        return self._machine.has_suspects

    def tell(self, event: Event) -> None:
        """Put *event* into this slot's inbox."""
        self._inbox.put_nowait(event)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Write() | LoadLane():
                self._pump.put(effect)
            case Commit(offset=offset, settled=settled):
                self._commit_to, self._settled = offset, settled
                self._moved.set()
                self._parts.shelf.passed(offset)
            case PauseFetch():
                self._room.clear()
            case ResumeFetch():
                self._room.set()
            case WakeAt(at=at):
                self._wake_at(at)
            case Drained():
                self._drained = True
            case _:
                self._request(effect)

    def _wake_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, at - monotonic_s()), self._inbox.put_nowait, Woke())

    def _request(self, effect: SendBatch | PacketEffect) -> None:
        sender = self._parts.sender
        match effect:
            case SendBatch() if isinstance(sender, BatchSender):
                self._spawn(self._answer(sender.send(effect)))
            case BuildPacket() if isinstance(sender, PacketSender):
                self._spawn(self._answer(sender.build(effect)))
            case RebuildPacket() if isinstance(sender, PacketSender):
                self._spawn(self._answer(sender.rebuild(effect)))
            case Upload() if isinstance(sender, PacketSender):
                self._spawn(self._answer(sender.upload(effect)))
            case Submit() if isinstance(sender, PacketSender):
                self._spawn(self._answer(sender.submit(effect)))
            case Poll() if isinstance(sender, PacketSender):
                self._spawn(self._answer(sender.poll(effect)))
            case ForgetPacket(packet=packet) if isinstance(sender, PacketSender):
                sender.parcels.pop(packet, None)
            case _:
                message = f"{type(effect).__name__} does not fit this kind of target"
                raise TypeError(message)

    async def _answer(self, request: Coroutine[Any, Any, Event]) -> None:
        self.tell(await request)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """A task that was cancelled by nobody would leave its request under way for ever: it counts as an error."""
        self._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and not self._ending:
            self._inbox.put_nowait(_Failed(error))

    async def _end(self) -> None:
        self._ending = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- the tasks -----------------------------------------------------------------------------------------------

    async def _fetch(self) -> None:
        """Read on while there is room; markers without records move the position too."""
        await self._parts.suspects.go_through(self._take, self._bury, self._room.wait)
        partition = self._slot.partitions[0]
        position = -1
        most = min(FETCH_RECORDS, self._parts.settings.window_records)
        while not self._slot.revoked.is_set():
            await self._room.wait()
            fetched = await self._slot.fetch(max_records=most, timeout_ms=FETCH_MS)
            if self._slot.revoked.is_set():
                return
            records = fetched.get(partition, ())
            now_at = records[-1].offset + 1 if records else await self._slot.consumer.position(partition)
            if not records and now_at == position:
                continue
            position = now_at
            job = Fetched(records, position, asyncio.Event())
            self._pump.put(job)
            await job.heard.wait()

    async def _take(self, records: Sequence[Record]) -> None:
        """Suspects, with nothing fetched behind them."""
        await self._give(Fetched(records, records[-1].offset + 1, asyncio.Event()))

    async def _bury(self, record: Record, deaths: int) -> None:
        """Park the record that kills this stage, unread, and keep it whole in quarantine."""
        await self._parts.producer.send([quarantined(record, f"delivery:{self._parts.target}", deaths)])
        await self._give(Fetched([record], record.offset + 1, asyncio.Event(), frozenset({record.offset})))

    async def _give(self, job: Fetched) -> None:
        self._pump.put(job)
        await job.heard.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(PASS_S):
                while self._commit_to < job.position and not self._slot.revoked.is_set():
                    self._moved.clear()
                    await self._moved.wait()

    async def _commit(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_S)
            await self._commit_now()

    async def _commit_now(self) -> None:
        due = (self._commit_to, self._settled)
        if due != self._committed and due[0] >= 0:
            await failpoint("delivery.after_ledger_before_offset")
            if await commit(self._slot, *due):
                self._committed = due

    async def _orders(self) -> None:
        """Orders for this slot: when its bell rings, and each second."""
        parts = self._parts
        while True:
            taken = sorted(self._pump.taken_orders)
            for order in await hold_while_down(lambda: parts.ledger.orders(taken), "orders"):  # noqa: B023  awaited here
                self._pump.taken_orders.add(order.order)
                self.tell(order)
            await rings(parts.bell, ORDERS_S)
            parts.bell.clear()

    async def _calendar(self) -> None:
        """Send nothing while the target is closed for maintenance; what is under way ends by itself."""
        while True:
            await asyncio.sleep(CALENDAR_S)
            if (left_s := self._parts.closed_s()) > 0:
                self.tell(Slowed(left_s))

    async def _revoke(self) -> None:
        """Stop sending, wait for what is under way within the budget."""
        await self._slot.revoked.wait()
        self._parts.sender.door.shut()
        self.tell(Revoked())
        await asyncio.sleep(self._parts.config.delivery.drain_s * DRAIN_SHARE)
        self._inbox.put_nowait(_DrainOver())
