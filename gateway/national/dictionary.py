"""The body's Avro types, derived from the sharing dictionary.

One row of `dictionary.csv` becomes one field. Fields with the same English name in the primary and the
secondary record become one common field of `Body`; where the two rows differ (width, codes, duty), the property
holds both values: `"maxLength": {"primary": 10, "secondary": 30}`. Fields of one level only go to `PrimaryResults`
or `SecondaryResults`. Technical fields (row keys and the version envelope) are left out: the head has them.

Types: what the dictionary calls a code, a mark or a level is a string (Avro enum symbols must be ASCII, so `Đ` cannot
be one; code lists change during a school year); dates are Avro dates; every number is decimal(18,4), because a count
or a weight that passes through binary floats no longer hashes the same.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PRIMARY = "thongtinsohocbasotieuhoc"
SECONDARY = "thongtinsohocbasothcsthpt"

Level = Literal["primary", "secondary"]
Json = dict[str, Any]

ENVELOPE = frozenset({"idbanghi", "sukien", "phienban", "thoigiancapnhat", "ngaycapnhat"})
"""Dictionary fields of the version envelope: every row has them, the head holds them."""

NULLABLE_CLAIMS = frozenset({"citizen_id"})
"""Due at the receiver, but the vendor may not know it: identity finds it or parks the record (DQ-18)."""

OUTBOUND = frozenset({("secondary", "absences_total"), (SECONDARY + "_bangdiem", "subject_name")})
"""Where the wire is narrower than a record and `payload` sees to it: long names (DQ-31), zero absences (DQ-35)."""

_TYPES: dict[str, Any] = {
    "boolean": "boolean",
    "date": {"type": "int", "logicalType": "date"},
    "decimal": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4},
    "double": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4},
    "varchar": "string",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the dictionary."""

    resource: str
    official: str
    type: str
    max_length: str
    required: str
    codes: str
    name: str
    note: str


def read_rows(path: Path) -> tuple[Row, ...]:
    """All lines of `dictionary.csv`, in file order."""
    with path.open(encoding="utf-8", newline="") as lines:
        return tuple(
            Row(
                line["resource"],
                line["field"],
                line["type"],
                line["max_length"],
                line["required"],
                line["codes"],
                line["english_name"],
                line["note"],
            )
            for line in csv.DictReader(lines)
        )


def business_rows(rows: Iterable[Row], resource: str) -> list[Row]:
    """The rows of one resource without row keys and version envelope."""
    return [
        row
        for row in rows
        if row.resource == resource and not row.official.startswith("key") and row.official not in ENVELOPE
    ]


def body_type(rows: Sequence[Row]) -> Json:
    """`Body` with everything below it."""
    primary = {row.name: row for row in business_rows(rows, PRIMARY)}
    secondary = {row.name: row for row in business_rows(rows, SECONDARY)}
    common = [
        _field({"primary": row, "secondary": secondary[name]}) for name, row in primary.items() if name in secondary
    ]
    results: Json = {
        "name": "results",
        "type": [_primary_results(rows, secondary), _secondary_results(rows, primary)],
        "doc": "Results of the year: primary (TT 27/2020/TT-BGDĐT) or secondary (TT 22/2021/TT-BGDĐT).",
    }
    doc = "What the school says about one pupil in one school year, in national terms; its bytes are the content."
    return _record("Body", doc, [*common, results, _history(rows)])


def _primary_results(rows: Sequence[Row], elsewhere: Iterable[str]) -> Json:
    own = [_field({"primary": row}) for row in business_rows(rows, PRIMARY) if row.name not in elsewhere]
    subject = _child(
        rows, "PrimarySubject", "One subject of the year sheet (TT 27/2020 art. 7).", "primary", "_dsbangdiem"
    )
    subjects = _array(
        "subjects", subject, "All subjects of the pupil; empty only when not assessed.", PRIMARY + "_dsbangdiem"
    )
    return _record("PrimaryResults", "Year results of grades 1 to 5.", [*own, subjects])


def _secondary_results(rows: Sequence[Row], elsewhere: Iterable[str]) -> Json:
    own = [_field({"secondary": row}) for row in business_rows(rows, SECONDARY) if row.name not in elsewhere]
    subject = _child(
        rows, "SecondarySubject", "One subject with its terms (TT 22/2021 art. 5-9).", "secondary", "_bangdiem"
    )
    certificate = _child(rows, "Certificate", "A certificate of the pupil.", "secondary", "_chungchi")
    subjects = _array(
        "subjects", subject, "All subjects of the pupil; empty only when not assessed.", SECONDARY + "_bangdiem"
    )
    certificates = _array("certificates", certificate, "Certificates, if any.", SECONDARY + "_chungchi", default=True)
    return _record("SecondaryResults", "Year results of grades 6 to 12.", [*own, subjects, certificates])


def _history(rows: Sequence[Row]) -> Json:
    primary = business_rows(rows, PRIMARY + "_quatrinhhoctap")
    secondary = {row.name: row for row in business_rows(rows, SECONDARY + "_quatrinhhoctap")}
    # transfer_in_date is a date in one table and a varchar with a date in the other: a date in both here.
    fields = [_field({"primary": row, "secondary": secondary[row.name]}) for row in primary]
    entry = _record("HistoryEntry", "One year of the pupil's learning history.", fields)
    official = {"primary": PRIMARY + "_quatrinhhoctap", "secondary": SECONDARY + "_quatrinhhoctap"}
    return _array("history", entry, "Learning history, oldest first.", official, default=True)


def _child(rows: Sequence[Row], name: str, doc: str, level: Level, suffix: str) -> Json:
    resource = (PRIMARY if level == "primary" else SECONDARY) + suffix
    return _record(name, doc, [_field({level: row}) for row in business_rows(rows, resource)])


def _record(name: str, doc: str, fields: list[Json]) -> Json:
    return {"type": "record", "name": name, "doc": doc, "fields": fields}


def _array(name: str, items: Json, doc: str, official: object, *, default: bool = False) -> Json:
    field: Json = {"name": name, "type": {"type": "array", "items": items}, "doc": doc, "official": official}
    return field | ({"default": []} if default else {})


def _field(rows: dict[Level, Row]) -> Json:
    """One Avro field of the one or two dictionary rows that have its English name."""
    first = next(iter(rows.values()))
    due = all(row.required == "yes" for row in rows.values()) and first.name not in NULLABLE_CLAIMS
    avro = _TYPES[first.type]
    field: Json = {"name": first.name, "type": avro if due else ["null", avro]}
    if not due:
        field["default"] = None
    field["doc"] = _doc(first)
    field["official"] = first.official
    field["required"] = _by_level({level: row.required for level, row in rows.items()})
    _set(field, "maxLength", {level: _width(row) for level, row in rows.items()})
    _set(field, "codes", {level: row.codes or None for level, row in rows.items()})
    if any((key, first.name) in OUTBOUND for key in (*rows, first.resource)):
        field["limitsHoldOutbound"] = True
    return field


def _set(field: Json, key: str, values: dict[Level, Any]) -> None:
    if any(value is not None for value in values.values()):
        field[key] = _by_level(values)


def _by_level(values: dict[Level, Any]) -> object:
    """The one value, or both by level where they differ."""
    return next(iter(values.values())) if len(set(values.values())) == 1 else values


def _width(row: Row) -> int | None:
    return int(row.max_length) if row.type == "varchar" else None


def _doc(row: Row) -> str:
    words = row.name.replace("_", " ").replace("citizen id", "citizen ID")
    text = words[0].upper() + words[1:] + "."
    return f"{text} {row.note}" if row.note else text
