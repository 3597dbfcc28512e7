"""Which receipt tells the state of an event at a target."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.quarantine.fates import Fate, Reason, fates, rounds
from gateway.record import FINAL_STATES, State
from tests.fakes.receipts import problem, receipt

TARGETS = ["population", "sector"]

PLACES = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["intake", "identity", "delivery"]),
    st.integers(1, 3),
    st.sampled_from(["accepted", "parked", "waiting", "discarded"]),
    st.sampled_from([None, "sector"]),
    st.sampled_from([1_790_812_800_000, 1_790_812_800_001]),
)
Place = tuple[int, str, int, str, str | None, int]


def told(*receipts: dict[str, object]) -> list[Fate]:
    return [fate for one in receipts for fate in fates(one, TARGETS)]


def after(fates_in_order: list[Fate]) -> dict[tuple[str, str], Fate]:
    """The plain model: one receipt after the other."""
    known: dict[tuple[str, str], Fate] = {}
    for fate in fates_in_order:
        key = (fate.event_id, fate.target)
        before = known.get(key)
        if before is None or (before.state not in FINAL_STATES and fate.place > before.place):
            known[key] = fate
    return known


def test_a_receipt_without_target_speaks_of_every_target() -> None:
    found = told(receipt(1, "rejected", stage="intake"))

    assert [(fate.target, fate.state) for fate in found] == [
        ("population", State.REJECTED),
        ("sector", State.REJECTED),
    ]


def test_a_receipt_with_a_target_speaks_of_that_target_only() -> None:
    assert [fate.target for fate in told(receipt(1, "accepted", target="sector"))] == ["sector"]


def test_the_month_is_that_of_the_vendors_record_and_the_instant_that_of_the_state() -> None:
    one = receipt(1, "accepted", target="sector", at=1_790_812_800_000)
    one["source"]["timestamp"] = 1_785_542_399_999  # 2026-07-31T23:59:59.999Z

    (fate,) = told(one)

    assert fate.month.isoformat() == "2026-07-01"
    assert fate.at.isoformat() == "2026-10-01T00:00:00+00:00"


def test_the_reason_is_the_first_problem_that_is_no_warning() -> None:
    one = receipt(1, "parked", problems=[problem("DQ-30", "warn"), problem("ID-02", field="pupil_code"), problem("X")])

    assert told(one)[0].reason == Reason("ID-02", "pupil_code", "school")


def test_a_warning_alone_is_no_reason() -> None:
    assert told(receipt(1, "accepted", problems=[problem("DQ-30", "warn")]))[0].reason == Reason()


@pytest.mark.parametrize(("stage", "state"), [("tower", "accepted"), ("delivery", "lost")])
def test_an_unknown_stage_or_state_is_refused(stage: str, state: str) -> None:
    with pytest.raises(ValueError, match=r"unknown stage|not a valid State"):
        told(receipt(1, state, stage=stage))


def test_of_several_receipts_of_an_event_one_statement_is_enough() -> None:
    batch = told(
        receipt(1, "waiting", stage="identity", seq=1),
        receipt(1, "parked", seq=1, target="sector"),
        receipt(1, "accepted", seq=2, target="sector"),
        receipt(1, "accepted", seq=2, target="sector"),
    )

    (only,) = rounds(batch)

    assert [(fate.target, fate.state) for fate in only] == [
        ("population", State.WAITING),
        ("sector", State.ACCEPTED),
    ]


@given(before=st.lists(PLACES, max_size=4), batch=st.lists(PLACES, max_size=8))
def test_rounds_leave_what_one_receipt_after_the_other_leaves(before: list[Place], batch: list[Place]) -> None:
    first, second = (
        told(*(receipt(n, state, stage=stage, seq=seq, target=to, at=at) for n, stage, seq, state, to, at in part))
        for part in (before, batch)
    )

    folded = list(after(first).values())
    for one_round in rounds(second):
        keys = [(fate.event_id, fate.target) for fate in one_round]
        assert len(keys) == len(set(keys))
        folded += one_round

    def places(model: dict[tuple[str, str], Fate]) -> dict[tuple[str, str], tuple[State, int, int, datetime]]:
        return {key: (fate.state, *fate.place) for key, fate in model.items()}

    assert places(after(folded)) == places(after(first + second))
