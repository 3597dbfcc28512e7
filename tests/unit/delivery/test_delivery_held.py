"""A target that refuses whatever it is sent, and a packet that is never processed: held or given up, not in silence."""

import pytest

from gateway.delivery.effects import CreatePacket, ForgetPacket, MarkPacket, Write
from gateway.delivery.events import Polled, Slowed, Started, Submitted, Vouched
from gateway.delivery.values import Member, OpenPacket
from gateway.outcomes import (
    AlreadyThere,
    Ambiguous,
    Landed,
    NotFound,
    Pending,
    RefusedWhole,
    TooLarge,
    Unavailable,
    Whole,
)
from gateway.record import Op, State
from tests.unit.delivery.test_delivery_packets import Portal
from tests.unit.delivery.test_delivery_packets import entry as member
from tests.unit.delivery.test_delivery_rules import Bench, entry

WRONG = RefusedWhole("HTTP-400")


def alarms(bench: Bench | Portal) -> list[str]:
    return [e.alarm for e in bench.effects if isinstance(e, Write) and e.alarm is not None]


def answer_all(bench: Bench, whole: Whole, batches: int) -> None:
    for _ in range(batches):
        for _ in range(50):
            if bench.open_batches():
                break
            bench.wake()
        assert bench.open_batches(), "nothing is sent any more"
        bench.answer(whole)


@pytest.mark.parametrize("whole", [WRONG, TooLarge()])
def test_a_target_that_refuses_whatever_it_is_sent_parks_nobody_and_raises_an_alarm(whole: Whole) -> None:
    bench = Bench(breaker_failures=3)
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abcdefgh")))
    answer_all(bench, whole, 60)

    assert bench.parked() == []
    assert bench.committed() == 0
    assert alarms(bench) == ["TG-07"]  # the code that the catalogue explains


def test_while_it_refuses_everything_it_is_asked_ever_more_rarely_and_for_one_record_at_a_time() -> None:
    bench = Bench(breaker_failures=3)
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abcdefgh")))
    answer_all(bench, WRONG, 30)
    before = bench.now
    answer_all(bench, WRONG, 10)

    assert bench.now - before >= 10 * 10.0  # half of the cap each: the dice of the bench say 0.5
    assert all(len(names) == 1 for names in bench.names()[-10:])


def test_when_it_takes_records_again_all_go_and_the_alarm_is_over() -> None:
    bench = Bench(breaker_failures=3)
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abcdefgh")))
    answer_all(bench, WRONG, 30)
    for _ in range(200):
        if len(bench.settled()) == 8:
            break
        while bench.open_batches():
            bench.answer({})
        bench.wake()

    assert set(bench.settled().values()) == {State.ACCEPTED}
    assert alarms(bench) == ["TG-07", ""]


def test_the_culprit_among_those_held_parks_as_soon_as_another_record_is_taken() -> None:
    bench = Bench(breaker_failures=3)
    bench.receive(*(entry(n, f"{name}1") for n, name in enumerate("abcd")))
    answer_all(bench, WRONG, 20)
    for _ in range(60):
        while batch := next(iter(bench.open_batches()), None):
            bench.answer(WRONG if [item.entry.record_id for item in batch.items] == ["c1"] else {})
        if len(bench.settled()) == 3 and bench.parked():
            break
        bench.wake()

    assert bench.parked() == [("c1", 1, "TG-01")]
    assert bench.committed() == 4


def test_a_lone_culprit_parks_when_another_slot_says_that_the_target_takes_records() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"))
    bench.answer(WRONG)
    assert bench.machine.has_suspects
    bench.hear(Vouched())
    bench.wake()
    bench.answer(WRONG)

    assert bench.parked() == [("a1", 1, "TG-01")]
    assert not bench.machine.has_suspects


def test_a_portal_that_refuses_every_packet_parks_nobody() -> None:
    portal = Portal(breaker_failures=3)
    portal.receive(*(member(n, f"{name}1") for n, name in enumerate("abcd")))
    answered: set[str] = set()
    for _ in range(60):
        todo = [step.split()[1] for step in portal.steps() if step.startswith("submit")]
        if left := [one for one in todo if one not in answered]:
            answered.add(left[0])
            portal.hear(Submitted(left[0], WRONG))
        else:
            portal.wake()

    assert portal.parked() == []
    assert alarms(portal) == ["TG-07"]
    created = [change for change in portal.changes() if isinstance(change, CreatePacket)]
    closed = [change for change in portal.changes() if isinstance(change, MarkPacket) and change.step == "settled"]
    assert len(created) - len(closed) == 4  # each record stands in one open row


# --- packets that are never processed -----------------------------------------------------------------------------


def polled_until_quiet(portal: Portal, packet: str, answer: Pending | NotFound, most: int = 200) -> int:
    """Answer each poll the same way; how often it was asked."""
    asked = 0
    for _ in range(most):
        if portal.steps()[-1] == f"rebuild {packet}":
            break
        polls = portal.steps().count(f"poll {packet}")
        if polls > asked:
            asked = polls
            portal.hear(Polled(packet, answer))
        elif portal.steps()[-1] == f"submit {packet}":
            portal.hear(Submitted(packet, AlreadyThere()))
        if any(isinstance(effect, ForgetPacket) for effect in portal.effects):
            break
        portal.wake()
    return asked


def test_a_packet_that_is_never_processed_is_given_up_and_its_records_park_in_doubt() -> None:
    portal = Portal(give_up_s=30.0)
    portal.receive(member(0, "a1"), member(1, "b1"))
    portal.hear(Submitted("p1", Landed()))
    asked = polled_until_quiet(portal, "p1", Pending("01"))

    assert asked == pytest.approx(30, abs=2)
    assert portal.parked() == [("a1", "TG-05"), ("b1", "TG-05")]
    parks = [park for effect in portal.effects if isinstance(effect, Write) for park in effect.parks]
    assert all(park.doubt for park in parks)
    assert portal.changes()[-1] == MarkPacket("p1", "settled", ())


def test_a_packet_that_is_there_and_never_found_is_given_up_too() -> None:
    portal = Portal(give_up_s=30.0)
    portal.receive(member(0, "a1"))
    portal.hear(Submitted("p1", AlreadyThere()))
    polled_until_quiet(portal, "p1", NotFound())

    assert portal.parked() == [("a1", "TG-05")]


def test_an_outage_does_not_count_as_waiting() -> None:
    portal = Portal(give_up_s=30.0)
    portal.receive(member(0, "a1"))
    portal.hear(Submitted("p1", Landed()))
    for _ in range(100):
        portal.wake()
        portal.hear(Polled("p1", Unavailable(None)))

    assert portal.now > 300
    portal.wake()
    portal.hear(Polled("p1", Pending("01")))
    assert portal.parked() == []


def test_a_successor_counts_what_the_former_owner_waited() -> None:
    left = OpenPacket("old", Op.NEW, [Member(member(0, "a1"))], submitted=True, age_s=100_000.0)
    portal = Portal(Started(packets=[left]), give_up_s=30.0)
    asked = polled_until_quiet(portal, "old", Pending("01"))

    assert asked == pytest.approx(16, abs=2)
    assert portal.parked() == [("a1", "TG-05")]


# --- maintenance --------------------------------------------------------------------------------------------------


def test_in_a_maintenance_window_nothing_is_sent_and_nothing_is_parked() -> None:
    bench = Bench()
    bench.hear(Slowed(3600.0))
    bench.receive(entry(0, "a1"))
    assert bench.sent() == []
    bench.wake()

    assert bench.now == 3600.0
    assert bench.sent() == [("a1", 1, Op.NEW)]


def test_a_hundred_lost_answers_in_an_outage_park_nobody() -> None:
    bench = Bench()
    bench.receive(entry(0, "a1"), entry(1, "b1"))
    answer_all(bench, Ambiguous("time-out"), 100)

    assert bench.parked() == []
