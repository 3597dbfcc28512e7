"""Machine and shell together in simulated time, with fake Kafka, ledger and targets: I1 to I12, whatever happens."""

import math
from collections.abc import Iterator
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.fakes.delivery_shell import SETTINGS, Mode, Shell
from tests.fakes.identity_school import pupil
from tests.fakes.simulated_loop import SimulatedLoop

MODES: list[Mode] = ["ok", "ok", "down", "busy", "loses", "forgets", "slow"]
IN_HAND = 2 * SETTINGS.window_records
"""The window, and one fetch that was under way when it filled."""


class Owners(RuleBasedStateMachine):
    """What may happen to the owner of a slot and to its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = SimulatedLoop()

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.shell = Shell(self.loop, seed)
        self.loop.run(self._assign())

    async def _assign(self) -> None:
        self.shell.assign()

    @rule(pupils=st.lists(st.integers(0, 7), min_size=1, max_size=12), cancels=st.booleans())
    def publish(self, pupils: list[int], cancels: bool) -> None:
        for number in pupils:
            if self.shell.versions.get(number, 0) < 9:
                self.shell.publish(number, "CANCEL" if cancels and number % 3 == 0 else "UPDATE")

    @rule(seconds=st.sampled_from([0.02, 0.1, 0.5, 2.5]))
    def go_on(self, seconds: float) -> None:
        self.shell.pass_time(seconds)

    @rule(mode=st.sampled_from(MODES), latency_s=st.sampled_from([0.01, 0.1, 0.5]))
    def target(self, mode: Mode, latency_s: float) -> None:
        self.shell.mode, self.shell.latency_s = mode, latency_s

    @rule(pupils=st.sets(st.integers(0, 7), max_size=2))
    def refuse(self, pupils: set[int]) -> None:
        names = {entry.lane: entry.record_id for entry in self.shell.entries}
        self.shell.refused = set(list(names.values())[: len(pupils)])

    @rule(down=st.booleans())
    def ledger(self, down: bool) -> None:
        self.shell.store.down = down

    @rule()
    def lost_write(self) -> None:
        assert self.shell.owner is not None
        self.shell.owner.ledger.loses_answer = True

    @rule(down=st.booleans())
    def kafka(self, down: bool) -> None:
        self.shell.kafka_down = down

    @rule()
    def crash(self) -> None:
        self.shell.crash()

    @rule(mode=st.sampled_from(["busy", "down", "loses"]), seconds=st.sampled_from([0.1, 2.5]))
    def isolate(self, mode: Mode, seconds: float) -> None:
        """The owner has work left when it is cut off from the ledger."""
        shell = self.shell
        shell.mode = mode
        for number in range(8):
            if shell.versions.get(number, 0) < 9:
                shell.publish(number)
        shell.pass_time(0.3)
        shell.isolate()
        shell.pass_time(seconds)

    @precondition(lambda self: not self.shell.store.down and not self.shell.kafka_down)
    @rule()
    def rebalance(self) -> None:
        self.shell.hand_over()

    @precondition(lambda self: self.shell.store.core.rows)
    @rule(data=st.data(), action=st.sampled_from(["release", "discard"]))
    def order(self, data: st.DataObject, action: Literal["release", "discard"]) -> None:
        self.shell.order(data.draw(st.sampled_from(sorted(self.shell.store.core.rows))), action)

    def teardown(self) -> None:
        try:
            if hasattr(self, "shell"):
                self._rest()
        finally:
            self.loop.end()

    def _rest(self) -> None:
        shell = self.shell
        shell.mode, shell.latency_s, shell.refused = "ok", 0.01, set()
        shell.store.down = shell.kafka_down = False
        for number in range(100, 106):  # while others succeed, what keeps failing gives up
            shell.publish(number)
        shell.rest()
        shell.check_rest()
        assert shell.most_in_hand <= IN_HAND, "I11: memory is bounded"


def test_the_invariants_hold_whatever_happens_to_owners_ledger_kafka_and_target() -> None:
    run_state_machine_as_test(
        Owners,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def started(shell: Shell) -> Shell:
    async def assign() -> None:
        shell.assign()

    shell.loop.run(assign())
    return shell


@pytest.fixture
def loop() -> Iterator[SimulatedLoop]:
    made = SimulatedLoop()
    yield made
    made.end()


def test_i5_no_offset_passes_while_the_ledger_is_down(loop: SimulatedLoop) -> None:
    shell = started(Shell(loop, 6, latency_s=0.5))
    for number in range(4):
        shell.publish(number)
    shell.pass_time(0.4)
    shell.store.down = True
    shell.pass_time(3.0)
    assert len(shell.target.effects) == 4
    assert shell.committed == 0
    shell.store.down = False
    shell.rest()

    shell.check_rest()


def test_i8_a_target_that_is_down_does_not_slow_the_other(loop: SimulatedLoop) -> None:
    down, well = started(Shell(loop, 1, mode="down")), started(Shell(loop, 2))
    for number in range(30):
        down.publish(number)
        well.publish(number)
    began = loop.time()
    well.rest(10.0)

    assert loop.time() - began < 5.0
    assert len(well.target.effects) == 30
    assert down.target.effects == []
    assert not down.store.core.rows  # an outage holds


def test_i9_each_kill_repeats_no_more_sends_than_were_in_flight(loop: SimulatedLoop) -> None:
    shell = started(Shell(loop, 3, latency_s=0.1))
    for number in range(60):
        shell.publish(number % 20)
    for _ in range(8):
        shell.pass_time(0.37)
        shell.crash()
    shell.rest()
    shell.check_rest()

    sent = sum(records for _, records in shell.sends)
    window = SETTINGS.concurrency * SETTINGS.batch_records
    assert sent - len(shell.keys) <= 8 * window
    assert len(set(shell.target.effects)) == len(shell.target.effects)


def test_i10_nothing_of_a_pupil_stands_outside_the_payload(loop: SimulatedLoop) -> None:
    shell = started(Shell(loop, 4))
    shell.refused = {shell.publish(0)}
    for number in range(1, 6):
        shell.publish(number)
    shell.rest()
    child = pupil(0, "known")
    outside = repr([(output.key, output.headers, output.value) for output in shell.outputs]) + repr(shell.store.outbox)

    assert shell.store.core.rows
    assert len(shell.outputs) == 6
    assert child.citizen_id not in outside
    assert child.name not in outside


def test_i12_after_an_outage_the_backlog_drains_in_time_and_without_a_storm(loop: SimulatedLoop) -> None:
    shell = started(Shell(loop, 5, mode="down", latency_s=0.1))
    for number in range(200):
        shell.publish(number)
    shell.pass_time(120.0)
    assert len(shell.sends) < 120 / SETTINGS.breaker_open_s, "one probe each time the breaker opens"
    assert not shell.store.core.rows
    shell.mode = "ok"
    before = len(shell.sends)
    began = loop.time()
    shell.rest()
    after = shell.sends[before:]

    rate = SETTINGS.concurrency * SETTINGS.batch_records / shell.latency_s
    probe_s = SETTINGS.backoff.cap_s + SETTINGS.breaker_open_s * 2
    assert loop.time() - began <= 200 / rate * 1.2 + probe_s + 1.0  # the offset and the outbox have timers of their own
    peak = max(sum(start <= at < start + shell.latency_s for at, _ in after) for start, _ in after)
    assert peak <= SETTINGS.concurrency
    assert math.isclose(sum(records for _, records in after), 200, abs_tol=2 * SETTINGS.batch_records)


def test_a_slot_that_is_revoked_while_its_bell_rings_ends(loop: SimulatedLoop) -> None:
    """asyncio.wait_for swallowed the cancellation here, and the rebalance waited for ever."""
    shell = started(Shell(loop, 588, kafka_down=True))
    for number in range(4):
        shell.publish(number)
    assert shell.owner is not None
    shell.owner.ledger.loses_answer = True
    shell.kafka_down = False
    shell.hand_over()
    shell.pass_time(0.02)
    shell.owner.ledger.loses_answer = True
    shell.hand_over()
    shell.rest()

    shell.check_rest()
