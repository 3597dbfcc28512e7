"""All rules over one mapped record: every finding, each with its catalogue code; nothing is corrected here.

Assessment rules (PR, SR) are summaries of a circular and only warn: the school answers for a signed record.  Which
circular judges a record follows from its grade and school year (``gateway/rules.yaml``), so an old record is never
judged by a new rule.  Rules that need a missing mark say nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from gateway.errors import Circular, Problem, Rulebook, rulebook
from gateway.intake import rules_primary, rules_secondary
from gateway.intake.rules_identity import Identity
from gateway.intake.rules_lists import list_problems
from gateway.intake.rules_options import USUAL, Options
from gateway.national.schema import Level, level_of

Body = dict[str, Any]
Judge = Callable[[Body, Body, frozenset[str], Options], list[Problem]]

JUDGES: Mapping[str, Judge] = {"27": rules_primary.judge, "22": rules_secondary.judge}
"""Circular → its rules; another circular in rules.yaml needs its own function here."""

_LEVEL_OF_GRADE = {f"{g:02d}": "02" if g <= 5 else "03" if g <= 9 else "04" for g in range(1, 13)}
_DISTRICT_WORDS = ("huyện ", "quận ", "thị xã ")
_ADDRESSES = ("birthplace_address", "hometown_address", "residence_address")
_NO_DISTRICTS_SINCE = 2025
_MILLISECOND = timedelta(milliseconds=1)
_SERIOUS_DRIFT_MS = 86_400_000


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
    found += _names(body)
    found += _districts(body)
    found += list_problems(body, level)
    if fit or force is None or body.get("education_level") is None:
        return found
    judged = JUDGES[force.circular](body, facts, refused, options)
    if force.dormant:
        judged = [problem for problem in judged if problem.rule not in force.dormant]
    return found + judged


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


def time_problems(occurred_at_ms: int, school_year: str, published_ms: int) -> list[Problem]:
    """DQ-51: a business time after publication, or before the school year began."""
    if _start_ms(school_year) <= occurred_at_ms <= published_ms + _SERIOUS_DRIFT_MS:
        return []
    return [Problem("DQ-51", "updated_at")]


@lru_cache(maxsize=256)
def _start_ms(school_year: str) -> int:
    """1 July of the first of its years; the year 0 begins before every moment."""
    if school_year[:4] == "0000":
        return -(10**16)
    return (datetime(int(school_year[:4]), 7, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND


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
    if circular is not None and force is not None and circular != force.circular:
        return [Problem("DQ-49", "circular", rule)]
    return []


def _names(body: Body) -> list[Problem]:
    """DQ-04: a Vietnamese name that lost its diacritics or its case."""
    name = body.get("full_name")
    if name is None or body.get("nationality") != "VN":
        return []
    return [Problem("DQ-04", "full_name")] if name.isascii() or name.isupper() or name.islower() else []


def _districts(body: Body) -> list[Problem]:
    """DQ-29: districts ended on 1/7/2025 (NQ 202/2025/QH15)."""
    year = body.get("school_year")
    if year is None or int(year[:4]) < _NO_DISTRICTS_SINCE:
        return []
    found = [Problem("DQ-29", "district_name")] if body.get("district_name") else []
    every = "\n".join([body.get(field) or "" for field in _ADDRESSES]).casefold()
    if not any(word in every for word in _DISTRICT_WORDS):
        return found
    for field in _ADDRESSES:
        text = (body.get(field) or "").casefold()
        if any(word in text for word in _DISTRICT_WORDS):
            found.append(Problem("DQ-29", field))
    return found
