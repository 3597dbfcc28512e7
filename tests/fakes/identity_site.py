"""An installation of identity alone for tests on real servers: topics, a ledger, a registry, workers, and its account.

What was sent is compared with what stands in national.records (read_committed), in the ledger's parked rows and in the
vendors' receipts: every event in exactly one place, whatever happened meanwhile (``check``).
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from aiokafka import AIOKafkaProducer

from gateway.config import Config, load_config
from gateway.edges import topics
from gateway.edges.kafka import make_consumer, read_partition
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.keys import write_private
from gateway.national import codec
from gateway.record import MAPPED_TOPIC, NATIONAL_TOPIC, vendor_topic
from gateway.sandbox.embedded import Servers
from tests.fakes.identity_school import LANE_KEY, OTHER_VENDOR, VENDOR, School, Sent
from tests.fakes.simulator import Simulator
from tests.servers import new_ledger

SLOTS = 4
VENDORS = (VENDOR, OTHER_VENDOR)
DEADLINE_S = 90.0
Json = dict[str, Any]


@dataclass
class Site:
    """One test's installation: topics emptied by fresh names of groups, a fresh ledger, a registry, workers."""

    folder: Path
    config: Config
    path: Path
    registry: Simulator
    start_at: dict[TopicPartition, int]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, failpoints: str = "") -> subprocess.Popen[bytes]:
        environment = {**os.environ, "HOCBA_SANDBOX": "1", "HOCBA_FAILPOINTS": failpoints}
        command = [sys.executable, "-m", "gateway.ops.worker", "identity", "--config", str(self.path)]
        with (self.folder / "worker.log").open("ab") as log:
            self.workers.append(subprocess.Popen(command, env=environment, stderr=log))
        return self.workers[-1]

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()[-3000:]

    async def publish(self, sent: list[Sent]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.config.kafka.bootstrap_servers, linger_ms=5) as producer:
            acks = [
                await producer.send(MAPPED_TOPIC, one.value, key=one.key, partition=one.slot, headers=one.headers)
                for one in sent
            ]
            await asyncio.gather(*acks)

    async def read(self, topic: str) -> list[Json]:
        """Committed records of this test in *topic*, decoded, slot by slot in order."""
        found: list[Json] = []
        decode = codec.decode_record if topic == NATIONAL_TOPIC else codec.decode_receipt
        for slot in range(SLOTS):
            partition = TopicPartition(topic, slot)
            start = self.start_at.get(partition, 0)
            async for records in read_partition(self.config.kafka, partition, start):
                found += [decode(record.value or b"") for record in records]
        return found

    def rows(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.config.ledger.url, autocommit=True) as connection:
            return connection.execute(query, given).fetchall()

    def open_rows(self) -> dict[str, tuple[str, str]]:
        """Event id → (state, code) of the parked rows that are open."""
        rows = self.rows("SELECT event_id::text, state, code FROM parked WHERE state <> 'closed'")
        return {event: (state, code) for event, state, code in rows}

    def order(self, event: str, action: str) -> None:
        self.rows(
            "INSERT INTO orders (stage, slot, lane, topic_offset, action, reason, ordered_by) "
            "SELECT 'identity', slot, lane, topic_offset, %s, 'test', 'tester' FROM parked WHERE event_id = %s "
            "RETURNING pg_notify('hocba_orders', 'identity||' || slot)",
            action,
            event,
        )


@dataclass
class Account:
    """Where every event is."""

    published: list[Json]
    parked: dict[str, tuple[str, str]]
    receipts: dict[str, Json]

    def places(self) -> Counter[str]:
        final = [e for e, one in self.receipts.items() if one["state"] in ("superseded", "duplicate", "discarded")]
        return Counter([*(one["head"]["event_id"] for one in self.published), *self.parked, *final])


async def account(site: Site) -> Account:
    """Everything as it is now; receipts by event, the highest seq."""
    receipts: dict[str, Json] = {}
    for vendor in VENDORS:
        for one in await site.read(vendor_topic(vendor, "receipts")):
            if one["seq"] >= receipts.get(one["event_id"], {"seq": 0})["seq"]:
                receipts[one["event_id"]] = one
    return Account(await site.read(NATIONAL_TOPIC), site.open_rows(), receipts)


async def settled(site: Site, sent: list[Sent]) -> Account:
    """The account once every event is somewhere and nobody waits for a look-up."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            now = await account(site)
            waiting = any(state == "waiting" for state, _ in now.parked.values())
            if len(now.places()) >= len(sent) and not waiting and not site.rows(BEHIND_NOBODY):
                return await account(site)  # read at rest: a row may have changed after its receipt was read
            assert site.workers[-1].poll() is None, site.log()
            await asyncio.sleep(0.3)


BEHIND_NOBODY = (
    "SELECT 1 FROM parked p WHERE state <> 'closed' AND code = 'GW-03' AND NOT EXISTS (SELECT 1 FROM parked o "
    "WHERE o.state <> 'closed' AND o.lane = p.lane AND o.record_id <> p.record_id AND o.place < p.place)"
)


async def published_count(site: Site) -> int:
    return len(await site.read(NATIONAL_TOPIC))


def write_config(folder: Path, broker: str, ledger_url: str, registry: Simulator, prefix: str) -> Path:
    key = base64.b64encode(LANE_KEY).decode()
    keys = {"lane_token": key, "ledger": {"current": "k1", "keys": {"k1": key}}}
    write_private(folder / "keys.json", json.dumps(keys).encode())
    path = folder / "gateway.yaml"
    path.write_text(
        f"""
slots: {SLOTS}
kafka: {{bootstrap_servers: "{broker}", replication_factor: 1, min_insync_replicas: 1, session_timeout_ms: 2000,
  transaction_timeout_ms: 5000, group_prefix: {prefix}}}
ledger: {{url: "{ledger_url}"}}
keys_file: {folder / "keys.json"}
state_dir: {folder}
registry: {{url: "{registry.url}", credentials_file: "{registry.credentials_file}"}}
targets: {{}}
identity: {{batch_records: 100, lookup_wait_ms: 30, waiting_high_water: 4000}}
"""
    )
    return path


async def empty_topics(config: Config) -> dict[TopicPartition, int]:
    """Where the topics end now, so that each test reads its own records and its group starts behind the old ones."""
    names = [MAPPED_TOPIC, NATIONAL_TOPIC, *(vendor_topic(vendor, "receipts") for vendor in VENDORS)]
    partitions = [TopicPartition(name, slot) for name in names for slot in range(SLOTS)]
    consumer = make_consumer(config.kafka, group_id=f"{config.kafka.group_prefix}.identity")
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = dict(await consumer.end_offsets(partitions))
        old = {partition: end for partition, end in ends.items() if partition.topic == MAPPED_TOPIC and end}
        if old:  # the first test finds no offsets, as the first owner of a new installation does
            await consumer.commit(old)
        with psycopg.connect(config.ledger.url, autocommit=True) as connection:
            for partition, end in ends.items():
                if partition.topic == NATIONAL_TOPIC and end:
                    connection.execute(
                        "INSERT INTO watermarks VALUES (%s, %s, %s)", (NATIONAL_TOPIC, partition.partition, end)
                    )
        return ends
    finally:
        await consumer.stop()


def fill_registry(site: Site, made: School) -> None:
    entries = [entry for child in made.pupils if (entry := child.entry())]
    (site.folder / "pupils.jsonl").write_text("\n".join(json.dumps(entry) for entry in entries))
    admin(site, "/admin/reload", {})


def admin(site: Site, path: str, body: Json) -> None:
    httpx.post(site.registry.url + path, json=body, trust_env=False).raise_for_status()


@asynccontextmanager
async def installed(servers: Servers, folder: Path, prefix: str) -> AsyncIterator[Site]:
    """Identity alone on *servers*, with a ledger and a group of its own; stopped at the end."""
    ledger_url = new_ledger(servers, f"ledger_{prefix}")
    (folder / "pupils.jsonl").write_text("")
    registry = Simulator("registry", folder, data=folder / "pupils.jsonl")
    path = write_config(folder, servers.bootstrap_servers, ledger_url, registry, prefix)
    config = load_config(path, {})
    await topics.apply(config, topics.plan(config, VENDORS))
    made = Site(folder, config, path, registry, await empty_topics(config))
    try:
        yield made
    finally:
        made.end()
        made.registry.stop()


def check(made: School, found: Account, site: Site) -> None:
    """The rules that hold whatever happened."""
    assert {e: n for e, n in found.places().items() if n != 1} == {}  # no event in two places, no version twice
    assert found.places().keys() == {one.event_id for one in made.sent}  # nothing lost, nothing invented
    versions: dict[str, list[int]] = defaultdict(list)
    for one in found.published:
        versions[one["head"]["record_id"]].append(one["head"]["version"])
    assert all(seen == list(range(1, len(seen) + 1)) for seen in versions.values())
    for event, (state, code) in found.parked.items():
        receipt = found.receipts[event]
        assert (receipt["state"], receipt["problems"][0]["code"]) == (state, code)
    heads = dict(site.rows("SELECT record_id::text, version FROM heads"))
    assert heads == {record: seen[-1] for record, seen in versions.items()}


async def until(site: Site, reached: Any) -> None:
    """Wait until the codes of the open rows are as asked."""
    async with asyncio.timeout(DEADLINE_S):
        while not reached({event: code for event, (_, code) in site.open_rows().items()}):
            assert site.workers[-1].poll() is None, site.log()
            await asyncio.sleep(0.1)


def hocba(site: Site, *words: str, given: str = "") -> tuple[int, Any]:
    """A command of ``hocba identity``, *given* on standard input: its exit code and what it printed."""
    command = [sys.executable, "-c", "from gateway.ops.cli import main; main()", "identity", *words]
    command += ["--config", str(site.path), "--json"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


SIGNED = ("--reason", "seen the birth certificate", "--by", "tester")
