"""A portal that knows only create and revoke: an update is a revoke and then a new registration, each step durable."""

from gateway.delivery.effects import BuildPacket, Park, Revoke, Write
from gateway.delivery.events import Polled, Received, Started, Submitted
from gateway.delivery.values import REVOKED, Entry, Known, Member, OpenPacket, ParkedRow, Reason
from gateway.outcomes import Accepted, Ambiguous, Duplicate, Landed, Outcome, Refused, Verdicts
from gateway.record import Op, State
from tests.fakes.delivery_world import World
from tests.property.test_delivery_machine import small
from tests.unit.delivery.test_delivery_packets import Portal, entry

HELD = {"a1": Known(frozenset({1}), 1, Op.NEW)}
REFUSED = Refused("MAU-L02", "certificate")


def portal(started: Started | None = None) -> Portal:
    return Portal(started, two_steps=True)


def with_update() -> Portal:
    """The portal holds version 1 and version 2 has arrived."""
    made = portal()
    made.receive(entry(0, "a1", 2), known=HELD)
    return made


def builds(made: Portal) -> list[tuple[Op, int]]:
    """What was asked for, and which version it revokes."""
    asked = [effect for effect in made.effects if isinstance(effect, BuildPacket)]
    return [(effect.op, member.revokes) for effect in asked for member in effect.members]


def answer(made: Portal, packet: str, version: int, outcome: Outcome) -> None:
    made.hear(Submitted(packet, Landed()))
    made.wake()
    made.hear(Polled(packet, Verdicts({("a1", version): outcome})))


def writes(made: Portal) -> list[Write]:
    return [effect for effect in made.effects if isinstance(effect, Write)]


def test_an_update_revokes_the_version_in_force_and_then_registers_the_new_one() -> None:
    made = with_update()
    answer(made, "p1", 1, Accepted())
    answer(made, "p2", 2, Accepted())

    assert builds(made) == [(Op.CANCEL, 1), (Op.NEW, 0)]
    assert made.settled() == {"a1": State.ACCEPTED}


def test_the_step_is_in_the_ledger_before_the_next_post_and_the_record_stands_in_a_row_all_the_time() -> None:
    made = with_update()
    made.hear(Submitted("p1", Landed()))
    made.wake()
    made.commits = False
    made.hear(Polled("p1", Verdicts({("a1", 1): Accepted()})))

    last = writes(made)[-1]
    assert last.revokes == [Revoke(entry(0, "a1", 2), 1)]
    assert last.parks == [Park(entry(0, "a1", 2), (Reason(REVOKED),), 1, 0, doubt=False, step=True)]
    assert [type(change).__name__ for change in last.packets] == ["MarkPacket"]
    assert builds(made) == [(Op.CANCEL, 1)]  # nothing leaves before that is committed


def test_a_revoke_whose_answer_was_lost_counts_when_it_is_a_duplicate() -> None:
    made = with_update()
    answer(made, "p1", 1, Duplicate())

    assert builds(made)[-1] == (Op.NEW, 0)


def test_a_pupil_left_revoked_parks_with_an_alarm_before_the_targets_reason() -> None:
    made = with_update()
    answer(made, "p1", 1, Accepted())
    answer(made, "p2", 2, REFUSED)

    last = writes(made)[-1].parks[-1]
    assert [(reason.code, reason.target_code) for reason in last.reasons] == [
        ("TG-06", "MAU-L02"),
        ("TG-03", "MAU-L02"),
    ]
    assert not last.step


def test_a_refused_revoke_leaves_the_old_version_in_force_and_is_no_alarm() -> None:
    made = with_update()
    answer(made, "p1", 1, REFUSED)

    assert made.parked() == [("a1", "TG-03")]
    assert not writes(made)[-1].revokes


def test_a_newer_version_of_a_pupil_left_revoked_is_registered_at_once() -> None:
    made = with_update()
    answer(made, "p1", 1, Accepted())
    answer(made, "p2", 2, REFUSED)
    row = ParkedRow(entry(0, "a1", 2), Reason(REVOKED, "MAU-L02"), 2, "no")
    made.hear(Received([entry(5, "a1", 3)], {"a1": Known(frozenset({1}), 1, Op.NEW, revoked=1)}, 6))
    made.loaded([row], {"a1": Known(frozenset({1}), 1, Op.NEW, revoked=1)})
    answer(made, "p3", 3, Accepted())

    assert builds(made)[2:] == [(Op.NEW, 0)]
    assert made.settled()["a1"] is State.ACCEPTED


def test_a_cancel_of_a_pupil_left_revoked_has_nothing_to_cancel() -> None:
    made = portal()
    made.receive(entry(0, "a1", 3, Op.CANCEL), known={"a1": Known(frozenset({1}), 1, Op.NEW, revoked=1)})

    assert made.settled() == {"a1": State.NOTHING_TO_CANCEL}


def test_a_successor_goes_on_after_the_step_that_the_ledger_tells() -> None:
    step = ParkedRow(entry(0, "a1", 2), Reason(REVOKED), 1, "again")
    made = portal(Started(parked=[ord("a")], live=[ord("a")]))
    made.loaded([step], {"a1": Known(frozenset({1}), 1, Op.NEW, revoked=1)})

    assert builds(made) == [(Op.NEW, 0)]


def test_a_successor_asks_what_became_of_the_revoke_before_anything_else() -> None:
    left = OpenPacket("old", Op.CANCEL, [Member(entry(0, "a1", 2), revokes=1)], submitted=False)
    made = portal(Started(packets=[left]))
    made.receive(entry(0, "a1", 2), known=HELD)

    assert made.steps() == ["poll old"]
    made.hear(Polled("old", Verdicts({("a1", 1): Accepted()})))
    assert builds(made) == [(Op.NEW, 0)]


def test_a_lost_answer_to_a_revoke_puts_the_old_version_in_doubt_and_not_the_new_one() -> None:
    made = with_update()
    made.hear(Submitted("p1", Ambiguous("time-out")))
    made.wake()
    made.hear(Polled("p1", Verdicts({("a1", 1): Refused("MAU-L07", "school")})))

    assert not writes(made)[-1].parks[-1].doubt


def crashed_world(seed: int) -> World:
    world = World(small(packets=True, two_steps=True), "version", seed)
    world.target.faults.lost_answer = 0.3
    world.target.faults.pending = 0.3
    for pupil in range(4):
        for op in (Op.NEW, Op.UPDATE, Op.UPDATE):
            world.publish(pupil, 2024, op)
    for step in range(1, 60):
        for _ in range(step):
            world.step()
        world.crash()
    return world


def test_crashes_at_every_moment_double_nothing_and_leave_nobody_without_a_record() -> None:
    for seed in range(8):
        world = crashed_world(seed)
        world.target.faults.lost_answer = world.target.faults.pending = 0.0
        world.rest()
        world.check_rest()

        assert {op for _, op in world.target.held.values()} == {Op.NEW}


def test_the_entry_of_a_step_is_the_new_version() -> None:
    made = with_update()
    step = next(effect for effect in made.effects if isinstance(effect, BuildPacket))

    assert isinstance(step.members[0].entry, Entry)
    assert (step.members[0].entry.version, step.members[0].revokes) == (2, 1)
