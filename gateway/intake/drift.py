"""What vendors send that no rule reads, and words no table knows: ignored or refused, but counted (design rule 9).

A slot counts in memory and tells the sums now and then in a small record of ``gateway.drift``, which the tower adds
up.  Only names and numbers leave, and only names that look like a program's: no spaces, bounded, without long digit
runs (a vendor may key an object by pupil, by name or by address); all others are counted together.  An unseen word
is counted by code and national field and never named.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from gateway.intake.outcome import Items, Rejected

EVERY_S: Final = 10.0
MAX_NAMES: Final = 64
MAX_LENGTH: Final = 80
UNSEEN: Final = frozenset({"DQ-11", "DQ-17", "DQ-30"})
"""The codes of a value that is in no list: a new word of the vendor, or a mistake."""

OTHER: Final = "(other)"
_IDENTIFIER = re.compile(r"(?:\$\.)?@?[\w\-:]{1,40}(?:\.@?[\w\-:]{1,40})*")
"""Names with points between them; ``$.`` in front stands around the items, ``@`` is an XML attribute, ``:`` ends the
prefix of another namespace."""
_DIGITS = re.compile(r"\d{4,}")
_ROW = re.compile(r"\[#\d+\]")
_NAME = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LENGTH)]
_COUNTS = Annotated[dict[_NAME, Annotated[int, msgspec.Meta(ge=1, lt=2**31)]], msgspec.Meta(max_length=MAX_NAMES)]


class DriftReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The value of a ``gateway.drift`` record: name → times since the slot's last report."""

    connector: _NAME
    unknown: _COUNTS
    unseen: _COUNTS


class Drift:
    """One slot's counts, by connector."""

    def __init__(self) -> None:
        self._unknown: dict[str, dict[str, int]] = {}
        self._unseen: dict[str, dict[str, int]] = {}
        self._next_s = float("-inf")

    def count(self, connector: str, outcome: Items) -> None:
        """Adds what is new in *outcome*; costs nothing for a message without."""
        if outcome.unknown_fields:
            known = self._unknown.setdefault(connector, {})
            for name, times in outcome.unknown_fields.items():
                _add(known, safe_name(name), times)
        for item in outcome.items:
            if item.__class__ is Rejected:
                for problem in item.problems:
                    if problem.code in UNSEEN:
                        place = _ROW.sub("[#]", problem.field)
                        _add(self._unseen.setdefault(connector, {}), f"{problem.code} {place}"[:MAX_LENGTH], 1)

    def take(self, now_s: float) -> list[DriftReport]:
        """The reports due at *now_s* (monotonic), at most one a connector each EVERY_S; what is told is forgotten."""
        if now_s < self._next_s or not (self._unknown or self._unseen):
            return []
        self._next_s = now_s + EVERY_S
        names = sorted(self._unknown.keys() | self._unseen.keys())
        reports = [
            DriftReport(connector=name, unknown=self._unknown.get(name, {}), unseen=self._unseen.get(name, {}))
            for name in names
        ]
        self._unknown, self._unseen = {}, {}
        return reports


def safe_name(name: str) -> str:
    """An input field's name as it may leave intake: an identifier, digit runs (codes, IDs) as ``#``; else OTHER."""
    if len(name) > MAX_LENGTH or not _IDENTIFIER.fullmatch(name) or not name.isprintable():
        return OTHER
    return _DIGITS.sub("#", name)


def write_report(report: DriftReport) -> bytes:
    """*report* as the JSON value of its record."""
    return msgspec.json.encode(report)


def read_report(value: bytes) -> DriftReport:
    """The report of a record.  Raises ValueError for anything that is none."""
    try:
        report = msgspec.json.decode(value, type=DriftReport)
    except (msgspec.MsgspecError, RecursionError) as error:
        message = "not a drift report"
        raise ValueError(message) from error
    names = (report.connector, *report.unknown, *report.unseen)
    if not all(name.isprintable() for name in names):
        message = "a name of the drift report is not printable"
        raise ValueError(message)
    return report


def _add(counts: dict[str, int], name: str, times: int) -> None:
    """Bounded: names are the vendor's, and a hostile one invents as many as it likes."""
    if name in counts or len(counts) < MAX_NAMES:
        counts[name] = counts.get(name, 0) + times


def summed(reports: Iterable[DriftReport]) -> dict[tuple[str, str, str], int]:
    """(connector, kind, name) → times over several reports; *kind* is ``unknown`` or ``unseen``."""
    sums: dict[tuple[str, str, str], int] = {}
    for report in reports:
        for kind, counts in (("unknown", report.unknown), ("unseen", report.unseen)):
            for name, times in counts.items():
                key = (report.connector, kind, name)
                sums[key] = sums.get(key, 0) + times
    return sums
