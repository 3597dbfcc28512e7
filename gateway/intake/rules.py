"""All rules over one mapped record: every finding, each with its catalogue code; nothing is corrected here.

Assessment rules (PR, SR) are summaries of a circular and only warn: the school answers for a signed record.  A
record of a year before its grade's switch to TT 27 or TT 22 is not judged by them.  Rules that need a missing mark
say nothing.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.errors import Problem
from gateway.intake import rules_primary, rules_secondary
from gateway.intake.rules_identity import Identity
from gateway.national.schema import Level, level_of

Body = dict[str, Any]

SWITCH: dict[str, int] = {
    "01": 2020, "02": 2021, "03": 2022, "04": 2023, "05": 2024,
    "06": 2021, "07": 2022, "10": 2022, "08": 2023, "11": 2023, "09": 2024, "12": 2024,
}  # fmt: skip
"""Grade → first school year (its first half) under TT 27 or TT 22 (TT 32/2018 roll-out)."""

_LEVEL_OF_GRADE = {f"{g:02d}": "02" if g <= 5 else "03" if g <= 9 else "04" for g in range(1, 13)}
_CIRCULAR_OF_LEVEL = {"02": "27", "03": "22", "04": "22"}
_DISTRICT_WORDS = ("huyện ", "quận ", "thị xã ")
_ADDRESSES = ("birthplace_address", "hometown_address", "residence_address")
_NO_DISTRICTS_SINCE = 2025
_SERIOUS_DRIFT = timedelta(days=1)


def judge(body: Body, facts: Body, identity: Identity, level: Level, refused: frozenset[str]) -> list[Problem]:
    """Findings of the rules; *refused* are the fields that have no value because theirs was refused."""
    found = list(identity.problems)
    fit = _fit(body, level)
    found += fit
    found += _names(body)
    found += _districts(body)
    if fit or body.get("education_level") is None or not is_current(body):
        return found
    if level == "primary":
        return found + rules_primary.judge(body, refused)
    return found + rules_secondary.judge(body, facts, refused)


def is_current(body: Body) -> bool:
    """Whether the record falls under the circulars the rules are from."""
    year, switch = body.get("school_year"), SWITCH.get(body.get("grade_code") or "")
    return year is not None and switch is not None and int(year[:4]) >= switch


def time_problems(occurred_at_ms: int, school_year: str, published_ms: int) -> list[Problem]:
    """DQ-51: a business time after publication, or before the school year began."""
    occurred = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=occurred_at_ms)
    published = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=published_ms)
    start = datetime(int(school_year[:4]), 7, 1, tzinfo=UTC) if school_year[:4] > "0000" else occurred
    return [Problem("DQ-51", "updated_at")] if occurred > published + _SERIOUS_DRIFT or occurred < start else []


def _fit(body: Body, resource: Level) -> list[Problem]:
    """DQ-49: resource, grade, level and circular fit together (PR-12, SR-11)."""
    level, grade, circular = body.get("education_level"), body.get("grade_code"), body.get("circular")
    rule = "PR-12" if resource == "primary" else "SR-11"
    if level is not None and level_of(level) != resource:
        return [Problem("DQ-49", "education_level", rule)]
    if level is None or grade is None:
        return []
    if _LEVEL_OF_GRADE.get(grade) != level:
        return [Problem("DQ-49", "grade_code", rule)]
    if circular is not None and is_current(body) and circular != _CIRCULAR_OF_LEVEL[level]:
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
    for field in _ADDRESSES:
        text = (body.get(field) or "").casefold()
        if any(word in text for word in _DISTRICT_WORDS):
            found.append(Problem("DQ-29", field))
    return found
