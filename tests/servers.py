"""Session fixtures with the real embedded servers: `pytest_plugins = ["tests.servers"]`.

One Kafka and one PostgreSQL serve the whole session. Tests stay apart by a fresh database each
(`ledger_url`, or `database_url` without tables) and by a prefix for their topics and groups (`prefix`).
"""

import os
import secrets
from collections.abc import Iterator
from functools import cache
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from gateway.edges.ledger import migrate
from gateway.sandbox.embedded import Servers, embedded_servers
from gateway.sandbox.registry_server import running_registry

FULL = os.environ.get("HOCBA_PROOF") == "full"
"""Proofs run in full (`make proof`), not in the size of CI."""

if not FULL:
    # most of these servers live for seconds: the JVM's second compiler would take a quarter of the processor time
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Kafka and PostgreSQL for the whole session, in a fresh data folder."""
    with embedded_servers() as running:
        yield running


@pytest.fixture(scope="session")
def bootstrap_servers(servers: Servers) -> str:
    """Return the broker's `host:port`."""
    return servers.bootstrap_servers


@pytest.fixture
def ledger_url(servers: Servers, prefix: str) -> Iterator[str]:
    """Make a ledger for this test alone and yield its URL."""
    yield new_ledger(servers, f"ledger_{prefix}")
    _execute(servers.ledger_url, "DROP DATABASE {} WITH (FORCE)", f"ledger_{prefix}")


@pytest.fixture
def database_url(servers: Servers, prefix: str) -> Iterator[str]:
    """Make an empty database for this test alone and yield its URL."""
    yield _new_database(servers.ledger_url, f"empty_{prefix}")
    _execute(servers.ledger_url, "DROP DATABASE {} WITH (FORCE)", f"empty_{prefix}")


def new_ledger(servers: Servers, name: str) -> str:
    """Make the database *name* with the ledger's tables and return its URL.

    Migrating takes a second: each server does it once, the rest are copies.
    """
    template = _migrated(servers.ledger_url)
    _execute(servers.ledger_url, "CREATE DATABASE {} TEMPLATE {}", name, template)
    return _url(servers.ledger_url, name)


@cache
def _migrated(server: str) -> str:
    if not FULL:
        # what a killed process has written is in the page cache: only the machine's own end could tell the difference,
        # and a server with a dozen ledgers of 800 files each would take half a minute to stop on a busy disk
        for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):
            _execute(server, statement)
    migrate(_new_database(server, "migrated"))
    return "migrated"


def _new_database(server: str, name: str) -> str:
    _execute(server, "CREATE DATABASE {}", name)
    return _url(server, name)


def _url(server: str, name: str) -> str:
    return f"{server.rpartition('/')[0]}/{name}"


def _execute(server: str, statement: LiteralString, *names: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture
def prefix() -> str:
    """Return a short unique string for this test's topics, groups and transactional ids."""
    return f"t{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def schema_registry_url() -> Iterator[str]:
    """Run one schema registry for the session and yield its address with the API's path.

    It starts empty and gives ids in the order of registration: whoever needs the bundled ids in it registers those
    (`hocba schema register`) before any other schema. A test about other ids runs a registry of its own.
    """
    with running_registry(progress=print) as registry:
        yield registry.url
