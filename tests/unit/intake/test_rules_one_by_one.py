"""Each rule of the facts by itself: a record it is content with, one it is not, and the values on the edge."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import Problem, describe, rulebook
from gateway.intake.rules_options import COUNT_OPTIONAL
from gateway.intake.rules_primary import LATER
from tests.unit.intake.bodies import STUDY, Body, findings, primary, secondary, told, with_marks, with_subject

TESTED_4 = ("01", "02", "05", "11", "12", "13", "87")


def all_marks(mark: str, body: Body) -> Body:
    for code in TESTED_4:
        with_subject(body, code, periodic_test_mark=mark)
    return body


def study(level: str) -> dict[str, str]:
    return dict.fromkeys(STUDY, level)


SIX = ("s15", "s19", "s05", "s66", "s27", "s32")


def high(mark: str, count: int = 6) -> dict[str, str]:
    return dict.fromkeys(SIX[:count], mark)


CONTENT: list[tuple[str, Body]] = [
    ("PR-1", primary()),
    ("PR-1", all_marks("9", primary())),
    ("PR-2", all_marks("8", primary(overall_result="HTT"))),
    ("PR-2", all_marks("7", primary(overall_result="HTT"))),
    ("PR-3", all_marks("6", primary(overall_result="HT"))),
    ("PR-3", all_marks("5", primary(overall_result="HT", quality_honesty="Đ"))),
    ("PR-3", with_subject(primary(overall_result="HT"), "03", achievement_level="H")),
    ("PR-4", with_subject(primary(overall_result="CHT", grade_programme_completed=False), "03", achievement_level="C")
     | {"promoted": False}),
    ("PR-5", all_marks("4", primary(overall_result="CHT")) | {"completion_text": "Đánh giá lại trong hè"}),
    ("PR-6", primary("05")),
    ("PR-6", primary("05") | {"promoted": False}),
    ("PR-7", primary() | {"award_text": "Học sinh Xuất sắc"}),
    ("PR-7", all_marks("7", primary(overall_result="HTT")) | {"award_text": "Học sinh Tiêu biểu"}),
    ("PR-7", all_marks("5", primary(overall_result="HT")) | {"award_text": "Khen thưởng đột xuất"}),
    ("PR-8", with_subject(primary(), "03", periodic_test_mark=None)),
    ("PR-9", with_subject(primary(), "01", achievement_level="M", periodic_test_mark="M")),
    ("PR-9", with_subject(primary(), "01", achievement_level="M", periodic_test_mark=None)),
    ("PR-9", with_subject(primary(), "03", achievement_level="M", periodic_test_mark="M")),
    ("PR-10", primary(overall_result=None, quality_honesty=None) | {"disability_not_assessed": True}),
    ("PR-11", primary("02")),
    ("PR-11", primary("03", **dict.fromkeys(LATER, "T"))),
    ("PR-12", primary()),
    ("SR-2", with_subject(secondary(), "15", mark_term1="7.1", mark_term2="7.0", mark_year="7.0")),
    ("SR-3", with_subject(secondary(study_result_term1="Đ"), "88", mark_term1="CĐ")),
    ("SR-4", with_marks(secondary(mark="6.5", **study("T")), **high("8.0"))),
    ("SR-4", with_marks(secondary(mark="5.0", **study("K")), **high("6.5"))),
    ("SR-4", with_marks(secondary(mark="3.5", **study("Đ")), **high("5.0"))),
    ("SR-4", with_marks(secondary(mark="3.4", **study("CĐ")), **high("5.0")) | {"promoted": False}),
    ("SR-5", with_marks(secondary(mark="9.0", **study("K")), s15="4.9")),
    ("SR-5", with_marks(secondary(mark="9.0", **study("Đ")), s15="4.9")),
    ("SR-6", secondary(conduct_result_term1="Đ", conduct_result_term2="T", conduct_result_year="K")),
    ("SR-7", secondary(absences_total=Decimal(45))),
    ("SR-7", with_marks(secondary(mark="3.4", **study("CĐ")), **high("5.0")) | {"promoted": False}),
    ("SR-8", with_subject(with_marks(secondary(**study("Đ")), s15="4.9"), "15", mark_retest="6.0")),
    ("SR-8", with_subject(with_marks(secondary(mark="5.0", **study("CĐ"), study_result_after_retest="Đ"), s15="3.0"),
                          "15", mark_retest="5.0")),
    ("SR-8", with_subject(with_marks(secondary(mark="5.0", **study("CĐ")), s15="3.0"), "15", mark_retest="3.5")),
    ("SR-8", secondary(conduct_result_term2="CĐ", conduct_result_year="CĐ", conduct_result_after_summer="Đ")),
    ("SR-9", with_marks(secondary(mark="8.0", **study("T")), **high("9.0")) | {"award_text": "Học sinh Xuất sắc"}),
    ("SR-9", secondary(mark="8.0", **study("T")) | {"award_text": "Học sinh Giỏi"}),
    ("SR-9", secondary() | {"award_text": "Giải Ba kì thi học sinh giỏi cấp tỉnh môn Toán"}),
    ("SR-10", with_marks(secondary(), s88="M")),
    ("SR-11", secondary("10")),
    ("SR-11", secondary("09")),
    ("SR-12", secondary(study_result_year=None, study_result_term1=None) | {"disability_not_assessed": True}),
]  # fmt: skip

AGAINST: list[tuple[str, Body, str]] = [
    ("PR-1", all_marks("8", primary()), "overall_result"),
    ("PR-1", primary(quality_honesty="Đ"), "overall_result"),
    ("PR-1", primary(competency_informatics="Đ"), "overall_result"),
    ("PR-2", all_marks("6", primary(overall_result="HTT")), "overall_result"),
    ("PR-2", primary(overall_result="HTT"), "overall_result"),
    ("PR-3", all_marks("4", primary(overall_result="HT")), "overall_result"),
    ("PR-3", primary(overall_result="HT", quality_honesty="C"), "overall_result"),
    ("PR-4", primary(overall_result="CHT", grade_programme_completed=False) | {"promoted": False}, "overall_result"),
    ("PR-5", primary(grade_programme_completed=False) | {"promoted": False}, "grade_programme_completed"),
    ("PR-5", all_marks("4", primary(overall_result="CHT")), "completion_text"),
    ("PR-6", primary() | {"promoted": False}, "promoted"),
    ("PR-6", primary(primary_programme_completed=True), "primary_programme_completed"),
    ("PR-7", all_marks("7", primary(overall_result="HTT")) | {"award_text": "HỌC SINH XUẤT SẮC"}, "award_text"),
    ("PR-7", all_marks("5", primary(overall_result="HT")) | {"award_text": "Học sinh tiêu biểu"}, "award_text"),
    ("PR-8", with_subject(primary(), "03", periodic_test_mark="9"), "subjects[03].periodic_test_mark"),
    ("PR-9", with_subject(primary(), "01", achievement_level="M"), "subjects[01].periodic_test_mark"),
    ("PR-9", with_subject(primary(), "01", periodic_test_mark="M"), "subjects[01].periodic_test_mark"),
    ("PR-10", primary(overall_result=None), "overall_result"),
    ("PR-10", with_subject(primary(), "03", achievement_level=None), "subjects[03].achievement_level"),
    ("PR-11", primary("02", competency_technology="T"), "competency_technology"),
    ("PR-12", primary() | {"circular": "22"}, "circular"),
    ("PR-12", primary() | {"grade_code": "06"}, "grade_code"),
    ("SR-2", with_subject(secondary(), "15", mark_year="7.1"), "subjects[15].mark_year"),
    ("SR-3", with_subject(secondary(**study("Đ")), "88", mark_term2="CĐ"),
     "subjects[88].mark_year"),
    ("SR-4", with_marks(secondary(mark="6.5", **study("T")), **high("8.0", 5)), STUDY[0]),
    ("SR-4", with_marks(secondary(mark="6.4", **study("T")), **high("8.0")), STUDY[2]),
    ("SR-4", with_marks(secondary(mark="4.9", **study("K")), **high("6.5")), STUDY[0]),
    ("SR-4", with_marks(secondary(mark="3.4", **study("Đ")), **high("5.0")), STUDY[1]),
    ("SR-4", with_marks(secondary(mark="9.0", **study("T")), s15="4.9"), STUDY[0]),
    ("SR-6", secondary(conduct_result_term1="CĐ", conduct_result_term2="K"), "conduct_result_year"),
    ("SR-7", secondary(absences_total=Decimal(46)), "promoted"),
    ("SR-7", with_marks(secondary(mark="3.4", **study("CĐ")), **high("5.0")), "promoted"),
    ("SR-7", secondary(conduct_result_term2="CĐ", conduct_result_year="CĐ"), "promoted"),
    ("SR-7", with_subject(with_marks(secondary(mark="5.0", **study("CĐ")), s15="3.0"), "15", mark_retest="3.4"),
     "promoted"),
    ("SR-8", with_subject(with_marks(secondary(), s15="5.0"), "15", mark_retest="6.0"), "subjects[15].mark_retest"),
    ("SR-8", with_subject(secondary(), "88", mark_retest="Đ"), "subjects[88].mark_retest"),
    ("SR-8", secondary(study_result_after_retest="K"), "study_result_after_retest"),
    ("SR-8", with_subject(with_marks(secondary(mark="5.0", **study("CĐ"), study_result_after_retest="K"), s15="3.0"),
                          "15", mark_retest="5.0"), "study_result_after_retest"),
    ("SR-8", secondary(conduct_result_after_summer="Đ"), "conduct_result_after_summer"),
    ("SR-9", with_marks(secondary(mark="8.0", **study("T")), **high("9.0", 5)) | {"award_text": "Học sinh Xuất sắc"},
     "award_text"),
    ("SR-9", secondary() | {"award_text": "Học sinh Giỏi"}, "award_text"),
    ("SR-10", with_subject(secondary(), "88", mark_term1="M"), "subjects[88].mark_year"),
    ("SR-11", secondary() | {"grade_code": "10"}, "grade_code"),
    ("SR-11", secondary() | {"circular": "58"}, "circular"),
    ("SR-12", secondary(study_result_year=None), "study_result_year"),
    ("SR-12", secondary(conduct_result_year=None), "conduct_result_year"),
    ("SR-12", secondary(conduct_result_term1=None) | {"disability_not_assessed": True}, "conduct_result_term1"),
    ("SR-12", secondary(conduct_result_year=None) | {"disability_not_assessed": True}, "conduct_result_year"),
]  # fmt: skip

COMPONENTS = {
    "regular_1_term1": "7.0", "regular_2_term1": "7.0", "regular_3_term1": "7.0",
    "midterm_term1": "7.0", "final_term1": "7.0",
}  # fmt: skip


@pytest.mark.parametrize(("rule", "body"), CONTENT, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(CONTENT)])
def test_a_rule_is_content_with_a_record_that_follows_it(rule: str, body: Body) -> None:
    assert told(body) == []


@pytest.mark.parametrize(
    ("rule", "body", "field"), AGAINST, ids=[f"{rule}-{n}" for n, (rule, _, _) in enumerate(AGAINST)]
)
def test_a_record_against_a_rule_is_found_with_code_and_field(rule: str, body: Body, field: str) -> None:
    found = [problem for problem in findings(body) if problem.rule == rule]

    assert field in [problem.field for problem in found]
    assert {problem.code for problem in found} == {entry.code for entry in rulebook().rules if entry.rule == rule}


def test_every_rule_has_a_record_against_it() -> None:
    """SR-1 has its own tests below; SR-5 is what makes SR-4 accept a second level, so nothing is reported by it."""
    assert {rule for rule, _, _ in AGAINST} | {"SR-1", "SR-5"} == {rule.rule for rule in rulebook().rules}


@pytest.mark.parametrize(
    ("changes", "mark", "found"),
    [
        ({}, "7.0", []),
        ({}, "7.1", ["SR-1:subjects[15].mark_term1"]),
        ({"final_term1": "8.0"}, "7.4", []),  # 59 : 8 = 7.375
        ({"regular_3_term1": None}, "7.0", []),
        ({"regular_3_term1": None, "regular_2_term1": None}, "9.9", []),  # one mark: not checkable
        ({"midterm_term1": None}, "9.9", []),
        ({"midterm_term1": "M"}, "9.9", []),
        ({"periods_a_year": Decimal(35)}, "7.0", ["SR-1:subjects[15].regular_1_term1"]),
        ({"periods_a_year": Decimal(36)}, "7.0", []),
        ({"periods_a_year": Decimal(70)}, "7.0", []),
        ({"periods_a_year": Decimal(71)}, "7.0", ["SR-1:subjects[15].regular_1_term1"]),
        ({"periods_a_year": Decimal(71), "regular_4_term1": "7.0"}, "7.0", []),
    ],
)
def test_a_term_mark_is_compared_with_the_marks_it_is_made_of(
    changes: dict[str, Any], mark: str, found: list[str]
) -> None:
    body = with_subject(secondary(), "15", mark_term1=mark, mark_year=None)
    told_now = told(body, {"components": {"15": COMPONENTS | changes}})

    assert [one for one in told_now if one.startswith("SR-1:")] == found


def test_component_marks_of_a_subject_without_a_row_say_nothing() -> None:
    assert told(secondary(), {"components": {"31": COMPONENTS}}) == []


def test_optional_subjects_count_only_where_the_connector_says_so() -> None:
    body = with_marks(secondary(), s31="3.0")

    assert told(body) == []
    assert told(body, options=COUNT_OPTIONAL) == [f"SR-4:{field}" for field in STUDY]


def test_an_optional_subject_may_be_the_sixth_of_an_award() -> None:
    body = with_marks(secondary(mark="8.0", **study("T")), **high("9.0", 5), s14="9.0")
    body["award_text"] = "Học sinh Xuất sắc"

    assert told(body) == ["SR-9:award_text"]
    assert told(body, options=COUNT_OPTIONAL) == []


@pytest.mark.parametrize("missing", ["32", "88"])
def test_a_level_with_a_missing_subject_is_judged_only_where_no_mark_could_save_it(missing: str) -> None:
    low = with_marks(secondary(mark="5.0", **study("Đ")), s15="3.4")
    low["results"]["subjects"] = [row for row in low["results"]["subjects"] if row["subject_code"] != missing]

    assert told(low) == [f"not_computable:subjects[{missing}]", *(f"SR-4:{field}" for field in STUDY)]
    low["results"] |= study("CĐ")
    low["promoted"] = False
    assert told(low) == [f"not_computable:subjects[{missing}]"]


def test_a_person_reads_that_a_study_level_is_not_computable() -> None:
    body = secondary()
    body["results"]["subjects"] = [row for row in body["results"]["subjects"] if row["subject_code"] != "32"]
    (problem,) = findings(body)

    assert (problem.code, problem.field) == ("DQ-32", "subjects[32]")
    assert "not computable" in describe(problem).fix_en
    assert "không tính được" in describe(problem).fix_vi
    assert "computable" not in describe(Problem("DQ-32", "subjects[90]")).fix_en  # primary has no study level


@pytest.mark.parametrize(
    ("marks", "found"),
    [
        ({"mark_term1": None}, ["not_computable:study_result_term1"]),
        ({"mark_term1": None, "mark_term2": None}, [f"not_computable:{field}" for field in STUDY[:2]]),
        ({"mark_term1": None, "mark_year": None}, ["not_computable:subjects[15]"]),  # says it already
    ],
)
def test_a_level_of_a_term_with_a_missing_mark_is_not_computable(marks: Body, found: list[str]) -> None:
    assert told(with_subject(secondary(), "15", **marks)) == found


def test_levels_of_terms_without_any_marks_are_no_finding_of_every_pupil() -> None:
    body = secondary()
    for row in body["results"]["subjects"]:
        row |= {"mark_term1": None, "mark_term2": None}

    assert told(body) == []


def test_nothing_is_said_of_the_level_beside_a_mark_of_another_kind() -> None:
    body = with_subject(secondary(), "15", mark_year="CĐ")

    assert told(body) == ["DQ-11:subjects[15].mark_year"]
    assert told(with_subject(secondary(), "88", mark_year="3.0")) == ["DQ-11:subjects[88].mark_year"]
    assert told(with_subject(secondary(), "15", mark_retest="CĐ")) == ["DQ-11:subjects[15].mark_retest"]


def test_with_fewer_than_six_scored_subjects_no_level_is_computed() -> None:
    body = with_marks(secondary(**study("T")), s15="M", s19="M", s05="M")

    assert told(body) == []


def test_after_a_retest_nothing_is_said_of_what_cannot_be_computed() -> None:
    body = secondary(mark="5.0", **study("CĐ"), study_result_after_retest="K")
    body = with_subject(with_marks(body, s15="3.0"), "15", mark_retest="5.0")
    body["results"]["subjects"] = [row for row in body["results"]["subjects"] if row["subject_code"] != "32"]

    assert told(body) == ["not_computable:subjects[32]", "SR-8:study_result_after_retest"]
    body = with_marks(body, s19="M", s05="M", s66="M", s27="M")
    assert told(body) == ["not_computable:subjects[32]"]


@pytest.mark.parametrize(
    ("stated", "changes", "found"),
    [
        ("HTXS", {"02": {"periodic_test_mark": None}, "03": {"achievement_level": "C"}}, ["PR-1"]),
        ("HTXS", {"02": {"periodic_test_mark": None}, "01": {"periodic_test_mark": "3"}}, ["PR-1"]),
        ("HTT", {"02": {"periodic_test_mark": None}, "01": {"periodic_test_mark": "6"}}, ["PR-2"]),
        ("HT", {"02": {"periodic_test_mark": None}, "03": {"achievement_level": "C"}}, ["PR-3"]),
        ("CHT", {"02": {"periodic_test_mark": None}}, []),  # the missing test may be 4
        ("HTT", {"02": {"periodic_test_mark": None}}, []),  # … or 7
        ("HTXS", {"02": {"periodic_test_mark": None}}, []),
        ("CHT", {"02": {"periodic_test_mark": None}, "03": {"achievement_level": "C"}}, []),
    ],
)
def test_with_a_gap_a_result_above_what_the_rest_allows_is_noticed(
    stated: str, changes: dict[str, Body], found: list[str]
) -> None:
    body = primary(overall_result=stated, grade_programme_completed=stated != "CHT")
    body["promoted"] = stated != "CHT"
    for code, fields in changes.items():
        with_subject(body, code, **fields)

    assert told(body) == [f"{rule}:overall_result" for rule in found]


def test_a_missing_primary_subject_does_not_hide_a_quality_of_c() -> None:
    body = primary(quality_honesty="C")
    body["results"]["subjects"] = [row for row in body["results"]["subjects"] if row["subject_code"] != "90"]

    assert told(body) == ["DQ-32:subjects[90]", "PR-1:overall_result"]
    body["results"]["overall_result"] = "HTT"
    assert told(body) == ["DQ-32:subjects[90]", "PR-2:overall_result"]


def test_every_finding_of_a_primary_record_is_reported_at_once() -> None:
    body = primary("02", overall_result="HTT", competency_informatics="C", primary_programme_completed=True)
    body |= {"promoted": False, "award_text": "Học sinh Xuất sắc"}

    assert told(body) == [
        "PR-2:overall_result",
        "PR-6:promoted",
        "PR-6:primary_programme_completed",
        "PR-7:award_text",
        "PR-11:competency_informatics",
    ]


@pytest.mark.parametrize("grade", ["06", "07", "08", "09", "10", "11", "12"])
def test_a_year_before_the_grades_switch_is_left_to_its_own_circular(grade: str) -> None:
    old = {"school_year": "2020-2021", "circular": "58"}
    body = secondary(grade, **study("T")) | old

    assert told(body) == []
    assert told(body | {"school_year": "2025-2026", "circular": "22"}) != []


def test_the_same_mark_everywhere_has_no_finding() -> None:
    for mark, level in (("10.0", "T"), ("8.0", "T"), ("7.9", "K"), ("6.5", "K"), ("6.4", "Đ"), ("5.0", "Đ")):
        assert told(secondary(mark=mark, **study(level))) == [], mark
        assert told(secondary("11", mark=mark, **study(level))) == [], mark
