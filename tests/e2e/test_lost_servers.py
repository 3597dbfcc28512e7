"""A delivery worker that loses PostgreSQL or Kafka holds and goes on by itself: same process, nothing lost or doubled.

Each server is killed with -9 in mid-flight, is away for longer than session and lease, and is started again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from gateway.sandbox.embedded import Servers, embedded_servers
from tests.e2e.delivery_site import DeliverySite, delivery_site
from tests.e2e.server_loss import Lost, lost
from tests.fakes.stream import stream
from tests.servers import FULL

PUPILS, VERSIONS = (2000, 3) if FULL else (150, 2)
AWAY_S = 70.0 if FULL else 5.0
"""In full longer than aiokafka's own time-outs (40 s)."""
WITHIN_S = 300.0 if FULL else 90.0
CASES = [("kafka", "population"), ("postgres", "sector")]
CASES += [("kafka", "sector"), ("postgres", "population")] if FULL else []

pytestmark = [pytest.mark.servers, pytest.mark.proof, pytest.mark.timeout(1000 if FULL else 400)]


@pytest.fixture
def own_servers() -> Iterator[Servers]:
    """Servers of one test alone: it kills them."""
    with embedded_servers() as running:
        yield running


@pytest.fixture
async def site(own_servers: Servers, tmp_path: Path) -> AsyncIterator[DeliverySite]:
    async with delivery_site(own_servers, tmp_path, delivery={"lease_s": 2, "window_records": 100}) as made:
        for simulator in made.targets.values():
            simulator.faults(latency_ms=[5, 20])
        yield made


def away(servers: Servers, what: str) -> AbstractAsyncContextManager[Lost]:
    """Kill that server."""
    if what == "kafka":
        return lost(
            servers.kafka_pid, int(servers.bootstrap_servers.rpartition(":")[2]), servers.data_dir / "kafka.log"
        )
    port = int(servers.ledger_url.rpartition("@")[2].partition("/")[0].rpartition(":")[2])
    return lost(servers.postgres_pid, port, servers.data_dir / "postgres.log")


@pytest.mark.parametrize(("what", "target"), CASES)
async def test_a_worker_that_loses_a_server_holds_and_goes_on(site: DeliverySite, what: str, target: str) -> None:
    records = list(stream(PUPILS, VERSIONS, slots=site.config.slots))
    half = len(records) // 2
    await site.publish(records[:half])
    worker = site.start(target)
    await site.until_settled(target, half // 2, WITHIN_S)
    async with away(site.servers, what) as server:
        await asyncio.sleep(AWAY_S)
        assert not worker.ended, worker.told()
        await server.back()
        await site.publish(records[half:])
        await site.until_settled(target, len(records), WITHIN_S)

        assert not worker.ended, worker.told()
        assert site.verdict(target, records) == []


async def test_a_worker_that_starts_while_kafka_is_away_begins_when_it_is_back(site: DeliverySite) -> None:
    records = list(stream(20, 1, slots=site.config.slots))
    await site.publish(records)
    async with away(site.servers, "kafka") as server:
        worker = site.start("population")
        await asyncio.sleep(AWAY_S)
        assert not worker.ended, worker.told()
        await server.back()
        await site.until_settled("population", len(records), WITHIN_S)

        assert not worker.ended, worker.told()
        assert site.verdict("population", records) == []
