"""A target that is slower than one request may last gets batches that it manages, and no record is lost to it."""

import pytest

from gateway.delivery.batches import Ready
from gateway.delivery.retry import Backoff
from gateway.delivery.values import Settings
from gateway.outcomes import Ambiguous, TooLarge
from gateway.record import Op
from tests.fakes.delivery_world import Faults, World
from tests.unit.delivery.test_delivery_rules import Bench, entry

LOST = Ambiguous("time-out")


def sizes(bench: Bench) -> list[int]:
    return [len(names) for names in bench.names()]


def pupils(bench: Bench, count: int) -> None:
    start = bench.position
    bench.receive(*(entry(start + n, f"p{start + n}", pupil=1000 + start + n) for n in range(count)))


def test_three_lost_answers_in_a_row_halve_the_next_batches() -> None:
    bench = Bench(batch_records=8, breaker_failures=100)
    pupils(bench, 24)
    for _ in range(3):
        bench.answer(LOST)
    pupils(bench, 8)

    assert sizes(bench) == [8, 8, 8, 4, 4]


def test_an_answer_between_them_keeps_the_batches_whole() -> None:
    bench = Bench(batch_records=8, breaker_failures=100)
    pupils(bench, 32)
    for said in (LOST, LOST, TooLarge(), LOST):
        bench.answer(said)
    pupils(bench, 8)

    assert sizes(bench)[:4] == [8, 8, 8, 8]
    assert sizes(bench)[-1] == 8


def test_a_full_batch_that_is_answered_doubles_the_next_up_to_the_contracts_limit() -> None:
    ready = Ready(500, 10**6, 0.05)
    for _ in range(12):
        ready.shrink()

    assert ready.most == 1
    ready.grow(0)
    assert ready.most == 1
    for managed in (1, 2, 4, 3, 8, 16, 32, 64, 128, 256, 500):
        ready.grow(managed)
    assert ready.most == 500


@pytest.mark.parametrize("most_in_time", [1, 7, 50])
def test_a_target_slower_than_a_request_is_drained(most_in_time: int) -> None:
    settings = Settings(
        Backoff(0.5, 60.0), batch_records=500, batch_bytes=10**9, breaker_failures=5, breaker_open_s=2.0
    )
    world = World(settings, "both", seed=7)
    world.target.faults = Faults(most_in_time=most_in_time)
    for pupil in range(600):
        world.publish(pupil, 2024, Op.NEW)
    world.run(steps=50_000)

    world.check_rest()
    assert not world.ledger.rows
    assert len(world.target.effects) == 600
