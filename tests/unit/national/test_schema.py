"""The schema is complete after the dictionary, and says so field by field."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.national import generate, schema

Json = dict[str, Any]

RESOURCES: dict[str, tuple[schema.Level, tuple[schema.Where, ...]]] = {
    "thongtinsohocbasotieuhoc": ("primary", ("common", "primary")),
    "thongtinsohocbasotieuhoc_dsbangdiem": ("primary", ("primary_subject",)),
    "thongtinsohocbasotieuhoc_quatrinhhoctap": ("primary", ("history",)),
    "thongtinsohocbasothcsthpt": ("secondary", ("common", "secondary")),
    "thongtinsohocbasothcsthpt_bangdiem": ("secondary", ("secondary_subject",)),
    "thongtinsohocbasothcsthpt_chungchi": ("secondary", ("certificate",)),
    "thongtinsohocbasothcsthpt_quatrinhhoctap": ("secondary", ("history",)),
}
IN_HEAD = {
    "idbanghi": "record_id",
    "sukien": "event_type",
    "phienban": "version",
    "thoigiancapnhat": "occurred_at",
    "ngaycapnhat": "timestamp",
}
"""Version envelope: the head has it (ngaycapnhat: the source's LogAppendTime). `payload` computes `key…` columns."""


def dictionary() -> list[dict[str, str]]:
    with (schema.SCHEMAS / "reference" / "dictionary.csv").open(encoding="utf-8", newline="") as lines:
        return [line for line in csv.DictReader(lines) if line["resource"] in RESOURCES]


def walk(node: object) -> list[Json]:
    """All fields of a schema, at any depth."""
    if isinstance(node, list):
        return [found for item in node for found in walk(item)]
    if not isinstance(node, dict):
        return []
    own: list[Json] = node.get("fields", [])
    return own + [found for value in node.values() for found in walk(value)]


def loaded(name: str) -> Json:
    result: Json = json.loads(schema.current(name).text)
    return result


@pytest.mark.parametrize("file", ["mapped-record.avsc", "learning-record.avsc", "receipt.avsc"])
def test_the_schema_files_are_what_the_dictionary_gives(file: str) -> None:
    assert (schema.SCHEMAS / "avro" / file).read_text(encoding="utf-8") == generate.generated()[file]


@pytest.mark.parametrize("name", [schema.MAPPED, schema.RECORD, schema.RECEIPT])
def test_the_bundled_schema_is_the_one_in_the_working_tree(name: str) -> None:
    assert schema.working_text(name) == schema.current(name).text


def test_a_release_is_written_once_and_never_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, avro = tmp_path / "reference", tmp_path / "avro"
    reference.mkdir()
    (avro / "released").mkdir(parents=True)
    for name in ("reference/dictionary.csv", "avro/ids.json"):
        (tmp_path / name).write_bytes((schema.SCHEMAS / name).read_bytes())
    (avro / "released" / "receipt.v1.avsc").write_text("older", encoding="utf-8")
    monkeypatch.setattr(generate, "SCHEMAS", tmp_path)

    assert generate.main(["--release"]) == 0

    assert (avro / "released" / "receipt.v1.avsc").read_text(encoding="utf-8") == "older"
    assert (avro / "released" / "learning-record.v1.avsc").read_text(encoding="utf-8") == schema.current(
        schema.RECORD
    ).text


@pytest.mark.parametrize("row", dictionary(), ids=lambda row: f"{row['resource']}.{row['field']}")
def test_every_dictionary_field_is_there_under_its_official_name(row: dict[str, str]) -> None:
    level, places = RESOURCES[row["resource"]]
    if row["field"].startswith("key"):
        return  # technical row keys: computed when a payload is made (facts §5)
    if row["field"] in IN_HEAD:
        heads = walk(loaded(schema.RECORD)["fields"][0])
        assert [f["name"] for f in heads if f.get("official") == row["field"]] == [IN_HEAD[row["field"]]]
        return
    found = [s for s in schema.body_fields() if s.where in places and s.official == row["field"]]

    assert [spec.name for spec in found] == [row["english_name"]]
    rule = found[0].rule(level)
    assert rule is not None
    assert (rule.required, rule.codes) == (row["required"], row["codes"])
    assert rule.max_length == (int(row["max_length"]) if row["type"] == "varchar" else None)
    assert found[0].nullable >= (row["required"] != "yes")


def test_nothing_in_the_body_comes_from_elsewhere_than_the_dictionary() -> None:
    listed = {row["field"] for row in dictionary()}

    assert {spec.official for spec in schema.body_fields()} <= listed


def test_only_a_claimed_id_and_what_one_level_leaves_open_may_be_null_though_due_somewhere() -> None:
    loosened = {
        spec.name
        for spec in schema.body_fields()
        for rule in (spec.primary, spec.secondary)
        if spec.nullable and rule is not None and rule.required == "yes"
    }

    assert loosened == {"citizen_id", "homeroom_teacher_citizen_id"}


@pytest.mark.parametrize("name", [schema.MAPPED, schema.RECORD, schema.RECEIPT])
def test_every_field_has_a_doc_and_a_nullable_one_defaults_to_null(name: str) -> None:
    fields = walk(loaded(name))

    assert all(field["doc"].strip() for field in fields)
    assert all(
        field["default"] is None for field in fields if isinstance(field["type"], list) and field["type"][0] == "null"
    )


def test_mapped_and_learning_record_share_body_and_evidence_behind_their_heads() -> None:
    mapped, learning = loaded(schema.MAPPED)["fields"], loaded(schema.RECORD)["fields"]

    assert [field["name"] for field in mapped] == ["head", "body", "evidence"]
    assert [field["name"] for field in learning] == ["head", "body", "evidence"]
    assert mapped[1:] == learning[1:]


def test_ids_are_unique_and_one_schema_of_each_name_is_current() -> None:
    entries = schema.bundled().values()

    assert sorted(e.name for e in entries if e.current) == sorted({e.name for e in entries})
    assert all((e.record_id is not None) == (e.name == schema.MAPPED) for e in entries)


def test_widths_that_differ_by_level_are_kept_apart() -> None:
    widths = {
        spec.name: (spec.primary.max_length, spec.secondary.max_length)
        for spec in schema.body_fields()
        if spec.where == "common" and spec.primary and spec.secondary
    }

    assert {name: pair for name, pair in widths.items() if pair[0] != pair[1]} == {
        "record_status": (30, 1),
        "circular": (10, 30),
        "completion_text": (2000, 150),
    }


def test_code_lists_are_read_in_order_with_both_names() -> None:
    lists = schema.code_lists()

    assert list(lists["primary_overall_result"]) == ["HTXS", "HTT", "HT", "CHT"]
    assert lists["subject_short_name_secondary"]["91"].vietnamese == "HĐTN, HN"
