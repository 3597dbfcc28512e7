"""Commands that prepare an installation: topics and ledger."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from gateway.config import Config, load_config
from gateway.edges import ledger, topics
from gateway.edges.connector_files import load_connectors

ConfigOption = Annotated[
    Path, typer.Option("--config", envvar="HOCBA_CONFIG", help="The configuration file.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

topics_app = typer.Typer(no_args_is_help=True, help="Kafka topics and their policies.")
ledger_app = typer.Typer(no_args_is_help=True, help="The PostgreSQL ledger.")


def read_config(path: Path) -> Config:
    """The configuration for a command."""
    return load_config(path, os.environ)


def _vendors(config: Config) -> set[str]:
    loaded = load_connectors(Path(config.connectors.path), config.connectors.enabled or None)
    return {connector.vendor for connector in loaded.values()}


@topics_app.command("plan")
def topics_plan(config: ConfigOption = Path("gateway.yaml"), *, as_json: JsonOption = False) -> None:
    """Show every topic as it must be, and what the broker has otherwise; exit code 1 on a difference."""
    settings = read_config(config)
    plans = topics.plan(settings, _vendors(settings))
    found = asyncio.run(topics.differences(settings, plans))
    if as_json:
        typer.echo(msgspec.json.encode({"topics": plans, "differences": found}))
    else:
        table = Table("topic", "partitions", "replicas", "policy")
        for plan in plans:
            policy = ", ".join(f"{key}={value}" for key, value in plan.policy.items())
            table.add_row(plan.name, str(plan.partitions), str(plan.replication_factor), policy)
        console = Console()
        console.print(table)
        for line in found:
            console.print(f"[yellow]differs[/yellow] {line}", highlight=False)
    raise typer.Exit(1 if found else 0)


@topics_app.command("apply")
def topics_apply(config: ConfigOption = Path("gateway.yaml"), *, as_json: JsonOption = False) -> None:
    """Create missing topics and set policies that differ; partition counts are never altered."""
    settings = read_config(config)
    done = asyncio.run(topics.apply(settings, topics.plan(settings, _vendors(settings))))
    if as_json:
        typer.echo(msgspec.json.encode({"done": done}))
    else:
        typer.echo("\n".join(done) or "nothing to do")


@ledger_app.command("migrate")
def ledger_migrate(config: ConfigOption = Path("gateway.yaml"), *, as_json: JsonOption = False) -> None:
    """Apply the missing migrations, one process at a time."""
    done = ledger.migrate(read_config(config).ledger.url)
    typer.echo(msgspec.json.encode({"applied": done}) if as_json else "\n".join(done) or "nothing to do")


@ledger_app.command("status")
def ledger_status(config: ConfigOption = Path("gateway.yaml"), *, as_json: JsonOption = False) -> None:
    """Tell which migrations are missing; exit code 1 when one is."""
    missing = ledger.pending_migrations(read_config(config).ledger.url)
    typer.echo(msgspec.json.encode({"missing": missing}) if as_json else "\n".join(missing) or "up to date")
    raise typer.Exit(1 if missing else 0)
