"""``hocba check``: a vendor's dry run of payload files, offline.  Any file gives an answer, never a traceback.

For people each finding names the national field and, beside it, the vendor's own column or path.  A long run is
grouped: one entry a code and field, with how many records and the first of them.
"""

import json
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gateway.edges.clock import now_ms
from gateway.errors import Problem, describe
from gateway.intake import Connector
from gateway.intake.documents_trust import TrustBook
from gateway.intake.dry_run import Result, dry_run
from gateway.intake.sources import source_of, sources
from gateway.ops.connector_cases import definition_of, loaded, trust_of
from gateway.ops.kit_options import DEFAULT_PATH, JsonOption, PathOption

LONG = 12
"""From so many records on findings are grouped."""
SHOWN = 3
NO_ITEMS = "no_items"
"""A message without the list that the connector declares: the list is named."""
_ROW = re.compile(r"\[#\d+\]")
_CANNOT_BE_READ = Problem("DQ-45", "file")


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Payload files; a folder means all in it.")],
    *,
    connector: Annotated[str, typer.Option("--connector", metavar="NAME", help="The connector that reads them.")],
    path: PathOption = DEFAULT_PATH,
    as_json: JsonOption = False,
    each: Annotated[bool, typer.Option("--each", help="Every record by itself, however many there are.")] = False,
    trust: Annotated[
        Path | None, typer.Option("--trust", metavar="DIR", help="Check signatures by this trust store.")
    ] = None,
) -> None:
    """Dry run of a vendor's files, offline: what would become of each record.  Exit code 1 if any is rejected."""
    compiled = loaded(path, [connector])[connector]
    now, book = now_ms(), _trust_book(compiled, trust)
    results: list[Result] = []
    for name, file in _all_files(files):
        for result in _results(compiled, name, file, now, book):
            if as_json:
                typer.echo(json.dumps(result, ensure_ascii=False))
            results.append({**result, "record": None})  # of a year's file the records themselves are not kept
    if not as_json:
        columns = {**sources(definition_of(path, connector)), NO_ITEMS: compiled.profile.place}
        lines = (_readable(result, columns) for result in results)
        for line in lines if each or len(results) < LONG else _grouped(results, columns):
            typer.echo(line)
        typer.echo(_totals(results))
    raise typer.Exit(1 if any(result["outcome"] == "rejected" for result in results) else 0)


def _all_files(given: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Shown name and path of each file; a folder's in the order of their names, those starting with a dot left out."""
    found = 0
    for path in given:
        inside = [path]
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if not file.is_dir() and file.name[:1] != ".")
        elif not path.exists():
            message = f"no such file or folder: {_printable(str(path))}"
            raise typer.BadParameter(message)
        for file in inside:
            found += 1
            yield _printable(str(file.relative_to(path)) if path.is_dir() else file.name), file
    if not found:
        message = "the folder holds no file"
        raise typer.BadParameter(message)


def _printable(name: str) -> str:
    readable = name.encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else "?" for letter in readable)


def _trust_book(connector: Connector, folder: Path | None) -> TrustBook | None:
    """The trust store to check signatures by; says so where a connector asks for the check and none is named."""
    if folder is None and connector.signed_by is not None:
        typer.echo("signatures were not checked: name the folder of a trust store with --trust", err=True)
    return None if folder is None else trust_of(folder)


def _results(connector: Connector, name: str, file: Path, now: int, trust: TrustBook | None) -> list[Result]:
    """The results of one file; a pipe, a device or a file without permission cannot be read (DQ-45)."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return [_unreadable(name)]
        with file.open("rb") as stream:
            value = stream.read(connector.max_bytes + 1)  # one more than allowed says as much as all of it
    except OSError:
        return [_unreadable(name)]
    return dry_run(connector, name, value, now, trust)


def _unreadable(name: str) -> Result:
    problem: dict[str, Any] = msgspec.to_builtins(describe(_CANNOT_BE_READ))
    return {"source": f"{name}#0", "outcome": "rejected", "record": None, "problems": [problem]}


def _readable(result: Result, columns: Mapping[str, str]) -> str:
    lines = [f"{result['source']}  {result['outcome']}"]
    for problem in result["problems"]:
        lines += [f"    {_finding(problem, problem['field'], columns)}", *_fixes(problem, "        ")]
    return "\n".join(lines)


def _finding(problem: Mapping[str, str], field: str, columns: Mapping[str, str]) -> str:
    rule = f" ({problem['rule']})" if problem.get("rule", field) != field else ""
    column = columns[NO_ITEMS] if problem.get("rule") == NO_ITEMS else source_of(problem["field"], columns)
    read = f"  ← {column}" if column else ""
    place = f"  {field}{rule}{read}" if field else ""
    return f"{problem['code']} {problem['severity']}{place}  [{problem['owner']}]"


def _fixes(problem: Mapping[str, str], indent: str) -> list[str]:
    return [f"{indent}{problem['fix_vi']}", f"{indent}{problem['fix_en']}"]


def _grouped(results: Iterable[Result], columns: Mapping[str, str]) -> Iterator[str]:
    """One entry a code and field: how many records have it, and the first of them."""
    groups: dict[str, tuple[list[str], Mapping[str, str]]] = {}
    for result in results:
        for problem in result["problems"]:
            line = _finding(problem, _ROW.sub("[]", problem["field"]), columns)
            where, _ = groups.setdefault(line, ([], problem))
            if result["source"] not in where[-1:]:
                where.append(result["source"])
    for line, (where, problem) in sorted(groups.items(), key=lambda group: -len(group[1][0])):
        more = ", …" if len(where) > SHOWN else ""
        records = f"{len(where)} record{'' if len(where) == 1 else 's'}"
        yield "\n".join([line, f"    {records}: {', '.join(where[:SHOWN])}{more}", *_fixes(problem, "    ")])


def _totals(results: Sequence[Result]) -> str:
    outcomes = ("accepted", "accepted_with_warning", "parked", "rejected")
    counts = {outcome: sum(result["outcome"] == outcome for result in results) for outcome in outcomes}
    return f"{len(results)} records: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
