"""``hocba connector list|lint|test`` and ``hocba check``: what a vendor and its integrator run, offline.

A case is an input file with its golden results beside it; ``test --write`` rewrites the golden files, and their
diff is the review.  Exit code 0 only when what the command promises holds: 1 for rejected records, faults or
differing cases.
"""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.edges.clock import now_ms
from gateway.edges.connector_files import connector_names, load_connectors
from gateway.intake import Connector, ConnectorFaults
from gateway.intake.dry_run import Result, dry_run

app = typer.Typer(no_args_is_help=True, help="Vendors' connectors: list, lint and test them.")

CASE_TIME_MS = 1_780_272_000_000
"""Cases are run as if published on 1 June 2026 at 07:00 in Vietnam: golden files do not change with the clock."""

PathOption = Annotated[Path, typer.Option("--path", help="The folder of the connectors.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
NameArgument = Annotated[str | None, typer.Argument(help="One connector; without it all of them.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every connector (the default without a name).")]

DEFAULT_PATH = Path("connectors")


@app.command("list")
def list_command(*, path: PathOption = DEFAULT_PATH, as_json: JsonOption = False) -> None:
    """The connectors with format, level, topics and schools."""
    rows = [describe_connector(connector) for connector in _loaded(path, None).values()]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        topics, schools = ", ".join(row["topics"]), len(row["schools"])
        typer.echo(f"{row['name']}  {row['format']}  {row['level']}  {topics}  {schools} schools")


@app.command("lint")
def lint_command(name: NameArgument = None, *, all_: AllOption = False, path: PathOption = DEFAULT_PATH) -> None:
    """Static check: every fault with file, line and near candidates."""
    for connector in _loaded(path, _named(name, all_=all_)).values():
        typer.echo(f"{connector.name}: in order")


@app.command("test")
def run_cases_command(
    name: NameArgument = None,
    *,
    all_: AllOption = False,
    write: Annotated[bool, typer.Option("--write", help="Rewrite the golden files.")] = False,
    path: PathOption = DEFAULT_PATH,
) -> None:
    """Run the cases of the connectors against their golden results."""
    differing = 0
    for connector in _loaded(path, _named(name, all_=all_)).values():
        folder = path / connector.name / "cases"
        inputs = case_inputs(folder)
        if not inputs:
            typer.echo(f"{connector.name}: has no cases", err=True)
            differing += 1
        for file in inputs:
            if write:
                expected_of(file).write_text(golden_text(connector, file), encoding="utf-8")
            difference = case_difference(connector, file)
            differing += bool(difference)
            typer.echo(difference or f"{connector.name}/{file.name}: as expected")
    raise typer.Exit(1 if differing else 0)


def check_command(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, metavar="FILE...")],
    *,
    connector: Annotated[str, typer.Option("--connector", metavar="NAME", help="The connector that reads them.")],
    path: PathOption = DEFAULT_PATH,
    as_json: JsonOption = False,
) -> None:
    """Dry run of a vendor's files, offline: what would become of each record.  Exit code 1 if any is rejected."""
    compiled = _loaded(path, [connector])[connector]
    now = now_ms()
    results = [result for file in files for result in dry_run(compiled, file.name, file.read_bytes(), now)]
    for result in results:
        typer.echo(json.dumps(result, ensure_ascii=False) if as_json else _readable(result))
    if not as_json:
        typer.echo(_totals(results))
    raise typer.Exit(1 if any(result["outcome"] == "rejected" for result in results) else 0)


def describe_connector(connector: Connector) -> dict[str, Any]:
    """The line of ``connector list --json``."""
    return {
        "name": connector.name,
        "format": connector.format,
        "level": connector.level,
        "topics": list(connector.topics),
        "schools": sorted(connector.schools),
    }


def case_inputs(folder: Path) -> list[Path]:
    """The input files of a connector's cases, in order."""
    return sorted(file for file in folder.glob("*.input.*") if file.is_file())


def expected_of(file: Path) -> Path:
    """The golden file beside the case *file*."""
    return file.parent / (file.name.split(".input.")[0] + ".expected.json")


def golden_text(connector: Connector, file: Path) -> str:
    """What ``hocba check --json`` says of a case, as its golden file holds it."""
    results = dry_run(connector, file.name, file.read_bytes(), CASE_TIME_MS)
    return json.dumps(results, ensure_ascii=False, indent=1) + "\n"


def case_difference(connector: Connector, file: Path) -> str:
    """How a case differs from its golden file; empty when it does not."""
    expected = expected_of(file)
    if not expected.exists():
        return f"{file}: has no {expected.name} (write it with --write)"
    want, got = expected.read_text(encoding="utf-8"), golden_text(connector, file)
    lines = difflib.unified_diff(want.splitlines(), got.splitlines(), str(expected), "now", lineterm="")
    return "\n".join(lines)


def _named(name: str | None, *, all_: bool) -> list[str] | None:
    if name is not None and all_:
        message = "give a name or --all, not both"
        raise typer.BadParameter(message)
    return None if name is None else [name]


def _loaded(path: Path, names: Sequence[str] | None) -> dict[str, Connector]:
    try:
        return load_connectors(path, names)
    except ConnectorFaults as error:
        typer.echo(str(error), err=True)
        if not connector_names(path):
            typer.echo(f"{path} is the folder looked into; name another with --path", err=True)
        raise typer.Exit(1) from error


def _readable(result: Result) -> str:
    lines = [f"{result['source']}  {result['outcome']}"]
    for problem in result["problems"]:
        rule = f" ({problem['rule']})" if problem.get("rule") else ""
        lines.append(f"    {problem['code']} {problem['severity']}  {problem['field']}{rule}  [{problem['owner']}]")
        lines.append(f"        {problem['fix_vi']}")
        lines.append(f"        {problem['fix_en']}")
    return "\n".join(lines)


def _totals(results: Sequence[Result]) -> str:
    outcomes = ("accepted", "accepted_with_warning", "parked", "rejected")
    counts = {outcome: sum(result["outcome"] == outcome for result in results) for outcome in outcomes}
    return f"{len(results)} records: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
