"""``hocba connector new``: a connector's folder from a sample payload, and a list of what is left to fill.

Nothing is overwritten, and nothing is written for a sample that cannot be read.  The sample becomes the first case as
it is; its golden file is written by ``hocba connector test NAME --write`` once the mapping says what it should.
"""

import re
import shutil
from pathlib import Path
from typing import Annotated

import typer

from gateway.edges.connector_files import load_connectors
from gateway.intake import ConnectorFaults
from gateway.intake.scaffold import Scaffold, Wanted, scaffold
from gateway.intake.scaffold_sample import UnreadableSample, read_sample
from gateway.ops.format import print_json
from gateway.ops.kit_options import DEFAULT_PATH, JsonOption, OneName, PathOption

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ENDINGS = ("json", "xml", "csv", "jsonl")
SampleOption = Annotated[
    Path, typer.Option("--from", exists=True, dir_okay=False, help="A sample payload: .json, .xml, .csv or .jsonl.")
]
VendorOption = Annotated[
    str, typer.Option("--vendor", help="Names the topics vendor.<v>.…; else the name's first word.")
]
LevelOption = Annotated[str, typer.Option("--level", help="primary or secondary; else guessed from the grades.")]


def new_command(
    name: OneName,
    *,
    sample: SampleOption,
    vendor: VendorOption = "",
    level: LevelOption = "",
    path: PathOption = DEFAULT_PATH,
    as_json: JsonOption = False,
) -> None:
    """Make a connector's folder from a sample payload: guessed mappings, TODO marks, a first case."""
    made = _scaffolded(name, sample, vendor or name.partition("_")[0], level)
    folder = path / name
    if folder.exists():
        message = f"{folder} exists already; nothing was written"
        raise typer.BadParameter(message)
    for below, text in made.files.items():
        file = folder / below
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    written = list(made.files)
    case = folder / "cases" / f"01-sample.input.{_ending(sample)}"
    case.parent.mkdir()
    shutil.copyfile(sample, case)
    written.append(f"cases/{case.name}")
    faults = _faults(path, name)
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "files": written,
                "level": made.level,
                "todo": list(made.todo),
                "assumed": list(made.assumed),
                "unused_inputs": list(made.unused),
                "lint": faults,
            }
        )
    else:
        _tell(folder, name, made, written, faults)


def _scaffolded(name: str, sample: Path, vendor: str, level: str) -> Scaffold:
    if not _NAME.fullmatch(name):
        message = "NAME must be lower-case letters, digits and _, beginning with a letter (it is a folder)"
        raise typer.BadParameter(message)
    if _ending(sample) not in _ENDINGS:
        message = f"--from must end with one of {', '.join(_ENDINGS)}"
        raise typer.BadParameter(message)
    if level not in {"", "primary", "secondary"}:
        message = "--level must be primary or secondary"
        raise typer.BadParameter(message)
    try:
        found = read_sample(sample.read_bytes(), _ending(sample))
    except UnreadableSample as error:
        raise typer.BadParameter(str(error)) from error
    wanted = Wanted(name, vendor, level or None)  # type: ignore[arg-type]  # one of the two, as tested above
    return scaffold(found, wanted)


def _ending(sample: Path) -> str:
    return sample.suffix.removeprefix(".").lower()


def _faults(path: Path, name: str) -> list[str]:
    try:
        load_connectors(path, [name])
    except ConnectorFaults as error:
        return [str(fault) for fault in error.faults]
    return []


def _tell(folder: Path, name: str, made: Scaffold, written: list[str], faults: list[str]) -> None:
    typer.echo(f"{folder}: {made.level}, {len(written)} files")
    for title, lines in (
        ("to fill, each marked TODO in the files", made.todo),
        ("assumed or guessed, please check", made.assumed),
        ("inputs no rule reads", made.unused),
    ):
        typer.echo(f"  {title}: {len(lines) or 'none'}")
        for line in lines:
            typer.echo(f"    {line}")
    if faults:
        typer.echo(f"next: fill the above, then `hocba connector lint {name}` (it names {len(faults)} faults now)")
    else:
        typer.echo(f"next: `hocba connector test {name} --write`, and read what it wrote")
