"""The tests find what they are there for: each seeded fault makes the test named beside it fail."""

import gc
import importlib
import inspect
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.fakes.simulated_loop import SimulatedLoop
from tests.property.mutations import MUTATIONS, Mutation, in_force

EXAMPLES = 1_200
"""So many runs find a fault at the latest; most are found in the first few."""


def finder(where: str) -> Callable[[], None]:
    """The test named *where*, to be called."""
    module, _, name = where.partition(":")
    found = getattr(importlib.import_module(f"tests.{module}"), name)
    if not (inspect.isclass(found) and issubclass(found, RuleBasedStateMachine)):
        return _filled(found)
    runs = settings(
        max_examples=EXAMPLES,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    return lambda: run_state_machine_as_test(found, settings=runs)


def _filled(test: Callable[..., None]) -> Callable[[], None]:
    """The test with each value of its parameter, where it has one."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    if "loop" in inspect.signature(test).parameters:
        return lambda: _in_simulated_time(test)
    given = [{marks[0].args[0]: value} for value in marks[0].args[1]] if marks else [{}]

    def all_of_it() -> None:
        for values in given:
            test(**values)

    return all_of_it


def _in_simulated_time(test: Callable[..., None]) -> None:
    loop = SimulatedLoop()
    try:
        test(loop)
    finally:
        loop.end()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_seeded_fault_is_found(mutation: Mutation) -> None:
    # Tasks that a fault before this one left behind log their errors when they are collected, and traceback parses for
    # that; inside of Hypothesis' own parsing CPython 3.11 then raises SystemError (gh-106905).
    gc.collect()
    with in_force(mutation), pytest.raises((AssertionError, LookupError, StopIteration)):
        finder(mutation.found_by)()


def test_without_a_fault_the_named_tests_pass() -> None:
    for where in sorted({mutation.found_by for mutation in MUTATIONS if ":test_" in mutation.found_by}):
        finder(where)()
