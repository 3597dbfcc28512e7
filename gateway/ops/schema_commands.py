"""`hocba schema show | check | register`: what the schemas are, whether they may change so, and telling a registry.

`check` is what CI runs: the files are those the dictionary gives, and each reads everything released before it.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import httpx
import typer

from gateway.edges.schema_registry import BundledIdConflict, Refused, Registered, SchemaRegistry, Unavailable
from gateway.national import compatibility, generate, schema
from gateway.ops import kit_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(no_args_is_help=True, help="The national schema: show, check, register.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="MappedRecord, LearningRecord or Receipt; all, shortly, without it.")
    ] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List the bundled schemas and their ids, or print one."""
    if name:
        typer.echo(_text_of(name))
        return
    rows = [
        {
            "id": entry.schema_id,
            "name": entry.name,
            "version": entry.version,
            "subject": entry.subject,
            "current": entry.current,
        }
        for entry in schema.bundled().values()
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(
            f"{row['id']:>4}  {row['name']} v{row['version']}  {row['subject']}{'' if row['current'] else '  (older)'}"
        )


def _text_of(name: str) -> str:
    names = {entry.name.rpartition(".")[2]: entry.name for entry in schema.bundled().values()}
    full = names.get(name.rpartition(".")[2])
    if full is None:
        msg = f"no schema {name}; there are {', '.join(names)}"
        raise typer.BadParameter(msg)
    return schema.current(full).text


@app.command()
def check(*, as_json: AsJson = False) -> None:
    """Exit 1 with a list if a schema is not what the dictionary gives, or cannot read what was released."""
    breaches = list(_breaches())
    if as_json:
        typer.echo(json.dumps({"compatible": not breaches, "breaches": breaches}, ensure_ascii=False))
    else:
        for breach in breaches:
            typer.echo(breach)
        typer.echo(f"{len(breaches)} breach(es)" if breaches else "every schema reads all that was released")
    if breaches:
        raise typer.Exit(1)


def _breaches() -> Iterator[str]:
    for file, text in generate.generated().items():
        if (schema.SCHEMAS / "avro" / file).read_text(encoding="utf-8") != text:
            yield f"{file}: not what the dictionary gives; run python -m gateway.national.generate"
    yield from (f"{file}: has fallen behind; run hocba connector generate" for file in kit_documents.drift())
    for name in sorted({entry.name for entry in schema.bundled().values()}):
        released = [json.loads(entry.text) for entry in schema.bundled().values() if entry.name == name]
        yield from compatibility.check_all(released, json.loads(schema.working_text(name)))
        if schema.working_text(name) != schema.current(name).text:
            yield f"{name}: changed since its release; give it a new version and id in ids.json (generate --release)"


@app.command()
def register(
    registry: Annotated[
        str, typer.Option("--registry", envvar="HOCBA_SCHEMA_REGISTRY", help="Address, with its path.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Register the bundled schemas; exit 1 unless the registry then has each under its bundled id."""
    faults = asyncio.run(_register(registry))
    if as_json:
        typer.echo(json.dumps({"registered": not faults, "faults": faults}))
    else:
        typer.echo("\n".join(faults) if faults else "the registry has every schema under its bundled id")
    if faults:
        raise typer.Exit(1)


async def _register(address: str) -> list[str]:
    """Faults of registering all, in the order of ids: a fresh registry counts from 1 and gives them the same ones."""
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        registry = SchemaRegistry(client)
        try:
            away = await registry.check_bundled()
        except BundledIdConflict as conflict:
            return list(conflict.conflicts)
        if away is not None:
            return [f"the registry gives no answer: {away.reason}"]
        for entry in schema.bundled().values():
            fault = await _register_one(registry, entry)
            if fault:  # a counter that has moved on would give the others wrong ids too
                return [fault]
    return []


async def _register_one(registry: SchemaRegistry, entry: schema.Bundled) -> str:
    """Why the registry does not have the schema under its id now; empty if it has."""
    ruled = await registry.demand_transitive(entry.subject)
    if ruled is not None:
        return f"{entry.subject}: the registry does not take the rule BACKWARD_TRANSITIVE"
    match await registry.register(entry.subject, entry.text):
        case Registered(found) if found == entry.schema_id:
            return ""
        case Registered(found):
            told = f"{entry.name} v{entry.version}: the registry gave id {found}, bundled is {entry.schema_id}"
            return f"{told}; delete subject {entry.subject} there and register with a fresh registry"
        case Refused(status):
            return f"{entry.name} v{entry.version}: refused, HTTP {status}"
        case Unavailable(reason):
            return f"{entry.name} v{entry.version}: no answer, {reason}"
