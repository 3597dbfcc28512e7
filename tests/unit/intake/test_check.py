"""The static check finds everything that is wrong with a connector, in one go and each with its line."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.edges.connector_files import load_connectors, read_files
from gateway.intake import ConnectorFaults
from gateway.intake.connector import compile_connector
from tests.unit.intake.loaded import CONNECTORS

RECORD = "mappings/record.yaml"
SUBJECTS = "mappings/subjects.yaml"
TABLES = "mappings/tables.yaml"

PLANTED: list[tuple[str, str, str, str]] = [
    ("connector.yaml", "programme: GDPT", "programme: GDPTT", "must be one of GDPT, GDTX; did you mean GDPT"),
    ("connector.yaml", "weight: 1", "weight: 1\nwieght: 2", "unknown key; did you mean weight"),
    ("connector.yaml", "vendor: vnedu", "vendor: vnEdu!", "must be lower-case letters"),
    ("connector.yaml", "max_items: 500", "max_items: many", "must be a whole number"),
    ("connector.yaml", "batch: rows", "batch: rows\nencoding: utf-9", "did you mean utf-8"),
    ("connector.yaml", 'code: "79999502", from: 2020-07-01', 'code: "79999502", from: 01/07/2020', "must be a date"),
    (RECORD, "  register_number: so_dang_bo", "  registre_number: so_dang_bo", "did you mean register_number"),
    (RECORD, "via: [school_year]", "via: [scool_year]", "unknown function scool_year; did you mean school_year"),
    (RECORD, "{pupil_code: {width: 10", "{pupil_code: {with: 10", "has no argument with; did you mean width"),
    (RECORD, "  issue_place: dia_danh_phat_hanh\n", "", "required output issue_place has no rule"),
    (RECORD, "  issue_date: ngay_ky_phat_hanh", "  issue_date: {from: ngay, via: [text]}",
     "gives string, but issue_date is date"),
    (RECORD, "table: gender", "table: gendre", "unknown table gendre; did you mean gender"),
    (RECORD, "  full_name: ho_ten", "  full_name: {from: a, when: {present: b}}",
     "nothing is made when no condition holds"),
    (RECORD, "  school_name: ten_truong", "  school_name: [{from: a}, {from: b}]", "would never be used"),
    (RECORD, "  class_name: lop", "  class_name: ^.lop", "only rows found by a path have an item above them"),
    (RECORD, "  award_text: danh_hieu", "  award_text: danh..hieu", "is no path"),
    (RECORD, "code: DQ-27", "code: DQ-72", "unknown code; did you mean"),
    (RECORD, "field: school_year", "field: scool_year", "unknown field; did you mean school_year"),
    ("connector.yaml", 'code: "79999503", from: 2020-07-01', 'code: "79999503", from: 2020-07-01, to: 2019-07-01',
     "to is before from"),
    (RECORD, "  completion_text:", "  school_leader_name:", "stands twice"),
    (RECORD, "absences_total: nghi_tong", "absences_total: {from: nghi_tong, then: [number]}", "stands behind a table"),
    (SUBJECTS, "{key}_nhan_xet", "{keys}_nhan_xet", "{keys} is filled by no line of each; did you mean key"),
    (SUBJECTS, "list: subject_thcs", "list: subject_thsc", "unknown official list; did you mean subject_thcs"),
    (SUBJECTS, 'mark_year: {from: "{key}", via: [secondary_mark]}',
     'mark_year: {from: "{key}", via: [{secondary_mark: {scale: 7}}]}', "scale must be 1, 10 or 100"),
    (RECORD, "  father_name: ho_ten_cha", "  father_name: {from: ho_ten_cha, via: [day, upper]}",
     "upper takes a text, but day before it gives a day"),
    (RECORD, "  mother_name: ho_ten_me", "  mother_name: {from: ho_ten_me, via: [instant], table: yes}",
     "gives a moment, but table yes takes words"),
    (SUBJECTS, 'mark_term1: {from: "{key}_hk1", via: [secondary_mark]}',
     'mark_term1: [{from: "{key}_hk1", via: [{secondary_mark: {scale: 10}}], when: {from: $.he_so, in: ["10"]}}, '
     '{from: "{key}_hk1", via: [secondary_mark]}]', "add expect: {from: $.he_so, in: [10, …]"),
    (TABLES, "K: [Khá, K]", "K: [Khá, K, Đạt]", "is also a word of code"),
    (TABLES, "T: [Tốt, T], ", "", "not total over secondary_result_level: no word for T"),
    (TABLES, "official: boolean", "official: bolean", "unknown official list bolean; did you mean boolean"),
]  # fmt: skip


def planted(name: str = "vnedu_flat_thcs") -> Mapping[str, str]:
    files = read_files(CONNECTORS, name)
    for ending, old, new, _ in PLANTED:
        shown = next(file for file in files if file.endswith(ending))
        assert old in files[shown], old
        files[shown] = files[shown].replace(old, new, 1)
    return files


def test_every_planted_fault_of_one_connector_is_told_at_once_with_its_line() -> None:
    files = planted()

    with pytest.raises(ConnectorFaults) as caught:
        compile_connector(files)

    said = [str(fault) for fault in caught.value.faults]
    missing = [says for *_, says in PLANTED if not any(says in text for text in said)]
    assert not missing, said
    assert len(PLANTED) >= 15
    for fault in caught.value.faults:
        assert fault.file in files
        assert 1 <= fault.line <= files[fault.file].count("\n") + 1


@pytest.mark.parametrize(("ending", "old", "new", "says"), PLANTED, ids=[says[:40] for *_, says in PLANTED])
def test_a_planted_fault_alone_is_told_with_its_place(ending: str, old: str, new: str, says: str) -> None:
    files = read_files(CONNECTORS, "vnedu_flat_thcs")
    shown = next(file for file in files if file.endswith(ending))
    files[shown] = files[shown].replace(old, new, 1)

    with pytest.raises(ConnectorFaults) as caught:
        compile_connector(files)

    assert any(says in fault.text for fault in caught.value.faults), [str(fault) for fault in caught.value.faults]


AVRO = {
    "type": "record",
    "name": "Mau",
    "fields": [
        {"name": "hocSinh", "type": {"type": "record", "name": "HocSinh", "fields": [
            {"name": "hoVaTen", "type": "string"}]}},
        {"name": "mon", "type": {"type": "array", "items": {"type": "record", "name": "Mon", "fields": [
            {"name": "ma", "type": "string"}]}}},
    ],
}  # fmt: skip


def avro_faults(**changes: str) -> list[str]:
    folder = "connectors/mau"
    files = {
        f"{folder}/connector.yaml": changes.get("connector", "format: avro\nlevel: primary\nschools: []\nname: mau\n"),
        f"{folder}/mappings/m.yaml": changes.get("mapping", ""),
        f"{folder}/schemas/mau.avsc": changes.get("schema", json.dumps(AVRO)),
    }
    with pytest.raises(ConnectorFaults) as caught:
        compile_connector(files)
    return [str(fault) for fault in caught.value.faults]


def test_a_path_in_no_schema_of_an_avro_connector_is_a_fault() -> None:
    mapping = (
        "record: {full_name: hocSinh.hoVaTen, class_name: hocSin.lop, school_name: hocSinh.truong, award_text: $.mon}\n"
        "subjects: {path: mon, rules: {subject_code: ma, achievement_level: muc, subject_name: ^.hocSinh.hoVaTen}}\n"
    )

    said = avro_faults(mapping=mapping)

    assert any("hocSin.lop is in no schema of the connector; did you mean hocSinh" in fault for fault in said), said
    assert any("hocSinh.truong is in no schema" in fault for fault in said)
    assert any("muc is in no schema" in fault for fault in said)
    assert not any("hoVaTen is in no" in fault or "$.mon" in fault for fault in said)


@pytest.mark.parametrize(
    ("part", "text", "says"),
    [
        ("schema", '{"type": "recrd"}', "schemas/mau.avsc:1: the schema is no Avro schema"),
        ("schema", '{"type": "array", "items": "null"}', "the schema has a null outside a union"),
        ("connector", "format: avro\nlevel: primary\nschema_ids: {mao.avsc: 3}\n",
         "schemas/mao.avsc does not exist; did you mean mau.avsc"),
        ("connector", "format: avro\nlevel: primary\nencoding: vni\n", "encoding: does not belong to format avro"),
        ("connector", "format: csv\nlevel: primary\nbatch: rows\n", "batch: does not belong to format csv"),
        ("connector", "format: csv\nlevel: primary\n", "needs csv: the columns of the sheet"),
    ],
)  # fmt: skip
def test_what_does_not_belong_to_a_format_is_a_fault(part: str, text: str, says: str) -> None:
    said = avro_faults(**{part: text})

    assert any(says in fault for fault in said), said


CSV = """
format: csv
level: primary
csv: {columns: {ma: Mã, ten: Tên, toan: Toán}, required: [ma], key: ma, labels: {nam_hoc: Năm học}}
"""


def test_a_csv_rule_reads_declared_columns_and_labels() -> None:
    mapping = (
        "record: {full_name: ten, pupil_code: mã, school_year: $.nam_hocc}\n"
        "subjects:\n  each: [{code: '01', key: toan}, {code: '02', key: tviet}]\n"
        "  rules: {subject_code: {value: '{code}'}, achievement_level: '{key}', periodic_test_mark: '{key}_kt'}\n"
    )

    said = avro_faults(connector=CSV, mapping=mapping)

    assert any("mã is no declared column; did you mean ma" in fault for fault in said), said
    assert any("nam_hocc is no declared label; did you mean nam_hoc" in fault for fault in said)
    assert any("subjects.each[1] reads no declared column" in fault for fault in said)
    assert any("toan_kt is no declared column" in fault for fault in said)
    assert not any(": ten is" in fault for fault in said)


def test_files_that_are_no_utf_8_are_named_with_their_line(tmp_path: Path) -> None:
    folder = tmp_path / "mau" / "mappings"
    folder.mkdir(parents=True)
    (tmp_path / "mau" / "connector.yaml").write_text("name: mau\n")
    (folder / "a.yaml").write_bytes(b"tables: {}\n# Nguy\xd4n\n")
    (folder / "b.yaml").write_bytes("name: mau".encode("utf-16"))

    with pytest.raises(ConnectorFaults) as caught:
        load_connectors(tmp_path)

    assert [(fault.file.rpartition("/")[2], fault.line) for fault in caught.value.faults] == [
        ("a.yaml", 2),
        ("b.yaml", 1),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a [*a]", "an alias contains itself"),
        ("a: &a {x: *a}", "an alias contains itself"),
        ("a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
         "more than 50000"),
        ("a: " + "[" * 200_000, "nests too deep"),
        ("a: " + "{a: " * 200_000 + "}" * 200_000, "nests too deep"),
        ("? [a, b]\n: c", "a key must be text"),
        ("a: 1\n---\nb: 2", "is not YAML"),
        ("\x00", "is not YAML"),
        ("weight: " + "9" * 5_000, "is too large"),
        ("- a\n- b", "must be a mapping"),
    ],
    ids=["alias", "alias in a mapping", "aliases", "lists", "mappings", "key", "documents", "NUL", "number", "list"],
)  # fmt: skip
def test_a_hostile_file_is_a_fault_and_no_crash(text: str, says: str) -> None:
    assert any(says in fault for fault in avro_faults(connector=text))
