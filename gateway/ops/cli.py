"""``hocba``: one verb for one thing, ``--json`` where a program would read, exit code 0 only when the promise holds."""

import logging
import sys
from importlib import import_module
from typing import Any, Final

import psycopg
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from gateway.errors import GatewayError

VERBS: Final = {
    "run": "run_commands:run",
    "demo": "run_commands:demo",
    "explain": "operator_commands:explain",
    "tail": "operator_commands:tail",
    "targets": "target_commands:targets",
    "check": "check_commands:check",
    "topics": "setup_commands:topics_app",
    "ledger": "setup_commands:ledger_app",
    "rejected": "operator_commands:rejected_app",
    "parked": "operator_commands:parked_app",
    "replay": "operator_commands:replay_app",
    "bench": "bench_commands:app",
    "schema": "schema_commands:app",
    "connector": "connector_commands:app",
    "identity": "identity_commands:app",
    "keys": "keys_commands:app",
}


class Verbs(TyperGroup):
    """Imports a verb when it is asked for: all of them take two seconds, one of them half of that."""

    def list_commands(self, ctx: object) -> list[str]:
        """The verbs in the order in which help shows them."""
        return list(VERBS)

    def get_command(self, ctx: object, cmd_name: str) -> Any:
        """The verb; None when there is no such verb, and all of them are there to suggest one."""
        asked = typer.Typer()
        for verb in VERBS.keys() & {cmd_name} or VERBS:
            module, _, attribute = VERBS[verb].partition(":")
            found = getattr(import_module(f"gateway.ops.{module}"), attribute)
            if isinstance(found, typer.Typer):
                asked.add_typer(found, name=verb)
            else:
                asked.command(verb)(found)
        self.commands.update(typer.main.get_group(asked).commands)
        return self.commands.get(cmd_name)


app = typer.Typer(
    cls=Verbs,
    help="Gateway for Vietnam's digital school records (học bạ số).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.callback()(lambda: None)  # what makes it a group


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
