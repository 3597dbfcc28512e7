"""Batches on their way to an immediate target, and what their answers mean for each record.

A missing answer is ambiguous: the record stays the head of its lane and goes again under the same key.  A batch that is
refused whole is halved until the culprit stands alone; so is one that keeps failing while others succeed.  A target
that answers nothing in time may be slow rather than gone: it gets smaller batches, doubled by each full one it answers.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from gateway.delivery.effects import SendBatch, Sending
from gateway.delivery.events import Answered
from gateway.delivery.lanes import Lane, Open
from gateway.delivery.retry import Gate
from gateway.delivery.slot import Slot
from gateway.delivery.values import REFUSED, TOO_LARGE, UNDECODABLE, Reason
from gateway.outcomes import (
    Accepted,
    Ambiguous,
    BatchAnswer,
    Duplicate,
    Hold,
    Outcome,
    Refused,
    RefusedWhole,
    Stale,
    TooLarge,
    Unavailable,
    Whole,
)
from gateway.record import Op

LOST_IN_A_ROW: Final = 3
"""So many answers lost one after the other halve the batches."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A record on its way; *revokes* as in `Step`."""

    lane: Lane
    open: Open
    op: Op
    revokes: int = 0


def is_success(outcome: Outcome | None) -> bool:
    """Whether the target decided about the record."""
    return isinstance(outcome, Accepted | Duplicate | Stale | Refused)


def halved(slot: Slot, gate: Gate, flights: Collection[Flight], code: str, now: float) -> None:
    """The batch was refused as one: smaller ones next, or the record itself is refused; an older doubt remains.

    A record that stands alone is the culprit only if the target took another one since: a target that refuses whatever
    it is sent parks nobody.  A few such records in a row close the gate and raise an alarm.
    """
    for flight in flights:
        open_ = flight.open
        if open_.suspected < 0:
            open_.suspected = slot.vouches
        if len(flights) > 1:
            open_.limit = len(flights) // 2
        elif slot.vouches > open_.suspected:
            open_.block(Reason(REFUSED, code))
        else:
            slot.suspect(open_, now)
            if slot.refuses_all:
                gate.unavailable(now, None)


class Flights:
    """The batches under way."""

    def __init__(self, slot: Slot, gate: Gate) -> None:
        self._slot = slot
        self._gate = gate
        self._under_way: dict[int, list[Flight]] = {}
        self._last = 0
        self._lost = 0

    def __len__(self) -> int:
        return len(self._under_way)

    def cut(self, now: float) -> list[SendBatch]:
        """The batches that may leave now."""
        leaving = []
        while self._has_room and self._gate.is_open(now, len(self)) and (lanes := self._slot.ready.take(now)):
            flights = [Flight(lane, *self._slot.depart(lane)) for lane in lanes]
            self._last += 1
            self._under_way[self._last] = flights
            leaving.append(
                SendBatch(self._last, [Sending(flight.open.entry, flight.op, flight.open.doubt) for flight in flights])
            )
        return leaving

    @property
    def _has_room(self) -> bool:
        return len(self) < self._slot.settings.concurrency

    def moments(self) -> list[float | None]:
        """When the next batch may leave, if nothing else happens."""
        due = self._slot.ready.next_due()
        if due is None or not self._has_room or self._gate.is_waiting(len(self)):
            return []
        return [max(due, self._gate.until)]

    def answered(self, event: Answered, now: float) -> None:
        """Judge every record of a batch."""
        flights = self._under_way.pop(event.batch)
        self._resize(event.answer, len(flights) - len(event.unreadable))
        flights = self.set_aside(flights, event.unreadable, now)
        if event.answer.whole is not None:
            self._gate.hear(event.answer, now)
            self._whole(flights, event.answer.whole, now)
            return
        answers = event.answer.answers
        said = [(flight, answers.get(version_of(flight)) or Ambiguous("missing")) for flight in flights]
        decided = sum(is_success(outcome) for _, outcome in said)
        self._gate.hear(event.answer, now, fruitless=bool(said) and not decided)
        self._slot.succeeded(decided)
        for flight, outcome in said:
            self._slot.conclude(flight.lane, flight.op, outcome, now)

    def _resize(self, answer: BatchAnswer, sent: int) -> None:
        """Follow what the target manages in the time of one request."""
        match answer.whole:
            case Ambiguous():
                self._lost += 1
                if self._lost >= LOST_IN_A_ROW:
                    self._lost = 0
                    self._slot.ready.shrink()
            case None:
                self._lost = 0
                self._slot.ready.grow(sent)
            case _:
                self._lost = 0

    def set_aside(self, flights: list[Flight], unreadable: Collection[int], now: float) -> list[Flight]:
        """Park what could not be decoded; the others."""
        if not unreadable:
            return flights
        for flight in flights:
            if flight.open.entry.offset in unreadable:
                flight.lane.busy = False
                flight.open.block(Reason(UNDECODABLE))
                self._slot.advance(flight.lane, now)
        return [flight for flight in flights if flight.open.entry.offset not in unreadable]

    def _whole(self, flights: list[Flight], whole: Whole, now: float) -> None:
        match whole:
            case TooLarge():
                halved(self._slot, self._gate, flights, TOO_LARGE, now)
            case RefusedWhole(code=code):
                halved(self._slot, self._gate, flights, code, now)
            case Ambiguous():
                self._unanswered(flights, now)
            case Unavailable() | Hold():
                pass
        for flight in flights:
            flight.lane.busy = False
            self._slot.advance(flight.lane, now)

    def _unanswered(self, flights: list[Flight], now: float) -> None:
        """Each may have taken effect.  If others succeed meanwhile, one of these may be the cause: smaller batches."""
        for flight in flights:
            flight.open.doubt = True
            self._slot.drafts.tried(flight.open, "ambiguous")
            if self._slot.successes > flight.open.left:
                flight.open.limit = max(1, len(flights) // 2)
            self._slot.failed(flight.open, now, None, answered=False)


def version_of(flight: Flight) -> tuple[str, int]:
    """How answers name what was asked for: the record's version, or the one that is revoked for it."""
    return flight.open.entry.record_id, flight.revokes or flight.open.entry.version
