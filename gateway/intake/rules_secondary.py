"""Rules of the secondary record: TT 22/2021/TT-BGDĐT art. 5–9, 12–15 (facts, SR-2 … SR-12).

Marks are compared in tenths (``7.5`` is 75), whole numbers, so rounding is exact.  ``M`` leaves the count.  A study
level is judged only when every compulsory subject has its mark; optional subjects (14, 31, 70) do not count.
"""

from typing import Any

from gateway.errors import Problem
from gateway.intake.values import folded
from gateway.national.schema import code_lists

Body = dict[str, Any]
Subjects = dict[str, dict[str, Any]]

COMPULSORY: dict[str, frozenset[str]] = {
    "03": frozenset({"19", "15", "69", "26", "05", "66", "27", "32", "88", "97", "91", "99"}),
    "04": frozenset({"19", "15", "69", "40", "47", "88", "91", "99"}),
}
COMMENT: dict[str, frozenset[str]] = {
    "03": frozenset({"88", "97", "99", "91"}),
    "04": frozenset({"88", "29", "30", "99", "91"}),
}
_ELECTIVES_THPT = frozenset({"41", "100", "35", "36", "37", "46", "38", "29", "30"})
_ELECTIVES_DUE = 4
_OPTIONAL = frozenset({"14", "31", "70"})
_TENTHS = {f"{tenths // 10}.{tenths % 10}": tenths for tenths in range(101)}
_RANK = {"CĐ": 0, "Đ": 1, "K": 2, "T": 3}
_LEVELS = ("CĐ", "Đ", "K", "T")
_ENOUGH = 6
_CONDUCT = {  # term 2 → term 1 → year (SR-6)
    "T": {"T": "T", "K": "T", "Đ": "K", "CĐ": "K"},
    "K": {"T": "K", "K": "K", "Đ": "K", "CĐ": "Đ"},
    "Đ": {"T": "K", "K": "Đ", "Đ": "Đ", "CĐ": "Đ"},
    "CĐ": {"T": "CĐ", "K": "CĐ", "Đ": "CĐ", "CĐ": "CĐ"},
}
_PERIODS = (
    ("mark_term1", "study_result_term1"),
    ("mark_term2", "study_result_term2"),
    ("mark_year", "study_result_year"),
)
_STUDY = tuple(field for _, field in _PERIODS)
_MOST_ABSENCES = 45


def judge(body: Body, facts: dict[str, Any], refused: frozenset[str]) -> list[Problem]:
    """Findings of SR-2 … SR-12, DQ-30, 32, 36 and 40 on a record of a known secondary grade."""
    results, level = body["results"], body["education_level"]
    rows: list[dict[str, Any]] = results["subjects"]
    found = _codes(rows, level)
    subjects: Subjects = {row["subject_code"]: row for row in rows if row.get("subject_code")}
    missing = _missing_subjects(subjects, level, refused)
    found += missing
    if body.get("disability_not_assessed") is False:
        found += [Problem("DQ-36", f, "SR-12") for f in _STUDY if results.get(f) is None and f not in refused]
    for code, row in subjects.items():
        found += _subject(code, row, level)
    for mark, field in _PERIODS:
        found += _study(results.get(field), field, _marks(subjects, level, mark))
    found += _conduct(results)
    found += _after_summer(results)
    found += _promotion(body, results, facts)
    found += _award(body, results, subjects)
    return found + _absences(results, facts)


def _codes(rows: list[dict[str, Any]], level: str) -> list[Problem]:
    """DQ-30: the same number is another subject at another level; a subject stands once."""
    known = code_lists()["subject_thcs" if level == "03" else "subject_thpt"]
    codes = [row.get("subject_code") for row in rows]
    wrong = [i for i, code in enumerate(codes) if code is not None and (code not in known or code in codes[:i])]
    return [Problem("DQ-30", f"subjects[#{index}].subject_code") for index in wrong]


def _missing_subjects(subjects: Subjects, level: str, refused: frozenset[str]) -> list[Problem]:
    """DQ-32: no row, or no year mark (a refused mark is a finding of its own)."""
    there = {
        code
        for code, row in subjects.items()
        if row.get("mark_year") is not None or f"subjects[{code}].mark_year" in refused
    }
    found = [Problem("DQ-32", f"subjects[{code}]") for code in sorted(COMPULSORY[level] - there)]
    if level == "04" and len(_ELECTIVES_THPT & there) < _ELECTIVES_DUE:
        found.append(Problem("DQ-32", "subjects"))
    return found


def _subject(code: str, row: dict[str, Any], level: str) -> list[Problem]:
    """One subject's marks against its kind and each other (SR-2, SR-3, SR-8, SR-10)."""
    path = f"subjects[{code}]."
    first, second, year, retest = (row.get(f) for f in ("mark_term1", "mark_term2", "mark_year", "mark_retest"))
    comment = code in COMMENT[level]
    found = []
    for field in ("mark_term1", "mark_term2", "mark_year", "mark_retest"):
        mark = row.get(field)
        if mark is not None and mark != "M" and (mark in _TENTHS) == comment:
            found.append(Problem("DQ-11", path + field))
    if found:
        return found
    exempt = [mark == "M" for mark in (first, second, year) if mark is not None]
    if any(exempt) and not all(exempt):
        found.append(Problem("DQ-39", path + "mark_year", "SR-10"))
    elif comment and second is not None and year is not None and year != second:
        found.append(Problem("DQ-37", path + "mark_year", "SR-3"))
    elif not comment and year is not None and expected_year(first, second) not in {None, year}:
        found.append(Problem("DQ-37", path + "mark_year", "SR-2"))
    if retest is not None and year is not None and not (year == "CĐ" or _TENTHS.get(year, 100) < 50):
        found.append(Problem("DQ-39", path + "mark_retest", "SR-8"))
    return found


def expected_year(first: str | None, second: str | None) -> str | None:
    """The year average (term 1 + 2 × term 2) / 3, one decimal, half up (SR-2); None without two marks."""
    one, two = _TENTHS.get(first or ""), _TENTHS.get(second or "")
    if one is None or two is None:
        return None
    tenths = (2 * (one + 2 * two) + 3) // 6
    return f"{tenths // 10}.{tenths % 10}"


def _marks(subjects: Subjects, level: str, field: str) -> tuple[list[int], list[bool]] | None:
    """Scored marks in tenths and passed comment subjects of a period; None when a compulsory one is missing."""
    scored, passed = [], []
    for code in COMPULSORY[level]:
        if subjects.get(code, {}).get(field) is None:
            return None
    electives = 0
    for code, row in subjects.items():
        mark = row.get(field)
        electives += code in _ELECTIVES_THPT and mark is not None
        if mark is None or mark == "M" or code in _OPTIONAL:
            continue
        if mark in _TENTHS:
            scored.append(_TENTHS[mark])
        else:
            passed.append(mark == "Đ")
    return None if level == "04" and electives < _ELECTIVES_DUE else (scored, passed)


def study_level(scored: list[int], passed: list[bool]) -> str:
    """T, K, Đ or CĐ by SR-4 (art. 9.2)."""
    failed = passed.count(False)
    lowest = min(scored, default=100)
    if failed == 0 and lowest >= 65 and _at_least(scored, 80):
        return "T"
    if failed == 0 and lowest >= 50 and _at_least(scored, 65):
        return "K"
    return "Đ" if failed <= 1 and lowest >= 35 and _at_least(scored, 50) else "CĐ"


def _at_least(scored: list[int], tenths: int) -> bool:
    return sum(mark >= tenths for mark in scored) >= min(_ENOUGH, len(scored))


def adjusted_level(scored: list[int], passed: list[bool]) -> str:
    """The level after art. 9.3 (SR-5): one step up when a single subject costs two levels or more from T or K."""
    plain = study_level(scored, passed)
    best = plain
    for index in range(len(scored)):
        best = max(best, study_level([*scored[:index], 100, *scored[index + 1 :]], passed), key=_RANK.__getitem__)
    if False in passed:
        index = passed.index(False)
        best = max(best, study_level(scored, [*passed[:index], True, *passed[index + 1 :]]), key=_RANK.__getitem__)
    return _LEVELS[_RANK[plain] + 1] if _RANK[best] - _RANK[plain] >= 2 else plain


def _study(stated: str | None, field: str, marks: tuple[list[int], list[bool]] | None) -> list[Problem]:
    if stated is None or marks is None:
        return []
    if stated == study_level(*marks) or stated == adjusted_level(*marks):
        return []
    return [Problem("DQ-38", field, "SR-4")]


def _conduct(results: Body) -> list[Problem]:
    first, second = results.get("conduct_result_term1"), results.get("conduct_result_term2")
    year = results.get("conduct_result_year")
    expected = _CONDUCT.get(second or "", {}).get(first or "")
    if year is None or expected is None or year == expected:
        return []
    return [Problem("DQ-38", "conduct_result_year", "SR-6")]


def _after_summer(results: Body) -> list[Problem]:
    pairs = {"study_result_after_retest": "study_result_year", "conduct_result_after_summer": "conduct_result_year"}
    wrong = [late for late, year in pairs.items() if results.get(late) and results.get(year) in {"T", "K", "Đ"}]
    return [Problem("DQ-39", field, "SR-8") for field in wrong]


def _promotion(body: Body, results: Body, facts: dict[str, Any]) -> list[Problem]:
    """SR-7: promotion needs study and conduct Đ or better and at most 45 absences."""
    if not body.get("promoted"):
        return []
    study = results.get("study_result_after_retest") or results.get("study_result_year")
    conduct = results.get("conduct_result_after_summer") or results.get("conduct_result_year")
    absences = _total(results, facts)
    if "CĐ" in {study, conduct} or (absences is not None and absences > _MOST_ABSENCES):
        return [Problem("DQ-39", "promoted", "SR-7")]
    return []


def _award(body: Body, results: Body, subjects: Subjects) -> list[Problem]:
    """SR-9, on the year's results."""
    text = folded(body.get("award_text") or "")
    excellent, good = "hoc sinh xuat sac" in text, "hoc sinh gioi" in text
    if not (excellent or good):
        return []
    both = results.get("study_result_year") == "T" and results.get("conduct_result_year") == "T"
    marks = [_TENTHS.get(row.get("mark_year") or "", 0) for code, row in subjects.items() if code not in _OPTIONAL]
    if both and (not excellent or sum(mark >= 90 for mark in marks) >= _ENOUGH):
        return []
    return [Problem("DQ-39", "award_text", "SR-9")]


def _total(results: Body, facts: dict[str, Any]) -> Any:
    total = results.get("absences_total")
    parts = [facts.get("absences_excused"), facts.get("absences_unexcused")]
    if total is None and None not in parts:
        return sum(part for part in parts if part is not None)
    return total


def _absences(results: Body, facts: dict[str, Any]) -> list[Problem]:
    """DQ-40: the stated total is not the sum of its parts."""
    excused, unexcused = facts.get("absences_excused"), facts.get("absences_unexcused")
    total = results.get("absences_total")
    if total is None or excused is None or unexcused is None or total == excused + unexcused:
        return []
    return [Problem("DQ-40", "absences_total")]
