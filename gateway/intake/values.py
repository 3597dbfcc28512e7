"""Values between an input and its output field, and the text clean-up that all functions share.

A step of a mapping takes a value and gives a value, None for "nothing stands there", `Refusal` for a value that
cannot be used, or `Note` for a value that can be used with a warning.  Clean-up is lossless for a reader: composed
letters (DQ-01), single spaces, no invisible characters (DQ-03).  Comparison forms (`folded`) are never stored.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, lru_cache

Step = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The value cannot be used; *code* is the catalogue's reason.

    *rule* says which variant of its text fits: the official list, or the form that was expected.
    """

    code: str
    rule: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Note:
    """The value can be used; *code* is a warning that goes with it."""

    value: object
    code: str


_ROUNDED = 4
UNREADABLE = Refusal("DQ-45")
NOT_LISTED = Refusal("DQ-11")

_INVISIBLE = dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA0), 0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF, 0xFFFE, 0xFFFF]
)
_SPACES = dict.fromkeys([0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85], " ")
_CLEAN: dict[int, str | None] = _INVISIBLE | _SPACES
_APOSTROPHES = str.maketrans({"ʼ": "'", "’": "'", "‘": "'", "`": "'", "´": "'"})
_LOOK_ALIKES = str.maketrans({"Ð": "Đ", "ð": "đ", "Ɖ": "Đ", "ɖ": "đ"})


_LAST_MARK = 0x1E94A
_MOST_MARKS = 30
_SHORT = 256


def composed(value: str) -> str:
    """*value* in NFC, in linear time.

    Marks are put into order at the cost of their number squared: 1 MiB of them on one letter took minutes.  So behind
    30 of them comes U+034F, which nobody sees, as the Stream-Safe Text Format asks (UAX #15, section 13).
    """
    if len(value) > _SHORT and not unicodedata.is_normalized("NFC", value):
        value = _piles().sub("\\1\u034f", value)
    return unicodedata.normalize("NFC", value)


@cache
def _piles() -> re.Pattern[str]:
    marks = "".join(chr(code) for code in range(0x300, _LAST_MARK + 1) if unicodedata.combining(chr(code)))
    return re.compile(f"([{re.escape(marks)}]{{{_MOST_MARKS}}})(?=[{re.escape(marks)}])")


def clean(value: str) -> str:
    """*value* in NFC, with single spaces and without invisible characters."""
    if not value.isascii():
        value = composed(value)
    if not value.isprintable():  # no-break space and its kind are not printable either
        return " ".join(value.translate(_CLEAN).split())
    if "  " in value or value[:1] == " " or value[-1:] == " ":
        return " ".join(value.split())
    return value


TEXT = "#text"
"""The text of an XML element that has attributes too."""
MEMORABLE = 256
"""Longer texts are not worth a place in a cache: nobody sends one twice, and a place would cost what a sender likes."""


def _as_clean(value: str) -> str | Refusal:
    return UNREADABLE if "\0" in value else clean(value)


_clean = lru_cache(maxsize=16_384)(_as_clean)


def clean_text(value: str) -> str | Refusal:
    """`clean`, remembered: schools, teachers, communes and words come again and again.

    A text with a NUL is refused (DQ-45): programs in C end it there, so nobody can say what was meant.
    """
    return _clean(value) if len(value) <= MEMORABLE else _as_clean(value)


def folded(value: str) -> str:
    """A form for comparison only: lower case, no diacritics, one apostrophe, one hyphen (DQ-04…06)."""
    return _folded(value) if len(value) <= MEMORABLE else _fold(value)


def word(value: str) -> str:
    """A form for looking up words of a code table: lower case, look-alikes of Đ mended, diacritics kept (DQ-11)."""
    return _word(value) if len(value) <= MEMORABLE else _as_word(value)


def _fold(value: str) -> str:
    plain = clean(value).translate(_APOSTROPHES).translate(_LOOK_ALIKES).casefold().replace("đ", "d")
    letters = unicodedata.normalize("NFD", plain)
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).replace("-", " ").split())


def _as_word(value: str) -> str:
    return clean(value).translate(_LOOK_ALIKES).casefold()


_folded = lru_cache(maxsize=16_384)(_fold)
_word = lru_cache(maxsize=16_384)(_as_word)
_WHOLE = re.compile(r"(\d+)[.,]0{1,6}", re.ASCII)


def whole_text(value: str) -> str:
    """*value* without the ``.0`` a spreadsheet puts behind a whole number (``8.0``, ``7999990101.0``)."""
    match = _WHOLE.fullmatch(value) if value[-1:] == "0" else None
    return match[1] if match else value


def as_text(value: object) -> str | Refusal:
    """A scalar as clean text; numbers in plain digits.  Anything deeper cannot be read.

    Yes and no are no text: a mark ``true`` is a slip, not a 1.  Where they are meant: `as_word`.
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, bool):
        return NOT_LISTED
    if isinstance(value, dict) and value and all(name == TEXT or name[:1] == "@" for name in value):
        text = value.get(TEXT, "")  # attributes alone are an empty element
        return clean_text(text) if isinstance(text, str) else UNREADABLE
    return _number_text(value)


def beside_attributes(value: object) -> object:
    """The text of an XML element that has attributes too; any other value unchanged."""
    return value[TEXT] if isinstance(value, dict) and TEXT in value else value


def as_word(value: object) -> str | Refusal:
    """`as_text` for conditions and tables of yes and no, where ``true`` and ``false`` are 1 and 0."""
    return str(int(value)) if isinstance(value, bool) else as_text(value)


def _number_text(value: object) -> str | Refusal:
    if isinstance(value, int):
        return str(value) if abs(value) < 10**40 else UNREADABLE
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > 40 or len(value.as_tuple().digits) > 40:
            return UNREADABLE
        rounded = int(value.as_tuple().exponent) > 0 and value.adjusted() >= _ROUNDED  # 1.2E+11: the digits are lost
        return UNREADABLE if rounded else format(value, "f")
    return UNREADABLE
