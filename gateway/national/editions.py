"""Editions of the official code lists: which codes a list has under a circular in a school year.

    schemas/reference/editions.csv    one line a file: circular, first and last school year (first half), source
    schemas/reference/*.csv           list, code, vietnamese, english

The base edition (no circular, no years) holds everywhere; a later edition of a list takes its place where its circular
and years say so.  Statically a mapping may use every code of every edition; a record is judged by its own.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Lists = dict[str, dict[str, "Code"]]

NO_YEAR = (0, 9999)


@dataclass(frozen=True, slots=True)
class Code:
    """One line of an official code list."""

    code: str
    vietnamese: str
    english: str


@dataclass(frozen=True, slots=True)
class Edition:
    """Lists in force under *circular* (empty: any) in the school years *first* to *last*, both included."""

    file: str
    circular: str
    first: int
    last: int
    source: str
    lists: Mapping[str, Mapping[str, Code]]


def read_editions(folder: Path) -> tuple[Edition, ...]:
    """The editions that ``editions.csv`` of *folder* names, in its order."""
    with (folder / "editions.csv").open(encoding="utf-8", newline="") as lines:
        return tuple(_edition(folder, line) for line in csv.DictReader(lines))


def _edition(folder: Path, line: Mapping[str, str]) -> Edition:
    lists: Lists = {}
    with (folder / line["file"]).open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            code = Code(row["code"], row["vietnamese"], row["english"])
            lists.setdefault(row["list"], {})[code.code] = code
    first, last = (int(line[name] or default) for name, default in zip(_YEARS, NO_YEAR, strict=True))
    return Edition(line["file"], line["circular"], first, last, line["source"], lists)


_YEARS = ("first_school_year", "last_school_year")


def all_codes(editions: Sequence[Edition]) -> Lists:
    """List name → code → line over all *editions*; the last one that has a code names it."""
    lists: Lists = {}
    for edition in editions:
        for name, codes in edition.lists.items():
            lists.setdefault(name, {}).update(codes)
    return lists


def in_force(editions: Sequence[Edition], name: str, circular: str, year: int) -> Mapping[str, Code]:
    """The codes of list *name* under *circular* in the school year beginning in *year*: the newest edition's."""
    found = [
        edition
        for edition in editions
        if name in edition.lists and edition.circular in {"", circular} and edition.first <= year <= edition.last
    ]
    newest = max(found, key=lambda edition: (edition.first, edition.circular), default=None)
    return {} if newest is None else newest.lists[name]


def changing(editions: Sequence[Edition]) -> frozenset[str]:
    """The lists that more than one edition has: only their codes depend on circular and year."""
    names = [name for edition in editions for name in edition.lists]
    return frozenset(name for name in names if names.count(name) > 1)
