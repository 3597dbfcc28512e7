"""A parked lane is a token until something happens to it; what comes while its rows are read does not overtake them."""

from gateway.delivery.effects import LoadLane, SendBatch, Write
from gateway.delivery.events import LaneLoaded, Ordered, Started
from gateway.delivery.values import BEHIND, Known, ParkedRow, Reason
from gateway.outcomes import Accepted, Refused
from gateway.record import Op, State
from tests.unit.delivery.test_delivery_rules import Bench, entry

LANE = ord("a")
ROWS = [
    ParkedRow(entry(0, "a1"), Reason("TG-02", "MAU-L07"), 1, "no"),
    ParkedRow(entry(1, "a2"), Reason(BEHIND), 1, "no"),
]


def parked() -> Bench:
    """A new owner of a slot with one parked lane: a1 refused, a2 behind it."""
    bench = Bench(Started(horizon=10, parked=[LANE]))
    bench.position = 10
    return bench


def loads(bench: Bench) -> int:
    return sum(isinstance(effect, LoadLane) for effect in bench.effects)


def orders(bench: Bench) -> list[tuple[int, bool, str]]:
    writes = [effect for effect in bench.effects if isinstance(effect, Write)]
    return [(order.order, order.done, order.outcome) for write in writes for order in write.orders]


def test_a_parked_lane_is_read_once_whatever_comes_meanwhile() -> None:
    bench = parked()
    bench.receive(entry(10, "a3"))
    bench.hear(Ordered(1, LANE, 0, "release"))
    bench.receive(entry(11, "a4"))

    assert loads(bench) == 1
    assert bench.sent() == []  # nothing overtakes what is being read


def test_an_order_that_came_while_the_rows_were_read_is_obeyed_before_what_arrived() -> None:
    bench = parked()
    bench.receive(entry(10, "a3"))
    bench.hear(Ordered(1, LANE, 0, "release"))
    bench.hear(LaneLoaded(LANE, ROWS, {}))
    for _ in range(3):
        bench.answer({})

    assert orders(bench) == [(1, True, "released")]
    assert [name for name, _, _ in bench.sent()] == ["a1", "a2", "a3"]


def test_a_newer_version_that_comes_while_the_released_one_is_on_its_way_follows_it() -> None:
    bench = parked()
    bench.hear(Ordered(1, LANE, 0, "release"))
    bench.hear(LaneLoaded(LANE, ROWS[:1], {}))
    bench.receive(entry(10, "a1", 2))
    flying = [effect for effect in bench.effects if isinstance(effect, SendBatch)]
    assert len(flying) == 1  # one in flight a pupil, also while its lane drains
    bench.answer({"a1": Accepted()})
    bench.answer({"a1": Accepted()})

    assert bench.sent() == [("a1", 1, Op.NEW), ("a1", 2, Op.UPDATE)]


def test_a_lane_that_is_refused_again_rests_with_what_arrived_behind_it() -> None:
    bench = parked()
    bench.hear(Ordered(1, LANE, 0, "release"))
    bench.hear(LaneLoaded(LANE, ROWS[:1], {}))
    bench.receive(entry(10, "a2"))
    bench.answer({"a1": Refused("MAU-L07", "school")})

    assert [(name, code) for name, _, code in bench.parked()] == [("a1", "TG-02"), ("a2", "GW-03")]
    assert "parked=1" in repr(bench.machine)
    assert bench.committed() == 11


def test_rows_at_or_below_what_is_settled_are_closed_when_they_are_read() -> None:
    bench = parked()
    bench.receive(entry(10, "a3"))
    bench.hear(LaneLoaded(LANE, ROWS, {"a1": Known(frozenset({2}), 2, Op.NEW)}))

    assert bench.settled()[("a1", 1)] is State.SUPERSEDED
    assert bench.sent()[0][0] == "a2"


def test_an_order_for_a_lane_that_is_not_parked_here_is_void() -> None:
    bench = parked()
    bench.hear(Ordered(7, LANE + 1, 0, "release"))

    assert orders(bench) == [(7, False, "nothing is parked there")]
    assert loads(bench) == 0
