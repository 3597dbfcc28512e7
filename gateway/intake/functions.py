"""Functions on text, identifiers and choices.  Marks and numbers: `functions_numbers`; dates: `functions_dates`.

The rule: a function never guesses.  What it cannot read without doubt it refuses with the catalogue's code.
"""

import re
from uuid import UUID

from gateway.intake import functions_dates, functions_numbers
from gateway.intake.registry import FUNCTIONS, example, function
from gateway.intake.values import NOT_LISTED, UNREADABLE, Note, Refusal, Step, as_text, folded
from gateway.national.schema import code_lists

__all__ = ["FUNCTIONS", "functions_dates", "functions_numbers"]
"""Importing this module registers the functions of all three."""

_CIRCULAR = re.compile(r"(?:tt|thong tu)?\s*(\d{2})(?:\s*/\s*\d{4}.*)?", re.ASCII)


@function("string", example("  Lê \u00a0Thị\u200b Mẫu  Hoa ", "Lê Thị Mẫu Hoa"), example(12, "12"), example("  ", None))
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
    nothing = frozenset(words)

    def step(value: object) -> object:
        return None if isinstance(value, str) and value.strip() in nothing else value

    return step


@function(
    "string",
    example("7999990101", "7999990101"),
    example(7999990101, "7999990101"),
    example(99990101, Refusal("DQ-11")),
    example("tam-079212999911", "TAM-079212999911"),
)
def pupil_code(*, width: int = 10, temporary: str = "TAM-") -> Step:
    """A pupil code of *width* digits, or a temporary one; never padded, a guessed zero would make a second pupil."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        code = found.upper()
        official = code.isascii() and code.isdigit() and len(code) == width
        return code if official or code.startswith(temporary) else NOT_LISTED

    return step


@function(
    "string",
    example("079 212 999 911", "079212999911"),
    example(79312999912, "79312999912"),
)
def identity_number() -> Step:
    """A citizen ID or card number without spaces and dots; what its form means is judged by the identity rules."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str):
            return found
        return found.replace(" ", "").replace(".", "") or None

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
        return match.group(1) if match else NOT_LISTED

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


@function("string", example(8, "08"), example("Khối 10", "10"), example("13", Refusal("DQ-11")), few_values=True)
def grade() -> Step:
    """A grade as two digits, 01 to 12."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        digits = re.sub(r"^(khoi|lop)\s*", "", folded(found))
        code = digits.zfill(2)
        return code if code in code_lists()["grade"] else NOT_LISTED

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
        return Note(old[code].english, "DQ-29") if code in old else NOT_LISTED

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
