"""A claim beside a registered person, field by field: what a person needs to decide, explained and masked.

Masked means: of a name the first letter of each word, of an ID and a code the last four digits, of a date the year, of
the sex nothing.  How a field differs is said in words, never by showing the rest.
"""

from dataclasses import dataclass
from typing import Final

from gateway.identity.names import How, Same, compare_names
from gateway.identity.verdicts import Candidate, Claim, births_differ, ids_differ, sexes_differ

EXPLAINED: Final[dict[How, tuple[str, str]]] = {
    How.LOOK_ALIKE: ("chữ nhìn giống nhau nhưng khác mã (Ð và Đ)", "letters that only look the same (Ð and Đ)"),
    How.SPACING: ("khác dấu cách, dấu nháy hoặc gạch nối", "other spaces, apostrophes or hyphens"),
    How.TONE_PLACE: ("dấu thanh đặt ở nguyên âm khác (hoà, hòa)", "the tone mark on another vowel (hoà, hòa)"),
    How.I_OR_Y: ("i hoặc y (Lí, Lý)", "i or y (Lí, Lý)"),
    How.CASE: ("khác chữ hoa, chữ thường", "capital and small letters"),
    How.DIACRITICS: ("một bên không có dấu, hoặc khác dấu chữ", "no diacritics on one side, or other ones"),
    How.ORDER: ("khác thứ tự (họ và tên, ngày và tháng)", "another order (of the names, of day and month)"),
    How.TONE: ("khác dấu thanh: có thể là người khác", "another tone mark: it may be somebody else"),
    How.MISSING: ("một bên không có", "missing on one side"),
    How.DIFFERENT: ("khác nhau", "different"),
}
AGREES: Final = ("khớp", "agrees")


@dataclass(frozen=True, slots=True)
class Compared:
    """One field of both sides, masked; no *hows*: it agrees."""

    field: str
    hows: tuple[How, ...]
    claimed: str
    registered: str

    @property
    def explained(self) -> tuple[str, str]:
        """How it differs, in Vietnamese and English."""
        if not self.hows:
            return AGREES
        vi, en = zip(*(EXPLAINED[how] for how in self.hows), strict=True)
        return "; ".join(vi), "; ".join(en)


def side_by_side(claim: Claim, person: Candidate) -> tuple[Compared, ...]:
    """The fields that decide, in the order in which people read them.

    >>> from types import SimpleNamespace
    >>> claim = Claim("0199990001", "001210999901", "NGUYỄN MẪU ÂN", "2012-05-03", "1")
    >>> person = SimpleNamespace(citizen_id="001210999901", full_name="Nguyễn Mẫu Ấn", birth_date="2012", gender="1")
    >>> [(one.field, one.hows, one.claimed, one.registered) for one in side_by_side(claim, person)][0]
    ('full_name', (<How.TONE: 'tone'>,), 'N… M… Â…', 'N… M… Ấ…')
    """
    name = compare_names(claim.full_name, person.full_name)
    hows = name.hows if isinstance(name, Same) else (name.how,)
    return (
        Compared("full_name", hows, masked_name(claim.full_name), masked_name(person.full_name)),
        Compared(
            "birth_date",
            _tuple(births_differ(claim.birth, person.birth_date)),
            masked_date(claim.birth),
            masked_date(person.birth_date),
        ),
        Compared("gender", _tuple(sexes_differ(claim.gender, person.gender)), "…", "…"),
        Compared(
            "citizen_id",
            _tuple(ids_differ(claim.citizen_id, person.citizen_id)),
            masked_number(claim.citizen_id),
            masked_number(person.citizen_id),
        ),
    )


def masked_name(name: str) -> str:
    """The first letter of each word.

    >>> masked_name("Nguyễn Mẫu  Ân")
    'N… M… Â…'
    """
    return " ".join(f"{word[0]}…" for word in name.split())


def masked_number(number: str | None) -> str:
    """The last four digits; nothing of a number that is not longer.

    >>> masked_number("001210999901"), masked_number("123"), masked_number(None)
    ('…9901', '…', '')
    """
    if not number:
        return ""
    return f"…{number[-4:]}" if len(number) > 4 else "…"


def masked_date(date: str) -> str:
    """The year.

    >>> masked_date("2012-05-03"), masked_date("2012")
    ('2012-…', '2012')
    """
    return date if len(date) <= 4 else f"{date[:4]}-…"


def _tuple(how: How | None) -> tuple[How, ...]:
    return () if how is None else (how,)
