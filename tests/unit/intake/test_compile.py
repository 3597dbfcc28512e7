"""What a mapping may say beyond the two connectors' needs: conditions, literals, and the faults of writing them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.edges.connector_files import load_connectors
from gateway.intake import Connector, ConnectorFaults, Items, Mapped, Rejected
from gateway.intake.connector import compile_connector
from gateway.intake.limits import limits
from gateway.national.schema import body_fields
from tests.unit.intake.loaded import PLACE, PUBLISHED_MS, codes, json_of, row
from tests.unit.intake.test_language import faults_of, files_with

RECORD = "record.yaml"
COMPLETION = "  completion_text: noi_dung_hoan_thanh\n"


def with_rules(*changes: tuple[str, str]) -> Connector:
    """The flat connector with replacements in its record mapping."""
    return compile_connector(files_with("vnedu_flat_thcs", *((RECORD, old, new) for old, new in changes)))


def body_of(connector: Connector, **changes: Any) -> dict[str, Any]:
    outcome = connector.process(json_of({"rows": [row(1, **changes)], "ky": "CN"}), PLACE, PUBLISHED_MS)
    assert isinstance(outcome, Items)
    (item,) = outcome.items
    assert isinstance(item, Mapped), item
    assert item.body is not None
    return item.body


def test_a_condition_on_words_lets_a_field_through_or_gives_its_default() -> None:
    rule = "{from: noi_dung_hoan_thanh, default: không, when: {from: len_lop, in: [x, '1']}}"
    connector = with_rules((COMPLETION, f"  completion_text: {rule}\n"))

    assert body_of(connector, len_lop="X", noi_dung_hoan_thanh="đạt")["completion_text"] == "đạt"
    assert body_of(connector, len_lop="", noi_dung_hoan_thanh="đạt")["completion_text"] == "không"


def test_a_condition_on_presence() -> None:
    connector = with_rules((COMPLETION, "  completion_text: {from: ho_ten, when: {present: [la]}}\n"))

    assert body_of(connector)["completion_text"] is None
    assert body_of(connector, la="-")["completion_text"] is None
    assert body_of(connector, la="x")["completion_text"] == row(1)["ho_ten"]


def test_a_vendor_may_owe_a_field_that_is_optional_upstream() -> None:
    connector = with_rules((COMPLETION, "  completion_text: {from: noi_dung_hoan_thanh, required: true}\n"))
    outcome = connector.process(json_of({"rows": [row(1)]}), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert isinstance(outcome.items[0], Rejected)
    assert codes(outcome.items[0]) == ["DQ-33:completion_text"]


def test_a_value_goes_through_its_functions() -> None:
    connector = with_rules(
        ("issue_date: ngay_ky_phat_hanh", "issue_date: {value: 29/05/2026, via: [day]}"),
        ("department_code: ma_so_gd", "department_code: {value: '49', via: [province_code]}"),
    )

    body = body_of(connector)
    assert body["issue_date"].isoformat() == "2026-05-29"
    assert body["department_code"] == "48"


def test_a_path_from_the_message_and_a_deep_path() -> None:
    connector = with_rules((COMPLETION, "  completion_text: {from: [$.ky, a.b.c], via: [upper]}\n"))

    assert body_of(connector)["completion_text"] == "CN"


def test_a_deep_path_in_the_item() -> None:
    connector = with_rules((COMPLETION, "  completion_text: a.b.c\n"))

    assert body_of(connector, a={"b": {"c": "sâu"}})["completion_text"] == "sâu"
    assert body_of(connector, a={"b": 1})["completion_text"] is None
    assert body_of(connector, a=1)["completion_text"] is None


def test_a_default_of_each_type() -> None:
    connector = with_rules(
        ("issue_date: ngay_ky_phat_hanh", "issue_date: {from: nothing, default: 2026-05-29}"),
        ("absences_total: nghi_tong", "absences_total: {from: nothing, default: '3'}"),
    )

    body = body_of(connector, nghi_p="3", nghi_k="0")
    assert body["issue_date"].isoformat() == "2026-05-29"
    assert str(body["results"]["absences_total"]) == "3"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (COMPLETION, "  completion_text: {from: a, when: {from: b}}\n", "needs present, or from and in"),
        (COMPLETION, "  completion_text: {from: a, required: maybe}\n", "must be one of false, true"),
        (COMPLETION, "  completion_text: [a, b]\n", "needs when"),
        (COMPLETION, "  completion_text: {from: {a: b}}\n", "must be a list"),
        (COMPLETION, "  completion_text: {from: a, via: text}\n", "must be a list"),
        (COMPLETION, "  completion_text: {from: a, via: [[text]]}\n", "must be text"),
        (COMPLETION, "  completion_text: {from: a, default: {b: c}}\n", "must be text"),
        (COMPLETION, "  completion_text: {from: a, via: [blank]}\n", "blank needs the argument words"),
        ("issue_date: ngay_ky_phat_hanh", "issue_date: {value: 31/02/2026, via: [day]}", "does not go through"),
        ("issue_date: ngay_ky_phat_hanh", "issue_date: {from: a, default: soon}", "default is no date"),
        ("via: [{whole_number: {lowest: 1}}]", "via: [instant]", "gives instant, but event.version takes integer"),
        ("\nfacts:\n", "\nfacts:\n  absences: nghi\n", "did you mean absences_excused"),
        ("  birth_date:", "  birth_dates:", "did you mean birth_date"),
    ],
)
def test_a_fault_of_writing_is_named(old: str, new: str, says: str) -> None:
    faults = faults_of((RECORD, old, new))

    assert any(says in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("connector.yaml", "vendor: vnedu", "vendor: vn.Edu", "must be lower-case letters"),
        ("connector.yaml", "from: 2020-07-01}", "from: 1/7/2020}", "must be a date YYYY-MM-DD"),
        ("connector.yaml", "temporary_code: TAM-", "severities: {DQ-08: warn}", "unknown key"),
        ("tables.yaml", "official: gender", "official: gendre", "unknown official list gendre"),
        ("subjects.yaml", "  path: qua_trinh_hoc_tap", "  path: a\n  each: [{b: c}]", "needs either each or path"),
        ("subjects.yaml", "history:\n", "certificates:\n", "unknown field of certificates"),
        ("subjects.yaml", "  rules:\n    school_year", "  rule:\n    school_year", "rules is missing"),
        ("subjects.yaml", "    subject_code:", "    subject_cod:", "required output subject_code has no rule"),
        ("subjects.yaml", "subjects:\n", "subject:\n", "no rows are mapped"),
    ],
)
def test_a_fault_outside_the_record_section_is_named(file: str, old: str, new: str, says: str) -> None:
    faults = faults_of((file, old, new))

    assert any(says in fault for fault in faults), faults


def test_a_level_without_certificates_says_so() -> None:
    faults = faults_of((RECORD, "history:\n", "certificates:\n"), name="hocba_xml_primary")

    assert any("primary records have no certificates" in fault for fault in faults)


def test_a_connector_without_schools_order_or_birth_is_refused() -> None:
    files = files_with(
        "hocba_xml_primary",
        (RECORD, "  version: {from: PHIEN_BAN, via: [{whole_number: {lowest: 1}}]}\n", ""),
        (RECORD, "  occurred_at: {from: THOI_GIAN_CAP_NHAT, via: [instant]}\n", ""),
        (RECORD, "  type: {from: SU_KIEN, table: event, default: NEW}\n", ""),
        (RECORD, "  birth_date:", "  #"),
        (RECORD, "  birth_year_month:", "  #"),
        (RECORD, "  birth_year:", "  #"),
    )
    profile = next(file for file in files if file.endswith("connector.yaml"))
    files[profile] = files[profile][: files[profile].index("schools:")] + "schools: []\n"

    with pytest.raises(ConnectorFaults) as caught:
        compile_connector(files)

    said = str(caught.value)
    assert "speaks for at least one school" in said
    assert "versions have no order" in said
    assert "event: type has no rule" in said
    assert "none of birth_date, birth_year_month, birth_year has a rule" in said


def test_empty_files_are_a_list_of_faults_and_no_crash() -> None:
    with pytest.raises(ConnectorFaults, match="name is missing"):
        compile_connector({"connector.yaml": "", "mappings/record.yaml": ""})


@pytest.mark.parametrize(
    "text", ["[1, 2]", "a", "{a: {b: [}", "\t", "\x00", "a: &x [*x]", "!!python/object:os.system {}"]
)
def test_any_yaml_is_a_list_of_faults_and_no_crash(text: str) -> None:
    with pytest.raises(ConnectorFaults):
        compile_connector({"connector.yaml": text, "mappings/record.yaml": text})


def test_a_constant_may_depend_on_a_condition() -> None:
    connector = with_rules((COMPLETION, "  completion_text: {value: có, when: {present: [la]}}\n"))

    assert body_of(connector)["completion_text"] is None
    assert body_of(connector, la="x")["completion_text"] == "có"


def test_rows_under_a_path_are_mapped_or_refused_one_by_one() -> None:
    rules = ("subjects.yaml", "  path: qua_trinh_hoc_tap\n", "  path: qua_trinh_hoc_tap\n  when: {present: [lop]}\n")
    connector = compile_connector(files_with("vnedu_flat_thcs", rules))
    year = {"nam_hoc": "2024-2025", "lop": "5A", "ten_truong": "Trường Mẫu", "ten_tinh": "Tỉnh Cà Mau"}

    body = body_of(connector, qua_trinh_hoc_tap=[year, None, {"nam_hoc": "2023-2024"}])
    assert [entry["class_name"] for entry in body["history"]] == ["5A"]
    assert body_of(connector, qua_trinh_hoc_tap=year)["history"] == body["history"]
    outcome = connector.process(json_of({"rows": [row(1, qua_trinh_hoc_tap=["x", year])]}), PLACE, PUBLISHED_MS)
    assert isinstance(outcome, Items)
    assert codes(outcome.items[0]) == ["DQ-45:history[#0]"]


def test_without_a_batch_path_a_message_is_one_record() -> None:
    connector = compile_connector(files_with("vnedu_flat_thcs", ("connector.yaml", "batch: rows\n", "")))

    for value in (row(1), row(1, hoc_ky=None)):
        outcome = connector.process(json_of(value), PLACE, PUBLISHED_MS)
        assert isinstance(outcome, Items)
        assert [codes(item) for item in outcome.items] == [[]]


def test_one_element_at_the_batch_path_is_a_batch_of_one() -> None:
    outcome = compile_connector(files_with("vnedu_flat_thcs")).process(json_of({"rows": row(1)}), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert [codes(item) for item in outcome.items] == [[]]


def test_the_words_of_a_period_may_not_be_read_from_a_structure() -> None:
    outcome = compile_connector(files_with("vnedu_flat_thcs")).process(
        json_of({"rows": [row(1, hoc_ky={"ky": "Cả năm"})]}), PLACE, PUBLISHED_MS
    )

    assert isinstance(outcome, Items)
    assert codes(outcome.items[0]) == ["DQ-27:school_year"]


def test_a_field_mapped_in_two_files_is_a_fault() -> None:
    faults = faults_of(("tables.yaml", "tables:\n", "record:\n  full_name: ten\ntables:\n"))

    assert any("stands twice, first in" in fault for fault in faults)


def test_a_refused_version_is_its_own_finding() -> None:
    connector = with_rules(("via: [{whole_number: {lowest: 1}}]", "via: [{whole_number: {lowest: 1}}]"))
    bare = row(1, phien_ban="0", thoi_gian_cap_nhat="")
    outcome = connector.process(json_of({"rows": [bare]}), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert codes(outcome.items[0]) == ["DQ-08:version"]


def test_a_number_without_bounds_has_no_limit() -> None:
    spec = next(spec for spec in body_fields() if spec.name == "weight_kg")
    assert spec.primary is not None

    assert len(limits(spec, "primary")) == 2, "the decimals of a record, and its bounds"
    assert len(limits(replace(spec, primary=replace(spec.primary, codes="")), "primary")) == 1


def test_a_file_that_is_not_utf_8_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/connector.yaml").write_bytes(b"name: \xff")

    with pytest.raises(ConnectorFaults, match="not UTF-8"):
        load_connectors(tmp_path)


def test_a_folder_in_place_of_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "x/connector.yaml").mkdir(parents=True)

    with pytest.raises(ConnectorFaults, match="cannot be read"):
        load_connectors(tmp_path)
