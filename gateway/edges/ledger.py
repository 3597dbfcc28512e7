"""The ledger's connection: pool, migrations under an advisory lock, and what an outage looks like.

An outage of PostgreSQL holds the stage that needs it (design rule 1): ``hold_while_down`` waits and tries again,
nothing is parked or counted.  What PostgreSQL can never take (``refuses_content``) is no outage and is raised.
Errors never carry DETAIL texts, which repeat values.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import psycopg
import yoyo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.edges.telemetry import logger
from gateway.errors import GatewayError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
MIGRATION_LOCK: Final = 0x686F636261  # "hocba": one migrating process at a time, whatever yoyo's own lock does
RETRY_S: Final = 0.5
IDLE_S: Final = 5.0
"""How long a transaction may lie open unattended: a paused worker must not keep its slot's row from its successor."""
LIMIT_EXCEEDED: Final = "54"
"""The SQLSTATE class of what is too large or too complex; psycopg files it with the outages."""
Result = TypeVar("Result")
OUTAGES: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,  # this process stood still inside a transaction
    PoolTimeout,
)
Pool = AsyncConnectionPool[psycopg.AsyncConnection[tuple[object, ...]]]

_IDLE: Final = "SELECT set_config('idle_in_transaction_session_timeout', %s, false)"

log = logger(__name__)


class LedgerUnavailable(GatewayError):
    """PostgreSQL cannot be reached; the stage holds."""


def _yoyo_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def migrate(url: str) -> list[str]:
    """Apply what is missing; the names of the migrations applied.  Raises LedgerUnavailable."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as lock:
            lock.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
            backend = yoyo.get_backend(_yoyo_url(url))
            missing = backend.to_apply(yoyo.read_migrations(str(MIGRATIONS)))
            names = [migration.id for migration in missing]
            backend.apply_migrations(missing)
            backend.connection.close()
            return names
    except psycopg.OperationalError as error:
        message = "the ledger (PostgreSQL) cannot be reached; check ledger.url"
        raise LedgerUnavailable(message) from error


def pending_migrations(url: str) -> list[str]:
    """The names of the migrations that *migrate* would apply."""
    backend = yoyo.get_backend(_yoyo_url(url))
    try:
        return [migration.id for migration in backend.to_apply(yoyo.read_migrations(str(MIGRATIONS)))]
    finally:
        backend.connection.close()


def make_pool(url: str, size: int) -> Pool:
    """A pool that is not yet open; connections commit only inside ``connection.transaction()`` blocks."""
    return AsyncConnectionPool(
        url, min_size=1, max_size=size, open=False, timeout=10.0, kwargs={"autocommit": True}, configure=_configure
    )


async def _configure(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    await connection.execute(_IDLE, (f"{IDLE_S:g}s",))


async def ping(pool: Pool) -> None:
    """Ask the ledger for an answer; raises one of OUTAGES when there is none."""
    async with pool.connection() as connection:
        await connection.execute("SELECT")


def refuses_content(error: psycopg.Error) -> bool:
    """Whether *error* is about the values that were sent, so that sending them again cannot help."""
    return isinstance(error, psycopg.DataError) or (error.sqlstate or "").startswith(LIMIT_EXCEEDED)


async def hold_while_down(work: Callable[[], Awaitable[Result]], what: str) -> Result:
    """Perform *work* (safe to repeat), waiting through an outage of PostgreSQL for as long as it lasts."""
    told = False
    while True:
        try:
            return await work()
        except OUTAGES as error:
            if refuses_content(error):
                log.error("the ledger cannot take this", what=what, sqlstate=error.sqlstate)  # noqa: TRY400  no values
                raise
            if not told:
                log.warning("ledger unavailable, holding", what=what, sqlstate=error.sqlstate)
                told = True
            await asyncio.sleep(RETRY_S)
