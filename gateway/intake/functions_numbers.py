"""Functions on marks, counts and measures: decimal text throughout, never a binary float.

A mark leaves here in one form per value (``7,5``, ``7.5`` and ``7.50``… as ``7.5``), because the same value must be
the same content.  Sources: TT 27/2020 art. 7 (whole numbers), TT 22/2021 art. 5 (one decimal).
"""

import re
from decimal import Decimal

from gateway.intake.registry import example, function
from gateway.intake.values import NOT_LISTED, Refusal, Step, as_text, word

OUT_OF_RANGE = Refusal("DQ-08")
TOO_FINE = Refusal("DQ-09")

_NUMBER = re.compile(r"[+-]?\d{1,9}(?:[.,]\d{1,9})?", re.ASCII)
_WORDS = {"đ": "Đ", "đạt": "Đ", "cđ": "CĐ", "chưa đạt": "CĐ", "m": "M", "miễn": "M"}


def number_of(value: str) -> Decimal | None:
    """Plain decimal text with point or comma (DQ-07); None for anything else."""
    match = _NUMBER.fullmatch(value) if value.isascii() else None
    return Decimal(value.replace(",", ".")) if match else None


def mark_text(value: str, decimals: int) -> str | Refusal:
    """A mark of 0…10 with exactly *decimals* digits after the point."""
    number = number_of(value)
    if number is None:
        return NOT_LISTED
    if not 0 <= number <= 10:
        return OUT_OF_RANGE
    rounded = number.quantize(Decimal(1).scaleb(-decimals))
    return format(abs(rounded), "f") if rounded == number else TOO_FINE


def _secondary(value: str) -> str | Refusal:
    return _WORDS.get(word(value)) or mark_text(value, 1)


def _test(value: str) -> str | Refusal:
    return "M" if word(value) in {"m", "miễn"} else mark_text(value, 0)


@function(
    "string",
    example("7,5", "7.5"),
    example(Decimal("8.5"), "8.5"),
    example(9, "9.0"),
    example("Đ ", "Đ"),
    example("85", Refusal("DQ-08")),
    example("9.42", Refusal("DQ-09")),
    example("giỏi", Refusal("DQ-11")),
    few_values=True,
)
def secondary_mark() -> Step:
    """A secondary mark: 0.0…10.0, or Đ, CĐ, or M for exempt."""

    def step(value: object) -> object:
        found = value if value.__class__ is str else as_text(value)
        if not isinstance(found, str):
            return found
        found = found.strip()
        return _secondary(found) if found else None

    return step


@function(
    "string",
    example("9,0", "9"),
    example("10", "10"),
    example("m", "M"),
    example("7.5", Refusal("DQ-09")),
    example("11", Refusal("DQ-08")),
    few_values=True,
)
def primary_test_mark() -> Step:
    """A primary year-end test mark: a whole number 0…10, or M for exempt."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        return _test(found)

    return step


@function(
    "decimal",
    example("131,5", Decimal("131.5")),
    example(27, Decimal(27)),
    example("1e3", Refusal("DQ-11")),
    example("1,23456", Refusal("DQ-09")),
)
def number(*, decimals: int = 4) -> Step:
    """A decimal number with comma or point and at most *decimals* digits after it."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        read = number_of(found)
        if read is None:
            return NOT_LISTED
        return read if read == read.quantize(Decimal(1).scaleb(-decimals)) else TOO_FINE

    return step


@function(
    "integer",
    example("3", 3),
    example("0", Refusal("DQ-08"), lowest=1),
    example("2.5", Refusal("DQ-11")),
)
def whole_number(*, lowest: int = 0, highest: int = 10**15) -> Step:
    """A whole number within bounds."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        if not (found.isascii() and found.isdigit() and len(found) <= 18):
            return NOT_LISTED
        read = int(found)
        return read if lowest <= read <= highest else OUT_OF_RANGE

    return step
