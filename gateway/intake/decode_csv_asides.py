"""Lines of a sheet that are no pupil's by their words: totals, remarks, signatures, titles, the name of a class.

Words count with their diacritics, for names differ from them in nothing else: Tống and ``Tổng``, Công and ``Cộng``,
Danh Sạch and ``Danh sách``.  What is not plainly one of these is a pupil's line and is refused for what it lacks.
"""

import re
from collections.abc import Sequence

from gateway.intake.values import folded, word

_PHRASES = (
    "tổng số", "tổng cộng", "tổng kết", "tỉ lệ", "tỷ lệ", "ghi chú", "người lập", "lập biểu", "hiệu trưởng",
    "phó hiệu trưởng", "kt hiệu trưởng", "kt. hiệu trưởng", "thủ trưởng", "giáo viên", "gvcn", "gvbm", "xác nhận",
    "danh sách", "ngày tháng", "ký tên", "kí tên", "ký duyệt", "ký, ", "kí, ", "trung bình chung", "trung bình lớp",
    "trung bình môn",
)  # fmt: skip
"""No name begins so; anything may follow."""
_ALONE = ("tổng", "cộng", "trung bình", "ngày", "ký", "kí", "duyệt")
"""Could be a name with letters behind; so only alone, or with a number or a sign (``Ngày 30 tháng 5``)."""
_NAME = re.compile(r"[^\W\d_]+(?:[ '’.\-]+[^\W\d_]+){1,9}")
_DAY = re.compile(r"\d{1,2}[/.\-]\d{1,2}[/.\-]\d{2,4}", re.ASCII)


def is_aside(cell: str, own: Sequence[str]) -> bool:
    """Whether a line that begins with *cell* is no pupil's; *own* are the vendor's further phrases, as of `word`."""
    text = word(cell).lstrip("( ")
    if any(_begins(text, phrase) for phrase in (*_PHRASES, *own)):
        return True
    return any(_begins(text, one) and not text[len(one) :].lstrip()[:1].isalpha() for one in _ALONE)


def class_of(cells: Sequence[str], prefixes: Sequence[str]) -> str | None:
    """The class in ``LỚP 1A`` or ``Lớp:`` and the next cell; None where the line says no class."""
    for prefix in prefixes:
        rest = cells[0][len(prefix) :]
        plain = folded(cells[0]).startswith(folded(prefix)) and rest.lstrip(" :.")[:1].isdecimal()
        if plain or _begins(word(cells[0]), word(prefix)):
            return rest.strip(" :.") or (cells[1] if len(cells) > 1 else "")
    return None


def is_name(cell: str) -> bool:
    """Whether *cell* may be the name of a person: two words or more of letters."""
    return _NAME.fullmatch(cell) is not None


def is_day(cell: str) -> bool:
    """Whether *cell* looks like a full date; no total has one."""
    return _DAY.fullmatch(cell) is not None


def _begins(text: str, phrase: str) -> bool:
    return bool(phrase) and text.startswith(phrase) and not text[len(phrase) : len(phrase) + 1].isalpha()
