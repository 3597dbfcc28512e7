"""The repair after a run: what a registry office, a vendor and an operator do about what was parked.

    registry      entries appear, or are put right
    vendors       publish corrected versions (the script's repair wave)
    operators     order the release of rows whose cause is gone, and discard what was sent in error

The operators' part goes the operators' way: a selection of parked rows, a plan, orders in the ledger, taken by the
owner of the slot.
"""

from collections.abc import Collection
from typing import Final, Literal

from gateway.edges.ledger import Pool
from gateway.edges.operator_ledger import ParkedFilter, Person, give_orders, parked_rows
from gateway.quarantine.plans import Action, plan

OPERATOR: Final = "demo-operator"


async def order(
    pool: Pool,
    stage: Literal["identity", "delivery"],
    action: Action,
    reason: str,
    events: Collection[str] | None = None,
) -> int:
    """Order *action* for what is parked at *stage*, of *events* (ids) or of all; how many orders were given."""
    rows = await parked_rows(pool, ParkedFilter(stage=stage))
    chosen = [row.candidate() for row in rows if row.state == "parked" and (events is None or row.event_id in events)]
    planned = plan(chosen, action)
    return len(await give_orders(pool, planned.orders, Person(OPERATOR, reason)))
