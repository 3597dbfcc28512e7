"""Session fixtures with the real embedded servers: `pytest_plugins = ["tests.servers"]`.

One Kafka and one PostgreSQL serve the whole session. Tests stay apart by a fresh database each
(`ledger_url`) and by a prefix for their topics and groups (`prefix`).
"""

import os
import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

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
    """Make an empty database for this test alone and yield its URL."""
    name = sql.Identifier(f"ledger_{prefix}")
    with psycopg.connect(servers.ledger_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    server, _, _ = servers.ledger_url.rpartition("/")
    yield f"{server}/ledger_{prefix}"
    with psycopg.connect(servers.ledger_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


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
