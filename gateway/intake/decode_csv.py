"""CSV sheets: a file's text to ``{labels…, rows: [{column: cell}]}``, columns found by their header text.

Each line is one of: empty · header, first or repeated · numbers of the columns · class of its own (``LỚP 1A``) ·
labels · total, remark or signature · pupil.  All but the last are passed over (DQ-26); a line that does not fit the
header is a pupil's whose item is refused, never dropped.  Without the required columns the whole file is refused.

The labels above the first header hold for the whole file.  Where labels further down say something else, the lines
below them are refused (DQ-27): the items of a message share its labels.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.errors import Problem
from gateway.intake.decode_csv_asides import class_of, is_aside, is_day, is_name
from gateway.intake.decode_csv_lines import read_lines
from gateway.intake.language_csv import ROWS, CsvLayout
from gateway.intake.values import clean, folded, word

MAX_HEADINGS = 200
MAX_LINES_ABOVE = 60
"""A header is looked for so far down: each line costs a look at every cell."""
_SHIFTED = Problem("DQ-26", "row")
_PARTS = " / "
_LONGEST_HEADING = 60
_FEW = 3
_LONGEST_COUNT = 4
"""No pupil's code is so short; the count of a sheet's pupils is."""
_NUMBERED = re.compile(r"\(?(\d{1,3})\)?")
_TRIMMED = re.compile(r"\s*(?:\(\*\)|\*|:)+\s*$")
Item = dict[str, str] | Problem
Sheet = dict[str, object]


def decode_csv(text: str, layout: CsvLayout) -> Sheet | tuple[Problem, ...]:
    """The sheet of *text*, or why the whole file is refused."""
    lines = read_lines(text, layout)
    return lines if isinstance(lines, tuple) else _Reader(layout, lines).run()


@dataclass(frozen=True, slots=True)
class _Header:
    """A header found: column place → our name, or the heading where the connector does not know it."""

    at: int
    names: dict[int, str]
    known: frozenset[str]
    rows: int
    texts: frozenset[str]
    width: int


@dataclass(slots=True)
class _Reader:
    """Goes through the lines once."""

    layout: CsvLayout
    lines: list[list[str]]
    aliases: dict[str, str] = field(init=False)
    asides: tuple[str, ...] = field(init=False)
    labels: dict[str, str] = field(init=False)
    group: str = ""
    closing: bool = False
    """True behind a total or a signature, where the names of those who sign stand."""
    others: dict[str, str] = field(default_factory=dict)
    """The labels further down that say something else than the file's."""

    def __post_init__(self) -> None:
        columns = self.layout.columns.items()
        self.aliases = {_heading(text): name for name, texts in columns for text in texts}
        self.asides = tuple(word(text) for text in self.layout.asides)
        self.labels = {_heading(text): name for name, texts in self.layout.labels.items() for text in texts}

    def run(self) -> Sheet | tuple[Problem, ...]:
        header = self._first_header()
        if isinstance(header, tuple):
            return header
        sheet: Sheet = {}
        for line in self.lines[: header.at]:
            if not self._is_class(line):
                sheet = self._labels_in(line) | sheet
        items: list[Item] = []
        at = header.at + header.rows
        while at < len(self.lines):
            line = self.lines[at]
            again = self._repeated(at, header)
            if again is not None:
                header, at = again, at + again.rows
                continue
            at += 1
            if self._is_pupil(line, header) or not self._is_passed_over(line, header, sheet):
                self.closing = False
                items.append(self._item(line, header))
        doubled = _doubled(header, self.layout)
        return doubled or (sheet | {ROWS: items} if items else (Problem("DQ-26", ROWS),))

    def _first_header(self) -> _Header | tuple[Problem, ...]:
        best: frozenset[str] = frozenset()
        required = frozenset(self.layout.required)
        for at in range(min(len(self.lines), MAX_LINES_ABOVE)):
            header = self._header_at(at)
            if header.known >= required:  # a label line above it must not be taken for its groups
                reach = range(at, min(at + self.layout.header_rows, len(self.lines)))
                return max((self._header_at(place) for place in reach), key=lambda header: len(header.known))
            best = max(best, header.known & required, key=len)
        missing = [name for name in self.layout.required if name not in best]
        return tuple(Problem("DQ-26", name) for name in missing) if best else (Problem("DQ-26", "header"),)

    def _header_at(self, at: int) -> _Header:
        """The header that begins at line *at*, with as many lines as name the most columns."""
        found = [self._header(at, self.lines[at : at + rows]) for rows in range(self.layout.header_rows, 0, -1)]
        return max(found, key=lambda header: len(header.known))

    def _header(self, at: int, lines: Sequence[Sequence[str]]) -> _Header:
        width = min(max((len(line) for line in lines), default=0), MAX_HEADINGS)
        found = headings(lines, width)
        names = {place: self.aliases.get(_heading(text), text[:_LONGEST_HEADING]) for place, text in found.items()}
        known = frozenset(names.values()) & self.layout.columns.keys()
        texts = frozenset(cell.casefold() for line in lines for cell in line if cell)
        return _Header(at, names, known, len(lines), texts, width)

    def _repeated(self, at: int, header: _Header) -> _Header | None:
        """The header again, maybe with other places, or a part of it; None where the line is none."""
        if any(char.isdecimal() for char in self._key_of(self.lines[at], header)):
            return None  # a pupil
        cells = [cell for cell in self.lines[at] if cell]
        if len(cells) < 2 or not all(cell.casefold() in header.texts for cell in cells):
            again = None
            if self.layout.required and sum(_heading(cell) in self.aliases for cell in cells[:12]) * 2 > len(cells):
                again = self._header_at(at)
            return again if again is not None and again.known >= frozenset(self.layout.required) else None
        again = self._header_at(at)
        moved = any(name in again.known and header.names.get(place) != name for place, name in again.names.items())
        if again.known >= header.known or (moved and again.known >= frozenset(self.layout.required)):
            return again
        return replace(header, rows=1)

    def _labels_in(self, line: Sequence[str]) -> dict[str, object]:
        """``Năm học: 2025-2026`` in one cell, or the label and its value in the next cell that holds something."""
        cells = [cell for cell in line if cell]
        found: dict[str, object] = {}
        for place, cell in enumerate(cells):
            name = self._label(cell)
            if name:
                value = cell.partition(":")[2].strip()
                found.setdefault(name, value or (cells[place + 1] if place + 1 < len(cells) else ""))
        return found

    def _label(self, cell: str) -> str:
        """The name of the label in *cell*; empty where there is none."""
        return self.labels.get(_heading(cell.partition(":")[0]), "")

    def _takes_labels(self, line: Sequence[str], sheet: Sheet) -> bool:
        """Whether *line*, below the header, holds labels with values; those that differ from the file's are noted."""
        found = {name: str(value) for name, value in self._labels_in(line).items()}
        found = {name: value for name, value in found.items() if value and not self._is_word(value)}
        for name, value in found.items():
            if word(value) == word(str(sheet.get(name, ""))):
                self.others.pop(name, None)
            else:
                self.others[name] = value
        return bool(found)

    def _is_word(self, cell: str) -> bool:
        """Whether *cell* is a label or begins a line that is no pupil's."""
        return bool(self._label(cell)) or is_aside(cell, self.asides)

    def _is_class(self, line: Sequence[str]) -> bool:
        cells = [cell for cell in line if cell]
        if not self.layout.class_column or not 0 < len(cells) <= 2:
            return False
        name = class_of(cells, self.layout.class_prefixes)
        if name is None:
            return False
        self.group, self.closing = name, False
        return True

    def _key_of(self, line: Sequence[str], header: _Header) -> str:
        return _cell(line, header, self.layout.key)

    def _is_pupil(self, line: Sequence[str], header: _Header) -> bool:
        """Whether *line* is a pupil's beyond doubt: by its code, its running number, or all else that is required."""
        key = self._key_of(line, header)
        place = next(place for place, cell in enumerate(line) if cell)
        if self._label(line[place]) and header.names.get(place) not in self.layout.required:
            return False
        if any(char.isdecimal() for char in key) and not self._is_word(key):
            return not _is_numbers(line) and not self._is_counted(line, key, header)
        if _is_whole(_cell(line, header, self.layout.order)):
            return not _is_numbers(line)
        due = [_cell(line, header, name) for name in self.layout.required if name != self.layout.key]
        if not due or not all(due):
            return False
        if any(is_day(cell) for cell in due):
            return True
        return (len(due) > 1 or sum(map(bool, line)) > _FEW) and not any(self._is_word(cell) for cell in due)

    def _is_counted(self, line: Sequence[str], key: str, header: _Header) -> bool:
        """A total whose count stands in the column of codes: its first words say so, and all else due is missing."""
        if len(key) > _LONGEST_COUNT or not is_aside(next(cell for cell in line if cell), self.asides):
            return False
        return not any(_cell(line, header, name) for name in self._due_beside_words(line, header))

    def _due_beside_words(self, line: Sequence[str], header: _Header) -> list[str]:
        """The required columns other than the key's and the one the line begins in."""
        first = next(place for place, cell in enumerate(line) if cell)
        return [name for name in self.layout.required if name not in {self.layout.key, header.names.get(first)}]

    def _is_passed_over(self, line: Sequence[str], header: _Header, sheet: Sheet) -> bool:
        """Whether *line*, not plainly a pupil's, is a class, numbers of the columns, labels, a total or a signature."""
        if self._is_class(line) or _is_numbers(line):
            return True
        cells = [cell for cell in line if cell]
        aside = is_aside(cells[0], self.asides)
        if self._takes_labels(line, sheet) or aside:
            self.closing = aside
            return True
        if self.closing and len(cells) <= _FEW:
            return True
        names = (_cell(line, header, name) for name in self.layout.required)
        return len(cells) == 1 and not any(is_name(cell) for cell in names)

    def _item(self, line: Sequence[str], header: _Header) -> Item:
        if self.others:
            return Problem("DQ-27", next(iter(self.others)))
        if any(line[header.width :]) or (self.layout.quote and any(c[:1] == self.layout.quote for c in line)):
            return _SHIFTED
        item: dict[str, str] = {}
        for place, name in header.names.items():
            cell = line[place] if place < len(line) else ""
            if cell or name in header.known:
                item[name] = cell
        order = item.get(self.layout.order, "") if self.layout.order else ""
        if order and not _is_whole(order):
            return _SHIFTED
        if self.group and not item.get(self.layout.class_column):
            item[self.layout.class_column] = self.group
        return item


def _cell(line: Sequence[str], header: _Header, name: str) -> str:
    return next((line[at] for at, own in header.names.items() if name and own == name and at < len(line)), "")


def _is_whole(text: str) -> bool:
    return text.rstrip(".").removesuffix(".0").isdecimal()


def _heading(text: str) -> str:
    return folded(_TRIMMED.sub("", text))


def headings(lines: Sequence[Sequence[str]], width: int) -> dict[int, str]:
    """Place → heading; a group stands once over its columns, so a blank above a text repeats its left neighbour."""
    left = [""] * len(lines)
    found: dict[int, str] = {}
    for place in range(width):
        parts: list[str] = []
        for depth, line in enumerate(lines):
            text = line[place] if place < len(line) else ""
            below = any(place < len(lower) and lower[place] for lower in lines[depth + 1 :])
            left[depth] = text = text or (left[depth] if below else "")
            if text and (not parts or parts[-1] != text):
                parts.append(clean(text))
        if parts:
            found[place] = _PARTS.join(parts)
    return found


def _is_numbers(line: Sequence[str]) -> bool:
    """The line (1) (2) (3)… below a header."""
    found = [(place, _NUMBERED.fullmatch(cell)) for place, cell in enumerate(line) if cell]
    return len(found) > _FEW and all(match is not None and int(match[1]) == place + 1 for place, match in found)


def _doubled(header: _Header, layout: CsvLayout) -> tuple[Problem, ...]:
    """Two columns of one name: which one is meant is never guessed."""
    names = list(header.names.values())
    return tuple(Problem("DQ-26", name) for name in layout.columns if names.count(name) > 1)
