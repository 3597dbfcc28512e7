"""Replays as a command gives them: select parked rows, plan, write the orders, and wait until they have come to rest.

An order asks; only the owner of the slot acts.  So a replay that was interrupted is simply given again: rows that are
settled by then are left out by the plan.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.edges import clock
from gateway.edges.ledger import Pool
from gateway.edges.operator_ledger import (
    OrderRow,
    ParkedFilter,
    ParkedRow,
    Person,
    give_orders,
    orders_by_ids,
    parked_by_ids,
    parked_rows,
)
from gateway.edges.story_ledger import events_of
from gateway.quarantine.plans import Action, LeftOut, ParkedId, Plan, plan

POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Selection:
    """What an operator names: ids, events (any id that explain takes), or everything open that passes the filter.

    *confirmed* as in `plan`.
    """

    ids: tuple[ParkedId, ...] = ()
    events: tuple[str, ...] = ()
    open_rows: ParkedFilter | None = None
    confirmed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the orders of one replay are."""

    orders: int
    open: int
    void: int
    settled: int
    parked_again: int

    @property
    def under_way(self) -> int:
        """Orders whose record has not come to rest."""
        return self.orders - self.void - self.settled - self.parked_again


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a replay: its progress, what became of each order and of each row."""

    progress: Progress
    orders: tuple[OrderRow, ...]
    rows: tuple[ParkedRow, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A plan with the ids of the orders that were written for it, and the rows as they were before."""

    plan: Plan
    order_ids: tuple[int, ...]
    before: tuple[ParkedRow, ...]


async def select(pool: Pool, selection: Selection) -> list[ParkedRow]:
    """The rows that *selection* covers, closed ones only where they are named."""
    rows = await parked_by_ids(pool, selection.ids) if selection.ids else []
    for text in selection.events:
        for event in await events_of(pool, text):
            rows += await parked_rows(pool, ParkedFilter(event=event, any_state=True))
    if selection.open_rows is not None:
        rows += await parked_rows(pool, selection.open_rows)
    return rows


async def make_plan(pool: Pool, selection: Selection, action: Action) -> tuple[Plan, list[ParkedRow]]:
    """The plan for *selection*, and its rows; nothing is written."""
    rows = await select(pool, selection)
    candidates = (row.candidate() for row in rows)
    return plan(candidates, action, named=selection.ids, confirmed=selection.confirmed), rows


async def give(pool: Pool, selection: Selection, action: Action, person: Person) -> Given:
    """Write the orders of the plan."""
    made, rows = await make_plan(pool, selection, action)
    order_ids = await give_orders(pool, made.orders, person) if made.orders else []
    return Given(made, tuple(order_ids), tuple(rows))


async def outcome(pool: Pool, given: Given) -> Outcome:
    """What has become of the orders up to now."""
    orders = await orders_by_ids(pool, given.order_ids)
    ids = [ParkedId(order.stage, order.target, order.slot, order.topic_offset) for order in orders]
    rows = {row.id: row for row in await parked_by_ids(pool, ids)} if ids else {}
    before = {row.id: row for row in given.before}
    settled = again = 0
    for order, one in zip(orders, ids, strict=True):
        row = rows.get(one)
        if order.state != "done":
            continue
        if row is None or row.state == "closed":
            settled += 1
        elif row.state == "parked" and row.seq > before[one].seq:
            again += 1
    progress = Progress(
        orders=len(orders),
        open=sum(order.state == "open" for order in orders),
        void=sum(order.state == "void" for order in orders),
        settled=settled,
        parked_again=again,
    )
    return Outcome(progress, tuple(orders), tuple(rows.values()))


async def wait(pool: Pool, given: Given, wait_s: float, tell: Callable[[Progress], None]) -> Outcome:
    """The outcome once every record has come to rest, or after *wait_s*."""
    deadline_s = clock.monotonic_s() + wait_s
    while True:
        now = await outcome(pool, given)
        tell(now.progress)
        if now.progress.under_way == 0 or clock.monotonic_s() >= deadline_s:
            return now
        await asyncio.sleep(POLL_S)


def unreached(left_out: Sequence[LeftOut], named: Sequence[ParkedId]) -> list[LeftOut]:
    """What a person named and did not get: the reason for a failing exit code."""
    return [one for one in left_out if one.id in named]
