"""Reasons: one catalogue, no code twice, and what a receipt says of a problem."""

from pathlib import Path

import pytest

from gateway import errors
from gateway.errors import Problem, catalogue, describe, receipt_problem


def test_a_code_that_stands_twice_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(errors.__file__).with_name("catalogue.yaml").read_text(encoding="utf-8")
    for name in ("catalogue.yaml", "catalogue_more.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "errors.py"))

    with pytest.raises(ValueError, match="GW-01 stands twice"):
        catalogue.__wrapped__()


def test_a_receipt_carries_the_texts_and_both_field_names() -> None:
    told = receipt_problem(Problem("DQ-38", "conduct_result_year", "SR-6"))

    assert told == {
        "code": "DQ-38",
        "field": "conduct_result_year",
        "severity": "warn",
        "owner": "school",
        "fix_vi": describe(Problem("DQ-38", "conduct_result_year", "SR-6")).fix_vi,
        "fix_en": describe(Problem("DQ-38", "conduct_result_year", "SR-6")).fix_en,
        "rule": "SR-6",
    }
    assert "conduct_result_term2" in told["fix_en"]


def test_a_connectors_own_severity_stands_in_its_receipts() -> None:
    assert receipt_problem(Problem("DQ-32", "subjects[32]"), "reject")["severity"] == "reject"
    assert receipt_problem(Problem("DQ-32", "subjects[32]"))["severity"] == "warn"


def test_an_unknown_code_is_a_bug() -> None:
    with pytest.raises(KeyError):
        describe(Problem("DQ-99"))
