"""The bundled schemas, their ids, and what they say about each field.

Everything here is read from `schemas/` once, at import. `ids.json` lists every schema id that may be met in our topics:
one entry a released version, one *current* a name. An id never changes its meaning, and never leaves the list while a
topic may still hold its bytes.

`body_fields()` is what rules and payloads are made from: one `FieldSpec` a field, with the limits of each level.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from fastavro import parse_schema

from gateway.national.editions import Code, Edition, all_codes, read_editions

Json = dict[str, Any]
Level = Literal["primary", "secondary"]
Where = Literal["common", "primary", "secondary", "primary_subject", "secondary_subject", "history", "certificate"]
AvroType = Literal["string", "boolean", "date", "decimal"]

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
NAMESPACE = "vn.hocba"

MAPPED = "vn.hocba.MappedRecord"
RECORD = "vn.hocba.LearningRecord"
RECEIPT = "vn.hocba.Receipt"


@dataclass(frozen=True, slots=True)
class Bundled:
    """A schema under its id."""

    schema_id: int
    name: str
    version: int
    current: bool
    subject: str
    record_id: int | None
    """For a MappedRecord: the id of the LearningRecord that has the same body and evidence."""
    text: str
    """The released JSON text, docs included: what a registry is given."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What the dictionary asks of a field at one level; `codes` in the dictionary's own notation (see `codes`)."""

    required: Literal["yes", "no", "cond"]
    max_length: int | None
    codes: str


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One business field of the body."""

    name: str
    official: str
    avro_type: AvroType
    nullable: bool
    where: Where
    doc: str
    limits_hold_outbound: bool
    """True where the wire is narrower than a record and `payload` sees to it: a secondary subject name may be longer
    (DQ-31), an absence total may be 0 besides its bounds (DQ-35). Intake must not reject for these two."""
    primary: Rule | None
    secondary: Rule | None

    def rule(self, level: Level) -> Rule | None:
        """The rule at *level*; None where the level has no such field."""
        return self.primary if level == "primary" else self.secondary


def level_of(education_level: str) -> Level:
    """Which results an education level has: 02 primary, all others secondary (PR-12, SR-11)."""
    return "primary" if education_level == "02" else "secondary"


@cache
def bundled() -> dict[int, Bundled]:
    """Every schema our topics may hold, by id."""
    entries = json.loads((SCHEMAS / "avro" / "ids.json").read_text(encoding="utf-8"))
    return {int(number): _bundled(int(number), entry) for number, entry in entries.items()}


@cache
def current(name: str) -> Bundled:
    """The current schema of a full name."""
    return next(entry for entry in bundled().values() if entry.current and entry.name == name)


def _bundled(number: int, entry: Json) -> Bundled:
    name = f"released/{Path(entry['file']).stem}.v{entry['version']}.avsc"
    text = (SCHEMAS / "avro" / name).read_text(encoding="utf-8")
    pair = entry.get("record_id")
    return Bundled(number, entry["name"], entry["version"], entry["current"], entry["subject"], pair, text)


def working_text(name: str) -> str:
    """The generated schema in `schemas/avro/`, released or not yet."""
    entries = json.loads((SCHEMAS / "avro" / "ids.json").read_text(encoding="utf-8"))
    file: str = next(entry["file"] for entry in entries.values() if entry["name"] == name)
    return (SCHEMAS / "avro" / file).read_text(encoding="utf-8")


def part(text: str, name: str) -> Json:
    """The record type of one top field (`head`, `body`, `evidence`) of a schema, parsed by itself."""
    field = next(field for field in json.loads(text)["fields"] if field["name"] == name)
    kind = field["type"] if isinstance(field["type"], dict) else field["type"][1]
    return parsed(kind | {"namespace": NAMESPACE})


def parsed(schema: Json) -> Json:
    """For fastavro. Times stay integers (milliseconds): `datetime` costs more and adds nothing between our stages."""
    return cast("Json", parse_schema(_plain_times(copy.deepcopy(schema))))


def _plain_times(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain_times(item) for item in node]
    if isinstance(node, dict):
        if node.get("logicalType") == "timestamp-millis":
            return node["type"]
        return {key: _plain_times(value) for key, value in node.items()}
    return node


@cache
def body_fields() -> tuple[FieldSpec, ...]:
    """All business fields: common ones first, then the levels', then child rows, in the schema's order."""
    body = next(field for field in json.loads(current(RECORD).text)["fields"] if field["name"] == "body")["type"][1]
    found: dict[Where, list[FieldSpec]] = {}
    _collect(body, found)
    return tuple(spec for specs in found.values() for spec in specs)


_WHERE: dict[str, Where] = {
    "Body": "common",
    "PrimaryResults": "primary",
    "SecondaryResults": "secondary",
    "PrimarySubject": "primary_subject",
    "SecondarySubject": "secondary_subject",
    "HistoryEntry": "history",
    "Certificate": "certificate",
}
_LEVELS: dict[Where, tuple[Level, ...]] = {
    "common": ("primary", "secondary"),
    "history": ("primary", "secondary"),
    "primary": ("primary",),
    "primary_subject": ("primary",),
    "secondary": ("secondary",),
    "secondary_subject": ("secondary",),
    "certificate": ("secondary",),
}


def _collect(record: Json, found: dict[Where, list[FieldSpec]]) -> None:
    where = _WHERE[record["name"]]
    specs = found.setdefault(where, [])
    for field in record["fields"]:
        records = list(_records(field["type"]))
        for child in records:
            _collect(child, found)
        if not records:
            specs.append(_spec(field, where))


def _records(kind: Any) -> list[Json]:
    if isinstance(kind, list):
        return [record for branch in kind for record in _records(branch)]
    if isinstance(kind, dict) and kind["type"] == "array":
        return _records(kind["items"])
    return [kind] if isinstance(kind, dict) and kind["type"] == "record" else []


def _spec(field: Json, where: Where) -> FieldSpec:
    nullable = isinstance(field["type"], list)
    kind = field["type"][1] if nullable else field["type"]
    rules: dict[Level, Rule] = {level: _rule(field, level) for level in _LEVELS[where]}
    return FieldSpec(
        name=field["name"],
        official=field["official"],
        avro_type=kind["logicalType"] if isinstance(kind, dict) else kind,
        nullable=nullable,
        where=where,
        doc=field["doc"],
        limits_hold_outbound=field.get("limitsHoldOutbound", False),
        primary=rules.get("primary"),
        secondary=rules.get("secondary"),
    )


def _rule(field: Json, level: Level) -> Rule:
    def at_level(key: str) -> Any:
        value = field.get(key)
        return value[level] if isinstance(value, dict) else value

    return Rule(at_level("required"), at_level("maxLength"), at_level("codes") or "")


@cache
def resources() -> dict[str, str]:
    """Where of child rows, and level of records → official resource name."""
    primary, secondary = "thongtinsohocbasotieuhoc", "thongtinsohocbasothcsthpt"
    return {
        "primary": primary,
        "secondary": secondary,
        "primary_subject": primary + "_dsbangdiem",
        "secondary_subject": secondary + "_bangdiem",
        "certificate": secondary + "_chungchi",
        "primary_history": primary + "_quatrinhhoctap",
        "secondary_history": secondary + "_quatrinhhoctap",
    }


@cache
def editions() -> tuple[Edition, ...]:
    """The bundled editions of the official code lists."""
    return read_editions(SCHEMAS / "reference")


@cache
def code_lists() -> dict[str, dict[str, Code]]:
    """Official code lists, all editions together: list name → code → line, in file order."""
    return all_codes(editions())


def lists_of(codes: str) -> tuple[str, ...]:
    """The lists that a `codes` entry names (``@a or @b``: by education level 03 or 04); none for another notation."""
    return tuple(name.removeprefix("@") for name in codes.split(" or ")) if codes.startswith("@") else ()
