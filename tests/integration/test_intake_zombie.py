"""Exactly once through a paused owner: it wakes in the middle of the take-over, or after it, and nothing is doubled.

Twelve slots, a transaction open in each at SIGSTOP (asserted), SIGCONT in half of the runs while the successor is
still starting its producers, in half up to 3 s after.  The log is read before any compaction.
"""

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gateway.config import Config, load_config
from gateway.edges import topics
from gateway.edges.kafka import header, make_consumer, read_partition
from gateway.edges.kafka_types import Consumer, TopicPartition
from gateway.edges.keys import new_keys
from gateway.record import H_EVENT_ID, MAPPED_TOPIC, vendor_topic
from gateway.sandbox.embedded import embedded_servers
from tests.servers import FULL

SLOTS = 12
RUNS = 50 if FULL else 10
FIRST, MORE = 20, 40  # records a slot: before the pause, and inside the open transactions
DEADLINE_S = 40.0


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker of its own: the proof fills gateway.mapped."""
    with embedded_servers(postgres=False) as running:
        yield running.bootstrap_servers


@dataclass
class Child:
    """The intake child and what it wrote down."""

    config: Path
    log: Path
    hold: Path
    mode: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Child":
        self.log.touch()
        command = [sys.executable, "-m", "tests.integration.children.intake_child"]
        arguments = [str(self.config), str(self.log), str(self.hold), self.mode]
        with self.log.with_suffix(".err").open("wb") as errors:
            self.process = subprocess.Popen([*command, *arguments], stderr=errors)
        return self

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    def lines(self, word: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(word + " ")]

    def slots(self, word: str) -> set[str]:
        return {line.split()[1] for line in self.lines(word)}

    async def until(self, word: str, slots: int, what: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.slots(word)) < slots:
                if self.running.poll() is not None:
                    pytest.fail(f"{what}: child ended: {self.log.with_suffix('.err').read_text()[-2000:]}")
                await asyncio.sleep(0.01)

    def signal(self, number: signal.Signals) -> None:
        self.running.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True)
class Outcome:
    """What one run showed."""

    doubled: int
    missing: int
    late_commits: int
    fenced: bool


def write_config(folder: Path, broker: str, vendor: str) -> Path:
    keys = folder / "keys.json"
    new_keys(keys)
    path = folder / "gateway.yaml"
    path.write_text(
        f"""
slots: {SLOTS}
kafka: {{bootstrap_servers: "{broker}", replication_factor: 1, min_insync_replicas: 1, session_timeout_ms: 2000,
  transaction_timeout_ms: 20000, group_prefix: {vendor}}}
ledger: {{url: "postgresql://unused"}}
keys_file: {keys}
state_dir: {folder}
registry: {{url: "http://127.0.0.1:9", credentials_file: unused}}
targets: {{}}
connectors: {{path: unused, enabled: [{vendor}]}}
"""
    )
    return path


async def publish(broker: str, vendor: str, each: int, first: int) -> None:
    """*each* records into every slot; the pupil code spreads them over all mapped partitions."""
    async with AIOKafkaProducer(bootstrap_servers=broker, linger_ms=5) as producer:
        sent = [
            await producer.send(vendor_topic(vendor, "records"), f"P{slot}-{first + number}".encode(), partition=slot)
            for slot in range(SLOTS)
            for number in range(each)
        ]
        await asyncio.gather(*sent)


async def mapped_events(config: Config, vendor: str) -> Counter[str]:
    """How often each event of *vendor* stands in gateway.mapped, read_committed."""
    found: Counter[str] = Counter()
    for slot in range(SLOTS):
        async for records in read_partition(config.kafka, TopicPartition(MAPPED_TOPIC, slot), 0):
            found.update(header(r, H_EVENT_ID) for r in records if header(r, "ce_source") == f"/vendors/{vendor}")
    return found


async def open_partitions(config: Config) -> int:
    """Partitions of gateway.mapped with an open transaction: the last stable offset is behind the end."""
    partitions = [TopicPartition(MAPPED_TOPIC, slot) for slot in range(SLOTS)]
    committed = make_consumer(config.kafka)
    everything: Consumer = AIOKafkaConsumer(bootstrap_servers=config.kafka.bootstrap_servers)
    await asyncio.gather(committed.start(), everything.start())
    try:
        stable, ends = await asyncio.gather(committed.end_offsets(partitions), everything.end_offsets(partitions))
        return sum(stable[p] < ends[p] for p in partitions)
    finally:
        await asyncio.gather(committed.stop(), everything.stop())


async def one_run(broker: str, folder: Path, dice: random.Random, *, early: bool, mode: str) -> Outcome:
    vendor = folder.name
    path = write_config(folder, broker, vendor)
    config = load_config(path, {})
    await topics.apply(config, topics.plan(config, [vendor]))
    hold = folder / "hold"
    zombie = Child(path, folder / "zombie.log", hold, "plain").start()
    successor = Child(path, folder / "successor.log", folder / "never", mode)
    try:
        await publish(broker, vendor, FIRST, 0)
        await zombie.until("committed", SLOTS, "first commits")
        hold.touch()
        before = len(zombie.lines("open"))
        await publish(broker, vendor, MORE, FIRST)
        async with asyncio.timeout(DEADLINE_S):
            while {line.split()[1] for line in zombie.lines("open")[before:]} != {f"slot-{n}" for n in range(SLOTS)}:
                await asyncio.sleep(0.01)
        # each slot has told of its own; the log says it too, but a first batch of few records is in few partitions
        assert await open_partitions(config) > SLOTS // 2
        zombie.signal(signal.SIGSTOP)
        committed_before = len(zombie.lines("committed"))
        hold.unlink()
        successor.start()
        if early:
            await successor.until("starting", dice.randint(1, SLOTS - 1), "take-over under way")
        else:
            await successor.until("starting", SLOTS, "take-over")
            await asyncio.sleep(dice.uniform(0, 3))
        zombie.signal(signal.SIGCONT)
        found = await settled(config, vendor)
        return Outcome(
            doubled=sum(count - 1 for count in found.values()),
            missing=SLOTS * (FIRST + MORE) - len(found),
            late_commits=len(zombie.lines("committed")) - committed_before,
            fenced="end ProducerFenced" in zombie.log.read_text(),
        )
    finally:
        zombie.kill()
        successor.kill()


async def settled(config: Config, vendor: str) -> Counter[str]:
    """The log once every published record is there and nothing has been added for a second."""
    expected = SLOTS * (FIRST + MORE)
    found: Counter[str] = Counter()
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < expected:
            await asyncio.sleep(0.3)
            found = await mapped_events(config, vendor)
    await asyncio.sleep(1.0)
    return await mapped_events(config, vendor)


@pytest.mark.proof
@pytest.mark.timeout(RUNS * 60)
async def test_a_paused_owner_that_wakes_doubles_nothing(broker: str, tmp_path: Path) -> None:
    dice = random.Random(20261123)
    outcomes: list[Outcome] = []
    for number in range(RUNS):
        folder = tmp_path / f"z{number}"
        folder.mkdir()
        outcomes.append(await one_run(broker, folder, dice, early=number % 2 == 0, mode="slow"))
        print(f"run {number}: {outcomes[-1]}")

    assert [o.doubled for o in outcomes] == [0] * RUNS
    assert [o.missing for o in outcomes] == [0] * RUNS
    assert any(o.late_commits for o in outcomes)
    assert any(o.fenced for o in outcomes)


@pytest.mark.proof
@pytest.mark.timeout(300)
async def test_the_proof_finds_offsets_read_before_the_fence(broker: str, tmp_path: Path) -> None:
    """Mutation: with committed() before the producer's start, records are doubled."""
    dice = random.Random(1)
    doubled = 0
    for number in range(5):
        folder = tmp_path / f"m{number}"
        folder.mkdir()
        doubled += (await one_run(broker, folder, dice, early=True, mode="mutated")).doubled
        if doubled:
            break

    assert doubled > 0
