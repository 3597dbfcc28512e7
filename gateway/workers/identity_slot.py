"""One slot of identity: takes over, then turns mapped records into versions, and takes up again what it had to park.

    take over   fence Kafka (new producer) → fence the ledger (epoch) → committed offset → undo what was never committed
                → project national.records from the watermark to its end → seek → suspects, if any (suspects.py) → go
    a batch     heads, lanes, verdicts in a query each → a short wait for running look-ups → decide
                → parked rows into the ledger → Kafka transaction with the offsets → heads into the ledger
    a lane      answered look-ups and rows whose way is free are decided again with the next batch, orders between them

Only lane tokens of parked pupils stay in memory; their rows are read when an event or an answer concerns them.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from gateway.config import Config
from gateway.edges import clock
from gateway.edges.failpoints import failpoint, record_failpoint
from gateway.edges.identity_aliases import AliasStore
from gateway.edges.identity_ledger import SlotLedger
from gateway.edges.identity_rows import Order, Published, Stored
from gateway.edges.kafka import AssignedSlot, SlotProducer, read_partition
from gateway.edges.kafka_types import Record, TopicPartition
from gateway.edges.keys import Keys
from gateway.edges.ledger import Pool, hold_while_down
from gateway.edges.telemetry import logger
from gateway.errors import GatewayError
from gateway.identity.plan import SETTLED_BY_LOOKUP, WAITING, ClaimKey, Desk, Row
from gateway.identity.queue import FIRST_GRADES, Origin
from gateway.identity.verdicts import UNCONFIRMED, Verdict
from gateway.record import MAPPED_TOPIC, NATIONAL_TOPIC, State
from gateway.workers.identity_alias import Aliases
from gateway.workers.identity_draft import Draft
from gateway.workers.identity_records import Item, first_seq, opened, published, read, unread
from gateway.workers.identity_resolver import Resolver
from gateway.workers.suspects import KILLER, Suspects, Ward, quarantined

STAGE: Final = "identity"
ORDERS_POLL_S: Final = 1.0
LANES_AT_ONCE: Final = 200
RECORDS_BETWEEN_YIELDS: Final = 200
ASKED_AGAIN: Final = frozenset({"ID-02", "ID-03", "ID-04", "ID-05", UNCONFIRMED})
"""An order for a row that a register did not confirm wants a fresh look-up, not the kept answer."""

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Shop:
    """What the slots of one process share; *bells* ring when an order for a slot was written."""

    config: Config
    pool: Pool
    keys: Keys
    resolver: Resolver
    bells: Mapping[int, asyncio.Event]
    ward: Ward


@dataclass(slots=True)
class _Hand:
    """What is on the desk: the working copy, the stored rows in it, and the items of the stream."""

    desk: Desk
    stored: dict[int, Stored]
    items: dict[int, Item] = field(default_factory=dict)
    aliases: Mapping[int, str] = field(default_factory=dict)


class IdentitySlot:
    """The loop of one slot for one assignment; nothing of it outlives the assignment."""

    def __init__(self, shop: Shop, slot: AssignedSlot) -> None:
        kafka = shop.config.kafka
        self._shop = shop
        self._slot = slot
        self._mapped = TopicPartition(MAPPED_TOPIC, slot.number)
        self._national = TopicPartition(NATIONAL_TOPIC, slot.number)
        self._ledger = SlotLedger(shop.pool, shop.keys, slot.number)
        self._producer = SlotProducer(kafka, f"{kafka.group_prefix}-{STAGE}-{slot.number}")
        self._aliases = Aliases(AliasStore(shop.pool, shop.keys), shop.keys.lane_token, shop.config.slots)
        self._bell = shop.bells[slot.number]
        self._suspects = Suspects(shop.ward, slot, shop.config.identity.batch_records)
        self._most_waiting = max(1, shop.config.identity.waiting_high_water // shop.config.slots)
        self._lanes: set[int] = set()
        self._due: set[int] = set()
        self._waiting = 0
        self._next = 0
        self._orders_at_s = 0.0

    async def run(self) -> None:
        """Take the slot over and work until it is revoked."""
        try:
            await self._take_over()
            await self._suspects.take_over()
            await self._suspects.go_through(self._batch, self._bury)
            feeding = asyncio.ensure_future(self._feed())
            try:
                while not self._slot.revoked.is_set():
                    if feeding.done():
                        feeding.result()
                    await self._turn()
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            await self._suspects.leave()
        finally:
            await self._producer.stop()

    # --- taking over -------------------------------------------------------------------------------------------

    async def _take_over(self) -> None:
        await failpoint("identity.producer_start")
        await self._producer.start()
        await hold_while_down(self._ledger.raise_epoch, "epoch")
        self._next = await self._committed()
        undone = await hold_while_down(lambda: self._ledger.undo_from(self._next), "take-over")
        await self._catch_up()
        self._slot.consumer.seek(self._mapped, self._next)
        self._lanes, self._waiting = await hold_while_down(self._ledger.open_lanes, "lanes")
        self._due = await hold_while_down(self._ledger.behind, "lanes")
        log.info("slot taken over", stage=STAGE, slot=self._slot.number, offset=self._next, undone=undone)

    async def _committed(self) -> int:
        """The committed offset; a slot's first owner commits the beginning before it writes any row."""
        committed = await self._slot.consumer.committed(self._mapped)
        if committed is not None:
            return committed
        if await hold_while_down(self._ledger.is_used, "take-over"):
            message = (
                f"group {self._slot.group_id} has no committed offset for {MAPPED_TOPIC}-{self._slot.number}, "
                "but the ledger holds rows of this slot; set the group's offset to where it was before starting"
            )
            raise GatewayError(message)
        beginning = (await self._slot.consumer.beginning_offsets([self._mapped]))[self._mapped]
        await self._producer.transact(
            [], offsets={self._mapped: beginning}, group_id=self._slot.group_id, stage="identity-first"
        )
        return beginning

    async def _catch_up(self) -> None:
        start = await hold_while_down(self._ledger.watermark, "watermark")
        async for records in read_partition(self._shop.config.kafka, self._national, start):
            heads = [head for record in records if (head := self._head(record))]
            following = records[-1].offset + 1
            await hold_while_down(partial(self._ledger.catch_up, heads, following), "heads")

    def _head(self, record: Record) -> Published | None:
        """The head that *record* became; what cannot be read became none and must not stop the slot."""
        head = published(record)
        if head is None:
            log.error("undecodable national record", position=f"{record.topic}-{record.partition}@{record.offset}")
        return head

    async def _feed(self) -> None:
        """Have the pupils that a predecessor left waiting looked up, at the resolver's pace."""
        after = -1
        while page := await hold_while_down(partial(self._ledger.waiting, after), "waiting"):
            after = page[-1].row.offset
            known = await self._shop.resolver.known(key for one in page if (key := _key(one.row)))
            for one in page:
                if _key(one.row) in known:
                    self._told(one.row.lane)
                elif item := self._open(one):
                    self._ask(item)
            await self._shop.resolver.room()

    # --- a turn of the loop ------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        if self._bell.is_set() or clock.monotonic_s() >= self._orders_at_s:
            self._bell.clear()
            self._orders_at_s = clock.monotonic_s() + ORDERS_POLL_S
            await self._take_orders()
        settings = self._shop.config.identity
        self._due &= self._lanes
        due = {self._due.pop() for _ in range(min(LANES_AT_ONCE, len(self._due)))}
        records: Sequence[Record] = ()
        if self._waiting < self._most_waiting:  # hold the stream instead of parking the nation
            timeout_ms = 0 if self._due else settings.linger_ms  # a moment makes one transaction of two
            fetched = await self._slot.fetch(max_records=settings.batch_records, timeout_ms=timeout_ms)
            records = fetched.get(self._mapped, ())
        elif not due:
            await asyncio.sleep(settings.linger_ms / 1000)
        if records:
            await self._batch(records, due)
        elif due:
            await self._try_again(due, ())

    async def _batch(self, records: Sequence[Record], due: Set[int] = frozenset()) -> None:
        """Decide on *records*, and first on the rows of *due* lanes: two transactions would cost twice as much."""
        items: dict[int, Item] = {}
        for number, record in enumerate(records):
            if number % RECORDS_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)  # heartbeats of the group share this thread
            record_failpoint("identity.record", record.value)
            if item := read(record.value or b"", record.offset, self._shop.keys.claim, first_seq(record)):
                items[record.offset] = item
        hand = await self._lay_out({*due, *(item.event.lane for item in items.values())}, items)
        draft = self._draft()
        self._retry_due(hand, {}, draft, due)
        for number, record in enumerate(records):
            if number % RECORDS_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)
            if found := items.get(record.offset):
                self._decide(found, hand, draft)
            else:
                self._park_unread(record, hand, draft)
        await self._commit(draft, {self._mapped: records[-1].offset + 1}, [])
        self._next = records[-1].offset + 1
        self._note(hand)

    async def _bury(self, record: Record, deaths: int) -> None:
        """Park the record that kills this stage, unread, and keep it whole in quarantine."""
        hand, draft = await self._lay_out((), {}), self._draft()
        draft.receipts.append(quarantined(record, STAGE, deaths))
        parking = unread(record, KILLER)
        if parking is not None:
            hand.desk.park_unread(parking.row)
            draft.unread(parking, record)
        await self._commit(draft, {self._mapped: record.offset + 1}, [])
        self._next = record.offset + 1
        self._note(hand)

    def _decide(self, item: Item, hand: _Hand, draft: Draft) -> None:
        if anew := self._aliases.anew(item, hand.aliases, item.event.seq):
            draft.receipts.append(anew)
            return
        step = hand.desk.arrive(item.event)
        for row in step.replaced:
            draft.replace(row, self._readable(row, hand), by=item.event.offset)
        draft.streamed(step, item)

    def _park_unread(self, record: Record, hand: _Hand, draft: Draft) -> None:
        parking = unread(record)
        log.error("undecodable mapped record", position=f"{record.topic}-{record.partition}@{record.offset}")
        if parking is not None:
            hand.desk.park_unread(parking.row)
        draft.unread(parking, record)

    async def _take_orders(self) -> None:
        orders = await hold_while_down(lambda: self._ledger.orders(self._next), "orders")
        if orders:
            await self._try_again([order.lane for order in orders], orders)

    async def _try_again(self, lanes: Iterable[int], orders: Sequence[Order]) -> None:
        """Decide again on rows of *lanes* that are ordered, answered, or no longer behind another."""
        ordered = {order.offset: order for order in orders}
        hand = await self._lay_out(lanes, {}, ordered)
        draft = self._draft()
        risky = await self._close_risky(hand, orders)
        outcomes = self._retry_due(hand, ordered, draft, hand.desk.lanes.keys())
        done = [_done(order, outcomes) for order in orders if order not in risky]
        if draft.outputs or draft.closings or done:
            await self._commit(draft, {}, done)
        self._note(hand)

    def _retry_due(self, hand: _Hand, ordered: Mapping[int, Order], draft: Draft, lanes: Set[int]) -> dict[int, str]:
        """Decide again on the stored rows of *lanes* that are due or ordered; offset → a word for what came of it."""
        outcomes: dict[int, str] = {}
        for offset, stored in hand.stored.items():
            row, order = stored.row, ordered.get(offset)
            if row.lane in lanes and row in hand.desk.lanes[row.lane] and (order or hand.desk.due(row)):
                outcomes[offset] = self._retry(row, order, hand, draft)
        self._ask_unanswered(hand, lanes)
        return outcomes

    async def _close_risky(self, hand: _Hand, orders: Sequence[Order]) -> list[Order]:
        """Orders to try again what killed this stage; closed before they are carried out, each costs one death."""
        codes = {offset: stored.row.code for offset, stored in hand.stored.items()}
        risky = [order for order in orders if order.action != "discard" and codes.get(order.offset) == KILLER]
        if risky:
            await self._commit(self._draft(), {}, [(order.number, "done", "tried once") for order in risky])
        return risky

    def _retry(self, row: Row, order: Order | None, hand: _Hand, draft: Draft) -> str:
        discard = order is not None and order.action == "discard"
        item = None if discard and row.code == KILLER else self._item(row, hand)
        if discard:
            hand.desk.drop(row)
            draft.end(row, item.head if item else self._unread_head(row, hand), State.DISCARDED)
            return State.DISCARDED
        if item is None:
            return "still undecodable"
        if anew := self._aliases.anew(item, hand.aliases, row.seq + 1):
            hand.desk.drop(row)
            return draft.moved(row, anew)
        step = hand.desk.retry(row, item.event)
        for old in step.replaced:
            draft.end(old, self._readable(old, hand).head, State.SUPERSEDED)
        return draft.retried(step, row, item)

    def _ask_unanswered(self, hand: _Hand, lanes: Set[int]) -> None:
        """Nothing else asks for a stored row: its answer may have expired before this slot could read it."""
        for row in hand.desk.unanswered():
            if row.lane in lanes and (item := self._item(row, hand)):
                self._ask(item)

    # --- what both ways share ----------------------------------------------------------------------------------

    async def _lay_out(
        self, lanes: Iterable[int], items: dict[int, Item], ordered: Mapping[int, Order] | None = None
    ) -> _Hand:
        """Everything the decisions need to know."""
        touched = self._lanes.intersection(lanes)
        stored = await hold_while_down(lambda: self._ledger.lanes(touched), "lanes") if touched else []
        rows = [one.row for one in stored]
        records = {item.event.record_id for item in items.values()} | {row.record_id for row in rows}
        known = await hold_while_down(lambda: self._ledger.heads(list(records)), "heads")
        fresh = [
            key for row in rows if row.offset in (ordered or {}) and row.code in ASKED_AGAIN and (key := _key(row))
        ]
        if fresh:
            await self._shop.resolver.forget(fresh)
        keys = {key for row in rows if (key := _key(row))}
        verdicts = await self._verdicts(items.values(), keys)
        desk = Desk(known.heads, {lane: [] for lane in touched}, verdicts, known.handed_over)
        for row in rows:
            desk.lanes[row.lane].append(row)
        return _Hand(
            desk, {one.row.offset: one for one in stored}, items, await self._aliases.known(items.values(), rows)
        )

    async def _verdicts(self, items: Iterable[Item], keys: set[ClaimKey]) -> dict[ClaimKey, Verdict]:
        """Kept verdicts; unknown claims of the stream go to the resolver, and get a moment."""
        needed = {key: item for item in items if _needs_look_up(item) and (key := item.event.claim_key)}
        verdicts = await self._shop.resolver.known(keys | needed.keys())
        for key in self._shop.resolver.due(needed.keys() & verdicts.keys()):
            self._ask(needed[key], refresh=True)
        asked = [self._ask(item) for key, item in needed.items() if key not in verdicts]
        moment_s = self._shop.config.identity.lookup_wait_ms / 1000
        if asked and self._shop.resolver.answers_within(moment_s):
            try:
                async with asyncio.timeout(moment_s):
                    for answered in asked:
                        await answered.wait()
            except TimeoutError:
                pass  # the rest waits in the ledger, not in the stream
        return verdicts | self._shop.resolver.remembered(keys | needed.keys())

    def _ask(self, item: Item, *, refresh: bool = False) -> asyncio.Event:
        """Have *item*'s pupil looked up; nothing waits for a *refresh*, so nobody is told of it."""
        key = item.event.claim_key
        if key is None or item.claim is None:
            message = "a record without a claim has nothing to ask"
            raise ValueError(message)
        origin = Origin(item.head["vendor"], item.head["grade"] in FIRST_GRADES)
        return self._shop.resolver.ask(key, item.claim, None if refresh else self._told, origin)

    def _told(self, lane: int) -> None:
        self._due.add(lane)

    def _item(self, row: Row, hand: _Hand) -> Item | None:
        if row.offset in hand.items:
            return hand.items[row.offset]
        return self._open(hand.stored[row.offset])

    def _readable(self, row: Row, hand: _Hand) -> Item:
        """The item of a row that could be read when it was parked."""
        item = self._item(row, hand)
        if item is None:
            message = f"the row parked at {MAPPED_TOPIC}-{self._slot.number}@{row.offset} can no longer be read"
            raise GatewayError(message)
        return item

    def _open(self, stored: Stored) -> Item | None:
        value = self._ledger.unseal(stored)
        value = value if stored.row.entry else opened(value)[1]
        record_failpoint("identity.record", value)
        return read(value, stored.row.offset, self._shop.keys.claim)

    def _unread_head(self, row: Row, hand: _Hand) -> dict[str, Any]:
        return opened(self._ledger.unseal(hand.stored[row.offset]))[0]

    def _draft(self) -> Draft:
        return Draft(self._slot.number, self._shop.config.slots, clock.now_ms())

    async def _commit(
        self, draft: Draft, offsets: Mapping[TopicPartition, int], orders: list[tuple[int, str, str]]
    ) -> None:
        """Ledger rows of the batch, then Kafka, then what follows from it; the order must not change."""
        if draft.parkings or draft.replaced:
            parkings, replaced = list(draft.parkings.values()), draft.replaced
            await hold_while_down(lambda: self._ledger.park(parkings, replaced), "parked rows")
            await failpoint("identity.after_pg_commit")
        ends: Mapping[TopicPartition, int] = {}
        if draft.outputs or offsets:
            group = self._slot.group_id if offsets else None
            ends = await self._producer.transact(draft.outputs, offsets=offsets, group_id=group, stage=STAGE)
        after = draft.aftermath(ends.get(self._national), orders)
        if after.next_offset is not None or after.closings or after.reparks or orders:
            await hold_while_down(lambda: self._ledger.finish(after), "heads")

    def _note(self, hand: _Hand) -> None:
        """Remember which lanes are open now, and which of them may go on."""
        before = sum(stored.row.code == WAITING for stored in hand.stored.values())
        after = 0
        for lane, rows in hand.desk.lanes.items():
            (self._lanes.add if rows else self._lanes.discard)(lane)
            after += sum(row.code == WAITING for row in rows)
            if any(hand.desk.due(row) for row in rows):
                self._due.add(lane)
        self._waiting += after - before


def _needs_look_up(item: Item) -> bool:
    return item.claim is not None and all(hold.code in SETTLED_BY_LOOKUP for hold in item.event.holds)


def _key(row: Row) -> ClaimKey | None:
    return None if row.claim_hash is None else (row.lane, row.claim_hash)


def _done(order: Order, outcomes: Mapping[int, str]) -> tuple[int, str, str]:
    outcome = outcomes.get(order.offset)
    return (order.number, "void", "not open") if outcome is None else (order.number, "done", outcome)
