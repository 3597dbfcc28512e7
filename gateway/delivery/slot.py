"""The lanes of one (target, slot): what arrives, what may leave, what was concluded.

    stream ─► queue of a lane ─► ready ─► in flight ─► settled | parked ─► offset closed
                   ▲                          │
       parked rows ┴── order, newer version ──┴─ failed: the lane waits (full jitter)

In memory a parked lane is its token; its rows are loaded when something happens to it.  How records travel, in
batches or in packets, is not known here.
"""

import heapq
from collections.abc import Callable

from gateway.delivery.batches import Ready
from gateway.delivery.drafts import Drafts
from gateway.delivery.effects import LoadLane
from gateway.delivery.events import LaneLoaded, Ordered, Received, Started
from gateway.delivery.lanes import Lane, Open, admit, supersede
from gateway.delivery.offsets import Offsets
from gateway.delivery.values import KEEPS_FAILING, KILLER, REFUSES_ALL, Member, Reason, Settings, Step, next_step
from gateway.outcomes import CODE_OF_CATEGORY, Accepted, Ambiguous, Duplicate, Outcome, Refused, Stale, Unavailable
from gateway.record import Op, State


class Slot:
    """All lanes of the slot that are not at rest."""

    def __init__(self, settings: Settings, dice: Callable[[], float]) -> None:
        self.settings = settings
        self.dice = dice
        self.lanes: dict[int, Lane] = {}
        self.parked: set[int] = set()
        self.offsets = Offsets()
        self.drafts = Drafts()
        self.ready = Ready(settings.batch_records, settings.batch_bytes, settings.batch_age_s)
        self.loads: list[LoadLane] = []
        self.successes = 0
        self.vouches = self.unvouched = 0
        self._inherited = 0
        self._blocked: set[int] = set()
        self._horizon = 0
        self._raising = False
        self._beyond: list[Lane] = []
        self._later: list[tuple[float, int]] = []

    def start(self, event: Started) -> None:
        """Take over what the ledger holds."""
        self.parked = set(event.parked)
        if not self.settings.packets:
            self._inherited = self._horizon = event.horizon
            self._blocked = self.parked.difference(event.live)
        for token in event.live:
            self.lane(token)

    def lane(self, token: int) -> Lane:
        """The lane of *token*; a parked one is asked for."""
        lane = self.lanes.get(token)
        if lane is None:
            lane = self.lanes[token] = Lane(token)
            if token in self.parked:
                self.parked.discard(token)
                lane.loading = True
                self.loads.append(LoadLane(token))
        return lane

    def carry(self, member: Member) -> tuple[Lane, Open]:
        """A record that travels in a former owner's packet is in flight."""
        lane = self.lane(member.entry.lane)
        open_ = Open(member.entry, doubt=not member.revokes, seq=member.seq, row=member.seq > 0, durable=member.seq > 0)
        lane.queue.insert(0, open_)
        lane.busy = True
        return lane, open_

    def receive(self, event: Received, now: float) -> None:
        """New records: the settled and those taken over are passed, the others join their lanes."""
        touched: dict[int, Lane] = {}
        for entry in event.entries:
            lane = self.lane(entry.lane)
            touched[entry.lane] = lane
            lane.learn(entry.record_id, event.known.get(entry.record_id))
            if lane.has(entry):
                continue
            self.offsets.open(entry.offset, entry.size)
            open_ = Open(entry, doubt=self._may_be_sent(lane, entry.offset))
            if open_.doubt:
                open_.proves_at = now + self.settings.ask_after_s
            if entry.offset in event.killers:
                open_.block(Reason(KILLER))
            lane.queue.append(open_)
        self.offsets.position = max(self.offsets.position, event.position)
        for lane in touched.values():
            self.advance(lane, now)
        self._raise_ahead()

    def _may_be_sent(self, lane: Lane, offset: int) -> bool:
        """Whether the former owner may have sent it: only the first of a lane, because a lane moves on only when
        everything decided about it is committed; and none of a lane that stood blocked.
        """
        first = all(open_.row for open_ in lane.queue)
        return offset < self._inherited and first and lane.token not in self._blocked

    def loaded(self, event: LaneLoaded, now: float) -> None:
        """The parked rows of a lane."""
        lane = self.lanes[event.lane]
        for open_ in admit(lane, event.rows, event.known):
            self.offsets.close(open_.entry.offset)
        for open_ in lane.queue:
            if open_.row and open_.doubt and not open_.proves_at:
                open_.proves_at = now + self.settings.ask_after_s
        orders, lane.orders = lane.orders, []
        for order in orders:
            self._obey(lane, order)
        self.advance(lane, now)

    def order(self, event: Ordered, now: float) -> None:
        """A person's order; void when nothing is parked there."""
        if event.lane not in self.lanes and event.lane not in self.parked:
            self.drafts.close_order(event.order, done=False, outcome="nothing is parked there")
            return
        lane = self.lane(event.lane)
        if lane.loading:
            lane.orders.append(event)
            return
        self._obey(lane, event)
        self.advance(lane, now)

    def _obey(self, lane: Lane, order: Ordered) -> None:
        rows = (place for place, open_ in enumerate(lane.queue) if open_.row and open_.entry.offset == order.offset)
        place = next(rows, None)
        if place is None:
            outcome = "nothing is parked there"
        elif place == 0 and lane.busy:
            outcome = "it is under way"
        elif order.action == "discard":
            open_ = lane.queue.pop(place)
            self.ready.remove(lane)
            self.drafts.settle(lane, open_, State.DISCARDED, open_.entry.op)
            self.drafts.close_order(order.order, done=True, outcome="discarded")
            return
        elif lane.queue[place].reasons and place == 0:
            lane.queue[0].unblock()
            self.drafts.release(lane.queue[0])
            self.drafts.close_order(order.order, done=True, outcome="released")
            return
        else:
            outcome = "it goes by itself" if place == 0 else "it waits behind another record of the pupil"
        self.drafts.close_order(order.order, done=False, outcome=outcome)

    def advance(self, lane: Lane, now: float) -> None:
        """Decide what happens next in *lane*; the only place that does."""
        if lane.loading or lane.busy or self.lanes.get(lane.token) is not lane:
            return
        self.ready.remove(lane)
        for open_ in supersede(lane):
            self.drafts.settle(lane, open_, State.SUPERSEDED, open_.entry.op)
        if not lane.queue:
            if not lane.writes:
                del self.lanes[lane.token]
        elif lane.is_blocked:
            self._hold(lane)
        elif not lane.writes:
            self._offer(lane, lane.queue[0], now)

    def _hold(self, lane: Lane) -> None:
        """Park the head and all behind it; when all are rows, the lane rests."""
        for open_ in lane.queue:
            if not open_.durable and not open_.parking:
                self.drafts.park(lane, open_)
        if not lane.writes:
            del self.lanes[lane.token]
            self.parked.add(lane.token)

    def _offer(self, lane: Lane, head: Open, now: float) -> None:
        """The head may leave: now, later, after a mark in the ledger, or not at all."""
        step = self._step(lane, head)
        if step is None:
            lane.queue.pop(0)
            self.drafts.settle(lane, head, State.NOTHING_TO_CANCEL, head.entry.op)
        elif (due := max(head.not_before, head.proves_at if head.doubt else 0.0)) > now:
            heapq.heappush(self._later, (due, lane.token))
        elif self.settings.packets or (head.row and head.doubt):
            self.ready.add(lane, step.op if self.settings.packets else None, now)
        elif head.row:
            self.drafts.arm(lane, head)
        elif head.entry.offset >= self._horizon:
            self._beyond.append(lane)
        else:
            self.ready.add(lane, None, now)

    def _raise_ahead(self) -> None:
        """Write the horizon ahead of what will be sent, long before it is reached."""
        ahead = self.settings.horizon_ahead
        reached = self.offsets.position + ahead // 2 > self._horizon
        if reached and not self._raising and not self.settings.packets:
            self._raising = True
            self.drafts.current.horizon = self.offsets.position + ahead

    def _step(self, lane: Lane, head: Open) -> Step | None:
        known = lane.knows(head.entry.record_id)
        return next_step(head.entry.op, known, two_steps=self.settings.two_steps)

    def depart(self, lane: Lane) -> tuple[Open, Op, int]:
        """The head of *lane* leaves now; it was ready.  What it asks for, and which version it revokes (0: none)."""
        head = lane.queue[0]
        lane.busy = True
        head.left = self.successes
        if not head.tries:
            head.mark, head.vouched = self.successes, self.vouches
        step = self._step(lane, head) or Step(head.entry.op)
        return head, step.op, step.revokes

    def succeeded(self, records: int) -> None:
        """The target decided about so many records."""
        self.successes += records
        if records:
            self.vouch()

    def vouch(self) -> None:
        """The target took something: it does not refuse everything."""
        self.vouches += 1
        if self.refuses_all:
            self.drafts.current.alarm = ""
            self.ready.most = self.settings.batch_records
        self.unvouched = 0

    @property
    def refuses_all(self) -> bool:
        """Whether so many records in a row were refused alone, as a batch, that it can hardly be their fault."""
        return self.unvouched >= self.settings.breaker_failures

    def suspect(self, head: Open, now: float) -> None:
        """It was refused alone, and nothing says that others are taken: it waits, and others are tried meanwhile."""
        self.unvouched += 1
        if self.unvouched == self.settings.breaker_failures:
            self.drafts.current.alarm = REFUSES_ALL
            self.ready.most = 1
        head.tries += 1
        head.not_before = now + self.settings.backoff.delay_s(head.tries, dice=self.dice())

    def conclude(self, lane: Lane, op: Op, outcome: Outcome, now: float, packet: str | None = None) -> None:
        """The target's answer for the head of *lane*; anything but success is judged when its whole answer is known."""
        head = lane.queue[0]
        lane.busy = False
        head.reply = type(outcome).__name__.lower()
        match outcome:
            case Accepted() | Duplicate():
                lane.queue.pop(0)
                self.drafts.settle(lane, head, State.ACCEPTED, op, packet)
            case Stale():
                lane.queue.pop(0)
                self.drafts.settle(lane, head, State.SUPERSEDED, op, packet)
            case Refused(code=code, category=category, others=others):
                head.doubt = False
                self.drafts.tried(head, f"refused {code}")
                head.block(*(Reason(CODE_OF_CATEGORY[kind], said) for said, kind in ((code, category), *others)))
            case Unavailable(retry_after_s=seconds):
                self.drafts.tried(head, "unavailable")
                self.failed(head, now, seconds, answered=True)
            case Ambiguous():
                head.doubt = True
                self.drafts.tried(head, "ambiguous")
                self.failed(head, now, None, answered=True)
        self.advance(lane, now)

    def revoked(self, lane: Lane, revokes: int, outcome: Outcome, now: float) -> None:
        """The target's answer to the first step of an update; the second follows when its row is committed."""
        match outcome:
            case Accepted() | Duplicate() | Stale():
                lane.busy = False
                self.drafts.revoke(lane, lane.queue[0], revokes)
                self.advance(lane, now)
            case _:
                self.conclude(lane, Op.CANCEL, outcome, now)

    @property
    def is_cornered(self) -> bool:
        """Whether the window is nearly full: nothing else can succeed until something in it gives way."""
        return len(self.offsets) * 10 > self.settings.window_records * 9

    def failed(self, head: Open, now: float, retry_after_s: float | None, *, answered: bool) -> None:
        """It did not go through: wait.

        An attempt is burned when others succeeded since it failed before, or, where the window is full of failing
        records, when the target speaks (*answered*) and took anything of another slot since then; never by an outage,
        however that is told.
        """
        head.tries += 1
        if self.successes > head.mark or (answered and self.is_cornered and self.vouches > head.vouched):
            head.attempts += 1
        head.mark, head.vouched = self.successes, self.vouches
        if head.attempts >= self.settings.most_attempts:
            head.block(Reason(KEEPS_FAILING))
        wait_s = self.settings.backoff.delay_s(head.tries, dice=self.dice(), retry_after_s=retry_after_s)
        head.not_before = now + wait_s
        if head.doubt:
            head.proves_at = now + self.settings.ask_after_s

    def written(self, ticket: int, now: float) -> None:
        """A write is committed: offsets close, lanes move on."""
        write, touched = self.drafts.written(ticket)
        lanes = {}
        for lane, open_, what in touched:
            lanes[lane.token] = lane
            if what != "armed":
                self.offsets.close(open_.entry.offset)
        if write.horizon is not None:
            self._horizon = write.horizon
            self._raising = False
            lanes |= {lane.token: lane for lane in self._beyond}
            self._beyond = []
            self._raise_ahead()
        for lane in lanes.values():
            self.advance(lane, now)

    def woke(self, now: float) -> None:
        """Lanes whose wait is over."""
        while self._later and self._later[0][0] <= now:
            lane = self.lanes.get(heapq.heappop(self._later)[1])
            if lane is not None:
                self.advance(lane, now)

    def next_wake(self) -> float | None:
        """When the next lane's wait is over."""
        return self._later[0][0] if self._later else None
