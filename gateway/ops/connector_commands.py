"""``hocba connector list|lint|test``: what a vendor and its integrator run on a mapping, offline.

``test --write`` rewrites the golden files, and their diff is the review.  Exit code 0 only when what the command
promises holds: 1 for faults or differing cases.  The other verbs of the kit: `kit_commands`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.config import Fault
from gateway.edges.connector_files import load_connectors
from gateway.intake import Connector, ConnectorFaults
from gateway.ops import kit_commands
from gateway.ops.connector_cases import (
    CASE_TIME_MS,
    case_changes,
    case_difference,
    case_inputs,
    case_unmet,
    expected_of,
    golden_text,
    loaded,
)
from gateway.ops.format import print_json
from gateway.ops.kit_options import DEFAULT_PATH, JsonOption, PathOption

__all__ = ["CASE_TIME_MS", "app", "case_difference", "case_inputs", "describe_connector"]

app = typer.Typer(no_args_is_help=True, help="Vendors' connectors: make, check, test and compare them.")
kit_commands.register(app)

NameArgument = Annotated[str | None, typer.Argument(help="One connector; without it all of them.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every connector (the default without a name).")]


@app.command("list")
def list_command(*, path: PathOption = DEFAULT_PATH, as_json: JsonOption = False) -> None:
    """The connectors with format, level, topics and schools."""
    rows = [describe_connector(connector) for connector in loaded(path, None).values()]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        topics, schools = ", ".join(row["topics"]), len(row["schools"])
        typer.echo(f"{row['name']}  {row['format']}  {row['level']}  {topics}  {schools} schools")


@app.command("lint")
def lint_command(
    name: NameArgument = None, *, all_: AllOption = False, path: PathOption = DEFAULT_PATH, as_json: JsonOption = False
) -> None:
    """Static check: every fault with file, line and near candidates; paths also against the cases' inputs.

    A path that stands in no case is a fault where an input no rule reads is spelled nearly so, else a note.
    """
    names = _named(name, all_=all_)
    try:
        connectors = load_connectors(path, names) if as_json else loaded(path, names)
    except ConnectorFaults as error:
        print_json({"in_order": [], "faults": [_place(fault) for fault in error.faults], "notes": []})
        raise typer.Exit(1) from error
    found = {connector.name: case_unmet(path, connector) for connector in connectors.values()}
    faults = [one.fault for unmet in found.values() for one in unmet if one.sure]
    notes = {one: [each.fault for each in unmet if not each.sure] for one, unmet in found.items()}
    in_order = sorted(one for one, unmet in found.items() if not any(each.sure for each in unmet))
    if as_json:
        every = [_place(note) for told in notes.values() for note in told]
        print_json({"in_order": in_order, "faults": [_place(fault) for fault in faults], "notes": every})
    else:
        for one in in_order:
            typer.echo(f"{one}: in order{_unmet_count(one, notes[one], known=name is not None)}")
        for note in notes[name] if name is not None else ():
            typer.echo(f"    {note}")
        for fault in faults:
            typer.echo(str(fault), err=True)
    raise typer.Exit(1 if faults else 0)


def _unmet_count(name: str, notes: Sequence[Fault], *, known: bool) -> str:
    if not notes:
        return ""
    more = "" if known else f"; `hocba connector lint {name}` names them"
    return f"; {len(notes)} of its paths stand in no case{more}"


def _place(fault: Fault) -> dict[str, Any]:
    return {"file": fault.file, "line": fault.line, "path": fault.path, "text": fault.text}


@app.command("test")
def run_cases_command(
    name: NameArgument = None,
    *,
    all_: AllOption = False,
    write: Annotated[bool, typer.Option("--write", help="Rewrite the golden files.")] = False,
    path: PathOption = DEFAULT_PATH,
    as_json: JsonOption = False,
) -> None:
    """Run the cases of the connectors against their golden results; what differs is shown field by field."""
    lines: list[dict[str, Any]] = []
    for connector in loaded(path, _named(name, all_=all_)).values():
        inputs = case_inputs(path / connector.name / "cases")
        if not inputs:
            lines.append({"connector": connector.name, "case": "", "ok": False, "differs": "has no cases"})
        for file in inputs:
            written = write and _write(connector, file)
            lines.append({**_case(connector, file), "written": written})
    if as_json:
        print_json(lines)
    else:
        for line in lines:
            _say(line)
    raise typer.Exit(0 if all(line["ok"] for line in lines) else 1)


def _write(connector: Connector, file: Path) -> bool:
    """Whether the golden file of *file* was another or not there."""
    expected, text = expected_of(file), golden_text(connector, file)
    if expected.exists() and expected.read_text(encoding="utf-8") == text:
        return False
    expected.write_text(text, encoding="utf-8")
    return True


def _case(connector: Connector, file: Path) -> dict[str, Any]:
    difference = case_difference(connector, file)
    line: dict[str, Any] = {"connector": connector.name, "case": file.name, "ok": not difference}
    if difference:
        has_golden = expected_of(file).exists()
        line |= {
            "differs": difference,
            "changes": [change.as_json() for change in case_changes(connector, file)] if has_golden else [],
        }
    return line


def _say(line: dict[str, Any]) -> None:
    if line["ok"]:
        typer.echo(f"{line['connector']}/{line['case']}: {'written' if line['written'] else 'as expected'}")
    elif line["case"]:
        typer.echo(line["differs"])
    else:
        typer.echo(f"{line['connector']}: {line['differs']}", err=True)


def describe_connector(connector: Connector) -> dict[str, Any]:
    """The line of ``connector list --json``."""
    return {
        "name": connector.name,
        "format": connector.format,
        "level": connector.level,
        "topics": list(connector.topics),
        "schools": sorted(connector.schools),
    }


def _named(name: str | None, *, all_: bool) -> list[str] | None:
    if name is not None and all_:
        message = "give a name or --all, not both"
        raise typer.BadParameter(message)
    return None if name is None else [name]
