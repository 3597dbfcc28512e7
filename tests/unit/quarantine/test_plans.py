"""Which parked records a selection covers, and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.quarantine.plans import BEHIND, REVOKED, Action, Candidate, LeftOut, NotAnId, ParkedId, parse_id, plan

OPEN = Candidate(ParkedId("delivery", "sector", 3, 10), lane=7, state="parked", code="TG-02", ordered=False)


def row(offset: int, *, state: str = "parked", code: str = "TG-02", ordered: bool = False) -> Candidate:
    return Candidate(ParkedId("delivery", "sector", 3, offset), lane=7, state=state, code=code, ordered=ordered)


def test_orders_of_a_lane_go_out_oldest_first_whatever_the_order_of_the_rows() -> None:
    made = plan([row(30), row(10), row(20)], "release")

    assert [order.id.offset for order in made.orders] == [10, 20, 30]
    assert {order.lane for order in made.orders} == {7}


@pytest.mark.parametrize(
    ("candidate", "action", "why"),
    [
        (row(1, state="closed"), "release", "it is closed and has its end state"),
        (row(1, state="closed"), "discard", "it is closed and has its end state"),
        (row(1, ordered=True), "release", "an order for it is already open"),
        (row(1, code=BEHIND), "release", "it waits behind another record of the pupil and goes by itself"),
    ],
)
def test_what_cannot_be_ordered_is_left_out_with_its_reason(candidate: Candidate, action: Action, why: str) -> None:
    made = plan([candidate], action)

    assert made.orders == ()
    assert made.left_out == (LeftOut(candidate.id, why),)


def test_the_last_word_of_a_pupil_left_revoked_is_not_discarded_unless_that_is_meant() -> None:
    left = row(1, code=REVOKED)

    (why,) = [one.why for one in plan([left], "discard").left_out]
    assert "no valid record at the target" in why
    assert "--although-revoked" in why
    assert [order.id for order in plan([left], "discard", confirmed={REVOKED}).orders] == [left.id]
    assert [order.id for order in plan([left], "release").orders] == [left.id]


def test_a_record_behind_another_one_may_be_discarded() -> None:
    assert len(plan([row(1, code=BEHIND)], "discard").orders) == 1


def test_a_waiting_record_may_be_released_to_be_looked_up_again() -> None:
    assert len(plan([row(1, state="waiting")], "release").orders) == 1


def test_a_named_record_that_is_not_there_is_told() -> None:
    missing = ParkedId("identity", "", 1, 5)

    made = plan([OPEN], "release", named=[OPEN.id, missing, missing])

    assert [order.id for order in made.orders] == [OPEN.id]
    assert made.left_out == (LeftOut(missing, "no such parked record"),)


@given(
    target=st.one_of(st.just(""), st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)),
    slot=st.integers(0, 47),
    offset=st.integers(0, 2**62),
)
def test_an_id_is_read_back_as_it_prints(target: str, slot: int, offset: int) -> None:
    one = ParkedId("delivery" if target else "identity", target, slot, offset)

    assert parse_id(str(one)) == one


@pytest.mark.parametrize("text", ["", "delivery:sector:3", "identity:x:3", "delivery::1:2", "tower:1:2", "a:b:c:d:e"])
def test_what_is_no_id_is_told_how_one_looks(text: str) -> None:
    with pytest.raises(NotAnId, match="looks like"):
        parse_id(text)
