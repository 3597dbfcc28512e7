"""What can be said about a citizen ID without asking anyone: its form, and whether it fits birth and sex.

Twelve digits: three for the place of registration, one for century and sex, two for the birth year, six serial (NĐ
137/2015 art. 13; NĐ 70/2024 dropped the description, so the structure only warns).  A missing or unusable ID holds
the record.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from gateway.errors import Problem
from gateway.national.schema import code_lists

FIELD = "citizen_id"
Findings = tuple[Problem, ...]
_DIGITS = "0123456789" * 3
_LONGEST_DUMMY = len(_DIGITS)
DUMMIES = frozenset(
    row[start : start + length]
    for row in (_DIGITS, _DIGITS[::-1], *(digit * _LONGEST_DUMMY for digit in _DIGITS))
    for length in range(1, _LONGEST_DUMMY + 1)
    for start in range(_LONGEST_DUMMY)
)
"""Digits in a row, up or down, and one digit again and again."""
_TEACHERS = ("school_leader_citizen_id", "homeroom_teacher_citizen_id")


class Identity(NamedTuple):
    """The usable citizen ID, or a candidate that a look-up has to confirm, and what was found."""

    citizen_id: str | None
    candidate: str | None
    temporary: bool
    problems: tuple[Problem, ...]


def identify(body: dict[str, Any], temporary_code: str) -> Identity:
    """Judges the claimed ID and the pupil code of *body*."""
    held = code_problems(body, temporary_code)
    usable, candidate, problems = _claimed(body.get(FIELD))
    if usable is not None:
        problems = contradictions(usable[:6], body.get("gender"), birth_text(body)[:4])
    return Identity(usable, candidate, bool(held), (*held, *problems) if held or problems else ())


def code_problems(body: dict[str, Any], temporary_code: str) -> list[Problem]:
    """DQ-24: a temporary pupil code waits for its official one."""
    temporary = temporary_code and (body.get("pupil_code") or "").startswith(temporary_code)
    return [Problem("DQ-24", "pupil_code")] if temporary else []


def _claimed(claimed: str | None) -> tuple[str | None, str | None, Findings]:
    if claimed is None:
        return None, None, (Problem("DQ-18", FIELD),)
    digits = claimed.isascii() and claimed.isdigit()
    if digits and len(claimed) >= 9 and _is_dummy(claimed):
        return None, None, (Problem("DQ-22", FIELD),)
    if digits and len(claimed) == 12:
        return claimed, None, ()
    if digits and len(claimed) in {10, 11}:
        return None, claimed.zfill(12), (Problem("DQ-19", FIELD),)
    if digits and len(claimed) == 9:
        return None, None, (Problem("DQ-20", FIELD), Problem("DQ-18", FIELD))
    return None, None, (Problem("DQ-18", FIELD),)


def _is_dummy(digits: str) -> bool:
    return digits in DUMMIES or (len(digits) > _LONGEST_DUMMY and len(set(digits)) == 1)


@lru_cache(maxsize=16_384)
def contradictions(start: str, gender: str | None, year: str) -> Findings:
    """DQ-21: unknown prefix, sex, century and birth year against the first six of the twelve digits."""
    found = []
    if start[:3] not in code_lists()["citizen_id_prefix"]:
        found.append(Problem("DQ-21", FIELD))
    mark = int(start[3])
    if gender in {"1", "2"} and mark % 2 != int(gender) - 1:
        found.append(Problem("DQ-21", "gender"))
    if year and (mark // 2 + 19 != int(year[:2]) or start[4:6] != year[2:]):
        found.append(Problem("DQ-21", "birth_date"))
    return tuple(found)


def birth_text(body: dict[str, Any]) -> str:
    """The birth date as precise as it is known: YYYY-MM-DD, YYYY-MM or YYYY; empty when unknown."""
    day = body.get("birth_date")
    if day is not None:
        return str(day.isoformat())
    return body.get("birth_year_month") or body.get("birth_year") or ""


def staff_problems(body: dict[str, Any], rows: list[dict[str, Any]]) -> list[Problem]:
    """DQ-21 for teachers and leaders whose ID has not twelve digits."""
    leader, homeroom = _TEACHERS
    staff = {body.get(leader), body.get(homeroom)}
    staff.update([row.get("subject_teacher_citizen_id") for row in rows])
    if not any(map(is_malformed, staff)):
        return []
    found = [Problem("DQ-21", field) for field in _TEACHERS if is_malformed(body.get(field))]
    wrong = [row.get("subject_code") for row in rows if is_malformed(row.get("subject_teacher_citizen_id"))]
    return found + [Problem("DQ-21", f"subjects[{code}].subject_teacher_citizen_id") for code in wrong]


@lru_cache(maxsize=8_192)
def is_malformed(value: str | None) -> bool:
    """Whether a citizen ID of the staff is there and has not twelve digits."""
    return value is not None and not (len(value) == 12 and value.isascii() and value.isdigit())
