"""A delivery slot in simulated time: the machine, its ledger, a faulty target, and crashes at any moment.

Every invariant that can be seen from outside is asserted where it would break (design section 9):

    I2 effects of a record never go back   I3 one in flight a pupil   I4 one key, and so one purpose, a version
    I5 a committed offset passes only what is safe   I7 a parked record goes only through its order
    I1 is checked at rest (`check_rest`), with the target's book against the ledger

The target may be one that knows keys only, versions only, or both.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.delivery.effects import (
    BuildPacket,
    Commit,
    Drained,
    Effect,
    ForgetPacket,
    LoadLane,
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
    LaneLoaded,
    Ordered,
    PacketBuilt,
    PacketRebuilt,
    Polled,
    Received,
    Revoked,
    Submitted,
    Uploaded,
    Woke,
    Written,
)
from gateway.delivery.machine import Machine
from gateway.delivery.values import BEHIND, NOT_PROCESSED, REVOKED, Entry, Settings
from gateway.outcomes import (
    Accepted,
    AlreadyThere,
    Ambiguous,
    BatchAnswer,
    Duplicate,
    Hold,
    Landed,
    NotFound,
    Outcome,
    Pending,
    PollAnswer,
    Receipt,
    Refused,
    RefusedWhole,
    Stale,
    TooLarge,
    Unavailable,
    Verdicts,
    Whole,
)
from gateway.record import Op, State
from tests.fakes.delivery_ledger import FakeLedger, Version

Fence = Literal["both", "key", "version", "neither"]


@dataclass
class Faults:
    """Probabilities of what may go wrong with one request or one record."""

    down: bool = False
    unavailable: float = 0.0
    lost_answer: float = 0.0
    lost_request: float = 0.0
    missing: float = 0.0
    retry: float = 0.0
    pending: float = 0.0
    most_records: int = 1000
    most_in_time: int = 1000
    stuck: float = 0.0


@dataclass(frozen=True)
class Item:
    """A record as it arrives at the target; *revokes*: the version that is to go, 0: none."""

    entry: Entry
    op: Op
    revokes: int = 0
    again: bool = False

    @property
    def version(self) -> Version:
        return self.entry.record_id, self.revokes or self.entry.version


@dataclass
class FaultyTarget:
    """Applies what it is sent; its book of effects is what counts."""

    fence: Fence
    dice: random.Random
    faults: Faults = field(default_factory=Faults)
    refused: set[Version] = field(default_factory=set)
    failing: set[Version] = field(default_factory=set)
    poison: set[Version] = field(default_factory=set)
    effects: list[tuple[str, int, Op]] = field(default_factory=list)
    held: dict[str, tuple[int, Op]] = field(default_factory=dict)
    keys: set[Version] = field(default_factory=set)
    two_steps: bool = False
    refuses_all: bool = False
    stuck: set[str] = field(default_factory=set)
    packets: dict[str, Sequence[Item]] = field(default_factory=dict)
    verdicts: dict[str, dict[Version, Outcome | Pending]] = field(default_factory=dict)
    found_at: dict[str, float] = field(default_factory=dict)
    discarded_in_doubt: Callable[[], set[str]] = set

    def happens(self, probability: float) -> bool:
        return self.dice.random() < probability

    def batch(self, items: Sequence[Item]) -> BatchAnswer:
        faults = self.faults
        if faults.down or self.happens(faults.unavailable):
            wait_s = self.dice.choice([None, 3.0])
            whole: Whole = Unavailable(wait_s) if self.happens(0.5) else Hold("outage")
            return BatchAnswer({}, slow_down_s=wait_s, whole=whole)
        if len(items) > faults.most_records:
            return BatchAnswer({}, whole=TooLarge())
        if self.refuses_all or any(item.version in self.poison for item in items):
            return BatchAnswer({}, whole=RefusedWhole("HTTP-400"))
        if len(items) > faults.most_in_time or self.happens(faults.lost_request):
            return BatchAnswer({}, whole=Ambiguous("no answer"))
        answers = {item.version: self.judge(item) for item in items}
        if self.happens(faults.lost_answer):
            return BatchAnswer({}, whole=Ambiguous("time-out"))
        return BatchAnswer({version: said for version, said in answers.items() if not self.happens(faults.missing)})

    def judge(self, item: Item) -> Outcome:
        entry, version = item.entry, item.version
        held, held_op = self.held.get(entry.record_id, (0, Op.CANCEL))
        assert not (self.two_steps and item.op is Op.UPDATE), "this portal knows no update"
        if item.revokes:
            return self.revoke(item)
        if self.fence == "neither" and not item.again:
            assert version not in self.keys, "sent again without asking"
        if self.fence in {"both", "key"} and version in self.keys:
            return Duplicate()
        if self.fence != "key" and entry.version <= held:  # neither: the sender asks before it sends again
            return Duplicate() if entry.version == held else Stale()
        if version in self.refused:
            return Refused("MAU-L07", "school")
        if version in self.failing or self.happens(self.faults.retry):
            return Unavailable(None, "retry")
        assert entry.version > held, "I2: a version goes back"
        right = (item.op is Op.NEW) == (held_op is Op.CANCEL)
        assert right or entry.record_id in self.discarded_in_doubt(), f"{item.op} where {held_op} is held"
        self.held[entry.record_id] = (entry.version, item.op)
        self.keys.add(version)
        self.effects.append((entry.record_id, entry.version, item.op))
        return Accepted()

    def revoke(self, item: Item) -> Outcome:
        name, version = item.version
        held, held_op = self.held.get(name, (0, Op.CANCEL))
        if version < held:
            return Stale()
        if held_op is Op.CANCEL:
            return Duplicate()
        if self.happens(self.faults.retry):
            return Unavailable(None, "retry")
        assert version == held, "only the version in force is revoked"
        self.held[name] = (version, Op.CANCEL)
        self.effects.append((name, version, Op.CANCEL))
        return Accepted()

    def submit(self, packet: str, items: Sequence[Item], now: float) -> Receipt:
        faults = self.faults
        if faults.down or self.happens(faults.unavailable):
            return Unavailable(None) if self.happens(0.5) else Hold("outage")
        if packet in self.packets:
            return AlreadyThere()
        if len(items) > faults.most_records:
            return TooLarge()
        if self.refuses_all or any(item.version in self.poison for item in items):
            return RefusedWhole("HTTP-400")
        if self.happens(faults.lost_request):
            return Ambiguous("connection")
        for item in items:
            assert not self.is_undecided(item), "a record stands in two packets at once"
        self.packets[packet] = items
        if self.happens(faults.stuck):
            self.stuck.add(packet)
        self.found_at[packet] = now + self.dice.choice([0.0, 1.0])
        return Ambiguous("time-out") if self.happens(faults.lost_answer) else Landed()

    def is_undecided(self, item: Item) -> bool:
        """Whether a packet that was read already still decides about the record."""
        return any(isinstance(said.get(item.version), Pending) for said in self.verdicts.values())

    def results(self, packet: str, now: float) -> PollAnswer:
        if self.faults.down or self.happens(self.faults.unavailable):
            return Unavailable(None)
        if packet not in self.packets or now < self.found_at[packet]:
            return NotFound()
        if packet not in self.verdicts:
            if packet in self.stuck or self.happens(0.5):
                return Pending("01")
            self.verdicts[packet] = {item.version: Pending("00") for item in self.packets[packet]}
        said = self.verdicts[packet]
        for item in self.packets[packet]:
            if isinstance(said[item.version], Pending) and not self.happens(self.faults.pending):
                said[item.version] = self.judge(item)
        return Verdicts({version: outcome for version, outcome in said.items() if not self.is_left_out(outcome)})

    def is_left_out(self, outcome: Outcome | Pending) -> bool:
        return not isinstance(outcome, Pending) and self.happens(self.faults.missing)


class World:
    """One slot, its owner and everything around it."""

    def __init__(self, settings: Settings, fence: Fence, seed: int) -> None:
        self.dice = random.Random(seed)
        self.settings = settings
        self.now = 0.0
        self.log: list[Entry] = []
        self.ledger = FakeLedger()
        self.target = FaultyTarget(fence, self.dice, two_steps=settings.two_steps)
        self.target.discarded_in_doubt = lambda: {s.entry.record_id for s in self.ledger.settled.values() if s.doubt}
        self.committed = 0
        self.sends: dict[Version, set[Op]] = {}
        self.owners = 0
        self.send_count = 0
        self._order_ids = itertools.count(1)
        self._guids = itertools.count(1)
        self._turns = itertools.count()
        self.start()

    # --- the owner's life ------------------------------------------------------------------------

    def start(self) -> None:
        """A new owner takes over, after everything the former one sent has arrived or is lost."""
        self.owners += 1
        self.machine = Machine(self.settings, self.dice.random)
        self.flying: set[int] = set()
        self.bytes: dict[str, tuple[Op, list[Item]]] = {}
        self.position = self.committed
        self.paused = False
        self.drained = False
        self.wake: float | None = None
        self._todo: list[tuple[float, int, Callable[[], None]]] = []
        self._pump: list[Callable[[], None]] = []
        self._pumping = False
        self._fetching = False
        self.hear(self.ledger.started())
        self._fetch()

    def crash(self) -> None:
        """Like kill -9: what was on its way arrives or not, in any order; nobody hears the answers."""
        self.dice.shuffle(self._requests_left())
        for request in self._requests_left():
            if self.dice.random() < 0.5:
                request()
        self._wait(5.0)
        self.start()

    def _requests_left(self) -> list[Callable[[], None]]:
        if not hasattr(self, "_left"):
            self._left: list[Callable[[], None]] = []
        return self._left

    def hand_over(self) -> None:
        """A rebalance in good order."""
        self.hear(Revoked())
        self.run(until=lambda: self.drained)
        assert self.drained
        self.start()

    def _wait(self, seconds: float) -> None:
        self._left = []
        self.now += seconds

    # --- time ------------------------------------------------------------------------------------

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._todo, (self.now + seconds, next(self._turns), what))

    def step(self) -> bool:
        """The next thing that happens; False when nothing is left to happen."""
        if not self._todo:
            return False
        when, _, what = heapq.heappop(self._todo)
        self.now = max(self.now, when)
        what()
        return True

    def run(self, until: Callable[[], bool] | None = None, steps: int = 20_000) -> None:
        for _ in range(steps):
            if (until is not None and until()) or not self.step():
                return
        message = f"no rest after {steps} steps: {self.machine}"
        raise AssertionError(message)

    def rest(self) -> None:
        """Run until nothing is open, while other pupils' records keep coming: only then does a bad one give up."""
        for pupil in range(10_000, 10_300):
            self.publish(pupil, 2024, Op.NEW)
            for _ in range(200):
                if not self.step():
                    return
        message = f"no rest: {self.machine}"
        raise AssertionError(message)

    def hear(self, event: Event) -> None:
        for effect in self.machine.handle(event, self.now):
            self._perform(effect)

    def _later(self, event: Event, seconds: float) -> None:
        machine = self.machine
        self.after(seconds, lambda: self.hear(event) if self.machine is machine else None)

    # --- the shell -------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Write():
                self._serial(lambda: self._commit(effect))
            case LoadLane(lane=lane):
                self._serial(lambda: self._load(lane))
            case SendBatch():
                self._send(effect)
            case Commit(offset=offset):
                self._commit_offset(offset)
            case PauseFetch() | ResumeFetch():
                self.paused = isinstance(effect, PauseFetch)
                self._fetch()
            case WakeAt(at=at):
                self._later(Woke(), max(0.0, at - self.now))
            case _:
                self._packet(effect)

    def _packet(self, effect: Effect) -> None:
        match effect:
            case BuildPacket():
                guid = f"packet-{next(self._guids)}"
                self.bytes[guid] = (effect.op, [Item(m.entry, effect.op, m.revokes) for m in effect.members])
                self._later(PacketBuilt(effect.build, guid, b"", evidence=self.dice.random() < 0.3), 0.001)
            case RebuildPacket():
                self.bytes[effect.packet] = (effect.op, [Item(m.entry, effect.op, m.revokes) for m in effect.members])
                whole = len(effect.members) == len(self.target.packets.get(effect.packet, effect.members))
                self._later(PacketRebuilt(effect.packet, same=whole and self.dice.random() < 0.9, evidence=False), 0.01)
            case Upload():
                items = self.bytes[effect.packet][1]
                answers = {item.version: self._upload(item) for item in items}
                self._later(Uploaded(effect.packet, answers), 0.01)
            case Submit():
                self._submit(effect.packet)
            case Poll():
                guid = effect.packet
                self.after(0.01, lambda: self._later(Polled(guid, self.target.results(guid, self.now)), 0.01))
            case ForgetPacket():
                self.bytes.pop(effect.packet, None)
            case Drained():
                self.drained = True
            case _:
                message = f"unknown effect {effect}"
                raise AssertionError(message)

    def _upload(self, item: Item) -> Receipt:
        if self.target.faults.down:
            return Unavailable(None)
        if item.entry.version % 7 == 6 and not item.revokes:
            return RefusedWhole("EVIDENCE-HASH")
        return Landed() if self.target.happens(0.5) else AlreadyThere()

    def _serial(self, job: Callable[[], None]) -> None:
        """One thing after the other at the ledger, each heard before the next begins."""
        self._pump.append(job)
        if not self._pumping:
            self._pumping = True
            self._next_job()

    def _next_job(self) -> None:
        machine = self.machine

        def turn() -> None:
            if self.machine is not machine:
                return
            if self._pump:
                self._pump.pop(0)()
                self._next_job()
            else:
                self._pumping = False

        self.after(self.dice.choice([0.0, 0.001, 0.2]), turn)

    def _commit(self, write: Write) -> None:
        for arm in write.arms:
            row = self.ledger.rows[arm.offset]
            free = row.reason.code == BEHIND or row.sent != "no" or arm.offset in self.released
            assert free, "I7: a parked record is to be sent without its order"
        self.ledger.commit(write)
        self.hear(Written(write.ticket))

    def _load(self, lane: int) -> None:
        rows = self.ledger.lane(lane)
        self.hear(LaneLoaded(lane, rows, self.ledger.known(row.entry.record_id for row in rows)))

    def _fetch(self) -> None:
        if self._fetching or self.paused or self.position >= len(self.log):
            return
        self._fetching = True
        self._serial(self._fetched)

    def _fetched(self) -> None:
        self._fetching = False
        entries = self.log[self.position : self.position + self.dice.randint(1, 20)]
        known = self.ledger.known(entry.record_id for entry in entries)
        self.position += len(entries)
        self.hear(Received(entries, known, self.position))
        self._fetch()

    def _commit_offset(self, offset: int) -> None:
        for entry in self.log[self.committed : offset]:
            assert self.ledger.is_safe(entry), f"I5: offset {offset} passes {entry.offset}"
        assert offset >= self.committed
        self.committed = offset

    def _send(self, effect: SendBatch) -> None:
        items = [Item(sending.entry, sending.op, again=sending.again) for sending in effect.items]
        for item in items:
            self._departs(item)
        tokens = {item.entry.lane for item in effect.items}
        assert len(tokens) == len(effect.items)
        assert not tokens & self.flying, "I3: two of a pupil in flight"
        self.flying |= tokens
        machine = self.machine
        done = [False]
        left = self._requests_left()

        def arrive() -> None:
            if done[0]:
                return
            done[0] = True
            answer = self.target.batch(items)
            if self.machine is machine:
                self.after(self.dice.choice([0.01, 0.5]), lambda: answered(answer))

        def answered(answer: BatchAnswer) -> None:
            if self.machine is machine:
                self.flying -= tokens
                self.hear(Answered(effect.batch, answer))

        left.append(arrive)
        self.after(self.dice.choice([0.01, 0.1]), arrive)

    def _submit(self, packet: str) -> None:
        op, items = self.bytes[packet]
        assert packet in self.ledger.packets, "the row precedes the POST"
        for item in items:
            self._departs(item)
        machine = self.machine
        done = [False]

        def arrive() -> None:
            if done[0]:
                return
            done[0] = True
            answer = self.target.submit(packet, items, self.now)
            if self.machine is machine:
                self._later(Submitted(packet, answer), 0.01)

        self._requests_left().append(arrive)
        self.after(self.dice.choice([0.01, 0.1]), arrive)
        assert {item.op for item in items} == {op}

    def _departs(self, item: Item) -> None:
        entry = item.entry
        version = (entry.record_id, entry.version)
        self.send_count += 1
        assert version not in self.ledger.settled, "a settled record is sent"
        if not item.revokes:
            ops = self.sends.setdefault(version, set())
            ops.add(item.op)
            assert len(ops) == 1, f"I4: {version} was sent as {ops}"
        if not self.settings.packets:
            assert entry.offset < self.ledger.horizon or entry.offset in self.ledger.rows, "sent above the horizon"
        for row in self.ledger.lane(entry.lane):
            blocks = row.reason.code != BEHIND and row.sent == "no"
            newer = row.entry.record_id == entry.record_id and entry.version > row.entry.version
            in_packet = any(m.entry.offset == row.entry.offset for p in self.ledger.packets.values() for m in p.members)
            released = row.entry.offset in self.released
            assert not blocks or newer or in_packet or released, "I7: a parked lane sends without its order"

    # --- people ----------------------------------------------------------------------------------

    @property
    def released(self) -> set[int]:
        if not hasattr(self, "_released"):
            self._released: set[int] = set()
        return self._released

    def publish(self, pupil: int, year: int, op: Op) -> Entry:
        record_id = f"{pupil}-{year}"
        version = 1 + sum(entry.record_id == record_id for entry in self.log)
        offset = len(self.log)
        entry = Entry(offset, record_id, f"event-{offset}", version, op, pupil, f"hash-{offset}", "mau", year, 100)
        self.log.append(entry)
        self._fetch()
        return entry

    def order(self, offset: int, action: Literal["release", "discard"]) -> None:
        if action == "release":
            self.released.add(offset)
        self.hear(Ordered(next(self._order_ids), self.log[offset].lane, offset, action))

    # --- at rest ---------------------------------------------------------------------------------

    def check_rest(self) -> None:
        """Everything has an end state or is parked with a reason, and the target's book agrees with the ledger."""
        ledger, target = self.ledger, self.target
        assert self.committed == len(self.log), f"committed {self.committed} of {len(self.log)}"
        for entry in self.log:
            settled = (entry.record_id, entry.version) in ledger.settled
            assert settled != (entry.offset in ledger.rows), f"I1: {entry.record_id} v{entry.version}"
        assert len(set(target.effects)) == len(target.effects), "an effect is doubled"
        booked = {(record_id, version) for record_id, version, _ in target.effects}
        doubted = {version for version, settle in ledger.settled.items() if settle.doubt}
        doubted |= {(r.entry.record_id, r.entry.version) for r in ledger.rows.values() if r.sent != "no"}
        accepted = {version for version, settle in ledger.settled.items() if settle.state is State.ACCEPTED}
        assert accepted <= booked, "accepted without an effect"
        assert booked - accepted <= doubted, f"effects that the ledger does not know: {booked - accepted - doubted}"
        for (record_id, version), settle in ledger.settled.items():
            if settle.state is State.SUPERSEDED:
                assert any(e.record_id == record_id and e.version > version for e in self.log)
            if settle.state is State.NOTHING_TO_CANCEL:
                before = [op for name, lower, op in target.effects if name == record_id and lower < version]
                known = record_id not in target.discarded_in_doubt()
                assert not known or before[-1:] in ([], [Op.CANCEL]), "a cancel was owed"
        self._check_revoked()

    def _check_revoked(self) -> None:
        """Nobody is left without a valid record unless a row says so, or a person, or the vendor, wants it so."""
        for name, (_, op) in self.target.held.items():
            gone = self.ledger.revoked.get(name)
            if op is not Op.CANCEL or gone is None or self.target.held[name][0] != gone.revokes:
                continue
            rows = [row for row in self.ledger.rows.values() if row.entry.record_id == name]
            named = any(row.reason.code in {REVOKED, BEHIND, NOT_PROCESSED} for row in rows)
            later = [s for (record, v), s in self.ledger.settled.items() if record == name and v > gone.revokes]
            meant = any(s.state in {State.NOTHING_TO_CANCEL, State.DISCARDED} for s in later)
            assert named or meant, f"{name} is left revoked and nothing says so"
