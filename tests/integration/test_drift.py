"""Design rule 9 on the real servers: what no rule reads and no table knows is counted, once, and shown with --live.

Mutations that make a test here fail (each was tried):
- the hook in ``outputs_of`` left out         → nothing is ever counted
- the watermark's ``WHERE`` left out          → a report read again counts twice
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from gateway.config import Config, Connectors, Kafka, Ledger, Registry
from gateway.edges import drift_ledger, ledger, topics
from gateway.edges.drift_ledger import MAX_NAMES, Told
from gateway.edges.keys import new_keys
from gateway.edges.ledger import Pool
from gateway.intake.drift import DriftReport
from gateway.ops.connector_commands import app
from gateway.record import DRIFT_TOPIC, Position, vendor_topic
from gateway.sandbox.embedded import embedded_servers
from gateway.sandbox.payloads import vnedu_message
from gateway.workers import intake, tower
from tests.unit.intake.loaded import CONNECTORS, row

pytestmark = pytest.mark.servers

NAME = "vnedu_flat_thcs"
SOON_S = 60.0


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker of its own: the stages take the gateway's topics as they are named."""
    with embedded_servers(postgres=False) as running:
        yield running.bootstrap_servers


@pytest.fixture
def config(broker: str, ledger_url: str, prefix: str, tmp_path: Path) -> Config:
    shutil.copytree(CONNECTORS / NAME, tmp_path / "connectors" / NAME)
    new_keys(tmp_path / "keys.json")
    return Config(
        slots=2,
        kafka=Kafka(
            bootstrap_servers=broker,
            replication_factor=1,
            min_insync_replicas=1,
            session_timeout_ms=6_000,
            group_prefix=prefix,
        ),
        ledger=Ledger(url=ledger_url, pool_size=2),
        keys_file=str(tmp_path / "keys.json"),
        state_dir=str(tmp_path),
        registry=Registry(url="http://unused", credentials_file="unused"),
        targets={},
        connectors=Connectors(path=str(tmp_path / "connectors")),
    )


@pytest.fixture
async def pool(config: Config) -> AsyncIterator[Pool]:
    pool = ledger.make_pool(config.ledger.url, 1)
    await pool.open()
    yield pool
    await pool.close()


def told(partition: int, offset: int, **counts: dict[str, int]) -> Told:
    report = DriftReport(connector=NAME, unknown=counts.get("unknown", {}), unseen=counts.get("unseen", {}))
    return Told(Position(DRIFT_TOPIC, partition, offset), datetime(2026, 6, 1, tzinfo=UTC), report)


async def counts(pool: Pool) -> dict[tuple[str, str], int]:
    return {(line.kind, line.name): line.times for line in await drift_ledger.counted(pool, [NAME])}


async def test_a_report_that_is_read_again_counts_once(pool: Pool) -> None:
    first, second = told(0, 5, unknown={"ghi_chu": 3}), told(0, 6, unknown={"ghi_chu": 2}, unseen={"DQ-11 gender": 1})
    other = told(1, 0, unknown={"ghi_chu": 10})

    for batch in ([first], [first, second], [second], [other], [first, second, other]):
        await drift_ledger.project(pool, batch)

    assert await counts(pool) == {("unknown", "ghi_chu"): 15, ("unseen", "DQ-11 gender"): 1}


async def test_countless_names_are_summed_under_one(pool: Pool) -> None:
    for offset in range(8):
        await drift_ledger.project(pool, [told(0, offset, unknown={f"x{offset}_{n}": 1 for n in range(64)})])

    found = await counts(pool)
    assert len(found) == MAX_NAMES + 1
    assert found["unknown", drift_ledger.MORE] == 8 * 64 - MAX_NAMES


async def publish(config: Config, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=config.kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(vendor_topic("vnedu", "records"), value, partition=1)


@contextlib.asynccontextmanager
async def running(config: Config) -> AsyncIterator[list["asyncio.Task[None]"]]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(intake.run(config, stop)), asyncio.create_task(tower.run(config, stop))]
    try:
        yield tasks
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def test_unknown_fields_and_unseen_words_reach_the_live_report(
    config: Config, pool: Pool, tmp_path: Path
) -> None:
    await topics.apply(config, topics.plan(config, {"vnedu"}))
    rows = [row(1, mau_moi="canary-one"), row(2, mau_moi=1, gioi_tinh="canary-two"), row(3)]
    async with running(config) as tasks:
        await publish(config, vnedu_message(rows))
        async with asyncio.timeout(SOON_S):
            while not await counts(pool):
                assert not any(task.done() for task in tasks)
                await asyncio.sleep(0.1)

    assert await counts(pool) == {("unknown", "mau_moi"): 2, ("unseen", "DQ-17 gender"): 1}
    with psycopg.connect(config.ledger.url) as connection:
        table = str(connection.execute("SELECT * FROM drift").fetchall())
    assert "canary" not in table

    file = tmp_path / "gateway.yaml"
    file.write_bytes(msgspec.yaml.encode(config))
    arguments = ["coverage", NAME, "--live", "--config", str(file), "--path", config.connectors.path]
    shown = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"])

    assert shown.exit_code == 0, shown.output
    (line,) = msgspec.json.decode(shown.stdout)
    assert [(one["name"], one["times"]) for one in line["unknown"]] == [("mau_moi", 2)]
    assert [(one["code"], one["field"], one["times"]) for one in line["unseen"]] == [("DQ-17", "gender", 1)]
