"""The lines of a CSV file as cells; a quote that nobody closed must not swallow the lines behind it."""

import csv
import io
from collections.abc import Sequence

from gateway.errors import Problem
from gateway.intake.language_csv import CsvLayout
from gateway.intake.unreadable import unreadable
from gateway.intake.values import clean

MAX_LINES = 5_000
_MANY = (Problem("GW-01"),)

csv.field_size_limit(16 * 1024 * 1024)  # of the process; a message is smaller, and a cell may be all of it


def read_lines(text: str, layout: CsvLayout) -> list[list[str]] | tuple[Problem, ...]:
    """The lines that hold anything; where a quote never ends, quotes are taken for plain characters."""
    found = _parsed(text, layout, layout.quote)
    if found is None or _swallowed(found, layout.delimiter):
        found = _parsed(text, layout, "")
        if found is None:
            return (unreadable("syntax"),)
        found = [[_unquoted(cell, layout.quote) for cell in line] for line in found]
    return _MANY if len(found) > MAX_LINES else found


def _parsed(text: str, layout: CsvLayout, quote: str) -> list[list[str]] | None:
    source = io.StringIO(text, newline="")
    if quote:
        reader = csv.reader(source, delimiter=layout.delimiter, quotechar=quote)
    else:
        reader = csv.reader(source, delimiter=layout.delimiter, quotechar=None, quoting=csv.QUOTE_NONE)
    found: list[list[str]] = []
    try:
        for line in reader:
            if any(line):
                found.append([cell if "\n" in cell or "\0" in cell else clean(cell) for cell in line])
            if len(found) > MAX_LINES:
                break
    except csv.Error:
        return None
    return [line for line in found if any(line)]


def _swallowed(lines: Sequence[Sequence[str]], delimiter: str) -> bool:
    """Whether a cell holds whole lines, as behind a quote that nobody closed."""
    usual = max(2, max((len(line) for line in lines), default=0) // 2)
    cells = (cell for line in lines for cell in line if "\n" in cell)
    return any(part.count(delimiter) >= usual for cell in cells for part in cell.split("\n")[1:])


def _unquoted(cell: str, quote: str) -> str:
    if len(cell) > 1 and cell[0] == quote == cell[-1]:
        return cell[1:-1] if "\0" in cell else clean(cell[1:-1])
    return cell
