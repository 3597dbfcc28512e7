"""Rules of the secondary record: TT 22/2021/TT-BGDĐT art. 5–9, 12–15 (facts, SR-1 … SR-12).

Marks are compared in tenths (``7.5`` is 75), whole numbers, so rounding is exact.  ``M`` leaves the count.  A study
level is computed only when every compulsory subject has its mark and six scored ones are left to count; which optional
subjects count is an option.  The arithmetic of marks stands in `rules_marks`.
"""

import re
from functools import lru_cache
from typing import Any

from gateway.errors import Problem
from gateway.intake.rules_marks import LEVELS, TENTHS, adjusted_level, component_problems, expected_year, study_level
from gateway.intake.rules_options import USUAL, Options
from gateway.intake.values import folded
from gateway.national.schema import code_lists

__all__ = ["adjusted_level", "expected_year", "judge", "study_level"]

Body = dict[str, Any]
Subjects = dict[str, dict[str, Any]]
Levels = frozenset[str]
Kind = tuple[bool, bool, int]
"""Of a subject: judged by comment, counted for a level, and what any mark of it adds to a tally."""
Mark = str | None
Sheet = tuple[int, tuple[Problem, ...]]
"""The tallies of both terms and the year side by side with the number of retests, and findings."""
Sheets = dict[tuple[Mark, Mark, Mark, Mark], Sheet]
Memos = dict[str, tuple[Kind, Sheets]]
Marks = tuple[list[int], list[bool], bool]
"""Scored marks in tenths, passed comment subjects, and whether no compulsory subject is missing."""

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
_BITS, _COUNTER = 8, 0xFF
_BOUNDS = (80, 65, 50, 35, 0)
_PASSED, _FAILED_COMMENT, _ELECTIVE, _DUE_SCORED, _DUE_COMMENT = range(5, 10)
_KINDS = 10
_ONE = tuple(1 << _BITS * kind for kind in range(_KINDS))
"""How many marks of a kind: eight bits each, for a level has fewer than 255 subjects."""
_SHIFTS = tuple(_BITS * _KINDS * period for period in range(3))
_PERIOD = (1 << _BITS * _KINDS) - 1
_RETEST = 1 << _BITS * _KINDS * 3
"""Tallies of the periods stand side by side in one number, and above them the number of retests."""
_REMEMBERED, _SUBJECTS = 8_192, 256
_STUDY = tuple(field for _, field in _PERIODS)
_CONDUCT_DUE = ("conduct_result_term1", "conduct_result_term2", "conduct_result_year")
_DUE = (*_STUDY, *_CONDUCT_DUE)
NOT_COMPUTABLE = "not_computable"
"""Beside DQ-32: a study level that needs the missing mark cannot be computed (SR-4)."""
_PERIOD_FIELDS = tuple(zip(_SHIFTS, _STUDY, strict=True))
_MARKS = ("mark_term1", "mark_term2", "mark_year", "mark_retest")
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
    total, problems = _sheets(subjects, level, options.uncounted)
    found += problems
    quiet = body.get("disability_not_assessed") is True or _says_why(found, refused)
    for shift, field in _PERIOD_FIELDS:
        stated = results.get(field)
        fits = stated is None or _may_be(stated, total >> shift & _PERIOD, level)
        if fits is False or (fits is None and not quiet):
            found.append(Problem("DQ-38", field, "SR-4") if fits is False else Problem("DQ-32", field, NOT_COMPUTABLE))
    if facts.get("components"):
        found += component_problems(subjects, facts["components"])
    found += _conduct(results)
    after = _after_retest(results, subjects if total >= _RETEST else {}, level, options)
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
    if not due or not 0 < total < _RETEST or get("study_result_after_retest") or get("conduct_result_after_summer"):
        return False
    for shift, field in _PERIOD_FIELDS:
        stated = get(field)
        if stated is None or _may_be(stated, total >> shift & _PERIOD, level) is not True:
            return False
    if _conduct(results) or (facts and (facts.get("components") or _absences(results, facts))):
        return False
    if body.get("promoted") and _promotion(body, results, facts, _after_retest(results, {}, level, options)):
        return False
    return not (body.get("award_text") and _award(body, results, _named(rows), options))


def _silent_total(rows: list[dict[str, Any]], level: str, uncounted: frozenset[str]) -> int:
    """The sum of the tallies (`_sheets`); 0 where something is to be said of a subject."""
    sheets = _usual(tuple([row.get("subject_code") for row in rows]), level, uncounted)
    if len(sheets) < len(rows):
        return 0
    total = 0
    for row, (kind, memo) in zip(rows, sheets, strict=True):
        mark = row.get
        marks = mark("mark_term1"), mark("mark_term2"), mark("mark_year"), mark("mark_retest")
        sheet = memo.get(marks) or _remembered(memo, kind, marks)
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
    memos = _memos(level, uncounted)
    return tuple(memos.get(code) or _memo(memos, code, level, uncounted) for code in codes if code)


def _sheets(subjects: Subjects, level: str, uncounted: frozenset[str]) -> tuple[int, list[Problem]]:
    """The sum of what the *subjects* add to the tallies, and what is wrong with their marks."""
    memos = _memos(level, uncounted)
    total, found = 0, []
    for code, row in subjects.items():
        get = row.get
        marks = get("mark_term1"), get("mark_term2"), get("mark_year"), get("mark_retest")
        kind, memo = memos.get(code) or _memo(memos, code, level, uncounted)
        sheet = memo.get(marks) or _remembered(memo, kind, marks)
        total += sheet[0]
        if sheet[1]:
            found += [Problem(p.code, f"subjects[{code}].{p.field}", p.rule) for p in sheet[1]]
    return total, found


@lru_cache(maxsize=16)
def _memos(level: str, uncounted: frozenset[str]) -> Memos:
    return {}


def _memo(memos: Memos, code: str, level: str, uncounted: frozenset[str]) -> tuple[Kind, Sheets]:
    """The memo of *code*, shared by the subjects of one kind: few marks in few small memos stay at hand."""
    kind = _kind(code, level, uncounted)
    memo = next((memo for other, memo in memos.values() if other == kind), {})
    if len(memos) < _SUBJECTS:
        memos[code] = kind, memo
    return kind, memo


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
    if level == "04" and len(_ELECTIVES_THPT & there) < _ELECTIVES_DUE:
        found.append(Problem("DQ-32", "subjects", NOT_COMPUTABLE))
    return tuple(found)


def _says_why(found: list[Problem], refused: frozenset[str]) -> bool:
    """Whether a missing subject or a refused mark is told already, and with it why a level is not computable."""
    if not found and not refused:
        return False
    told = any(problem.code in {"DQ-32", "DQ-11"} for problem in found)
    return told or any(field.startswith("subjects[") for field in refused)


@lru_cache(maxsize=1_024)
def _kind(code: str, level: str, uncounted: frozenset[str]) -> Kind:
    comment = code in COMMENT[level]
    adds = _ONE[_ELECTIVE] if code in _ELECTIVES_THPT else 0
    if code in COMPULSORY[level]:
        adds += _ONE[_DUE_COMMENT if comment else _DUE_SCORED]
    return comment, code not in uncounted, adds


def _remembered(memo: Sheets, kind: Kind, marks: tuple[Mark, Mark, Mark, Mark]) -> Sheet:
    if len(memo) >= _REMEMBERED:
        memo.clear()
    sheet = memo[marks] = _sheet(kind, marks)
    return sheet


def _sheet(kind: Kind, marks: tuple[Mark, Mark, Mark, Mark]) -> Sheet:
    """How one subject's marks count in each period, and what is wrong with them: the same for the same marks."""
    first, second, year, retest = marks
    tallies = zip(_SHIFTS, (first, second, year), strict=True)
    adds = sum(_tally(kind, mark) << shift for shift, mark in tallies) + (0 if retest is None else _RETEST)
    return adds, tuple(_subject(kind[0], first, second, year, retest))


def _subject(comment: bool, first: Mark, second: Mark, year: Mark, retest: Mark) -> list[Problem]:
    """One subject's marks against its kind and each other (SR-2, SR-3, SR-8, SR-10); fields are those of the row."""
    found = []
    for field, mark in zip(_MARKS, (first, second, year, retest), strict=True):
        if mark is not None and mark != "M" and (mark in TENTHS) == comment:
            found.append(Problem("DQ-11", field))
    if found:
        return found
    exempt = [mark == "M" for mark in (first, second, year) if mark is not None]
    if any(exempt) and not all(exempt):
        found.append(Problem("DQ-39", "mark_year", "SR-10"))
    elif comment and second is not None and year is not None and year != second:
        found.append(Problem("DQ-37", "mark_year", "SR-3"))
    elif not comment and year is not None and expected_year(first, second) not in {None, year}:
        found.append(Problem("DQ-37", "mark_year", "SR-2"))
    if retest is not None and year is not None and not (year == "CĐ" or TENTHS.get(year, 100) < 50):
        found.append(Problem("DQ-39", "mark_retest", "SR-8"))
    return found


def _tally(kind: Kind, mark: Mark) -> int:
    """One mark as an addend: a sum of them tells how many marks stand where (`_BOUNDS` and what follows them)."""
    comment, counted, adds = kind
    if mark is None:
        return 0
    if mark == "M" or not counted:
        return adds
    if (mark in TENTHS) == comment:
        return 0  # of another kind (DQ-11): as if it were not there
    if mark not in TENTHS:
        return adds + _ONE[_PASSED if mark == "Đ" else _FAILED_COMMENT]
    return adds + _ONE[next(place for place, bound in enumerate(_BOUNDS) if TENTHS[mark] >= bound)]


@lru_cache(maxsize=8_192)
def _marks(total: int, level: str) -> Marks | None:
    """What counts for the level of a period whose tallies are *total*; None where it is not computable at all.

    A level depends only on how many marks reach which of the bounds, so each mark stands for its bound.  Of a
    compulsory subject without a mark the best is assumed, and *certain* is False: no level is computed then, only one
    above what the other marks still allow is noticed.
    """
    counts = [total >> shift & _COUNTER for shift in range(0, _BITS * _KINDS, _BITS)]
    scored = [bound for bound, times in zip(_BOUNDS, counts, strict=False) for _ in range(times)]
    comments = len(COMPULSORY[level] & COMMENT[level]) - counts[_DUE_COMMENT]
    best = len(COMPULSORY[level] - COMMENT[level]) - counts[_DUE_SCORED]
    if level == "04":
        best += max(0, _ELECTIVES_DUE - counts[_ELECTIVE])
    if len(scored) + best < _ENOUGH:
        return None
    passed = [True] * (counts[_PASSED] + comments) + [False] * counts[_FAILED_COMMENT]
    return [*scored, *[100] * best], passed, not comments and not best


def possible_levels(marks: Marks) -> Levels:
    """The levels that do not contradict *marks*: the plain and the adjusted one (art. 9.3), or all up to the best."""
    scored, passed, certain = marks
    best = adjusted_level(scored, passed)
    return frozenset({study_level(scored, passed), best} if certain else LEVELS[: LEVELS.index(best) + 1])


@lru_cache(maxsize=32_768)
def _may_be(stated: str, total: int, level: str) -> bool | None:
    """SR-4 and SR-5: the plain level and the one adjusted by art. 9.3 are both accepted.

    None where nothing speaks against the level, but a compulsory mark is missing in a period that has marks.
    """
    marks = _marks(total, level)
    if marks is None or total == 0:
        return True
    fits = stated in possible_levels(marks)
    return fits and (marks[2] or None)


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
        _tally(_kind(code, level, options.uncounted), row.get("mark_retest") or row.get("mark_year"))
        for code, row in subjects.items()
    )
    marks = _marks(total, level)
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
    if both and (not excellent or high >= _ENOUGH):
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
