"""How the marks of secondary subjects count for a study level: tallies of each subject, side by side in one number.

Marks are compared in tenths (``7.5`` is 75), whole numbers, so rounding is exact.  ``M`` leaves the count.  What one
subject's marks add, and what is wrong with them, is the same for the same marks and remembered (TT 22/2021 art. 5–9).
"""

from functools import lru_cache
from typing import Any

from gateway.errors import Problem
from gateway.intake.rules_marks import LEVELS, TENTHS, adjusted_level, expected_year, study_level

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
ELECTIVES_THPT = frozenset({"41", "100", "35", "36", "37", "46", "38", "29", "30"})
ELECTIVES_DUE = 4
ENOUGH = 6
_BITS, _COUNTER = 8, 0xFF
_BOUNDS = (80, 65, 50, 35, 0)
_PASSED, _FAILED_COMMENT, _ELECTIVE, _DUE_SCORED, _DUE_COMMENT = range(5, 10)
_KINDS = 10
_ONE = tuple(1 << _BITS * kind for kind in range(_KINDS))
"""How many marks of a kind: eight bits each, for a level has fewer than 255 subjects."""
SHIFTS = tuple(_BITS * _KINDS * period for period in range(3))
PERIOD = (1 << _BITS * _KINDS) - 1
RETEST = 1 << _BITS * _KINDS * 3
"""Tallies of the periods stand side by side in one number, and above them the number of retests."""
_REMEMBERED, _SUBJECTS = 8_192, 256
_MARKS = ("mark_term1", "mark_term2", "mark_year", "mark_retest")


def sheets_of(subjects: Subjects, level: str, uncounted: frozenset[str]) -> tuple[int, list[Problem]]:
    """The sum of what the *subjects* add to the tallies, and what is wrong with their marks."""
    memos = memos_of(level, uncounted)
    total, found = 0, []
    for code, row in subjects.items():
        get = row.get
        marks = get("mark_term1"), get("mark_term2"), get("mark_year"), get("mark_retest")
        kind, memo = memos.get(code) or memo_of(memos, code, level, uncounted)
        sheet = memo.get(marks) or remembered(memo, kind, marks)
        total += sheet[0]
        if sheet[1]:
            found += [Problem(p.code, f"subjects[{code}].{p.field}", p.rule) for p in sheet[1]]
    return total, found


@lru_cache(maxsize=16)
def memos_of(level: str, uncounted: frozenset[str]) -> Memos:
    """Code → kind and memo, of the subjects of a level; filled by `memo_of`."""
    return {}


def memo_of(memos: Memos, code: str, level: str, uncounted: frozenset[str]) -> tuple[Kind, Sheets]:
    """The memo of *code*, shared by the subjects of one kind: few marks in few small memos stay at hand."""
    kind = kind_of(code, level, uncounted)
    memo = next((memo for other, memo in memos.values() if other == kind), {})
    if len(memos) < _SUBJECTS:
        memos[code] = kind, memo
    return kind, memo


@lru_cache(maxsize=1_024)
def kind_of(code: str, level: str, uncounted: frozenset[str]) -> Kind:
    """What *code* is at *level*."""
    comment = code in COMMENT[level]
    adds = _ONE[_ELECTIVE] if code in ELECTIVES_THPT else 0
    if code in COMPULSORY[level]:
        adds += _ONE[_DUE_COMMENT if comment else _DUE_SCORED]
    return comment, code not in uncounted, adds


def remembered(memo: Sheets, kind: Kind, marks: tuple[Mark, Mark, Mark, Mark]) -> Sheet:
    """The sheet of *marks*, which are not in *memo* yet."""
    if len(memo) >= _REMEMBERED:
        memo.clear()
    sheet = memo[marks] = _sheet(kind, marks)
    return sheet


def _sheet(kind: Kind, marks: tuple[Mark, Mark, Mark, Mark]) -> Sheet:
    """How one subject's marks count in each period, and what is wrong with them: the same for the same marks."""
    first, second, year, retest = marks
    tallies = zip(SHIFTS, (first, second, year), strict=True)
    adds = sum(tally(kind, mark) << shift for shift, mark in tallies) + (0 if retest is None else RETEST)
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


def tally(kind: Kind, mark: Mark) -> int:
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
def marks_of(total: int, level: str) -> Marks | None:
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
        best += max(0, ELECTIVES_DUE - counts[_ELECTIVE])
    if len(scored) + best < ENOUGH:
        return None
    passed = [True] * (counts[_PASSED] + comments) + [False] * counts[_FAILED_COMMENT]
    return [*scored, *[100] * best], passed, not comments and not best


def possible_levels(marks: Marks) -> Levels:
    """The levels that do not contradict *marks*: the plain and the adjusted one (art. 9.3), or all up to the best."""
    scored, passed, certain = marks
    best = adjusted_level(scored, passed)
    return frozenset({study_level(scored, passed), best} if certain else LEVELS[: LEVELS.index(best) + 1])


@lru_cache(maxsize=32_768)
def may_be(stated: str, total: int, level: str) -> bool | None:
    """SR-4 and SR-5: the plain level and the one adjusted by art. 9.3 are both accepted.

    None where nothing speaks against the level, but a compulsory mark is missing in a period that has marks.
    """
    marks = marks_of(total, level)
    if marks is None or total == 0:
        return True
    fits = stated in possible_levels(marks)
    return fits and (marks[2] or None)
