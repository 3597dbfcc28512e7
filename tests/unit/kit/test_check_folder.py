"""``hocba check`` on a folder with one good and every kind of broken file: a precise code each, no value, exit 1."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.errors import catalogue
from gateway.ops.cli import app
from gateway.sandbox.payloads import vnedu_message
from tests.unit.intake.loaded import CONNECTORS, document, row

RUN = CliRunner()
CANARY = "canary-7f3a"
GOOD = "00-good.json"
SHAPE = vnedu_message([row(1)])

BROKEN: dict[str, tuple[bytes, set[str]]] = {
    "01-empty.json": (b"", {"DQ-45"}),
    "02-cut.json": (SHAPE[: len(SHAPE) // 2], {"DQ-45"}),
    "03-bytes.bin": (bytes(range(256)) + CANARY.encode(), {"DQ-45", "DQ-02"}),
    "04-utf16.json": (SHAPE.decode().encode("utf-16"), {"DQ-02", "DQ-45"}),
    "05-latin.json": (b'{"rows":[{"ho_ten":"\xe9' + CANARY.encode() + b'"}]}', {"DQ-02", "DQ-45"}),
    "06-scalar.json": (f'"{CANARY}"'.encode(), {"DQ-45"}),
    "07-no-rows.json": (f'{{"x":"{CANARY}"}}'.encode(), {"DQ-45"}),
    "08-not-objects.json": (f'{{"rows":["{CANARY}",3,null]}}'.encode(), {"DQ-45"}),
    "09-deep.json": (b'{"rows":' + b"[" * 10_000 + b"]" * 10_000 + b"}", {"DQ-45", "DQ-44"}),
    "10-huge-number.json": (b'{"rows":[{"toan":' + b"9" * 5_000 + b"}]}", {"DQ-45", "DQ-33"}),
    "11-nan.json": (b'{"rows":[{"toan":NaN}]}', {"DQ-45"}),
    "12-many.json": (b'{"rows":[' + b"{}," * 600 + b"{}]}", {"GW-01"}),
    "13-large.json": (b" " * (1024 * 1024 + 1), {"GW-01"}),
    "14-xml.json": (document(1).encode(), {"DQ-45"}),
    "15-mark.json": (vnedu_message([row(1, toan=f"85{CANARY}")]), {"DQ-11"}),
    "16-range.json": (vnedu_message([row(1, toan="85")]), {"DQ-08"}),
    "17-date.json": (vnedu_message([row(1, ngay_sinh="30/02/2014")]), {"DQ-14"}),
    "18-missing.json": (vnedu_message([row(1, ho_ten=" ")]), {"DQ-33"}),
    "19-long.json": (vnedu_message([row(1, ho_ten=CANARY * 50)]), {"DQ-34"}),
    "20-school.json": (vnedu_message([row(1, ma_truong="99999999")]), {"DQ-28"}),
    "21-year.json": (vnedu_message([row(1, nam_hoc="2025-2027")]), {"DQ-27"}),
    "22-nul.json": (vnedu_message([row(1)]).replace(b'"NEW"', b'"\\u0000' + CANARY.encode() + b'"'), {"DQ-45"}),
    "23-surrogate.json": (b'{"rows":[{"ho_ten":"\\ud800"}]}', {"DQ-45", "DQ-33"}),
    "24-doctype.xml": (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", {"DQ-45"}),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "payloads"
    (home / "sub").mkdir(parents=True)
    (home / GOOD).write_bytes(SHAPE)
    for number, (name, (value, _)) in enumerate(BROKEN.items()):
        (home / ("sub" if number % 2 else "") / name).write_bytes(value)
    (home / ".hidden").write_text(CANARY, encoding="utf-8")
    return home


def check(*arguments: str) -> tuple[int, str]:
    found = RUN.invoke(app, ["check", "--connector", "vnedu_flat_thcs", "--path", str(CONNECTORS), *arguments])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.output


def results(*arguments: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    code, output = check("--json", *arguments)
    by_file: dict[str, list[dict[str, Any]]] = {}
    for line in output.splitlines():
        result = json.loads(line)
        by_file.setdefault(result["source"].rpartition("#")[0].rpartition("/")[2], []).append(result)
    return code, by_file


def test_every_file_is_answered_with_a_precise_code_and_none_with_a_value(folder: Path) -> None:
    code, by_file = results(str(folder))

    assert code == 1
    assert by_file.keys() == {GOOD, *BROKEN}
    assert [result["outcome"] for result in by_file[GOOD]] == ["accepted"]
    for name, (_, expected) in BROKEN.items():
        problems = [problem for result in by_file[name] for problem in result["problems"]]
        assert expected & {problem["code"] for problem in problems}, name
        assert any(result["outcome"] == "rejected" for result in by_file[name]), name
        assert {problem["code"] for problem in problems} <= catalogue().keys()
        assert CANARY not in json.dumps(problems), name


def test_the_readable_answer_leaks_no_value_either_and_ends_with_1(folder: Path) -> None:
    code, text = check(str(folder))
    _, each = check(str(folder), "--each")

    assert code == 1
    assert CANARY not in text + each
    assert "← toan" in text
    assert "DQ-08 reject  subjects[15].mark_year" in text


def test_a_long_run_is_grouped_by_code_and_field_with_counts(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(vnedu_message([row(number, gioi_tinh="?") for number in range(1, 31)]))

    _, text = check(str(tmp_path))

    assert "DQ-17 reject  gender  ← gioi_tinh" in text
    assert "    30 records: a.json#0, a.json#1, a.json#2, …" in text
    assert text.splitlines()[-1] == "30 records: 0 accepted, 0 accepted_with_warning, 0 parked, 30 rejected"


def test_the_list_that_is_missing_and_the_input_that_was_judged_are_named(tmp_path: Path) -> None:
    (tmp_path / "01-rows.json").write_text('{"Rows": []}', encoding="utf-8")
    (tmp_path / "02-term.json").write_bytes(vnedu_message([row(1, hoc_ky="HK1")]))
    (tmp_path / "03-born.json").write_bytes(vnedu_message([row(1, ngay_sinh=[1])]))

    _, said = check(str(tmp_path))

    assert "message (no_items)  ← rows" in said
    assert "school_year  ← nam_hoc, hoc_ky" in said
    assert said.count("← ngay_sinh") == 1


def test_what_is_no_regular_file_is_answered_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "dangling.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / os.fsdecode(b"name-\xff\n.json")).write_bytes(SHAPE)

    code, by_file = results(str(tmp_path))

    assert code == 1
    assert [problem["field"] for problem in by_file["pipe.json"][0]["problems"]] == ["file"]
    assert [problem["code"] for problem in by_file["dangling.json"][0]["problems"]] == ["DQ-45"]
    assert by_file["name-??.json"][0]["outcome"] == "accepted"


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_nothing_to_check_is_no_success(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()

    assert check(str(tmp_path / name))[0] == 2
