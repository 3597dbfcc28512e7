"""The demo's parts that decide something: when workers are killed, what does not add up, what the JSON says."""

import json
from collections import Counter

from gateway.record import State
from gateway.sandbox.checker import Verdict
from gateway.sandbox.demo_evidence import LedgerLook
from gateway.sandbox.demo_kills import plan_kills
from gateway.sandbox.demo_report import Reckoning, json_report, never_seen, problems

NOBODY = LedgerLook(states={}, moving={}, identity={"waiting": 2, "review": 1})
ONE_OF_EACH = dict.fromkeys(State, 1)


def reckoning(**changes: object) -> Reckoning:
    verdict = Verdict(produced=8, rejected=1, unified=4, targets={"sector": dict(ONE_OF_EACH)})
    for name, value in changes.items():
        setattr(verdict, name, value)
    return Reckoning(verdict, NOBODY, took_s=4.0)


def test_every_worker_is_killed_once_a_round_while_records_flow() -> None:
    workers = ["intake-1", "identity-1", "tower-1"]
    kills = plan_kills(workers, rounds=3, seed=1)

    assert Counter(kill.worker for kill in kills) == dict.fromkeys(workers, 3)
    for worker in workers:
        shares = [kill.at for kill in kills if kill.worker == worker]
        assert shares == sorted(shares)
        assert 0.1 < shares[0] < shares[-1] < 0.8
    assert kills == plan_kills(list(reversed(workers)), rounds=3, seed=1)
    assert plan_kills(workers, rounds=0, seed=1) == []


def test_a_run_without_any_finding_has_no_problem() -> None:
    assert problems(reckoning(), reckoning()) == []


def test_a_state_that_never_occurred_is_a_problem() -> None:
    without = reckoning(targets={"sector": ONE_OF_EACH | {State.DISCARDED: 0, State.ACCEPTED: 2}})

    assert never_seen(without, without) == [State.DISCARDED]
    assert problems(without, without) == ["no event ever ended discarded"]
    assert never_seen(without, reckoning()) == []


def test_states_that_do_not_add_up_to_what_was_produced_are_a_problem() -> None:
    short = reckoning(produced=9)

    assert problems(reckoning(), short) == ["after the repair: sector: 8 states for 9 produced records"]


def test_the_json_object_has_the_agreed_shape() -> None:
    told = json.loads(json_report(reckoning(), reckoning(lost=1)))
    names = {
        "produced", "rejected", "unified", "targets", "identity", "lost", "duplicate_effects", "unified_duplicates",
        "seconds", "records_per_second",
    }  # fmt: skip

    assert set(told) == names | {"before_repair"}
    assert set(told["before_repair"]) == names
    assert told["lost"] == 1
    assert told["before_repair"]["lost"] == 0
    assert told["targets"]["sector"] == {str(state): 1 for state in State}
    assert told["identity"] == {"confirmed": 4, "waiting": 2, "review": 1, "parked": 0}
    assert told["records_per_second"] == 2.0
