"""A reason is a product: every problem is a code, a field, an owner and a fix in two languages, never a value.

The texts live in one catalogue (``catalogue.yaml`` for the gateway's own codes, ``catalogue_dq.yaml`` for the
data-quality problems), so that a receipt, a command and a page say the same.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

Severity = Literal["reject", "park", "warn"]
Owner = Literal["vendor", "school", "identity_office", "target", "operator", "gateway"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: *field* is the national field's name or path, *rule* the regulation's rule it comes from."""

    code: str
    field: str = ""
    rule: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the catalogue says about a code."""

    code: str
    title_vi: str
    title_en: str
    owner: Owner
    severity: Severity
    retryable: bool
    fix_vi: str
    fix_en: str


class ProblemText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem as people and programs read it."""

    code: str
    severity: str
    field: str
    owner: str
    fix_vi: str
    fix_en: str
    rule: str = ""


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


def describe(problem: Problem) -> ProblemText:
    """*problem* with its texts; raises KeyError for a code the catalogue does not know (a bug)."""
    entry = catalogue()[problem.code]
    return ProblemText(
        code=entry.code,
        severity=entry.severity,
        field=problem.field,
        owner=entry.owner,
        fix_vi=entry.fix_vi,
        fix_en=entry.fix_en,
        rule=problem.rule,
    )


def receipt_problem(problem: Problem) -> dict[str, str]:
    """*problem* with its texts as Avro's ReceiptProblem (hot path: a plain dict)."""
    text = describe(problem)
    return {
        "code": text.code,
        "field": text.field,
        "severity": text.severity,
        "owner": text.owner,
        "fix_vi": text.fix_vi,
        "fix_en": text.fix_en,
        "rule": text.rule,
    }
