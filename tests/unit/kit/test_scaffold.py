"""``hocba connector new``: what it finds in samples of every shape, what it leaves, and that nothing is hidden."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.intake.language import read_definition
from gateway.ops.connector_commands import app
from gateway.sandbox.payloads import vnedu_message
from tests.unit.intake.loaded import CONNECTORS, document, row
from tests.unit.kit.kit import RUN, guide_sample, made


def told(folder: Path, text: str, ending: str = "json", *more: str) -> dict[str, Any]:
    result = made(folder, text, ending, "--json", *more)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def rules(folder: Path, section: str) -> dict[str, tuple[str, ...]]:
    """Field → paths, as the scaffold wrote them."""
    home = folder / "connectors" / "probe"
    files = [home / "connector.yaml", *sorted((home / "mappings").glob("*.yaml"))]
    definition = read_definition({str(file): file.read_text(encoding="utf-8") for file in files})
    assert [str(fault) for fault in definition.faults.found] == []
    return {name: rule.paths for name, rule in definition.sections[section].items() if rule.paths}


def test_a_sample_in_which_all_is_found_lints_clean(tmp_path: Path) -> None:
    full = vnedu_message([row(1), row(2)]).decode()
    found = told(tmp_path, full)
    lint = RUN.invoke(app, ["lint", "probe", "--path", str(tmp_path / "connectors")])

    assert (found["todo"], found["lint"]) == ([], [])
    assert lint.exit_code == 0


def test_it_finds_the_same_inputs_as_the_connector_made_by_hand(tmp_path: Path) -> None:
    told(tmp_path, vnedu_message([row(1), row(2)]).decode())
    hand = CONNECTORS / "vnedu_flat_thcs"
    files = [hand / "connector.yaml", *sorted((hand / "mappings").glob("*.yaml"))]
    by_hand = read_definition({str(file): file.read_text(encoding="utf-8") for file in files}).sections

    for section in ("record", "results"):
        guessed = rules(tmp_path, section)
        wrong = {n: p for n, p in guessed.items() if n in by_hand[section] and p[0] not in by_hand[section][n].paths}
        assert wrong == {}


def test_every_mandatory_output_is_mapped_assumed_or_marked(tmp_path: Path) -> None:
    found = told(tmp_path, guide_sample())
    marked = {entry.partition(" ")[0].partition(":")[0] for entry in (*found["todo"], *found["assumed"])}
    missing = {match[1] for fault in found["lint"] if (match := re.search(r"required output (\w+) has", fault))}

    assert missing <= marked
    assert "school_code" in missing
    text = (tmp_path / "connectors/probe/mappings/record.yaml").read_text(encoding="utf-8")
    assert all(f"# TODO {name}:" in text for name in missing)


def test_a_general_name_is_a_guess_and_says_so(tmp_path: Path) -> None:
    found = told(tmp_path, guide_sample())

    assert "award_text from $.unit.title: a guess by name" in found["assumed"]


def test_words_nobody_can_place_are_left_to_a_person(tmp_path: Path) -> None:
    found = told(tmp_path, guide_sample())
    tables = (tmp_path / "connectors/probe/mappings/tables.yaml").read_text(encoding="utf-8")

    assert any(entry.startswith("tables.gender: 1 words") for entry in found["todo"])
    assert '# TODO which code is meant by: "G"' in tables


def test_marks_below_a_subject_s_key_become_rows(tmp_path: Path) -> None:
    found = told(tmp_path, guide_sample())
    subjects = (tmp_path / "connectors/probe/mappings/subjects.yaml").read_text(encoding="utf-8")

    assert '- {code: "05", key: SU_DIA}' in subjects
    assert 'mark_term1: {from: "marks.{key}.hk1", via: [secondary_mark]}' in subjects
    assert "marks.DIA_PHUONG.hk1" in found["unused_inputs"]


def test_the_nested_sample_s_lists_and_persons_are_told_apart(tmp_path: Path) -> None:
    text = (CONNECTORS / "smas_nested/cases/01-sample-as-given.input.json").read_text(encoding="utf-8")
    told(tmp_path, text)
    record, results = rules(tmp_path, "record"), rules(tmp_path, "results")

    assert record["full_name"] == ("student.fullName",)
    assert record["mother_name"] == ("student.mother.name",)
    assert record["pupil_code"] == ("student.moetCode",)
    assert results["study_result_term1"] == ("summary.study.s1",)
    assert "path: subjects" in (tmp_path / "connectors/probe/mappings/subjects.yaml").read_text(encoding="utf-8")


def test_xml_starts_at_the_record_inside_its_envelope(tmp_path: Path) -> None:
    found = told(tmp_path, document(1), "xml")
    profile = (tmp_path / "connectors/probe/connector.yaml").read_text(encoding="utf-8")

    assert "batch: DU_LIEU_HOC_BA.THONG_TIN_HOC_BA\n" in profile
    assert found["level"] == "primary"


def test_a_sheet_s_columns_are_named_after_their_headings(tmp_path: Path) -> None:
    sheet = "Mã học sinh;Họ và tên;Khối;Toán HK1;Toán HK2;Ngữ văn HK1;Tin học CN\n7999990101;Lê Mẫu A;8;7,5;8;6;9\n"
    told(tmp_path, sheet, "csv")
    profile = (tmp_path / "connectors/probe/connector.yaml").read_text(encoding="utf-8")
    subjects = (tmp_path / "connectors/probe/mappings/subjects.yaml").read_text(encoding="utf-8")

    assert 'delimiter: ";"' in profile
    assert 'ho_va_ten: "Họ và tên"' in profile
    assert "key: ma_hoc_sinh\n" in profile
    assert '- {code: "15", key: toan}' in subjects
    assert 'mark_term2: {from: "{key}_hk2", via: [secondary_mark]}' in subjects


CLASS_XML = """<ns:SoDiem xmlns:ns="urn:mau"><TieuDe><NamHoc>2025-2026</NamHoc><MaTruong>79999601</MaTruong>
<TenTruong>Trường Mẫu</TenTruong><SoGD>Sở Mẫu</SoGD></TieuDe><DanhSach>{}</DanhSach></ns:SoDiem>"""
PUPIL_XML = '<HocSinh Id="h{0}"><MaHS>799999600{0}</MaHS><HoTen>Đỗ Mẫu Lan</HoTen><Khoi>7</Khoi></HocSinh>'


@pytest.mark.parametrize(("pupils", "evidence"), [((1,), "message"), ((1, 2), "none")])
def test_a_class_in_xml_has_a_batch_even_with_one_pupil(tmp_path: Path, pupils: tuple[int, ...], evidence: str) -> None:
    found = told(tmp_path, CLASS_XML.format("".join(PUPIL_XML.format(number) for number in pupils)), "xml")
    profile = (tmp_path / "connectors/probe/connector.yaml").read_text(encoding="utf-8")

    assert "batch: DanhSach.HocSinh\n" in profile
    assert f"evidence: {evidence} " in profile
    assert rules(tmp_path, "record")["full_name"] == ("HoTen",)
    assert rules(tmp_path, "record")["school_code"] == ("$.TieuDe.MaTruong",)
    assert any(line.startswith(f"evidence: {evidence}") for line in found["assumed"])


def test_attributes_are_named_by_the_element_they_stand_at_and_texts_beside_them_are_found(tmp_path: Path) -> None:
    pupil = '<hocSinh ma="7999996001" lanSua="1" capNhat="28-5-26"><hoTen>Đỗ Mẫu Lan</hoTen><phai>G</phai></hocSinh>'
    text = (
        '<sd:so xmlns:sd="urn:mau"><truong ma="79999601" ten="Trường Mẫu"><hieuTruong cccd="079075999983">Trần Mẫu'
        f'</hieuTruong></truong><lop ten="7A1"><ds>{pupil}{pupil.replace("6001", "6002")}</ds></lop></sd:so>'
    )
    found = told(tmp_path, text, "xml")
    record, event = rules(tmp_path, "record"), rules(tmp_path, "event")

    assert (event["version"], event["occurred_at"]) == (("@lanSua",), ("@capNhat",))
    assert (record["pupil_code"], record["school_name"]) == (("@ma",), ("$.truong.@ten",))
    assert record["school_leader_name"] == ("$.truong.hieuTruong",)
    assert record["class_name"] == record["grade_code"] == ("$.lop.@ten",)
    assert "grade_code from $.lop.@ten: the grade a class name begins with" in found["assumed"]


def test_pupils_keyed_by_code_are_seen_as_a_list_and_no_code_becomes_a_path(tmp_path: Path) -> None:
    sample = {"namHoc": "2025-2026", "hocSinh": {"7999990101": {"hoTen": "Lê Mẫu A", "khoi": 7}}}
    found = told(tmp_path, json.dumps(sample))
    profile = (tmp_path / "connectors/probe/connector.yaml").read_text(encoding="utf-8")

    assert 'batch: "hocSinh.*"\n' in profile
    assert rules(tmp_path, "record")["pupil_code"] == ("@key",)
    assert rules(tmp_path, "record")["school_year"] == ("$.namHoc",)
    assert "7999990101" not in json.dumps(found) + "".join(
        file.read_text(encoding="utf-8") for file in (tmp_path / "connectors/probe").rglob("*.yaml")
    )


def test_a_citizen_id_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    without = told(tmp_path, json.dumps({"maHocSinh": "7999990101", "hoTen": "Lê Mẫu A", "khoi": 7}))

    assert any(line.startswith("citizen_id (") and "looked up" in line for line in without["todo"])


def test_a_format_s_version_is_no_record_s(tmp_path: Path) -> None:
    pupil = {"maHocSinh": "7999990101", "hoTen": "Lê Mẫu A", "khoi": 7, "updatedAt": "46169.5"}
    told(tmp_path, json.dumps({"version": 2, "rows": [pupil | {"version": "1.1"}]}))

    assert "version" not in rules(tmp_path, "event")


def test_spreadsheet_serials_are_read_as_such(tmp_path: Path) -> None:
    pupil = {"maHocSinh": "7999990101", "hoTen": "Lê Mẫu A", "khoi": 7, "updatedAt": "46169.5", "ngayKy": "46170"}
    told(tmp_path, json.dumps([pupil]))
    record = (tmp_path / "connectors/probe/mappings/record.yaml").read_text(encoding="utf-8")

    assert "occurred_at: {from: updatedAt, via: [{instant: {excel: true}}]}" in record
    assert "issue_date: {from: ngayKy, via: [{day_of: {excel: true}}]}" in record


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_a_sheet_s_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    sample = tmp_path / "sample.csv"
    sample.write_bytes("Mã học sinh;Họ và tên;Khối\n7999990101;Lê Mẫu Nguyễn;8\n".encode(encoding))

    result = RUN.invoke(app, ["new", "probe", "--from", str(sample), "--path", str(tmp_path / "connectors")])

    assert result.exit_code == 0, result.output
    profile = (tmp_path / "connectors/probe/connector.yaml").read_text(encoding="utf-8")
    assert f"encoding: {'utf-16' if '16' in encoding else 'utf-8'} " in profile


def test_a_legacy_sheet_is_read_and_its_encoding_declared(tmp_path: Path) -> None:
    case = CONNECTORS / "legacy_csv_primary" / "cases" / "03-clean.input.csv"
    result = RUN.invoke(app, ["new", "probe", "--from", str(case), "--path", str(tmp_path / "connectors")])

    assert result.exit_code == 0, result.output
    profile = (tmp_path / "connectors/probe/connector.yaml").read_text(encoding="utf-8")
    assert "encoding: tcvn3 " in profile
    assert "header_rows: 2\n" in profile
    assert "order: tt\n" in profile
    assert '    nam_hoc: "Năm học"\n' in profile
    assert rules(tmp_path, "record")["school_year"] == ("$.nam_hoc",)
    assert rules(tmp_path, "record")["full_name"] == ("ho_ten",)


def test_bytes_of_no_encoding_write_nothing_and_say_so(tmp_path: Path) -> None:
    sample = tmp_path / "sample.csv"
    sample.write_bytes(b"PK\x03\x04\xff\xfe\x00\x81\x9d")

    result = RUN.invoke(app, ["new", "probe", "--from", str(sample), "--path", str(tmp_path / "connectors")])

    assert (result.exit_code, (tmp_path / "connectors").exists()) == (2, False)
    assert "no encoding was recognised" in " ".join(result.output.replace("│", " ").split())


def test_avro_in_its_json_encoding_is_seen_through_its_unions(tmp_path: Path) -> None:
    event = {"suKien": "NEW", "phienBan": 1, "hocSinh": {"maHocSinh": "2299990401", "hoVaTen": {"string": "Bùi Mẫu K"}}}
    told(tmp_path, json.dumps(event) + "\n", "jsonl")

    assert rules(tmp_path, "record")["full_name"] == ("hocSinh.hoVaTen",)


@pytest.mark.parametrize(
    ("text", "ending"),
    [('{"rows": [', "json"), ("<a><b></a>", "xml"), ("a;b\n1;2\n", "csv"), ("3", "json"), ("", "xml")],
)
def test_a_sample_that_cannot_be_read_writes_nothing(tmp_path: Path, text: str, ending: str) -> None:
    result = made(tmp_path, text, ending)

    assert result.exit_code == 2
    assert not (tmp_path / "connectors").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    told(tmp_path, guide_sample())
    again = made(tmp_path, guide_sample())

    assert again.exit_code == 2
    assert "exists already" in again.output


@pytest.mark.parametrize("name", ["../evil", "Large", "-x", "ă"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    sample = tmp_path / "s.json"
    sample.write_text("{}", encoding="utf-8")

    result = RUN.invoke(app, ["new", "--from", str(sample), "--path", str(tmp_path), "--", name])

    assert result.exit_code == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.json"]
