"""TT 22/2021 written down once more, slowly and word by word, against the rules that intake uses."""

from fractions import Fraction
from math import floor
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.intake.rules_marks import TENTHS, adjusted_level, expected_term, expected_year, study_level
from gateway.intake.rules_options import COUNT_OPTIONAL, USUAL
from gateway.intake.rules_secondary import judge
from gateway.intake.rules_tallies import possible_levels

MARK = st.sampled_from(sorted(TENTHS, key=TENTHS.__getitem__))
EDGES = [0, 34, 35, 49, 50, 64, 65, 79, 80, 100]
SCORED = st.lists(st.sampled_from(EDGES) | st.integers(0, 100), min_size=6, max_size=10)
PASSED = st.lists(st.booleans() | st.just(True), min_size=1, max_size=5)
LEVELS = ["CĐ", "Đ", "K", "T"]


def half_up(exact: Fraction) -> str:
    """*exact* with one decimal, half up."""
    tenths = floor(exact * 10 + Fraction(1, 2))
    return f"{tenths // 10}.{tenths % 10}"


@given(MARK, MARK)
def test_the_year_average_is_the_exact_fraction_rounded_half_up(first: str, second: str) -> None:
    assert expected_year(first, second) == half_up((Fraction(first) + 2 * Fraction(second)) / 3)


@given(st.lists(MARK, min_size=2, max_size=4), MARK, MARK)
def test_the_term_average_is_the_exact_fraction_rounded_half_up(regular: list[str], middle: str, final: str) -> None:
    exact = (sum(map(Fraction, regular)) + 2 * Fraction(middle) + 3 * Fraction(final)) / (len(regular) + 5)

    assert expected_term([TENTHS[mark] for mark in regular], TENTHS[middle], TENTHS[final]) == half_up(exact)


def good(scored: list[Fraction], passed: list[bool]) -> bool:
    """Art. 9.2a, mức Tốt: tất cả các môn nhận xét Đạt; tất cả các môn cho điểm từ 6,5; ít nhất 06 môn từ 8,0."""
    return all(passed) and all(m >= Fraction("6.5") for m in scored) and sum(m >= 8 for m in scored) >= 6


def fair(scored: list[Fraction], passed: list[bool]) -> bool:
    """Art. 9.2b, mức Khá: tất cả các môn nhận xét Đạt; tất cả từ 5,0; ít nhất 06 môn từ 6,5."""
    return all(passed) and all(m >= 5 for m in scored) and sum(m >= Fraction("6.5") for m in scored) >= 6


def pass_level(scored: list[Fraction], passed: list[bool]) -> bool:
    """Art. 9.2c, mức Đạt: nhiều nhất 01 môn nhận xét Chưa đạt; ít nhất 06 môn từ 5,0; không có môn dưới 3,5."""
    few = sum(not one for one in passed) <= 1
    return few and sum(m >= 5 for m in scored) >= 6 and not any(m < Fraction("3.5") for m in scored)


def literal_level(scored: list[Fraction], passed: list[bool]) -> str:
    for name, holds in (("T", good), ("K", fair), ("Đ", pass_level)):
        if holds(scored, passed):
            return name
    return "CĐ"


def literal_adjusted(scored: list[Fraction], passed: list[bool]) -> str:
    """Art. 9.3: only because of one single subject two levels or more below T or K: one level up."""
    plain = LEVELS.index(literal_level(scored, passed))
    without = [literal_level([*scored[:i], Fraction(10), *scored[i + 1 :]], passed) for i in range(len(scored))]
    without += [literal_level(scored, [*passed[:i], True, *passed[i + 1 :]]) for i in range(len(passed))]
    dragged = any(level in {"T", "K"} and LEVELS.index(level) - plain >= 2 for level in without)
    return LEVELS[plain + 1] if dragged else LEVELS[plain]


@given(SCORED, PASSED)
def test_the_study_level_is_the_circulars(scored: list[int], passed: list[bool]) -> None:
    marks = [Fraction(mark, 10) for mark in scored]

    assert study_level(scored, passed) == literal_level(marks, passed)
    assert adjusted_level(scored, passed) == literal_adjusted(marks, passed)


@given(SCORED, PASSED, st.lists(st.integers(0, 100), max_size=3), st.lists(st.booleans(), max_size=2))
def test_whatever_the_missing_marks_are_the_true_level_is_among_the_possible_ones(
    scored: list[int], passed: list[bool], unknown: list[int], unknown_passed: list[bool]
) -> None:
    assumed = [*scored, *[100] * len(unknown)], [*passed, *[True] * len(unknown_passed)], False
    true = [*scored, *unknown], [*passed, *unknown_passed]

    assert {study_level(*true), adjusted_level(*true)} <= possible_levels(assumed)


CODES = {
    "03": ["19", "15", "69", "26", "05", "66", "27", "32", "88", "97", "91", "99"],
    "04": ["19", "15", "69", "40", "47", "88", "91", "99"],
}
ELECTIVES = ["41", "100", "35", "36", "37", "46", "38", "29", "30"]
OPTIONAL = ["14", "31", "70"]
COMMENT = {"03": {"88", "97", "99", "91"}, "04": {"88", "29", "30", "99", "91"}}
PERIODS = ["term1", "term2", "year"]


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A body of level 03 or 04: mostly complete, marks near the edges, some exempt, some missing."""
    level = draw(st.sampled_from(["03", "04"]))
    centre = draw(st.sampled_from(EDGES))
    codes = [*CODES[level], *draw(st.lists(st.sampled_from(OPTIONAL), unique=True, max_size=2))]
    if level == "04":
        codes += draw(st.lists(st.sampled_from(ELECTIVES), unique=True, min_size=3, max_size=5))
    gone = draw(st.lists(st.sampled_from(codes), max_size=2))
    rows = []
    for code in codes:
        row: dict[str, Any] = {"subject_code": code}
        for period in PERIODS:
            word = st.sampled_from(["Đ", "Đ", "Đ", "Đ", "CĐ"]) if code in COMMENT[level] else st.none()
            tenths = draw(st.integers(centre, 100) | st.sampled_from(EDGES))
            mark = draw(word) or f"{tenths // 10}.{tenths % 10}"
            row[f"mark_{period}"] = draw(st.sampled_from([mark] * 12 + ["M"] + [None] * (code in gone)))
        rows.append(row)
    results = {f"study_result_{period}": draw(st.sampled_from(LEVELS)) for period in PERIODS}
    return {"education_level": level, "disability_not_assessed": False, "results": results | {"subjects": rows}}


def literal_possible(body: dict[str, Any], period: str, *, count_optional: bool) -> set[str]:
    """The levels that the marks of a period allow, read row by row; all of them where nothing can be said."""
    level, rows = body["education_level"], body["results"]["subjects"]
    marks = {row["subject_code"]: row[f"mark_{period}"] for row in rows}
    missing = [code for code in CODES[level] if marks.get(code) is None]
    chosen = [code for code in ELECTIVES if level == "04" and marks.get(code) is not None]
    unknown = len([code for code in missing if code not in COMMENT[level]])
    unknown += max(0, 4 - len(chosen)) if level == "04" else 0
    counted = {c: m for c, m in marks.items() if m not in {None, "M"} and (count_optional or c not in OPTIONAL)}
    scored = [Fraction(m) for m in counted.values() if m not in {"Đ", "CĐ"}]
    passed = [m == "Đ" for m in counted.values() if m in {"Đ", "CĐ"}]
    if len(scored) + unknown < 6:
        return set(LEVELS)
    scored += [Fraction(10)] * unknown
    passed += [True] * (len(missing) - len([code for code in missing if code not in COMMENT[level]]))
    best = literal_adjusted(scored, passed)
    certain = not missing and not unknown
    return {literal_level(scored, passed), best} if certain else set(LEVELS[: LEVELS.index(best) + 1])


@given(records(), st.booleans())
def test_a_stated_level_is_found_exactly_where_the_marks_do_not_allow_it(
    body: dict[str, Any],
    count_optional: bool,
) -> None:
    options = COUNT_OPTIONAL if count_optional else USUAL
    found = {problem.field for problem in judge(body, {}, frozenset(), options) if problem.rule == "SR-4"}

    wrong = {
        f"study_result_{period}"
        for period in PERIODS
        if body["results"][f"study_result_{period}"]
        not in literal_possible(body, period, count_optional=count_optional)
    }
    assert found == wrong
