"""``hocba connector new|coverage|diff|asyncapi|reference``: the rest of a vendor's kit.

``coverage --live`` reads the ledger, ``diff`` may read git; everything else is offline and looks at files only.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.config import Config, load_config
from gateway.edges import drift_ledger, ledger
from gateway.edges.connector_versions import other_files
from gateway.edges.drift_ledger import Counted
from gateway.intake import ConnectorFaults
from gateway.intake.compare import Change, changes
from gateway.intake.connector import compile_connector
from gateway.intake.coverage import Coverage, coverage
from gateway.ops import kit_documents, kit_new
from gateway.ops.connector_cases import case_inputs, case_items, case_results, definition_of, loaded
from gateway.ops.format import print_json
from gateway.ops.kit_options import DEFAULT_PATH, JsonOption, OneName, PathOption

NameOrAll = Annotated[str | None, typer.Argument(help="One connector; without it all of them.", metavar="[NAME]")]
LiveOption = Annotated[
    bool, typer.Option("--live", help="What the running installation counted: unknown fields, unseen codes.")
]
ConfigOption = Annotated[Path, typer.Option("--config", envvar="HOCBA_CONFIG", help="The configuration, for --live.")]
AgainstOption = Annotated[
    str, typer.Option("--against", metavar="FOLDER|GIT_REV", help="The other version: a folder, or a git revision.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of the kit to *app*."""
    app.command("new")(kit_new.new_command)
    app.command("coverage")(coverage_command)
    app.command("diff")(diff_command)
    kit_documents.register(app)


def coverage_command(
    name: NameOrAll = None,
    *,
    live: LiveOption = False,
    path: PathOption = DEFAULT_PATH,
    config: ConfigOption = Path("gateway.yaml"),
    as_json: JsonOption = False,
) -> None:
    """What the cases leave in the dark: inputs never used, outputs defaulted, words and rules never exercised."""
    names = list(loaded(path, None if name is None else [name]))
    if live:
        _live(names, load_config(config, os.environ), as_json=as_json)
        return
    reports = [_coverage(path, one) for one in names]
    if as_json:
        print_json([report.as_json() for report in reports])
        return
    for report in reports:
        typer.echo(_coverage_text(report))


def _coverage(path: Path, name: str) -> Coverage:
    connector = loaded(path, [name])[name]
    files = case_inputs(path / name / "cases")
    results = [result for file in files for result in case_results(connector, file)]
    return coverage(definition_of(path, name), case_items(connector, files), results)


def _coverage_text(report: Coverage) -> str:
    parts: list[tuple[str, Sequence[str]]] = [
        ("input fields no rule reads", [f"{name} ({times} records)" for name, times in report.unused_inputs]),
        ("outputs that only had their default", report.defaulted),
        ("outputs never filled", report.never_filled),
        ("optional national fields without a rule", _grouped(report.no_rule, ".")),
        ("conditions with one side only", _by_verdict(report.conditions)),
        ("words of tables never used", _grouped(report.words, ": ")),
        ("rules and codes never provoked", [" ".join(report.rules)] if report.rules else []),
    ]
    counts = report.as_json()
    sizes = [len(value) for value in counts.values() if isinstance(value, list)]
    lines = [f"{report.connector}: {report.records} records in its cases"]
    for (title, names), size in zip(parts, sizes, strict=True):
        lines += [f"  {title}: {size or 'none'}", *(f"    {name}" for name in names)]
    return "\n".join(lines)


def _grouped(names: Sequence[str], mark: str) -> list[str]:
    """``a.x``, ``a.y`` as ``a: x, y``."""
    groups: dict[str, list[str]] = {}
    for name in names:
        before, _, after = name.partition(mark)
        groups.setdefault(before, []).append(after)
    return [f"{before}: {', '.join(after)}" for before, after in groups.items()]


def _by_verdict(conditions: Sequence[str]) -> list[str]:
    """Rows of one section with the same verdict in one line: ``subjects[15], subjects[19]: … always held``."""
    groups: dict[str, list[str]] = {}
    for condition in conditions:
        label, _, verdict = condition.partition(": ")
        groups.setdefault(verdict, []).append(label)
    return [f"{', '.join(labels)}: {verdict}" for verdict, labels in groups.items()]


def _live(names: Sequence[str], config: Config, *, as_json: bool) -> None:
    found = asyncio.run(_counted(names, config))
    lines: list[dict[str, Any]] = [
        {
            "connector": name,
            "unknown": [_unknown(one) for one in found if one.connector == name and one.kind == "unknown"],
            "unseen": [_unseen(one) for one in found if one.connector == name and one.kind == "unseen"],
        }
        for name in names
    ]
    if as_json:
        print_json(lines)
        return
    for line in lines:
        typer.echo(f"{line['connector']}: {len(line['unknown'])} unknown fields, {len(line['unseen'])} unseen codes")
        for kind in ("unknown", "unseen"):
            for one in line[kind]:
                name = one["name"] if kind == "unknown" else f"{one['code']} {one['field']}"
                typer.echo(f"  {kind}  {name}  {one['times']} times, {one['first'][:10]} to {one['last'][:10]}")


async def _counted(names: Sequence[str], config: Config) -> list[Counted]:
    pool = ledger.make_pool(config.ledger.url, 1)
    await pool.open()
    try:
        return await drift_ledger.counted(pool, names)
    finally:
        await pool.close()


def _unknown(one: Counted) -> dict[str, Any]:
    return {"name": one.name, **_when(one)}


def _unseen(one: Counted) -> dict[str, Any]:
    code, _, field = one.name.partition(" ")
    return {"code": code, "field": field, **_when(one)}


def _when(one: Counted) -> dict[str, Any]:
    return {"times": one.times, "first": one.first_at.isoformat(), "last": one.last_at.isoformat()}


def diff_command(
    name: OneName, *, against: AgainstOption, path: PathOption = DEFAULT_PATH, as_json: JsonOption = False
) -> None:
    """Two versions of a mapping over the cases: what differs, field by field.  Exit code 1 if anything does."""
    now = loaded(path, [name])[name]
    try:
        other = compile_connector(other_files(path, name, against), now.tables)
    except ConnectorFaults as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    files = case_inputs(path / name / "cases")
    found = [change for file in files for change in changes(case_results(other, file), case_results(now, file))]
    found = [change for change in found if change.path != "record.connector"]  # the mapping's version, said once
    versions = {"before": other.label, "after": now.label}
    unraised = bool(found) and other.mapping_version == now.mapping_version
    if as_json:
        changed = [change.as_json() for change in found]
        print_json({**versions, "cases": len(files), "changes": changed, "mapping_version_unraised": unraised})
    else:
        typer.echo(f"{other.label} → {now.label}, {len(files)} cases: {_summary(found)}")
        for change in found:
            typer.echo(f"    {change}")
        if unraised:
            typer.echo(f"results differ but both are mapping_version {now.mapping_version}: raise it in connector.yaml")
    raise typer.Exit(1 if found else 0)


def _summary(found: Sequence[Change]) -> str:
    records = len({change.source for change in found})
    return f"{len(found)} fields of {records} records differ" if found else "no difference"
