"""The judge of a run: each kind of harm is found from files and books, and innocent runs are let go."""

from dataclasses import dataclass, replace

from gateway.record import Op, State
from gateway.sandbox.checker import Book, Evidence, Published, Sent, Verdict, judge
from gateway.sandbox.messes import EXPECTED, Plant


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a fake book."""

    record_id: str
    version: int
    op: str = "NEW"
    key: str = ""
    content_hash: str = "c"
    result: str = "ACCEPTED"


def sent(event: str, record: str, plant: Plant = Plant.CLEAN, *, order: int = 1, op: Op = Op.NEW) -> Sent:
    return Sent(
        event_id=event,
        pupil=f"pupil of {record}",
        record_id=record,
        vendor="v",
        topic="t",
        partition=0,
        offset=0,
        index=0,
        op=op,
        order=order,
        plant=plant,
        history="",
        wave="main",
    )


def book(*rows: Row) -> Book:
    keyed = [replace(row, key=row.key or f"{row.record_id}@{row.version}") for row in rows]
    return Book([row for row in keyed if row.result == "ACCEPTED"], keyed, key_per_record=True)


def run(
    events: list[Sent], unified: list[Published], target: Book, states: dict[str, State], *, repaired: bool = False
) -> Verdict:
    told = {(event, "sector"): state for event, state in states.items()}
    return judge(Evidence(events, unified, {"sector": target}, told, repaired))


def findings(verdict: Verdict) -> list[str]:
    return [finding.what for finding in verdict.findings]


CLEAN = [sent("e1", "r1")]
STREAM = [Published("e1", "r1", 1)]
ACCEPTED = {"e1": State.ACCEPTED}


def test_a_delivered_record_adds_up() -> None:
    verdict = run(CLEAN, STREAM, book(Row("r1", 1)), ACCEPTED)

    assert verdict.adds_up
    assert (verdict.produced, verdict.lost) == (1, 0)
    assert verdict.targets["sector"][State.ACCEPTED] == 1


def test_a_record_that_the_ledger_calls_accepted_but_the_book_does_not_hold_is_lost() -> None:
    verdict = run(CLEAN, STREAM, book(), ACCEPTED)

    assert verdict.lost == 1
    assert findings(verdict) == ["accepted by the ledger's word alone", "lost"]


def test_a_replaced_version_that_never_took_effect_is_not_accepted_either() -> None:
    events = [sent("e1", "r1"), sent("e2", "r1", order=2)]
    stream = [*STREAM, Published("e2", "r1", 2)]
    verdict = run(events, stream, book(Row("r1", 2)), {"e1": State.ACCEPTED, "e2": State.ACCEPTED})

    assert verdict.lost == 0
    assert findings(verdict) == ["accepted by the ledger's word alone"]


def test_an_older_version_in_force_is_a_lost_newer_one() -> None:
    events = [sent("e1", "r1"), sent("e2", "r1", order=2)]
    stream = [*STREAM, Published("e2", "r1", 2)]
    states = {"e1": State.ACCEPTED, "e2": State.ACCEPTED}
    verdict = run(events, stream, book(Row("r1", 1)), states)

    assert verdict.lost == 1


def test_parked_at_a_target_counts_only_with_a_refusal_in_its_book() -> None:
    states = {"e1": State.PARKED}
    with_refusal = run(CLEAN, STREAM, book(Row("r1", 1, result="REFUSED")), states)
    without = run(CLEAN, STREAM, book(), states)

    assert with_refusal.adds_up
    assert without.lost == 1
    assert "clean ended parked" in findings(without)


def test_an_event_without_a_state_is_found() -> None:
    verdict = run(CLEAN, STREAM, book(Row("r1", 1)), {})

    assert findings(verdict) == ["an event without any state"]


def test_a_version_that_took_effect_twice_is_counted() -> None:
    verdict = run(CLEAN, STREAM, book(Row("r1", 1), Row("r1", 1)), ACCEPTED)

    assert verdict.duplicate_effects == 1
    assert verdict.duplicate_sends == 1


def test_a_second_send_without_a_second_effect_is_no_finding() -> None:
    verdict = run(CLEAN, STREAM, book(Row("r1", 1), Row("r1", 1, result="DUPLICATE")), ACCEPTED)

    assert verdict.adds_up
    assert verdict.duplicate_sends == 1


def test_a_version_under_two_keys_is_found() -> None:
    twice = book(Row("r1", 1, key="a"), Row("r1", 1, key="b", result="STALE"))

    verdict = run(CLEAN, STREAM, twice, ACCEPTED)

    assert findings(verdict) == ["one version under several keys or contents, or one key for several"]


def test_an_overtaken_version_at_the_target_is_found() -> None:
    events = [sent("e1", "r1"), sent("e2", "r1", order=2)]
    stream = [*STREAM, Published("e2", "r1", 2)]
    states = {"e1": State.ACCEPTED, "e2": State.ACCEPTED}
    verdict = run(events, stream, book(Row("r1", 2), Row("r1", 1)), states)

    assert verdict.backwards == 1
    assert verdict.lost == 1


def test_a_doubled_or_falling_version_in_the_unified_stream_is_found() -> None:
    doubled = run(CLEAN, [*STREAM, *STREAM], book(Row("r1", 1)), ACCEPTED)
    falling = run(CLEAN, [Published("e1", "r1", 2), Published("e0", "r1", 1)], book(Row("r1", 2)), ACCEPTED)

    assert doubled.unified_duplicates == 1
    assert falling.backwards == 1


def test_a_cancel_is_there_when_the_record_is_out_of_force_or_was_never_in_force() -> None:
    events = [sent("e1", "r1"), sent("e2", "r1", Plant.CANCEL, order=2, op=Op.CANCEL)]
    stream = [*STREAM, Published("e2", "r1", 2)]
    revoked = run(events, stream, book(Row("r1", 1), Row("r1", 2, "CANCEL")), ACCEPTED | {"e2": State.ACCEPTED})
    still_there = run(events, stream, book(Row("r1", 1)), ACCEPTED | {"e2": State.ACCEPTED})
    never = run(events, stream, book(), {"e1": State.SUPERSEDED, "e2": State.NOTHING_TO_CANCEL})

    assert revoked.adds_up
    assert still_there.lost == 1
    assert never.adds_up


def test_a_clean_record_that_the_gateway_rejects_is_lost_whatever_it_says() -> None:
    verdict = run(CLEAN, [], book(), {"e1": State.REJECTED})

    assert verdict.lost == 1


def test_a_state_that_the_plant_does_not_allow_is_found() -> None:
    verdict = run([sent("e1", "r1", Plant.BROKEN)], [], book(), {"e1": State.PARKED})

    assert findings(verdict) == ["broken ended parked"]


def test_an_event_that_nobody_sent_is_found() -> None:
    verdict = run(CLEAN, STREAM, book(Row("r1", 1)), ACCEPTED | {"e9": State.PARKED})

    assert findings(verdict) == ["the ledger tells of an event that no vendor has sent"]


def test_every_plant_has_an_expectation() -> None:
    assert set(EXPECTED) == set(Plant)
