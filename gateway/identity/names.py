"""When two spellings are one person's name: what may differ, and what never may.

Two forms decide.  *Spelling* keeps every letter and tone and drops only what is no difference of the name: Unicode
form, case, spaces, apostrophes, hyphens, where a tone mark stands (hoà, hòa), i for y (Lý, Lí).  *Bare* drops the
diacritics too.

    spelling equal                                    Same
    bare equal, one side has no diacritics at all     Same, with a warning (DQ-04): the name was typed without them
    anything else                                     Other

Two names that both carry diacritics and differ in one (Ân, Ấn) are two names: a folded comparison must never join them.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_TONES: Final = frozenset("\u0300\u0301\u0303\u0309\u0323")  # grave, acute, tilde, hook above, dot below
_LOOK_ALIKES: Final = str.maketrans({"ð": "đ", "Ð": "Đ", "ɖ": "đ", "Ɖ": "Đ"})  # DQ-11: Eth and African D for Đ
_BARE: Final = str.maketrans({"đ": "d", "ƀ": "b"})
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_JOINERS: Final = re.compile(r"\s*['’‘ʼʹʻ`´′＇]\s*")
_HYPHENS: Final = re.compile(r"[-‐‑‒–—]")
_SINGLE_I: Final = re.compile(r"^(qu|[^aăâeêioôơuưy]*)[iy]$")


@dataclass(frozen=True, slots=True)
class Same:
    """One name; *warning* is the data-quality code of a difference that folding removed, empty if there is none."""

    warning: str = ""


@dataclass(frozen=True, slots=True)
class Other:
    """Two names."""


def spelling(name: str) -> str:
    """The name without what is no difference: one tone mark a syllable moved to its end, no spaces.

    >>> spelling("  nguyễn  thị HOÀ") == spelling("Nguyễn Thị Hòa")
    True
    >>> spelling("H’Mông Mẫu") == spelling("H'mông  Mẫu")
    True
    >>> spelling("Lý Mẫu Ân") == spelling("Lí Mẫu Ấn")
    False
    """
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", name)).translate(_LOOK_ALIKES)
    text = _HYPHENS.sub(" ", _JOINERS.sub("", text))
    return "".join(_syllable(word) for word in text.casefold().split())


def bare(name: str) -> str:
    """The spelling without diacritics.

    >>> bare("Đặng Mẫu Bưởi")
    'dangmaubuoi'
    """
    return _without_marks(spelling(name)).translate(_BARE)


def compare_names(claimed: str, registered: str) -> Same | Other:
    """Whether two spellings are one name."""
    if spelling(claimed) == spelling(registered):
        return Same("" if _cased(claimed) == _cased(registered) else "DQ-04")
    if bare(claimed) == bare(registered) and (_is_bare(claimed) or _is_bare(registered)):
        return Same("DQ-04")
    return Other()


def _syllable(word: str) -> str:
    letters: list[str] = []
    tones: list[str] = []
    for character in unicodedata.normalize("NFD", word):
        (tones if character in _TONES else letters).append(character)
    return _one_i(unicodedata.normalize("NFC", "".join(letters))) + "".join(tones)


def _one_i(syllable: str) -> str:
    """An i for y where it is the only vowel; after another vowel y is a sound of its own (mai, may)."""
    return syllable[:-1] + "i" if _SINGLE_I.match(syllable) else syllable


def _without_marks(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _is_bare(name: str) -> bool:
    folded = spelling(name)
    return _without_marks(folded).translate(_BARE) == folded


def _cased(name: str) -> str:
    """The letters' case alone, so that a name in capitals is noticed and a moved tone is not."""
    text = _without_marks(_JOINERS.sub("", unicodedata.normalize("NFC", name)).translate(_LOOK_ALIKES))
    return "".join("U" if letter.isupper() else "l" for letter in text if letter.isalpha())
