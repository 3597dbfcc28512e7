"""Rules of the secondary record: TT 22/2021/TT-BGDĐT art. 5–9, 12–15 (facts, SR-1 … SR-12).

A study level is computed only when every compulsory subject has its mark and six scored ones are left to count; which
optional subjects count is an option.  The arithmetic of marks stands in `rules_marks`, their count in `rules_tallies`.
"""

import re
from functools import lru_cache
from typing import Any

from gateway.errors import Problem
from gateway.intake.rules_marks import LEVELS, TENTHS, component_problems
from gateway.intake.rules_options import USUAL, Options
from gateway.intake.rules_tallies import (
    COMPULSORY,
    ELECTIVES_DUE,
    ELECTIVES_THPT,
    ENOUGH,
    PERIOD,
    RETEST,
    SHIFTS,
    Kind,
    Levels,
    Sheets,
    Subjects,
    kind_of,
    marks_of,
    may_be,
    memo_of,
    memos_of,
    possible_levels,
    remembered,
    sheets_of,
    tally,
)
from gateway.intake.values import folded
from gateway.national.schema import code_lists

Body = dict[str, Any]

_CONDUCT = {  # term 2 → term 1 → year (SR-6)
    "T": {"T": "T", "K": "T", "Đ": "K", "CĐ": "K"},
    "K": {"T": "K", "K": "K", "Đ": "K", "CĐ": "Đ"},
    "Đ": {"T": "K", "K": "Đ", "Đ": "Đ", "CĐ": "Đ"},
    "CĐ": {"T": "CĐ", "K": "CĐ", "Đ": "CĐ", "CĐ": "CĐ"},
}
_STUDY = ("study_result_term1", "study_result_term2", "study_result_year")
_CONDUCT_DUE = ("conduct_result_term1", "conduct_result_term2", "conduct_result_year")
_DUE = (*_STUDY, *_CONDUCT_DUE)
NOT_COMPUTABLE = "not_computable"
"""Beside DQ-32: a study level that needs the missing mark cannot be computed (SR-4)."""
_PERIOD_FIELDS = tuple(zip(SHIFTS, _STUDY, strict=True))
_MOST_ABSENCES = 45
_EXCUSED, _UNEXCUSED = "absences_excused", "absences_unexcused"
_HIGHEST_TOTAL = 300
"""The dictionary's bound; 0 is sent as nothing (DQ-35)."""
_LATE = (
    ("study_result_after_retest", "study_result_year"),
    ("conduct_result_after_summer", "conduct_result_year"),
)
_ONLY: dict[str, Levels] = {level: frozenset({level}) for level in LEVELS}
_FAILED: Levels = frozenset({"CĐ"})
_GOOD_PUPIL = re.compile(r"(?<!thi )(?<!giai )hoc sinh gioi(?! (?:cap|quoc gia|mon|tinh|huyen|thanh pho)\b)")
"""The award, and not a prize of a contest of that name (kì thi học sinh giỏi cấp tỉnh)."""


def judge(body: Body, facts: dict[str, Any], refused: frozenset[str], options: Options = USUAL) -> list[Problem]:
    """Findings of SR-1 … SR-10 and SR-12, DQ-11, 30, 32, 36 and 40 on a record of a known secondary grade."""
    results, level = body["results"], body["education_level"]
    rows: list[dict[str, Any]] = results["subjects"]
    codes: list[Any] = [row.get("subject_code") for row in rows]
    found = [*_codes(tuple(codes), level)]
    subjects: Subjects = dict(zip(codes, rows, strict=True))
    if None in subjects or "" in subjects:
        subjects = {code: row for code, row in subjects.items() if code}
    if body.get("disability_not_assessed") is not True:  # a pupil who is not assessed may have no rows at all
        found += _missing_subjects(subjects, level, refused)
    due = _DUE if body.get("disability_not_assessed") is False else _CONDUCT_DUE
    if None in map(results.get, due):
        found += [Problem("DQ-36", f, "SR-12") for f in due if results.get(f) is None and f not in refused]
    total, problems = sheets_of(subjects, level, options.uncounted)
    found += problems
    quiet = body.get("disability_not_assessed") is True or _says_why(found, refused)
    for shift, field in _PERIOD_FIELDS:
        stated = results.get(field)
        fits = stated is None or may_be(stated, total >> shift & PERIOD, level)
        if fits is False or (fits is None and not quiet):
            found.append(Problem("DQ-38", field, "SR-4") if fits is False else Problem("DQ-32", field, NOT_COMPUTABLE))
    if facts.get("components"):
        found += component_problems(subjects, facts["components"])
    found += _conduct(results)
    after = _after_retest(results, subjects if total >= RETEST else {}, level, options)
    found += _after_summer(results, after)
    found += _promotion(body, results, facts, after)
    found += _award(body, results, subjects, options)
    return found + _absences(results, facts)


def is_silent(body: Body, results: Body, facts: dict[str, Any], options: Options) -> bool:
    """Whether `judge` surely finds nothing; False says that it has to be asked."""
    level, rows = body["education_level"], results["subjects"]
    get = results.get
    total = _silent_total(rows, level, options.uncounted)
    due = body.get("disability_not_assessed") is False and None not in map(get, _CONDUCT_DUE)
    if not due or not 0 < total < RETEST or get("study_result_after_retest") or get("conduct_result_after_summer"):
        return False
    for shift, field in _PERIOD_FIELDS:
        stated = get(field)
        if stated is None or may_be(stated, total >> shift & PERIOD, level) is not True:
            return False
    if _conduct(results) or (facts and (facts.get("components") or _absences(results, facts))):
        return False
    if body.get("promoted") and _promotion(body, results, facts, _after_retest(results, {}, level, options)):
        return False
    return not (body.get("award_text") and _award(body, results, _named(rows), options))


def _silent_total(rows: list[dict[str, Any]], level: str, uncounted: frozenset[str]) -> int:
    """The sum of the tallies (`sheets_of`); 0 where something is to be said of a subject."""
    sheets = _usual(tuple([row.get("subject_code") for row in rows]), level, uncounted)
    if len(sheets) < len(rows):
        return 0
    total = 0
    for row, (kind, memo) in zip(rows, sheets, strict=True):
        mark = row.get
        marks = mark("mark_term1"), mark("mark_term2"), mark("mark_year"), mark("mark_retest")
        sheet = memo.get(marks) or remembered(memo, kind, marks)
        if sheet[1] or marks[2] is None:
            return 0
        total += sheet[0]
    return total


def _named(rows: list[dict[str, Any]]) -> Subjects:
    return {row["subject_code"]: row for row in rows}


@lru_cache(maxsize=1_024)
def _usual(codes: tuple[str | None, ...], level: str, uncounted: frozenset[str]) -> tuple[tuple[Kind, Sheets], ...]:
    """The memos of the subjects' marks, if none of them is missing, unnamed, unknown or there twice; else none."""
    if not all(codes) or _codes(codes, level) or _missing(tuple(filter(None, codes)), level):
        return ()
    memos = memos_of(level, uncounted)
    return tuple(memos.get(code) or memo_of(memos, code, level, uncounted) for code in codes if code)


@lru_cache(maxsize=1_024)
def _codes(codes: tuple[str | None, ...], level: str) -> tuple[Problem, ...]:
    """DQ-30: the same number is another subject at another level; a subject stands once."""
    known = code_lists()["subject_thcs" if level == "03" else "subject_thpt"]
    wrong = [i for i, code in enumerate(codes) if code is not None and (code not in known or code in codes[:i])]
    return tuple(Problem("DQ-30", f"subjects[#{index}].subject_code") for index in wrong)


def _missing_subjects(subjects: Subjects, level: str, refused: frozenset[str]) -> list[Problem]:
    """DQ-32: no row, or no year mark (a refused mark is a finding of its own)."""
    if None not in [row.get("mark_year") for row in subjects.values()]:
        return [*_missing(tuple(subjects), level)]
    there = tuple(
        code
        for code, row in subjects.items()
        if row.get("mark_year") is not None or f"subjects[{code}].mark_year" in refused
    )
    return [*_missing(there, level)]


@lru_cache(maxsize=1_024)
def _missing(codes: tuple[str, ...], level: str) -> tuple[Problem, ...]:
    there = frozenset(codes)
    found = [Problem("DQ-32", f"subjects[{code}]", NOT_COMPUTABLE) for code in sorted(COMPULSORY[level] - there)]
    if level == "04" and len(ELECTIVES_THPT & there) < ELECTIVES_DUE:
        found.append(Problem("DQ-32", "subjects", NOT_COMPUTABLE))
    return tuple(found)


def _says_why(found: list[Problem], refused: frozenset[str]) -> bool:
    """Whether a missing subject or a refused mark is told already, and with it why a level is not computable."""
    if not found and not refused:
        return False
    told = any(problem.code in {"DQ-32", "DQ-11"} for problem in found)
    return told or any(field.startswith("subjects[") for field in refused)


def _conduct(results: Body) -> list[Problem]:
    first, second = results.get("conduct_result_term1"), results.get("conduct_result_term2")
    year = results.get("conduct_result_year")
    expected = _CONDUCT.get(second or "", {}).get(first or "")
    if year is None or expected is None or year == expected:
        return []
    return [Problem("DQ-38", "conduct_result_year", "SR-6")]


def _after_retest(results: Body, subjects: Subjects, level: str, options: Options) -> Levels | None:
    """SR-8: the study levels that the retest marks in place of the year marks allow; None where nothing can be said.

    Without any retest mark, and then without *subjects*, the year's level stands.
    """
    if not subjects:
        year = results.get("study_result_year")
        return None if year is None else _ONLY.get(year) or frozenset({year})
    total = sum(
        tally(kind_of(code, level, options.uncounted), row.get("mark_retest") or row.get("mark_year"))
        for code, row in subjects.items()
    )
    marks = marks_of(total, level)
    return None if marks is None else possible_levels(marks)


def _after_summer(results: Body, after: Levels | None) -> list[Problem]:
    """SR-8: a level after retest or summer stands only beside a year level of CĐ, and follows from the retest marks."""
    wrong = [late for late, year in _LATE if results.get(late) and results.get(year) in {"T", "K", "Đ"}]
    stated = results.get("study_result_after_retest")
    if not wrong and stated is not None and after is not None and stated not in after:
        wrong = ["study_result_after_retest"]
    return [Problem("DQ-39", field, "SR-8") for field in wrong]


def _promotion(body: Body, results: Body, facts: dict[str, Any], after: Levels | None) -> list[Problem]:
    """SR-7: promotion needs study and conduct Đ or better and at most 45 absences."""
    if not body.get("promoted"):
        return []
    stated = results.get("study_result_after_retest")
    study = after if stated is None else frozenset({stated})
    conduct = results.get("conduct_result_after_summer") or results.get("conduct_result_year")
    absences = _total(results, facts)
    if study == _FAILED or conduct == "CĐ" or (absences is not None and absences > _MOST_ABSENCES):
        return [Problem("DQ-39", "promoted", "SR-7")]
    return []


def _award(body: Body, results: Body, subjects: Subjects, options: Options) -> list[Problem]:
    """SR-9, on the year's results."""
    if not body.get("award_text"):
        return []
    text = folded(body["award_text"])
    excellent, good = "hoc sinh xuat sac" in text, _GOOD_PUPIL.search(text) is not None
    if not (excellent or good):
        return []
    both = results.get("study_result_year") == "T" and results.get("conduct_result_year") == "T"
    counted = (row for code, row in subjects.items() if code not in options.uncounted)
    high = sum(TENTHS.get(row.get("mark_year") or "", 0) >= 90 for row in counted)
    if both and (not excellent or high >= ENOUGH):
        return []
    return [Problem("DQ-39", "award_text", "SR-9")]


def fill_total(results: Body, facts: dict[str, Any]) -> bool:
    """DQ-40: an empty absence total becomes the sum of its parts, before anything is judged; True where it did."""
    if results.get("absences_total") is None:
        total = _sum(facts)
        if total is not None and 0 < total <= _HIGHEST_TOTAL:
            results["absences_total"] = total
            return True
    return False


def _sum(facts: dict[str, Any]) -> Any:
    """Both counts of absences together; a blank beside a count is none, two blanks say nothing."""
    excused, unexcused = facts.get(_EXCUSED), facts.get(_UNEXCUSED)
    return None if excused is None and unexcused is None else (excused or 0) + (unexcused or 0)


def count_problems(results: Body, facts: dict[str, Any]) -> list[Problem]:
    """DQ-08: a negative count of absences, or counts whose sum no total can take."""
    found = [Problem("DQ-08", name) for name in (_EXCUSED, _UNEXCUSED) if (facts.get(name) or 0) < 0]
    if not found and results.get("absences_total") is None and (_sum(facts) or 0) > _HIGHEST_TOTAL:
        found.append(Problem("DQ-08", "absences_total"))
    return found


def counts_are_usual(results: Body, facts: dict[str, Any]) -> bool:
    """Whether `count_problems` surely finds nothing and `fill_total` changes nothing."""
    if (facts.get(_EXCUSED) or 0) < 0 or (facts.get(_UNEXCUSED) or 0) < 0:
        return False
    return results.get("absences_total") is not None or not _sum(facts)


def _total(results: Body, facts: dict[str, Any]) -> Any:
    total = results.get("absences_total")
    return _sum(facts) if total is None else total


def _absences(results: Body, facts: dict[str, Any]) -> list[Problem]:
    """DQ-40: the stated total is not the sum of its parts."""
    stated, total = results.get("absences_total"), _sum(facts)
    if stated is None or total is None or stated == total:
        return []
    return [Problem("DQ-40", "absences_total")]
