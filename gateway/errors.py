"""A reason is a product: every problem is a code, a field, an owner and a fix in two languages, never a value.

The texts live in one catalogue (``catalogue.yaml`` for the gateway's own codes, ``catalogue_dq.yaml`` for the
data-quality problems), so that a receipt, a command and a page say the same.  What a code is judged by stands in
``rules.yaml``: the rules of the circulars with their source, validity and the fields they compare.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import msgspec

Severity = Literal["reject", "park", "warn"]
Owner = Literal["vendor", "school", "identity_office", "target", "operator", "gateway"]

_PLACE = re.compile(r"\[[^\]]*\]")
_DIFFERENT_PROBLEMS = 8_192


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: *field* is the national field's name or path.

    *rule* is the regulation's rule it comes from, a word for how the field differs (``identity.names.How``), or the
    official list or form that was expected.
    """

    code: str
    field: str = ""
    rule: str = ""


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one code needs another severity or fix: for some fields (``*``: any field), or under a *rule* name."""

    fields: list[str] = []
    rule: str = ""
    severity: Severity | None = None
    owner: Owner | None = None
    fix_vi: str
    fix_en: str
    example_vi: str
    example_en: str


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the catalogue says about a code, with an example and how it is told.

    *compares*: field → the fields it was compared with.
    """

    code: str
    title_vi: str
    title_en: str
    owner: Owner
    severity: Severity
    retryable: bool
    fix_vi: str
    fix_en: str
    example_vi: str = ""
    example_en: str = ""
    silent: bool = False
    """True for what is normalised without a word: no receipt names it."""
    reported_as: str = ""
    """The code it is told under, where a stage has its own."""
    compares: dict[str, list[str]] = {}
    variants: list[Variant] = []


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule of a circular (PR-x, SR-x); *since* and *until* are school years (first half), both included."""

    rule: str
    code: str
    severity: Severity
    circular: str
    source: str
    title_vi: str
    title_en: str
    since: int | None = None
    until: int | None = None
    compares: dict[str, list[str]] = {}


class Circular(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An assessment circular: *since* and *until* say for each grade the school years (first half) it governs."""

    circular: str
    name: str
    levels: list[str]
    since: dict[str, int]
    until: dict[str, int] = {}


class Earlier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A circular of the years before the switch, whose rules the gateway does not know; *since*: a school year."""

    circular: str
    name: str
    levels: list[str]
    since: int


class Rulebook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``rules.yaml``."""

    circulars: list[Circular]
    earlier: list[Earlier] = []
    rules: list[Rule]


class ProblemText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem as people and programs read it; *compared_with* names the fields that *field* disagrees with."""

    code: str
    severity: str
    field: str
    owner: str
    fix_vi: str
    fix_en: str
    rule: str = ""
    compared_with: tuple[str, ...] = ()


class GatewayError(Exception):
    """A fault of set-up or operation that a person can mend; its text says what to do."""


@cache
def catalogue() -> dict[str, Entry]:
    """All codes; raises ValueError when a code stands twice."""
    entries: dict[str, Entry] = {}
    for path in sorted(Path(__file__).parent.glob("catalogue*.yaml")):
        for entry in msgspec.yaml.decode(path.read_bytes(), type=list[Entry]):
            if entry.code in entries:
                message = f"{path.name}: code {entry.code} stands twice in the catalogue"
                raise ValueError(message)
            entries[entry.code] = entry
    return entries


@cache
def rulebook() -> Rulebook:
    """The rules of the circulars."""
    return msgspec.yaml.decode((Path(__file__).parent / "rules.yaml").read_bytes(), type=Rulebook)


@cache
def _rules() -> dict[str, Rule]:
    return {rule.rule: rule for rule in rulebook().rules}


def severity_of(problem: Problem) -> Severity:
    """How *problem* weighs; raises KeyError for a code the catalogue does not know (a bug)."""
    entry = catalogue()[problem.code]
    variant = _variant(entry, problem)
    return entry.severity if variant is None or variant.severity is None else variant.severity


def _variant(entry: Entry, problem: Problem) -> Variant | None:
    for variant in entry.variants:
        named = problem.field in variant.fields or (variant.fields == ["*"] and bool(problem.field))
        if named or (variant.rule and variant.rule == problem.rule):
            return variant
    return None


def compared_with(problem: Problem) -> tuple[str, ...]:
    """The fields whose values the one of *problem* disagrees with, after its rule or its code."""
    rule = _rules().get(problem.rule)
    compares = rule.compares if rule is not None else catalogue()[problem.code].compares
    return _compared(problem.field, compares)


def _compared(field: str, compares: Mapping[str, list[str]]) -> tuple[str, ...]:
    place = _PLACE.search(field)
    names = compares.get(_PLACE.sub("[*]", field)) or compares.get("*") or []
    return tuple(name.replace("[*]", place.group()) if place else name for name in names)


@lru_cache(maxsize=_DIFFERENT_PROBLEMS)
def describe(problem: Problem) -> ProblemText:
    """*problem* with its texts; raises KeyError for a code the catalogue does not know (a bug)."""
    entry = catalogue()[problem.code]
    text = _variant(entry, problem) or entry
    against = compared_with(problem)
    more_vi = f" Trường cần so với {problem.field}: {', '.join(against)}." if against else ""
    more_en = f" Compare {problem.field} with {', '.join(against)}." if against else ""
    return ProblemText(
        code=entry.code,
        severity=severity_of(problem),
        field=problem.field,
        owner=text.owner or entry.owner,
        fix_vi=text.fix_vi + more_vi,
        fix_en=text.fix_en + more_en,
        rule=problem.rule,
        compared_with=against,
    )


def receipt_problem(problem: Problem, severity: str = "") -> dict[str, str]:
    """*problem* with its texts as Avro's ReceiptProblem (hot path: a plain dict).

    *severity* where a connector weighs the code in its own way.
    """
    text = describe(problem)
    return {
        "code": text.code,
        "field": text.field,
        "severity": severity or text.severity,
        "owner": text.owner,
        "fix_vi": text.fix_vi,
        "fix_en": text.fix_en,
        "rule": text.rule,
    }
