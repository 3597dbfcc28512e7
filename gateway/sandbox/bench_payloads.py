"""What the intake bench publishes: full records that differ as real ones do, so that nothing remembered is flattered.

Of N records: N pupils (code, citizen ID, register number) and nearly as many times of change; names from 16 families
× 30 and 30; comments of 6 to 40 words drawn from 45, practically all different (14 a secondary record, 3 a primary
one); birth dates of four or two years (1,400 or 340); house and hamlet numbers in the addresses (about 30,000); marks
as the vendors' generator makes them (some 2,000 combinations of two terms and year a subject); 10 schools, 18 classes
a grade, 180 teachers a school.

secondary-full: 13 subjects with both terms, year, comment, teacher and teacher's ID; 4.7 KB of JSON, 3.4 KB of Avro.
year-1.7k: a primary year with 10 subjects.
"""

from random import Random
from typing import Any, Final

import msgspec

from gateway.intake.rules_primary import COMPULSORY, GENERAL, QUALITIES, SPECIFIC, TESTED, expected_overall
from gateway.sandbox.payloads import synthetic_pupil, vnedu_message, vnedu_row
from gateway.sandbox.people import Pupil, teacher

_WORDS: Final = (
    "chăm", "chỉ", "tiến", "bộ", "rõ", "trong", "học", "kỳ", "hai", "nắm", "chắc", "kiến", "thức", "cần", "mạnh", "dạn",
    "phát", "biểu", "hơn", "ngoan", "đoàn", "kết", "với", "bạn", "bè", "giữ", "nền", "nếp", "tốt", "có", "năng",
    "khiếu", "rèn", "thêm", "tính", "cẩn", "thận", "hợp", "tác", "nhóm", "trình", "bày", "bài", "sạch",
)  # fmt: skip
_SECONDARY: Final = (
    "toan", "van", "ngoai_ngu", "khtn", "ls_dl", "gdcd", "tin", "c_nghe", "gdtc", "nghe_thuat", "ndgdcdp", "hdtn_hn",
)  # fmt: skip
_GRADE: Final = 2
_TRAITS: Final = ("c1", "c2", "c3", "d1", "d2", "d3", "d4", "d5", "p1", "p2", "p3", "p4", "p5")
_OPTIONAL: Final = ("11", "14")
"""With the eight compulsory ones of grade 2 they make ten subjects."""


def secondary_full(number: int) -> bytes:
    """A vnEdu message with one full-width row."""
    dice = Random(number)
    pupil = synthetic_pupil(dice, level="secondary", number=number)
    row = vnedu_row(pupil, version=1)
    name, citizen_id = teacher(number % 180, pupil.school.province_code)
    row |= {"ngoai_ngu_2_hk1": "7,5", "ngoai_ngu_2_hk2": "8,1", "ngoai_ngu_2": "7,9"}
    row |= {"ngoai_ngu_2_gv": name, "ngoai_ngu_2_gv_so_dinh_danh": citizen_id}
    row |= {f"{key}_nhan_xet": _comment(dice, 6, 16) for key in (*_SECONDARY, "ngoai_ngu_2")}
    row |= {
        "thoi_gian_cap_nhat": _moment(dice),
        "que_quan": f"Thôn Mẫu {number % 50}, {row['que_quan']}",
        "noi_o": f"Số {number % 997} đường Mẫu {number % 31}, {row['noi_o']}",
        "nhan_xet_gvcn": _comment(dice, 15, 25),
        "lop": f"{pupil.grade}A{number % 18}",
    }
    return vnedu_message([row])


def year_record(number: int) -> bytes:
    """A message of the connector ``year_short_primary``."""
    dice = Random(number)
    pupil = synthetic_pupil(dice, level="primary", number=number)
    born = pupil.birth_date.replace(year=2017 + number % 2, day=min(pupil.birth_date.day, 28))
    prefix = pupil.citizen_id[:4]
    subjects, traits = _marks(dice)
    named = {
        code: {"achievement_level": row["t"], "periodic_test_mark": _text(row.get("d"))}
        for code, row in subjects.items()
    }
    overall = expected_overall(_named(traits), named, f"{_GRADE:02d}")
    done = overall != "CHT"
    record = _person(pupil, number) | traits | {
        "dd": f"{prefix}{born.year % 100:02d}{pupil.citizen_id[6:]}",
        "ns": born.isoformat(),
        "cn": _moment(dice),
        "cn_kg": round(dice.uniform(17, 34), 1),
        "cao": dice.randrange(108, 136),
        "np": dice.randrange(0, 9),
        "nkp": dice.randrange(0, 2),
        "xl": overall,
        "htl": int(done),
        "len": int(done),
        "nx": _comment(dice, 28, 40),
        "nxc": _comment(dice, 22, 28),
        "nxd": _comment(dice, 22, 28),
        "mon": [{"m": code} | row for code, row in subjects.items()],
    }  # fmt: skip
    return msgspec.json.encode(record)


def _person(pupil: Pupil, number: int) -> dict[str, Any]:
    school = pupil.school
    homeroom, homeroom_id = teacher(number % 180 + 8_000, school.province_code)
    return {
        "id": f"YS-{number:08d}", "sk": "NEW", "pb": 1, "nh": "2025-2026", "msg": school.province_code,
        "tsg": school.department, "mt": f"{school.code[:5]}6{school.code[6:]}", "tt": school.name, "tx": school.commune,
        "tti": school.province, "mti": school.province_code, "ma": pupil.pupil_code, "ht": pupil.full_name,
        "gt": pupil.gender, "dt": pupil.ethnic_name, "qt": "VN", "noi": f"{school.commune}, {school.province}",
        "que": f"Thôn Mẫu {number % 50}, {school.commune}", "cho": f"Số {number % 997} đường Mẫu {number % 31}",
        "thd": school.leader, "dhd": school.leader_id, "chd": "Hiệu trưởng", "dph": school.commune, "nph": "2026-05-29",
        "nt": f"2026-05-{18 + number % 8}",
        "tcn": homeroom, "dcn": homeroom_id, "kh": _GRADE, "lop": f"{_GRADE}A{number % 18}",
    }  # fmt: skip


def _marks(dice: Random) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Subjects and traits that agree: T everywhere, or T and a lower one mixed."""
    best = dice.random() < 0.4
    codes = sorted(COMPULSORY[f"{_GRADE:02d}"] | set(_OPTIONAL))
    subjects: dict[str, dict[str, Any]] = {}
    for code in codes:
        subjects[code] = {"t": "T" if best else dice.choice("TTH")}
        if code in TESTED[f"{_GRADE:02d}"]:
            subjects[code]["d"] = dice.randrange(9 if best else 5, 11)
    return subjects, {name: "T" if best else dice.choice("TTTĐ") for name in _TRAITS}


def _named(traits: dict[str, str]) -> dict[str, Any]:
    return dict(zip((*GENERAL, *SPECIFIC, *QUALITIES), traits.values(), strict=True))


def _text(mark: int | None) -> str | None:
    return None if mark is None else str(mark)


def _comment(dice: Random, least: int, most: int) -> str:
    words = " ".join(dice.choice(_WORDS) for _ in range(dice.randint(least, most)))
    return f"{words[0].upper()}{words[1:]}."


def _moment(dice: Random) -> str:
    second = dice.randrange(0, 12 * 3_600)
    return f"2026-05-{25 + second % 4}T{7 + second // 3_600:02d}:{second // 60 % 60:02d}:{second % 60:02d}+07:00"
