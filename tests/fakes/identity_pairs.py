"""Labelled pairs (what a school claims, what the registry holds) for the quality of matching: one person, or another.

The label comes from how a pair is made, never from the matcher, and no claim is made by the code under test: a claim is
one registered person written in another way (same), or somebody else (another).  Each kind is one of the identity
problems of the domain facts, on every person that can have it.  Everybody is synthetic: each name contains "Mẫu", each
citizen ID a serial of 9999NN.

``python -m tests.fakes.identity_pairs`` rewrites docs/identity-matching.md.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.identity.verdicts import Claim, Confirmed, Verdict, compare, word_of
from tests.fakes.identity import Person

PAGE = Path(__file__).resolve().parents[2] / "docs" / "identity-matching.md"
SAME, ANOTHER = "same", "another"

_NAMES = (
    "Nguyễn Mẫu Ân", "Trần Thị Mẫu Bưởi", "Lê Văn Mẫu Cường", "Phạm Mẫu Đức", "Hoàng Ngọc Mẫu Hạnh",
    "Huỳnh Mẫu Thảo Nguyên", "Vũ Đình Mẫu Khải", "Võ Mẫu Quỳnh Hương", "Đặng Hữu Mẫu Phước", "Bùi Mẫu Minh Tuệ",
    "Đỗ Thị Mẫu Ngọc Ánh", "Ngô Mẫu Bảo Trân", "Dương Quốc Mẫu Việt", "Đinh Mẫu Gia Huệ", "Trương Mẫu Ước",
    "Trịnh Thị Mẫu Nhàn", "Phùng Mẫu Tiến Đạt", "Nguyễn Hoàng Mẫu Uyển Nhi", "Lường Mẫu Thắm", "Quách Mẫu Nghĩa",
)  # fmt: skip
_MINORITY = ("H'Hoa Mẫu Niê", "K'Brôi Mẫu", "Ksor H'Bia Mẫu", "Y Mẫu Bhăm Êban", "Sùng A Mẫu Páo", "H'Mông Mẫu Ƀlô")
_TONE_PLACE = (("Hòa", "Hoà"), ("Thúy", "Thuý"), ("Hóa", "Hoá"), ("Thùy", "Thuỳ"), ("Khóe", "Khoé"), ("Tòa", "Toà"))
_I_OR_Y = (("Mỹ", "Mĩ"), ("Lý", "Lí"), ("Vy", "Vi"), ("Kỳ", "Kì"), ("Quý", "Quí"), ("Sỹ", "Sĩ"), ("Quỳnh", "Quình"))
_TWINS = (("Minh Anh", "Anh Minh"), ("Bảo Ngọc", "Ngọc Bảo"), ("Thu Hà", "Hà Thu"), ("Gia Hân", "Hân Gia"))
_NEAR = (
    ("Ân", "Ấn"), ("An", "Ân"), ("Thuận", "Thuần"), ("Mai", "May"), ("Thúy", "Thúi"), ("Hạnh", "Hành"), ("Đan", "Dan"),
    ("Hương", "Hường"), ("Lan", "Lân"), ("Hoa", "Hòa"), ("Hùng", "Hưng"), ("Tuân", "Tuấn"), ("Bình", "Bính"),
    ("Loan", "Loản"), ("Vân", "Văn"), ("Linh", "Lynh"), ("Thơ", "Thọ"), ("Hà", "Hạ"), ("Ngọc", "Ngóc"), ("Sơn", "Son"),
    ("Cường", "Cương"), ("Đạt", "Dạt"), ("Thảo", "Thao"), ("Khôi", "Khơi"), ("Ca", "Cá"), ("Diễm", "Điểm"),
)  # fmt: skip
_KEYBOARD = str.maketrans({
    letter: plain
    for plain, letters in {
        "a": "àáảãạăằắẳẵặâầấẩẫậ", "e": "èéẻẽẹêềếểễệĕ", "i": "ìíỉĩị", "o": "òóỏõọôồốổỗộơờớởỡợŏ",
        "u": "ùúủũụưừứửữựŭ", "y": "ỳýỷỹỵ", "d": "đ", "b": "ƀ", "A": "ÀÁẢÃẠĂẰẮẲẴẶÂẦẤẨẪẬ", "E": "ÈÉẺẼẸÊỀẾỂỄỆĔ",
        "I": "ÌÍỈĨỊ", "O": "ÒÓỎÕỌÔỒỐỔỖỘƠỜỚỞỠỢŎ", "U": "ÙÚỦŨỤƯỪỨỬỮỰŬ", "Y": "ỲÝỶỸỴ", "D": "Đ", "B": "Ƀ",
    }.items()
    for letter in letters
})  # fmt: skip
_CYRILLIC = str.maketrans({"a": "а", "o": "о", "e": "е", "c": "с", "p": "р"})


@dataclass(frozen=True, slots=True)
class Pair:
    """One claim, the registry's people under its code, and whether they are one person."""

    kind: str
    label: str
    claim: Claim
    people: tuple[Person, ...]

    @property
    def verdict(self) -> Verdict:
        return compare(self.claim, self.people)


def unaccented(name: str) -> str:
    """As people type who have no Vietnamese keyboard, letter by letter from a table of their own."""
    return unicodedata.normalize("NFC", name).translate(_KEYBOARD)


def person(number: int, name: str) -> Person:
    """Synthetic person *number*: born 2008 to 2017, the sex as in the ID's fourth digit."""
    year, sex = 2008 + number % 10, 2 + number % 2
    birth = f"{year}-{1 + number % 12:02d}-{13 + number % 15:02d}"
    return Person(f"0{10 + number % 80:02d}{sex}{year % 100:02d}9999{number % 100:02d}", name, birth, str(sex - 1))


def claim_of(one: Person, number: int) -> Claim:
    """What a school says that agrees in everything."""
    return Claim(f"7999{number:06d}", one.citizen_id, one.full_name, one.birth_date, one.gender)


def _every_other(name: str, change: Callable[[str], str]) -> str:
    return " ".join(change(word) if index % 2 else word for index, word in enumerate(name.split()))


def _given_first(name: str) -> str:
    *rest, given = name.split()
    return " ".join((given, *rest))


def _family_last(name: str) -> str:
    family, *rest = name.split()
    return " ".join((*rest, family))


_SPELLED: Mapping[str, Callable[[str], str]] = {
    "as registered": lambda name: name,
    "decomposed Unicode (DQ-01)": lambda name: unicodedata.normalize("NFD", name),
    "mixed Unicode (DQ-01)": lambda name: _every_other(name, lambda word: unicodedata.normalize("NFD", word)),
    "double and outer spaces (DQ-03)": lambda name: f"  {name.replace(' ', '  ')} ",
    "no-break space (DQ-03)": lambda name: name.replace(" ", "\u00a0"),
    "zero-width space (DQ-03)": lambda name: name.replace(" ", " \u200b"),
    "capitals (DQ-04)": str.upper,
    "small letters (DQ-04)": str.lower,
    "without diacritics (DQ-04)": unaccented,
    "capitals without diacritics (DQ-04)": lambda name: unaccented(name).upper(),
    "hyphen for a space (DQ-05)": lambda name: name.replace(" ", "-", 1),
    "Cyrillic look-alikes (DQ-11)": lambda name: _every_other(name, lambda word: word.translate(_CYRILLIC)),
}
_TURNED: Mapping[str, Callable[[str], str]] = {
    "family name last": _family_last,
    "given name first": _given_first,
    "given name first, comma": lambda name: _given_first(name).replace(" ", ", ", 1),
    "given name first, without diacritics": lambda name: unaccented(_given_first(name)),
}
_REGISTERED: Mapping[str, Callable[[str], str]] = {
    "registry in capitals": str.upper,
    "registry in capitals without diacritics": lambda name: unaccented(name).upper(),
    "registry decomposed": lambda name: unicodedata.normalize("NFD", name),
}


def pairs() -> list[Pair]:
    """All of them, always the same."""
    makers = (_spelled, _letters, _claims, _review_of_same, _near_names, _other_fields, _other_entries)
    return [pair for maker in makers for pair in maker()]


def _people(*names: str) -> Iterator[tuple[int, Person]]:
    for number, name in enumerate(names):
        yield number, person(number, name)


def _spelled() -> Iterator[Pair]:
    for number, one in _people(*_NAMES, *_MINORITY):
        claim = claim_of(one, number)
        for kind, change in _SPELLED.items():
            yield Pair(kind, SAME, replace(claim, full_name=change(one.full_name)), (one,))
        for kind, change in _REGISTERED.items():
            yield Pair(kind, SAME, claim, (replace(one, full_name=change(one.full_name)),))
    for number, one in _people(*_NAMES):
        for kind, change in _TURNED.items():
            yield Pair(kind, SAME, replace(claim_of(one, number), full_name=change(one.full_name)), (one,))


def _letters() -> Iterator[Pair]:
    for number, (registered, claimed) in enumerate((*_TONE_PLACE, *_I_OR_Y)):
        kind = "tone placement (DQ-06)" if number < len(_TONE_PLACE) else "i for y (DQ-06)"
        for family in ("Nguyễn Mẫu", "Lê Thị Mẫu"):
            one = person(number, f"{family} {registered}")
            yield Pair(kind, SAME, replace(claim_of(one, number), full_name=f"{family} {claimed}"), (one,))
            both = replace(claim_of(one, number), full_name=f"{family} {claimed}".upper())
            yield Pair(f"{kind}, capitals", SAME, both, (one,))
    for number, name in enumerate(name for name in _MINORITY if "'" in name):
        one = person(number, name)
        for apostrophe in ("’", "ʼ", "`", "' ", " ’"):
            claimed = name.replace("'", apostrophe)
            yield Pair("another apostrophe (DQ-05)", SAME, replace(claim_of(one, number), full_name=claimed), (one,))
    for number, one in _people(*(name for name in _NAMES if "Đ" in name)):
        claimed = one.full_name.replace("Đ", "Ð")
        yield Pair("Eth for Đ (DQ-11)", SAME, replace(claim_of(one, number), full_name=claimed), (one,))


def _claims() -> Iterator[Pair]:
    for number, one in _people(*_NAMES):
        claim = claim_of(one, number)
        yield Pair("birth year only (DQ-15)", SAME, replace(claim, birth=claim.birth[:4]), (one,))
        yield Pair("birth month only (DQ-15)", SAME, replace(claim, birth=claim.birth[:7]), (one,))
        yield Pair("registry has the birth year only", SAME, claim, (replace(one, birth_date=one.birth_date[:4]),))
        yield Pair("sex not given (DQ-17)", SAME, replace(claim, gender="0"), (one,))
        yield Pair("no ID claimed (DQ-18)", SAME, replace(claim, citizen_id=None), (one,))
        short = str(int(one.citizen_id or ""))
        yield Pair("ID lost its zeros (DQ-19)", SAME, replace(claim, citizen_id=short), (one,))
        yield Pair("entered twice, identical", SAME, claim, (one, one))


def _review_of_same() -> Iterator[Pair]:
    """One person, written so that somebody else could be meant: a person has to look."""
    for number, name, claimed in (
        (1, "Trần Thị Mẫu Bưởi", "Trần Thị Mau Bưởi"),
        (2, "Nguyễn Mẫu Ân", "Nguyễn Mẫu An"),
        (3, "Nguyễn Mẫu Hạnh", "Nguyển Mẫu Hạnh"),
        (4, "Lê Mẫu Minh Anh", "Anh Minh Mẫu Lê"),
        (5, "Phạm Mẫu Đức", "Phạm M. Đức"),
    ):
        one = person(number, name)
        kind = "one person, misspelt or abbreviated"
        yield Pair(kind, SAME, replace(claim_of(one, number), full_name=claimed), (one,))


def _near_names() -> Iterator[Pair]:
    for number, (mine, theirs) in enumerate(_NEAR):
        for family in ("Nguyễn Mẫu", "Trần Thị Mẫu"):
            for claimed, registered in ((mine, theirs), (theirs, mine)):
                one = person(number, f"{family} {registered}")
                for kind, name in (
                    ("near name", f"{family} {claimed}"),
                    ("near name, capitals", f"{family} {claimed}".upper()),
                ):
                    yield Pair(kind, ANOTHER, replace(claim_of(one, number), full_name=name), (one,))
    for number, (mine, theirs) in enumerate(_TWINS):
        one = person(number, f"Lê Mẫu {theirs}")
        for claimed in (f"Lê Mẫu {mine}", f"Lê Mẫu {mine}".upper(), unaccented(f"Lê Mẫu {mine}")):
            yield Pair("twins, given names turned", ANOTHER, replace(claim_of(one, number), full_name=claimed), (one,))


def _other_fields() -> Iterator[Pair]:
    for number, one in _people(*_NAMES):
        claim, year = claim_of(one, number), int(one.birth_date[:4])
        family, *rest = one.full_name.split()
        other_sex, other_id = "21"[int(one.gender) - 1], f"{(one.citizen_id or '')[:-1]}{(number + 1) % 10}"
        day, month = one.birth_date[8:], one.birth_date[5:7]
        for kind, changed in {
            "other family name": replace(claim, full_name=" ".join(("Tạ" if family != "Tạ" else "Lê", *rest))),
            "a name more": replace(claim, full_name=f"{one.full_name} Tâm"),
            "a name less": replace(claim, full_name=" ".join((family, *rest[:-1]))),
            "other given name, without diacritics": replace(claim, full_name=unaccented(f"{family} Mẫu Xuyến")),
            "other birth year": replace(claim, birth=f"{year + 1}{one.birth_date[4:]}"),
            "other birth year, year only": replace(claim, birth=str(year - 1)),
            "other birth day": replace(claim, birth=f"{one.birth_date[:8]}{28 if day != '28' else 27}"),
            "birth day and month turned": replace(claim, birth=f"{year}-{day}-{month}"),
            "other sex": replace(claim, gender=other_sex),
            "other ID": replace(claim, citizen_id=other_id),
            "other ID, name without diacritics": replace(
                claim, citizen_id=other_id, full_name=unaccented(one.full_name)
            ),
        }.items():
            yield Pair(kind, ANOTHER, changed, (one,))


def _other_entries() -> Iterator[Pair]:
    for number, one in _people(*_NAMES):
        claim, twin = claim_of(one, number), person(number + 50, "Hồ Mẫu Lạ")
        yield Pair("two people under the code (DQ-23)", ANOTHER, claim, (one, twin))
        yield Pair("nobody under the code", ANOTHER, claim, ())
        yield Pair("registered without a birth date", ANOTHER, claim, (replace(one, birth_date=""),))
        yield Pair("registered without an ID", ANOTHER, claim, (replace(one, citizen_id=None),))


def quality(found: list[Pair]) -> tuple[float, float]:
    """(precision, recall) of the confirmed ones."""
    confirmed = [pair for pair in found if isinstance(pair.verdict, Confirmed)]
    right = sum(pair.label == SAME for pair in confirmed)
    return right / len(confirmed), right / sum(pair.label == SAME for pair in found)


def page() -> str:
    """docs/identity-matching.md."""
    found = pairs()
    precision, recall = quality(found)
    words = sorted({word_of(pair.verdict) for pair in found})
    lines = [
        "# How well identities are matched",
        "",
        f"Made by `python -m tests.fakes.identity_pairs` from {len(found)} labelled synthetic pairs (what a school",
        "claims, what the registry holds); a test fails when this page and the matcher disagree. The label comes from",
        "how a pair is made. *Confirmed* pupils flow, *confirmed_with_differences* flow with a warning; everything",
        "else waits for a person or a corrected version.",
        "",
        f"Precision of what is confirmed: **{precision:.3f}**. Recall: **{recall:.3f}**.",
        "",
        *_table("label", words, Counter((pair.label, word_of(pair.verdict)) for pair in found)),
        "",
        "`registered without an ID` and `registered without a birth date` may be the pupil; nothing proves it, so they",
        "count as another. What no set can show: a name typed without diacritics fits every name with these",
        "letters (An, Ân, Ấn). It is confirmed only because code, birth date, sex and, if claimed, the ID agree",
        "as well, and it carries the warning DQ-04.",
        "",
        "## By kind of difference",
        "",
        *_table("kind", words, Counter((f"{p.kind} ({p.label})", word_of(p.verdict)) for p in found)),
        "",
    ]
    return "\n".join(lines)


def _table(first: str, words: list[str], counts: Counter[tuple[str, str]]) -> list[str]:
    rows = list(dict.fromkeys(row for row, _ in counts))
    lines = [f"| {first} | {' | '.join(words)} |", f"|---|{'---:|' * len(words)}"]
    return lines + [f"| {row} | {' | '.join(str(counts[row, word] or '') for word in words)} |" for row in rows]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
