"""The học bạ XML of a synthetic primary pupil: element names as the sample has them, signatures as placeholders."""

from random import Random
from uuid import UUID, uuid5
from xml.sax.saxutils import escape

from gateway.intake.rules_primary import COMPULSORY, GENERAL, QUALITIES, SPECIFIC, TESTED, expected_overall
from gateway.national.schema import code_lists
from gateway.sandbox.people import COMMENTS, Pupil, marks_dice, teacher, updated_at

_TRANSCRIPTS = UUID("6f1d6c1e-0000-4000-8000-000000999900")
_OVERALL_WORDS = {code: entry.vietnamese for code, entry in code_lists()["primary_overall_result"].items()}
_TRAITS = {
    "PHAM_CHAT": ("YEU_NUOC", "NHAN_AI", "CHAM_CHI", "TRUNG_THUC", "TRACH_NHIEM"),
    "NANG_LUC_CHUNG": ("TU_CHU_TU_HOC", "GIAO_TIEP_HOP_TAC", "GIAI_QUYET_VAN_DE_SANG_TAO"),
    "NANG_LUC_DAC_THU": ("NGON_NGU", "TINH_TOAN", "KHOA_HOC", "THAM_MI", "THE_CHAT"),
}
_SIGNATURE = (
    '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>'
    '<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
    '<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
    '<Reference URI="#{target}"><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    "<DigestValue>PLACEHOLDER</DigestValue></Reference></SignedInfo>"
    "<SignatureValue>PLACEHOLDER-{role}-NOT-A-REAL-SIGNATURE</SignatureValue></Signature>"
)


def hocba_xml(
    pupil: Pupil, *, version: int, event: str = "NEW", school_year: str = "2025-2026", marks: int | None = None
) -> bytes:
    """One học bạ XML with placeholder signatures; a CANCEL carries keys, version, time and reason only."""
    transcript = uuid5(_TRANSCRIPTS, f"{pupil.level}|{pupil.number}|{school_year}")
    keys = (
        _xml("MA_DINH_DANH_HOC_BA", transcript)
        + _xml("SU_KIEN", event)
        + _xml("PHIEN_BAN", version)
        + _xml("NAM_HOC", school_year)
    )
    keys += _xml("THOI_GIAN_CAP_NHAT", updated_at(version, school_year)) + _xml("MA_TRUONG", pupil.school_code)
    if event == "CANCEL":
        code = f"<HOC_SINH>{_xml('MA_HOC_SINH', pupil.pupil_code)}</HOC_SINH>"
        return _document(keys + code + _xml("LY_DO", "Phát hành nhầm học sinh"))
    dice = marks_dice(pupil, version, marks)
    return _document(keys + _xml_person(pupil, school_year) + _xml_results(pupil, dice))


def _xml(name: str, text: object) -> str:
    return f"<{name}>{escape(str(text))}</{name}>"


def _block(name: str, children: dict[str, object]) -> str:
    return f"<{name}>{''.join(_xml(key, text) for key, text in children.items())}</{name}>"


def _document(content: str) -> bytes:
    sign = {role: _SIGNATURE.format(target=target, role=role) for role, target in
            (("GVCN", "thongtinhocba"), ("CBQL", "data"), ("KY_PHAT_HANH", "data"))}  # fmt: skip
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<HOC_BA><DU_LIEU_HOC_BA Id="data"><THONG_TIN_HOC_BA Id="thongtinhocba">{content}</THONG_TIN_HOC_BA>'
        f"<DANH_SACH_THONG_TIN_KY><GVCN>{sign['GVCN']}</GVCN></DANH_SACH_THONG_TIN_KY></DU_LIEU_HOC_BA>"
        f"<PHAT_HANH_HOC_BA><CBQL>{sign['CBQL']}</CBQL><KY_PHAT_HANH>{sign['KY_PHAT_HANH']}</KY_PHAT_HANH>"
        "</PHAT_HANH_HOC_BA></HOC_BA>"
    ).encode()


def _xml_person(pupil: Pupil, school_year: str) -> str:
    school, year = pupil.school, school_year[5:]
    homeroom, homeroom_id = teacher(pupil.number % 500 + 8_000, school.province_code)
    home = f"Thôn Mẫu, {school.commune}, {school.province}"
    head = {
        "THONG_TU": "27", "TRICH_LUC": "0", "PHIEN_BAN_MAU": "1.0", "MA_SO_GD": school.province_code,
        "TEN_SO_GD": school.department, "TEN_TRUONG": school.name, "MA_CAP_HOC": "02", "MA_KHOI": f"{pupil.grade:02d}",
        "TEN_LOP": pupil.class_name, "DIA_DANH_PHAT_HANH": school.commune, "NGAY_KY_PHAT_HANH": f"{year}-05-29",
        "NGAY_TAO": f"{year}-05-25",
    }  # fmt: skip
    address = {
        "TEN_XA": school.commune, "MA_XA": school.commune_code,
        "TEN_TINH": school.province, "MA_TINH": school.province_code,
    }  # fmt: skip
    person = {
        "MA_HOC_SINH": pupil.pupil_code, "SO_DINH_DANH": pupil.citizen_id, "HO_VA_TEN": pupil.full_name,
        "GIOI_TINH": pupil.gender, "NGAY_SINH": pupil.birth_date.isoformat(), "DAN_TOC": pupil.ethnic_code,
        "QUOC_TICH": "VN",
        "NOI_SINH": f"{school.commune}, {school.province}", "QUE_QUAN": home, "NOI_O_HIEN_NAY": home,
        "NOI_O_MA_TINH": school.province_code, "HO_TEN_CHA": pupil.father_name, "HO_TEN_ME": pupil.mother_name,
    }  # fmt: skip
    leader = {"HO_VA_TEN": school.leader, "SO_DINH_DANH": school.leader_id, "CHUC_VU": "Hiệu trưởng"}
    blocks = _block("DIA_CHI_TRUONG", dict(address)) + _block("HOC_SINH", dict(person)) + _block("CBQL", dict(leader))
    return (
        "".join(_xml(key, text) for key, text in head.items())
        + blocks
        + _block("GVCN", {"HO_VA_TEN": homeroom, "SO_DINH_DANH": homeroom_id})
    )


def _xml_results(pupil: Pupil, dice: Random) -> str:
    grade = f"{pupil.grade:02d}"
    subjects, rows = _primary_subjects(grade, dice)
    good = "C" if dice.random() < 0.03 else "T" if dice.random() < 0.8 else "Đ"
    traits = {name: dict.fromkeys(names, "T") for name, names in _TRAITS.items()}
    traits["PHAM_CHAT"]["CHAM_CHI"] = good
    if pupil.grade >= 3:
        traits["NANG_LUC_DAC_THU"] |= {"CONG_NGHE": "T", "TIN_HOC": "T"}
    overall = _overall(subjects, grade, good)
    done = overall != "CHT"
    award = {"HTXS": "Học sinh Xuất sắc", "HTT": "Học sinh Tiêu biểu"}.get(overall, "")
    tail = {
        "CHIEU_CAO": f"{100 + pupil.grade * 6 + dice.randrange(0, 10)}.5", "CAN_NANG": 16 + pupil.grade * 3,
        "NGHI_CO_PHEP": dice.randrange(0, 8), "NGHI_KHONG_PHEP": dice.randrange(0, 2),
        "XEP_LOAI": _OVERALL_WORDS[overall], "HOAN_THANH_LOP_HOC": int(done),
        "HOAN_THANH_TIEU_HOC": int(done and pupil.grade == 5), "DUOC_LEN_LOP": int(done), "KHEN_THUONG": award,
        "NHAN_XET_GVCN": dice.choice(COMMENTS), "NHAN_XET_PHAM_CHAT": "Đạt yêu cầu.",
        "NHAN_XET_NANG_LUC_CHUNG": "Biết tự phục vụ, hợp tác với bạn.",
        "NHAN_XET_NANG_LUC_DAC_THU": "Đọc lưu loát, tính toán cẩn thận.",
    }  # fmt: skip
    blocks = "".join(_block(name, dict(values)) for name, values in traits.items())
    return f"<DANH_SACH_MON>{rows}</DANH_SACH_MON>{blocks}{''.join(_xml(key, text) for key, text in tail.items())}"


def _primary_subjects(grade: str, dice: Random) -> tuple[dict[str, dict[str, str]], str]:
    """The grade's compulsory subjects as the rules see them, and as XML."""
    names = code_lists()["subject_primary"]
    strength = dice.randrange(5, 11)
    subjects: dict[str, dict[str, str]] = {}
    rows = ""
    for code in sorted(COMPULSORY[grade]):
        mark = max(5, min(10, strength + dice.randrange(-1, 2)))
        level = "T" if mark >= 7 else "H"
        subjects[code] = {"achievement_level": level} | (
            {"periodic_test_mark": str(mark)} if code in TESTED[grade] else {}
        )
        test = str(mark) if code in TESTED[grade] else ""
        rows += _block("MON", {"MA": code, "TEN": names[code].vietnamese, "MUC_DAT_DUOC": level, "DIEM_KTDK": test})
    return subjects, rows


def _overall(subjects: dict[str, dict[str, str]], grade: str, weakest_trait: str) -> str:
    """The overall result by TT 27 art. 9 of a pupil whose other traits are all T."""
    traits = dict.fromkeys((*GENERAL, *SPECIFIC, *QUALITIES), "T") | {"quality_diligence": weakest_trait}
    return expected_overall(dict(traits), dict(subjects), grade) or "HT"
