"""Rules of the primary record: TT 27/2020/TT-BGDĐT art. 7, 9, 11, 13 (facts, PR-1 … PR-11).

Exempt subjects (``M``) leave the count.  Where a level or a due test is missing, the best is assumed of it: an overall
result above what the other values still allow is noticed all the same.
"""

from functools import lru_cache
from typing import Any

from gateway.errors import Problem
from gateway.intake.rules_options import Options
from gateway.intake.values import folded

Body = dict[str, Any]
Subjects = dict[str, dict[str, Any]]

_EARLY = frozenset({"01", "02", "03", "04", "88", "89", "90", "91"})
COMPULSORY: dict[str, frozenset[str]] = {
    "01": _EARLY,
    "02": _EARLY,
    "03": _EARLY | {"11", "12", "87"},
    "04": (_EARLY - {"04"}) | {"11", "12", "87", "13", "05"},
    "05": (_EARLY - {"04"}) | {"11", "12", "87", "13", "05"},
}
TESTED: dict[str, frozenset[str]] = {
    "01": frozenset({"01", "02"}),
    "02": frozenset({"01", "02"}),
    "03": frozenset({"01", "02", "11", "12", "87"}),
    "04": frozenset({"01", "02", "05", "11", "12", "87", "13"}),
    "05": frozenset({"01", "02", "05", "11", "12", "87", "13"}),
}
_ONE_SUBJECT = frozenset({"12", "87"})
"""Informatics and technology is one subject in two rows: one of them may carry the test."""

GENERAL = (
    "competency_autonomy_self_study",
    "competency_communication_cooperation",
    "competency_problem_solving_creativity",
)
SPECIFIC = (
    "competency_language", "competency_mathematics", "competency_science",
    "competency_aesthetics", "competency_physical",
)  # fmt: skip
LATER = ("competency_technology", "competency_informatics")
_WITHOUT_LATER = frozenset({"01", "02"})
QUALITIES = (
    "quality_patriotism", "quality_compassion", "quality_diligence", "quality_honesty", "quality_responsibility",
)  # fmt: skip
_TRAITS = (*GENERAL, *SPECIFIC, *QUALITIES)
_DUE = (*_TRAITS, "overall_result")
_BEST = frozenset({"T", "M", None})
"""Of levels and traits: exempt is left out, and nothing is known against what is missing."""
_NOTHING = frozenset({None})
_RANK = {"CHT": 0, "HT": 1, "HTT": 2, "HTXS": 3}


def judge(body: Body, facts: Body, refused: frozenset[str], options: Options) -> list[Problem]:
    """Findings of PR-1 … PR-11, DQ-30, DQ-32 and DQ-36 on a record of a known primary grade.

    *facts* and *options* are of the secondary rules; every circular's judge takes the same.
    """
    results, grade = body["results"], body["grade_code"]
    rows = results["subjects"]
    codes = [row.get("subject_code") for row in rows]
    subjects: Subjects = dict(zip(codes, rows, strict=True))
    if None in subjects or "" in subjects:
        subjects = {code: row for code, row in subjects.items() if code}
    found: list[Problem] = []
    if len(subjects) < len(codes):
        twice = [i for i, code in enumerate(codes) if code is not None and code in codes[:i]]
        found += [Problem("DQ-30", f"subjects[#{index}].subject_code") for index in twice]
    if body.get("disability_not_assessed") is not True:  # a pupil who is not assessed may have no rows at all
        found += _missing_subjects(subjects, grade)
    found += _missing_levels(body, results, subjects, refused)
    found += _overall(results, subjects, grade)
    found += _completion(body, results, grade)
    found += _award(body, results)
    found += _tests(subjects, grade)
    if grade in _WITHOUT_LATER:
        found += [Problem("DQ-39", field, "PR-11") for field in LATER if results.get(field) is not None]
    return found


def is_silent(body: Body, results: Body, facts: Body, options: Options) -> bool:
    """Whether `judge` surely finds nothing; False says that it has to be asked."""
    grade, stated = body["grade_code"], results.get("overall_result")
    rows = results["subjects"]
    tested = _usual(tuple([row.get("subject_code") for row in rows]), grade)
    if tested is None or stated is None or body.get("disability_not_assessed") is not False:
        return False
    traits = {*map(results.get, _TRAITS)}
    later = {*map(results.get, LATER)}
    if None in traits or (grade in _WITHOUT_LATER and later != _NOTHING):
        return False
    traits |= later - _NOTHING
    ranks = [
        _row_rank(row.get("achievement_level"), row.get("periodic_test_mark"), due)
        for row, due in zip(rows, tested, strict=True)
    ]
    ranks.append(3 if traits <= _BEST else 0 if "C" in traits else 1)
    if min(ranks) != _RANK[stated] or _completion(body, results, grade):
        return False
    return not (body.get("award_text") and _award(body, results))


@lru_cache(maxsize=1_024)
def _usual(codes: tuple[str | None, ...], grade: str) -> tuple[bool, ...] | None:
    """Which of the subjects are tested; None where one is missing, unnamed or there twice."""
    if not all(codes) or len({*codes}) < len(codes) or not COMPULSORY[grade] <= {*codes}:
        return None
    return tuple(code in TESTED[grade] for code in codes)


@lru_cache(maxsize=1_024)
def _row_rank(level: str | None, mark: str | None, tested: bool) -> int:
    """The highest overall result (`_RANK`) that a subject allows; -1 where something is to be said about it."""
    if level is None or (mark is not None and ((not tested and mark != "M") or (level == "M") != (mark == "M"))):
        return -1
    rank = 3 if level in _BEST else 0 if level == "C" else 1
    if mark is None or mark == "M":
        return rank
    return min(rank, next((rank for rank, least in ((3, 9), (2, 7), (1, 5)) if int(mark) >= least), 0))


def _missing_subjects(subjects: Subjects, grade: str) -> list[Problem]:
    return [Problem("DQ-32", f"subjects[{code}]") for code in sorted(COMPULSORY[grade] - subjects.keys())]


def _missing_levels(body: Body, results: Body, subjects: Subjects, refused: frozenset[str]) -> list[Problem]:
    """DQ-36 (PR-10): levels are due unless the pupil's disability is not assessed."""
    if body.get("disability_not_assessed") is not False:
        return []
    levels = [row.get("achievement_level") for row in subjects.values()]
    if None not in levels and None not in map(results.get, _DUE):
        return []  # before any path is spelled
    paths = [(field, results.get(field)) for field in _DUE]
    paths += [(f"subjects[{code}].achievement_level", row.get("achievement_level")) for code, row in subjects.items()]
    return [Problem("DQ-36", path, "PR-10") for path, value in paths if value is None and path not in refused]


def expected_overall(results: Body, subjects: Subjects, grade: str) -> str | None:
    """HTXS, HTT, HT or CHT by PR-1…PR-4; None when something the rule needs is missing."""
    best, certain = best_overall(results, subjects, grade)
    return best if certain else None


def best_overall(results: Body, subjects: Subjects, grade: str) -> tuple[str, bool]:
    """The highest overall result by PR-1…PR-4, and whether it is the only one: False where a value is missing."""
    levels = {row.get("achievement_level") for row in subjects.values()}
    traits = {*map(results.get, _TRAITS)}
    tests, complete = _test_marks(subjects, grade)
    certain = complete and None not in levels and None not in traits and subjects.keys() >= COMPULSORY[grade]
    if grade not in _WITHOUT_LATER:
        traits.update(map(results.get, LATER))
    lowest = min(tests, default=10)
    if levels <= _BEST and traits <= _BEST and lowest >= 7:
        return "HTXS" if lowest >= 9 else "HTT", certain
    return "HT" if "C" not in levels and "C" not in traits and lowest >= 5 else "CHT", certain


def _test_marks(subjects: Subjects, grade: str) -> tuple[list[int], bool]:
    """The year-end tests that count, and whether no due one is missing."""
    marks, empty, due = [], set(), 0
    for code in TESTED[grade]:
        row = subjects.get(code)
        if row is None or row.get("achievement_level") == "M":
            continue
        mark = row.get("periodic_test_mark")
        if code in _ONE_SUBJECT:
            due += 1
        if mark is None:
            empty.add(code)
        elif mark != "M":
            marks.append(mark)
    missing = empty and (empty - _ONE_SUBJECT or len(empty) == due)
    return [int(mark) for mark in marks], not missing


def _overall(results: Body, subjects: Subjects, grade: str) -> list[Problem]:
    stated = results.get("overall_result")
    if stated is None:
        return []
    best, certain = best_overall(results, subjects, grade)
    if stated == best or (not certain and _RANK[stated] < _RANK[best]):
        return []
    rule = {"HTXS": "PR-1", "HTT": "PR-2", "HT": "PR-3", "CHT": "PR-4"}[stated]
    return [Problem("DQ-38", "overall_result", rule)]


def _completion(body: Body, results: Body, grade: str) -> list[Problem]:
    stated, done = results.get("overall_result"), results.get("grade_programme_completed")
    found = []
    if stated in {"HTXS", "HTT", "HT"} and done is False:
        found.append(Problem("DQ-39", "grade_programme_completed", "PR-5"))
    if stated == "CHT" and done is True and not body.get("completion_text"):
        found.append(Problem("DQ-39", "completion_text", "PR-5"))
    if grade != "05" and body.get("promoted") is not None and done is not None and body["promoted"] != done:
        found.append(Problem("DQ-39", "promoted", "PR-6"))
    if grade != "05" and results.get("primary_programme_completed"):
        found.append(Problem("DQ-39", "primary_programme_completed", "PR-6"))
    return found


def _award(body: Body, results: Body) -> list[Problem]:
    """PR-7.  HTT is the least that Học sinh Tiêu biểu needs: a school may name a HTXS pupil so."""
    if not body.get("award_text"):
        return []
    text, stated = folded(body["award_text"]), results.get("overall_result")
    due = {"hoc sinh xuat sac": {"HTXS"}, "hoc sinh tieu bieu": {"HTT", "HTXS"}}
    wrong = any(name in text and stated is not None and stated not in levels for name, levels in due.items())
    return [Problem("DQ-39", "award_text", "PR-7")] if wrong else []


def _tests(subjects: Subjects, grade: str) -> list[Problem]:
    """PR-8: marks for tested subjects only.  PR-9: an exempt subject has the mark M or none."""
    found: list[Problem] = []
    tested = TESTED[grade]
    for code, row in subjects.items():
        mark = row.get("periodic_test_mark")
        if mark is None:
            continue
        if code not in tested and mark != "M":
            found.append(Problem("DQ-39", f"subjects[{code}].periodic_test_mark", "PR-8"))
        if (row.get("achievement_level") == "M") != (mark == "M"):
            found.append(Problem("DQ-39", f"subjects[{code}].periodic_test_mark", "PR-9"))
    return found
