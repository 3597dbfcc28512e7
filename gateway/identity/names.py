"""When two spellings are one person's name: what folding removes, and what it never may.

    fold           removes                                                       says
    look_alike     letters that only look the same (Ð for Đ, Cyrillic о for o)   nothing
    spacing        spaces, apostrophes, hyphens (K'Brôi, K’ Brôi)                nothing (DQ-05)
    tone_place     where in its vowels a tone mark stands (hoà, hòa)             nothing (DQ-06)
    i_or_y         i for y as the only vowel (Lý, Lí)                            nothing (DQ-06)
    case           upper and lower case                                          a warning (DQ-04)
    diacritics     all diacritics, only if one side has none at all              a warning (DQ-04)
    order          the family name moved to the end, or the given name to the    a warning (ID-06)
                   front, only if no other order could be meant

Two names that both carry diacritics and differ in one (Ân, Ấn) are two names: a folded comparison must never join them.
Nor may it join two orders of given names (Minh Anh, Anh Minh): they are what twins are called.  The explanation of a
difference is a word of ``How``, never a letter of a name.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class How(StrEnum):
    """How a field differs; the first seven are what folding a name can remove."""

    LOOK_ALIKE = "look_alike"
    SPACING = "spacing"
    TONE_PLACE = "tone_place"
    I_OR_Y = "i_or_y"
    CASE = "case"
    DIACRITICS = "diacritics"
    ORDER = "order"
    TONE = "tone"
    MISSING = "missing"
    DIFFERENT = "different"


WARNED: Final = frozenset({How.CASE, How.DIACRITICS, How.ORDER})
"""Differences that folding removes and that the school is still told of."""

_PLAIN_FOLDS: Final = (How.LOOK_ALIKE, How.SPACING, How.TONE_PLACE, How.I_OR_Y, How.CASE)
_TONES: Final = frozenset("\u0300\u0301\u0303\u0309\u0323")  # grave, acute, tilde, hook above, dot below
_LOOK_ALIKES: Final = str.maketrans(
    "ðÐɖƉıАВЕКМНОРСТУХІаеорсухіΑΒΕΗΙΚΜΝΟΡΤΥΧο", "đĐđĐiABEKMHOPCTYXIaeopcyxiABEHIKMNOPTYXo"
)
_BARE: Final = str.maketrans("đƀĐɃ", "dbDB")
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_JOINERS: Final = re.compile(r"\s*['’‘ʼʹʻ`´′＇]\s*")
_HYPHENS: Final = re.compile(r"[-‐‑‒–—.,;]")
_VOWELS: Final = frozenset("aăâeêioôơuưyĕŏœæ")
_SINGLE_I: Final = re.compile(r"^(?:qu([iy])(?![aăâeêioôơuưy])|[^aăâeêioôơuưy]*([iy])$)", re.IGNORECASE)

_FAMILY_NAMES: Final = """
    Nguyễn Trần Lê Phạm Hoàng Huỳnh Phan Vũ Võ Đặng Bùi Đỗ Hồ Ngô Dương Lý Đinh Đoàn Trương Lâm Mai Trịnh Đào Cao Hà
    Tạ Lương Vương Châu Tô Tôn Quách Thái Lưu Phùng Triệu Nông Hứa Chu Từ Kiều Tăng Thạch Sơn Kim Danh Ksor Siu Niê Rơ
    Y H K Giàng Sùng Vàng Lò Quàng Cầm Lường Hoàn Thân Khúc Lã Doãn Nghiêm Mạc Lại Bạch Tống Đàm Giang Phó La
    Ninh Viên Ông Âu Khổng Cù Đậu Thiều Tiêu Vi Hầu Lục Ma Mã Thào Hạng Hờ Cư Chẩu Nình Phàn Tẩn Chảo
"""
"""Common family names, only to know which end of a turned name is which; a name that is missing here is not turned."""


@dataclass(frozen=True, slots=True)
class Same:
    """One name; *hows* are the differences that folding removed."""

    hows: tuple[How, ...] = ()


@dataclass(frozen=True, slots=True)
class Other:
    """Two names; *how* is the smallest difference that explains them."""

    how: How = How.DIFFERENT


def compare_names(claimed: str, registered: str) -> Same | Other:
    """Whether two spellings are one name.

    >>> compare_names("nguyễn  mẫu HOÀ", "Nguyễn Mẫu Hòa").hows
    (<How.SPACING: 'spacing'>, <How.TONE_PLACE: 'tone_place'>, <How.CASE: 'case'>)
    >>> compare_names("Nguyễn Mẫu Ân", "Nguyễn Mẫu Ấn")
    Other(how=<How.TONE: 'tone'>)
    """
    if same := _compare_in_order(claimed, registered):
        return same
    if turned := _turned(claimed, registered):
        same = _compare_in_order(*turned)
        if same:
            return Same((*same.hows, How.ORDER))
    return Other(_smallest(claimed, registered))


def spelling(name: str, *, without: How | None = None) -> str:
    """The name without what is no difference of it; *without* leaves one fold out, to see whether it mattered.

    >>> spelling("H’Mông Mẫu") == spelling("H'mông  Mẫu")
    True
    >>> spelling("Lý Mẫu Ân") == spelling("Lí Mẫu Ấn")
    False
    """
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", name))
    if without is not How.SPACING:
        text = _HYPHENS.sub(" ", _JOINERS.sub("", text))
    if without is not How.LOOK_ALIKE:
        text = unicodedata.normalize("NFKC", text).translate(_LOOK_ALIKES)
    if without is not How.CASE:
        text = text.casefold()
    if without is How.SPACING:
        return "".join(_word(part, without) for part in re.split(r"(\s)", text))
    return "".join(_word(word, without) for word in text.split())


def bare(name: str, *, without: How | None = None) -> str:
    """The spelling without diacritics.

    >>> bare("Đặng Mẫu Bưởi")
    'dangmaubuoi'
    """
    return _marked_off(spelling(name, without=without))


def unaccented(name: str) -> str:
    """*name* with its letters' diacritics taken off and nothing else changed.

    >>> unaccented("Đặng Mẫu Bưởi")
    'Dang Mau Buoi'
    """
    return _marked_off(name)


def _compare_in_order(claimed: str, registered: str) -> Same | None:
    if claimed == registered:  # nearly all
        return Same()
    if spelling(claimed) == spelling(registered):
        mattered = (how for how in _PLAIN_FOLDS if spelling(claimed, without=how) != spelling(registered, without=how))
        return Same(tuple(mattered))
    if bare(claimed) == bare(registered) and (_is_bare(claimed) or _is_bare(registered)):
        mattered = (how for how in _PLAIN_FOLDS if bare(claimed, without=how) != bare(registered, without=how))
        return Same((*mattered, How.DIACRITICS))
    return None


def _turned(claimed: str, registered: str) -> tuple[str, str] | None:
    """Both names in one order, if one of them is the other turned and nothing else can be meant by it."""
    mine, theirs = _words(claimed), _words(registered)
    if sorted(map(bare, mine)) != sorted(map(bare, theirs)) or len(mine) < 2:
        return None
    if _starts_well(theirs) and not _starts_well(mine):
        straight = _only_proper_turn(mine)
        return None if straight is None else (straight, registered)
    if _starts_well(mine) and not _starts_well(theirs):
        straight = _only_proper_turn(theirs)
        return None if straight is None else (claimed, straight)
    return None


def _only_proper_turn(words: Sequence[str]) -> str | None:
    turns = {" ".join((*words[n:], *words[:n])) for n in range(1, len(words)) if _starts_well(words[n:])}
    return turns.pop() if len(turns) == 1 else None


def _starts_well(words: Sequence[str]) -> bool:
    return bool(words) and (
        spelling(words[0]) in _FAMILIES or (_is_bare(words[0]) and words[0].lower() in _BARE_FAMILIES)
    )


def _words(name: str) -> list[str]:
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", name))
    return _HYPHENS.sub(" ", _JOINERS.sub("'", text)).split()


def _smallest(claimed: str, registered: str) -> How:
    mine, theirs = _words(claimed), _words(registered)
    if not mine or not theirs:
        return How.MISSING
    if _toneless(spelling(claimed)) == _toneless(spelling(registered)):
        return How.TONE
    if bare(claimed) == bare(registered):
        return How.DIACRITICS
    if sorted(map(bare, mine)) == sorted(map(bare, theirs)):
        return How.ORDER
    return How.DIFFERENT


def _word(word: str, without: How | None) -> str:
    """A word with each tone mark behind the vowels that it stands in, and one letter for i and y."""
    letters, tones = _letters_and_tones(word)
    if without is not How.I_OR_Y and (single := _single_i(letters)) is not None:
        letters[single] = "I" if letters[single].isupper() else "i"
    if without is How.TONE_PLACE:
        return "".join(letter + tone for letter, tone in zip(letters, tones, strict=True))
    found, held = [], ""
    for letter, tone in zip(letters, tones, strict=True):
        if letter.lower() not in _VOWELS:
            found.append(held)
            held = ""
        found.append(letter)
        held += tone
    return "".join((*found, held))


def _letters_and_tones(word: str) -> tuple[list[str], list[str]]:
    letters: list[str] = []
    tones: list[str] = []
    for character in unicodedata.normalize("NFD", word):
        if character in _TONES and letters:
            tones[-1] += character
        elif unicodedata.combining(character) and letters:
            letters[-1] = unicodedata.normalize("NFC", letters[-1] + character)
        else:
            letters.append(character)
            tones.append("")
    return letters, tones


def _single_i(letters: Sequence[str]) -> int | None:
    """Where an i or y is the only vowel of an open syllable, or follows qu; elsewhere y is its own sound (mai, may)."""
    found = _SINGLE_I.match("".join(letter[0] for letter in letters))  # a mark without a letter of its own stays apart
    place = None if found is None else max(found.start(1), found.start(2))
    return place if place is None or len(letters[place]) == 1 else None


def _toneless(folded: str) -> str:
    return "".join(character for character in folded if character not in _TONES)


def _marked_off(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character)).translate(_BARE)


def _is_bare(name: str) -> bool:
    folded = spelling(name)
    return _marked_off(folded) == folded


_FAMILIES: Final = frozenset(spelling(name) for name in _FAMILY_NAMES.split())
_BARE_FAMILIES: Final = frozenset(bare(name) for name in _FAMILY_NAMES.split())
