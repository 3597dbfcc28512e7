"""Real Kafka and PostgreSQL for demo, bench and tests, which end with whoever started them.

`embedded_servers` prepares and starts both side by side; a keeper process (`keeper.py`) stops them
when the block is left or the starter dies, however it dies.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.sandbox import kafka_jars, kafka_server, postgres_server
from gateway.sandbox.folders import (
    cache_dir,
    default_data_dir,
    fresh_folder,
    is_root,
    lock_folder,
)
from gateway.sandbox.launch import EmbeddedServerError, Keeper, Progress

__all__ = ["EmbeddedServerError", "Servers", "default_data_dir", "embedded_servers"]

_EARLIER_RUN_ENDS_S = 20.0
_OFF = ("", 0)


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are. What was not started has an empty address and process id 0."""

    bootstrap_servers: str
    """`127.0.0.1:PORT`"""
    ledger_url: str = field(repr=False)
    """`postgresql://…` with password and database, for psycopg and child processes."""
    data_dir: Path
    kafka_pid: int
    postgres_pid: int


@contextmanager
def embedded_servers(
    *,
    data_dir: Path | None = None,
    keep: bool = False,
    kafka: bool = True,
    postgres: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Servers]:
    """Run Kafka and PostgreSQL for the length of a `with` block.

    A named *data_dir* is kept and used again: topics and database are there at the next start.
    Without one the data lies in a fresh folder, removed at the end unless *keep*. After a failed
    start the folder stays, for its logs. *progress* gets one line per step, from any thread.

    Raises:
        EmbeddedServerError: if a server cannot be had or started; its text is complete.
    """
    tell = progress or _say_nothing
    jars = kafka_jars.classpath(cache_dir(), progress=tell) if kafka else []
    folder = _named(data_dir) if data_dir is not None else fresh_folder(default_data_dir())
    lock = lock_folder(folder, timeout_s=_EARLIER_RUN_ENDS_S)
    keeper = Keeper(folder, remove=data_dir is None and not keep, lock=lock)
    try:
        try:
            servers = _start(keeper, folder, jars, postgres=postgres, tell=tell)
        except EmbeddedServerError:
            keeper.keep_folder()
            raise
        yield servers
    finally:
        keeper.close()


def _say_nothing(_line: str) -> None:
    return


def _named(data_dir: Path) -> Path:
    """Make a named data folder if need be; passable for PostgreSQL's account if root makes it."""
    folder = data_dir.expanduser().resolve()
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711 if is_root() else 0o700)
    return folder


def _start(keeper: Keeper, folder: Path, jars: list[Path], *, postgres: bool, tell: Progress) -> Servers:
    def run(name: str, start: Callable[[], tuple[str, int]]) -> tuple[str, int]:
        began = time.monotonic()
        address, pid = start()
        where = address.rpartition("@")[2]  # without the password
        tell(f"{name} is up at {where} in {time.monotonic() - began:.1f} s")
        return address, pid

    with ThreadPoolExecutor(2) as pool:
        broker = ledger = None
        if jars:
            name = f"Apache Kafka {kafka_jars.VERSION}"
            broker = pool.submit(run, name, lambda: kafka_server.start(keeper, folder, jars))
        if postgres:
            name = "PostgreSQL 18"
            ledger = pool.submit(run, name, lambda: postgres_server.start(keeper, folder))
    bootstrap_servers, kafka_pid = broker.result() if broker else _OFF
    ledger_url, postgres_pid = ledger.result() if ledger else _OFF
    return Servers(bootstrap_servers, ledger_url, folder, kafka_pid, postgres_pid)
