"""Each case of each connector gives what its golden file says, and the samples what their README expects."""

from pathlib import Path

import pytest

from gateway.intake.dry_run import dry_run
from gateway.ops.connector_commands import CASE_TIME_MS, case_difference, case_inputs
from tests.unit.intake.loaded import CONNECTORS, connectors

CASES = [(name, file) for name in connectors() for file in case_inputs(CONNECTORS / name / "cases")]

Finding = tuple[str, set[str]]


@pytest.mark.parametrize(("name", "file"), CASES, ids=[f"{name}/{file.name}" for name, file in CASES])
def test_the_case_is_as_expected(name: str, file: Path) -> None:
    assert case_difference(connectors()[name], file) == ""


def results(name: str, file: str) -> list[Finding]:
    value = (CONNECTORS / name / "cases" / file).read_bytes()
    found = dry_run(connectors()[name], file, value, CASE_TIME_MS)
    return [(result["outcome"], {problem["code"] for problem in result["problems"]}) for result in found]


def test_the_completed_rows_of_the_flat_sample_end_as_its_readme_says() -> None:
    assert results("vnedu_flat_thcs", "02-sample-completed.input.json") == [
        ("accepted", set()),
        ("parked", {"DQ-19", "DQ-39"}),
        ("rejected", {"DQ-08", "DQ-18", "DQ-04"}),
        ("parked", {"DQ-24", "DQ-21"}),
        ("accepted_with_warning", {"DQ-32"}),
    ]


def test_the_completed_signed_sample_is_accepted_with_the_old_district_noted() -> None:
    assert results("hocba_xml_primary", "02-sample-completed.input.xml") == [("accepted_with_warning", {"DQ-29"})]


def test_the_truncated_sample_is_rejected() -> None:
    assert results("vnedu_flat_thcs", "03-cut-in-the-middle.input.json") == [("rejected", {"DQ-45"})]


def test_the_abridged_samples_lack_mandatory_fields() -> None:
    abridged = results("vnedu_flat_thcs", "01-sample-as-given.input.json")
    abridged += results("hocba_xml_primary", "01-sample-as-given.input.xml")

    assert all(outcome == "rejected" and "DQ-33" in codes for outcome, codes in abridged)
