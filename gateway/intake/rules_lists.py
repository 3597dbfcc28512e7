"""Codes that are valid in another edition of their list than the record's circular and school year have (DQ-11, DQ-30).

A mapping may produce the codes of every edition; here a record is judged by its own.  Lists of one edition, which are
all of them until an official list changes, cost nothing here.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from gateway.errors import Problem
from gateway.national.editions import changing, in_force
from gateway.national.schema import FieldSpec, Level, body_fields, editions, lists_of

Body = dict[str, Any]

_SECTIONS = {"primary_subject": "subjects", "secondary_subject": "subjects", "history": "history"}


def list_problems(body: Body, level: Level) -> list[Problem]:
    """Findings on the coded fields of *body* whose lists have several editions."""
    fields = changing_fields(level)
    year = body.get("school_year")
    if not fields or year is None:
        return []
    valid = _Valid(body.get("circular") or "", int(year[:4]), body.get("education_level") or "")
    found: list[Problem] = []
    for spec in fields:
        code = "DQ-30" if spec.name == "subject_code" else "DQ-11"
        for path, values in _places(body, spec):
            if values.get(spec.name) is not None and values[spec.name] not in valid.codes(spec, level):
                found.append(Problem(code, path + spec.name))
    return found


class _Valid:
    """The codes under a circular, school year and education level."""

    def __init__(self, circular: str, year: int, education_level: str) -> None:
        self._key = circular, year
        self._education_level = education_level

    def codes(self, spec: FieldSpec, level: Level) -> frozenset[str]:
        rule = spec.rule(level)
        names = lists_of(rule.codes if rule else "")
        name = names[0] if len(names) == 1 or self._education_level == "03" else names[1]
        return _codes(name, *self._key)


@lru_cache(maxsize=256)
def _codes(name: str, circular: str, year: int) -> frozenset[str]:
    return frozenset(in_force(editions(), name, circular, year))


@lru_cache(maxsize=2)
def changing_fields(level: Level) -> tuple[FieldSpec, ...]:
    """The coded fields of a resource whose lists have several editions."""
    several = changing(editions())
    return tuple(
        spec for spec in body_fields() if (rule := spec.rule(level)) is not None and several & set(lists_of(rule.codes))
    )


def _places(body: Body, spec: FieldSpec) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Where *spec* stands in *body*: the dicts that hold it, each with its path."""
    if spec.where == "common":
        return [("", body)]
    results = body["results"]
    if spec.where in {"primary", "secondary"}:
        return [("", results)]
    section = _SECTIONS.get(spec.where, "certificates")
    rows = (body if section == "history" else results).get(section) or []
    return [(f"{section}[#{index}].", row) for index, row in enumerate(rows)]
