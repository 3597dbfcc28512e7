"""What a target is sent of a record, made from the schema's `official` names by one table.

A record here is what `codec.decode_record` gives: {head, body, evidence}. The citizen ID sent is the head's, which
identity confirmed; the body's is only a claim. Nulls are left out. `op` (NEW, UPDATE, CANCEL) is delivery's decision;
without it the head's event type is used.

Assumptions (facts §5, §8.1; a target's answer may prove them wrong):

- the receiver replaces all child rows of a record by those of the higher version;
- child `idbanghi` is `<record id>:<table>:<natural key>`: subject code, school year, or the place in the list for a
  certificate; the second row of one key is `key#2`. Row keys are the first 32 hex digits of SHA-256 of that text;
- `thoigiancapnhat` and `ngaycapnhat` are local times (+07:00) of the change and of its arrival in the vendor's topic;
- primary `xeploai` is text on the wire: the Vietnamese name of the code;
- inner names of the sector's record JSON are the dictionary's, except `ma_hoc_sinh` and `so_cccd`, which the portal's
  reply shows; `id`/`muc` of `bang_nang_luc_pham_chat`, `diem_kiem_tra_lai`, `nhan_xet`, `ten_mon_hoc`,
  `so_cccd_giao_vien`, `giao_vien`, `qua_trinh_hoc_tap` and `chung_chi` are ours. `ket_qua_hoc_tap` of a secondary
  subject is its year result if that is a word (Đ, CĐ, M). A revoke is `id_ban_ghi` and `phien_ban` alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

from gateway.national import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from decimal import Decimal

Json = dict[str, Any]

SHORT_NAME_CHARS = 20
_VIETNAM = timezone(timedelta(hours=7))
EVENT_WORDS = {"NEW": "NEW", "UPDATE": "UPdate", "CANCEL": "CANCEL"}
ENVELOPE = frozenset({"idbanghi", "sukien", "phienban", "thoigiancapnhat", "ngaycapnhat"})
"""Names that every payload has."""
_BIRTHS = ("birth_date", "birth_year_month", "birth_year")


def number(value: Decimal) -> int | float:
    """As JSON writes it: 2, 38.4. Four decimals below 1,000 survive a float."""
    return int(value) if value == value.to_integral_value() else float(value)


def _iso(value: date) -> str:
    return value.isoformat()


def _same(value: str) -> str:
    return value


_CONVERT: dict[str, Callable[[Any], object]] = {"string": _same, "boolean": int, "date": _iso, "decimal": number}


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    official: str
    convert: Callable[[Any], object]


def _columns(*where: schema.Where) -> tuple[_Column, ...]:
    return tuple(
        _Column(spec.name, spec.official, _CONVERT[spec.avro_type])
        for place in where
        for spec in schema.body_fields()
        if spec.where == place
    )


@dataclass(frozen=True, slots=True)
class _Child:
    """A child table: where its rows are, and how they are called."""

    field: str
    resource: str
    key_name: str
    natural_key: str | None
    columns: tuple[_Column, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """A record's table at one level, with its children."""

    resource: str
    columns: tuple[_Column, ...]
    children: tuple[_Child, ...]


def _child(field: str, resource: str, natural_key: str | None, where: schema.Where) -> _Child:
    name = schema.resources()[resource]
    return _Child(field, name, "key" + name, natural_key, _columns(where))


_TABLES: dict[schema.Level, _Table] = {
    "primary": _Table(
        schema.resources()["primary"],
        _columns("common", "primary"),
        (
            _child("subjects", "primary_subject", "subject_code", "primary_subject"),
            _child("history", "primary_history", "school_year", "history"),
        ),
    ),
    "secondary": _Table(
        schema.resources()["secondary"],
        _columns("common", "secondary"),
        (
            _child("subjects", "secondary_subject", "subject_code", "secondary_subject"),
            _child("certificates", "certificate", None, "certificate"),
            _child("history", "secondary_history", "school_year", "history"),
        ),
    ),
}


def resource_name(record: Json) -> str | None:
    """Official resource of the record; None for a CANCEL, whose body is gone."""
    body = record["body"]
    return None if body is None else _TABLES[schema.level_of(body["education_level"])].resource


def population_payload(record: Json, *, op: str | None = None) -> Json:
    """The record under the dictionary's official names: one flat row, child rows as lists under their resource's name.

    CANCEL is the version envelope alone.
    """
    head, body = record["head"], record["body"]
    envelope = _envelope(head, op or head["event_type"])
    if envelope["sukien"] == "CANCEL" or body is None:
        return envelope
    level = schema.level_of(body["education_level"])
    table = _TABLES[level]
    flat = _outbound(head, body, level)
    key_name, key = "key" + table.resource, _row_key(envelope["idbanghi"])
    row: Json = {key_name: key} | envelope | _row(flat, table.columns)
    for child in table.children:
        row[child.resource] = [
            {child.key_name: _row_key(row_id), key_name: key}
            | envelope
            | {"idbanghi": row_id}
            | _row(entry, child.columns)
            for row_id, entry in _identified(envelope["idbanghi"], child, flat[child.field])
        ]
    return row


def _envelope(head: Json, op: str) -> Json:
    return {
        "idbanghi": head["record_id"],
        "sukien": EVENT_WORDS[op],
        "phienban": head["version"],
        "thoigiancapnhat": local_time(head["occurred_at"]),
        "ngaycapnhat": local_time(head["source"]["timestamp"]),
    }


def local_time(milliseconds: int) -> str:
    """An instant as the wire writes it: local time (+07:00), whole seconds, no zone."""
    moment = datetime.fromtimestamp(milliseconds // 1000, tz=UTC).astimezone(_VIETNAM)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def _row_key(row_id: str) -> str:
    return hashlib.sha256(row_id.encode()).hexdigest()[:32]


def _row(source: Json, columns: tuple[_Column, ...]) -> Json:
    return {c.official: c.convert(source[c.name]) for c in columns if source.get(c.name) is not None}


def _identified(record_id: str, child: _Child, entries: list[Json]) -> Iterator[tuple[str, Json]]:
    """Rows with their `idbanghi`, which stays the same from version to version."""
    seen: dict[str, int] = {}
    for place, entry in enumerate(entries, start=1):
        natural = str(place) if child.natural_key is None else entry[child.natural_key]
        seen[natural] = seen.get(natural, 0) + 1
        again = f"#{seen[natural]}" if seen[natural] > 1 else ""
        yield f"{record_id}:{child.resource}:{natural}{again}", entry


def _outbound(head: Json, body: Json, level: schema.Level) -> Json:
    """Body and results as one dict, with what only the wire asks for (DQ-31, DQ-35, one birth field)."""
    flat: Json = body | body["results"] | {"citizen_id": head["citizen_id"]}
    precise = next((name for name in _BIRTHS if flat.get(name) is not None), None)
    flat |= {name: None for name in _BIRTHS if name != precise}
    if level == "primary":
        flat["overall_result"] = overall_text(flat.get("overall_result"))
        return flat
    if not flat.get("absences_total"):
        flat["absences_total"] = None
    names = secondary_names(body["education_level"])
    flat["subjects"] = [entry | {"subject_name": _short(entry, names)} for entry in flat["subjects"]]
    return flat


def overall_text(code: str | None) -> str | None:
    """The primary overall result in words."""
    known = schema.code_lists()["primary_overall_result"]
    return known[code].vietnamese if code in known else code


@cache
def secondary_names(education_level: str) -> dict[str, str]:
    """Subject code → official name of at most 20 characters."""
    lists = schema.code_lists()
    full = lists["subject_thcs" if education_level == "03" else "subject_thpt"]
    short = lists["subject_short_name_secondary"]
    return {code: short.get(code, line).vietnamese for code, line in full.items()}


def _short(entry: Json, names: dict[str, str]) -> str:
    """The school's own name if it fits, else the official short one by code; never cut."""
    name: str = entry["subject_name"]
    return name if len(name) <= SHORT_NAME_CHARS else names.get(entry["subject_code"], name)


# --- sector -----------------------------------------------------------------------------------------------------------

_SUBJECT_NAMES: dict[schema.Level, dict[str, str]] = {
    "primary": {
        "subject_code": "mon_hoc_id",
        "subject_name": "ten_mon_hoc",
        "achievement_level": "ket_qua_hoc_tap",
        "periodic_test_mark": "diem_tong_ket",
    },
    "secondary": {
        "subject_code": "mon_hoc_id",
        "subject_name": "ten_mon_hoc",
        "mark_term1": "diem_hoc_ky_1",
        "mark_term2": "diem_hoc_ky_2",
        "mark_year": "diem_tong_ket",
        "mark_retest": "diem_kiem_tra_lai",
        "subject_comment": "nhan_xet",
        "subject_teacher_citizen_id": "so_cccd_giao_vien",
        "subject_teacher_name": "giao_vien",
    },
}
_COMMENT_MARKS = frozenset({"Đ", "CĐ", "M"})
_PUPIL = (
    *("pupil_code", "citizen_id", "full_name", "gender", "birth_", "birthplace_", "hometown_", "residence_"),
    *("ethnic_group", "nationality", "policy_", "father_", "mother_", "guardian_", "weight_", "height_"),
)
_SCHOOL = (
    *("department_", "school_code", "school_name", "school_commune_", "school_province_", "district_name"),
    "education_level",
)
_SHOWN = {"pupil_code": "ma_hoc_sinh", "citizen_id": "so_cccd"}


def _group(name: str) -> str:
    """Which part of the record JSON a field goes to."""
    groups = {
        "nguoi_hoc": _PUPIL,
        "co_so_giao_duc": _SCHOOL,
        "giam_hieu_ky_hoc_ba": ("school_leader_", "issue_place"),
        "bang_nang_luc_pham_chat": ("competency_", "quality_"),
        "ngay_ky_phat_hanh": ("issue_date",),
        "ma_dinh_danh_hoc_ba": ("transcript_id",),
    }
    return next((group for group, starts in groups.items() if name.startswith(starts)), "tong_ket_hoc_ba")


def _grouped(level: schema.Level) -> dict[str, tuple[_Column, ...]]:
    groups: dict[str, list[_Column]] = {}
    for column in _TABLES[level].columns:
        shown = _Column(column.name, _SHOWN.get(column.name, column.official), column.convert)
        groups.setdefault(_group(column.name), []).append(shown)
    return {group: tuple(columns) for group, columns in groups.items()}


_GROUPS: dict[schema.Level, dict[str, tuple[_Column, ...]]] = {level: _grouped(level) for level in _TABLES}
_CHILD_COLUMNS = {where: _columns(where) for where in ("history", "certificate")}


def _quality_ids() -> dict[str, str]:
    """English name of the portal's list, as our field names end → its id: `problem_solving_creativity` → 08."""
    listed = schema.code_lists()["quality_competency_portal"].values()
    return {
        line.english.lower().replace(" and ", "_").replace(" ", "_").replace("-", "_"): line.code for line in listed
    }


_QUALITY_IDS = _quality_ids()


def sector_revoke(record_id: str, version: int) -> Json:
    """The item of a packet that revokes a record: which, and the version that is revoked."""
    return {"id_ban_ghi": record_id, "phien_ban": version}


def sector_record(record: Json) -> Json:
    """The record JSON of a sector packet (facts §8.1). For a revoke: id and version."""
    head, body = record["head"], record["body"]
    envelope = sector_revoke(head["record_id"], head["version"])
    if body is None:
        return envelope
    level = schema.level_of(body["education_level"])
    flat, groups = _outbound(head, body, level), _GROUPS[level]
    summary = _row(flat, groups["tong_ket_hoc_ba"])
    summary["qua_trinh_hoc_tap"] = [_row(entry, _CHILD_COLUMNS["history"]) for entry in flat["history"]]
    if level == "secondary":
        summary["chung_chi"] = [_row(entry, _CHILD_COLUMNS["certificate"]) for entry in flat["certificates"]]
    return envelope | {
        "ma_dinh_danh_hoc_ba": flat["transcript_id"],
        "nguoi_hoc": _row(flat, groups["nguoi_hoc"]),
        "co_so_giao_duc": _row(flat, groups["co_so_giao_duc"]),
        "bang_diem_hoc_ba": [_sector_subject(entry, level) for entry in flat["subjects"]],
        "bang_nang_luc_pham_chat": _qualities(flat, groups.get("bang_nang_luc_pham_chat", ())),
        "tong_ket_hoc_ba": summary,
        "giam_hieu_ky_hoc_ba": _row(flat, groups["giam_hieu_ky_hoc_ba"]),
        "ngay_ky_phat_hanh": _iso(flat["issue_date"]),
    }


def _sector_subject(entry: Json, level: schema.Level) -> Json:
    row = {shown: entry[name] for name, shown in _SUBJECT_NAMES[level].items() if entry.get(name) is not None}
    year = entry.get("mark_year")
    return row | ({"ket_qua_hoc_tap": year} if year in _COMMENT_MARKS else {})


def _qualities(flat: Json, columns: tuple[_Column, ...]) -> list[Json]:
    """Levels of qualities and competencies by the portal's ids, in their order."""
    rows = [
        {"id": _QUALITY_IDS[column.name.partition("_")[2]], "muc": flat[column.name]}
        for column in columns
        if flat.get(column.name) is not None
    ]
    return sorted(rows, key=lambda row: row["id"])
