"""Lint looks for every path of JSON and XML mappings in the cases: a slip of the pen is told with what was meant."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.ops.connector_commands import app
from tests.unit.intake.loaded import CONNECTORS
from tests.unit.kit.kit import RUN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copies of an XML and two JSON connectors, with their cases."""
    for name in ("hocba_xml_primary", "smas_nested", "vnedu_flat_thcs", "legacy_csv_primary"):
        shutil.copytree(CONNECTORS / name, tmp_path / name)
    shutil.copytree(CONNECTORS / "reference", tmp_path / "reference")
    return tmp_path


def lint(folder: Path, name: str) -> tuple[int, Any]:
    found = RUN.invoke(app, ["lint", name, "--path", str(folder), "--json"])
    return found.exit_code, json.loads(found.stdout)


def misspell(folder: Path, name: str, before: str, after: str) -> None:
    for file in (folder / name / "mappings").glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        if before in text:
            file.write_text(text.replace(before, after, 1), encoding="utf-8")
            return
    raise AssertionError(before)


@pytest.mark.parametrize(
    ("name", "before", "after", "says"),
    [
        ("vnedu_flat_thcs", "register_number: so_dang_bo", "register_number: so_dangbo", "did you mean so_dang_bo?"),
        ("vnedu_flat_thcs", "father_name: ho_ten_cha", "father_name: $.ho_ten_cha", "did you mean ho_ten_cha?"),
        ("vnedu_flat_thcs", "{key}_nhan_xet", "{key}_nhanxet", "_nhan_xet"),
        ("smas_nested", "homeTown.address", "hometown.address", "did you mean student.homeTown.address?"),
        ("hocba_xml_primary", "HOC_SINH.QUE_QUAN", "QUE_QUAN", "did you mean HOC_SINH.QUE_QUAN?"),
    ],
)  # fmt: skip
def test_a_misspelled_path_is_a_fault_that_names_the_input(
    folder: Path, name: str, before: str, after: str, says: str
) -> None:
    misspell(folder, name, before, after)

    code, told = lint(folder, name)

    assert code == 1
    assert told["in_order"] == []
    assert [says in fault["text"] for fault in told["faults"]] == [True], told["faults"]
    assert told["faults"][0]["line"] > 1


def test_a_path_that_resembles_nothing_is_a_note_and_no_fault(folder: Path) -> None:
    misspell(folder, "vnedu_flat_thcs", "award_text: danh_hieu", "award_text: {from: [danh_hieu, giai_thuong]}")

    code, told = lint(folder, "vnedu_flat_thcs")

    assert (code, told["in_order"]) == (0, ["vnedu_flat_thcs"])
    assert "giai_thuong stands in no case of the connector" in [note["text"] for note in told["notes"]]
    said = RUN.invoke(app, ["lint", "vnedu_flat_thcs", "--path", str(folder)]).stdout
    assert f"{len(told['notes'])} of its paths stand in no case\n" in said
    assert "giai_thuong stands in no case" in said


def test_columns_of_a_sheet_are_declared_so_cases_need_not_show_them(folder: Path) -> None:
    shutil.rmtree(folder / "legacy_csv_primary" / "cases")

    assert lint(folder, "legacy_csv_primary") == (0, {"in_order": ["legacy_csv_primary"], "faults": [], "notes": []})


def test_without_cases_nothing_can_be_said_of_paths(folder: Path) -> None:
    shutil.rmtree(folder / "smas_nested" / "cases")
    misspell(folder, "smas_nested", "student.homeTown.address", "student.hometown.address")

    assert lint(folder, "smas_nested") == (0, {"in_order": ["smas_nested"], "faults": [], "notes": []})
