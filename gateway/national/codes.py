"""What the dictionary's `codes` column allows, as a value.

    "1|2"                        Listed           "@province_new"                  Listed from the code list
    "0..200"                     Number           "@subject_thcs or @subject_thpt" Listed, by education level (03 or 04)
    "0..10 one decimal|Đ|CĐ|M"   Number or words  "ISO 3166-1 alpha-2"             Country
    ""                           Anything

A mark is text here: `Number` allows "9", "9.0" and "8.5" where one decimal is allowed, and only whole numbers as "9".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from gateway.national.schema import code_lists


@dataclass(frozen=True, slots=True)
class Anything:
    """Free text or a date."""


@dataclass(frozen=True, slots=True)
class Country:
    """Two capital letters; the list itself is ISO's."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One of these codes, exactly."""

    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Number:
    """A number in bounds with so many decimals at most, or one of the words."""

    low: int
    high: int
    decimals: int
    words: frozenset[str]


CodeRule = Anything | Country | Listed | Number

_COUNTRY = re.compile(r"[A-Z]{2}")
_BOUNDS = re.compile(r"(\d+)\.\.(\d+)(?: (integer|one decimal))?")
_DECIMALS = {"integer": 0, "one decimal": 1, None: 4}
_NUMERAL = re.compile(r"\d{1,3}(?:\.(\d{1,4}))?", re.ASCII)


@cache
def parse(codes: str, education_level: str) -> CodeRule:
    """The rule behind a `codes` entry at an education level (02, 03, 04); ValueError for an unknown notation."""
    if not codes:
        return Anything()
    if codes.startswith("ISO 3166-1"):
        return Country()
    if codes.startswith("@"):
        lists = [name.removeprefix("@") for name in codes.split(" or ")]
        name = lists[0] if len(lists) == 1 or education_level == "03" else lists[1]
        return Listed(frozenset(code_lists()[name]))
    return _enumerated(codes)


def _enumerated(codes: str) -> CodeRule:
    first, *words = codes.split("|")
    bounds = _BOUNDS.fullmatch(first)
    if bounds is None:
        if ".." in codes:
            msg = f"codes in an unknown notation: {codes}"
            raise ValueError(msg)
        return Listed(frozenset([first, *words]))
    return Number(int(bounds[1]), int(bounds[2]), _DECIMALS[bounds[3]], frozenset(words))


def allows(rule: CodeRule, value: str | Decimal) -> bool:
    """Whether *rule* allows *value*."""
    match rule:
        case Anything():
            return True
        case Country():
            return isinstance(value, str) and _COUNTRY.fullmatch(value) is not None
        case Listed(codes):
            return value in codes
        case Number(low, high, decimals, words):
            return value in words or _is_number(str(value), low, high, decimals)


def _is_number(text: str, low: int, high: int, decimals: int) -> bool:
    numeral = _NUMERAL.fullmatch(text)
    return numeral is not None and len(numeral[1] or "") <= decimals and low <= Decimal(text) <= high
