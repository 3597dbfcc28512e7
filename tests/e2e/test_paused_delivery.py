"""A delivery worker that is paused and wakes neither sends nor writes: its slots have another owner.

SIGSTOP with requests in flight (booked, not answered) and lane heads unsent, until the session and the lease have run
out and the other worker holds the slots; SIGCONT at a random moment after.  Its requests go through a relay of its own,
so that what it sends after waking is known; triggers in the ledger tell who wrote.  One request that was past the lease
check when the worker stopped may still leave: it is counted, and its key makes it harmless.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from gateway.edges.clock import monotonic_s, now_ms
from gateway.sandbox.embedded import Servers, embedded_servers
from gateway.sandbox.simulators.book import read_summary
from tests.e2e.delivery_site import DeliverySite, Worker, delivery_site
from tests.fakes.relay import Relay, relay
from tests.fakes.stream import Made, stream
from tests.servers import FULL

RUNS = 50 if FULL else 10
PUPILS, VERSIONS = 240, 1
TARGET = "population"
SLOTS = 4
WAIT_S = 90.0
CATCH_S, TRIES = 5.0, 5
CONTRACT_RECORDS = 4
CONTRACT = {"batch": {"records": CONTRACT_RECORDS, "bytes": 8_388_608, "age_ms": 10}, "concurrency": 6}
SLOW = {"latency_ms": [5, 15], "stall_after_s": 0.25}

pytestmark = [pytest.mark.servers, pytest.mark.proof]


@pytest.fixture
def servers_of_test() -> Iterator[Servers]:
    """Servers of one test alone: national.records has a fixed name."""
    with embedded_servers() as running:
        yield running


@pytest.fixture
async def site(servers_of_test: Servers, tmp_path: Path) -> AsyncIterator[DeliverySite]:
    """Short times, small batches, answers that come late."""
    delivery = {"lease_s": 1.5, "window_records": 60, "drain_s": 0.5}
    async with delivery_site(
        servers_of_test, tmp_path, delivery=delivery, contracts={TARGET: CONTRACT}, session_ms=1500, slots=SLOTS
    ) as made:
        made.targets[TARGET].faults(**SLOW)
        yield made


@dataclass
class Duel:
    """Two workers that share the slots, each behind a relay of its own; one of them is paused in each run."""

    site: DeliverySite
    mutation: str
    stack: AsyncExitStack
    dice: random.Random
    salt: str
    sides: list[tuple[Worker, Relay]] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)

    async def both(self) -> None:
        """Two workers at work, each with slots."""
        await self.until(self._both_at_work, "both at work")

    def _both_at_work(self) -> bool:
        held = self.site.owners(TARGET)
        running = {worker.owner for worker, _ in self.sides}
        return len(held) == SLOTS and len(running) == 2 and set(held.values()) == running

    async def caught(self, number: int) -> "Caught":
        """One of the two with requests in flight; anew, should the records be used up by a worker's late end."""
        for again in range(TRIES):
            await self.both()
            records = list(stream(PUPILS, VERSIONS, slots=SLOTS, salt=f"{self.salt}run{number}.{again}"))
            before = self.site.settled(TARGET)
            self.made += records
            await self.site.publish(records)
            await self.until(partial(self._has_settled, before + 9), "begun")
            await asyncio.sleep(self.dice.uniform(0, 0.3))
            worker, way = self.dice.choice(self.sides)
            ends_s = monotonic_s() + CATCH_S
            while monotonic_s() < ends_s and not worker.ended:
                if way.in_flight > 3:
                    return Caught(worker, way, records, before + len(records))
                await asyncio.sleep(0.01)
            await self.until(partial(self._has_settled, before + len(records)), "settled")
        pytest.fail("requests in flight were never seen")

    def _has_settled(self, count: int) -> bool:
        return self.site.settled(TARGET) >= count

    async def _fill(self) -> None:
        """As a supervisor does: a worker in the place of one that ended, as who woke may at any time."""
        for worker, _ in self.sides:
            if worker.ended and self.mutation == "none":
                assert "LostSlot" in worker.told(), worker.told()
        self.sides = [side for side in self.sides if not side[0].ended]
        while len(self.sides) < 2:
            way = await self.stack.enter_async_context(relay(self.site.targets[TARGET].url))
            worker = self.site.start(TARGET, mutation=self.mutation, urls={TARGET: way.url})
            self.sides.append((worker, way))

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for it."""
        ends_s = monotonic_s() + WAIT_S
        await self._fill()
        while not condition():
            await self._fill()
            if monotonic_s() > ends_s:
                told = "\n".join(worker.told() for worker, _ in self.sides)
                pytest.fail(f"{what}: {self.site.owners(TARGET)}\n{told}")
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Caught:
    """Who is paused in a run, its way out, the run's records, and how many are settled at its end."""

    worker: Worker
    way: Relay
    records: list[Made]
    settled: int


@dataclass(frozen=True)
class Outcome:
    """What one run showed: POSTs of the one that woke, and whether it had to end or was given slots anew."""

    in_flight: int
    unsent: int
    late_posts: int
    ended: bool


async def one_run(duel: Duel, number: int) -> Outcome:
    site = duel.site
    caught = await duel.caught(number)
    zombie, way = caught.worker, caught.way
    zombie.process.send_signal(signal.SIGSTOP)
    in_flight, unsent = way.in_flight, _unsent(site, zombie, caught.records)
    await duel.until(
        lambda: len(held := site.owners(TARGET)) == SLOTS and zombie.owner not in held.values(),
        "taken over",
    )
    await asyncio.sleep(duel.dice.uniform(0, 1.0))
    woke_s = monotonic_s()
    epochs = site.rows("SELECT max(epoch) FROM owners WHERE owner = %s", zombie.owner)
    zombie.process.send_signal(signal.SIGCONT)
    await duel.until(lambda: zombie.ended or _came_back_s(site, zombie, epochs[0][0]) is not None, "woken")
    back_s = _came_back_s(site, zombie, epochs[0][0])
    late = way.posts_between(woke_s, monotonic_s() if back_s is None else back_s)
    if duel.mutation == "none":
        await duel.until(lambda: site.settled(TARGET) >= caught.settled, "settled")
    return Outcome(in_flight, unsent - in_flight * CONTRACT_RECORDS, late, zombie.ended)


def _unsent(site: DeliverySite, worker: Worker, records: list[Made]) -> int:
    """Records of this run in the slots of *worker* without an end state."""
    mine = {slot for slot, owner in site.owners(TARGET).items() if owner == worker.owner}
    settled = {event for (event,) in site.rows("SELECT event_id::text FROM deliveries WHERE target = %s", TARGET)}
    return sum(one.slot in mine and one.event_id not in settled for one in records)


def _came_back_s(site: DeliverySite, zombie: Worker, epoch: int) -> float | None:
    """When it was given a slot by the group, on our clock, if it was since it woke; what it sends then is its right."""
    statement = "SELECT extract(epoch FROM min(at)) FROM owners WHERE owner = %s AND epoch > %s"
    [(at_s,)] = site.rows(statement, zombie.owner, epoch)
    return None if at_s is None else float(at_s) - now_ms() / 1000 + monotonic_s()


async def duel_of(site: DeliverySite, runs: int, mutation: str, salt: str = "") -> tuple[list[Outcome], list[str]]:
    """*runs* runs and what is wrong after them."""
    async with AsyncExitStack() as stack:
        duel = Duel(site, mutation, stack, random.Random(f"20261130{salt}"), salt)
        outcomes = []
        for number in range(runs):
            outcomes.append(await one_run(duel, number))
            print(f"run {number}: {outcomes[-1]}")
        for worker, _ in duel.sides:
            worker.kill()
        return outcomes, site.verdict(TARGET, duel.made)


@pytest.mark.timeout(RUNS * 40)
async def test_a_paused_worker_that_wakes_neither_sends_nor_writes(site: DeliverySite) -> None:
    outcomes, findings = await duel_of(site, RUNS, "none")
    late = [outcome.late_posts for outcome in outcomes]
    print(f"{RUNS} pauses: requests after waking {sum(late)}, summary {read_summary(site.targets[TARGET].book)}")

    assert findings == []
    assert max(late) <= 1, "more than the one that may have been past the lease check"
    assert all(outcome.unsent > 0 for outcome in outcomes)
    assert all(outcome.in_flight > 0 for outcome in outcomes)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("mutation", ["no-epoch", "no-lease"] if FULL else ["no-epoch"])
async def test_the_proof_finds_a_worker_without_the_rule(site: DeliverySite, mutation: str) -> None:
    """Mutation: the lease is not asked before sending, or the epoch not compared before writing."""
    found = False
    for tries in range(6):
        outcomes, findings = await duel_of(site, 1, mutation, salt=f"{mutation}{tries}")
        found = outcomes[0].late_posts > 1 or any(finding.startswith("stray write") for finding in findings)
        if found:
            break

    assert found
