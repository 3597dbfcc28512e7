"""Trouble stays with one pupil: what is published, ended or held, and what goes on by itself."""

from dataclasses import replace

from gateway.errors import Problem
from gateway.identity.plan import Desk, End, Event, Held, Out, Row, Step
from gateway.identity.verdicts import Confirmed, NotFound
from gateway.identity.versions import Entry, Head
from gateway.record import Op, SourceOrder, State

LANE = 7
CLAIM = b"claim"
CONFIRMED = Confirmed("001210999901")
SCHOOL = ("alpha", "01999001")


def event(offset: int, record: str, order: int, *, content: str = "", op: Op = Op.NEW, claim: bytes = CLAIM) -> Event:
    entry = Entry(f"event-{offset}", SCHOOL, SourceOrder(0, order), content or f"content-{offset}", op)
    return Event(offset, LANE, record, entry, claim_hash=None if op is Op.CANCEL else claim)


def known_pupil() -> Desk:
    return Desk(verdicts={(LANE, CLAIM): CONFIRMED})


def code(step: Step) -> str:
    assert isinstance(step.outcome, Held)
    return step.outcome.row.code


def row_of(step: Step) -> Row:
    assert isinstance(step.outcome, Held)
    return step.outcome.row


def test_a_confirmed_pupils_versions_rise_from_one() -> None:
    desk = known_pupil()

    assert [desk.arrive(event(n, "x", n)).outcome for n in (1, 2)] == [Out(1, CONFIRMED), Out(2, CONFIRMED)]


def test_an_unknown_pupil_waits_and_later_records_of_the_pupil_wait_behind() -> None:
    desk = Desk()

    first, second = desk.arrive(event(1, "x", 1)), desk.arrive(event(2, "y", 1))

    assert first.outcome == Held(State.WAITING, (Problem("ID-01"),), row_of(first))
    assert code(second) == "GW-03"


def test_another_pupil_is_not_held_back() -> None:
    desk = Desk(verdicts={(8, CLAIM): CONFIRMED})
    desk.arrive(event(1, "x", 1))

    assert desk.arrive(replace(event(2, "z", 1), lane=8)).outcome == Out(1, CONFIRMED)


def test_a_newer_version_takes_the_place_of_the_parked_one_and_is_tried_at_once() -> None:
    desk = Desk(verdicts={(LANE, b"wrong"): NotFound(), (LANE, CLAIM): CONFIRMED})
    parked = desk.arrive(event(1, "x", 1, claim=b"wrong"))
    desk.arrive(event(2, "y", 1))

    newer = desk.arrive(event(3, "x", 2))

    assert code(parked) == "ID-02"
    assert newer.outcome == Out(1, CONFIRMED)
    assert newer.replaced == (row_of(parked),)
    assert desk.due(desk.lanes[LANE][0])  # the record behind goes by itself


def test_a_newer_version_that_parks_again_keeps_its_place_before_the_others() -> None:
    desk = Desk(verdicts={(LANE, CLAIM): NotFound()})
    desk.arrive(event(1, "x", 1))
    behind = desk.arrive(event(2, "y", 1))

    newer = desk.arrive(event(3, "x", 2))

    assert row_of(newer).place == 1
    assert [row.record_id for row in desk.lanes[LANE]] == ["x", "y"]
    assert not desk.due(row_of(behind))


def test_a_record_does_not_overtake_one_that_is_still_behind() -> None:
    desk = Desk(verdicts={(LANE, b"wrong"): NotFound(), (LANE, CLAIM): CONFIRMED})
    desk.arrive(event(1, "x", 1, claim=b"wrong"))
    desk.arrive(event(2, "y", 1))
    desk.arrive(event(3, "x", 2))

    assert code(desk.arrive(event(4, "z", 1))) == "GW-03"


def test_an_answer_releases_the_lane_in_its_order() -> None:
    desk = Desk()
    events = {n: event(n, record, 1) for n, record in ((1, "x"), (2, "y"), (3, "z"))}
    for one in events.values():
        desk.arrive(one)
    desk.verdicts = {(LANE, CLAIM): CONFIRMED}

    outcomes = [desk.retry(row, events[row.offset]).outcome for row in list(desk.lanes[LANE]) if desk.due(row)]

    assert outcomes == [Out(1, CONFIRMED)] * 3
    assert desk.lanes[LANE] == []


def test_a_retried_row_that_is_refused_keeps_its_place_and_raises_its_seq() -> None:
    desk = Desk()
    waiting = row_of(desk.arrive(event(1, "x", 1)))
    desk.verdicts = {(LANE, CLAIM): NotFound()}

    again = desk.retry(waiting, event(1, "x", 1))

    assert code(again) == "ID-02"
    assert (row_of(again).place, row_of(again).seq) == (1, 2)


def test_duplicates_and_outdated_events_end_at_once_even_behind_another_record() -> None:
    desk = Desk(heads={"y": Head(4, event(0, "y", 5, content="same").entry)})
    desk.arrive(event(1, "x", 1))

    assert desk.arrive(event(2, "y", 5, content="same")).outcome == End(State.DUPLICATE)
    assert desk.arrive(event(3, "y", 4)).outcome == End(State.SUPERSEDED)


def test_a_copy_of_a_parked_record_is_its_duplicate() -> None:
    desk = Desk()
    desk.arrive(event(1, "x", 1, content="same"))

    assert desk.arrive(event(2, "x", 1, content="same")).outcome == End(State.DUPLICATE)


def test_a_conflict_does_not_hold_back_the_record_it_disputes() -> None:
    desk = Desk()
    first = event(1, "x", 1)
    desk.arrive(first)
    conflict = desk.arrive(event(2, "x", 1))
    desk.verdicts = {(LANE, CLAIM): CONFIRMED}

    assert code(conflict) == "CF-01"
    assert desk.retry(desk.lanes[LANE][0], first).outcome == Out(1, CONFIRMED)
    assert code(desk.retry(row_of(conflict), event(2, "x", 1))) == "CF-01"


def test_another_school_is_a_conflict_until_the_record_is_handed_over() -> None:
    desk = known_pupil()
    desk.arrive(event(1, "x", 1))
    stranger = event(2, "x", 9)
    stranger = replace(stranger, entry=replace(stranger.entry, claimant=("beta", "01999002")))

    conflict = desk.arrive(stranger)
    owners = desk.arrive(event(3, "x", 2))
    desk.handed_over = {"x": frozenset({("beta", "01999002")})}

    assert code(conflict) == "CF-02"
    assert owners.outcome == Out(2, CONFIRMED)
    assert desk.retry(row_of(conflict), stranger).outcome == Out(3, CONFIRMED)


def test_a_cancel_skips_the_look_up_and_is_a_version() -> None:
    desk = known_pupil()
    desk.arrive(event(1, "x", 1))

    assert desk.arrive(event(2, "x", 2, op=Op.CANCEL)).outcome == Out(2, None)


def test_a_cancel_of_an_unknown_record_is_a_fence() -> None:
    desk = known_pupil()

    assert code(desk.arrive(event(1, "x", 5, op=Op.CANCEL))) == "DQ-48"
    assert desk.arrive(event(2, "x", 4)).outcome == End(State.SUPERSEDED)
    assert desk.arrive(event(3, "x", 6)).outcome == Out(1, CONFIRMED)
    assert desk.lanes[LANE] == []


def test_a_hold_parks_with_its_code_and_a_lookup_releases_the_identity_ones() -> None:
    desk = known_pupil()
    signature = replace(event(1, "x", 1), holds=(Problem("DQ-18", "citizen_id"), Problem("DQ-42", "signature")))
    candidate = replace(event(2, "x", 2), holds=(Problem("DQ-19", "citizen_id"),))

    held, released = desk.arrive(signature), desk.arrive(candidate)

    assert isinstance(held.outcome, Held)
    assert [problem.code for problem in held.outcome.problems] == ["DQ-42", "DQ-18"]
    assert released.outcome == Out(1, CONFIRMED)


def test_a_missing_id_that_no_lookup_confirms_tells_both_reasons() -> None:
    desk = Desk(verdicts={(LANE, CLAIM): NotFound()})

    step = desk.arrive(replace(event(1, "x", 1), holds=(Problem("DQ-18", "citizen_id"),)))

    assert isinstance(step.outcome, Held)
    assert [problem.code for problem in step.outcome.problems] == ["ID-02", "DQ-18"]


def test_unread_bytes_hold_their_pupil() -> None:
    desk = known_pupil()
    desk.park_unread(Row(1, 1, LANE, "x", None, "GW-04"))

    assert desk.arrive(event(2, "x", 1)).outcome == Out(1, CONFIRMED)
    assert code(desk.arrive(event(3, "y", 1))) == "GW-03"


def test_a_discarded_row_frees_its_lane() -> None:
    desk = Desk(verdicts={(LANE, CLAIM): NotFound()})
    parked = row_of(desk.arrive(event(1, "x", 1)))
    behind = row_of(desk.arrive(event(2, "y", 1)))

    desk.drop(parked)

    assert desk.due(behind)


def test_a_row_whose_event_is_the_head_is_only_closed() -> None:
    published = event(1, "x", 1)
    desk = known_pupil()
    desk.heads = {"x": Head(1, published.entry)}
    row = Row(1, 1, LANE, "x", published.entry, "ID-01", CLAIM)
    desk.lanes = {LANE: [row]}

    assert desk.retry(row, published).outcome == End(None)


def test_a_waiting_row_whose_answer_has_expired_is_asked_for_again() -> None:
    desk = Desk(verdicts={(LANE, b"answered"): NotFound()})
    waiting, behind = desk.arrive(event(1, "x", 1)), desk.arrive(event(2, "y", 1))
    answered = replace(row_of(waiting), place=3, offset=3, claim_hash=b"answered")
    desk.lanes[LANE].append(answered)

    assert code(behind) == "GW-03"
    assert desk.unanswered() == [row_of(waiting)]
