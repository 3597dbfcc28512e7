"""``hocba``: one verb for one thing, ``--json`` where a program would read, exit code 0 only when the promise holds."""

import sys

import typer
from rich.console import Console

from gateway.errors import GatewayError
from gateway.ops import (
    bench_commands,
    connector_commands,
    operator_commands,
    run_commands,
    schema_commands,
    setup_commands,
)

app = typer.Typer(
    help="Gateway for Vietnam's digital school records (học bạ số).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
run_commands.register(app)
setup_commands.register(app)
operator_commands.register(app)
bench_commands.register(app)
app.add_typer(schema_commands.app, name="schema", help="The national Avro schema.")
app.add_typer(connector_commands.app, name="connector", help="Vendors' connectors: list, lint, test.")
app.command("check", help="A vendor's dry run of payload files, offline.")(connector_commands.check_command)


def main() -> None:
    """Entry point: a fault a person can mend prints its text, never a traceback."""
    try:
        app()
    except GatewayError as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/red] {error}", highlight=False)
        sys.exit(2)
