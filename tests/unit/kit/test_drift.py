"""Drift counters: cheap, bounded, told now and then, never a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Problem
from gateway.intake.drift import EVERY_S, MAX_NAMES, Drift, read_report, safe_name, summed, write_report
from gateway.intake.outcome import Items, Rejected


def items(unknown: dict[str, int], *problems: Problem) -> Items:
    return Items((Rejected(0, problems, None, None),) if problems else (), unknown)


def test_counts_are_summed_until_they_are_told_and_then_forgotten() -> None:
    drift = Drift()
    drift.count("c", items({"x": 2}))
    drift.count("c", items({"x": 1, "y": 1}, Problem("DQ-11", "gender"), Problem("DQ-33", "full_name")))

    (report,) = drift.take(0.0)

    assert (report.unknown, report.unseen) == ({"x": 3, "y": 1}, {"DQ-11 gender": 1})
    assert drift.take(EVERY_S) == []


def test_reports_come_at_most_every_so_often_and_lose_nothing_between() -> None:
    drift = Drift()
    drift.count("c", items({"x": 1}))
    assert len(drift.take(100.0)) == 1
    drift.count("c", items({"x": 5}))

    assert drift.take(100.0 + EVERY_S - 0.1) == []
    assert [report.unknown for report in drift.take(100.0 + EVERY_S)] == [{"x": 5}]


def test_a_message_without_drift_leaves_no_report() -> None:
    drift = Drift()
    drift.count("c", items({}, Problem("DQ-33", "full_name")))

    assert drift.take(0.0) == []


def test_rows_beyond_the_official_codes_are_one_place() -> None:
    drift = Drift()
    for row in range(60):
        drift.count("c", items({}, Problem("DQ-30", f"subjects[#{row}].subject_code")))

    assert drift.take(0.0)[0].unseen == {"DQ-30 subjects[#].subject_code": 60}


def test_countless_names_are_bounded() -> None:
    drift = Drift()
    for number in range(10):
        drift.count("c", items({f"{letter}{number}": 1 for letter in "abcdefghijklmnopqrst"}))

    assert len(drift.take(0.0)[0].unknown) == MAX_NAMES


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("ghi_chu", "ghi_chu"),
        ("rows.7999990101.diem", "rows.#.diem"),
        ("student.scores-2.@lang", "student.scores-2.@lang"),
        ("Lớp", "Lớp"),
        ("$.header.lopTruong", "$.header.lopTruong"),
        ("ext:the.:khac.@x:y", "ext:the.:khac.@x:y"),
        ("$", "(other)"),
        ("a\nb\u202ec", "(other)"),
        ("x" * 41, "(other)"),
        (".".join(["x" * 40] * 2), "(other)"),
        ("", "(other)"),
        ("Nguyễn Thị Mẫu", "(other)"),
        ("rows.Nguyễn Thị Mẫu.diem", "(other)"),
        ("a@b.vn", "(other)"),
        ("@", "(other)"),
        ("0912345678", "#"),
    ],
)
def test_a_name_leaves_without_codes_control_letters_and_excess(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.dictionaries(st.text(), st.integers(1, 1000), max_size=100))
def test_every_report_can_be_read_again(unknown: dict[str, int]) -> None:
    drift = Drift()
    drift.count("c", items(unknown))

    for report in drift.take(0.0):
        assert read_report(write_report(report)) == report


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"connector":"c","unknown":{"x":0},"unseen":{}}',
        b'{"connector":"c","unknown":{"x\\u0000":1},"unseen":{}}',
        b'{"connector":"c","unknown":{"' + b"x" * 81 + b'":1},"unseen":{}}',
    ],
)
def test_what_is_no_report_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="drift report"):
        read_report(value)


def test_reports_are_summed_by_connector_kind_and_name() -> None:
    drift = Drift()
    drift.count("c", items({"x": 2}, Problem("DQ-11", "gender")))
    reports = drift.take(0.0) * 2

    assert summed(reports) == {("c", "unknown", "x"): 4, ("c", "unseen", "DQ-11 gender"): 2}
