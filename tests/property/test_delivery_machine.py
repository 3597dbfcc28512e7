"""The delivery machine under faults, crashes and orders in simulated time: I1 to I5 and I7 hold whatever happens."""

from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from gateway.delivery.retry import Backoff
from gateway.delivery.values import Settings
from gateway.record import Op
from tests.fakes.delivery_world import Faults, Fence, World

QUICK = [Phase.explicit, Phase.reuse, Phase.generate]
"""Shrinking such runs takes minutes and is done by hand when needed."""
OPS = st.sampled_from([Op.NEW, Op.UPDATE, Op.CANCEL])
LOSSES = st.sampled_from([None, Faults(lost_answer=1.0), Faults(missing=1.0)])
PROBABLE = st.sampled_from([0.0, 0.0, 0.1, 0.4])


def small(*, packets: bool, two_steps: bool = False) -> Settings:
    """Limits so small that every one of them is met."""
    return Settings(
        Backoff(0.1, 2.0),
        packets=packets,
        batch_records=4,
        batch_bytes=350,
        concurrency=2,
        window_records=12,
        window_bytes=5_000,
        breaker_failures=2,
        breaker_open_s=0.5,
        most_attempts=3,
        horizon_ahead=6,
        packets_in_flight=3,
        give_up_s=20.0,
        two_steps=two_steps,
    )


class Deliveries(RuleBasedStateMachine):
    """What vendors, targets, people and machines may do to a slot."""

    packets = False
    two_steps = False

    @initialize(fence=st.sampled_from(["both", "key", "version", "neither"]), seed=st.integers(0, 2**32))
    def begin(self, fence: Fence, seed: int) -> None:
        # a portal's packets have keys of their own: only the version tells that a record came twice
        self.world = World(
            small(packets=self.packets, two_steps=self.two_steps), "version" if self.packets else fence, seed
        )

    @rule(
        pupil=st.integers(0, 5),
        year=st.integers(2024, 2025),
        ops=st.lists(OPS, min_size=1, max_size=6),
    )
    def publish(self, pupil: int, year: int, ops: list[Op]) -> None:
        for op in ops:
            self.world.publish(pupil, year, op)

    @rule(pupils=st.lists(st.integers(0, 40), min_size=5, max_size=25))
    def publish_many(self, pupils: list[int]) -> None:
        for pupil in pupils:
            self.world.publish(pupil, 2024, Op.NEW)

    @rule(steps=st.integers(1, 60))
    def go_on(self, steps: int) -> None:
        for _ in range(steps):
            self.world.step()

    @rule(
        faults=st.builds(
            Faults,
            unavailable=PROBABLE,
            lost_answer=PROBABLE,
            lost_request=PROBABLE,
            missing=PROBABLE,
            retry=PROBABLE,
            pending=PROBABLE,
            most_records=st.sampled_from([1000, 3, 1]),
            most_in_time=st.sampled_from([1000, 1000, 2, 1]),
            stuck=PROBABLE,
        )
    )
    def faulty(self, faults: Faults) -> None:
        self.world.target.faults = faults
        self.world.target.refuses_all = False

    @precondition(lambda self: self.world.log)
    @rule(data=st.data(), steps=st.integers(0, 8), losing=LOSSES, crashing=st.booleans(), op=OPS)
    def correct_in_flight(self, data: st.DataObject, steps: int, losing: Faults | None, crashing: bool, op: Op) -> None:
        """A newer version comes while the older one is on its way; its answer, or its owner, is lost."""
        world = self.world
        if losing is not None:
            world.target.faults = losing
            world.target.refuses_all = False
        entry = data.draw(st.sampled_from(world.log[-6:]))
        world.publish(entry.lane, entry.school_year, Op.UPDATE)
        for _ in range(steps):
            world.step()
        if crashing:
            world.crash()
        world.publish(entry.lane, entry.school_year, op)

    @rule()
    def outage(self) -> None:
        self.world.target.faults = Faults(down=True)

    @precondition(lambda self: self.world.log)
    @rule(data=st.data(), what=st.sampled_from(["refused", "failing", "poison"]))
    def bad_record(self, data: st.DataObject, what: str) -> None:
        entry = data.draw(st.sampled_from(self.world.log[-10:]))
        version = (entry.record_id, entry.version)
        if version not in self.world.target.keys:
            getattr(self.world.target, what).add(version)

    @rule()
    def wrong_contract(self) -> None:
        self.world.target.refuses_all = True

    @rule()
    def mended(self) -> None:
        target = self.world.target
        target.refuses_all = False
        target.refused, target.failing, target.poison = set(), set(), set()

    @precondition(lambda self: self.world.ledger.rows)
    @rule(data=st.data(), action=st.sampled_from(["release", "discard"]))
    def order(self, data: st.DataObject, action: Literal["release", "discard"]) -> None:
        self.world.order(data.draw(st.sampled_from(sorted(self.world.ledger.rows))), action)

    @precondition(lambda self: self.world.ledger.rows)
    @rule(data=st.data(), steps=st.integers(0, 20))
    def another_record_of_a_parked_pupil(self, data: st.DataObject, steps: int) -> None:
        row = data.draw(st.sampled_from(sorted(self.world.ledger.rows)))
        entry = self.world.log[row]
        self.world.publish(entry.lane, 4049 - entry.school_year, Op.NEW)
        for _ in range(steps):
            self.world.step()

    @precondition(lambda self: self.world.log)
    @rule(data=st.data())
    def order_of_a_stranger(self, data: st.DataObject) -> None:
        self.world.order(data.draw(st.sampled_from(self.world.log)).offset, "release")

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @rule()
    def rebalance(self) -> None:
        self.world.target.faults = Faults()
        self.world.hand_over()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.target.faults = Faults()
        world.target.refuses_all = False
        world.rest()
        world.check_rest()
        # the culprits are mended and everything parked is released: nothing may stay
        self.mended()
        for _ in range(200):
            if not world.ledger.rows:
                break
            for offset in sorted(world.ledger.rows):
                world.order(offset, "release")
            world.rest()
        assert not world.ledger.rows
        world.check_rest()


class PacketDeliveries(Deliveries):
    """The same through packets."""

    packets = True


class TwoStepDeliveries(PacketDeliveries):
    """The same at a portal that knows only create and revoke."""

    two_steps = True


@pytest.mark.parametrize("kind", [Deliveries, PacketDeliveries, TwoStepDeliveries])
def test_no_record_is_lost_doubled_or_overtaken_whatever_happens(kind: type[Deliveries]) -> None:
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=100,
            stateful_step_count=30,
            deadline=None,
            phases=QUICK,
            suppress_health_check=list(HealthCheck),
        ),
    )
