"""Whose fault a failure is, when the target speaks of records one by one; and what a person's release is worth."""

import pytest

from gateway.delivery.effects import Arm, Commit, Write
from gateway.delivery.events import LaneLoaded, Ordered, Polled, Slowed, Started, Submitted, Vouched
from gateway.delivery.values import ParkedRow, Reason, Sent
from gateway.outcomes import Accepted, Ambiguous, Landed, Outcome, Pending, Refused, RefusedWhole, Unavailable
from gateway.record import Op, State
from tests.unit.delivery.test_delivery_packets import Portal
from tests.unit.delivery.test_delivery_packets import entry as member
from tests.unit.delivery.test_delivery_rules import REFUSED, Bench, entry, parked_lane

HOUR_S = 3600.0


def row(sent: Sent, code: str = "TG-01", version: int = 1) -> ParkedRow:
    return ParkedRow(entry(0, "a1", version), Reason(code), 1, sent)


def for_an_hour(bench: Bench, said: Outcome, *, vouched: bool = False) -> None:
    """Every record is answered by *said*; another slot of the worker succeeds now and then if *vouched*."""
    while bench.now < HOUR_S and len(bench.parked()) < 10:
        for batch in bench.open_batches():
            bench.answer({item.entry.record_id: said for item in batch.items})
            if vouched:
                bench.hear(Vouched())
        bench.wake()


# --- an outage that is told record by record -------------------------------------------------------------------------


@pytest.mark.parametrize("said", [Unavailable(None, "retry"), Ambiguous("missing")])
def test_an_outage_told_record_by_record_parks_nobody_though_the_window_is_full(said: Outcome) -> None:
    bench = Bench(window_records=10)
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abcdefghij")))
    for_an_hour(bench, said)

    assert bench.parked() == []


def test_such_a_target_is_asked_ever_more_rarely_and_one_request_at_a_time() -> None:
    bench = Bench(batch_records=1, concurrency=4, breaker_failures=3, breaker_open_s=10.0)
    bench.receive(*(entry(n, f"{n}", pupil=n) for n in range(300)))
    for_an_hour(bench, Unavailable(None, "retry"))

    assert len(bench.names()) <= HOUR_S / 10.0  # their own waits alone would make it ten a second


def test_a_window_full_of_failing_records_gives_way_when_the_target_takes_those_of_other_slots() -> None:
    bench = Bench(window_records=10)
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abcdefghij")))
    assert not bench.machine.has_suspects
    bench.answer(dict.fromkeys((f"{name}1" for name in "abcdefghij"), Unavailable(None, "retry")))
    assert bench.machine.has_suspects
    for_an_hour(bench, Unavailable(None, "retry"), vouched=True)

    assert {code for _, _, code in bench.parked()} == {"TG-04"}


def test_one_that_fails_while_others_succeed_between_its_attempts_is_given_up() -> None:
    """Its requests are short: that nobody succeeds while one of them is under way says nothing."""
    bench = Bench()
    bench.receive(entry(0, "a1"))
    position = 1
    while bench.now < HOUR_S and not bench.parked():
        while bench.open_batches():
            bench.answer({"a1": Unavailable(None, "retry")})
        bench.receive(entry(position, f"b{position}"))
        bench.answer({"a1": Unavailable(None, "retry")})
        position += 1
        bench.wake()

    assert bench.parked() == [("a1", 1, "TG-04")]
    assert bench.now < HOUR_S / 4


# --- corrections -----------------------------------------------------------------------------------------------------


def test_the_correction_of_a_record_in_doubt_that_is_refused_goes_by_itself() -> None:
    """One record a request: HTTP 400 or 422 is the only way to say no; its older doubt must not hold the pupil."""
    bench = Bench(Started(horizon=100, parked=[ord("a")]))
    bench.receive(entry(9, "a1", 2))
    parked_lane(bench, row("maybe"))
    bench.answer({})

    assert bench.settled() == {("a1", 1): State.SUPERSEDED, ("a1", 2): State.ACCEPTED}


def test_a_correction_that_is_there_when_the_older_one_is_refused_goes_too() -> None:
    bench = Bench(Started(horizon=1))
    bench.receive(entry(0, "a1"), entry(1, "a1", 2))
    bench.answer(RefusedWhole("HTTP-422"))
    bench.hear(Vouched())
    bench.wake()
    bench.answer(RefusedWhole("HTTP-422"))
    bench.answer({})

    assert bench.settled() == {("a1", 1): State.SUPERSEDED, ("a1", 2): State.ACCEPTED}


def test_what_was_in_doubt_and_refused_can_still_be_cancelled_at_the_target() -> None:
    """The target may hold it: the cancellation must reach it."""
    bench = Bench(Started(horizon=100, parked=[ord("a")]))
    bench.receive(entry(9, "a1", 2, op=Op.CANCEL))
    parked_lane(bench, row("maybe"))
    bench.answer({})

    assert [settle.doubt for settle in bench.settles() if settle.entry.version == 1] == [True]
    assert bench.sent() == [("a1", 2, Op.CANCEL)]


def test_what_failed_in_doubt_is_tried_once_more_before_its_correction() -> None:
    bench = Bench(Started(horizon=100, parked=[ord("a")]))
    bench.receive(entry(9, "a1", 2))
    parked_lane(bench, row("maybe", "TG-04"))
    bench.answer({})
    bench.answer({})

    assert bench.sent() == [("a1", 1, Op.NEW), ("a1", 2, Op.UPDATE)]


# --- a target that must be asked ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["again", "maybe"])
def test_a_row_in_doubt_is_not_asked_for_before_the_answer_proves_something(sent: Sent) -> None:
    bench = Bench(Started(horizon=100, parked=[ord("a")], live=[ord("a")]), ask_after_s=30.0)
    bench.hear(Ordered(7, ord("a"), 0, "release"))
    parked_lane(bench, row(sent, "TG-04"))
    assert bench.sent() == []
    bench.wake()

    assert bench.now == pytest.approx(30.0)
    assert [item.again for batch in bench.open_batches() for item in batch.items] == [True]


def test_a_newer_version_does_not_shorten_that_time() -> None:
    bench = Bench(ask_after_s=30.0)
    bench.receive(entry(0, "a1"))
    bench.answer({"a1": Ambiguous("missing")})
    bench.receive(entry(1, "a1", 2))
    assert len(bench.sent()) == 1
    bench.wake()

    assert bench.now == pytest.approx(30.0)
    assert bench.sent() == [("a1", 1, Op.NEW)] * 2


# --- a release outlives its owner ------------------------------------------------------------------------------------


def arms(bench: Bench | Portal) -> list[Arm]:
    return [arm for write in bench.effects if isinstance(write, Write) for arm in write.arms]


@pytest.mark.parametrize(("sent", "armed"), [("no", "released"), ("maybe", "again")])
def test_the_row_of_a_released_record_says_so_with_its_order(sent: Sent, armed: Sent) -> None:
    bench = Bench(Started(parked=[ord("a")]))
    bench.hear(Slowed(HOUR_S))
    bench.hear(Ordered(7, ord("a"), 0, "release"))
    parked_lane(bench, row(sent))

    done = next(write for write in bench.effects if isinstance(write, Write) and write.orders)
    assert Arm(0, armed) in done.arms


def test_so_does_the_row_of_one_for_a_packet_target() -> None:
    portal = Portal(Started(parked=[ord("a")]))
    portal.hear(Slowed(HOUR_S))
    portal.hear(Ordered(7, ord("a"), 0, "release"))
    portal.loaded([ParkedRow(member(0, "a1"), Reason("TG-02"), 1, "no")], {})

    assert arms(portal) == [Arm(0, "released")]


@pytest.mark.parametrize("packets", [False, True])
def test_a_new_owner_goes_on_with_a_release_and_knows_that_nothing_was_sent(packets: bool) -> None:
    started = Started(parked=[ord("a")], live=[ord("a")])
    if packets:
        portal = Portal(started)
        portal.hear(LaneLoaded(ord("a"), [row("released")], {}))
        assert portal.steps() == ["submit p1"]
    else:
        bench = Bench(started)
        bench.hear(LaneLoaded(ord("a"), [row("released")], {}))
        assert [item.again for batch in bench.open_batches() for item in batch.items] == [True]
        assert arms(bench) == [Arm(0, "again")]  # told before it leaves


# --- how far a portal has come ---------------------------------------------------------------------------------------


def commits(portal: Portal) -> list[tuple[int, int]]:
    return [(effect.offset, effect.settled) for effect in portal.effects if isinstance(effect, Commit)]


def test_an_offset_passes_with_its_packets_row_and_is_settled_with_its_verdict() -> None:
    portal = Portal()
    portal.receive(member(0, "a1"), member(1, "b1"))
    assert max(commits(portal)) == (2, 0)
    portal.hear(Submitted("p1", Landed()))
    portal.wake()
    portal.verdicts("p1", {"a1": Accepted(), "b1": REFUSED})

    assert max(commits(portal)) == (2, 2)


def test_a_record_that_is_tried_again_and_again_does_not_hold_back_what_is_settled() -> None:
    portal = Portal()
    portal.receive(member(0, "a1"), member(1, "b1"))
    portal.hear(Submitted("p1", Landed()))
    portal.wake()
    portal.verdicts("p1", {"a1": Unavailable(60.0, "retry"), "b1": Accepted()})

    assert max(commits(portal)) == (2, 2)


def test_an_immediate_target_tells_nothing_of_its_own() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"))
    bench.answer({})

    assert {effect.settled for effect in bench.effects if isinstance(effect, Commit)} == {-1}


def test_time_in_which_a_portal_was_closed_is_no_time_of_its_own() -> None:
    portal = Portal(give_up_s=600.0)
    portal.receive(member(0, "a1"))
    portal.hear(Submitted("p1", Landed()))
    portal.hear(Slowed(90_000.0))
    portal.wake()
    portal.wake()
    assert portal.now == 90_000.0
    portal.hear(Polled("p1", Pending("01")))

    assert portal.parked() == []


def test_refusals_among_failures_say_that_the_target_is_there() -> None:
    bench = Bench(breaker_failures=2)
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abc")))
    bench.answer({"a1": Refused("MAU-L07", "school"), "b1": Unavailable(), "c1": Unavailable()})

    assert not bench.machine.has_suspects
