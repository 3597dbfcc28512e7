"""``hocba``: one verb for one thing, ``--json`` where a program would read, exit code 0 only when the promise holds."""

import logging
import sys

import psycopg
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.markup import escape

from gateway.errors import GatewayError
from gateway.ops import (
    bench_commands,
    check_commands,
    connector_commands,
    identity_commands,
    keys_commands,
    operator_commands,
    run_commands,
    schema_commands,
    setup_commands,
    target_commands,
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
target_commands.register(app)
bench_commands.register(app)
app.add_typer(schema_commands.app, name="schema", help="The national Avro schema.")
app.add_typer(connector_commands.app, name="connector", help="Vendors' connectors: make, check, test and compare them.")
app.add_typer(identity_commands.app, name="identity", help="Pupils' identities.")
app.add_typer(keys_commands.app, name="keys", help="The keys: made, rotated, and the ledger sealed anew.")
app.command("check", help="A vendor's dry run of payload files, offline.")(check_commands.check_command)


def main() -> None:
    """Entry point: a fault a person can mend prints its text, never a traceback."""
    for library in ("aiokafka", "psycopg.pool"):  # the one error below says it, without addresses and passwords
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        app()
    except (GatewayError, KafkaError, psycopg.Error, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/red] {escape(_text(error))}", highlight=False)
        sys.exit(2)


def _text(error: Exception) -> str:
    """What a person can do; messages of libraries may repeat values, so they are not shown."""
    match error:
        case KafkaError():
            return "Kafka cannot be reached or refuses; check kafka.bootstrap_servers (--bootstrap-servers)"
        case psycopg.Error():
            return "the ledger cannot be reached or refuses; check ledger.url (--ledger-url) and `hocba ledger status`"
        case OSError():
            return f"{error.strerror or type(error).__name__}: {error.filename or ''}"
        case _:
            return str(error)
