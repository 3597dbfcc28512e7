"""Ways to spoil a clean payload, one named function each; numbers in the names are those of the data-quality catalogue.

A vendor writes JSON rows or XML, so each mess has one function a shape.  Pure: clean content in, spoilt content out.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final

Row = dict[str, Any]
RowMess = Callable[[Row], Row]
XmlMess = Callable[[str], str]


def _put(**changes: Any) -> RowMess:
    return lambda row: row | changes


def _without(*names: str) -> RowMess:
    return lambda row: {key: value for key, value in row.items() if key not in names}


def _short_id_row(row: Row) -> Row:
    """As a spreadsheet makes it: a number, so without its leading zeros."""
    return row | {"so_dinh_danh_ca_nhan": int(row["so_dinh_danh_ca_nhan"])}


def _temporary_row(row: Row) -> Row:
    return row | {"ma_hoc_sinh": f"TAM-{row['so_dinh_danh_ca_nhan']}"}


def _untidy_row(row: Row) -> Row:
    """Spaces, day without zeros, a dash for nothing, an upper-case X: lossless, so normalised without a word."""
    day, month, year = row["ngay_sinh"].split("/")
    return row | {
        "ho_ten": f" {row['ho_ten'].replace(' ', '  ', 1)}\u00a0",
        "ngay_sinh": f"{int(day)}-{int(month)}-{year}",
        "len_lop": row["len_lop"].upper(),
        "gdtc": "đạt",
        "nghe_nghiep_cha": "-",
    }


def _overstated_row(row: Row) -> Row:
    """A year level that the marks do not give: warned of and forwarded as signed (DQ-38)."""
    return row | {"ket_qua_hoc_tap": "Khá" if row["ket_qua_hoc_tap"] == "Tốt" else "Tốt"}


def _overstated_xml(text: str) -> str:
    other = "Hoàn thành tốt" if "<XEP_LOAI>Hoàn thành xuất sắc<" in text else "Hoàn thành xuất sắc"
    return xml_put("XEP_LOAI", other)(text)


def _plain_name(name: str) -> str:
    """Without diacritics and in upper case, as old systems export it (DQ-04)."""
    bare = unicodedata.normalize("NFD", name.replace("Đ", "D").replace("đ", "d"))
    return "".join(letter for letter in bare if not unicodedata.combining(letter)).upper()


def _plain_name_xml(text: str) -> str:
    return re.sub(r"(<HOC_SINH>.*?<HO_VA_TEN>)([^<]*)", lambda m: m[1] + _plain_name(m[2]), text, count=1)


def xml_put(name: str, value: str) -> XmlMess:
    """The first element *name* with another text."""
    element = re.compile(rf"<{name}>[^<]*</{name}>")
    return lambda text: element.sub(f"<{name}>{value}</{name}>", text, count=1)


def _xml_without(*names: str) -> XmlMess:
    elements = re.compile("|".join(rf"<{name}>[^<]*</{name}>" for name in names))
    return lambda text: elements.sub("", text)


def _short_id_xml(text: str) -> str:
    return re.sub(r"(<HOC_SINH>.*?<SO_DINH_DANH>)0+", r"\1", text, count=1)


def _temporary_xml(text: str) -> str:
    return re.sub(r"<MA_HOC_SINH>[^<]*</MA_HOC_SINH><SO_DINH_DANH>(\d+)<",
                  r"<MA_HOC_SINH>TAM-\1</MA_HOC_SINH><SO_DINH_DANH>\1<", text, count=1)  # fmt: skip


def _pupil_id_xml(value: str) -> XmlMess:
    return lambda text: re.sub(r"(<HOC_SINH>.*?<SO_DINH_DANH>)\d*", rf"\g<1>{value}", text, count=1)


def _untidy_xml(text: str) -> str:
    text = re.sub(r"<HO_VA_TEN>(\S+) ", r"<HO_VA_TEN> \1  ", text, count=1)
    return text.replace("<DUOC_LEN_LOP>1<", "<DUOC_LEN_LOP>true<", 1)


BROKEN_ROWS: Final[dict[str, RowMess]] = {
    "DQ-08": _put(toan="85"),
    "DQ-09": _put(van="9,42"),
    "DQ-11": _put(ket_qua_hoc_tap="Tuyệt vời"),
    "DQ-14": _put(ngay_sinh="30/02/2013"),
    "DQ-27": _put(hoc_ky="Học kỳ 1"),
    "DQ-33": _without("ten_gvcn", "ten_hieu_truong", "ngay_ky_phat_hanh"),
    "DQ-34": _put(ho_ten="Nguyễn Mẫu " + "Rất " * 40),
}
BROKEN_XML: Final[dict[str, XmlMess]] = {
    "DQ-08": xml_put("DIEM_KTDK", "85"),
    "DQ-09": xml_put("DIEM_KTDK", "7.5"),
    "DQ-11": xml_put("MUC_DAT_DUOC", "Q"),
    "DQ-14": xml_put("NGAY_SINH", "2018-02-30"),
    "DQ-30": xml_put("MA", "ZZ"),
    "DQ-33": _xml_without("NGAY_KY_PHAT_HANH", "DIA_DANH_PHAT_HANH", "NHAN_XET_GVCN"),
    "DQ-49": xml_put("MA_KHOI", "09"),
}
"""Messes whose handling is *reject*, by the code that leads."""

ROWS: Final[dict[str, RowMess]] = {
    "": lambda row: row,
    "no_id": _put(so_dinh_danh_ca_nhan=""),
    "short_id": _short_id_row,
    "dummy_id": _put(so_dinh_danh_ca_nhan="111111111111"),
    "temporary_code": _temporary_row,
    "foreign_school": _put(ma_truong="01999999"),
    "untidy": _untidy_row,
    "overstated": _overstated_row,
    "plain_name": lambda row: row | {"ho_ten": _plain_name(row["ho_ten"])},
    **BROKEN_ROWS,
}
XML: Final[dict[str, XmlMess]] = {
    "": lambda text: text,
    "no_id": _pupil_id_xml(""),
    "short_id": _short_id_xml,
    "dummy_id": _pupil_id_xml("111111111111"),
    "temporary_code": _temporary_xml,
    "foreign_school": xml_put("MA_TRUONG", "01999999"),
    "untidy": _untidy_xml,
    "overstated": _overstated_xml,
    "plain_name": _plain_name_xml,
    **BROKEN_XML,
}


def unreadable(value: bytes) -> bytes:
    """A message cut off in the middle (DQ-45)."""
    return value[: len(value) // 2]
