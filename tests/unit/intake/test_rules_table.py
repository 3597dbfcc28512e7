"""The table of rules: complete, in step with the catalogue, and in force only where circular and school year say so."""

import re
from datetime import date
from decimal import Decimal

import pytest
from msgspec import structs

from gateway.errors import Problem, Rule, Rulebook, catalogue, compared_with, describe, rulebook
from gateway.intake import rules
from gateway.intake.rules import JUDGES, circular_of, in_force, issue_problems, time_problems
from tests.unit.intake.bodies import findings, primary, secondary, told

NAMED = {f"PR-{n}" for n in range(1, 13)} | {f"SR-{n}" for n in range(1, 13)}


def changed(**of_sr4: int) -> Rulebook:
    """The table with SR-4 changed."""
    book = rulebook()
    rules = [structs.replace(rule, **of_sr4) if rule.rule == "SR-4" else rule for rule in book.rules]
    return Rulebook(circulars=book.circulars, rules=rules)


def test_every_rule_of_the_facts_stands_once_in_the_table() -> None:
    names = [rule.rule for rule in rulebook().rules]

    assert sorted(names) == sorted(NAMED)


@pytest.mark.parametrize("rule", rulebook().rules, ids=lambda rule: str(rule.rule))
def test_a_rule_has_its_code_severity_source_and_titles(rule: Rule) -> None:
    assert rule.severity == catalogue()[rule.code].severity
    assert re.match(r"TT (27/2020|22/2021) art\. \d", rule.source)
    assert rule.title_vi != rule.title_en
    assert rule.compares


def test_an_assessment_rule_only_warns_and_what_no_target_takes_is_rejected() -> None:
    severe = {rule.rule for rule in rulebook().rules if rule.severity == "reject"}

    assert severe == {"PR-10", "PR-12", "SR-11", "SR-12"}


def test_every_circular_of_the_table_has_a_judge() -> None:
    assert {circular.circular for circular in rulebook().circulars} == JUDGES.keys()


@pytest.mark.parametrize(
    ("grade", "year", "circular"),
    [
        ("01", 2019, None), ("01", 2020, "27"), ("04", 2022, None), ("04", 2023, "27"), ("05", 2023, None),
        ("05", 2024, "27"), ("06", 2020, None), ("06", 2021, "22"), ("07", 2021, None), ("10", 2022, "22"),
        ("08", 2022, None), ("11", 2023, "22"), ("09", 2023, None), ("12", 2024, "22"), ("12", 2030, "22"),
        ("13", 2025, None),
    ],
)  # fmt: skip
def test_the_circular_follows_from_grade_and_school_year(grade: str, year: int, circular: str | None) -> None:
    force = circular_of({"grade_code": grade, "school_year": f"{year}-{year + 1}"})

    assert (None if force is None else force.circular) == circular


def test_without_grade_or_year_nothing_is_in_force() -> None:
    assert circular_of({"grade_code": "06"}) is None
    assert circular_of({"school_year": "2025-2026"}) is None


def test_a_rule_sleeps_outside_its_own_school_years() -> None:
    later, ended = changed(since=2026), changed(until=2025)

    for year, dormant in ((2025, {"SR-4"}), (2026, set())):
        force = in_force(later, "08", year)
        assert force is not None
        assert force.dormant == dormant
    for year, dormant in ((2025, set()), (2026, {"SR-4"})):
        force = in_force(ended, "08", year)
        assert force is not None
        assert force.dormant == dormant


def test_a_sleeping_rule_reports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    body = secondary(study_result_year="T", absences_total=Decimal(46))
    awake = told(body)
    monkeypatch.setattr(rules, "rulebook", lambda: changed(since=2026))
    rules._current.cache_clear()  # noqa: SLF001  it holds the real table's answer
    asleep = told(body)
    rules._current.cache_clear()  # noqa: SLF001

    assert (awake, asleep) == (["SR-4:study_result_year", "SR-7:promoted"], ["SR-7:promoted"])


def test_of_two_circulars_the_newer_one_governs() -> None:
    book = rulebook()
    old = next(circular for circular in book.circulars if circular.circular == "22")
    new = type(old)(circular="99", name="TT 99", levels=["03"], since={"08": 2027})
    both = Rulebook(circulars=[new, *book.circulars], rules=book.rules)

    found = [in_force(both, "08", year) for year in (2026, 2027)]

    assert [force.circular for force in found if force is not None] == ["22", "99"]


def test_an_ended_circular_governs_nothing() -> None:
    book = rulebook()
    old = next(circular for circular in book.circulars if circular.circular == "22")
    ended = type(old)(circular="22", name=old.name, levels=old.levels, since=old.since, until={"08": 2026})

    assert in_force(Rulebook(circulars=[ended], rules=book.rules), "08", 2026) is not None
    assert in_force(Rulebook(circulars=[ended], rules=book.rules), "08", 2027) is None


START_MS = 1_751_302_800_000
"""1 July 2025, 00:00 in Vietnam."""
END_MS = 1_788_195_600_000
"""1 September 2026, 00:00 in Vietnam."""
MINUTE_MS, DAY_MS = 60_000, 86_400_000


def test_a_business_time_is_inside_the_school_year() -> None:
    published = END_MS + 30 * DAY_MS
    found = [
        time_problems(occurred, "2025-2026", published) for occurred in (START_MS - 1, START_MS, END_MS - 1, END_MS)
    ]

    assert found == [
        [Problem("DQ-51", "occurred_at")], [], [], [Problem("DQ-51", "occurred_at", "after_year")],
    ]  # fmt: skip
    assert time_problems(0, "0000-0001", START_MS) == [Problem("DQ-51", "occurred_at", "after_year")]
    assert time_problems(START_MS, "9999-0000", START_MS) == [Problem("DQ-51", "occurred_at")]


def test_a_business_time_more_than_five_minutes_ahead_of_its_publication_is_in_the_future() -> None:
    for ahead, found in ((5 * MINUTE_MS, []), (5 * MINUTE_MS + 1, [Problem("DQ-51", "occurred_at")])):
        assert time_problems(START_MS + DAY_MS + ahead, "2025-2026", START_MS + DAY_MS) == found


@pytest.mark.parametrize(
    ("issued", "found"),
    [
        (date(1900, 1, 1), 1),
        (date(2025, 6, 30), 1),  # before the school year
        (date(2025, 7, 1), 0),
        (date(2026, 5, 28), 0),
        (date(2026, 8, 31), 0),  # the day of publication
        (date(2026, 9, 1), 1),
        (date(2099, 1, 1), 1),
    ],
)
def test_a_day_of_issue_lies_between_the_school_year_s_start_and_the_publication(issued: date, found: int) -> None:
    published = END_MS - 1  # 31 August 2026, 23:59:59.999 in Vietnam

    assert issue_problems(issued, "2025-2026", published) == [Problem("DQ-51", "issue_date")] * found


def test_a_record_issued_years_later_is_lawful() -> None:
    assert issue_problems(date(2026, 8, 31), "2021-2022", END_MS) == []


@pytest.mark.parametrize(
    ("birth", "found"),
    [
        ({"birth_date": date(2026, 8, 31)}, []),
        ({"birth_date": date(2026, 9, 1)}, ["DQ-14:birth_date"]),
        ({"birth_year_month": "2026-08"}, []),
        ({"birth_year_month": "2026-09"}, ["DQ-14:birth_year_month"]),
        ({"birth_year": "2026"}, []),
        ({"birth_year": "2027"}, ["DQ-14:birth_year"]),
    ],
)
def test_nobody_is_born_after_the_school_year(birth: dict[str, object], found: list[str]) -> None:
    assert [f"{p.code}:{p.field}" for p in findings(secondary() | birth)] == found


@pytest.mark.parametrize(
    ("level", "grade", "year", "stated", "fits"),
    [
        ("03", "09", 2022, "58", True), ("03", "09", 2022, "22", False), ("03", "09", 2022, "27", False),
        ("03", "09", 2022, "99", False), ("03", "09", 2024, "22", True), ("03", "09", 2024, "58", False),
        ("03", "06", 2021, "58", False), ("03", "06", 2020, "58", True), ("04", "12", 2023, "58", True),
        ("04", "12", 2023, "22", False), ("02", "05", 2023, "22", True), ("02", "05", 2023, "30", True),
        ("02", "05", 2023, "27", False), ("02", "05", 2024, "22", False), ("02", "05", 2015, "22", False),
        ("02", "05", 2015, "30", True), ("03", "09", 2009, "40", True), ("03", "09", 2009, "22", False),
    ],
)  # fmt: skip
def test_the_stated_circular_is_the_one_of_grade_and_year(
    level: str, grade: str, year: int, stated: str, *, fits: bool
) -> None:
    body = {"education_level": level, "grade_code": grade, "circular": stated, "school_year": f"{year}-{year + 1}"}
    made = (primary(grade) if level == "02" else secondary(grade)) | body
    rule = "PR-12" if level == "02" else "SR-11"

    assert (Problem("DQ-49", "circular", rule) not in findings(made)) == fits


def test_after_the_end_of_a_circular_nothing_is_said_of_the_stated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    book = rulebook()
    ended = [structs.replace(circular, until={"08": 2024}) for circular in book.circulars]
    monkeypatch.setattr(rules, "rulebook", lambda: structs.replace(book, circulars=ended))
    for memo in (rules._current, rules._earlier):  # noqa: SLF001  they hold the real table's answers
        memo.cache_clear()
    found = findings(secondary() | {"circular": "30"})
    for memo in (rules._current, rules._earlier):  # noqa: SLF001
        memo.cache_clear()

    assert found == []


@pytest.mark.parametrize(
    ("problem", "others"),
    [
        (Problem("DQ-37", "subjects[15].mark_year", "SR-2"), ("subjects[15].mark_term1", "subjects[15].mark_term2")),
        (Problem("DQ-38", "conduct_result_year", "SR-6"), ("conduct_result_term1", "conduct_result_term2")),
        (Problem("DQ-39", "award_text", "PR-7"), ("overall_result",)),
        (Problem("DQ-36", "quality_honesty", "PR-10"), ("disability_not_assessed",)),
        (Problem("DQ-40", "absences_total"), ("absences_excused", "absences_unexcused")),
        (Problem("DQ-33", "full_name"), ()),
    ],
)
def test_a_disagreement_names_both_fields(problem: Problem, others: tuple[str, ...]) -> None:
    text = describe(problem)

    assert compared_with(problem) == text.compared_with == others
    assert all(name in text.fix_vi and name in text.fix_en for name in others)
    assert (problem.field in text.fix_vi) == bool(others)
