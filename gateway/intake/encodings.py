"""Bytes of a declared text encoding to text, and what undeclared bytes look like.

    declared     utf-8 (with or without a byte order mark) · utf-16 · windows-1258 · tcvn3 · vni       strict, or DQ-02
    undeclared   a text that is one of these as a whole, or UTF-8 encoded twice                        DQ-02, said which
                 anything else that is no UTF-8, such as good UTF-8 with a bad byte                    DQ-45

The legacy text of TCVN3 and VNI may also come as UTF-8 of its bytes read as Latin-1, as copies out of old programs
do.  Nothing is guessed: a byte that is no letter of the declared encoding refuses the file.
"""

import codecs
import re
import unicodedata
from collections.abc import Callable, Mapping

from gateway.errors import Problem
from gateway.intake.encodings_tables import TCVN3, TCVN3_FIRST, VNI_LETTERS, VNI_MARKS
from gateway.intake.unreadable import is_binary, unreadable
from gateway.intake.values import composed

FIELD = "encoding"
UNREADABLE = unreadable("encoding")

_PUNCTUATION = {ord(char): char for char in "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u2022\u2122"}
_TCVN3_LETTERS: Mapping[int, str] = {
    0xA0: " ",
    **{TCVN3_FIRST + place: letter for place, letter in enumerate(TCVN3) if letter != "\0"},
    **_PUNCTUATION,
}


def _capitals(table: Mapping[str, str]) -> dict[str, str]:
    """*table* with the forms in capitals: ``AÙ``, and ``Aù`` as typed with capitals locked on the letter only."""
    found = dict(table)
    for old, new in table.items():
        found[old.upper()] = new.upper()
        found[old[0].upper() + old[1:]] = new[0].upper() + new[1:]
    return found


_VNI: Mapping[str, str] = {
    old: unicodedata.normalize("NFC", "".join(VNI_LETTERS.get(char, char) for char in new.casefold()))
    if old.islower()
    else unicodedata.normalize("NFC", "".join(VNI_LETTERS.get(char, char) for char in new.casefold())).upper()
    for old, new in (_capitals(VNI_MARKS) | _capitals(VNI_LETTERS)).items()
}
_VNI_PAIR = re.compile("|".join(sorted(map(re.escape, _VNI), key=len, reverse=True)))

_MODERN = re.compile("[\u0102\u0103\u0110\u0111\u01a0\u01a1\u01af\u01b0\u1ea0-\u1ef9\u0300-\u0323]")
_LOOKS_VNI = re.compile(r"[ae][âáàåãä]|o[âåä]|[aeouyôö][ùøûõï]|[aA][êéèúüë]|Ñ[aeoöuô]|[hngtm]ö[ôïõ]", re.ASCII)
_LOOKS_TCVN3 = re.compile(r"[A-Za-z](?:[µ¶·¸¹»¼½¾ÆÇÈÉÊËÌÎÏÐÑÒÓÔÕÖ×ØÜÝÞ]|[©ª«¬\u00ad®])[a-z]{0,2}\b")
"""Neither has pairs that Vietnamese of today has too (``oá`` of Toán), or German (``ß``)."""
_ENOUGH = 3


def decode_text(value: bytes, encoding: str) -> str | Problem:
    """The text of *value* in the declared *encoding*, or why not."""
    text = _READERS[encoding](value)
    if text is not None and not is_binary(value):
        return text
    return undeclared(value) if encoding == "utf-8" or is_binary(value) else Problem("DQ-02", FIELD)


def undeclared(value: bytes) -> Problem:
    """What bytes that are no UTF-8 most likely are: DQ-02 names the encoding, DQ-45 where nothing is recognised."""
    if is_binary(value):
        return unreadable("binary")
    guess = _guess(value)
    return Problem("DQ-02", f"{FIELD}[{guess}]") if guess else UNREADABLE


def disguised(value: bytes) -> Problem | None:
    """DQ-02 where UTF-8 holds UTF-8 or legacy text read as Latin-1, and not one Vietnamese letter.

    Legacy text shows by many of its letter pairs; UTF-8 encoded twice by becoming UTF-8 again, whole.
    """
    if value.isascii() or b"\xe1\xba" in value or b"\xe1\xbb" in value:
        return None
    text = value.decode("utf-8", "replace")
    if _MODERN.search(text):
        return None
    return Problem("DQ-02", f"{FIELD}[utf-8-twice]") if _is_utf8_twice(text) else _disguise(text)


_BYTES_1252 = {ord(bytes([byte]).decode("cp1252", "replace")): byte for byte in range(0x80, 0xA0)}
"""Letter → the byte that Windows-1252 shows as it; the five bytes that it does not have stay."""


def _is_utf8_twice(text: str) -> bool:
    try:
        return "\ufffd" not in text and bool(text.translate(_BYTES_1252).encode("latin-1").decode())
    except UnicodeError:
        return False


def _disguise(text: str) -> Problem | None:
    for name, pattern in (("vni", _LOOKS_VNI), ("tcvn3", _LOOKS_TCVN3)):
        if len(pattern.findall(text)) >= _ENOUGH:
            return Problem("DQ-02", f"{FIELD}[{name}]")
    return None


def _guess(value: bytes) -> str:
    if (value[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} and len(value) > 3) or _half_nul(value):
        return "utf-16"
    if not _fails_in_many_places(value):
        return ""
    problem = _disguise(value.decode("latin-1"))
    if problem is not None:
        name = problem.field.removeprefix(f"{FIELD}[").removesuffix("]")
        return name if _READERS[name](value) is not None else ""
    return "windows-1258" if _LOOKS_1258.search(value) and _windows_1258(value) is not None else ""


_NOT_ASCII = re.compile("[^\x00-\x7f\ufffd]")


def _fails_in_many_places(value: bytes) -> bool:
    """Whether *value* is no UTF-8 by more than a bad byte: legacy letters stand alone and make hardly any UTF-8."""
    text = value.decode("utf-8", "replace")
    bad = text.count("\ufffd") - value.count(b"\xef\xbf\xbd")
    return bad >= _ENOUGH and bad > sum(1 for _ in _NOT_ASCII.finditer(text))


_LOOKS_1258 = re.compile(rb"[aeiouyAEIOUY\xe2\xea\xf4\xe3\xf5\xfd][\xcc\xec\xd2\xde\xf2][a-z ,;\"]")
"""A vowel and one of the five combining tones of Windows-1258."""


def _half_nul(value: bytes) -> bool:
    """Latin text in UTF-16 has a NUL at every other byte."""
    start = value[:64]
    return len(start) >= 8 and min(start[::2].count(0), start[1::2].count(0)) * 4 < len(start) // 2 <= (
        max(start[::2].count(0), start[1::2].count(0)) * 2
    )


def _utf8(value: bytes) -> str | None:
    return _strict(value.removeprefix(codecs.BOM_UTF8), "utf-8")


def _utf16(value: bytes) -> str | None:
    if value[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        return _strict(value, "utf-16")
    if value and b"\0" not in value:  # every separator and line end has one
        return None
    return _strict(value, "utf-16-be" if value[:1] == b"\0" else "utf-16-le")


def _windows_1258(value: bytes) -> str | None:
    text = _strict(value, "cp1258")
    return None if text is None else composed(text)


def _tcvn3(value: bytes) -> str | None:
    letters = []
    for char in _latin(value):
        letter = char if char < "\x80" else _TCVN3_LETTERS.get(ord(char))
        if letter is None:
            return None
        letters.append(letter)
    return "".join(letters)


def _vni(value: bytes) -> str | None:
    text = _latin(value)
    if any(char > "\xff" and ord(char) not in _PUNCTUATION for char in text):
        return None
    return _VNI_PAIR.sub(lambda found: _VNI[found.group()], text)


def _latin(value: bytes) -> str:
    """The text as its program stored it: bytes read as Latin-1, or UTF-8 of that."""
    text = _utf8(value)
    if text is None:
        text = _strict(value, "cp1252")
    return value.decode("latin-1") if text is None else text


def _strict(value: bytes, codec: str) -> str | None:
    try:
        return value.decode(codec)
    except UnicodeError:
        return None


_READERS: Mapping[str, Callable[[bytes], str | None]] = {
    "utf-8": _utf8,
    "utf-16": _utf16,
    "windows-1258": _windows_1258,
    "tcvn3": _tcvn3,
    "vni": _vni,
}
ENCODINGS = frozenset(_READERS)
