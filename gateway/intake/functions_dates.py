"""Functions on dates, years and instants.  Day first; no zone means +07:00; an impossible date is refused (DQ-14).

What has no form of a date at all is an unknown value (DQ-11).  Times are whole milliseconds since 1970 UTC; a day
without a time is its first moment in Vietnam.  Spreadsheet day numbers (DQ-13) are read only where the mapping says so.

Plain digits are a time as 10 (seconds) or 13 (milliseconds) of them; any other number is refused, and so are digits
that begin like ``yyyymmddHH``: 2026052715 read as seconds were a day in 2034.  The price is that times of 2033 to 2036
will not be taken as plain digits.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Literal

from gateway.intake.registry import example, function
from gateway.intake.values import UNREADABLE, Refusal, Step, as_text, whole_text

IMPOSSIBLE = Refusal("DQ-14")
NO_DATE = Refusal("DQ-11", "date")
NO_MOMENT = Refusal("DQ-11", "moment")
HANOI = timezone(timedelta(hours=7))

_DAY_FIRST = re.compile(r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4}|\d{2})(?: 0?0:00(?::00)?)?", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})[/.\-](\d{1,2})[/.\-](\d{1,2})(?:[T ]00:00(?::00(?:\.0+)?)?)?", re.ASCII)
_MONTH = re.compile(r"(?:(\d{1,2})[/.\-](\d{4})|(\d{4})[/.\-](\d{1,2})(?:[/.\-]00?)?)", re.ASCII)
_YEAR = re.compile(r"\d{4}", re.ASCII)
_SERIAL = re.compile(r"[2-6]\d{4}", re.ASCII)
_SERIAL_TIME = re.compile(r"([2-6]\d{4})(?:[.,](\d{1,15}))?", re.ASCII)
_DAY_S = 86_400
_SCHOOL_YEAR = re.compile(r"(\d{4})\s*[-–—/]\s*(\d{4}|\d{2})", re.ASCII)
_CLOCK_FIRST = re.compile(
    r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4}|\d{2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?", re.ASCII
)
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2}|\d{8})(?:[Tt ](\d{2}(?::?\d{2}(?::?\d{2}(?:[.,]\d{1,9})?)?)?)"
    r" ?([Zz]|[+-]\d{2}(?::?\d{2})?)?)?",
    re.ASCII,
)
_USUAL = re.compile(r"\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\+07:00", re.ASCII)
_EPOCH_DIGITS = re.compile(r"\d{10}(?:\d{3})?", re.ASCII)
_LIKE_A_DATE = re.compile(r"20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])\d*", re.ASCII)
_EXCEL_DAY_0 = date(1899, 12, 30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MS_TO = (datetime(2101, 1, 1, tzinfo=HANOI) - _EPOCH) // _MILLISECOND
_YEARS = range(1900, 2101)

Birth = tuple[Literal["day", "month", "year"], date | str]


def read_date(value: str, *, excel: bool) -> date | Refusal:
    """A full date: day first, or year first, or a spreadsheet serial where *excel*."""
    value = whole_text(value)
    if excel and _SERIAL.fullmatch(value):
        return _excel_day(int(value))
    if match := _DAY_FIRST.fullmatch(value):
        day, month, year = match.groups()
        year = year if len(year) == 4 else _century(year)
    elif match := _YEAR_FIRST.fullmatch(value):
        year, month, day = match.groups()
    else:
        return NO_DATE
    try:
        return date(int(year), int(month), int(day)) if int(year) in _YEARS else IMPOSSIBLE
    except ValueError:
        return IMPOSSIBLE


def _excel_day(serial: int) -> date | Refusal:
    return _EXCEL_DAY_0 + timedelta(days=serial) if 20_000 <= serial <= 60_000 else IMPOSSIBLE


def _century(year: str) -> str:
    """Two digits of a year: pupils and the papers of their school years are of this century, up to 49."""
    return ("20" if year < "50" else "19") + year


def read_birth(value: str, *, excel: bool) -> Birth | Refusal:
    """A birth date as precise as it is known (DQ-15): day, month or year."""
    value = whole_text(value).removesuffix("-00-00")
    if _YEAR.fullmatch(value):
        return ("year", value) if int(value) in _YEARS else IMPOSSIBLE
    if match := _MONTH.fullmatch(value):
        month, year = (match[1], match[2]) if match[1] else (match[4], match[3])
        possible = int(year) in _YEARS and 1 <= int(month) <= 12
        return ("month", f"{year}-{int(month):02d}") if possible else IMPOSSIBLE
    found = read_date(value, excel=excel)
    return found if isinstance(found, Refusal) else ("day", found)


@function(
    "date",
    example("05/03/2012", date(2012, 3, 5)),
    example("12-11-2012", date(2012, 11, 12)),
    example("5.3.12", date(2012, 3, 5)),
    example("2012-03-05 00:00:00", date(2012, 3, 5)),
    example("8/5", Refusal("DQ-11")),
    example("40957", date(2012, 2, 18), excel=True),
    example("40957", Refusal("DQ-11")),
    example("40957.0", date(2012, 2, 18), excel=True),
    example("29/02/2019", Refusal("DQ-14")),
    example("05/03/0012", Refusal("DQ-14")),
)
def day(*, excel: bool = False) -> Step:
    """A full date, day first (DQ-12); a spreadsheet serial only where *excel* (DQ-13)."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        return read_date(found, excel=excel)

    return step


@function(
    "same",
    example({"year": 2018, "month": 9, "day": 2}, "2018-09-02"),
    example({"year": 2017, "month": None, "day": None}, "2017"),
    example({"nam": "2017", "thang": "06"}, "2017-06", year="nam", month="thang", day="ngay"),
    example({"year": 2018, "month": None, "day": 2}, "2018-00-02"),
)
def date_parts(*, year: str = "year", month: str = "month", day: str = "day") -> Step:
    """A date given as an object of year, month and day, as text for the functions after it; unknown parts may lack."""

    def step(value: object) -> object:
        if not isinstance(value, dict):
            return UNREADABLE if isinstance(value, list) else value
        parts = [as_text(value[name]) if value.get(name) is not None else "" for name in (year, month, day)]
        if any(isinstance(part, Refusal) for part in parts):
            return UNREADABLE
        while parts and not parts[-1]:
            parts.pop()
        return "-".join(str(part).zfill(2) for part in parts) or None  # 00 in the middle: the next function refuses it

    return step


@function(
    "date",
    example("1/1/2012", date(2012, 1, 1)),
    example("2012", None),
    example("30/02/2012", Refusal("DQ-14")),
    example("43600,0", date(2019, 5, 15), excel=True),
    example("01/01/0001", Refusal("DQ-14")),
    example("9999", Refusal("DQ-14")),
    example("0000-05", Refusal("DQ-14")),
)
def birth_day(*, excel: bool = False) -> Step:
    """The birth date where day, month and year are known, else nothing; refuses what is no date at all."""
    return _birth_step("day", excel=excel)


@function("string", example("2013-02-00", "2013-02"), example("05/2012", "2012-05"), example("2012", None))
def birth_month(*, excel: bool = False) -> Step:
    """YYYY-MM where month and year are known and no more, else nothing."""
    return _birth_step("month", excel=excel)


@function("string", example("2012", "2012"), example("2012.0", "2012"), example("1/1/2012", None))
def birth_year(*, excel: bool = False) -> Step:
    """YYYY where only the year is known, else nothing."""
    return _birth_step("year", excel=excel)


def _birth_step(precision: Literal["day", "month", "year"], *, excel: bool) -> Step:
    def step(value: object) -> object:
        found = as_text(value)
        if not found:
            return None
        birth = read_birth(found, excel=excel) if isinstance(found, str) else found
        if isinstance(birth, Refusal):  # one finding for the three fields of one input
            return birth if precision == "day" else None
        return birth[1] if birth[0] == precision else None

    return step


@function(
    "string",
    example("2025 - 2026", "2025-2026"),
    example("2025-26", "2025-2026"),
    example("2025-2027", Refusal("DQ-27")),
    few_values=True,
)
def school_year() -> Step:
    """A school year as YYYY-YYYY; two years that do not follow each other are refused (DQ-27)."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        match = _SCHOOL_YEAR.fullmatch(found)
        first = int(match[1]) if match else 0
        if match is None or not 1950 <= first <= 2098 or (first + 1) % 10 ** len(match[2]) != int(match[2]):
            return Refusal("DQ-27")
        return f"{first}-{first + 1}"

    return step


@function(
    "instant",
    example("2026-05-27T15:00:00+07:00", 1_779_868_800_000),
    example("2026-05-27T15:00:00", 1_779_868_800_000),
    example("27/05/2026 15:00:00", 1_779_868_800_000),
    example(1_779_868_800_000, 1_779_868_800_000),
    example(1_779_868_800, 1_779_868_800_000),
    example("31/02/2026 15:00:00", Refusal("DQ-14")),
    example("27/05/2026", 1_779_814_800_000),
    example("202605271500", Refusal("DQ-11")),
    example("2026052715", Refusal("DQ-11")),
    example("hôm qua", Refusal("DQ-11")),
    example("27-5-26 15:00", 1_779_868_800_000),
    example("46169", Refusal("DQ-11")),
    example("46169.625", 1_779_868_800_000, excel=True),
    example("46169", 1_779_814_800_000, excel=True),
    also_takes=frozenset({"instant"}),
)
def instant(*, excel: bool = False) -> Step:
    """A moment: ISO 8601, day-first date (DQ-12) with or without time, or 10 digits of seconds or 13 of milliseconds
    since 1970; no zone is +07:00 (DQ-16).

    A spreadsheet serial, its fraction the time of day, only where *excel* (DQ-13).
    """

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        return read_instant(found, excel=excel)

    return step


def read_instant(value: str, *, excel: bool = False) -> int | Refusal:
    """Milliseconds since 1970 UTC; a moment outside 1970…2100 is refused, as is a spreadsheet serial if not *excel*."""
    if excel and (serial := _SERIAL_TIME.fullmatch(value)):
        return _excel_moment(int(serial[1]), serial[2] or "0")
    value = whole_text(value)
    moment = _epoch(value) if value.isdigit() and len(value) != 8 else _moment(value)
    if isinstance(moment, Refusal):
        return moment
    return moment if 0 <= moment < _MS_TO else IMPOSSIBLE


def usual_instant(value: str) -> int | None:
    """The moment of a text like 2026-05-27T15:00:00+07:00, as `read_instant` has it; None for any other text."""
    if not _USUAL.fullmatch(value):
        return None
    seconds = 3_600 * int(value[11:13]) + 60 * int(value[14:16]) + int(value[17:19])
    midnight = _midnight(value[:10])
    moment = _MS_TO if midnight is None else midnight + 1_000 * seconds
    return moment if moment < _MS_TO else None


@lru_cache(maxsize=1_024)
def _midnight(day: str) -> int | None:
    moment = read_instant(f"{day}T00:00:00+07:00")
    return None if isinstance(moment, Refusal) else moment


def _excel_moment(serial: int, fraction: str) -> int | Refusal:
    """A day number and the digits of its fraction, to the second: a spreadsheet's fraction is no more exact."""
    day = _excel_day(serial)
    if isinstance(day, Refusal):
        return day
    seconds = round(float(f"0.{fraction}") * _DAY_S)
    midnight = datetime(day.year, day.month, day.day, tzinfo=HANOI)
    return (midnight - _EPOCH) // _MILLISECOND + seconds * 1000


def _epoch(value: str) -> int | Refusal:
    if not _EPOCH_DIGITS.fullmatch(value) or _LIKE_A_DATE.fullmatch(value):
        return NO_MOMENT
    return int(value) * (1000 if len(value) == 10 else 1)


def _moment(value: str) -> int | Refusal:
    try:
        if match := _CLOCK_FIRST.fullmatch(value):
            dd, mm, _, hour, minute, second = (int(part or 0) for part in match.groups())
            year = int(match[3] if len(match[3]) == 4 else _century(match[3]))
            moment = datetime(year, mm, dd, hour, minute, second, tzinfo=HANOI)
        elif match := _ISO.fullmatch(value):
            day, clock, zone = match.groups()
            moment = datetime.fromisoformat(f"{day}T{clock or '00'}{zone or ''}")
        else:
            return NO_MOMENT
    except (ValueError, OverflowError):
        return IMPOSSIBLE
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=HANOI)
    return (moment - _EPOCH) // _MILLISECOND


@function(
    "date",
    example("2026-05-29T23:30:00Z", date(2026, 5, 30)),
    example("29/05/2026", date(2026, 5, 29)),
    example("29.5.26", date(2026, 5, 29)),
    example("46171.5", date(2026, 5, 29), excel=True),
    example("46171", Refusal("DQ-11")),
    also_takes=frozenset({"instant"}),
)
def day_of(*, excel: bool = False) -> Step:
    """The day in Vietnam of a date or a moment; of a spreadsheet serial only where *excel* (DQ-13)."""

    def step(value: object) -> object:
        found = as_text(value)
        if not isinstance(found, str) or not found:
            return found or None
        plain = read_date(found, excel=excel)
        if isinstance(plain, date) or plain is IMPOSSIBLE:
            return plain
        moment = read_instant(found, excel=excel)
        if isinstance(moment, Refusal):
            return moment
        return (datetime(1970, 1, 1, tzinfo=HANOI) + timedelta(hours=7, milliseconds=moment)).date()

    return step
