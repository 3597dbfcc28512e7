"""Which input a field of the national record is made from: for findings, coverage and people.

Labels are those of findings: ``full_name``, ``subjects[15].mark_year``, ``history[#0].class_name``; the event's fields
are found without ``event.`` too, as findings name them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.intake.language import Condition, Definition, Rows, Rule

_ROW = re.compile(r"(\w+)\[([^\]]*)\]\.(\w+)")
SECTION_ORDER = ("event", "record", "results", "facts")
ROW_ORDER = ("subjects", "history", "certificates")
_NATIONAL_NAMES = {"event_type": "type"}
_BIRTH = ("birth_date", "birth_year_month", "birth_year")


@dataclass(frozen=True, slots=True)
class Reading:
    """One rule as it runs: *rows* is the path of the list its paths start at, empty for an item's own field."""

    label: str
    """``full_name``; ``subjects[15].mark_year`` for a row of an ``each``, ``history[].class_name`` for a path."""
    section: str
    name: str
    rule: Rule
    rows: str = ""


def readings(definition: Definition) -> Iterator[Reading]:
    """Every rule, those of an ``each`` once a row, alternatives of a list of rules under one label."""
    for section in SECTION_ORDER:
        for name, rule in definition.sections[section].items():
            label = name if section in {"record", "results"} else f"{section}.{name}"
            yield from (Reading(label, section, name, one) for one in (rule, *rule.others))
    for section, rows in sorted_rows(definition):
        for name, rule in rows.rules.items():
            for one in (rule, *rule.others):
                yield from _row_readings(section, name, one, rows)


def sorted_rows(definition: Definition) -> list[tuple[str, Rows]]:
    """The row sections of *definition*, always in the same order: generated files rest on it."""
    return sorted(definition.rows.items(), key=lambda item: ROW_ORDER.index(item[0]))


def _row_readings(section: str, name: str, rule: Rule, rows: Rows) -> Iterator[Reading]:
    if rows.path is not None:
        yield Reading(f"{section}[].{name}", section, name, rule, rows.path)
    for words in rows.each:
        yield Reading(f"{section}[{words.get('code', '')}].{name}", section, name, filled(rule, words))


def row_conditions(section: str, rows: Rows) -> Iterator[tuple[str, Condition]]:
    """The condition of each row of *rows*, with its label."""
    if rows.when is None:
        return
    if rows.path is not None:
        yield f"{section}[]", rows.when
    for words in rows.each:
        yield f"{section}[{words.get('code', '')}]", filled_condition(rows.when, words)


def sources(definition: Definition) -> dict[str, str]:
    """Label → the vendor's columns or paths it is read from or judged by (``expect``), joined by a comma; rules without
    input are left out.
    """
    found: dict[str, list[str]] = {}
    for reading in readings(definition):
        inside = f"{reading.rows}[]." if reading.rows else ""
        for path in reading.rule.paths:
            shown = path if path.startswith(("$.", "^.")) else f"{inside}{path}"
            if shown not in found.setdefault(reading.label, []):
                found[reading.label].append(shown)
    for expectation in definition.expect:
        if expectation.path not in found.setdefault(expectation.field, []):
            found[expectation.field].append(expectation.path)
    return {label: ", ".join(paths) for label, paths in found.items() if paths}


def source_of(field: str, known: Mapping[str, str]) -> str:
    """The input behind the *field* of a finding, after `sources`; empty when no rule reads one."""
    if field in known:
        return known[field]
    if match := _ROW.fullmatch(field):
        return known.get(f"{match[1]}[].{match[3]}", "")
    if field in _BIRTH:
        return next((known[name] for name in _BIRTH if name in known), "")
    return known.get(f"event.{_NATIONAL_NAMES.get(field, field)}", "")


def filled(rule: Rule, words: Mapping[str, str]) -> Rule:
    """*rule* with the words of one row in its braces."""
    when = filled_condition(rule.when, words) if rule.when else None
    return replace(rule, paths=tuple(fill(path, words) for path in rule.paths), when=when)


def filled_condition(condition: Condition, words: Mapping[str, str]) -> Condition:
    """*condition* with the words of one row in its braces."""
    return replace(condition, paths=tuple(fill(path, words) for path in condition.paths))


def fill(text: str, words: Mapping[str, str]) -> str:
    """*text* with each ``{word}`` replaced."""
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    return text
