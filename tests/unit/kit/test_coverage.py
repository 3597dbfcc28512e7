"""``coverage``, ``diff``, ``lint`` and ``test``: what they say of a connector, for people and for programs."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.ops.connector_commands import app
from gateway.sandbox.payloads import vnedu_message
from tests.unit.intake.loaded import row
from tests.unit.kit.kit import RUN, made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A connector ``probe`` made of a clean sample, with its case written; the folder of the connectors."""
    assert made(tmp_path, vnedu_message([row(1), row(2)]).decode()).exit_code == 0
    assert invoke(tmp_path / "connectors", "test", "probe", "--write")[0] == 0
    return tmp_path / "connectors"


def invoke(folder: Path, *arguments: str) -> tuple[int, str]:
    found = RUN.invoke(app, [*arguments, "--path", str(folder)])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.output


def said(folder: Path, *arguments: str) -> tuple[int, Any]:
    code, text = invoke(folder, *arguments, "--json")
    return code, json.loads(text)


def edit(folder: Path, file: str, before: str, after: str) -> None:
    path = folder / "probe" / file
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def case(folder: Path, name: str, *rows: dict[str, Any]) -> None:
    (folder / "probe" / "cases" / f"{name}.input.json").write_bytes(vnedu_message(list(rows)))


def test_an_input_no_rule_reads_is_named_with_its_records(folder: Path) -> None:
    case(folder, "02-more", row(3, mau_moi="x", mau_sau={"a": 1}))

    _, (report,) = said(folder, "coverage", "probe")

    found = {entry["path"]: entry["records"] for entry in report["unused_inputs"]}
    assert (found["mau_moi"], found["mau_sau.a"]) == (1, 1)
    assert "ho_ten" not in found
    assert "lop" not in found


def test_the_message_around_the_records_is_looked_at_too(folder: Path) -> None:
    text = json.dumps({"rows": [row(3), row(4)], "lop_truong": {"ho_ten": "x"}, "ho_ten": "y"})
    (folder / "probe/cases/02-around.input.json").write_text(text, encoding="utf-8")

    _, (report,) = said(folder, "coverage", "probe")

    found = {entry["path"]: entry["records"] for entry in report["unused_inputs"] if entry["path"][0] == "$"}
    assert found == {"$.source": 1, "$.export": 1, "$.lop_truong.ho_ten": 1, "$.ho_ten": 1}


def test_an_input_that_is_ignored_is_no_news(folder: Path) -> None:
    case(folder, "02-more", row(3, mau_moi="x"))
    with (folder / "probe/mappings/record.yaml").open("a", encoding="utf-8") as file:
        file.write("\nignore: [mau_moi]\n")

    _, (report,) = said(folder, "coverage", "probe")

    assert "mau_moi" not in {entry["path"] for entry in report["unused_inputs"]}


def test_outputs_are_told_apart_by_default_nothing_and_no_rule(folder: Path) -> None:
    edit(folder, "mappings/record.yaml", "award_text: danh_hieu", "award_text: {from: nowhere, default: không}")
    edit(folder, "mappings/record.yaml", "  father_name: ho_ten_cha\n", "  father_name: nobody\n")
    edit(folder, "mappings/record.yaml", "  mother_name: ho_ten_me\n", "")

    _, (report,) = said(folder, "coverage", "probe")

    assert "award_text" in report["outputs_defaulted"]
    assert "father_name" in report["outputs_never_filled"]
    assert "record.mother_name" in report["outputs_without_rule"]
    assert "full_name" not in report["outputs_defaulted"] + report["outputs_never_filled"]


def test_words_and_rules_leave_the_list_when_a_case_uses_them(folder: Path) -> None:
    _, (before,) = said(folder, "coverage", "probe")
    case(folder, "02-more", row(3, gioi_tinh="female"), row(4, toan="85"))

    _, (after,) = said(folder, "coverage", "probe")

    assert "gender: female" in set(before["table_words_unused"]) - set(after["table_words_unused"])
    assert "DQ-08" in set(before["rules_never_provoked"]) - set(after["rules_never_provoked"])


def test_a_condition_that_held_only_one_way_is_named_until_a_case_holds_the_other(folder: Path) -> None:
    _, (before,) = said(folder, "coverage", "probe")
    bare = {name: value for name, value in row(3).items() if not name.startswith("toan")}
    case(folder, "02-more", bare)

    _, (after,) = said(folder, "coverage", "probe")

    gone = set(before["conditions_one_sided"]) - set(after["conditions_one_sided"])
    assert gone == {"subjects[15]: the condition always held"}


def test_coverage_for_people_says_the_same_in_groups(folder: Path) -> None:
    code, text = invoke(folder, "coverage", "probe")

    assert code == 0
    assert text.startswith("probe: 2 records in its cases\n")
    assert "  rules and codes never provoked: " in text


def test_diff_against_a_folder_names_each_field_and_ends_with_1(folder: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    subprocess.run(["cp", "-r", str(folder / "probe"), str(before)], check=True)
    assert said(folder, "diff", "probe", "--against", str(before)) == (
        0,
        {"before": "probe@1", "after": "probe@1", "cases": 1, "changes": [], "mapping_version_unraised": False},
    )
    edit(folder, "mappings/record.yaml", "award_text: danh_hieu", "award_text: {value: Mẫu}")
    edit(folder, "connector.yaml", 'mapping_version: "1"', 'mapping_version: "2"')

    code, found = said(folder, "diff", "probe", "--against", str(before))

    assert (code, found["before"], found["after"]) == (1, "probe@1", "probe@2")
    assert {(change["path"], change["after"]) for change in found["changes"]} == {("record.body.award_text", "Mẫu")}
    assert "record.body.award_text" in invoke(folder, "diff", "probe", "--against", str(before))[1]


def test_diff_against_a_git_revision_reads_what_was_committed(folder: Path) -> None:
    git = ["git", "-C", str(folder), "-c", "user.name=Mẫu", "-c", "user.email=mau@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    edit(folder, "mappings/record.yaml", "award_text: danh_hieu", "award_text: {value: Mẫu}")

    code, found = said(folder, "diff", "probe", "--against", "HEAD")

    assert (code, {change["path"] for change in found["changes"]}) == (1, {"record.body.award_text"})
    assert found["mapping_version_unraised"]
    assert "both are mapping_version 1: raise it" in invoke(folder, "diff", "probe", "--against", "HEAD")[1]


def test_diff_against_nothing_that_exists_says_so(folder: Path) -> None:
    result = RUN.invoke(app, ["diff", "probe", "--against", "no-such", "--path", str(folder)])

    assert "no folder with the connector" in str(result.exception)
    assert result.exit_code == 1


def test_lint_in_json_lists_every_fault_with_its_place(folder: Path) -> None:
    assert said(folder, "lint", "probe") == (0, {"in_order": ["probe"], "faults": [], "notes": []})
    edit(folder, "mappings/record.yaml", "table: gender", "table: gendre")

    code, found = said(folder, "lint", "probe")

    assert (code, found["in_order"]) == (1, [])
    (fault,) = found["faults"]
    assert fault["path"] == "record.gender"
    assert "did you mean gender?" in fault["text"]


def test_a_file_that_is_no_yaml_is_the_only_fault(folder: Path) -> None:
    (folder / "probe/mappings/record.yaml").write_text("record: [", encoding="utf-8")

    _, found = said(folder, "lint", "probe")

    assert [fault["text"].partition(":")[0] for fault in found["faults"]] == ["is not YAML"]


def test_test_in_json_shows_the_fields_that_differ(folder: Path) -> None:
    assert said(folder, "test", "probe")[0] == 0
    edit(folder, "mappings/record.yaml", "award_text: danh_hieu", "award_text: {value: Mẫu}")

    code, (line,) = said(folder, "test", "probe")

    assert (code, line["ok"]) == (1, False)
    assert {change["path"] for change in line["changes"]} == {"record.body.award_text"}
