"""Offsets, back-off and the target's gate."""

from gateway.delivery.offsets import Offsets
from gateway.delivery.retry import Backoff, Gate
from gateway.outcomes import Ambiguous, BatchAnswer, Unavailable


def gate() -> Gate:
    return Gate(Backoff(1.0, 8.0), breaker_failures=3, breaker_open_s=2.0, dice=lambda: 0.5)


def test_the_low_water_mark_waits_for_the_oldest_record() -> None:
    offsets = Offsets(position=10)
    for offset in (3, 5, 9):
        offsets.open(offset, 100)
    offsets.close(5)

    assert (offsets.low_water, len(offsets), offsets.open_bytes) == (3, 2, 200)
    offsets.close(3)
    assert offsets.low_water == 9
    offsets.close(9)
    assert (offsets.low_water, offsets.open_bytes) == (10, 0)


def test_closing_what_is_not_open_changes_nothing() -> None:
    offsets = Offsets(position=10)
    offsets.open(4, 1)
    offsets.close(2)
    offsets.close(2)

    assert offsets.low_water == 4


def test_the_wait_doubles_up_to_its_cap_and_never_undercuts_the_targets_wish() -> None:
    backoff = Backoff(1.0, 8.0)

    assert [backoff.delay_s(attempt, dice=1.0) for attempt in (1, 2, 3, 4, 5, 10_000)] == [1, 2, 4, 8, 8, 8]
    assert backoff.delay_s(3, dice=0.0) == 0.0
    assert backoff.delay_s(1, dice=0.1, retry_after_s=5.0) == 5.0


def test_lost_answers_open_the_breaker_only_in_a_row() -> None:
    one = gate()
    lost = BatchAnswer({}, whole=Ambiguous("time-out"))
    for answer in (lost, lost, BatchAnswer({}), lost, lost):
        one.hear(answer, 0.0)

    assert one.is_open(0.0, requests=3)
    one.hear(lost, 0.0)
    assert not one.is_open(2.9, requests=0)
    assert one.is_open(3.0, requests=0)
    assert not one.is_open(3.0, requests=1)


def test_an_answer_opens_the_gate_for_all() -> None:
    one = gate()
    one.hear(BatchAnswer({}, whole=Unavailable(4.0)), 0.0)

    assert not one.is_open(3.9, requests=0)
    assert not one.is_open(4.0, requests=1)
    one.hear(BatchAnswer({}), 4.0)
    assert one.is_open(4.0, requests=3)
