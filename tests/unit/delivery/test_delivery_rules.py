"""What a slot does, one rule a test, with the target's answers given by hand."""

from collections.abc import Mapping

import pytest

from gateway.delivery.effects import (
    Commit,
    Drained,
    Effect,
    LoadLane,
    Park,
    PauseFetch,
    ResumeFetch,
    SendBatch,
    Settle,
    WakeAt,
    Write,
)
from gateway.delivery.events import (
    Answered,
    Event,
    LaneLoaded,
    LeaseLost,
    Ordered,
    Received,
    Revoked,
    Started,
    Woke,
    Written,
)
from gateway.delivery.machine import Machine
from gateway.delivery.retry import Backoff
from gateway.delivery.values import NOTHING_KNOWN, Entry, Known, ParkedRow, Reason, Settings, decide
from gateway.outcomes import (
    Accepted,
    Ambiguous,
    BatchAnswer,
    Hold,
    Outcome,
    Refused,
    RefusedWhole,
    Stale,
    TooLarge,
    Unavailable,
    Whole,
)
from gateway.record import Op, State

REFUSED = Refused("MAU-L07", "school")


def entry(offset: int, name: str, version: int = 1, *, op: Op = Op.NEW, pupil: int | None = None) -> Entry:
    """A record; *name* ``a1`` is record 1 of pupil a."""
    lane = ord(name[0]) if pupil is None else pupil
    return Entry(offset, name, f"event-{offset}", version, op, lane, "00" * 32, "mau", 2024, 1000)


class Bench:
    """A machine whose writes are committed at once, and everything it did."""

    def __init__(self, started: Started | None = None, **settings: object) -> None:
        base = {"batch_age_s": 0.0, "horizon_ahead": 1000}
        self.machine = Machine(Settings(Backoff(1.0, 60.0), **(base | settings)), lambda: 0.5)  # type: ignore[arg-type]
        self.now = 0.0
        self.effects: list[Effect] = []
        self.known: dict[str, Known] = {}
        self.position = 0
        self.done: set[int] = set()
        self.hear(started or Started())

    def hear(self, event: Event) -> None:
        for effect in self.machine.handle(event, self.now):
            self.effects.append(effect)
            if isinstance(effect, Write):
                self.hear(Written(effect.ticket))

    def receive(self, *entries: Entry) -> None:
        self.position = max(self.position, *(one.offset + 1 for one in entries))
        self.hear(Received(entries, self.known, self.position))

    def answer(self, said: Mapping[str, Outcome] | Whole, slow_down_s: float | None = None) -> None:
        """Answer the oldest open batch: by record name, the rest accepted; or as a whole."""
        batch = self.open_batches()[0]
        self.done.add(batch.batch)
        if isinstance(said, Mapping):
            answers = {
                (i.entry.record_id, i.entry.version): said.get(i.entry.record_id, Accepted()) for i in batch.items
            }
            self.hear(Answered(batch.batch, BatchAnswer(answers, slow_down_s)))
        else:
            self.hear(Answered(batch.batch, BatchAnswer({}, slow_down_s, said)))

    def open_batches(self) -> list[SendBatch]:
        return [e for e in self.effects if isinstance(e, SendBatch) and e.batch not in self.done]

    def wake(self) -> None:
        """Go to the next moment the machine asked for."""
        self.now = next(e.at for e in reversed(self.effects) if isinstance(e, WakeAt))
        self.hear(Woke())

    def sent(self) -> list[tuple[str, int, Op]]:
        batches = [effect for effect in self.effects if isinstance(effect, SendBatch)]
        return [(item.entry.record_id, item.entry.version, item.op) for batch in batches for item in batch.items]

    def names(self) -> list[list[str]]:
        return [[i.entry.record_id for i in batch.items] for batch in self.effects if isinstance(batch, SendBatch)]

    def settles(self) -> list[Settle]:
        return [settle for write in self.effects if isinstance(write, Write) for settle in write.settles]

    def settled(self) -> dict[tuple[str, int], State]:
        return {(settle.entry.record_id, settle.entry.version): settle.state for settle in self.settles()}

    def parks(self) -> list[Park]:
        return [park for write in self.effects if isinstance(write, Write) for park in write.parks]

    def parked(self) -> list[tuple[str, int, str]]:
        return [(park.entry.record_id, park.entry.version, park.reasons[0].code) for park in self.parks()]

    def committed(self) -> int:
        return max((effect.offset for effect in self.effects if isinstance(effect, Commit)), default=-1)


def test_a_refused_record_parks_its_pupil_and_other_pupils_flow() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"), entry(1, "b1"), entry(2, "a2"))
    bench.answer({"a1": REFUSED})

    assert bench.names() == [["a1", "b1"]]
    assert bench.parked() == [("a1", 1, "TG-02"), ("a2", 1, "GW-03")]
    assert bench.settled() == {("b1", 1): State.ACCEPTED}
    assert bench.committed() == 3


def test_a_pupil_has_one_record_in_flight() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"), entry(1, "a2"), entry(2, "b1"))

    assert bench.names() == [["a1", "b1"]]

    bench.answer({})
    assert bench.names() == [["a1", "b1"], ["a2"]]


def test_a_newer_version_in_the_queue_supersedes_before_the_send() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"), entry(1, "a2", 1), entry(2, "a2", 2))
    bench.answer({})

    assert bench.settled()["a2", 1] is State.SUPERSEDED
    assert bench.sent() == [("a1", 1, Op.NEW), ("a2", 2, Op.NEW)]


def test_a_version_below_a_settled_one_is_superseded_without_a_send() -> None:
    bench = Bench()
    bench.known = {"a1": Known(frozenset({2}), 2, Op.NEW)}
    bench.receive(entry(0, "a1", 1))

    assert bench.settled() == {("a1", 1): State.SUPERSEDED}
    assert bench.sent() == []


def test_a_version_that_is_settled_already_is_passed_in_silence() -> None:
    bench = Bench()
    bench.known = {"a1": Known(frozenset({1}), 1, Op.NEW)}
    bench.receive(entry(0, "a1", 1))

    assert bench.settles() == []
    assert bench.committed() == 1


@pytest.mark.parametrize(
    ("op", "known", "asked"),
    [
        (Op.UPDATE, NOTHING_KNOWN, Op.NEW),
        (Op.NEW, Known(frozenset({1}), 1, Op.NEW), Op.UPDATE),
        (Op.UPDATE, Known(frozenset({1, 2}), 2, Op.CANCEL), Op.NEW),
        (Op.CANCEL, Known(frozenset({1}), 1, Op.UPDATE), Op.CANCEL),
        (Op.CANCEL, NOTHING_KNOWN, None),
        (Op.CANCEL, Known(frozenset({1, 2}), 2, Op.CANCEL), None),
        (Op.CANCEL, Known(frozenset({1}), maybe=1), Op.CANCEL),
    ],
)
def test_what_is_asked_comes_from_the_ledger_and_never_from_the_vendor(op: Op, known: Known, asked: Op | None) -> None:
    assert decide(op, known) == asked


def test_a_cancel_of_what_the_target_never_had_ends_without_a_send() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1", op=Op.CANCEL))

    assert bench.settled() == {("a1", 1): State.NOTHING_TO_CANCEL}
    assert bench.sent() == []


def test_what_a_dead_owner_may_have_sent_is_settled_before_the_cancel_behind_it() -> None:
    bench = Bench(Started(horizon=10))
    bench.receive(entry(0, "a1", 1), entry(1, "a1", 2, op=Op.CANCEL))
    bench.answer({})
    bench.answer({})

    assert bench.sent() == [("a1", 1, Op.NEW), ("a1", 2, Op.CANCEL)]
    assert set(bench.settled().values()) == {State.ACCEPTED}


def test_above_the_horizon_nothing_was_sent_and_a_cancel_needs_nothing() -> None:
    bench = Bench(Started(horizon=0))
    bench.receive(entry(0, "a1", 1), entry(1, "a1", 2, op=Op.CANCEL))

    assert bench.sent() == []
    assert bench.settled() == {("a1", 1): State.SUPERSEDED, ("a1", 2): State.NOTHING_TO_CANCEL}


def test_nothing_is_sent_above_the_written_horizon() -> None:
    machine = Machine(Settings(Backoff(), batch_age_s=0.0, horizon_ahead=10), lambda: 0.5)
    machine.handle(Started(), 0.0)
    effects = machine.handle(Received([entry(0, "a1")], {}, 1), 0.0)

    assert [type(effect) for effect in effects] == [Write, Commit]
    write = effects[0]
    assert isinstance(write, Write)
    assert write.horizon == 11
    assert any(isinstance(effect, SendBatch) for effect in machine.handle(Written(write.ticket), 0.0))


def test_an_ambiguous_record_stays_the_head_and_a_newer_version_waits_for_it() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1", 1))
    bench.answer(Ambiguous("time-out"))
    bench.receive(entry(1, "a1", 2))
    bench.wake()
    bench.answer({})

    assert bench.sent() == [("a1", 1, Op.NEW), ("a1", 1, Op.NEW), ("a1", 2, Op.UPDATE)]


def test_a_missing_answer_is_ambiguous() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"), entry(1, "b1"))
    batch = bench.open_batches()[0]
    bench.done.add(batch.batch)
    bench.hear(Answered(batch.batch, BatchAnswer({("b1", 1): Accepted()})))
    bench.wake()

    assert bench.names() == [["a1", "b1"], ["a1"]]
    assert bench.settled() == {("b1", 1): State.ACCEPTED}


@pytest.mark.parametrize("whole", [Unavailable(5.0), Hold("outage"), Unavailable(None)])
def test_an_outage_holds_and_parks_nothing(whole: Whole) -> None:
    bench = Bench(most_attempts=2)
    bench.receive(entry(0, "a1"), entry(1, "b1"))
    for _ in range(30):
        bench.answer(whole)
        bench.wake()
    bench.answer({})

    assert bench.parked() == []
    assert set(bench.settled().values()) == {State.ACCEPTED}
    assert {park.attempts for park in bench.parks()} | {settle.attempts for settle in bench.settles()} == {0}


def test_retry_after_slows_the_target_and_not_only_the_record() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"))
    bench.answer(Unavailable(5.0), slow_down_s=5.0)
    bench.receive(entry(1, "b1"))

    assert bench.open_batches() == []
    bench.wake()
    assert bench.now == 5.0
    assert bench.names()[-1] == ["a1", "b1"]


def test_after_an_outage_one_probe_goes_first() -> None:
    bench = Bench(batch_records=1, concurrency=4)
    bench.receive(entry(0, "a1"))
    bench.answer(Unavailable(5.0))
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("bcde", 1)))
    bench.wake()

    assert len(bench.open_batches()) == 1
    bench.answer({})
    assert len(bench.open_batches()) == 4


def test_a_record_that_keeps_failing_while_others_succeed_parks() -> None:
    bench = Bench(most_attempts=3)
    bench.receive(entry(0, "a1"), entry(1, "b1"))
    for offset in range(2, 4):
        bench.answer({"a1": Unavailable(None, "retry")})
        bench.now += 100.0
        bench.receive(entry(offset, f"{chr(98 + offset)}1"))
        bench.hear(Woke())
        while len(bench.open_batches()) > 1:
            bench.answer({"a1": Unavailable(None, "retry")})
    while not bench.parks():
        bench.answer({"a1": Unavailable(None, "retry")})

    assert bench.parked() == [("a1", 1, "TG-04")]
    assert bench.parks()[0].attempts == 3


def test_a_batch_refused_whole_is_halved_until_the_culprit_stands_alone() -> None:
    bench = Bench(concurrency=1)
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abcdefgh")))
    while batches := bench.open_batches():
        guilty = any(item.entry.record_id == "f1" for item in batches[0].items)
        bench.answer(RefusedWhole("HTTP-400") if guilty else {})

    assert bench.parked() == [("f1", 1, "TG-01")]
    assert len(bench.settled()) == 7
    assert len(bench.names()) <= 8


def test_a_batch_that_is_too_large_is_halved() -> None:
    bench = Bench()
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abcd")))
    bench.answer(TooLarge())

    assert [len(names) for names in bench.names()] == [4, 2, 2]


def test_batches_are_cut_by_count_and_bytes() -> None:
    by_count, by_bytes = Bench(batch_records=2, concurrency=9), Bench(batch_bytes=3000, concurrency=9)
    for bench in (by_count, by_bytes):
        bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abcde")))

    assert [len(names) for names in by_count.names()] == [2, 2, 1]
    assert [len(names) for names in by_bytes.names()] == [3, 2]


def test_a_batch_waits_to_be_filled_no_longer_than_its_age() -> None:
    bench = Bench(batch_records=2, batch_age_s=0.2)
    bench.receive(entry(0, "a1"))

    assert bench.names() == []
    bench.wake()
    assert (bench.now, bench.names()) == (0.2, [["a1"]])


def test_a_stale_record_is_superseded() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"))
    bench.answer({"a1": Stale()})

    assert bench.settled() == {("a1", 1): State.SUPERSEDED}


def parked_lane(bench: Bench, *rows: ParkedRow) -> None:
    """Answer the machine's question for the rows of a lane."""
    lane = next(effect.lane for effect in reversed(bench.effects) if isinstance(effect, LoadLane))
    bench.hear(LaneLoaded(lane, rows, {}))


def row(one: Entry, code: str = "TG-02", *, seq: int = 1) -> ParkedRow:
    return ParkedRow(one, Reason(code), seq, "no")


def test_a_newer_version_takes_the_parked_ones_place_and_what_waits_behind_follows() -> None:
    bench = Bench(Started(horizon=100, parked=[ord("a")]))
    bench.receive(entry(9, "a1", 2))
    parked_lane(bench, row(entry(0, "a1", 1)), row(entry(1, "a2"), "GW-03"))
    bench.answer({})
    bench.answer({})

    assert bench.settled() == {("a1", 1): State.SUPERSEDED, ("a1", 2): State.ACCEPTED, ("a2", 1): State.ACCEPTED}
    assert bench.sent() == [("a1", 2, Op.NEW), ("a2", 1, Op.NEW)]
    assert {settle.entry.record_id: settle.seq for settle in bench.settles()} == {"a1": 1, "a2": 2}


def test_another_record_of_a_parked_pupil_waits_behind() -> None:
    bench = Bench(Started(horizon=100, parked=[ord("a")]))
    bench.receive(entry(9, "a2"))
    parked_lane(bench, row(entry(0, "a1")))

    assert bench.parked() == [("a2", 1, "GW-03")]
    assert bench.sent() == []
    assert bench.committed() == 10


def test_a_parked_record_goes_only_by_its_order_and_its_row_says_so_first() -> None:
    bench = Bench(Started(horizon=100, parked=[ord("a")]))
    bench.hear(Ordered(7, ord("a"), 0, "release"))
    parked_lane(bench, row(entry(0, "a1")))

    writes = [effect for effect in bench.effects if isinstance(effect, Write)]
    assert [order.done for write in writes for order in write.orders] == [True]
    assert [arm.sent for write in writes for arm in write.arms if arm.offset == 0] == ["released", "again"]
    assert bench.sent() == [("a1", 1, Op.NEW)]
    assert bench.effects.index(writes[-1]) < bench.effects.index(bench.open_batches()[0])


def test_a_discarded_record_ends_and_what_waits_behind_follows() -> None:
    bench = Bench(Started(horizon=100, parked=[ord("a")]))
    bench.hear(Ordered(7, ord("a"), 0, "discard"))
    parked_lane(bench, row(entry(0, "a1")), row(entry(1, "a2"), "GW-03"))

    assert bench.settled() == {("a1", 1): State.DISCARDED}
    assert bench.sent() == [("a2", 1, Op.NEW)]


@pytest.mark.parametrize(("lane", "offset"), [("z", 0), ("a", 5), ("a", 1)])
def test_an_order_for_what_cannot_go_is_void(lane: str, offset: int) -> None:
    bench = Bench(Started(horizon=100, parked=[ord("a")]))
    bench.hear(Ordered(7, ord(lane), offset, "release"))
    if lane == "a":
        parked_lane(bench, row(entry(0, "a1")), row(entry(1, "a2"), "GW-03"))

    orders = [order for effect in bench.effects if isinstance(effect, Write) for order in effect.orders]
    assert [(order.order, order.done) for order in orders] == [(7, False)]
    assert bench.sent() == []


def test_an_unreadable_record_parks_and_the_rest_of_its_batch_goes_on() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"), entry(1, "b1"))
    bench.hear(Answered(1, BatchAnswer({("b1", 1): Accepted()}), unreadable=[0]))

    assert bench.parked() == [("a1", 1, "GW-04")]
    assert bench.settled() == {("b1", 1): State.ACCEPTED}


def test_an_offset_is_committed_only_when_the_row_is() -> None:
    machine = Machine(Settings(Backoff(), batch_age_s=0.0), lambda: 0.5)
    machine.handle(Started(horizon=0), 0.0)
    machine.handle(Received([entry(0, "a1")], {}, 1), 0.0)
    machine.handle(Written(1), 0.0)
    settled = machine.handle(Answered(1, BatchAnswer({("a1", 1): Accepted()})), 0.0)

    assert [type(effect) for effect in settled] == [Write]
    assert machine.handle(Written(2), 0.0) == [Commit(1)]


def test_the_next_record_of_a_pupil_waits_until_the_end_of_the_one_before_is_committed() -> None:
    machine = Machine(Settings(Backoff(1.0, 60.0), batch_age_s=0.0), lambda: 0.5)
    effects = [*machine.handle(Started(), 0.0), *machine.handle(Received([entry(0, "a1"), entry(1, "a2")], {}, 2), 0.0)]
    tickets = [effect.ticket for effect in effects if isinstance(effect, Write)]
    effects = [effect for ticket in tickets for effect in machine.handle(Written(ticket), 0.0)]
    first = next(effect for effect in effects if isinstance(effect, SendBatch))
    after = machine.handle(Answered(first.batch, BatchAnswer({("a1", 1): Accepted()})), 0.0)
    end = next(effect for effect in after if isinstance(effect, Write))

    assert not [effect for effect in after if isinstance(effect, SendBatch)]
    assert [effect for effect in machine.handle(Written(end.ticket), 0.0) if isinstance(effect, SendBatch)]


def test_with_nothing_open_the_position_is_committed_and_not_the_last_offset() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"))
    bench.answer({})
    bench.hear(Received([], {}, 4))

    assert bench.committed() == 4


def test_fetching_pauses_while_the_window_is_full() -> None:
    bench = Bench(window_records=4, batch_records=100)
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abcd")))
    bench.answer({})

    flow = [type(effect) for effect in bench.effects if isinstance(effect, PauseFetch | ResumeFetch)]
    assert flow == [PauseFetch, ResumeFetch]


def test_after_revoke_nothing_new_is_sent_and_the_slot_drains() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"), entry(1, "a2"))
    bench.hear(Revoked())

    assert Drained() not in bench.effects
    bench.answer({})
    assert Drained() in bench.effects
    assert bench.names() == [["a1"]]
    assert bench.committed() == 1


def test_after_the_lease_is_lost_nothing_is_sent_and_nothing_is_written() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"), entry(1, "a2"))
    bench.hear(LeaseLost())
    before = len(bench.effects)
    bench.answer({})
    bench.receive(entry(2, "b1"))

    assert len(bench.effects) == before
