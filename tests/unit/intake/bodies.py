"""Bodies without any finding, as the rules see them, and ways to change them."""

from decimal import Decimal
from typing import Any

from gateway.errors import Problem
from gateway.intake.rules import judge
from gateway.intake.rules_identity import Identity
from gateway.intake.rules_options import USUAL, Options
from gateway.intake.rules_primary import COMPULSORY as PRIMARY
from gateway.intake.rules_primary import GENERAL, QUALITIES, SPECIFIC, TESTED
from gateway.intake.rules_tallies import COMMENT, COMPULSORY
from gateway.national.schema import level_of

Body = dict[str, Any]

NOBODY = Identity(None, None, temporary=False, problems=())
ELECTIVES = ("41", "35", "36", "100")
STUDY = ("study_result_term1", "study_result_term2", "study_result_year")
CONDUCT = ("conduct_result_term1", "conduct_result_term2", "conduct_result_year")


def primary(grade: str = "04", /, **results: Any) -> Body:
    """A primary body, all T and 9 (HTXS), with its results changed."""
    rows: list[Body] = [
        {"subject_code": code, "achievement_level": "T", "periodic_test_mark": "9" if code in TESTED[grade] else None}
        for code in sorted(PRIMARY[grade])
    ]
    usual: Body = dict.fromkeys((*GENERAL, *SPECIFIC, *QUALITIES), "T")
    usual |= {"overall_result": "HTXS", "grade_programme_completed": True, "primary_programme_completed": grade == "05"}
    body = {"education_level": "02", "grade_code": grade, "circular": "27", "school_year": "2025-2026"}
    rest = {"disability_not_assessed": False, "promoted": True}
    return body | rest | {"results": usual | {"subjects": rows} | results}


def secondary(grade: str = "08", /, *, mark: str = "7.0", **results: Any) -> Body:
    """A secondary body of steady marks (level K, conduct T), with its results changed."""
    level = "03" if grade < "10" else "04"
    codes = sorted(COMPULSORY[level] | (set(ELECTIVES) if level == "04" else set()))
    rows = [{"subject_code": code} | steady("Đ" if code in COMMENT[level] else mark) for code in codes]
    usual = dict.fromkeys(STUDY, "K") | dict.fromkeys(CONDUCT, "T") | {"absences_total": Decimal(3)}
    body = {"education_level": level, "grade_code": grade, "circular": "22", "school_year": "2025-2026"}
    rest = {"disability_not_assessed": False, "promoted": True}
    return body | rest | {"results": usual | {"subjects": rows} | results}


def steady(mark: str) -> Body:
    """The same mark in both terms and the year."""
    return {"mark_term1": mark, "mark_term2": mark, "mark_year": mark}


def with_subject(body: Body, code: str, /, **fields: Any) -> Body:
    """*body* with fields of one subject row changed; a new row where there is none."""
    rows: list[Body] = body["results"]["subjects"]
    if all(row["subject_code"] != code for row in rows):
        rows.append({"subject_code": code})
    next(row for row in rows if row["subject_code"] == code).update(fields)
    return body


def with_marks(body: Body, /, **marks: str) -> Body:
    """*body* with steady marks of subjects: ``s15="6.4"``."""
    for name, mark in marks.items():
        with_subject(body, name.removeprefix("s"), **steady(mark))
    return body


def findings(body: Body, facts: Body | None = None, options: Options = USUAL) -> list[Problem]:
    """All findings of the rules on *body*."""
    return judge(body, facts or {}, NOBODY, level_of(body["education_level"]), frozenset(), options)


def told(body: Body, facts: Body | None = None, options: Options = USUAL) -> list[str]:
    """The findings as ``rule:field`` (the code where no rule is named)."""
    return [f"{problem.rule or problem.code}:{problem.field}" for problem in findings(body, facts, options)]
