"""Synthetic pupils, teachers and schools for the demo's vendors.  Nobody here exists.

Marks of invention: every name contains "Mẫu"; school codes carry 999; a pupil code is the province, a 9, the
level's digit and six digits of the running number; a citizen ID has a plausible start (prefix, sex and century,
birth year) and a serial of 9 and five digits of the number.  Codes and IDs are unique for running numbers below
100,000 in each level.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Literal, Protocol, TypeVar

Level = Literal["primary", "secondary"]
_Choice = TypeVar("_Choice")

REFERENCE_YEAR = 2025
"""Grades are those of the school year that begins in this year."""


class Dice(Protocol):
    """What is needed of `random.Random`."""

    def randrange(self, start: int, stop: int) -> int:
        """A whole number from *start* up to, not including, *stop*."""
        ...

    def choice(self, seq: Sequence[_Choice]) -> _Choice:
        """One element of *seq*."""
        ...


@dataclass(frozen=True, slots=True)
class School:
    """A synthetic school of one of the two vendors."""

    code: str
    name: str
    commune: str
    commune_code: str
    province: str
    province_code: str
    department: str
    leader: str
    leader_id: str


@dataclass(frozen=True, slots=True)
class Pupil:
    """A synthetic pupil."""

    number: int
    level: Level
    pupil_code: str
    citizen_id: str
    full_name: str = field(repr=False)
    birth_date: date = field(repr=False)
    gender: Literal["1", "2"]
    ethnic_name: str
    ethnic_code: str
    school_code: str
    grade: int
    class_name: str
    father_name: str = field(repr=False)
    mother_name: str = field(repr=False)

    @property
    def school(self) -> School:
        """Where the pupil goes to school."""
        return SCHOOL_OF_CODE[self.school_code]


_PROVINCES = {
    "01": ("Thành phố Hà Nội", "001", "Sở Giáo dục và Đào tạo Hà Nội"),
    "24": ("Tỉnh Bắc Ninh", "027", "Sở Giáo dục và Đào tạo Bắc Ninh"),
    "38": ("Tỉnh Thanh Hóa", "038", "Sở Giáo dục và Đào tạo Thanh Hóa"),
    "40": ("Tỉnh Nghệ An", "040", "Sở Giáo dục và Đào tạo Nghệ An"),
    "44": ("Tỉnh Quảng Trị", "045", "Sở Giáo dục và Đào tạo Quảng Trị"),
    "46": ("Thành phố Huế", "046", "Sở Giáo dục và Đào tạo Huế"),
    "48": ("Thành phố Đà Nẵng", "048", "Sở Giáo dục và Đào tạo Đà Nẵng"),
    "66": ("Tỉnh Đắk Lắk", "066", "Sở Giáo dục và Đào tạo Đắk Lắk"),
    "79": ("Thành phố Hồ Chí Minh", "079", "Sở Giáo dục và Đào tạo Thành phố Hồ Chí Minh"),
    "92": ("Thành phố Cần Thơ", "092", "Sở Giáo dục và Đào tạo Cần Thơ"),
    "96": ("Tỉnh Cà Mau", "096", "Sở Giáo dục và Đào tạo Cà Mau"),
}
_CODES: dict[Level, tuple[str, ...]] = {
    "secondary": (
        "79999501", "79999502", "79999503", "01999504", "01999505",
        "48999506", "48999507", "66999508", "66999509", "38999510",
    ),
    "primary": (
        "38999301", "38999302", "40999303", "40999304", "44999305",
        "46999306", "92999307", "92999308", "96999309", "24999310",
    ),
}  # fmt: skip
_ORDINALS = ("Một", "Hai", "Ba", "Bốn", "Năm", "Sáu", "Bảy", "Tám", "Chín", "Mười")
_LEVEL_DIGIT = {"primary": "2", "secondary": "3"}
_LEVEL_NAME = {"primary": "Tiểu học", "secondary": "THCS"}

_FAMILY = (
    "Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Huỳnh", "Phan", "Vũ", "Võ", "Đặng",
    "Bùi", "Đỗ", "Hồ", "Ngô", "Dương", "Lý",
)  # fmt: skip
_MIDDLE = {
    "1": ("Văn", "Hữu", "Đức", "Minh", "Quốc", "Gia"),
    "2": ("Thị", "Ngọc", "Thu", "Thanh", "Khánh", "Bảo"),
}
_GIVEN = {
    "1": (
        "An", "Bình", "Cường", "Dũng", "Đạt", "Hải", "Hiếu", "Khoa",
        "Long", "Nam", "Phúc", "Quân", "Sơn", "Tuấn", "Vinh",
    ),
    "2": (
        "Anh", "Chi", "Dung", "Giang", "Hà", "Hoa", "Hương", "Lan",
        "Linh", "Mai", "Nga", "Oanh", "Quỳnh", "Trang", "Yến",
    ),
}  # fmt: skip
COMMENTS = (
    "Chăm chỉ, có tiến bộ rõ trong học kỳ 2.",
    "Nắm chắc kiến thức, cần mạnh dạn phát biểu hơn.",
    "Ngoan, đoàn kết với bạn bè, giữ nền nếp tốt.",
    "Có năng khiếu, cần rèn thêm tính cẩn thận.",
)
_ETHNIC = (*(("Kinh", "01"),) * 4, ("Tày", "02"), ("Thái", "03"), ("Mường", "06"), ("Ê Đê", "12"))


def teacher(number: int, province_code: str) -> tuple[str, str]:
    """Name and citizen ID of the synthetic teacher with this number: born 1970–1994, serials 990000 to 999999."""
    gender: Literal["1", "2"] = "1" if number % 3 == 0 else "2"
    name = f"{_FAMILY[number % 16]} {_MIDDLE[gender][number % 6]} Mẫu {_GIVEN[gender][number % 15]}"
    born = 70 + number % 25
    return name, f"{_PROVINCES[province_code][1]}{int(gender) - 1}{born}99{number % 10_000:04d}"


def _school(level: Level, index: int, code: str) -> School:
    province_code = code[:2]
    province, _, department = _PROVINCES[province_code]
    name, citizen_id = teacher(9_000 + index, province_code)
    return School(
        code=code,
        name=f"Trường {_LEVEL_NAME[level]} Mẫu Số {_ORDINALS[index]}",
        commune=f"Xã Mẫu {_ORDINALS[index]}",
        commune_code=f"{province_code}99{index % 10}",
        province=province,
        province_code=province_code,
        department=department,
        leader=name,
        leader_id=citizen_id,
    )


SCHOOLS: dict[Level, tuple[School, ...]] = {
    level: tuple(_school(level, index, code) for index, code in enumerate(codes)) for level, codes in _CODES.items()
}
"""The ten schools of each vendor: `secondary` are vnedu's, `primary` are hocba-xml's (see their connector.yaml)."""

SCHOOL_OF_CODE = {school.code: school for schools in SCHOOLS.values() for school in schools}


def synthetic_pupil(dice: Dice, *, level: Level, number: int) -> Pupil:
    """Pupil *number* (below 100,000) of *level*; the number alone decides code and ID serial, *dice* the rest."""
    school = SCHOOLS[level][number % 10]
    gender: Literal["1", "2"] = dice.choice(("1", "2"))
    grade = dice.randrange(1, 6) if level == "primary" else dice.randrange(6, 10)
    birth = date(REFERENCE_YEAR - 5 - grade, 1, 1) + timedelta(days=dice.randrange(0, 365))
    ethnic_name, ethnic_code = dice.choice(_ETHNIC)
    family = dice.choice(_FAMILY)
    prefix = _PROVINCES[school.province_code][1]
    return Pupil(
        number=number,
        level=level,
        pupil_code=f"{school.province_code}9{_LEVEL_DIGIT[level]}{number % 1_000_000:06d}",
        citizen_id=f"{prefix}{int(gender) + 1}{birth.year % 100:02d}9{number % 100_000:05d}",
        full_name=f"{family} {dice.choice(_MIDDLE[gender])} Mẫu {dice.choice(_GIVEN[gender])}",
        birth_date=birth,
        gender=gender,
        ethnic_name=ethnic_name,
        ethnic_code=ethnic_code,
        school_code=school.code,
        grade=grade,
        class_name=f"{grade}A{dice.randrange(1, 7)}",
        father_name=f"{family} Văn Mẫu {dice.choice(_GIVEN['1'])}",
        mother_name=f"{dice.choice(_FAMILY)} Thị Mẫu {dice.choice(_GIVEN['2'])}",
    )


def updated_at(version: int, school_year: str = "2025-2026") -> str:
    """The business time of a version: one minute later each, from 25 May of the school year's end, +07:00."""
    minutes = version % 100_000
    day, minute = divmod(minutes, 1_000)
    return f"{school_year[5:]}-05-{25 + day % 4:02d}T{6 + minute // 60:02d}:{minute % 60:02d}:00+07:00"


def marks_dice(pupil: Pupil, version: int, marks: int | None) -> Random:
    """The dice of a pupil's marks: the same for the same version, or for the same *marks*."""
    return Random(f"{pupil.level}|{pupil.number}|{version if marks is None else marks}")
