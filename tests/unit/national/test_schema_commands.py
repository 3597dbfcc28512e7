"""`hocba schema`: what a person and CI see."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.national import generate, schema
from gateway.ops.schema_commands import app
from tests.unit.national.registry_server import RegistryServer, running_registry

run = CliRunner().invoke


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with running_registry() as registry:
        yield registry


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The schemas folder, copied, so that a test may change it."""
    folder = tmp_path / "schemas"
    shutil.copytree(schema.SCHEMAS, folder)
    monkeypatch.setattr(schema, "SCHEMAS", folder)
    return folder


def test_show_lists_names_ids_and_subjects() -> None:
    shown = json.loads(run(app, ["show", "--json"]).output)

    assert {row["name"]: (row["id"], row["subject"]) for row in shown} == {
        "vn.hocba.MappedRecord": (1, "gateway.mapped-value"),
        "vn.hocba.LearningRecord": (2, "national.records-value"),
        "vn.hocba.Receipt": (3, "vendor.receipts-value"),
    }
    assert "vn.hocba.Receipt v1" in run(app, ["show"]).output


def test_show_prints_one_schema_and_names_the_candidates_for_a_wrong_one() -> None:
    assert json.loads(run(app, ["show", "LearningRecord"]).output)["name"] == "LearningRecord"

    wrong = run(app, ["show", "Learning"])
    assert wrong.exit_code == 2
    assert "LearningRecord" in wrong.output


def test_check_is_green_on_the_schemas_of_this_repository() -> None:
    result = run(app, ["check", "--json"])

    assert (result.exit_code, json.loads(result.output)) == (0, {"compatible": True, "breaches": []})


def test_check_lists_every_breach_and_exits_1(copied: Path) -> None:
    changed = json.loads(generate.generated()["receipt.avsc"])
    changed["fields"].append({"name": "colour", "type": "string"})
    (copied / "avro" / "receipt.avsc").write_text(json.dumps(changed), encoding="utf-8")

    result = run(app, ["check", "--json"])

    assert result.exit_code == 1
    assert json.loads(result.output)["breaches"] == [
        "receipt.avsc: not what the dictionary gives; run python -m gateway.national.generate",
        "Receipt.colour: new field without default",
        "vn.hocba.Receipt: changed since its release; give it a new version and id in ids.json (generate --release)",
    ]
    assert "3 breach(es)" in run(app, ["check"]).output


def test_register_gives_a_fresh_registry_the_bundled_ids_and_can_be_repeated(server: RegistryServer) -> None:
    for _ in range(2):
        result = run(app, ["register", "--registry", server.url, "--json"])

        assert (result.exit_code, json.loads(result.output)) == (0, {"registered": True, "faults": []})
    assert server.subjects.keys() == {"gateway.mapped-value", "national.records-value", "vendor.receipts-value"}
    assert set(server.rules.values()) == {"BACKWARD_TRANSITIVE"}


def test_register_says_which_id_another_registry_would_give(server: RegistryServer) -> None:
    server.hold("mau", '{"type": "record", "name": "mau.Other", "fields": []}', 900)

    result = run(app, ["register", "--registry", server.url])

    assert result.exit_code == 1
    assert "vn.hocba.MappedRecord v1: the registry gave id 901, bundled is 1" in result.output


def test_register_into_a_registry_whose_ids_conflict_changes_nothing(server: RegistryServer) -> None:
    server.hold("mau", '{"type": "record", "name": "mau.Other", "fields": []}', 2)

    result = run(app, ["register", "--registry", server.url])

    assert result.exit_code == 1
    assert "another schema there" in result.output
    assert server.subjects.keys() == {"mau"}


def test_register_without_a_registry_says_so(server: RegistryServer) -> None:
    server.down = 99

    result = run(app, ["register", "--registry", server.url, "--json"])

    assert (result.exit_code, json.loads(result.output)["faults"]) == (1, ["the registry gives no answer: HTTP 503"])


def test_register_says_that_a_registry_refuses_our_schema(server: RegistryServer) -> None:
    narrower = json.loads(schema.current(schema.MAPPED).text)
    narrower["fields"][0]["type"] = "int"
    server.hold("gateway.mapped-value", json.dumps(narrower), 90)

    faults = json.loads(run(app, ["register", "--registry", server.url, "--json"]).output)["faults"]

    assert faults == ["vn.hocba.MappedRecord v1: refused, HTTP 409"]
