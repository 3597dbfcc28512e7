"""Which parked records an operator's selection covers, and in which order they are released or discarded.

    selection ─► candidate rows (ledger) ─► plan: orders, oldest first in every lane + what is left out, and why

A closed record is never ordered: it has its end state.  A record that waits behind another of its pupil is not
ordered either: it goes by itself, and its order would be void (design rule 2).  A record whose former version was
revoked is discarded only when that is meant: its row is all that tells of a pupil without a valid record.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Action = Literal["release", "discard"]
BEHIND: Final = "GW-03"
REVOKED: Final = "TG-06"


class NotAnId(ValueError):
    """A text that is not the id of a parked row; the message says what one looks like."""


@dataclass(frozen=True, slots=True, order=True)
class ParkedId:
    """A parked row: the place of its record in gateway.mapped (identity, no target) or national.records (delivery)."""

    stage: str
    target: str
    slot: int
    offset: int

    def __str__(self) -> str:
        """``delivery:sector:3:1042``, ``identity:3:77``."""
        place = (str(self.slot), str(self.offset))
        return ":".join((self.stage, self.target, *place) if self.target else (self.stage, *place))


def parse_id(text: str) -> ParkedId:
    """The id that prints as *text*; raises NotAnId.

    >>> parse_id("delivery:sector:3:1042")
    ParkedId(stage='delivery', target='sector', slot=3, offset=1042)
    >>> str(parse_id("identity:3:77"))
    'identity:3:77'
    """
    match text.split(":"):
        case ["identity", slot, offset] if slot.isdecimal() and offset.isdecimal():
            return ParkedId("identity", "", int(slot), int(offset))
        case ["delivery", target, slot, offset] if target and slot.isdecimal() and offset.isdecimal():
            return ParkedId("delivery", target, int(slot), int(offset))
        case _:
            message = "an id looks like delivery:<target>:<slot>:<offset> or identity:<slot>:<offset>"
            raise NotAnId(message)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a plan needs to know of a parked row; *ordered* says that an order of a person is already open."""

    id: ParkedId
    lane: int
    state: str
    code: str
    ordered: bool


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """One order to write."""

    id: ParkedId
    lane: int
    action: Action


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that the selection names and the plan does not order; *why* is for a person."""

    id: ParkedId
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The orders in the order in which they are written, and what is left out."""

    orders: tuple[PlannedOrder, ...]
    left_out: tuple[LeftOut, ...]


def plan(
    candidates: Iterable[Candidate],
    action: Action,
    *,
    named: Sequence[ParkedId] = (),
    confirmed: Collection[str] = (),
) -> Plan:
    """Order *action* for *candidates*; *named* ids that are not among them are left out as unknown.

    *confirmed* are codes that are discarded although it leaves a pupil without a valid record.
    """
    rows = sorted({row.id: row for row in candidates}.values(), key=lambda row: row.id)
    known = {row.id for row in rows}
    left_out = [LeftOut(one, "no such parked record") for one in dict.fromkeys(named) if one not in known]
    orders: list[PlannedOrder] = []
    for row in rows:
        why = _obstacle(row, action, confirmed)
        if why:
            left_out.append(LeftOut(row.id, why))
        else:
            orders.append(PlannedOrder(row.id, row.lane, action))
    return Plan(tuple(orders), tuple(left_out))


def _obstacle(row: Candidate, action: Action, confirmed: Collection[str]) -> str:
    if row.state == "closed":
        return "it is closed and has its end state"
    if row.ordered:
        return "an order for it is already open"
    if row.code == BEHIND and action == "release":
        return "it waits behind another record of the pupil and goes by itself"
    if row.code == REVOKED and action == "discard" and row.code not in confirmed:
        return (
            "the pupil has no valid record at the target and nothing else says so; confirm it with --although-revoked"
        )
    return ""
