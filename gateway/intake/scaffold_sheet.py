"""A sample sheet for the scaffold: where its headings stand, what is labelled above them, which columns they name.

Năm học: 2025-2026;;Mã trường:;24999301       labels: a text with a colon and its value
STT;Mã HS;Họ và tên;Toán;                     the line that names a pupil's code or name
;;;Mức;Điểm                                   a second line of headings, where the first leaves room for it
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.intake.decode_csv import decode_csv, headings
from gateway.intake.language_csv import DELIMITERS, ROWS, CsvLayout
from gateway.intake.scaffold_words import NAMES, plain
from gateway.intake.values import folded

_LOOKED_AT: Final = 16_384
_LINES_ABOVE: Final = 40
_LEAST_HEADINGS: Final = 2
_ORDERS: Final = frozenset({"tt", "stt", "sott", "sothutu", "no"})
_NO_HEADER: Final = "the CSV sample has no line that could be its header: none names a pupil's code or name"
_NO_ROWS: Final = "the CSV sample has no header that could be told from its lines"


@dataclass(frozen=True, slots=True)
class SheetSample:
    """How the sheet is laid out, its rows, and the values of its labels by our names."""

    layout: CsvLayout
    rows: tuple[Mapping[str, Any], ...]
    labels: Mapping[str, Any]


def read_sheet(text: str) -> SheetSample | str:
    """The sheet of *text*, or why it cannot be read."""
    head = text[:_LOOKED_AT]
    delimiter = max(DELIMITERS, key=head.count)
    lines = [[cell.strip() for cell in line] for line in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)]
    at = next((at for at, line in enumerate(lines[:_LINES_ABOVE]) if _names_a_pupil(line)), None)
    if at is None:
        return _NO_HEADER
    taken = lines[at : at + 2] if len(lines) > at + 1 and _goes_on(lines[at], lines[at + 1]) else [lines[at]]
    columns = _columns(headings(taken, max(map(len, taken))))
    due = tuple(name for field in ("pupil_code", "full_name") for name in columns if _is(name, field))
    if not due:
        return _NO_HEADER
    order = next((name for name in columns if plain(name) in _ORDERS), "")
    layout = CsvLayout(delimiter, '"', len(taken), columns, due, due[0], order, _labels(lines[:at]), "", (), ())
    sheet = decode_csv(text, layout)
    if isinstance(sheet, tuple) and order:  # what looks like running numbers may be something else
        layout = replace(layout, order="")
        sheet = decode_csv(text, layout)
    if isinstance(sheet, tuple):
        return _NO_ROWS
    rows = sheet[ROWS]
    found = tuple(row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()
    return SheetSample(layout, found, {name: value for name, value in sheet.items() if name != ROWS})


def _names_a_pupil(line: Sequence[str]) -> bool:
    cells = [cell for cell in line if cell]
    named = any(_is(cell, field) for cell in cells for field in ("pupil_code", "full_name"))
    return named and len(cells) >= _LEAST_HEADINGS


def _is(name: str, field: str) -> bool:
    return plain(name) in NAMES["record"][field]


def _goes_on(above: Sequence[str], below: Sequence[str]) -> bool:
    """Whether *below* names columns in groups of *above*: nothing below a pupil's code and name, texts elsewhere."""
    code = [at for at, cell in enumerate(above) if _is(cell, "pupil_code") or _is(cell, "full_name")]
    texts = [cell for cell in below if cell]
    alone = all(at >= len(below) or not below[at] for at in code)
    return bool(texts) and alone and not any(letter.isdigit() for cell in texts for letter in cell[:1])


def _columns(found: Mapping[int, str]) -> dict[str, tuple[str, ...]]:
    """Our name → heading; a heading that stands twice is left out, for nobody could say which column it is."""
    texts = list(found.values())
    columns: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name = slug(text)
        if texts.count(text) == 1:
            columns[name if name not in columns else f"{name}_{len(columns)}"] = (text,)
    return columns


def _labels(lines: Sequence[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    cells = (cell for line in lines for cell in line if ":" in cell)
    texts = dict.fromkeys(text for cell in cells if (text := cell.partition(":")[0].strip()))
    return {slug(text): (text,) for text in texts}


def slug(heading: str) -> str:
    """*heading* as a name of ours."""
    return re.sub(r"[^a-z0-9]+", "_", folded(heading)).strip("_") or "cot"
