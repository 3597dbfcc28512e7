"""``hocba run`` and ``hocba demo``: what starts processes.

The command reads the configuration once before it starts anything, so that every fault is on the screen at once and
not in the logs of restarting children.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gateway.config import Config, load_config
from gateway.edges.keys import load_keys
from gateway.edges.ledger import LedgerUnavailable, migrate
from gateway.errors import GatewayError
from gateway.ops.supervisor import Plan, Supervisor
from gateway.ops.worker import stage_names
from gateway.sandbox import demo as demo_run

CONFIG_OPTION = typer.Option("--config", envvar="HOCBA_CONFIG", help="The one configuration file.")


def stages_asked(config: Config, stages: Sequence[str]) -> list[str]:
    """The stages to run, in the order of the data's way; raises GatewayError for one that does not exist."""
    known = stage_names(config)
    unknown = [stage for stage in stages if stage not in known and stage != "all"]
    if unknown:
        message = f"no such stage: {', '.join(unknown)}; stages here: {', '.join(known)}, all"
        raise GatewayError(message)
    return known if not stages or "all" in stages else [stage for stage in known if stage in stages]


def run(
    stages: Annotated[list[str] | None, typer.Argument(help="intake identity deliver:TARGET tower, or all")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes a stage; else `workers` of the file, else 1.")
    ] = None,
    config: Annotated[Path, CONFIG_OPTION] = Path("gateway.yaml"),
    log_stderr: Annotated[bool, typer.Option("--log-stderr", help="Logs of the workers here, not into files.")] = False,
) -> None:
    """Run stages as supervised processes until TERM or INT, then drain them."""
    loaded = load_config(config, os.environ)
    asked = stages_asked(loaded, stages or [])
    load_keys(Path(loaded.keys_file))
    if asked != ["intake"]:  # intake needs no database
        _migrate(loaded.ledger.url)
    plan = Plan(
        config=config.resolve(),
        state_dir=Path(loaded.state_dir),
        workers={stage: workers or loaded.workers.get(stage, 1) for stage in asked},
        log_stderr=log_stderr,
    )
    asyncio.run(_supervise(plan))


def _migrate(url: str) -> None:
    """Apply what is missing; without a ledger the stages start all the same: intake goes on, the others hold."""
    try:
        for name in migrate(url):
            typer.echo(f"migration applied: {name}", err=True)
    except LedgerUnavailable as error:
        typer.echo(f"{error}; the stages that need it wait (a new one needs: hocba ledger migrate)", err=True)


async def _supervise(plan: Plan) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    supervisor = Supervisor(plan, tell=lambda line: typer.echo(line, err=True))
    await supervisor.run(stop)


def demo(
    *,
    records: Annotated[int, typer.Option(min=1, help="The least number of pupil records sent.")] = 3000,
    faults: Annotated[demo_run.FaultLevel, typer.Option(help="How much goes wrong.")] = demo_run.FaultLevel.LIGHT,
    seed: Annotated[int, typer.Option(help="The same seed plans the same events and refusals.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes a stage.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the run's folder in place.")] = False,
    bootstrap_servers: Annotated[str | None, typer.Option(help="A Kafka of your own, HOST:PORT.")] = None,
    ledger_url: Annotated[str | None, typer.Option(help="An empty PostgreSQL 18 database of your own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on standard output.")] = False,
) -> None:
    """Watch vendors' events become the unified stream and arrive at both targets through faults, then a repair."""
    wish = demo_run.Wish(
        records=records,
        faults=faults,
        seed=seed,
        workers=workers,
        keep=keep,
        bootstrap_servers=bootstrap_servers,
        ledger_url=ledger_url,
        as_json=as_json,
    )

    def make_workers(config: Path, state_dir: Path, counts: dict[str, int], tell: demo_run.Tell) -> Supervisor:
        return Supervisor(Plan(config=config, state_dir=state_dir, workers=counts), tell)

    raise typer.Exit(demo_run.run(wish, stage_names, make_workers))
