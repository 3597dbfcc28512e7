"""Who is asked about next: nobody is forgotten, nobody is asked twice, deadlines go first, vendors take turns."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.identity.queue import BACKOFF_CAP_S, OTHERS_EVERY, Breaker, Origin, Waiting
from gateway.pace import Bucket

VENDORS = ("vnedu", "smas", "misa")
origins = st.builds(Origin, st.sampled_from(VENDORS), st.booleans())


class Queueing(RuleBasedStateMachine):
    """Questions come, move up and are taken; a plain model knows which are waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: Waiting[int] = Waiting()
        self.model: dict[int, Origin] = {}

    @rule(number=st.integers(0, 30), origin=origins)
    def put(self, number: int, origin: Origin) -> None:
        self.waiting.put(number, origin)
        before = self.model.get(number)
        if before is None or (origin.first and not before.first):
            self.model[number] = origin

    @rule(most=st.integers(1, 7))
    def take(self, most: int) -> None:
        taken = self.waiting.take(most)

        assert len(taken) == min(most, len(self.model))
        assert len(set(taken)) == len(taken)
        for number in taken:
            del self.model[number]

    @invariant()
    def holds_each_once(self) -> None:
        assert len(self.waiting) == len(self.model)
        assert all(number in self.waiting for number in self.model)


TestQueueing = Queueing.TestCase


def drained(asked: list[Origin], most: int) -> list[Origin]:
    waiting: Waiting[int] = Waiting()
    for number, origin in enumerate(asked):
        waiting.put(number, origin)
    taken: list[int] = []
    while batch := waiting.take(most):
        taken += batch
    return [asked[number] for number in taken]


@given(st.lists(origins, max_size=80), st.integers(1, 9))
def test_while_a_deadline_presses_only_every_fifth_question_is_another(asked: list[Origin], most: int) -> None:
    order = drained(asked, most)
    pressing = sum(origin.first for origin in asked)
    until = [origin.first for origin in order]
    last = max((place for place, first in enumerate(until) if first), default=-1)

    assert sum(until) == pressing
    assert sum(not first for first in until[: last + 1]) <= (last + 1) // OTHERS_EVERY
    if pressing >= OTHERS_EVERY and pressing < len(asked):
        assert not all(until[:OTHERS_EVERY])  # and every fifth is one: nobody waits for ever


@given(st.lists(st.sampled_from(VENDORS), min_size=1, max_size=90))
def test_vendors_take_turns_whatever_their_back_loads(vendors: list[str]) -> None:
    order = [origin.vendor for origin in drained([Origin(vendor) for vendor in vendors], 4)]
    total = Counter(vendors)

    for place in range(len(order)):
        so_far = Counter(order[: place + 1])
        unfinished = [so_far[vendor] for vendor in total if so_far[vendor] < total[vendor]]
        assert max(unfinished, default=0) - min(unfinished, default=0) <= 1


@given(st.lists(st.integers(0, 40), unique=True, max_size=40))
def test_one_vendors_questions_stay_in_their_order(numbers: list[int]) -> None:
    waiting: Waiting[int] = Waiting()
    for number in numbers:
        waiting.put(number, Origin("vnedu"))

    assert waiting.take(100) == numbers


@given(
    st.floats(0.5, 500),
    st.lists(st.tuples(st.floats(0, 2), st.integers(1, 100)), min_size=1, max_size=60),
)
def test_the_pace_is_never_above_the_rate(rate_per_s: float, asked: list[tuple[float, int]]) -> None:
    bucket, now_s = Bucket(rate_per_s), 1000.0
    spent: list[tuple[float, int]] = []
    for pause_s, cost in asked:
        now_s += pause_s
        spent.append((now_s + bucket.reserve_s(cost, now_s), cost))

    for (earlier_s, cost), (later_s, _) in pairwise(spent):
        assert later_s - earlier_s >= cost / rate_per_s - 1e-6


@given(st.lists(st.one_of(st.none(), st.tuples(st.floats(0, 1), st.floats(0, 30))), max_size=60))
def test_an_open_breaker_lets_one_probe_through_at_a_time(told: list[tuple[float, float] | None]) -> None:
    breaker, now_s = Breaker(), 0.0
    for failure in told:
        if not breaker.is_closed:
            now_s = max(now_s, breaker.open_until_s)
        assert breaker.wait_s(now_s) == 0
        if not breaker.is_closed:
            assert breaker.wait_s(now_s) > 0  # the second one waits for the probe
        if failure is None:
            breaker.answered()
            assert breaker.is_closed
        else:
            dice, retry_after_s = failure
            breaker.failed(now_s, dice, retry_after_s or None)
            assert not breaker.is_closed
            wait_s = breaker.open_until_s - now_s
            assert retry_after_s - 1e-6 <= wait_s <= max(BACKOFF_CAP_S, retry_after_s) + 1e-6


def test_a_probe_that_ends_without_a_word_lets_the_next_one_go() -> None:
    breaker = Breaker()
    breaker.failed(0.0, 0.0, None)
    assert breaker.wait_s(10.0) == 0
    breaker.let_go()

    assert breaker.wait_s(10.0) == 0
