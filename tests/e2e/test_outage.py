"""A long outage of a target with a backlog behind it, many parked lanes, and a rebalance in the middle.

Two hours are compressed into minutes: the waits of the contract are shortened by as much.  The most memory of each
worker over its whole life is read from the kernel; rates and order come from the simulator's own book.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pytest

from gateway.edges.clock import monotonic_s
from gateway.sandbox.embedded import embedded_servers
from gateway.sandbox.simulators.book import read_sends
from tests.e2e.delivery_site import DeliverySite, Worker, delivery_site
from tests.fakes.stream import Made, stream
from tests.servers import FULL

TARGET = "population"
LANES = 500_000 if FULL else 30_000
BEHIND, BEFORE = (200_000, 40_000) if FULL else (6_400, 2_400)
VERSIONS = 4
AWAY_S = 150.0 if FULL else 6.0
MOST_MB = 300
SHARE = 0.8 if FULL else 0.5
"""Of the normal rate; the short run is over in seconds, of which the first probe takes its part."""
BATCH, CONCURRENCY, LATENCY_S = (100, 2, 0.25) if FULL else (50, 2, 0.25)
WORKERS = 2
LIMIT_PER_S = WORKERS * CONCURRENCY * BATCH * (1 + 1 / LATENCY_S)
"""What the contract allows: so many requests at a time, none answered sooner, and those under way at first."""
SLOW: dict[str, object] = {"latency_ms": [LATENCY_S * 1000] * 2}
CONTRACT = {
    "batch": {"records": BATCH, "bytes": 8_388_608, "age_ms": 50},
    "concurrency": CONCURRENCY,
    "retry": {"base_s": 0.1, "cap_s": 2 if FULL else 0.4},
}
DELIVERY = {"lease_s": 10, "window_records": 1000 if FULL else 100}
"""Two windows hold fewer records than a slot has pupils: no version overtakes another while it waits."""
PARKED = """
INSERT INTO parked (stage, target, slot, topic_offset, lane, record_id, event_id, vendor, school_year, version,
                    content_hash, op, state, code, owner)
SELECT 'delivery', %s, n %% %s, 1000000000 + n, n, gen_random_uuid(), gen_random_uuid(), 'mau', 2023, 1,
       '\\x00', 'UPDATE', 'parked', 'TG-01', 'target' FROM generate_series(1, %s) AS n
"""

pytestmark = [pytest.mark.servers, pytest.mark.proof, pytest.mark.timeout(1800)]


def made(records: int) -> Iterator[Made]:
    """So many records, in versions; no two calls with different numbers share a pupil."""
    return stream(records // VERSIONS, VERSIONS, slots=4, salt=str(records))


async def drained(site: DeliverySite, count: int) -> float:
    """Seconds until *count* records are settled in all."""
    began_s = monotonic_s()
    await site.until_settled(TARGET, count, 900)
    return monotonic_s() - began_s


def peak_per_s(site: DeliverySite) -> int:
    """Most records that arrived in one second, as the book tells."""
    seconds = Counter(row.at_ms // 1000 for row in read_sends(site.targets[TARGET].book))
    return max(seconds.values())


@dataclass
class Run:
    """One run and its figures."""

    site: DeliverySite
    workers: list[Worker] = field(default_factory=list)
    peaks_mb: list[float] = field(default_factory=list)

    async def begin(self) -> None:
        """Parked lanes from before, and workers that share the slots."""
        site = self.site
        site.targets[TARGET].faults(**SLOW)
        site.rows(PARKED + "RETURNING 1", TARGET, site.config.slots, LANES)
        self.workers = [site.start(TARGET) for _ in range(WORKERS)]
        while len(set(site.owners(TARGET).values())) < WORKERS:
            await asyncio.sleep(0.2)

    async def outage(self) -> None:
        """Away, with one worker replaced in the middle."""
        await asyncio.sleep(AWAY_S / 2)
        self.measure()
        self.workers[0].process.send_signal(signal.SIGTERM)
        self.workers.append(self.site.start(TARGET))
        await asyncio.sleep(AWAY_S / 2)
        self.site.targets[TARGET].faults(**SLOW)

    def measure(self) -> None:
        """The most memory that each worker held so far."""
        self.peaks_mb += [worker.peak_mb for worker in self.workers if not worker.ended]


async def test_an_outage_holds_and_drains_without_a_storm_in_little_memory(tmp_path: Path) -> None:
    with embedded_servers() as servers:
        async with delivery_site(
            servers, tmp_path, contracts={TARGET: CONTRACT}, delivery=DELIVERY, session_ms=10_000
        ) as site:
            run = Run(site)
            await run.begin()
            await site.publish(made(BEFORE))
            normal = BEFORE / await drained(site, BEFORE)
            site.targets[TARGET].faults(**SLOW, down=True)
            await site.publish(made(BEHIND))
            await run.outage()
            held = site.settled(TARGET) - BEFORE
            rate = BEHIND / await drained(site, BEFORE + BEHIND)
            run.measure()
            peak, most_mb = peak_per_s(site), max(run.peaks_mb)
            print(
                f"{LANES} parked lanes, {BEHIND} records behind an outage of {AWAY_S:.0f} s: "
                f"normal {normal:.0f}/s, drained at {rate:.0f}/s ({rate / normal:.0%}), "
                f"peak {peak}/s of {LIMIT_PER_S:.0f}/s, memory at most {most_mb:.0f} MB"
            )

            assert held == 0, "records were settled while the target was away"
            assert most_mb < MOST_MB
            assert rate >= SHARE * normal
            assert peak <= LIMIT_PER_S
            assert site.verdict(TARGET, chain(made(BEFORE), made(BEHIND))) == []
            assert site.rows("SELECT count(*) FROM parked WHERE state = 'parked'") == [(LANES,)]
