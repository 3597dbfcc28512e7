"""``hocba bench``: figures of one run on one machine; compare them as ratios, never as promises."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from gateway.ops.supervisor import Plan, Supervisor
from gateway.sandbox.bench import Figure, bench_e2e
from gateway.sandbox.bench_deliver import bench_deliver
from gateway.sandbox.bench_intake import USUAL, VARIANTS, bench_intake

app = typer.Typer(no_args_is_help=True, help="Measure a stage on the embedded servers.")
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a variant.")]


@app.command("intake")
def intake(
    records: Annotated[int, typer.Option(help="Records a variant.", min=100)] = 40_000,
    variant: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(VARIANTS)}; may be repeated.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Intake of full records through real Kafka, exactly once: records a core-second of the worker."""
    if unknown := set(variant or ()) - VARIANTS.keys():
        message = f"no variant {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}"
        raise typer.BadParameter(message)
    _show(bench_intake(records, _workers, variant or USUAL), as_json=as_json)


@app.command("deliver")
def deliver(
    records: Annotated[int, typer.Option(help="Records a variant.", min=100)] = 20_000, *, as_json: JsonOption = False
) -> None:
    """Delivery of full records in batches of 500 and one a request, to a target that accepts at once."""
    _show(bench_deliver(records, _workers), as_json=as_json)


@app.command("e2e")
def e2e(
    records: Annotated[int, typer.Option(help="Records of the whole-way variant.", min=100)] = 10_000,
    *,
    as_json: JsonOption = False,
) -> None:
    """The whole way to both simulated targets: latency at 500/s, then the rate of everything on this machine."""
    _show(bench_e2e(records, _workers), as_json=as_json)


def _workers(config: Path, state_dir: Path, counts: dict[str, int]) -> Supervisor:
    return Supervisor(Plan(config=config, state_dir=state_dir, workers=counts))


def _show(figures: list[Figure], *, as_json: bool) -> None:
    if as_json:
        for figure in figures:
            typer.echo(msgspec.json.encode(figure))
        return
    table = Table("stage", "variant", "records", "s", "records/s", "CPU s", "records/core s", "RSS MB", "more")
    for f in figures:
        more = ", ".join(f"{name} {value}" for name, value in f.more.items())
        numbers = (f.seconds, f.records_per_second, f.cpu_seconds, f.records_per_core_second, f.rss_mb)
        table.add_row(f.stage, f.variant, str(f.records), *(f"{number:,.1f}" for number in numbers), more)
    Console().print(table)
