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
from gateway.intake.functions_dates import read_birth
from gateway.intake.functions_numbers import TOO_FINE
from gateway.intake.values import NOT_LISTED, Refusal, Step
from gateway.national.schema import FieldSpec, Level, code_lists

_TOO_LONG = Refusal("DQ-34")
_OUT_OF_RANGE = Refusal("DQ-08")
HEAD_TEXT = 150
"""Width of a vendor's reference: the dictionary's for idbanghi."""
REASON_TEXT = 2_000
"""Width of a reason: that of the dictionary's longest remarks.  A reason is no field of the record, so it has no width
of its own there; refusing a cancel for a long sentence would leave a wrong record in force, and nothing is ever cut."""
_COUNTRY = re.compile(r"[A-Z]{2}")
_SCALE = 4
_LAST_MS, _LAST_VERSION = 10**13, 10**18
_MARKS = {"0..10 integer|M": "primary_test_mark", "0..10 one decimal|Đ|CĐ|M": "secondary_mark"}
_BIRTHS = {"birth_year_month": ("birth_month", "month"), "birth_year": ("birth_year", "year")}


@dataclass(frozen=True, slots=True)
class AtMost:
    """A text of at most so many characters (NFC; whether bytes are meant is not known: facts section 4)."""

    length: int

    def __call__(self, value: object) -> object:
        """The text itself, or its refusal."""
        return value if len(value) <= self.length else _TOO_LONG  # type: ignore[arg-type]  # a string field


@dataclass(frozen=True, slots=True)
class Form:
    """The form that rules and identifiers rest on; what *function* has given has it already."""

    function: str
    read: Step

    def __call__(self, value: object) -> object:
        """The text in its form, or its refusal."""
        return self.read(value)


def needed(steps: Sequence[Step], last: str) -> tuple[Step, ...]:
    """The *steps* that are left to do behind the function *last*."""
    return tuple(step for step in steps if not (isinstance(step, Form) and step.function == last))


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
    if name in widths:
        return [AtMost(widths[name])]
    if name.startswith("absences_"):
        return [_fine_enough]  # a total may be made of them
    if name == "type":
        return [_among(checks.EVENT_TYPES, NOT_LISTED)]  # an unknown word is never a new record
    most = {"occurred_at": _LAST_MS - 1, "version": _LAST_VERSION}.get(name)
    return [] if most is None else [_within(Decimal(0), Decimal(most))]


def limits(spec: FieldSpec, level: Level) -> list[Step]:
    """What the national schema asks of one value: width, codes or bounds."""
    rule = spec.rule(level)
    if rule is None or spec.avro_type in {"boolean", "date"}:
        return []
    if (form := _form(spec, rule.codes)) is not None:
        return [form]
    if spec.avro_type == "decimal":
        return [_fine_enough, *_bounds(rule.codes, zero=spec.limits_hold_outbound)]
    found: list[Step] = []
    codes = checks.allowed_codes(spec, level)
    if codes is not None and spec.name not in checks.JUDGED_AS_ONE:
        listed = rule.codes.removeprefix("@") if " or " not in rule.codes else ""
        unlisted = Refusal("DQ-11", listed if listed in code_lists() else "")
        found.append(_among(codes, Refusal("DQ-30") if spec.name == "subject_code" else unlisted))
    elif rule.codes.startswith("ISO"):
        found.append(lambda value: value if _COUNTRY.fullmatch(str(value)) else NOT_LISTED)
    elif rule.max_length is not None and not spec.limits_hold_outbound:
        found.append(AtMost(rule.max_length))
    return found


def _form(spec: FieldSpec, notation: str) -> Form | None:
    if spec.name == "school_year" and spec.where == "common":  # record ids and rules rest on it
        return Form("school_year", functions.FUNCTIONS["school_year"].factory())
    if notation in _MARKS:
        return Form(_MARKS[notation], functions.FUNCTIONS[_MARKS[notation]].factory())
    if spec.name in _BIRTHS:
        function, precision = _BIRTHS[spec.name]
        return Form(function, _birth(precision))
    return None


def _birth(precision: str) -> Step:
    def step(value: object) -> object:
        birth = read_birth(str(value), excel=False)
        if isinstance(birth, Refusal):
            return birth
        return birth[1] if birth[0] == precision else NOT_LISTED

    return step


def _fine_enough(value: object) -> object:
    """The number itself, or its refusal: a record holds four decimals."""
    exponent = value.as_tuple().exponent  # type: ignore[attr-defined]  # a decimal field
    return value if exponent >= -_SCALE else TOO_FINE


def _among(codes: frozenset[str], refusal: Refusal) -> Step:
    return lambda value: value if value in codes else refusal


def _bounds(notation: str, *, zero: bool) -> list[Step]:
    """Within the dictionary's bounds; with *zero* 0 is let through, which a target is sent as nothing (DQ-35)."""
    low, dots, high = notation.partition("..")
    if not dots:
        return []
    return [_within(Decimal(0 if zero else low), Decimal(high))]


def _within(lowest: Decimal, highest: Decimal) -> Step:
    return lambda value: value if lowest <= value <= highest else _OUT_OF_RANGE  # type: ignore[operator]  # a number
