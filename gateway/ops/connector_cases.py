"""The cases of a connector: input files with their golden results beside them, run with a fixed clock.

A case is ``cases/NN-what.input.<format>`` with ``NN-what.expected.json``, the list that ``hocba check --json`` prints
for it; signatures are checked where a trust store ``cases/NN-what.trust/`` stands for the cases whose names begin so.
Loading a connector for a command ends it with exit code 1 and every fault.
"""

import difflib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import typer

from gateway.config import ConfigFaults
from gateway.edges.connector_files import connector_names, load_connectors, read_files
from gateway.edges.signature_files import load_trust
from gateway.intake import Connector, ConnectorFaults
from gateway.intake.check_cases import Unmet, unmet
from gateway.intake.compare import Change, changes
from gateway.intake.coverage import Item
from gateway.intake.documents_trust import TrustBook
from gateway.intake.dry_run import Result, dry_run, messages
from gateway.intake.language import Definition, read_definition

CASE_TIME_MS = 1_788_220_800_000
"""Cases are run as if published on 1 September 2026 at 07:00 in Vietnam, after all samples: golden files do not change
with the clock."""


def loaded(path: Path, names: Sequence[str] | None) -> dict[str, Connector]:
    """The connectors *names* (None: all) below *path*; faults end the command."""
    try:
        return load_connectors(path, names)
    except ConnectorFaults as error:
        typer.echo(str(error), err=True)
        if not connector_names(path):
            typer.echo(f"{path} is the folder looked into; name another with --path", err=True)
        raise typer.Exit(1) from error


def definition_of(path: Path, name: str) -> Definition:
    """The files of a connector as values; for one that has loaded."""
    return read_definition(read_files(path, name))


def case_inputs(folder: Path) -> list[Path]:
    """The input files of a connector's cases, in order."""
    return sorted(file for file in folder.glob("*.input.*") if file.is_file())


def expected_of(file: Path) -> Path:
    """The golden file beside the case *file*."""
    return file.parent / (file.name.split(".input.")[0] + ".expected.json")


def case_results(connector: Connector, file: Path) -> list[Result]:
    """What becomes of the case *file*."""
    return dry_run(connector, file.name, file.read_bytes(), CASE_TIME_MS, case_trust(file))


def case_trust(file: Path) -> TrustBook | None:
    """The trust store for the case *file*: the folder ``NN-what.trust`` that its name begins with; often none."""
    folders = sorted(folder for folder in file.parent.glob("*.trust") if file.name.startswith(folder.stem))
    return trust_of(folders[-1]) if folders else None


@cache
def trust_of(folder: Path) -> TrustBook:
    """The trust store in *folder*; faults end the command."""
    try:
        return TrustBook(load_trust(folder).store())
    except ConfigFaults as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def case_items(connector: Connector, files: Sequence[Path]) -> list[Item]:
    """The trees of every item of *files*, each with its message's."""
    found: list[Item] = []
    for file in files:
        for message in messages(connector, file.read_bytes()):
            root, trees = connector.trees(message)
            found += [(tree, root) for tree in trees]
    return found


def case_unmet(path: Path, connector: Connector) -> list[Unmet]:
    """The paths of *connector*'s mapping that stand in none of its cases."""
    files = case_inputs(path / connector.name / "cases")
    return unmet(definition_of(path, connector.name), case_items(connector, files))


def golden_text(connector: Connector, file: Path) -> str:
    """What ``hocba check --json`` says of a case, as its golden file holds it."""
    return json.dumps(case_results(connector, file), ensure_ascii=False, indent=1) + "\n"


def case_changes(connector: Connector, file: Path) -> list[Change]:
    """How a case differs from its golden file, field by field; *before* is the golden side."""
    try:
        golden = json.loads(expected_of(file).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return []
    return changes(golden, case_results(connector, file)) if isinstance(golden, list) else []


def case_difference(connector: Connector, file: Path) -> str:
    """How a case differs from its golden file, for people; empty when it does not."""
    expected = expected_of(file)
    if not expected.exists():
        return f"{file}: has no {expected.name} (write it with --write)"
    want, got = expected.read_text(encoding="utf-8"), golden_text(connector, file)
    if want == got:
        return ""
    lines = [f"    {change}" for change in case_changes(connector, file)]
    if not lines:  # the same content in another form: order, spaces, or no JSON at all
        lines = list(difflib.unified_diff(want.splitlines(), got.splitlines(), str(expected), "now", lineterm=""))
    return "\n".join([f"{connector.name}/{file.name}: differs (golden → now)", *lines])
