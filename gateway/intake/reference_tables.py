"""Reads the dated tables of an installation from CSV text; every fault of every table is collected before raising.

The columns stand in `reference`; a header line comes first, dates are YYYY-MM-DD, codes are text.  An empty cell is
allowed only where the column's meaning has a default (``written_as``).
"""

import csv
import re
from collections.abc import Callable, Mapping
from datetime import date
from io import StringIO

from gateway.config import Fault
from gateway.intake.language import ConnectorFaults
from gateway.intake.reference import Commune, Reference, Successor
from gateway.intake.values import clean, folded

Line = dict[str, str]

_SCHOOL = re.compile(r"[0-9A-Za-z.\-]{1,20}")
_COMMUNE = re.compile(r"\d{5}", re.ASCII)
_YEAR = re.compile(r"\d{4}-\d{4}", re.ASCII)
_COLUMNS = {
    "schools.csv": ("old_code", "new_code", "since"),
    "classes.csv": ("school_code", "school_year", "class_name", "written_as"),
    "communes.csv": ("old_code", "old_name", "new_code", "new_name", "since"),
}
_OPTIONAL = frozenset({"written_as"})
TABLES = tuple(_COLUMNS)
MAX_CLASS_NAME = 10


def read_reference(files: Mapping[str, str]) -> Reference:
    """The tables of *files* (shown name → text; the last part of a name says which table it is).

    Raises ConnectorFaults with all faults.
    """
    faults: list[Fault] = []
    lines = {_table(shown): _lines(shown, text, faults) for shown, text in files.items()}
    schools = _schools(lines.get("schools.csv", []), faults)
    classes = _classes(lines.get("classes.csv", []), faults)
    communes = _communes(lines.get("communes.csv", []), faults)
    if faults:
        raise ConnectorFaults(faults)
    return Reference(schools, classes, communes)


def _table(shown: str) -> str:
    return shown.replace("\\", "/").rpartition("/")[2]


Row = tuple[str, int, Line]
"""Shown name of the file, line number, and the cells by column."""


def _lines(shown: str, text: str, faults: list[Fault]) -> list[Row]:
    name = _table(shown)
    columns = _COLUMNS.get(name)
    if columns is None:
        faults.append(Fault(shown, 0, "", f"is no table; the tables are {', '.join(TABLES)}"))
        return []
    reader = csv.DictReader(StringIO(text.removeprefix("\ufeff")))
    if tuple(reader.fieldnames or ()) != columns:
        faults.append(Fault(shown, 1, "", f"the columns must be {', '.join(columns)}"))
        return []
    rows: list[Row] = []
    for line in reader:
        cells = {column: clean(str(line.get(column) or "")) for column in columns}
        if None in line:
            faults.append(Fault(shown, reader.line_num, "", "has more cells than columns"))
        faults += [
            Fault(shown, reader.line_num, column, "is empty")
            for column in columns
            if not cells[column] and column not in _OPTIONAL
        ]
        rows.append((shown, reader.line_num, cells))
    return rows


def _form(row: Row, column: str, pattern: re.Pattern[str], says: str, faults: list[Fault]) -> None:
    shown, number, cells = row
    if cells[column] and not pattern.fullmatch(cells[column]):
        faults.append(Fault(shown, number, column, says))


def _since(row: Row, faults: list[Fault]) -> date:
    shown, number, cells = row
    try:
        return date.fromisoformat(cells["since"])
    except ValueError:
        if cells["since"]:
            faults.append(Fault(shown, number, "since", "must be a date YYYY-MM-DD"))
        return date.max


def _once(row: Row, seen: Callable[[str], bool], faults: list[Fault]) -> None:
    shown, number, cells = row
    if seen(cells["old_code"]):
        faults.append(Fault(shown, number, "old_code", "stands twice: one code has one successor"))


def _schools(rows: list[Row], faults: list[Fault]) -> dict[str, Successor]:
    schools: dict[str, Successor] = {}
    for row in rows:
        for column in ("old_code", "new_code"):
            _form(row, column, _SCHOOL, "must be a school code of at most 20 characters", faults)
        _once(row, schools.__contains__, faults)
        schools[row[2]["old_code"]] = Successor(row[2]["new_code"], _since(row, faults))
    for shown, number, cells in rows:
        if _runs_in_a_circle(cells["old_code"], schools):
            faults.append(Fault(shown, number, "new_code", "leads back to its own old code"))
    return schools


def _runs_in_a_circle(code: str, schools: Mapping[str, Successor]) -> bool:
    here = schools[code].code
    for _ in range(len(schools)):
        if here == code:
            return True
        if here not in schools:
            return False
        here = schools[here].code
    return False


def _communes(rows: list[Row], faults: list[Fault]) -> dict[str, Commune]:
    communes: dict[str, Commune] = {}
    for row in rows:
        cells = row[2]
        for column in ("old_code", "new_code"):
            _form(row, column, _COMMUNE, "must have five digits", faults)
        _once(row, communes.__contains__, faults)
        communes[cells["old_code"]] = Commune(
            cells["old_name"], cells["new_code"], cells["new_name"], _since(row, faults)
        )
    return {code: commune for code, commune in communes.items() if commune.new_code != code}


def _classes(rows: list[Row], faults: list[Fault]) -> dict[tuple[str, str], dict[str, str]]:
    classes: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        shown, number, cells = row
        _form(row, "school_code", _SCHOOL, "must be a school code of at most 20 characters", faults)
        _form(row, "school_year", _YEAR, "must be a school year YYYY-YYYY", faults)
        name = cells["class_name"]
        if len(name) > MAX_CLASS_NAME:
            faults.append(Fault(shown, number, "class_name", f"has more than {MAX_CLASS_NAME} characters"))
        known = classes.setdefault((cells["school_code"], cells["school_year"]), {})
        forms = [folded(written) for written in (name, cells["written_as"]) if written]
        if any(known.setdefault(form, name) != name for form in forms):
            faults.append(Fault(shown, number, "written_as", "already means another class of this school"))
    return classes
