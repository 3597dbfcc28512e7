"""Differences of dry-run results: field by field, rows by their code, records by their source."""

from typing import Any

from gateway.intake.compare import ABSENT, Change, changes


def result(source: str = "a#0", outcome: str = "accepted", **body: Any) -> dict[str, Any]:
    return {"source": source, "outcome": outcome, "record": {"body": body}, "problems": []}


def test_equal_results_have_no_changes() -> None:
    assert changes([result(full_name="Mẫu")], [result(full_name="Mẫu")]) == []


def test_a_changed_field_is_named_by_its_path() -> None:
    (change,) = changes([result(full_name="Mẫu A")], [result(full_name="Mẫu B")])

    assert change == Change("a#0", "record.body.full_name", "Mẫu A", "Mẫu B")
    assert str(change) == 'a#0  record.body.full_name: "Mẫu A" → "Mẫu B"'


def test_a_field_of_one_side_only_is_absent_on_the_other() -> None:
    (change,) = changes([result(x=1)], [result(x=1, y=None)])

    assert (change.before, change.after) == (ABSENT, None)
    assert change.as_json() == {"source": "a#0", "path": "record.body.y", "after": None}


def test_rows_are_put_side_by_side_by_their_subject_code() -> None:
    rows = [{"subject_code": "15", "mark": "7.0"}, {"subject_code": "19", "mark": "8.0"}]
    moved = [{"subject_code": "19", "mark": "8.0"}, {"subject_code": "15", "mark": "7.5"}]

    found = changes([result(subjects=rows)], [result(subjects=moved)])

    assert [change.path for change in found] == ["record.body.subjects[15].mark"]


def test_a_repeated_subject_code_hides_no_difference() -> None:
    before = [{"subject_code": "15", "mark": "1"}, {"subject_code": "15", "mark": "2"}]
    after = [{"subject_code": "15", "mark": "9"}, {"subject_code": "15", "mark": "2"}]

    assert [change.path for change in changes([result(s=before)], [result(s=after)])] == ["record.body.s[15].mark"]


def test_a_finding_that_came_is_named_by_code_field_and_rule() -> None:
    problem = {"code": "DQ-39", "field": "award_text", "rule": "SR-9", "severity": "warn"}

    (change,) = changes([result()], [result() | {"problems": [problem]}])

    assert (change.path, change.after) == ("problems[DQ-39 award_text SR-9]", "warn")


def test_a_record_of_one_side_only_is_one_change() -> None:
    (change,) = changes([result("a#0"), result("a#1", "rejected")], [result("a#0")])

    assert (change.source, change.path, change.before, change.after) == ("a#1", "outcome", "rejected", ABSENT)
