"""TT 27/2020: overall result, completion, promotion, awards, tests and levels."""

import re

import pytest

from gateway.intake import Mapped, Rejected
from gateway.intake.rules_primary import COMPULSORY, GENERAL, QUALITIES, SPECIFIC, TESTED, expected_overall
from tests.unit.intake.loaded import codes, document, from_xml

TRAITS = (*GENERAL, *SPECIFIC, *QUALITIES)


def subjects(grade: str, mark: str = "9", level: str = "T", **levels: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for code in COMPULSORY[grade]:
        found[code] = {"achievement_level": levels.get(f"s{code}", level)}
        if code in TESTED[grade]:
            found[code]["periodic_test_mark"] = mark
    return found


def set_to(text: str, **elements: str) -> str:
    for name, value in elements.items():
        text, count = re.subn(f"<{name}>[^<]*</{name}>", f"<{name}>{value}</{name}>", text)
        assert count, name
    return text


def level_4(**elements: str) -> str:
    """A grade 4 document, all T and 9 (HTXS), with elements set."""
    text = document(4, grade=4)
    text = re.sub(r"<MUC_DAT_DUOC>\w", "<MUC_DAT_DUOC>T", text)
    text = re.sub(r"<DIEM_KTDK>\d+", "<DIEM_KTDK>9", text)
    steady = {"CHAM_CHI": "T", "XEP_LOAI": "Hoàn thành xuất sắc", "KHEN_THUONG": ""}
    done = {"HOAN_THANH_LOP_HOC": "1", "DUOC_LEN_LOP": "1", "HOAN_THANH_TIEU_HOC": "0"}
    return set_to(text, **(steady | done | elements))


@pytest.mark.parametrize("grade", sorted(COMPULSORY))
@pytest.mark.parametrize(
    ("mark", "trait", "level", "overall"),
    [
        ("9", "T", "T", "HTXS"),
        ("8", "T", "T", "HTT"),
        ("7", "T", "T", "HTT"),
        ("6", "T", "T", "HT"),
        ("5", "Đ", "H", "HT"),
        ("9", "Đ", "T", "HT"),
        ("9", "T", "H", "HT"),
        ("4", "T", "T", "CHT"),
        ("9", "C", "T", "CHT"),
        ("9", "T", "C", "CHT"),
        ("10", "T", "M", "HTXS"),
    ],
)
def test_the_overall_result_by_article_9(grade: str, mark: str, trait: str, level: str, overall: str) -> None:
    results = dict.fromkeys(TRAITS, "T") | {"quality_honesty": trait}
    marks = subjects(grade, mark, s03=level)

    assert expected_overall(results, marks, grade) == overall


def test_the_overall_result_is_open_while_something_is_missing() -> None:
    results: dict[str, object] = dict.fromkeys(TRAITS, "T")
    without_test = subjects("05")
    del without_test["13"]["periodic_test_mark"]
    without_subject = subjects("05")
    del without_subject["03"]

    assert expected_overall(results, without_test, "05") is None
    assert expected_overall(results, without_subject, "05") is None
    assert expected_overall(results | {"quality_honesty": None}, subjects("05"), "05") is None


def test_informatics_and_technology_needs_one_test_of_two_rows() -> None:
    one = subjects("05")
    del one["87"]["periodic_test_mark"]

    assert expected_overall(dict.fromkeys(TRAITS, "T"), one, "05") == "HTXS"
    del one["12"]["periodic_test_mark"]
    assert expected_overall(dict.fromkeys(TRAITS, "T"), one, "05") is None


def test_the_base_document_has_no_finding() -> None:
    assert codes(from_xml(level_4())) == []


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ({"XEP_LOAI": "Hoàn thành tốt"}, ["DQ-38:overall_result"]),
        ({"HOAN_THANH_LOP_HOC": "0", "DUOC_LEN_LOP": "0"}, ["DQ-39:grade_programme_completed"]),
        ({"DUOC_LEN_LOP": "0"}, ["DQ-39:promoted"]),
        ({"HOAN_THANH_TIEU_HOC": "1"}, ["DQ-39:primary_programme_completed"]),
        ({"KHEN_THUONG": "Học sinh Xuất sắc"}, []),
        ({"CHAM_CHI": "Đ", "XEP_LOAI": "Hoàn thành", "KHEN_THUONG": "Học sinh Tiêu biểu"}, ["DQ-39:award_text"]),
        ({"CHAM_CHI": "C", "XEP_LOAI": "Chưa hoàn thành"}, ["DQ-39:completion_text"]),
    ],
)
def test_a_contradiction_warns(elements: dict[str, str], found: list[str]) -> None:
    item = from_xml(level_4(**elements))

    assert isinstance(item, Mapped)
    assert codes(item) == found


def test_completion_after_support_needs_its_text() -> None:
    text = level_4(CHAM_CHI="C", XEP_LOAI="Chưa hoàn thành")
    text = text.replace("<XEP_LOAI>", "<NOI_DUNG_HOAN_THANH>Đã đánh giá lại trong hè.</NOI_DUNG_HOAN_THANH><XEP_LOAI>")

    assert codes(from_xml(text)) == []


def test_tests_belong_to_tested_subjects_and_exempt_subjects_to_m() -> None:
    text = re.sub(r"(<MA>03</MA>.*?<DIEM_KTDK>)", r"\g<1>8", level_4(), count=1)
    text = re.sub(r"(<MA>01</MA>.*?<MUC_DAT_DUOC>)T", r"\1M", text, count=1)

    assert codes(from_xml(text)) == [
        "DQ-39:subjects[01].periodic_test_mark",
        "DQ-39:subjects[03].periodic_test_mark",
    ]


def test_later_competencies_are_not_judged_in_grade_2() -> None:
    text = document(4, grade=2).replace("</NANG_LUC_DAC_THU>", "<CONG_NGHE>T</CONG_NGHE></NANG_LUC_DAC_THU>")

    assert codes(from_xml(text)) == ["DQ-39:competency_technology"]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("<CHAM_CHI>T", "<CHAM_CHI>", "DQ-36:quality_diligence"),
        ("<XEP_LOAI>Hoàn thành xuất sắc", "<XEP_LOAI>", "DQ-36:overall_result"),
        ("<XEP_LOAI>Hoàn thành xuất sắc", "<XEP_LOAI>Giỏi", "DQ-11:overall_result"),
        ("<MA>03</MA>", "<MA>15</MA>", "DQ-30:subjects[#2].subject_code"),
        ("<MA>03</MA>", "<MA>02</MA>", "DQ-30:subjects[#2].subject_code"),
        ("<MA_CAP_HOC>02", "<MA_CAP_HOC>03", "DQ-49:education_level"),
        ("<MA_KHOI>04", "<MA_KHOI>07", "DQ-49:grade_code"),
        ("<CHIEU_CAO>1", "<CHIEU_CAO>9999", "DQ-08:height_cm"),
        ("<DAN_TOC>", "<DAN_TOC>77", "DQ-11:ethnic_group"),
        ("<HO_VA_TEN>", "<HO_VA_TEN><b>Mẫu</b>", "DQ-45:full_name"),
    ],
)
def test_what_no_target_could_take_is_rejected(old: str, new: str, found: str) -> None:
    text = level_4()
    assert old in text
    item = from_xml(text.replace(old, new, 1))

    assert isinstance(item, Rejected)
    assert found in codes(item)


def test_an_old_year_is_not_judged() -> None:
    text = level_4(NAM_HOC="2020-2021", THONG_TU="22", THOI_GIAN_CAP_NHAT="2021-05-28T10:00:00", XEP_LOAI="Hoàn thành")

    assert codes(from_xml(text)) == []
