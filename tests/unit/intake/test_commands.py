"""``hocba connector`` and ``hocba check``: shapes, exit codes, and no network needed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.ops import cli
from gateway.ops.connector_commands import app
from gateway.sandbox.payloads import vnedu_message
from tests.unit.intake.loaded import CONNECTORS, row

RUN = CliRunner()


def run_check(tmp_path: Path, *rows: dict[str, object]) -> tuple[int, list[dict[str, Any]]]:
    file = tmp_path / "rows.json"
    file.write_bytes(vnedu_message(list(rows)))
    result = RUN.invoke(
        cli.app, ["check", "--connector", "vnedu_flat_thcs", "--path", str(CONNECTORS), "--json", str(file)]
    )
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


def test_list_prints_what_programs_need() -> None:
    result = RUN.invoke(app, ["list", "--json", "--path", str(CONNECTORS)])

    by_name = {line["name"]: line for line in json.loads(result.stdout)}
    assert by_name["vnedu_flat_thcs"].keys() == {"name", "format", "level", "topics", "schools"}
    assert by_name["vnedu_flat_thcs"]["topics"] == ["vendor.vnedu.records", "vendor.vnedu.bulk"]
    assert "79999501" in by_name["vnedu_flat_thcs"]["schools"]
    assert by_name["hocba_xml_primary"]["format"] == "xml"


def test_check_of_accepted_records_ends_with_0(tmp_path: Path) -> None:
    code, results = run_check(tmp_path, row(1), row(2, so_dinh_danh_ca_nhan=""))

    assert code == 0
    assert [result["outcome"] for result in results] == ["accepted", "parked"]
    assert [result["source"] for result in results] == ["rows.json#0", "rows.json#1"]
    assert all(result["record"] for result in results)


def test_check_of_a_rejected_record_ends_with_1_and_says_what_to_fix(tmp_path: Path) -> None:
    code, (result,) = run_check(tmp_path, row(1, toan="85"))

    assert code == 1
    assert result["record"] is None
    (problem,) = result["problems"]
    assert problem.keys() >= {"code", "severity", "field", "owner", "fix_vi", "fix_en"}
    assert (problem["code"], problem["field"]) == ("DQ-08", "subjects[15].mark_year")


def test_check_without_json_is_readable(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_bytes(vnedu_message([row(1, toan="85")]))
    result = RUN.invoke(cli.app, ["check", "--connector", "vnedu_flat_thcs", "--path", str(CONNECTORS), str(file)])

    assert "rows.json#0  rejected" in result.stdout
    assert "1 records: 0 accepted, 0 accepted_with_warning, 0 parked, 1 rejected" in result.stdout


def test_lint_names_the_faults_and_ends_with_1(tmp_path: Path) -> None:
    shutil.copytree(CONNECTORS / "vnedu_flat_thcs", tmp_path / "vnedu_flat_thcs")
    mapping = tmp_path / "vnedu_flat_thcs/mappings/record.yaml"
    mapping.write_text(mapping.read_text(encoding="utf-8").replace("table: gender", "table: sex"), encoding="utf-8")

    result = RUN.invoke(app, ["lint", "--all", "--path", str(tmp_path)])

    assert result.exit_code == 1
    assert "record.gender: unknown table sex" in result.stderr


@pytest.mark.parametrize("command", ["lint", "test"])
def test_the_repository_s_connectors_are_in_order(command: str) -> None:
    assert RUN.invoke(app, [command, "--all", "--path", str(CONNECTORS)]).exit_code == 0


def test_a_differing_case_shows_its_difference_until_it_is_written(tmp_path: Path) -> None:
    shutil.copytree(CONNECTORS / "hocba_xml_primary", tmp_path / "hocba_xml_primary")
    golden = tmp_path / "hocba_xml_primary/cases/03-clean.expected.json"
    golden.write_text(golden.read_text(encoding="utf-8").replace("accepted", "parked"), encoding="utf-8")
    arguments = ["test", "hocba_xml_primary", "--path", str(tmp_path)]

    differing = RUN.invoke(app, arguments)
    assert differing.exit_code == 1
    assert '03-clean.input.xml#0  outcome: "parked" → "accepted"' in differing.stdout
    assert RUN.invoke(app, [*arguments, "--write"]).exit_code == 0
    assert RUN.invoke(app, arguments).exit_code == 0


def test_list_is_readable_without_json() -> None:
    assert "vnedu_flat_thcs  json  secondary" in RUN.invoke(app, ["list", "--path", str(CONNECTORS)]).stdout


def test_a_name_and_all_together_are_refused() -> None:
    assert RUN.invoke(app, ["lint", "vnedu_flat_thcs", "--all", "--path", str(CONNECTORS)]).exit_code == 2


def test_a_connector_without_cases_does_not_pass(tmp_path: Path) -> None:
    shutil.copytree(CONNECTORS / "hocba_xml_primary", tmp_path / "hocba_xml_primary")
    shutil.rmtree(tmp_path / "hocba_xml_primary/cases")
    result = RUN.invoke(app, ["test", "--path", str(tmp_path)])

    assert result.exit_code == 1
    assert "has no cases" in result.stderr


def test_a_case_without_golden_file_does_not_pass(tmp_path: Path) -> None:
    shutil.copytree(CONNECTORS / "hocba_xml_primary", tmp_path / "hocba_xml_primary")
    (tmp_path / "hocba_xml_primary/cases/03-clean.expected.json").unlink()

    assert RUN.invoke(app, ["test", "--path", str(tmp_path)]).exit_code == 1


def test_a_folder_without_connectors_says_how_to_name_another(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["list", "--path", str(tmp_path)])

    assert result.exit_code == 1
    assert "name another with --path" in result.stderr
