"""Both targets slow and faulty, workers that join, leave and are killed with -9 every few seconds: I1-I9 hold.

The judge reads the simulators' own books; a relay before the population platform sees which records are in flight
at the same time; while it goes on, the group's offsets are compared with what the ledger has taken over (I5).
"""

import asyncio
import itertools
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from gateway.edges.clock import monotonic_s
from gateway.sandbox.embedded import Servers, embedded_servers
from gateway.sandbox.simulators.book import read_summary
from tests.e2e.delivery_site import DeliverySite, Worker, delivery_site
from tests.fakes.relay import Relay, relay
from tests.fakes.stream import Made, stream
from tests.servers import FULL

PUPILS, VERSIONS = (6000, 4) if FULL else (120, 3)
LASTS_S = 240.0 if FULL else 12.0
EVERY_S = 5.0 if FULL else 2.5
MOST_WORKERS = 3
WINDOW = 100
FAULTS = {
    "population": {"latency_ms": [20, 150], "p_drop_after": 0.05, "p5xx": 0.05, "p429": 0.01, "p_missing": 0.01,
                   "p_refuse": 0.01, "p_retry": 0.01},
    "sector": {"latency_ms": [20, 150], "p_drop_after": 0.05, "p5xx": 0.05, "p_refuse": 0.01},
}  # fmt: skip

pytestmark = [pytest.mark.servers, pytest.mark.proof, pytest.mark.timeout(1200)]


@pytest.fixture
def own_servers() -> Iterator[Servers]:
    """Servers of one test alone: national.records has a fixed name."""
    with embedded_servers() as running:
        yield running


class Fleet:
    """The workers of one target, in motion."""

    def __init__(self, site: DeliverySite, target: str, url: str, dice: random.Random) -> None:
        self.site, self.target, self.dice = site, target, dice
        self.urls = {target: url}
        self.moves: Counter[str] = Counter()
        self.alive: list[Worker] = []
        self.turns = itertools.cycle(["kill", "leave", "join", "kill", "kill"])

    def join(self) -> None:
        """One more, and one for each that has ended."""
        self.alive = [worker for worker in self.alive if not worker.ended]
        self.alive.append(self.site.start(self.target, urls=self.urls))

    def move(self) -> None:
        """Somebody joins, leaves or is killed; a killed one is followed by another, as its supervisor would do."""
        self.alive = [worker for worker in self.alive if not worker.ended]
        kind = "join" if len(self.alive) < 2 else next(self.turns)
        kind = "kill" if kind == "join" and len(self.alive) >= MOST_WORKERS else kind
        self.moves[kind] += 1
        if kind == "join":
            self.join()
            return
        leaving = self.dice.choice(self.alive)
        leaving.process.send_signal(signal.SIGTERM if kind == "leave" else signal.SIGKILL)
        self.alive.remove(leaving)
        if kind == "kill":
            self.join()


@asynccontextmanager
async def moving(fleets: list[Fleet]) -> AsyncIterator[None]:
    """Moves every *EVERY_S* seconds, for *LASTS_S*."""

    async def go_on() -> None:
        ends_s = monotonic_s() + LASTS_S
        while monotonic_s() < ends_s:
            await asyncio.sleep(EVERY_S)
            for fleet in fleets:
                fleet.move()

    going = asyncio.create_task(go_on())
    yield
    await going


async def passed_too_early(site: DeliverySite, admin: AIOKafkaAdminClient, target: str) -> list[str]:
    """I5: records below the group's offset that are neither settled nor taken over in the ledger."""
    group = f"{site.config.kafka.group_prefix}.deliver.{target}"
    try:
        told = await admin.list_consumer_group_offsets(group)
    except GroupCoordinatorNotAvailableError:  # nobody has joined yet
        return []
    offsets = {partition.partition: one.offset for partition, one in told.items()}
    rows = site.rows(
        "SELECT event_id::text FROM deliveries WHERE target = %s "
        "UNION SELECT event_id::text FROM parked WHERE target = %s "
        "UNION SELECT m ->> 'event_id' FROM packets, jsonb_array_elements(members) m WHERE target = %s",
        *[target] * 3,
    )
    known = {event for (event,) in rows}
    return [
        f"I5: {target} slot {slot} offset {offset}"
        for slot, placed in site.placed.items()
        for offset, event in placed
        if offset < offsets.get(slot, 0) and event not in known
    ]


async def ended(fleet: Fleet, records: list[Made], overlaps: int) -> list[str]:
    """What is wrong once the fleet is at rest and an operator has released what three kills held back."""
    site, target = fleet.site, fleet.target
    fleet.join()
    await site.until_told(target, len(records), 60 + LASTS_S)
    released = await site.release_suspects(target, 60)
    await site.until_told(target, len(records), 60)
    summary = read_summary(site.targets[target].book)
    print(f"{target}: {dict(fleet.moves)}, {released} released; overlaps {overlaps}; {summary}")
    assert summary["duplicate_effects"] == summary["backwards"] == 0
    assert released <= max(0, fleet.moves["kill"] - 2), "each was in hand at three kills"
    return site.verdict(target, records)


async def test_nothing_is_lost_or_doubled_while_workers_come_go_and_die(own_servers: Servers, tmp_path: Path) -> None:
    records: list[Made] = []
    findings: list[str] = []
    delivery = {"lease_s": 2, "window_records": WINDOW}
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(delivery_site(own_servers, tmp_path, delivery=delivery))
        admin = AIOKafkaAdminClient(bootstrap_servers=own_servers.bootstrap_servers)
        await admin.start()
        stack.push_async_callback(admin.close)
        ways: dict[str, Relay] = {}
        fleets = []
        for target, plan in FAULTS.items():
            site.targets[target].faults(**plan)
            ways[target] = await stack.enter_async_context(relay(site.targets[target].url))
            fleets.append(Fleet(site, target, ways[target].url, random.Random(target)))
            fleets[-1].join()
        async with moving(fleets):
            every = list(stream(PUPILS, VERSIONS, slots=site.config.slots))
            for number in range(10):
                part = every[number * len(every) // 10 : (number + 1) * len(every) // 10]
                await site.publish(part)
                records += part
                await asyncio.sleep(LASTS_S / 10)
                for fleet in fleets:
                    findings += await passed_too_early(site, admin, fleet.target)
        for fleet in fleets:
            findings += await ended(fleet, records, len(ways[fleet.target].overlaps))
        assert findings == []
        assert ways["population"].overlaps == [], "two requests for one record at the same time"
        assert all(fleet.moves["kill"] and fleet.moves["leave"] + fleet.moves["join"] for fleet in fleets)
