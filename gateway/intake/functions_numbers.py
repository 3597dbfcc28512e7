"""Functions on marks, counts and measures: decimal text throughout, never a binary float.

A mark leaves here in one form per value (``7,5``, ``7.5`` and ``7.50``… as ``7.5``), because the same value must be
the same content.  Sources: TT 27/2020 art. 7 (whole numbers), TT 22/2021 art. 5 (one decimal).
"""

import re
from decimal import Decimal

from gateway.intake.registry import example, function
from gateway.intake.values import Refusal, Step, as_text, whole_text, word

OUT_OF_RANGE = Refusal("DQ-08")
NO_MARK = Refusal("DQ-11", "mark")
NO_NUMBER = Refusal("DQ-11", "number")
TOO_FINE = Refusal("DQ-09")

_NUMBER = re.compile(r"[+-]?\d{1,9}(?:[.,]\d{1,9})?|1[eE]\+?0?1", re.ASCII)
"""The last form is a 10 as some programs write it."""
_WORDS = {"đ": "Đ", "đạt": "Đ", "cđ": "CĐ", "chưa đạt": "CĐ", "m": "M", "miễn": "M"}


def number_of(value: str) -> Decimal | None:
    """Plain decimal text with point or comma (DQ-07); None for anything else."""
    match = _NUMBER.fullmatch(value) if value.isascii() else None
    return Decimal(value.replace(",", ".")) if match else None


def mark_text(value: str, decimals: int, scale: int = 1) -> str | Refusal:
    """A mark of 0…10 with exactly *decimals* digits after the point; *value* is *scale* times the mark."""
    number = number_of(value)
    if number is None:
        return NO_MARK
    number /= scale
    if not 0 <= number <= 10:
        return OUT_OF_RANGE
    rounded = number.quantize(Decimal(1).scaleb(-decimals))
    return format(abs(rounded), "f") if rounded == number else TOO_FINE


def _secondary(value: str, scale: int) -> str | Refusal:
    return _WORDS.get(word(value)) or mark_text(value, 1, scale)


def _test(value: str, scale: int) -> str | Refusal:
    return "M" if word(value) in {"m", "miễn"} else mark_text(value, 0, scale)


def _check_scale(scale: int) -> None:
    if scale not in {1, 10, 100}:
        message = "scale must be 1, 10 or 100"
        raise ValueError(message)


@function(
    "string",
    example("7,5", "7.5"),
    example(Decimal("8.5"), "8.5"),
    example(9, "9.0"),
    example("Đ ", "Đ"),
    example("85", Refusal("DQ-08")),
    example("9.42", Refusal("DQ-09")),
    example("giỏi", Refusal("DQ-11")),
    example("8/5", Refusal("DQ-11")),
    example("85", "8.5", scale=10),
    example("8.5", Refusal("DQ-09"), scale=10),
    example("1E+1", "10.0"),
    example("8.5\u200b", "8.5"),
    example(True, Refusal("DQ-11")),
    few_values=True,
)
def secondary_mark(*, scale: int = 1) -> Step:
    """A secondary mark: 0.0…10.0, or Đ, CĐ, or M for exempt.

    Where the vendor sends marks ten or a hundred times as large, *scale* says so; else 85 is out of range (DQ-08).
    Where a field of the message says so, write a rule for each scale and an ``expect`` that refuses any other: "A scale
    the message declares" in mapping-language.md.
    """
    _check_scale(scale)

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        return _secondary(found, scale)

    return step


@function(
    "string",
    example("9,0", "9"),
    example("10", "10"),
    example("m", "M"),
    example("7.5", Refusal("DQ-09")),
    example("11", Refusal("DQ-08")),
    example("90", "9", scale=10),
    example(True, Refusal("DQ-11")),
    few_values=True,
)
def primary_test_mark(*, scale: int = 1) -> Step:
    """A primary year-end test mark: a whole number 0…10, or M for exempt; *scale* as for `secondary_mark`."""
    _check_scale(scale)

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        return _test(found, scale)

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
            return NO_NUMBER
        return read if read == read.quantize(Decimal(1).scaleb(-decimals)) else TOO_FINE

    return step


@function(
    "integer",
    example("3", 3),
    example("0", Refusal("DQ-08"), lowest=1),
    example("2.5", Refusal("DQ-11")),
    example("2.0", 2),
)
def whole_number(*, lowest: int = 0, highest: int = 10**15) -> Step:
    """A whole number within bounds."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        digits = whole_text(found)
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            return NO_NUMBER
        read = int(digits)
        return read if lowest <= read <= highest else OUT_OF_RANGE

    return step
