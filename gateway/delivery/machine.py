"""One slot's delivery to one target: events in, effects out; no clock, no I/O.

    slot.py      lanes: arrival, order, newer versions, parking        flights.py   batches and their answers
    packets.py   packets and their steps                               drafts.py    what goes into the ledger

Rules (design section 2): an outage holds, a refused record parks; trouble stays with one pupil; versions never go
backwards; the same content goes under the same key; an offset passes only what is settled or durably taken over.
"""

from collections.abc import Callable

from gateway.delivery.effects import Commit, Drained, Effect, PauseFetch, ResumeFetch, WakeAt
from gateway.delivery.events import (
    Answered,
    Event,
    LaneLoaded,
    LeaseLost,
    Ordered,
    PacketBuilt,
    PacketEvent,
    PacketRebuilt,
    Polled,
    Received,
    Revoked,
    Slowed,
    Started,
    Submitted,
    Uploaded,
    Vouched,
    Woke,
    Written,
)
from gateway.delivery.flights import Flights
from gateway.delivery.packets import Packets
from gateway.delivery.retry import Gate
from gateway.delivery.slot import Slot
from gateway.delivery.values import Settings


class Machine:
    """The decisions of a slot; *dice* gives numbers in [0, 1) for jitter."""

    def __init__(self, settings: Settings, dice: Callable[[], float]) -> None:
        self._settings = settings
        self._slot = Slot(settings, dice)
        self._gate = Gate(settings.backoff, settings.breaker_failures, settings.breaker_open_s, dice)
        self._flights = Flights(self._slot, self._gate)
        self._packets = Packets(self._slot, self._gate)
        self._committed = (-1, -1)
        self._paused = False
        self._wake: float | None = None
        self._revoked = False
        self._lost = False

    def __repr__(self) -> str:
        """What is open, for logs."""
        slot = self._slot
        return (
            f"Machine(open={len(slot.offsets)}, lanes={len(slot.lanes)}, parked={len(slot.parked)},"
            f" in_flight={len(self._flights)}, low_water={slot.offsets.low_water})"
        )

    @property
    def has_suspects(self) -> bool:
        """Whether records are refused as a batch, or all fail, and nothing says yet whose fault that is."""
        return self._slot.unvouched > 0 or (self._gate.is_troubled and self._slot.is_cornered)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What is to be done about *event*; *now* is monotonic, in seconds."""
        if self._lost:
            return []
        self._hear(event, now)
        if self._lost:
            return []
        effects: list[Effect] = []
        if not self._revoked:
            effects += self._send(now)
        if write := self._slot.drafts.take():
            effects.append(write)
        effects += self._slot.loads
        effects += self._packets.effects
        self._slot.loads = []
        self._packets.effects = []
        effects += self._offsets()
        return effects + (self._ending() if self._revoked else self._timer())

    def _hear(self, event: Event, now: float) -> None:
        match event:
            case Revoked():
                self._revoked = True
            case LeaseLost():
                self._lost = True
            case Slowed():
                self._gate.wait_s(now, event.seconds)
            case Vouched():
                self._slot.vouch()
            case Answered():
                self._flights.answered(event, now)
            case PacketBuilt() | PacketRebuilt() | Uploaded() | Submitted() | Polled():
                self._hear_packet(event, now)
            case _:
                self._hear_lanes(event, now)

    def _hear_lanes(self, event: Started | Received | LaneLoaded | Ordered | Written | Woke, now: float) -> None:
        match event:
            case Started():
                self._slot.start(event)
                self._packets.start(event, now)
            case Received():
                self._slot.receive(event, now)
            case LaneLoaded():
                self._slot.loaded(event, now)
            case Ordered():
                self._slot.order(event, now)
            case Written():
                self._slot.written(event.ticket, now)
                self._packets.written(event.ticket, now)
            case Woke():
                self._wake = None
                self._slot.woke(now)

    def _hear_packet(self, event: PacketEvent, now: float) -> None:
        match event:
            case PacketBuilt():
                self._packets.built(event, now)
            case PacketRebuilt():
                self._packets.rebuilt(event, now)
            case Uploaded():
                self._packets.uploaded(event, now)
            case Submitted():
                self._packets.submitted(event, now)
            case Polled():
                self._packets.polled(event, now)

    def _send(self, now: float) -> list[Effect]:
        if self._settings.packets:
            self._packets.cut(now)
            return []
        return list(self._flights.cut(now))

    def _offsets(self) -> list[Effect]:
        """The low-water mark, and whether the window is full."""
        effects: list[Effect] = []
        offsets, settings = self._slot.offsets, self._settings
        low_water = offsets.low_water
        due = (low_water, self._packets.settled(low_water) if settings.packets else -1)
        if low_water >= 0 and due != self._committed:
            self._committed = due
            effects.append(Commit(*due))
        full = len(offsets) >= settings.window_records or offsets.open_bytes >= settings.window_bytes
        roomy = not self._slot.is_cornered and offsets.open_bytes * 10 <= settings.window_bytes * 9
        if full and not self._paused:
            self._paused = True
            effects.append(PauseFetch())
        elif roomy and self._paused:
            self._paused = False
            effects.append(ResumeFetch())
        return effects

    def _timer(self) -> list[Effect]:
        """The next moment at which something may be done that no other event brings."""
        moments = [self._slot.next_wake()]
        if self._settings.packets:
            moments += self._packets.moments()
        else:
            moments += self._flights.moments()
        wake = min((moment for moment in moments if moment is not None), default=None)
        if wake is None:
            return []
        if self._wake is not None and self._wake <= wake:
            return []
        self._wake = wake
        return [WakeAt(wake)]

    def _ending(self) -> list[Effect]:
        """Whether everything under way has come back."""
        waiting = len(self._flights) + self._packets.requests + len(self._slot.drafts)
        return [] if waiting else [Drained()]
