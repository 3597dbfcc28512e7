"""Functions on text, identifiers and choices.  Marks and numbers: `functions_numbers`; dates: `functions_dates`.

The rule: a function never guesses.  What it cannot read without doubt it refuses with the catalogue's code.
"""

import re
from uuid import UUID

from gateway.intake import functions_dates, functions_numbers
from gateway.intake.registry import FUNCTIONS, example, function
from gateway.intake.values import (
    NOT_LISTED,
    UNREADABLE,
    Note,
    Refusal,
    Step,
    as_text,
    beside_attributes,
    clean,
    clean_text,
    folded,
    whole_text,
)
from gateway.national.schema import code_lists

__all__ = ["FUNCTIONS", "functions_dates", "functions_numbers"]
"""Importing this module registers the functions of all three."""

RESTORED = "GW-06"
NO_CODE = Refusal("DQ-11", "code")
NO_CIRCULAR = Refusal("DQ-11", "circular")
NO_GRADE = Refusal("DQ-11", "grade")
NO_PROVINCE = Refusal("DQ-11", "province_new")
WIDEST_PUPIL_CODE = 20
"""The dictionary's width."""
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?[eE]\+?\d{1,3}", re.ASCII)
_CLASS = re.compile(r"(?:lop|khoi)?\s*(\d{1,2})(?!\d)", re.ASCII)
_CIRCULAR = re.compile(r"(?:tt|thong tu)?\s*(\d{2})(?:\s*/\s*\d{4}.*)?", re.ASCII)


def _check(holds: bool, otherwise: str) -> None:
    """Raises ValueError for arguments that make no sense; the static check shows it with file and line."""
    if not holds:
        raise ValueError(otherwise)


@function(
    "string",
    example("  Lê \u00a0Thị\u200b Mẫu  Hoa ", "Lê Thị Mẫu Hoa"),
    example(12, "12"),
    example("  ", None),
    example("Mẫu\0 An", Refusal("DQ-45")),
)
def text() -> Step:
    """Text in NFC with single spaces and no invisible characters (DQ-01, DQ-03); nothing when empty."""

    def step(value: object) -> object:
        return as_text(value) or None

    return step


@function("string", example("thcs mẫu", "THCS MẪU"))
def upper() -> Step:
    """Text in upper case."""

    def step(value: object) -> object:
        found = as_text(value)
        return found.upper() or None if isinstance(found, str) else found

    return step


@function("same", example("-", None, words=["-", "x"]), example("7,5", "7,5", words=["-", "x"]))
def blank(*, words: list[str]) -> Step:
    """Nothing where one of *words* stands in this column (DQ-10); anything else unchanged."""
    nothing = frozenset(clean(word) for word in words)

    def step(value: object) -> object:
        found = beside_attributes(value)
        return None if isinstance(found, str) and clean_text(found) in nothing else value

    return step


@function(
    "same",
    example("8,0; 7,5; 9", "7,5", at=2),
    example([8, 9], 9, at=2),
    example("8,0", None, at=2),
)
def nth(*, at: int) -> Step:
    """The entry at place *at* (1 is the first) of a list, or of a text with ``;`` between its entries."""
    _check(at >= 1, "at must be 1 or more")

    def step(value: object) -> object:
        value = beside_attributes(value)
        entries = value.split(";") if isinstance(value, str) else value if isinstance(value, list) else [value]
        found = entries[at - 1] if len(entries) >= at else None
        if isinstance(found, (dict, list)):
            return UNREADABLE
        return found.strip() or None if isinstance(found, str) else found

    return step


@function(
    "same",
    example("TTĐ", "Đ", at=3, of=3),
    example("TT-TT", None, at=3, of=5),
    example("TTTT", Refusal("DQ-11"), at=1, of=5),
)
def letter(*, at: int, of: int) -> Step:
    """The letter at place *at* (1 is the first) of a word of *of* letters, one a field; ``-`` is nothing."""
    _check(1 <= at <= of, "at must be 1 to of")

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        if len(found) != of:
            return NOT_LISTED
        part = found[at - 1 : at]
        return None if part == "-" else part or None

    return step


@function(
    "string",
    example("7999990101", "7999990101"),
    example(7999990101, "7999990101"),
    example(99990101, Refusal("DQ-11")),
    example("tam-079212999911", "TAM-079212999911"),
    example("7999990101.0", "7999990101"),
    example(199990202, Note("0199990202", "GW-06"), pad=True),
    example(99990202, Refusal("DQ-11"), pad=True),
)
def pupil_code(*, width: int = 10, temporary: str = "TAM-", pad: bool = False) -> Step:
    """A pupil code of *width* digits, or a temporary one.

    With *pad* a lost leading zero is put back with a warning (GW-06), and only one: no department's codes begin with
    two.  Declare it only where the source is known to lose zeros; a guessed zero would make a second pupil.
    """
    _check(1 <= width <= WIDEST_PUPIL_CODE, f"width must be 1 to {WIDEST_PUPIL_CODE}")
    _check(bool(temporary), "temporary must not be empty: any text begins with nothing")

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        code = whole_text(found.upper())
        digits = code.isascii() and code.isdigit()
        if pad and digits and len(code) == width - 1:
            return Note("0" + code, RESTORED)
        return code if (digits and len(code) == width) or code.startswith(temporary) else NO_CODE

    return step


@function(
    "string",
    example("00004", "00004", width=5),
    example(4, Note("00004", "GW-06"), width=5, pad=True),
    example("1999504.0", Note("01999504", "GW-06"), width=8, pad=True),
    example("4", Refusal("DQ-11"), width=5),
    example("123456", Refusal("DQ-11"), width=5, pad=True),
    few_values=True,
)
def code(*, width: int, pad: bool = False) -> Step:
    """A code of exactly *width* digits, such as a school's or a commune's; with *pad* lost leading zeros are put back
    with a warning (GW-06).
    """
    _check(width > 0, "width must be 1 or more")

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        digits = whole_text(found)
        if not (digits.isascii() and digits.isdigit() and len(digits) <= width):
            return NO_CODE
        if len(digits) == width:
            return digits
        return Note(digits.zfill(width), RESTORED) if pad else NO_CODE

    return step


@function(
    "string",
    example("079 212 999 911", "079212999911"),
    example(79312999912, "79312999912"),
    example("79312999912.0", "79312999912"),
    example("7.93E+10", Refusal("DQ-11")),
)
def identity_number() -> Step:
    """A citizen ID or card number without spaces and dots; what its form means is judged by the identity rules."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str):
            return found
        if _ROUNDED.fullmatch(found):  # a spreadsheet's short form: the digits are lost
            return NO_CODE
        return whole_text(found).replace(" ", "").replace(".", "") or None

    return step


@function(
    "string",
    example("27", "27"),
    example("TT 22/2021/TT-BGDĐT", "22"),
    example("Thông tư 22/2021", "22"),
    few_values=True,
)
def circular() -> Step:
    """The number of the assessment circular, two digits."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        match = _CIRCULAR.fullmatch(folded(found))
        return match.group(1) if match else NO_CIRCULAR

    return step


@function("string", example("{6F1D6C1E-0000-4000-8000-0000000000C1}", "6f1d6c1e-0000-4000-8000-0000000000c1"))
def uuid() -> Step:
    """A UUID in its usual form of 36 characters."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        try:
            return str(UUID(found))
        except ValueError:
            return NOT_LISTED

    return step


@function(
    "string",
    example("01 - Toán", "01"),
    example("01 - Toán", "Toán", at=2),
    example("01-Toán-HK1", "HK1", at=3),
    example("Toán", "Toán"),
    example("Toán", None, at=2),
    example("7A|THCS Mẫu", "THCS Mẫu", mark="|", at=2),
    example("- Toán", None),
    few_values=True,
)
def part(*, mark: str = "-", at: int = 1) -> Step:
    """The part at place *at* (1 is the first) of a text with *mark* between its parts; nothing where there is none."""
    _check(at >= 1, "at must be 1 or more")
    _check(bool(mark.strip()), "mark must be a sign or a word")

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        parts = found.split(mark)
        return parts[at - 1].strip() or None if len(parts) >= at else None

    return step


@function(
    "string",
    example(8, "08"),
    example("Khối 10", "10"),
    example("6.0", "06"),
    example("13", Refusal("DQ-11")),
    example(True, Refusal("DQ-11")),
    few_values=True,
)
def grade() -> Step:
    """A grade as two digits, 01 to 12."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        digits = re.sub(r"^(khoi|lop)\s*", "", whole_text(folded(found)))
        code = digits.zfill(2)
        return code if code in code_lists()["grade"] else NO_GRADE

    return step


@function(
    "string",
    example("2A", "02"),
    example("10A1", "10"),
    example("Lớp 7/3", "07"),
    example("12.4", "12"),
    example("1", "01"),
    example("A2", Refusal("DQ-11")),
    example("13A", Refusal("DQ-11")),
    few_values=True,
)
def grade_of_class() -> Step:
    """The grade a class name begins with, as two digits, 01 to 12."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        match = _CLASS.match(folded(found))
        code = match[1].zfill(2) if match else ""
        return code if code in code_lists()["grade"] else NO_GRADE

    return step


@function(
    "string", example("79", "79"), example("49", Note("48", "DQ-29")), example("03", Refusal("DQ-11")), few_values=True
)
def province_code() -> Step:
    """A province code of today; one from before 1/7/2025 is moved by table, with a warning (DQ-29)."""
    new, old = code_lists()["province_new"], code_lists()["province_old_to_new"]

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        code = found.zfill(2)
        if code in new:
            return code
        return Note(old[code].english, "DQ-29") if code in old else NO_PROVINCE

    return step


@function(
    "string",
    example("15", "Toán", list="subject_thcs"),
    example("99", "GD địa phương", list="subject_thcs"),
    example("99", "Nội dung giáo dục của địa phương", list="subject_thcs", longest=50),
    few_values=True,
)
def subject_name(*, list: str, longest: int = 20) -> Step:  # noqa: A002  the word the mapping uses
    """The official name of a subject code; above *longest* characters the short one (DQ-31)."""
    names = {code: entry.vietnamese for code, entry in code_lists()[list].items()}
    short = code_lists()["subject_short_name_secondary"]
    for code, name in names.items():
        if len(name) > longest and code in short:
            names[code] = short[code].vietnamese

    def step(value: object) -> object:
        found = as_text(value)
        return names.get(found, Refusal("DQ-30")) if isinstance(found, str) else UNREADABLE

    return step
