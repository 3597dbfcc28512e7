"""The ledger of one (target, slot) as its owners see it, in memory: what `DeliveryLedger` promises, with outages.

It passes the same contract test as the real one (tests/contract/test_delivery_ledger.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from gateway.delivery.events import Ordered
from gateway.delivery.values import REFUSES_ALL, Known
from gateway.edges.delivery_ledger import Flush, LoadedLane, LostSlot, ReceiptRow, Taken, Unpublished
from tests.fakes.delivery_ledger import FakeLedger


@dataclass
class SlotStore:
    """What all owners of the slot share; *now* is the database's clock."""

    now: Callable[[], float]
    core: FakeLedger = field(default_factory=FakeLedger)
    epoch: int = 0
    lease_until: float = 0.0
    active: int = 0
    """The owner that renewed last: from then on no other may send or write."""
    down: bool = False
    outbox: list[tuple[int, ReceiptRow]] = field(default_factory=list)
    published: set[int] = field(default_factory=set)
    orders: list[Ordered] = field(default_factory=list)
    receipts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class FakeSlotLedger:
    """One owner's way to the store; *cut_off*: it alone cannot reach it."""

    store: SlotStore
    epoch: int = 0
    horizon: int = 0
    cut_off: bool = False
    loses_answer: bool = False
    _written: set[int] = field(default_factory=set)

    def _reach(self) -> SlotStore:
        if self.store.down or self.cut_off:
            raise psycopg.OperationalError
        return self.store

    async def raise_epoch(self) -> float:
        store = self._reach()
        store.epoch += 1
        self.epoch, self.horizon = store.epoch, store.core.horizon
        store.core.alarm = ""
        return max(0.0, store.lease_until - store.now())

    async def renew(self, lease_s: float) -> None:
        store = self._reach()
        if store.epoch != self.epoch:
            raise LostSlot
        store.lease_until, store.active = store.now() + lease_s, self.epoch

    async def tell_held(self, code: str) -> None:
        store = self._reach()
        if store.epoch == self.epoch and store.core.alarm != REFUSES_ALL:
            store.core.alarm = code

    async def hand_back(self) -> None:
        if not (self.store.down or self.cut_off) and self.store.epoch == self.epoch:
            self.store.lease_until = self.store.now()

    def _fenced(self) -> SlotStore:
        store = self._reach()
        if store.epoch != self.epoch:
            raise LostSlot
        return store

    async def load(self) -> Taken:
        store = self._fenced()
        return Taken(store.core.started(), {}, {})

    async def known(self, records: Sequence[tuple[int, str]]) -> dict[str, Known]:
        return self._reach().core.known(name for _, name in records)

    async def lane(self, lane: int) -> LoadedLane:
        core = self._reach().core
        rows = core.lane(lane)
        told = {row.entry.offset: self.store.receipts[row.entry.offset] for row in rows}
        return LoadedLane(rows, core.known(row.entry.record_id for row in rows), told)

    async def write(self, flush: Flush) -> None:
        """As one transaction; a repeated one, whose answer was lost, changes nothing."""
        store = self._fenced()
        fresh = [write for write in flush.writes if write.ticket not in self._written]
        for write in fresh:
            store.core.commit(write)
            self._written.add(write.ticket)
        if fresh:
            store.outbox += [(len(store.outbox) + place, row) for place, row in enumerate(flush.receipts)]
            store.receipts |= {offset: told for (offset, _), told in flush.parked.items()}
        if self.loses_answer:
            self.loses_answer = False
            raise psycopg.OperationalError

    async def orders(self, taken: Sequence[int]) -> list[Ordered]:
        store = self._reach()
        return [one for one in store.orders if one.order not in taken and one.order not in store.core.orders]

    async def unpublished(self, limit: int) -> list[Unpublished]:
        store = self._reach()
        left = [(number, row) for number, row in store.outbox if number not in store.published]
        return [Unpublished(number, row) for number, row in left[:limit]]

    async def published(self, sent: Sequence[Unpublished]) -> None:
        self._reach().published.update(one.number for one in sent)


def as_ledger(fake: FakeSlotLedger) -> Any:
    """The fake where the real thing's type is asked for."""
    return fake
