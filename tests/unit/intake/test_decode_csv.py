"""Sheets as schools make them: what is a pupil's line, what is passed over, and when the file is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Problem
from gateway.intake.decode_csv import decode_csv
from gateway.intake.decode_csv_lines import MAX_LINES
from gateway.intake.language_csv import CsvLayout, read_layout
from gateway.intake.nodes import Faults

SHIFTED = Problem("DQ-26", "row")

LAYOUT = """
delimiter: ";"
header_rows: 2
columns:
  tt: [TT, STT]
  lop: Lớp
  ma: [Mã học sinh, Mã HS]
  ten: [Họ tên, Họ và tên]
  toan_muc: Toán / Mức đạt được
  toan_diem: Toán / Điểm KTĐK
required: [ma, ten]
key: ma
order: tt
labels: {nam_hoc: Năm học, truong: [Mã trường, Trường]}
class_row: {column: lop, prefix: [Lớp]}
asides: [Sĩ số]
"""
HEADER = "TT;Lớp;Mã HS;Họ tên;Toán;\n;;;;Mức đạt được;Điểm KTĐK\n"


def layout(text: str = LAYOUT, *changes: tuple[str, str]) -> CsvLayout:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    faults = Faults()
    found = read_layout(faults, faults.parse("connector.yaml", text))
    assert not faults.found
    return found


def rows(text: str, *changes: tuple[str, str]) -> Any:
    sheet = decode_csv(text, layout(LAYOUT, *changes))
    return sheet["rows"] if isinstance(sheet, dict) else sheet


def pupil(number: int, **more: str) -> dict[str, str]:
    code = f"249999050{number}"
    return {"tt": f"{number}", "lop": "1A", "ma": code, "ten": "Mẫu An", "toan_muc": "T", "toan_diem": "9"} | more


def line(number: int) -> str:
    return f"{number};1A;249999050{number};Mẫu An;T;9\n"


def test_columns_are_found_by_their_headings_wherever_they_stand() -> None:
    moved = "Họ và tên;Toán;;Ghi chú;MÃ HỌC SINH (*);STT\n;Điểm KTĐK;Mức  đạt được;;;\nMẫu An;9;T;tốt;2499990501;1\n"

    assert rows(moved) == [
        {"ten": "Mẫu An", "toan_diem": "9", "toan_muc": "T", "Ghi chú": "tốt", "ma": "2499990501", "tt": "1"}
    ]


@pytest.mark.parametrize(
    "passed_over",
    [
        ";;;;;\n\n",
        "(1);(2);(3);(4);(5);(6)\n",
        "1;2;3;4;5;6\n",
        HEADER,
        "TT;Lớp;Mã HS;Họ tên;;\n",
        "Tổng cộng;;;;;12\n",
        ";;;Sĩ số: 30;;\n",
        "Tổng số;;35;;;12\n",
        ";Cộng:;35;;;\n",
        ";;;;Ngày 30 tháng 5 năm 2026;\n;;;Người lập biểu;;Hiệu trưởng\n;;;Mẫu Thị Ký;;Mẫu Văn Trưởng\n",
        ";;;;;Mẫu Văn Trưởng\n",
    ],
)  # fmt: skip
def test_a_line_that_is_no_pupil_is_passed_over(passed_over: str) -> None:
    assert rows(HEADER + line(1) + passed_over + line(2)) == [pupil(1), pupil(2)]


def test_a_pupil_without_a_code_is_no_total() -> None:
    assert rows(HEADER + "1;1A;;Mẫu An;T;9\n") == [pupil(1, ma="")]


@pytest.mark.parametrize("doubtful", ["Tổng số;1A;2499990502;;T;9\n", "Tổng số;1A;35;Mẫu An;T;9\n"])
def test_a_line_with_a_code_or_a_name_is_a_pupil_s_whatever_its_first_word(doubtful: str) -> None:
    assert rows(HEADER + line(1) + doubtful) == [pupil(1), SHIFTED]


def test_a_line_of_its_own_gives_the_class_of_those_below() -> None:
    admission = "DANH SÁCH TUYỂN SINH\nLỚP 1A\n" + HEADER + "1;;2499990501;Mẫu An;T;9\n" + "Lớp: 1B;;;;;\n" + HEADER
    admission += "2;;2499990502;Mẫu An;T;9\n3;1C;2499990503;Mẫu An;T;9\n"

    assert rows(admission) == [pupil(1), pupil(2, lop="1B"), pupil(3, lop="1C")]


def test_a_header_repeated_with_other_places_counts_from_there() -> None:
    text = HEADER + line(1) + "Họ tên;Mã HS;TT\nMẫu An;2499990502;2\n"

    assert rows(text) == [pupil(1), {"ten": "Mẫu An", "ma": "2499990502", "tt": "2"}]


def test_cells_above_the_header_are_the_files_own() -> None:
    text = "BẢNG TỔNG HỢP\nTrường:;;24999301\nNăm học: 2025-2026;;\n" + HEADER + line(1)

    sheet = decode_csv(text, layout())

    assert sheet == {"truong": "24999301", "nam_hoc": "2025-2026", "rows": [pupil(1)]}


@pytest.mark.parametrize(
    "shifted",
    ["2;1A;2499990502;Mẫu;An;T;9\n", "1A;2499990502;Mẫu An;T;9\n", '2;1A;2499990502;"Mẫu An;T;9\n'],
    ids=["too many cells", "a cell lost", "a quote that is not closed"],
)
def test_a_shifted_line_is_refused_alone(shifted: str) -> None:
    assert rows(HEADER + line(1) + shifted + line(3)) == [pupil(1), SHIFTED, pupil(3)]


def test_a_quoted_cell_may_hold_anything() -> None:
    text = HEADER.replace("\n", "\r\n") + '1;1A;2499990501;"Mẫu  \n An";T;"9"\r\n'
    note = HEADER + '1;1A;2499990501;"Mẫu ""An"" ; Bé";T;9\n'

    assert rows(text)[0]["ten"].split() == ["Mẫu", "An"]
    assert rows(note)[0]["ten"] == 'Mẫu "An" ; Bé'
    assert rows(HEADER + '1;1A;2499990501;"Mẫu;T;9\n', ("key: ma", 'key: ma\nquote: ""'))[0]["ten"] == '"Mẫu'


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("TT;Lớp;Mã HS;Ngày sinh\n1;1A;2499990501;x\n", {"DQ-26:ten"}),
        ("một;hai\n1;2\n", {"DQ-26:header"}),
        ("", {"DQ-26:header"}),
        (HEADER, {"DQ-26:rows"}),
        ("Mã HS;Họ tên;Mã học sinh\n1;2;3\n", {"DQ-26:ma"}),
    ],
    ids=["a column", "everything", "nothing", "no lines", "twice"],
)
def test_a_file_without_its_columns_is_refused_whole(text: str, problems: set[str]) -> None:
    assert {f"{problem.code}:{problem.field}" for problem in rows(text)} == problems


def test_a_file_of_countless_lines_is_refused() -> None:
    assert rows(HEADER + line(1) * (MAX_LINES + 1)) == (Problem("GW-01"),)


def test_a_very_long_cell_takes_no_line_with_it() -> None:
    long = '1;1A;2499990501;"' + "x" * 200_000

    assert [len(item["ten"]) for item in rows(HEADER + line(1) + long)] == [6, 200_000]


@given(st.text(alphabet='abcTLớpMã HS;Họtên\n\r"12,:', max_size=300))
def test_any_text_is_a_sheet_or_refused(text: str) -> None:
    sheet = decode_csv(HEADER + text, layout())

    assert isinstance(sheet, dict | tuple)
    if isinstance(sheet, dict):
        assert all(isinstance(item, dict | Problem) for item in sheet["rows"])  # type: ignore[attr-defined]


VENDOR = LAYOUT.replace("  ten: [Họ tên, Họ và tên]\n", "  ten: [Họ tên, Họ và tên]\n  sinh: Ngày sinh\n").replace(
    "required: [ma, ten]", "required: [ma, ten, sinh]"
)
WIDE = "TT;Lớp;Mã HS;Họ tên;Ngày sinh;Toán;\n;;;;;Mức đạt được;Điểm KTĐK\n"


def names(text: str) -> list[str | Problem]:
    """The names of the items, or why an item is refused."""
    sheet = decode_csv(WIDE + text, layout(VENDOR))
    assert isinstance(sheet, dict)
    found: Any = sheet["rows"]
    return [item if isinstance(item, Problem) else item["ten"] for item in found]


FULL = "1;1A;2499990501;Mẫu An;1/1/2018;T;9\n"


@pytest.mark.parametrize(
    "name",
    ["Tống Thị Mẫu An", "Công Mẫu An", "Kỷ Thị Mẫu", "Danh Sạch Mẫu", "Ngay Mẫu", "Trung Bình Mẫu", "Duyệt Mẫu An",
     "Lợp Thị Mẫu", "Ký Mẫu An", "Tổng Mẫu An", "Công", "Trường"],
)  # fmt: skip
@pytest.mark.parametrize("before", [FULL, FULL + "Tổng số: 1;;;;;;\n"])
def test_a_pupil_whose_name_begins_like_a_total_is_a_pupil(name: str, before: str) -> None:
    assert names(before + f";;;{name};2/2/2018;T;9\n")[1:] == [name]
    assert names(before + f";;;{name};2/2/2018;;\n")[1:] == [name]


def test_a_pupil_of_whom_only_the_name_is_there_is_an_item() -> None:
    assert names(FULL + ";;;Lê Thị Mẫu;;;\n")[1:] == ["Lê Thị Mẫu"]
    assert names(FULL + "Tổng số: 1\n2;1A;;Lê Mẫu;;;\n")[1:] == ["Lê Mẫu"]


@pytest.mark.parametrize(
    "aside",
    ["Tổng;;;;;12;\n", ";;;TỔNG SỐ;30;;\n", ";;;Ngày 30 tháng 5 năm 2026;;;\n", ";;;Ký tên;;;\n",
     ";;Tổng cộng: 30;;;;\n",
     "Tỷ lệ: 90%;;;;;;\n", ";;;Sĩ số: 30;;;\n", ";;;Người lập biểu;;Hiệu trưởng;\n;;;Mẫu Thị Ký;;Mẫu Văn Trưởng;\n"],
)  # fmt: skip
def test_a_total_or_a_signature_is_none(aside: str) -> None:
    assert names(FULL + aside) == ["Mẫu An"]


HEAD = "Năm học: 2025-2026;Trường: 24999301\n"


@pytest.mark.parametrize(
    ("again", "field"),
    [
        ("Năm học: 2024-2025\n", "nam_hoc"),
        ("Năm học: 2025-2026;Trường: 24999302\n", "truong"),
        ("Trường;24999302\n", "truong"),
        (";;Mã trường: 24999302\n", "truong"),
        ("TRƯỜNG MẪU;;;Năm học: 2024-2025\n", "nam_hoc"),
        ("Năm học;2025-2026;Mã trường;24999302\n", "truong"),
    ],
)
@pytest.mark.parametrize("head", [WIDE, "LỚP 1B\n", "LỚP 1B\n" + WIDE, ""])
def test_lines_below_other_labels_are_not_taken_under_those_of_the_first(again: str, field: str, head: str) -> None:
    second = "2;;2499990502;Mẫu Bé;1/1/2018;T;9\n"
    sheet = decode_csv(HEAD + WIDE + FULL + again + head + second + HEAD + WIDE + second, layout(VENDOR))

    assert isinstance(sheet, dict)
    found: Any = sheet["rows"]
    assert [item if isinstance(item, Problem) else item["ten"] for item in found] == [
        "Mẫu An", Problem("DQ-27", field), "Mẫu Bé",
    ]  # fmt: skip


def test_the_same_labels_again_change_nothing() -> None:
    assert names(FULL) == ["Mẫu An"]
    sheet: Any = decode_csv(HEAD + WIDE + FULL + HEAD.upper() + WIDE + FULL, layout(VENDOR))

    assert [item["ten"] for item in sheet["rows"]] == ["Mẫu An", "Mẫu An"]


def test_a_label_that_the_first_block_lacks_refuses_the_second() -> None:
    sheet: Any = decode_csv(WIDE + FULL + HEAD + WIDE + FULL, layout(VENDOR))

    assert [isinstance(item, Problem) for item in sheet["rows"]] == [False, True]


def test_a_pupils_remark_is_no_label() -> None:
    remark = "2;1A;2499990502;Mẫu Bé;1/1/2018;Năm học: 2020-2021;9\n;;;Mẫu Tí;1/1/2018;Trường: x;9\n"
    sheet: Any = decode_csv(HEAD + WIDE + FULL + remark + FULL, layout(VENDOR))

    assert [item["ten"] for item in sheet["rows"]] == ["Mẫu An", "Mẫu Bé", "Mẫu Tí", "Mẫu An"]


def test_a_nul_stays_for_the_field_to_be_refused() -> None:
    sheet: Any = decode_csv(WIDE + "1;1A;2499990501;Mẫu\0 An;1/1/2018;T;9\n", layout(VENDOR))

    assert sheet["rows"][0]["ten"] == "Mẫu\0 An"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("required: [ma, ten]", "required: [ma, tenn]", "tenn is no column; did you mean ten"),
        ("key: ma", "key: mã", "mã is no column"),
        ("order: tt", "order: st", "st is no column; did you mean tt"),
        ('delimiter: ";"', 'delimiter: ":"', "must be a comma"),
        ("header_rows: 2", "header_rows: 9", "must be 1 to 6"),
        ("key: ma", "key: ma\nquote: ab", "must be one character"),
        ("lop: Lớp\n", "lop: []\n", "lop names no text"),
        ("class_row: {column: lop,", "class_row: {column: lopp,", "lopp is no column"),
        ("labels:", "lables:", "unknown key; did you mean labels"),
    ],
)
def test_a_fault_of_the_layout_is_named(old: str, new: str, says: str) -> None:
    assert old in LAYOUT
    faults = Faults()
    read_layout(faults, faults.parse("connector.yaml", LAYOUT.replace(old, new)))

    assert any(says in str(fault) for fault in faults.found), faults.found
