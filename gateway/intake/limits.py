"""What the national schema asks of one value: width, codes or bounds, as the last steps of a maker.

Widths count NFC characters (whether bytes are meant is not known: facts section 4); a text over its limit is
refused, never cut.  Limits that hold on the wire only (DQ-31, DQ-35) are not asked here.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from gateway.intake import check as checks
from gateway.intake import functions
from gateway.intake.values import Refusal, Step
from gateway.national.schema import FieldSpec, Level

_TOO_LONG = Refusal("DQ-34")
_NOT_LISTED = Refusal("DQ-11")
HEAD_TEXT = 150
"""Width of a vendor's reference: the dictionary's for idbanghi."""
REASON_TEXT = 2_000
"""Width of a reason: that of the dictionary's longest remarks.  A reason is no field of the record, so it has no width
of its own there; refusing a cancel for a long sentence would leave a wrong record in force, and nothing is ever cut."""
_COUNTRY = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class AtMost:
    """A text of at most so many characters (NFC; whether bytes are meant is not known: facts section 4)."""

    length: int

    def __call__(self, value: object) -> object:
        """The text itself, or its refusal."""
        return value if len(value) <= self.length else _TOO_LONG  # type: ignore[arg-type]  # a string field


def safe_length(rest: Sequence[Step]) -> int:
    """Up to which length a text needs no further look."""
    match rest:
        case ():
            return sys.maxsize
        case (AtMost(length),):
            return length
        case _:
            return -1


def head_limits(name: str) -> list[Step]:
    """What is asked of an event field: the dictionary says nothing of it, but heads and receipts carry its text."""
    widths = {"vendor_ref": HEAD_TEXT, "reason": REASON_TEXT}
    return [AtMost(widths[name])] if name in widths else []


def limits(spec: FieldSpec, level: Level) -> list[Step]:
    """What the national schema asks of one value: width, codes or bounds."""
    rule = spec.rule(level)
    if rule is None or spec.avro_type in {"boolean", "date"}:
        return []
    if spec.name == "school_year" and spec.where == "common":
        return [functions.FUNCTIONS["school_year"].factory()]  # record ids and rules rest on its form
    if spec.avro_type == "decimal":
        return _bounds(rule.codes, zero=spec.limits_hold_outbound)
    found: list[Step] = []
    codes = checks.allowed_codes(spec, level)
    if codes is not None and spec.name not in checks.JUDGED_AS_ONE:
        found.append(_among(codes, Refusal("DQ-30" if spec.name == "subject_code" else "DQ-11")))
    elif rule.codes.startswith("ISO"):
        found.append(lambda value: value if _COUNTRY.fullmatch(str(value)) else _NOT_LISTED)
    elif rule.max_length is not None and not spec.limits_hold_outbound:
        found.append(AtMost(rule.max_length))
    return found


def _among(codes: frozenset[str], refusal: Refusal) -> Step:
    return lambda value: value if value in codes else refusal


def _bounds(notation: str, *, zero: bool) -> list[Step]:
    """Within the dictionary's bounds; with *zero* 0 is let through, which a target is sent as nothing (DQ-35)."""
    low, dots, high = notation.partition("..")
    if not dots:
        return []
    lowest, highest = Decimal(0 if zero else low), Decimal(high)
    refusal = Refusal("DQ-08")
    return [lambda value: value if lowest <= value <= highest else refusal]
