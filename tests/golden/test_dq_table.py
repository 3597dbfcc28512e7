"""Every data-quality problem of the facts has its handling and a case or test that provokes it; what has none is named.

The table is `dq_table.yaml`.  Problems that intake reports must stand in some connector's golden results, with each
severity that the facts ask for; those it normalises silently, in the named input files.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from gateway.errors import catalogue
from tests.golden.texts import text_of
from tests.unit.intake.loaded import CONNECTORS

Handling = Literal["normalise", "warn", "reject", "park", "ignore"]

NORMALISED_ONLY = {"normalise", "ignore"}


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the table."""

    id: str
    stage: Literal["intake", "identity", "delivery"]
    handling: list[Handling]
    code: str = ""
    found: Literal["code", "case", ""] = ""
    cases: list[str] = []
    tests: list[str] = []


def table() -> list[Line]:
    return msgspec.yaml.decode((Path(__file__).parent / "dq_table.yaml").read_bytes(), type=list[Line])


@cache
def reported() -> dict[str, set[str]]:
    """Code → the severities it is reported with in the cases of all connectors."""
    found: dict[str, set[str]] = {}
    for file in CONNECTORS.glob("*/cases/*.expected.json"):
        results: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        for problem in (problem for result in results for problem in result["problems"]):
            found.setdefault(problem["code"], set()).add(problem["severity"])
    return found


def test_the_table_has_every_row_of_the_catalogue_of_problems() -> None:
    assert [line.id for line in table()] == [f"DQ-{number:02d}" for number in range(1, 53)]


@pytest.mark.parametrize("line", [line for line in table() if line.found == "code"], ids=lambda line: str(line.id))
def test_a_reported_problem_stands_in_the_results_of_a_case(line: Line) -> None:
    missing = set(line.handling) - NORMALISED_ONLY - reported().get(line.id, set())
    shown = [test for test in line.tests if line.id in text_of(test)]

    assert shown or line.id in reported(), f"no connector has a case that reports {line.id}"
    assert shown or not missing, f"no case reports {line.id} as {', '.join(missing)}"


@pytest.mark.parametrize("line", [line for line in table() if line.found != "code"], ids=lambda line: str(line.id))
def test_a_silent_problem_has_cases_or_tests_that_hold_it(line: Line) -> None:
    missing = [case for case in line.cases if not list(CONNECTORS.glob("/cases/".join(case.split("/")) + "-*.input.*"))]

    assert line.cases or line.tests
    assert missing == []


@pytest.mark.parametrize("line", [line for line in table() if line.tests], ids=lambda line: str(line.id))
def test_a_named_test_exists(line: Line) -> None:
    missing = [test for test in line.tests if not text_of(test)]

    assert missing == []


def test_a_problem_is_reported_under_a_code_of_the_catalogue() -> None:
    assert [line.id for line in table() if (line.code or line.id) not in catalogue()] == []
