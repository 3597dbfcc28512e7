"""All rules over one mapped record: every finding, each with its catalogue code; nothing is corrected here.

Assessment rules (PR, SR) are summaries of a circular and only warn: the school answers for a signed record.  Which
circular judges a record follows from its grade and school year (``gateway/rules.yaml``), so an old record is never
judged by a new rule.  Rules that need a missing mark say nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from gateway.errors import Circular, Problem, Rulebook, rulebook
from gateway.intake import rules_primary, rules_secondary
from gateway.intake.rules_identity import Identity, birth_text
from gateway.intake.rules_lists import changing_fields, list_problems
from gateway.intake.rules_options import USUAL, Options
from gateway.national.schema import Level, level_of

Body = dict[str, Any]
Judge = Callable[[Body, Body, frozenset[str], Options], list[Problem]]

JUDGES: Mapping[str, Judge] = {"27": rules_primary.judge, "22": rules_secondary.judge}
"""Circular → its rules; another circular in rules.yaml needs its own function here."""

_LEVEL_OF_GRADE = {f"{g:02d}": "02" if g <= 5 else "03" if g <= 9 else "04" for g in range(1, 13)}
_DISTRICT_WORDS = (_DISTRICT, _QUARTER, _TOWN) = ("huyện ", "quận ", "thị xã ")
_ADDRESSES = (_BIRTHPLACE, _HOMETOWN, _RESIDENCE) = ("birthplace_address", "hometown_address", "residence_address")
_NO_DISTRICTS_SINCE = 2025
_MILLISECOND = timedelta(milliseconds=1)
DAY_MS = 86_400_000
VIETNAM_MS = 7 * 3_600_000
_FIRST_DAY = date(1970, 1, 1).toordinal()
CLOCK_DRIFT_MS = 300_000
"""How far a clock may be ahead of ours; our assumption."""
_AFTER_YEAR = "after_year"
_LEVELS = frozenset(
    f"{kind}_result_{period}"
    for kind in ("study", "conduct")
    for period in ("term1", "term2", "year", "after_retest", "after_summer")
)
_BIRTHS = ("birth_date", "birth_year_month", "birth_year")


@dataclass(frozen=True, slots=True)
class InForce:
    """The circular that judges a grade in a school year, and those of its rules that do not hold in that year."""

    circular: str
    dormant: frozenset[str]


def judge(
    body: Body, facts: Body, identity: Identity, level: Level, refused: frozenset[str], options: Options = USUAL
) -> list[Problem]:
    """Findings of the rules; *refused* are the fields that have no value because theirs was refused."""
    found = list(identity.problems)
    force = circular_of(body)
    fit = _fit(body, level, force)
    found += fit
    found += names(body)
    found += districts(body)
    found += _birth(body)
    found += list_problems(body, level)
    if facts:
        found += rules_secondary.count_problems(body["results"], facts)
    if fit or force is None or body.get("education_level") is None:
        return found
    judged = JUDGES[force.circular](body, facts, refused, options)
    if force.dormant:
        judged = [problem for problem in judged if problem.rule not in force.dormant]
    return found + judged


def told_once(found: list[Problem], judged: list[Problem], body: Body) -> list[Problem]:
    """*found* in mapping and *judged*, without what the rules say better of the same field."""
    levels = {problem.field for problem in judged if problem.code == "DQ-36"}
    if levels:
        found = [problem for problem in found if problem.code != "DQ-33" or problem.field not in levels]
    if _is_of_an_earlier_circular(body):  # its levels have other words: never judged by the new list
        found = [
            Problem("DQ-49", problem.field, "before_switch")
            if problem.code == "DQ-11" and problem.field in _LEVELS
            else problem
            for problem in found
        ]
    return found + judged


def _is_of_an_earlier_circular(body: Body) -> bool:
    year, grade = body.get("school_year"), body.get("grade_code")
    if year is None or grade is None or circular_of(body) is not None:
        return False
    return body.get("circular") in (_earlier(body.get("education_level") or "", grade, int(year[:4])) or ())


def circular_of(body: Body) -> InForce | None:
    """What judges *body*; None before its grade's switch to TT 27 or TT 22, or where grade or year is missing."""
    year = body.get("school_year")
    return None if year is None else _current(body.get("grade_code") or "", int(year[:4]))


@lru_cache(maxsize=1_024)
def _current(grade: str, year: int) -> InForce | None:
    return in_force(rulebook(), grade, year)


def in_force(book: Rulebook, grade: str, year: int) -> InForce | None:
    """The circular of *book* that governs *grade* in the school year beginning in *year*; the newest if several do."""
    found = [circular for circular in book.circulars if _governs(circular, grade, year)]
    if not found:
        return None
    newest = max(found, key=lambda circular: circular.since[grade])
    dormant = (
        rule.rule
        for rule in book.rules
        if rule.circular == newest.circular
        and not (rule.since or 0) <= year <= (9999 if rule.until is None else rule.until)
    )
    return InForce(newest.circular, frozenset(dormant))


def _governs(circular: Circular, grade: str, year: int) -> bool:
    return grade in circular.since and circular.since[grade] <= year <= circular.until.get(grade, 9999)


@lru_cache(maxsize=256)
def _earlier(level: str, grade: str, year: int) -> tuple[str, ...] | None:
    """The circulars that a record of *grade* may state for *year*, before the grade's switch; None where any may be."""
    book = rulebook()
    first = min((circular.since[grade] for circular in book.circulars if grade in circular.since), default=0)
    if year >= first:
        return None
    return tuple(one.circular for one in book.earlier if level in one.levels and one.since <= year)


def time_problems(occurred_at_ms: int, school_year: str, published_ms: int) -> list[Problem]:
    """DQ-51: a business time after publication, before the school year began (1 July) or after it ended (31 August).

    A correction of a later year is lawful: its text says so.
    """
    start, end = year_ms(school_year)
    if start <= occurred_at_ms < end and occurred_at_ms <= published_ms + CLOCK_DRIFT_MS:
        return []
    late = end <= occurred_at_ms <= published_ms + CLOCK_DRIFT_MS
    return [Problem("DQ-51", "occurred_at", _AFTER_YEAR if late else "")]


def issue_problems(issued: date, school_year: str, published_ms: int) -> list[Problem]:
    """DQ-51: a day of issue before the school year began, or after publication; a late issue is lawful."""
    return [] if year_ms(school_year)[0] <= first_ms(issued) <= published_ms else [Problem("DQ-51", "issue_date")]


def first_ms(day: date) -> int:
    """The first moment of *day* in Vietnam, in milliseconds since 1970 UTC."""
    return (day.toordinal() - _FIRST_DAY) * DAY_MS - VIETNAM_MS


@lru_cache(maxsize=256)
def year_ms(school_year: str) -> tuple[int, int]:
    """From 1 July of the first of its years to 31 August of the next, in Vietnam; the end is the first moment after."""
    first = int(school_year[:4])
    start = datetime(first, 7, 1, tzinfo=UTC) if first else None
    end = datetime(min(first + 1, 9999), 9, 1, tzinfo=UTC)
    return -(10**16) if start is None else _ms(start), _ms(end)


def _ms(moment: datetime) -> int:
    """Of the same reading of a clock in Vietnam."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND - VIETNAM_MS


def _birth(body: Body) -> list[Problem]:
    """DQ-14: nobody has results of a school year and is born after it."""
    year, day = body.get("school_year"), body.get("birth_date")
    if year is None or (day is not None and day.year <= int(year[:4])):  # nearly everybody
        return []
    if birth_text(body) <= f"{int(year[:4]) + 1:04d}-08-31":
        return []
    return [Problem("DQ-14", next(field for field in _BIRTHS if body.get(field)), _AFTER_YEAR)]


def _fit(body: Body, resource: Level, force: InForce | None) -> list[Problem]:
    """DQ-49: resource, grade, level and circular fit together (PR-12, SR-11)."""
    level, grade, circular = body.get("education_level"), body.get("grade_code"), body.get("circular")
    rule = "PR-12" if resource == "primary" else "SR-11"
    if level is not None and level_of(level) != resource:
        return [Problem("DQ-49", "education_level", rule)]
    if level is None or grade is None:
        return []
    if _LEVEL_OF_GRADE.get(grade) != level:
        return [Problem("DQ-49", "grade_code", rule)]
    if circular is None or _is_of_its_year(body, force):
        return []
    return [Problem("DQ-49", "circular", rule)]


def frame_of(body: Body, resource: Level) -> InForce | None:
    """What judges a record whose grade, level, circular and year fit together; None for any other, and where a list of
    its codes has several editions.
    """
    force = circular_of(body)
    return None if force is None or _fit(body, resource, force) or changing_fields(resource) else force


def _is_of_its_year(body: Body, force: InForce | None) -> bool:
    """Whether the stated circular is in force for grade and year; before the switch, an earlier one that is known."""
    stated, level, year = body["circular"], body["education_level"], body.get("school_year")
    if force is not None:
        return bool(stated == force.circular)
    earlier = None if year is None else _earlier(level, body["grade_code"], int(year[:4]))
    if earlier is None or stated in earlier:
        return True
    return not earlier and all(stated != one.circular for one in rulebook().circulars if level in one.levels)


def names(body: Body) -> list[Problem]:
    """DQ-04: a Vietnamese name that lost its diacritics or its case."""
    name = body.get("full_name")
    if name is None or body.get("nationality") != "VN":
        return []
    return [Problem("DQ-04", "full_name")] if name.isascii() or name.isupper() or name.islower() else []


def districts(body: Body) -> list[Problem]:
    """DQ-29: districts ended on 1/7/2025 (NQ 202/2025/QH15)."""
    year = body.get("school_year")
    if year is None or int(year[:4]) < _NO_DISTRICTS_SINCE:
        return []
    found = [Problem("DQ-29", "district_name")] if body.get("district_name") else []
    get = body.get
    every = f"{get(_BIRTHPLACE) or ''}\n{get(_HOMETOWN) or ''}\n{get(_RESIDENCE) or ''}".casefold()
    if _DISTRICT not in every and _QUARTER not in every and _TOWN not in every:
        return found
    for field in _ADDRESSES:
        text = (body.get(field) or "").casefold()
        if any(word in text for word in _DISTRICT_WORDS):
            found.append(Problem("DQ-29", field))
    return found
