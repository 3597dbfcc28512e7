"""One worker process: ``python -m gateway.ops.worker STAGE --config FILE``.

What ends a worker tells its supervisor, by the exit code, who has to do something: 0 drained after TERM or INT, 2 a
person has to mend what the text says (configuration, topics, migrations), 1 a bug, which is logged as type and
position only, because a message may repeat a value (design rule 8).  A process that loses its supervisor, however
that died, sees the end of its standard input and drains as after TERM.
"""

import argparse
import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import uvloop

from gateway.config import Config, load_config
from gateway.edges.kafka_start import until_reachable
from gateway.edges.ledger import hold_while_down, pending_migrations
from gateway.edges.schema_registry import refuse_other_ids
from gateway.edges.telemetry import configure_logs, logger
from gateway.errors import GatewayError
from gateway.ops.supervisor import NEEDS_A_PERSON

DRAINED: Final = 0
BUG: Final = 1
ORPHAN_GRACE_S: Final = 15.0
"""How long a worker without supervisor may drain before it ends itself."""

COLLECT_AFTER: Final = (20_000, 20, 20)
COLLECT_AFTER_SENDING: Final = (2_000, 10, 5)
"""What a request leaves stands in cycles, a batch's bytes with it: in an outage 100 MB would wait to be collected."""

log = logger(__name__)
Run = Callable[[Config, asyncio.Event], Awaitable[None]]


class PendingMigrations(GatewayError):
    """The ledger's tables are older than this program."""


def stage_names(config: Config) -> list[str]:
    """Every stage that this installation has, in the order of the data's way."""
    return ["intake", "identity", *(f"deliver:{target}" for target in config.targets), "tower"]


def stage_run(stage: str) -> Run:
    """The coroutine function of *stage*; each process imports its own stage only (Faust stays out of the others)."""
    match stage.partition(":"):
        case ("intake", "", ""):
            from gateway.workers import intake  # noqa: PLC0415

            return intake.run
        case ("identity", "", ""):
            from gateway.workers import identity  # noqa: PLC0415

            return identity.run
        case ("deliver", ":", target) if target:
            from gateway.workers import delivery  # noqa: PLC0415

            return lambda config, stop: delivery.run(config, target, stop)
        case ("tower", "", ""):
            from gateway.workers import tower  # noqa: PLC0415

            return tower.run
        case _:
            message = f"there is no stage {stage!r}; stages: intake, identity, deliver:TARGET, tower"
            raise GatewayError(message)


async def check_migrations(url: str) -> None:
    """Wait for the ledger, then refuse to run on older tables."""
    pending = await hold_while_down(lambda: asyncio.to_thread(pending_migrations, url), "migrations check")
    if pending:
        message = f"the ledger lacks migrations ({', '.join(pending)}); run: hocba ledger migrate"
        raise PendingMigrations(message)


async def work(stage: str, config: Config) -> None:
    """Run *stage* until TERM or INT, drained."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    run = stage_run(stage)
    if config.schema_registry_url and (away := await refuse_other_ids(config.schema_registry_url)):
        log.warning("schema registry unavailable, starting with the bundled ids", reason=away.reason)
    if stage != "intake":  # intake needs no database
        await check_migrations(config.ledger.url)
    log.info("worker starts", pid=os.getpid())
    await until_reachable(config.kafka, stop)
    if not stop.is_set():
        await run(config, stop)
    log.info("worker drained")


def _end_with_stdin() -> None:
    """Drain when the supervisor's end of the pipe is closed; end anyway when that takes too long."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(ORPHAN_GRACE_S)
    os._exit(BUG)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _exit_code(error: BaseException) -> int:
    """Tell what ended the worker, and to whom it matters."""
    leaves = list(_leaves(error))
    if all(isinstance(leaf, GatewayError) for leaf in leaves):
        for leaf in leaves:
            sys.stderr.write(f"{leaf}\n")
        return NEEDS_A_PERSON
    for leaf in leaves:
        log.error("worker ends by an unexpected exception", exc_info=leaf)
    return BUG


def collect_rarely(stage: str = "") -> None:
    """Look for cycles less often, and not among what was imported: records make hardly any, and reference counts free
    the rest at once.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*(COLLECT_AFTER_SENDING if stage.startswith("deliver:") else COLLECT_AFTER))


def main(arguments: list[str] | None = None) -> int:
    """Run one worker to its end; the exit code says who has to do something."""
    parser = argparse.ArgumentParser(prog="python -m gateway.ops.worker")
    parser.add_argument("stage")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--until-eof", action="store_true", help="drain when standard input ends")
    asked = parser.parse_args(arguments)
    configure_logs(asked.stage)
    if asked.until_eof:
        threading.Thread(target=_end_with_stdin, daemon=True, name="supervisor-watch").start()
    try:
        config = load_config(asked.config, os.environ)
        collect_rarely(asked.stage)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work(asked.stage, config))
    except BaseException as error:  # noqa: BLE001  the composition root: nothing is above that could tell of it
        return _exit_code(error)
    return DRAINED


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a worker that has drained, or must die, waits for no thread of a library
