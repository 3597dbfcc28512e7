"""A synthetic pupil's year as each vendor would publish it: full width, clean, consistent with every rule.

Pure: the same pupil, version and *marks* give the same bytes.  Another version gives other marks, so another
content; *marks* fixes them.  A clean payload is accepted by its connector without any finding (a property test
holds it). The vnEdu rows are here, the XML is made in `payloads_xml`.
"""

from random import Random
from typing import Any

import msgspec

from gateway.intake.rules_marks import expected_year, study_level
from gateway.sandbox.payloads_xml import hocba_xml
from gateway.sandbox.people import (
    COMMENTS,
    SCHOOLS,
    Dice,
    Pupil,
    School,
    marks_dice,
    synthetic_pupil,
    teacher,
    updated_at,
)

__all__ = [
    "SCHOOLS",
    "VENDOR_OF_LEVEL",
    "Dice",
    "Pupil",
    "School",
    "hocba_xml",
    "synthetic_pupil",
    "updated_at",
    "vnedu_message",
    "vnedu_row",
]

VENDOR_OF_LEVEL = {"secondary": "vnedu", "primary": "hocba-xml"}

_SCORED = ("toan", "van", "ngoai_ngu", "khtn", "ls_dl", "gdcd", "tin", "c_nghe")
_COMMENT = ("gdtc", "nghe_thuat", "ndgdcdp", "hdtn_hn")
_LEVEL_WORDS = {"T": "Tốt", "K": "Khá", "Đ": "Đạt", "CĐ": "Chưa đạt"}
_CONDUCT = (
    ("T", "T", "T"),
    ("K", "T", "T"),
    ("T", "K", "K"),
    ("K", "K", "K"),
    ("Đ", "K", "K"),
)  # term 1, term 2, year: SR-6


def vnedu_row(
    pupil: Pupil, *, version: int, event: str = "NEW", school_year: str = "2025-2026", marks: int | None = None
) -> dict[str, Any]:
    """One row of a vnEdu message; a CANCEL carries keys, version, time and reason only."""
    keys = {
        "ma_hoc_sinh": pupil.pupil_code,
        "ma_truong": pupil.school_code,
        "nam_hoc": school_year,
        "id_ban_ghi": f"VE-{pupil.number:08d}-{school_year}",
        "su_kien": event,
        "phien_ban": version,
        "thoi_gian_cap_nhat": updated_at(version, school_year),
    }
    if event == "CANCEL":
        return keys | {"ly_do": "Phát hành nhầm học sinh"}
    dice = marks_dice(pupil, version, marks)
    return keys | _vnedu_person(pupil, school_year) | _vnedu_results(pupil, dice)


def vnedu_message(rows: list[dict[str, Any]]) -> bytes:
    """A message of *rows*, one or many."""
    return msgspec.json.encode({"source": "vnedu", "export": "so_diem_tong_ket_khoi", "rows": rows})


def _vnedu_person(pupil: Pupil, school_year: str) -> dict[str, Any]:
    school = pupil.school
    homeroom, homeroom_id = teacher(pupil.number % 500 + 8_000, school.province_code)
    home = f"Thôn Mẫu, {school.commune}, {school.province}"
    return {
        "hoc_ky": "Cả năm",
        "thong_tu": "22",
        "phien_ban_mau": "1.0",
        "ma_so_gd": school.province_code,
        "ten_so_gd": school.department,
        "ten_truong": school.name,
        "truong_ten_xa": school.commune,
        "truong_ma_xa": school.commune_code,
        "truong_ten_tinh": school.province,
        "truong_ma_tinh": school.province_code,
        "lop": pupil.class_name,
        "khoi": pupil.grade,
        "so_dang_bo": f"{pupil.number % 10_000:04d}/DB",
        "so_dinh_danh_ca_nhan": pupil.citizen_id,
        "ho_ten": pupil.full_name,
        "ngay_sinh": pupil.birth_date.strftime("%d/%m/%Y"),
        "gioi_tinh": "Nam" if pupil.gender == "1" else "Nữ",
        "dan_toc": pupil.ethnic_name,
        "quoc_tich": "VN",
        "noi_sinh": f"{school.commune}, {school.province}",
        "noi_sinh_ma_tinh": school.province_code,
        "que_quan": home,
        "noi_o": home,
        "noi_o_ma_xa": school.commune_code,
        "noi_o_ma_tinh": school.province_code,
        "ho_ten_cha": pupil.father_name,
        "nghe_nghiep_cha": "Nông dân",
        "ho_ten_me": pupil.mother_name,
        "nghe_nghiep_me": "Công nhân",
        "ten_hieu_truong": school.leader,
        "so_dinh_danh_hieu_truong": school.leader_id,
        "chuc_vu_hieu_truong": "Hiệu trưởng",
        "dia_danh_phat_hanh": school.commune,
        "ngay_ky_phat_hanh": f"29/05/{school_year[5:]}",
        "ngay_tao": f"25/05/{school_year[5:]}",
        "ten_gvcn": homeroom,
        "so_dinh_danh_gvcn": homeroom_id,
    }


def _vnedu_results(pupil: Pupil, dice: Random) -> dict[str, Any]:
    row: dict[str, Any] = {}
    base = dice.randrange(45, 96)
    terms: dict[str, list[int]] = {"hk1": [], "hk2": [], "": []}
    for number, key in enumerate(_SCORED):
        first, second = (_tenths(base + dice.randrange(-12, 13)) for _ in range(2))
        year = expected_year(first, second) or first
        row |= {f"{key}_hk1": _comma(first), f"{key}_hk2": _comma(second), key: _comma(year)} | _teacher(
            pupil, key, number
        )
        for period, mark in zip(terms, (first, second, year), strict=True):
            terms[period].append(int(mark.replace(".", "")))
    for number, key in enumerate(_COMMENT, len(_SCORED)):
        row |= {f"{key}_hk1": "Đ", f"{key}_hk2": "Đ", key: "Đ"} | _teacher(pupil, key, number)
    study = {period: study_level(scored, [True] * len(_COMMENT)) for period, scored in terms.items()}
    first_conduct, second_conduct, conduct = dice.choice(_CONDUCT)
    excused, unexcused = dice.randrange(0, 12), dice.randrange(0, 3)
    promoted = study[""] != "CĐ" and conduct != "CĐ"
    excellent = sum(mark >= 90 for mark in terms[""]) >= 6
    award = ("Học sinh Xuất sắc" if excellent else "Học sinh Giỏi") if study[""] == conduct == "T" else ""
    return row | {
        "ket_qua_hoc_tap_hk1": _LEVEL_WORDS[study["hk1"]],
        "ket_qua_hoc_tap_hk2": _LEVEL_WORDS[study["hk2"]],
        "ket_qua_hoc_tap": _LEVEL_WORDS[study[""]],
        "ket_qua_ren_luyen_hk1": _LEVEL_WORDS[first_conduct],
        "ket_qua_ren_luyen_hk2": _LEVEL_WORDS[second_conduct],
        "ket_qua_ren_luyen": _LEVEL_WORDS[conduct],
        "nghi_p": str(excused),
        "nghi_k": str(unexcused),
        "nghi_tong": str(excused + unexcused),
        "len_lop": "x" if promoted else "",
        "noi_dung_len_lop": f"Được lên lớp {pupil.grade + 1}" if promoted else "Chưa được lên lớp",
        "danh_hieu": award,
        "nhan_xet_gvcn": dice.choice(COMMENTS),
    }


def _tenths(value: int) -> str:
    bounded = max(20, min(100, value))
    return f"{bounded // 10}.{bounded % 10}"


def _comma(mark: str) -> str:
    return mark.replace(".", ",")


def _teacher(pupil: Pupil, key: str, number: int) -> dict[str, str]:
    name, citizen_id = teacher(pupil.number % 10 * 20 + number, pupil.school.province_code)
    return {f"{key}_gv": name, f"{key}_gv_so_dinh_danh": citizen_id}
