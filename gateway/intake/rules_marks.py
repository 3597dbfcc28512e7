"""The arithmetic of secondary marks in tenths, whole numbers: averages, and the study level (SR-1, SR-2, SR-4, SR-5).

``7.5`` is 75.  One decimal, half up (the rounding mode is our assumption), never a binary float.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.errors import Problem

TENTHS = {f"{tenths // 10}.{tenths % 10}": tenths for tenths in range(101)}
TEXTS = tuple(TENTHS)
_RANK = {"CĐ": 0, "Đ": 1, "K": 2, "T": 3}
LEVELS = ("CĐ", "Đ", "K", "T")
_ENOUGH = 6

REGULAR = {term: tuple(f"regular_{place}_{term}" for place in range(1, 5)) for term in ("term1", "term2")}
COMPONENTS = (
    *REGULAR["term1"], "midterm_term1", "final_term1",
    *REGULAR["term2"], "midterm_term2", "final_term2",
    "periods_a_year",
)  # fmt: skip
"""What a subject row may carry besides the national fields, for SR-1 only; it does not go into the record."""


def take_components(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Takes the component marks out of subject *rows*: subject code → name → mark."""
    taken: dict[str, dict[str, Any]] = {}
    for row in rows:
        parts = {name: row.pop(name) for name in COMPONENTS if name in row}
        code = row.get("subject_code")
        if code is not None and any(part is not None for part in parts.values()):
            taken[code] = parts
    return taken


def rounded(numerator: int, denominator: int) -> int:
    """The quotient as a whole number, half up; for numbers that are not negative."""
    return (2 * numerator + denominator) // (2 * denominator)


def expected_term(regular: Sequence[int], middle: int, final: int) -> str:
    """The term average of marks in tenths: (Σ regular + 2 × mid-term + 3 × final) / (n + 5) (SR-1)."""
    return TEXTS[rounded(sum(regular) + 2 * middle + 3 * final, len(regular) + 5)]


def expected_year(first: str | None, second: str | None) -> str | None:
    """The year average (term 1 + 2 × term 2) / 3, one decimal, half up (SR-2); None without two marks."""
    one, two = TENTHS.get(first or ""), TENTHS.get(second or "")
    if one is None or two is None:
        return None
    return TEXTS[(2 * (one + 2 * two) + 3) // 6]


def regular_marks_due(periods_a_year: int) -> int:
    """How many regular marks a term has (TT 22/2021 art. 6): 2, 3 or 4 up to 35, up to 70, over 70 periods a year."""
    return 2 if periods_a_year <= 35 else 3 if periods_a_year <= 70 else 4


def component_problems(
    subjects: Mapping[str, Mapping[str, Any]], components: Mapping[str, Mapping[str, Any]]
) -> list[Problem]:
    """DQ-37 (SR-1) where a term mark is not the average of the component marks the vendor sends beside it."""
    found: list[Problem] = []
    for code, parts in components.items():
        row = subjects.get(code, {})
        for term, names in REGULAR.items():
            regular = [TENTHS[parts[name]] for name in names if parts.get(name) in TENTHS]
            found += _term_problems(code, term, regular, (row, parts))
    return found


def _term_problems(
    code: str, term: str, regular: list[int], given: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> list[Problem]:
    row, parts = given
    found = []
    periods, stated = parts.get("periods_a_year"), row.get(f"mark_{term}")
    if regular and periods is not None and len(regular) != regular_marks_due(int(periods)):
        found.append(Problem("DQ-37", f"subjects[{code}].regular_1_{term}", "SR-1"))
    middle, final = TENTHS.get(parts.get(f"midterm_{term}") or ""), TENTHS.get(parts.get(f"final_{term}") or "")
    if len(regular) < 2 or middle is None or final is None or stated not in TENTHS:
        return found
    if stated != expected_term(regular, middle, final):
        found.append(Problem("DQ-37", f"subjects[{code}].mark_{term}", "SR-1"))
    return found


def study_level(scored: Sequence[int], passed: Sequence[bool]) -> str:
    """T, K, Đ or CĐ by SR-4 (art. 9.2)."""
    failed = passed.count(False)
    lowest = min(scored, default=100)
    if failed == 0 and lowest >= 65 and _enough(scored, 80):
        return "T"
    if failed == 0 and lowest >= 50 and _enough(scored, 65):
        return "K"
    return "Đ" if failed <= 1 and lowest >= 35 and _enough(scored, 50) else "CĐ"


def _enough(scored: Sequence[int], tenths: int) -> bool:
    return sum(mark >= tenths for mark in scored) >= _ENOUGH


def adjusted_level(scored: Sequence[int], passed: Sequence[bool]) -> str:
    """The level after art. 9.3 (SR-5): one step up when a single subject costs two levels or more from T or K."""
    plain = study_level(scored, passed)
    best = plain
    for index in range(len(scored)):
        best = max(best, study_level([*scored[:index], 100, *scored[index + 1 :]], passed), key=_RANK.__getitem__)
    if False in passed:
        index = passed.index(False)
        best = max(best, study_level(scored, [*passed[:index], True, *passed[index + 1 :]]), key=_RANK.__getitem__)
    return LEVELS[_RANK[plain] + 1] if _RANK[best] - _RANK[plain] >= 2 else plain
