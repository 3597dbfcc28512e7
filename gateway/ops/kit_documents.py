"""``hocba connector generate|asyncapi``: the files that are made from the language and the connectors, kept in step.

    schemas/connector/*.schema.json    for editors, from the language and the national schema
    docs/mapping-functions.md          from the functions' examples
    docs/national-fields.md            from the national schema
    docs/asyncapi.yaml                 from the connectors

``generate --check`` (and ``hocba schema check``, and a test) ends with 1 when one of them has fallen behind.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.edges.connector_files import read_files
from gateway.intake.function_page import function_page
from gateway.intake.language import SCHEMA_ENDING, Definition, read_definition
from gateway.intake.mapping_schema import connector_schema, mapping_schema
from gateway.national.field_page import field_page
from gateway.national.schema import SCHEMAS
from gateway.ops.connector_cases import loaded
from gateway.ops.format import print_json
from gateway.ops.kit_asyncapi import asyncapi, asyncapi_text
from gateway.ops.kit_options import DEFAULT_PATH, JsonOption, PathOption

ROOT = SCHEMAS.parent


def register(app: typer.Typer) -> None:
    """Add the commands of this file to *app*."""
    app.command("generate")(generate_command)
    app.command("asyncapi")(asyncapi_command)


def generate_command(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where a file has fallen behind.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the editors' JSON Schemas, the reference pages and the AsyncAPI document of this repository."""
    behind = list(drift())
    if not check:
        for file, text in generated().items():
            (ROOT / file).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / file).write_text(text, encoding="utf-8")
    if as_json:
        print_json({"behind" if check else "written": behind})
    else:
        verb = "has fallen behind; run hocba connector generate" if check else "written"
        typer.echo("\n".join(f"{file}: {verb}" for file in behind) or "every generated file is up to date")
    raise typer.Exit(1 if check and behind else 0)


def asyncapi_command(*, path: PathOption = DEFAULT_PATH, as_json: JsonOption = False) -> None:
    """The AsyncAPI 3.0 document of the connectors below --path, on standard output (YAML; with --json JSON)."""
    definitions, avro = _definitions(path)
    if as_json:
        print_json(asyncapi(definitions, avro))
    else:
        typer.echo(asyncapi_text(definitions, avro), nl=False)


def _definitions(path: Path) -> tuple[dict[str, Definition], dict[str, list[dict[str, Any]]]]:
    """Name → definition, and the Avro schemas of those that have some."""
    names = list(loaded(path, None))
    files = {name: read_files(path, name) for name in names}
    avro = {
        name: [json.loads(text) for file, text in files[name].items() if file.endswith(SCHEMA_ENDING)] for name in names
    }
    return {name: read_definition(files[name]) for name in names}, avro


def generated() -> dict[str, str]:
    """File below the repository → its text now."""
    definitions, avro = _definitions(ROOT / "connectors")
    schemas = {
        "connector": connector_schema(),
        "mapping-primary": mapping_schema("primary"),
        "mapping-secondary": mapping_schema("secondary"),
    }
    texts = {f"schemas/connector/{name}.schema.json": _json(found) for name, found in schemas.items()}
    return texts | {
        "docs/mapping-functions.md": function_page(),
        "docs/national-fields.md": field_page(),
        "docs/asyncapi.yaml": asyncapi_text(definitions, avro),
    }


def drift() -> Iterator[str]:
    """The generated files that are not what they would be now."""
    for file, text in generated().items():
        place: Path = ROOT / file
        if not place.exists() or place.read_text(encoding="utf-8") != text:
            yield file


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
