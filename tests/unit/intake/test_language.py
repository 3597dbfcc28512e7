"""The static check names every fault with file, line, path and candidates, and raises once."""

import shutil
from pathlib import Path

import pytest

from gateway.edges.connector_files import connector_names, load_connectors, read_files
from gateway.intake import ConnectorFaults
from gateway.intake.connector import compile_connector
from tests.unit.intake.loaded import CONNECTORS


def files_with(name: str, *changes: tuple[str, str, str]) -> dict[str, str]:
    """The files of connector *name* with (file ending, old, new) replaced."""
    files = read_files(CONNECTORS, name)
    for ending, old, new in changes:
        shown = next(file for file in files if file.endswith(ending))
        assert old in files[shown]
        files[shown] = files[shown].replace(old, new)
    return files


def faults_of(*changes: tuple[str, str, str], name: str = "vnedu_flat_thcs") -> list[str]:
    with pytest.raises(ConnectorFaults) as caught:
        compile_connector(files_with(name, *changes))
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("via: [school_year]", "via: [schol_year]", "unknown function schol_year; did you mean school_year"),
        ("{pupil_code: {width: 10", "{pupil_code: {widht: 10", "pupil_code has no argument widht; did you mean width"),
        ("{pupil_code: {width: 10", "{pupil_code: {width: ten", "must be a whole number"),
        ("  homeroom_teacher_comment:", "  homeroom_techer_comment:", "did you mean homeroom_teacher_comment"),
        ("  homeroom_teacher_comment: nhan_xet_gvcn\n", "", "required output homeroom_teacher_comment has no rule"),
        ("table: gender", "table: gendre", "unknown table gendre; did you mean gender"),
        (
            "issue_date: ngay_ky_phat_hanh",
            "issue_date: {from: ngay, via: [text]}",
            "gives string, but issue_date is date",
        ),
        ("table: ethnic}", "table: level}", "is no code of ethnic_group"),
        ('education_level: {value: "03"}', 'education_level: {value: "09"}', "09 is no code of education_level"),
        ("gender: {from: gioi_tinh,", "gender: {form: gioi_tinh,", "unknown key; did you mean from"),
        ("version: {from: phien_ban,", "version: {from: phien_ban, value: x,", "needs either from or value"),
        ("code: DQ-27", "code: DQ-270", "unknown code; did you mean DQ-27"),
        ('len_lop, table: yes, default: "0"', 'len_lop, table: yes, default: "no"', "default is no boolean (1 or 0)"),
        ("  policy_beneficiary_category:", "  full_name:", "stands twice"),
        (
            "occurred_at: {from: [thoi_gian_cap_nhat, $.exported_at], via: [instant]}",
            "occurred: x",
            "did you mean occurred_at",
        ),
    ],
)
def test_a_fault_of_the_mapping_is_named(old: str, new: str, says: str) -> None:
    faults = faults_of(("record.yaml", old, new))

    assert any(says in fault for fault in faults), faults


def test_a_fault_names_file_line_and_path() -> None:
    (fault,) = faults_of(("record.yaml", "via: [school_year]", "via: [schol_year]"))

    lines = read_files(CONNECTORS, "vnedu_flat_thcs")[str(CONNECTORS / "vnedu_flat_thcs/mappings/record.yaml")].split(
        "\n"
    )
    line = next(number for number, text in enumerate(lines, 1) if "school_year:" in text)
    assert fault.startswith(f"{CONNECTORS}/vnedu_flat_thcs/mappings/record.yaml:{line}: record.school_year.via[0]: ")


def test_all_faults_of_all_files_are_raised_at_once() -> None:
    faults = faults_of(
        ("connector.yaml", "format: json", "format: jason"),
        ("record.yaml", "table: gender", "table: gendre"),
        ("subjects.yaml", "list: subject_thcs", "list: subject_thsc"),
        ("tables.yaml", "Đ: [Đạt, Đ], ", ""),
    )

    said = "\n".join(faults)
    assert "did you mean json" in said
    assert "unknown table gendre" in said
    assert "did you mean subject_thcs" in said
    assert "not total over secondary_result_level: no word for Đ" in said


def test_a_word_for_two_codes_is_a_fault() -> None:
    assert any("also a word of code" in fault for fault in faults_of(("tables.yaml", "K: [Khá, K]", "K: [Khá, tốt]")))


def test_a_code_no_official_list_knows_is_a_fault() -> None:
    faults = faults_of(("tables.yaml", "T: [Tốt, T]", "T: [Tốt, T], X: [Xuất sắc]"))

    assert any("X is no code of secondary_result_level" in fault for fault in faults)


def test_broken_yaml_is_a_fault_with_its_line() -> None:
    faults = faults_of(("subjects.yaml", "subjects:\n", "subjects: [\n"))

    assert any("subjects.yaml:" in fault and "is not YAML" in fault for fault in faults)


def test_a_key_that_stands_twice_is_a_fault() -> None:
    assert any("stands twice" in fault for fault in faults_of(("connector.yaml", "weight: 1", "weight: 1\nweight: 2")))


def test_two_connectors_of_one_vendor_are_a_fault(tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(CONNECTORS / "hocba_xml_primary", tmp_path / name)
        text = (tmp_path / name / "connector.yaml").read_text(encoding="utf-8")
        (tmp_path / name / "connector.yaml").write_text(text.replace("name: hocba_xml_primary", f"name: {name}"))

    with pytest.raises(ConnectorFaults, match="vendor hocba-xml already has the connector one"):
        load_connectors(tmp_path)


def test_an_unknown_name_has_candidates() -> None:
    with pytest.raises(ConnectorFaults, match="did you mean vnedu_flat_thcs"):
        load_connectors(CONNECTORS, ["vnedu_flat_thc"])


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConnectorFaults, match="holds no connector"):
        load_connectors(tmp_path)


def test_the_folder_gives_the_name(tmp_path: Path) -> None:
    shutil.copytree(CONNECTORS / "hocba_xml_primary", tmp_path / "other")

    with pytest.raises(ConnectorFaults, match="must be the folder's name, other"):
        load_connectors(tmp_path)


def test_the_repository_has_a_connector_for_every_shape_of_the_samples() -> None:
    shapes = {"hocba_xml_primary", "smas_nested", "vnedu_flat_thcs"}

    assert shapes <= set(connector_names(CONNECTORS))
