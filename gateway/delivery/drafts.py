"""What one event changes in the ledger, collected into one `Write`, and whom it concerns when it is committed.

A lane moves on only when everything decided about it is committed: a successor of this owner then finds at most the
head of a lane in doubt.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from msgspec import structs

from gateway.delivery.effects import Arm, CloseOrder, CreatePacket, MarkPacket, Park, Revoke, Settle, Tried, Write
from gateway.delivery.lanes import Lane, Open
from gateway.delivery.values import BEHIND, KILLER, REVOKED, Known, Reason
from gateway.record import Op, State

MOST_TRIED: Final = 20
What = Literal["settled", "parked", "armed"]
Touched = tuple[Lane, Open, What]


@dataclass(slots=True)
class Drafts:
    """The write being collected, and those on their way."""

    current: Write = field(default_factory=lambda: Write(1))
    _touched: list[Touched] = field(default_factory=list)
    _sent: dict[int, tuple[Write, list[Touched]]] = field(default_factory=dict)

    def settle(self, lane: Lane, open_: Open, state: State, op: Op, packet: str | None = None) -> None:
        """*open_* is out of its lane's queue and ends in *state*."""
        entry = open_.entry
        known = lane.knows(entry.record_id)
        doubt = open_.doubt and (state is State.DISCARDED or open_.is_refused)
        accepted = state is State.ACCEPTED
        lane.known[entry.record_id] = Known(
            known.finals | {entry.version},
            max(known.held, entry.version) if accepted else known.held,
            op if accepted else known.held_op,
            max(known.maybe, entry.version) if doubt else known.maybe,
            known.revoked,
        )
        row = open_.row or open_.parking
        self.current.settles.append(
            Settle(entry, state, op, open_.seq + 1, open_.attempts, row, doubt, packet, open_.reply)
        )
        self._touch(lane, open_, "settled")

    def park(self, lane: Lane, open_: Open) -> None:
        """Hold *open_*: with its own reasons, or behind the one before it."""
        open_.seq += 1
        open_.parking = True
        reasons = _with_alarm(lane, open_) or (Reason(BEHIND),)
        self.current.parks.append(Park(open_.entry, reasons, open_.seq, open_.attempts, open_.doubt))
        self._touch(lane, open_, "parked")

    def tried(self, open_: Open, outcome: str) -> None:
        """An attempt that did not settle *open_*; nothing waits for this row."""
        self.current.tried.append(Tried(open_.entry, open_.asked % MOST_TRIED + 1, outcome))
        open_.asked += 1

    def revoke(self, lane: Lane, open_: Open, revokes: int) -> None:
        """The version in force is gone and *open_* is to take its place: a row says so until it has."""
        known = lane.knows(open_.entry.record_id)
        lane.known[open_.entry.record_id] = structs.replace(known, revoked=max(known.revoked, revokes))
        self.current.revokes.append(Revoke(open_.entry, revokes))
        open_.seq += 1
        open_.parking = True
        self.current.parks.append(
            Park(open_.entry, (Reason(REVOKED),), open_.seq, open_.attempts, open_.doubt, step=True)
        )
        self._touch(lane, open_, "parked")

    def arm(self, lane: Lane, open_: Open) -> None:
        """*open_* has a parked row and is to be sent."""
        self.current.arms.append(Arm(open_.entry.offset))
        self._touch(lane, open_, "armed")

    def release(self, open_: Open) -> None:
        """*open_* may be sent, by order: a successor goes on with that."""
        self.current.arms.append(Arm(open_.entry.offset, "again" if open_.doubt else "released"))

    def close_order(self, order: int, *, done: bool, outcome: str) -> None:
        """Answer an order."""
        self.current.orders.append(CloseOrder(order, done, outcome))

    def packet(self, change: CreatePacket | MarkPacket) -> int:
        """A packet's row changes; returns the ticket that will say so."""
        self.current.packets.append(change)
        return self.current.ticket

    def take(self) -> Write | None:
        """The collected write, if there is anything in it."""
        if not self.current:
            return None
        write, self._sent[self.current.ticket] = self.current, (self.current, self._touched)
        self.current, self._touched = Write(write.ticket + 1), []
        return write

    def written(self, ticket: int) -> tuple[Write, Iterator[Touched]]:
        """The write of *ticket* is committed: whom it concerned, with their marks set."""
        write, touched = self._sent.pop(ticket)
        return write, map(_landed, touched)

    def __len__(self) -> int:
        return len(self._sent)

    def _touch(self, lane: Lane, open_: Open, what: What) -> None:
        lane.writes += 1
        self._touched.append((lane, open_, what))


def _with_alarm(lane: Lane, open_: Open) -> tuple[Reason, ...]:
    """The reasons of *open_*; first of all, if so, that its pupil is left without a valid record meanwhile."""
    reasons = open_.reasons
    if not reasons or reasons[0].code == KILLER or open_.entry.op is Op.CANCEL:
        return reasons
    if not lane.knows(open_.entry.record_id).left_revoked:
        return reasons
    return (Reason(REVOKED, reasons[0].target_code), *reasons)


def _landed(touched: Touched) -> Touched:
    lane, open_, what = touched
    lane.writes -= 1
    if what == "parked":
        open_.row = open_.durable = True
        open_.parking = False
    elif what == "armed":
        open_.doubt = True
    return touched
