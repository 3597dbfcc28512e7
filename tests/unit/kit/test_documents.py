"""The generated files: nothing has fallen behind, the schemas fit the repository and refuse what lint refuses."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.intake.function_page import function_page
from gateway.intake.functions import FUNCTIONS
from gateway.intake.mapping_schema import connector_schema, mapping_schema
from gateway.ops.connector_commands import app
from gateway.ops.kit_asyncapi import asyncapi
from gateway.ops.kit_documents import drift
from tests.unit.intake.loaded import CONNECTORS, connectors
from tests.unit.kit.kit import RUN

Json = dict[str, Any]
FILES = sorted(CONNECTORS.glob("*/connector.yaml")) + sorted(CONNECTORS.glob("*/mappings/*.yaml"))


class Loader(yaml.SafeLoader):
    """YAML as editors type it (1.2 core): dates, yes and no are text."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?[0-9][0-9_]*", "-+0123456789"),
    ("float", r"[-+]?[0-9]*\.[0-9]+", "-+.0123456789"),
    ("null", r"null|~|", ["n", "~", ""]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


def typed(text: str) -> Any:
    return yaml.load(text, Loader=Loader)  # noqa: S506  a safe loader with fewer types


def schema_of(file: Path) -> Json:
    if file.name == "connector.yaml":
        return connector_schema()
    return mapping_schema(connectors()[file.parts[-3]].level)


def faults(schema: Json, value: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(value)]


def test_no_generated_file_has_fallen_behind() -> None:
    assert list(drift()) == []


def test_the_command_names_what_has_fallen_behind() -> None:
    result = RUN.invoke(app, ["generate", "--check", "--json"])

    assert (result.exit_code, json.loads(result.stdout)) == (0, {"behind": []})


@pytest.mark.parametrize("schema", [connector_schema(), mapping_schema("primary"), mapping_schema("secondary")])
def test_the_schemas_are_schemas(schema: Json) -> None:
    jsonschema.Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(CONNECTORS)) for file in FILES])
def test_every_file_of_the_connectors_fits_its_schema(file: Path) -> None:
    assert faults(schema_of(file), typed(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "record: {ful_name: ho_ten}",
        "records: {}",
        "record: {full_name: {form: ho_ten}}",
        "record: {full_name: {from: ho_ten, value: x}}",
        "record: {full_name: {from: ho_ten, via: [uper]}}",
        "record: {pupil_code: {from: ma, via: [{pupil_code: {widht: 10}}]}}",
        "record: {pupil_code: {from: ma, via: [{pupil_code: {width: ten}}]}}",
        "results: {study_result_year: {from: x, default: X}}",
        "results: {weight_kg: x}",
        "tables: {g: {official: gendre, words: {}}}",
        'tables: {g: {official: gender, words: {"7": [x]}}}',
        "subjects: {rules: {}}",
        "expect: [{from: a, in: [b], code: DQ-99, field: c}]",
    ],
)
def test_what_lint_would_refuse_an_editor_marks_at_once(text: str) -> None:
    assert faults(mapping_schema("secondary"), typed(text)) != []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("format: json", "format: jsn"),
        ("format: json", "format: csv"),
        ("level: secondary", ""),
        ("vendor: vnedu", "vendor: VN"),
    ],
)
def test_a_wrong_profile_is_marked(before: str, after: str) -> None:
    text = (CONNECTORS / "vnedu_flat_thcs/connector.yaml").read_text(encoding="utf-8")
    assert before in text

    assert faults(connector_schema(), typed(text.replace(before, after))) != []


def test_the_function_page_has_every_function_and_every_example() -> None:
    page = function_page()

    for name, function in FUNCTIONS.items():
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert section.count("| `via: [") == len(function.examples)


def document() -> Json:
    found: Json = json.loads(RUN.invoke(app, ["asyncapi", "--json", "--path", str(CONNECTORS)]).stdout)
    return found


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in references(value)]
    return [ref for value in node for ref in references(value)] if isinstance(node, list) else []


def resolved(document: Json, reference: str) -> Any:
    here: Any = document
    for name in reference.removeprefix("#/").split("/"):
        here = here[name]
    return here


def test_the_asyncapi_document_holds_together() -> None:
    found = document()

    assert found["asyncapi"] == "3.0.0"
    assert found.keys() >= {"info", "servers", "channels", "operations", "components"}
    for reference in references(found):
        assert resolved(found, reference)
    for channel in found["channels"].values():
        assert channel.keys() >= {"address", "messages", "bindings"}
    for operation in found["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["messages"][0]["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")


def test_the_asyncapi_document_has_every_topic_of_every_vendor() -> None:
    found = document()
    addresses = {channel["address"] for channel in found["channels"].values()}
    kinds = ("records", "bulk", "rejected", "receipts")

    assert addresses == {f"vendor.{one.vendor}.{kind}" for one in connectors().values() for kind in kinds}
    actions = {name.rpartition(".")[2]: one["action"] for name, one in found["operations"].items()}
    assert actions == {"records": "receive", "bulk": "receive", "rejected": "send", "receipts": "send"}


def test_receipts_carry_their_avro_schema() -> None:
    payload = document()["components"]["messages"]["receipt"]["payload"]

    assert payload["schemaFormat"].startswith("application/vnd.apache.avro")
    assert payload["schema"]["name"] == "Receipt"


def test_the_clean_cases_fit_the_payload_the_document_describes() -> None:
    schemas = document()["components"]["schemas"]
    for name in ("vnedu_flat_thcs", "smas_nested"):
        schema = schemas[f"{name}.record"]
        jsonschema.Draft7Validator.check_schema(schema)
        for file in sorted((CONNECTORS / name / "cases").glob("0[1-4]*.input.json")):
            try:
                value = json.loads(file.read_text(encoding="utf-8"))
            except ValueError:
                continue
            assert faults(schema, value) == [], file
    described = schemas["vnedu_flat_thcs.record"]["properties"]["rows"]["items"]["properties"]
    assert described["ho_ten"]["description"] == "full_name, mandatory"
    assert asyncapi({}, {})["channels"] == {}


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(CONNECTORS)) for file in FILES])
def test_every_file_tells_editors_its_schema(file: Path) -> None:
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)

    assert match is not None
    assert json.loads((file.parent / match[1]).read_text(encoding="utf-8")) == schema_of(file)
