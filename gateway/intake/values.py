"""Values between an input and its output field, and the text clean-up that all functions share.

A step of a mapping takes a value and gives a value, None for "nothing stands there", `Refusal` for a value that
cannot be used, or `Note` for a value that can be used with a warning.  Clean-up is lossless for a reader: composed
letters (DQ-01), single spaces, no invisible characters (DQ-03).  Comparison forms (`folded`) are never stored.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

Step = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The value cannot be used; *code* is the catalogue's reason."""

    code: str


@dataclass(frozen=True, slots=True)
class Note:
    """The value can be used; *code* is a warning that goes with it."""

    value: object
    code: str


UNREADABLE = Refusal("DQ-45")
NOT_LISTED = Refusal("DQ-11")

_INVISIBLE = dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA0), 0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF, 0xFFFE, 0xFFFF]
)
_SPACES = dict.fromkeys([0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85], " ")
_CLEAN: dict[int, str | None] = _INVISIBLE | _SPACES
_APOSTROPHES = str.maketrans({"ʼ": "'", "’": "'", "‘": "'", "`": "'", "´": "'"})
_LOOK_ALIKES = str.maketrans({"Ð": "Đ", "ð": "đ", "Ɖ": "Đ", "ɖ": "đ"})


def clean(value: str) -> str:
    """*value* in NFC, with single spaces and without invisible characters."""
    if not value.isascii():
        value = unicodedata.normalize("NFC", value)
    if not value.isprintable():  # no-break space and its kind are not printable either
        return " ".join(value.translate(_CLEAN).split())
    if "  " in value or value[:1] == " " or value[-1:] == " ":
        return " ".join(value.split())
    return value


remembered_clean = lru_cache(maxsize=16_384)(clean)
"""Schools, teachers, communes and words come again and again."""


@lru_cache(maxsize=16_384)
def folded(value: str) -> str:
    """A form for comparison only: lower case, no diacritics, one apostrophe, one hyphen (DQ-04…06)."""
    plain = clean(value).translate(_APOSTROPHES).translate(_LOOK_ALIKES).casefold().replace("đ", "d")
    letters = unicodedata.normalize("NFD", plain)
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).replace("-", " ").split())


@lru_cache(maxsize=16_384)
def word(value: str) -> str:
    """A form for looking up words of a code table: lower case, look-alikes of Đ mended, diacritics kept (DQ-11)."""
    return clean(value).translate(_LOOK_ALIKES).casefold()


def as_text(value: object) -> str | Refusal:
    """A scalar as clean text; numbers in plain digits, yes and no as 1 and 0.  Anything deeper cannot be read."""
    if value.__class__ is str:
        return remembered_clean(value)
    if isinstance(value, bool):
        return "1" if value else "0"
    return _number_text(value)


def _number_text(value: object) -> str | Refusal:
    if isinstance(value, int):
        return str(value) if abs(value) < 10**40 else UNREADABLE
    if isinstance(value, Decimal):
        short = value.is_finite() and abs(value.adjusted()) <= 40 and len(value.as_tuple().digits) <= 40
        return format(value, "f") if short else UNREADABLE
    return UNREADABLE
