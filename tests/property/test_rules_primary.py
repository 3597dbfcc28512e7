"""TT 27/2020 art. 9 written down once more, word by word, against the rules that intake uses."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.intake.rules_primary import (
    COMPULSORY,
    GENERAL,
    LATER,
    QUALITIES,
    SPECIFIC,
    TESTED,
    expected_overall,
)

TRAITS = (*GENERAL, *SPECIFIC, *QUALITIES)
MOSTLY_T = st.sampled_from("TTTTTTTTTTTTHCM")


@st.composite
def years(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, dict[str, Any]]]:
    """A grade, its traits and its subject rows, complete."""
    grade = draw(st.sampled_from(sorted(COMPULSORY)))
    trait = st.sampled_from("TTTTTTTTTTTTĐC")
    lowest = draw(st.integers(3, 10))
    results: dict[str, Any] = {name: draw(trait) for name in TRAITS}
    if grade >= "03":
        results |= {name: draw(trait | st.none()) for name in LATER}
    rows: dict[str, dict[str, Any]] = {}
    for code in sorted(COMPULSORY[grade]):
        level = draw(MOSTLY_T)
        mark = "M" if level == "M" else str(draw(st.integers(lowest, 10)))
        rows[code] = {"achievement_level": level, "periodic_test_mark": mark if code in TESTED[grade] else None}
    return grade, results, rows


def literal(results: dict[str, Any], rows: dict[str, dict[str, Any]]) -> str:
    """Art. 9.2: HTXS, HTT, HT, and CHT in all other cases; exempt subjects are left out."""
    levels = [row["achievement_level"] for row in rows.values() if row["achievement_level"] != "M"]
    traits = [value for value in results.values() if value is not None]
    tests = [int(row["periodic_test_mark"]) for row in rows.values() if row["periodic_test_mark"] not in {None, "M"}]
    all_good = all(level == "T" for level in levels) and all(trait == "T" for trait in traits)
    if all_good and all(test >= 9 for test in tests):
        return "HTXS"
    if all_good and all(test >= 7 for test in tests):
        return "HTT"
    fair = all(level in {"T", "H"} for level in levels) and all(trait in {"T", "Đ"} for trait in traits)
    return "HT" if fair and all(test >= 5 for test in tests) else "CHT"


@given(years())
def test_the_overall_result_is_the_circulars(year: tuple[str, dict[str, Any], dict[str, dict[str, Any]]]) -> None:
    grade, results, rows = year

    assert expected_overall(results, rows, grade) == literal(results, rows)
