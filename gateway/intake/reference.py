"""Dated tables: which school, class, commune and province codes and names became which; pure look-ups over one record.

    provinces    bundled official lists (province_old_to_new, province_new), in force since 1/7/2025
    communes     an installation's ``communes.csv``   old_code, old_name, new_code, new_name, since
    schools      ``schools.csv``                      old_code, new_code, since
    classes      ``classes.csv``                      school_code, school_year, class_name, written_as

What a table knows is normalised with a warning (DQ-28, DQ-29); what it does not know is left as the vendor wrote it.
A table holds from its day on, and the day of a record is that of its business change.  Signed bytes are never touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import Any

from gateway.errors import Problem
from gateway.intake.values import folded
from gateway.national.schema import code_lists

Body = dict[str, Any]

NEW_PROVINCES_SINCE = date(2025, 7, 1)
"""NQ 202/2025/QH15, QĐ 19/2025/QĐ-TTg."""
RENUMBERED = "CV-6165"
"""As the rule of a DQ-28: the school's code was replaced by table (CV 6165/BGDĐT-GDPT), not refused."""
CLASS_TABLE = "class-table"
"""As the rule of a DQ-28: the class was written in another way and brought to its name."""

_COMMUNES = (
    ("school_commune_code", "school_commune_name"),
    ("birthplace_commune_code", ""),
    ("hometown_commune_code", ""),
    ("residence_commune_code", ""),
)
_PREFIXES = ("tinh ", "thanh pho ", "tp. ", "tp ")


@dataclass(frozen=True, slots=True)
class Successor:
    """The code that took another one's place, and since when."""

    code: str
    since: date


@dataclass(frozen=True, slots=True)
class Commune:
    """What became of an old commune."""

    old_name: str
    new_code: str
    new_name: str
    since: date


@dataclass(frozen=True, slots=True)
class Reference:
    """The dated tables of an installation; empty ones know nothing and find nothing."""

    schools: Mapping[str, Successor] = field(default_factory=dict)
    classes: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """(school code, school year) → class name in comparison form → the class's name."""
    communes: Mapping[str, Commune] = field(default_factory=dict)


NO_TABLES = Reference()


def day_of(moment_ms: int) -> date:
    """The day in Vietnam (+07:00) of a moment in milliseconds since 1970 UTC."""
    return _day((moment_ms + 25_200_000) // 86_400_000)


@lru_cache(maxsize=1_024)
def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)


def school_on(tables: Reference, code: str, day: date) -> str:
    """The school code that *code* has become by *day*; the loader saw to it that no chain runs in a circle."""
    successor = tables.schools.get(code)
    while successor is not None and successor.since <= day:
        code = successor.code
        successor = tables.schools.get(code)
    return code


def settle(body: Body, tables: Reference, day: date) -> list[Problem]:
    """Brings places and class of *body* to the names and codes of *day*; a finding for each that was old or unknown."""
    found = _provinces(body) if day >= NEW_PROVINCES_SINCE else []
    if tables.communes:
        found += _communes(body, tables.communes, day)
    if tables.classes:
        found += _class(body, tables.classes)
    return found


def is_settled(body: Body, tables: Reference) -> bool:
    """Whether `settle` surely leaves *body* as it is and finds nothing, on whatever day."""
    get = body.get
    province = get("school_province_name")
    if province is not None and province_today(province) is not None:
        return False
    if not tables.communes.keys().isdisjoint([get(code) for code, _ in _COMMUNES]):
        return False
    known = tables.classes.get((get("school_code") or "", get("school_year") or "")) if tables.classes else None
    name = get("class_name")
    return known is None or name is None or known.get(_class_name(name)) == name


@lru_cache(maxsize=4_096)
def _class_name(name: str) -> str:
    """*name* in the comparison form of the class table."""
    return folded(name)


def _provinces(body: Body) -> list[Problem]:
    """DQ-29: the name of a province that was merged, replaced where the code beside it says the same."""
    name, code = body.get("school_province_name"), body.get("school_province_code")
    today = None if name is None else province_today(name)
    if today is None or today[1] == name:
        return []
    if code in {None, today[0]}:
        body["school_province_name"] = today[1]
    return [Problem("DQ-29", "school_province_name")]


@lru_cache(maxsize=4_096)
def province_today(name: str) -> tuple[str, str] | None:
    """Code and name of the province that the old province *name* became; None for a name of today or of no province."""
    plain = _plain(name)
    old, new = _province_names()
    return None if plain in new else old.get(plain)


@cache
def _province_names() -> tuple[Mapping[str, tuple[str, str]], frozenset[str]]:
    lists = code_lists()
    new = {code: entry.vietnamese for code, entry in lists["province_new"].items()}
    old = {
        _plain(entry.vietnamese): (entry.english, new[entry.english]) for entry in lists["province_old_to_new"].values()
    }
    return old, frozenset(_plain(name) for name in new.values())


def _plain(name: str) -> str:
    plain = folded(name)
    return next((plain.removeprefix(prefix) for prefix in _PREFIXES if plain.startswith(prefix)), plain)


def _communes(body: Body, communes: Mapping[str, Commune], day: date) -> list[Problem]:
    found = []
    for code_field, name_field in _COMMUNES:
        became = communes.get(body.get(code_field) or "")
        if became is None or became.since > day:
            continue
        body[code_field] = became.new_code
        found.append(Problem("DQ-29", code_field))
        if name_field and body.get(name_field) and folded(body[name_field]) == folded(became.old_name):
            body[name_field] = became.new_name
    return found


def _class(body: Body, classes: Mapping[tuple[str, str], Mapping[str, str]]) -> list[Problem]:
    """DQ-28: a class its school does not have; a school or year without any class in the table says nothing."""
    name = body.get("class_name")
    known = classes.get((body.get("school_code") or "", body.get("school_year") or ""))
    if name is None or known is None:
        return []
    official = known.get(_class_name(name))
    if official is None:
        return [Problem("DQ-28", "class_name")]
    body["class_name"] = official
    return [] if official == name else [Problem("DQ-28", "class_name", CLASS_TABLE)]
