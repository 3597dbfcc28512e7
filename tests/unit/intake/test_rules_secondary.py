"""TT 22/2021: study level, rounding, conduct, promotion, retests, awards and absences."""

from decimal import ROUND_HALF_UP, Decimal

import pytest

from gateway.errors import Problem
from gateway.intake.rules_marks import adjusted_level, expected_year, study_level
from gateway.intake.rules_secondary import judge
from tests.unit.intake.loaded import codes, items, mapped, rejected, row

PASSED = [True] * 4


def marked(**changes: object) -> dict[str, object]:
    """A row of steady marks 7.0 (level K, conduct T, promoted) with changes."""
    base = row(1, danh_hieu="")
    for key in ("toan", "van", "ngoai_ngu", "khtn", "ls_dl", "gdcd", "tin", "c_nghe"):
        base |= {key: "7,0", f"{key}_hk1": "7,0", f"{key}_hk2": "7,0"}
    for period in ("", "_hk1", "_hk2"):
        base |= {f"ket_qua_hoc_tap{period}": "Khá", f"ket_qua_ren_luyen{period}": "Tốt"}
    return base | {"len_lop": "x", "nghi_p": "2", "nghi_k": "1", "nghi_tong": "3"} | changes


@pytest.mark.parametrize(
    ("scored", "passed", "level"),
    [
        ([80] * 6 + [65] * 2, PASSED, "T"),
        ([80] * 5 + [79] * 3, PASSED, "K"),
        ([80] * 7 + [64], PASSED, "K"),
        ([65] * 6 + [50] * 2, PASSED, "K"),
        ([65] * 5 + [64] * 3, PASSED, "Đ"),
        ([80] * 8, [False, True, True, True], "Đ"),
        ([80] * 8, [False, False, True, True], "CĐ"),
        ([50] * 6 + [35] * 2, PASSED, "Đ"),
        ([50] * 6 + [35, 34], PASSED, "CĐ"),
        ([50] * 5 + [49] * 3, PASSED, "CĐ"),
    ],
)
def test_study_level_by_article_9(scored: list[int], passed: list[bool], level: str) -> None:
    assert study_level(scored, passed) == level


def test_one_subject_alone_may_cost_one_level_only() -> None:
    assert study_level([90] * 7 + [34], PASSED) == "CĐ"
    assert adjusted_level([90] * 7 + [34], PASSED) == "Đ"
    assert adjusted_level([90] * 7 + [49], PASSED) == "K"
    assert adjusted_level([90] * 8, [False, True, True, True]) == "K"


def test_two_bad_subjects_are_not_adjusted() -> None:
    assert adjusted_level([90] * 6 + [34, 34], PASSED) == "CĐ"


def test_the_year_average_rounds_half_up_in_decimal() -> None:
    for one in range(101):
        for two in range(101):
            first, second = f"{one // 10}.{one % 10}", f"{two // 10}.{two % 10}"
            exact = (Decimal(first) + 2 * Decimal(second)) / 3
            assert expected_year(first, second) == str(exact.quantize(Decimal("0.1"), ROUND_HALF_UP))


def test_the_base_row_has_no_finding() -> None:
    assert codes(items(marked())[0]) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"toan": "7,1"}, ["DQ-37:subjects[15].mark_year"]),
        ({"gdtc": "CĐ"}, ["DQ-37:subjects[88].mark_year", "DQ-38:study_result_year"]),
        ({"ket_qua_hoc_tap": "Tốt"}, ["DQ-38:study_result_year"]),
        ({"ket_qua_ren_luyen": "Khá"}, ["DQ-38:conduct_result_year"]),
        ({"gdtc": "M"}, ["DQ-39:subjects[88].mark_year"]),
        ({"gdtc": "M", "gdtc_hk1": "M", "gdtc_hk2": "M"}, []),
        ({"toan_thi_lai": "8,0"}, ["DQ-39:subjects[15].mark_retest"]),
        ({"ket_qua_hoc_tap_thi_lai": "Đạt"}, ["DQ-39:study_result_after_retest"]),
        ({"nghi_p": "45", "nghi_k": "0", "nghi_tong": "45"}, []),
        ({"nghi_p": "46", "nghi_k": "0", "nghi_tong": "46"}, ["DQ-39:promoted"]),
        ({"nghi_p": "46", "nghi_k": "-", "nghi_tong": ""}, ["DQ-39:promoted"]),
        ({"nghi_p": "46", "nghi_k": "0", "nghi_tong": "46", "len_lop": ""}, []),
        ({"nghi_tong": "9"}, ["DQ-40:absences_total"]),
        ({"nghi_p": "2", "nghi_k": "", "nghi_tong": "9"}, ["DQ-40:absences_total"]),  # a blank beside a count is none
        ({"nghi_p": "", "nghi_k": "", "nghi_tong": "6"}, []),
        ({"nghi_p": None, "nghi_k": None, "nghi_tong": "6"}, []),
        ({"nghi_p": "200", "nghi_k": "100", "nghi_tong": "", "len_lop": ""}, []),
        ({"danh_hieu": "Học sinh Giỏi"}, ["DQ-39:award_text"]),
        ({"danh_hieu": "HỌC SINH XUẤT SẮC"}, ["DQ-39:award_text"]),
        ({"tin": "-", "tin_hk1": "-", "tin_hk2": "-"}, ["DQ-32:subjects[32]"]),
        ({"tin": "-"}, ["DQ-32:subjects[32]"]),
        ({"noi_o": "Thị xã Mẫu (cũ)"}, ["DQ-29:residence_address"]),
        ({"thoi_gian_cap_nhat": "2025-06-30T10:00:00"}, ["DQ-51:occurred_at"]),
    ],
)
def test_a_contradiction_warns(changes: dict[str, object], found: list[str]) -> None:
    assert codes(mapped(marked(**changes))) == found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"gdtc": "8,0"}, ["DQ-11:subjects[88].mark_year"]),
        ({"toan": "Đ"}, ["DQ-11:subjects[15].mark_year"]),
        ({"ket_qua_hoc_tap": ""}, ["DQ-36:study_result_year"]),
        ({"so_dinh_danh_ca_nhan": "0" * 13}, ["DQ-34:citizen_id", "DQ-18:citizen_id"]),
        ({"nghi_tong": "-3"}, ["DQ-08:absences_total"]),
        ({"nghi_tong": "301"}, ["DQ-08:absences_total"]),
        ({"nghi_p": "200", "nghi_k": "200", "nghi_tong": "", "len_lop": ""}, ["DQ-08:absences_total"]),
        ({"nghi_p": "200", "nghi_k": "101", "nghi_tong": "", "len_lop": ""}, ["DQ-08:absences_total"]),
        ({"nghi_p": "-1", "nghi_k": "4"}, ["DQ-08:absences_excused"]),
        ({"nghi_p": "4", "nghi_k": "-1", "nghi_tong": ""}, ["DQ-08:absences_unexcused"]),
        ({"nghi_p": "-1", "nghi_k": "", "nghi_tong": ""}, ["DQ-08:absences_excused"]),
        ({"khoi": "5"}, ["DQ-49:grade_code"]),
        ({"khoi": "10"}, ["DQ-49:grade_code"]),
        ({"thong_tu": "58"}, ["DQ-49:circular"]),
        ({"nhan_xet_gvcn": "á" * 2_001}, ["DQ-34:homeroom_teacher_comment"]),
        ({"quoc_tich": "Việt Nam"}, ["DQ-11:nationality"]),
    ],
)
def test_what_no_target_could_take_is_rejected(changes: dict[str, object], found: list[str]) -> None:
    assert codes(rejected(marked(**changes))) == found


def test_a_text_of_exactly_the_limit_is_accepted_after_composition() -> None:
    decomposed = "a\u0301" * 2_000

    assert codes(mapped(marked(nhan_xet_gvcn=decomposed))) == []


def test_a_year_before_the_switch_is_not_judged_by_the_new_rules() -> None:
    old = marked(nam_hoc="2019-2020", thong_tu="58", thoi_gian_cap_nhat="2020-08-01T00:00:00", toan="9,9", tin="-")

    assert codes(mapped(old)) == []


def test_a_level_of_the_old_circular_is_not_called_a_wrong_code() -> None:
    """The dictionary has no code for the levels of TT 58, so the record cannot be carried; that is what is said."""
    old = {"nam_hoc": "2020-2021", "thong_tu": "58", "thoi_gian_cap_nhat": "2021-05-28T10:00:00"}
    averages = marked(**old, ket_qua_hoc_tap="Trung bình", ket_qua_ren_luyen_hk1="Trung bình", quoc_tich="Việt Nam")

    assert codes(rejected(averages)) == [
        "DQ-11:nationality",
        "DQ-49:study_result_year",
        "DQ-49:conduct_result_term1",
    ]
    assert "DQ-11:study_result_year" in codes(rejected(marked(ket_qua_hoc_tap="Trung bình")))


def test_a_grade_before_its_switch_states_the_old_circular() -> None:
    old = {"khoi": "9", "nam_hoc": "2022-2023", "thoi_gian_cap_nhat": "2023-05-28T10:00:00"}

    assert codes(mapped(marked(**old, thong_tu="58"))) == []
    for circular in ("22", "27", "99"):
        assert codes(rejected(marked(**old, thong_tu=circular))) == ["DQ-49:circular"]


def test_a_disability_not_assessed_lifts_the_study_levels_only() -> None:
    lifted = {"khuyet_tat_khong_danh_gia": "1"} | {f"ket_qua_hoc_tap{period}": "" for period in ("", "_hk1", "_hk2")}

    assert codes(mapped(marked(**lifted))) == []
    assert codes(rejected(marked(**lifted, ket_qua_ren_luyen=""))) == ["DQ-36:conduct_result_year"]
    assert codes(rejected(marked(ket_qua_ren_luyen="", ket_qua_ren_luyen_hk1=""))) == [
        "DQ-36:conduct_result_term1",
        "DQ-36:conduct_result_year",
    ]


def test_a_mark_of_another_kind_says_nothing_about_the_level() -> None:
    assert codes(rejected(marked(toan="CĐ"))) == ["DQ-11:subjects[15].mark_year"]


def test_a_refused_mark_leaves_the_study_level_open() -> None:
    assert codes(rejected(marked(toan="85"))) == ["DQ-08:subjects[15].mark_year"]


THPT_SCORED = ("19", "15", "69", "40", "47", "41", "35", "36", "100")
THPT_COMMENT = ("88", "91", "99")


def thpt(*without: str, **changes: object) -> dict[str, object]:
    """A grade 10 body of steady 7.0 with the subjects of an upper secondary school."""
    marks = dict.fromkeys(THPT_SCORED, "7.0") | dict.fromkeys(THPT_COMMENT, "Đ")
    rows = [
        {"subject_code": code, "mark_term1": mark, "mark_term2": mark, "mark_year": mark}
        for code, mark in marks.items()
        if code not in without
    ]
    levels = dict.fromkeys(("study_result_term1", "study_result_term2", "study_result_year"), "K")
    conduct = dict.fromkeys(("conduct_result_term1", "conduct_result_term2", "conduct_result_year"), "T")
    results = levels | conduct | {"subjects": rows} | changes
    return {"education_level": "04", "disability_not_assessed": False, "promoted": True, "results": results}


def test_upper_secondary_needs_four_chosen_subjects() -> None:
    assert judge(thpt(), {}, frozenset()) == []
    assert judge(thpt("100"), {}, frozenset()) == [Problem("DQ-32", "subjects", "not_computable")]
    assert judge(thpt("40"), {}, frozenset()) == [Problem("DQ-32", "subjects[40]", "not_computable")]


def test_subject_codes_belong_to_a_level() -> None:
    body = thpt()
    body["results"]["subjects"].append({"subject_code": "66"})  # type: ignore[index]

    assert judge(body, {}, frozenset()) == [Problem("DQ-30", "subjects[#12].subject_code")]


STUDY = ("study_result_term1", "study_result_term2", "study_result_year")


def test_without_a_chosen_subject_a_lower_study_level_is_open() -> None:
    body = thpt("100", **dict.fromkeys(STUDY, "CĐ")) | {"promoted": False}

    assert judge(body, {}, frozenset()) == [Problem("DQ-32", "subjects", "not_computable")]


def test_no_missing_mark_can_lift_the_study_level_above_what_the_others_allow() -> None:
    stated_too_high = dict.fromkeys(STUDY, "T")

    assert judge(thpt("100", **stated_too_high), {}, frozenset()) == [
        Problem("DQ-32", "subjects", "not_computable"),
        *(Problem("DQ-38", field, "SR-4") for field in STUDY),
    ]
