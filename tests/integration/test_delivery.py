"""Delivery on real Kafka and PostgreSQL to the simulators, killed with -9 in mid-flight and at its named points.

The simulators' own books say what happened: no effect twice, no version backwards; the ledger and the receipts say that
every record has its end state at the target, or is parked with its reason.
"""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from gateway.config import Config, load_config
from gateway.edges import topics
from gateway.edges.kafka import make_consumer, read_partition
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.keys import write_private
from gateway.national import codec
from gateway.record import NATIONAL_TOPIC, QUARANTINE_TOPIC, vendor_topic
from gateway.sandbox.embedded import Servers, embedded_servers
from gateway.sandbox.simulators.book import read_book
from tests.fakes.delivery_records import National, national
from tests.fakes.identity_school import LANE_KEY, VENDOR
from tests.fakes.simulator import Simulator
from tests.servers import new_ledger

SLOTS = 2
DEADLINE_S = 120.0
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    """Servers of this file alone: national.records has a fixed name."""
    with embedded_servers() as running:
        yield running


@dataclass
class Site:
    """One test's installation and its worker of one target."""

    folder: Path
    config: Config
    targets: dict[str, Simulator]
    start_at: dict[TopicPartition, int]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, target: str, failpoints: str = "") -> subprocess.Popen[bytes]:
        environment = {**os.environ, "HOCBA_SANDBOX": "1", "HOCBA_FAILPOINTS": failpoints}
        command = [
            sys.executable,
            "-m",
            "gateway.ops.worker",
            f"deliver:{target}",
            "--config",
            str(self.folder / "g.yaml"),
        ]
        with (self.folder / "worker.log").open("ab") as log:
            self.workers.append(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log))
        return self.workers[-1]

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()[-4000:]

    async def publish(self, records: list[National]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.config.kafka.bootstrap_servers, linger_ms=5) as producer:
            acks = [
                await producer.send(
                    NATIONAL_TOPIC, one.value, key=one.record_id.encode(), partition=one.slot, headers=one.headers
                )
                for one in records
            ]
            await asyncio.gather(*acks)

    def rows(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.config.ledger.url, autocommit=True) as connection:
            return connection.execute(query, given).fetchall()

    def states(self, target: str) -> dict[str, str]:
        """Event → end state, or parked with its code."""
        rows = self.rows(
            "SELECT event_id::text, state FROM deliveries WHERE target = %s "
            "UNION ALL SELECT event_id::text, state || ' ' || code FROM parked WHERE target = %s AND state <> 'closed'",
            target,
            target,
        )
        assert len({event for event, _ in rows}) == len(rows), "an event with two states"
        return dict(rows)

    async def all_states(self, target: str, records: list[National]) -> dict[str, str]:
        """The states once every record has one."""
        async with asyncio.timeout(DEADLINE_S):
            while len(states := self.states(target)) < len(records):
                assert self.workers[-1].poll() is None, self.log()
                await asyncio.sleep(0.2)
        return states

    async def wait_for(self, target: str, settled: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.states(target)) < settled:
                assert self.workers[-1].poll() is None, self.log()
                await asyncio.sleep(0.02)

    async def died(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.workers[-1].poll() is None:
                await asyncio.sleep(0.02)
        assert self.workers[-1].returncode == -signal.SIGKILL, self.log()

    async def receipts(self) -> dict[tuple[str, str], str]:
        """(event, target) → the state of the highest receipt."""
        found: dict[tuple[str, str], tuple[int, str]] = {}
        for slot in range(SLOTS):
            partition = TopicPartition(vendor_topic(VENDOR, "receipts"), slot)
            async for batch in read_partition(self.config.kafka, partition, self.start_at[partition]):
                for record in batch:
                    told = codec.decode_receipt(record.value or b"")
                    key = (told["event_id"], told["target"])
                    found[key] = max(found.get(key, (0, "")), (told["seq"], told["state"]))
        return {key: state for key, (_, state) in found.items()}

    async def check(self, target: str, records: list[National]) -> None:
        """Books, ledger and receipts agree."""
        summary = self.targets[target].summary()
        assert {name: summary[name] for name in ("duplicate_effects", "backwards")} == {
            "duplicate_effects": 0,
            "backwards": 0,
        }
        booked = {(effect.record_id, effect.version) for effect in read_book(self.targets[target].book)}
        states = self.states(target)
        accepted = {(one.record_id, one.version) for one in records if states[one.event_id] == "accepted"}
        assert booked == accepted
        assert not [name for name in ("new_on_existing", "update_on_unknown", "cancel_on_unknown") if summary.get(name)]
        async with asyncio.timeout(DEADLINE_S):
            while (told := await self.receipts()) and {e for e, _ in told} != states.keys():
                await asyncio.sleep(0.3)
        assert {event: state for (event, _), state in told.items()} == {
            event: state.partition(" ")[0] for event, state in states.items()
        }


@pytest.fixture
async def site(own_servers: Servers, tmp_path: Path, prefix: str) -> AsyncIterator[Site]:
    ledger_url = new_ledger(own_servers, f"ledger_{prefix}")
    targets = {
        "population": Simulator("population", tmp_path),
        "sector": Simulator("sector", tmp_path, options={"result_delay_s": 0.3, "index_delay_s": 0.3}),
    }
    config = write_config(tmp_path, own_servers.bootstrap_servers, ledger_url, targets, prefix)
    await topics.apply(config, topics.plan(config, (VENDOR,)))
    made = Site(tmp_path, config, targets, await at_the_end(config))
    yield made
    for worker in made.workers:
        worker.kill()
        worker.wait()
    for simulator in targets.values():
        simulator.stop()


def write_config(folder: Path, broker: str, ledger_url: str, targets: dict[str, Simulator], prefix: str) -> Config:
    key = base64.b64encode(LANE_KEY).decode()
    keys = {"lane_token": key, "ledger": {"current": "k1", "keys": {"k1": key}}}
    write_private(folder / "keys.json", json.dumps(keys).encode())
    path = folder / "g.yaml"
    listed = "\n".join(
        f'  {name}: {{contract: {ROOT}/targets/{name}.yaml, url: "{one.url}",'
        f' credentials_file: "{one.credentials_file}"}}'
        for name, one in targets.items()
    )
    path.write_text(
        f"""
slots: {SLOTS}
kafka: {{bootstrap_servers: "{broker}", replication_factor: 1, min_insync_replicas: 1, session_timeout_ms: 2000,
  transaction_timeout_ms: 5000, group_prefix: {prefix}}}
ledger: {{url: "{ledger_url}"}}
keys_file: {folder / "keys.json"}
state_dir: {folder}
registry: {{url: "http://localhost:1", credentials_file: "{folder / "keys.json"}"}}
delivery: {{lease_s: 2, window_records: 40}}
targets:
{listed}
"""
    )
    return load_config(path, {})


async def at_the_end(config: Config) -> dict[TopicPartition, int]:
    """Where the topics end now; the groups of this test start there, behind the records of other tests."""
    names = [NATIONAL_TOPIC, vendor_topic(VENDOR, "receipts")]
    partitions = [TopicPartition(name, slot) for name in names for slot in range(SLOTS)]
    ends: dict[TopicPartition, int] = {}
    for target in config.targets:
        consumer = make_consumer(config.kafka, group_id=f"{config.kafka.group_prefix}.deliver.{target}")
        await consumer.start()
        consumer.assign(partitions)
        ends = dict(await consumer.end_offsets(partitions))
        await consumer.commit({partition: end for partition, end in ends.items() if partition.topic == NATIONAL_TOPIC})
        await consumer.stop()
    return ends


def stream(pupils: int) -> list[National]:
    """Three versions of each pupil, one in five cancelled at the end, pupils mixed."""
    records: list[National] = []
    for version in (1, 2, 3):
        for number in range(pupils):
            op = "CANCEL" if version == 3 and number % 5 == 0 else "UPDATE"
            records.append(national(number, version, len(records), slots=SLOTS, op=op))
    return records


@pytest.mark.parametrize("target", ["population", "sector"])
async def test_a_worker_killed_in_mid_flight_doubles_nothing_and_loses_nothing(site: Site, target: str) -> None:
    records = stream(100)
    site.targets[target].faults(latency_ms=[20, 60], p_drop_after=0.1, p5xx=0.05, p_missing=0.02)
    await site.publish(records)

    site.start(target)
    for settled in (60, 150):
        await site.wait_for(target, settled)
        site.workers[-1].kill()
        await site.died()
        site.start(target)
    states = await site.all_states(target, records)

    assert set(states.values()) <= {"accepted", "superseded", "nothing_to_cancel"}
    await site.check(target, records)


@pytest.mark.parametrize(
    ("target", "point"),
    [
        ("population", "delivery.after_post_before_row=kill@2"),
        ("population", "delivery.after_ledger_before_offset=kill@2"),
        ("sector", "packet.after_row_before_post=kill@2"),
        ("sector", "packet.after_post_before_row=kill@2"),
    ],
)
async def test_a_kill_at_a_named_point_doubles_nothing(site: Site, target: str, point: str) -> None:
    records = stream(60)
    site.targets[target].faults(latency_ms=[5, 20])
    await site.publish(records)

    site.start(target, point)
    await site.died()
    site.start(target)
    states = await site.all_states(target, records)

    assert set(states.values()) <= {"accepted", "superseded", "nothing_to_cancel"}
    await site.check(target, records)


@pytest.mark.parametrize("target", ["population", "sector"])
async def test_a_refused_record_parks_its_pupil_until_it_is_mended(site: Site, target: str) -> None:
    bad = national(0, 1, 0, slots=SLOTS)
    behind = national(0, 1, 1, slots=SLOTS, year="2024-2025")
    others = [national(number, 1, number + 1, slots=SLOTS) for number in range(1, 20)]
    site.targets[target].faults(refuse_records=[bad.record_id])
    await site.publish([bad, behind, *others])
    site.start(target)
    states = await site.all_states(target, [bad, behind, *others])

    assert states[bad.event_id].startswith("parked TG-")
    assert states[behind.event_id] == "parked GW-03"
    assert {states[one.event_id] for one in others} == {"accepted"}

    site.targets[target].faults()
    newer = national(0, 2, 30, slots=SLOTS)
    await site.publish([newer])
    await asyncio.wait_for(until(lambda: site.states(target).get(behind.event_id) == "accepted"), DEADLINE_S)

    assert site.states(target)[bad.event_id] == "superseded"
    assert site.states(target)[newer.event_id] == "accepted"
    await site.check(target, [bad, behind, newer, *others])


async def test_a_parked_record_is_released_by_its_order_and_another_is_discarded(site: Site) -> None:
    first, second = national(0, 1, 0, slots=SLOTS), national(1, 1, 1, slots=SLOTS)
    site.targets["population"].faults(refuse_records=[first.record_id, second.record_id])
    await site.publish([first, second])
    site.start("population")
    await site.all_states("population", [first, second])
    site.targets["population"].faults()

    for record, action in ((first, "release"), (second, "discard")):
        site.rows(
            "INSERT INTO orders (stage, target, slot, lane, topic_offset, action, reason, ordered_by) "
            "SELECT stage, target, slot, lane, topic_offset, %s, 'test', 'tester' FROM parked WHERE event_id = %s "
            "RETURNING pg_notify('hocba_orders', 'delivery|population|' || slot)",
            action,
            record.event_id,
        )
    expected = {first.event_id: "accepted", second.event_id: "discarded"}
    await asyncio.wait_for(until(lambda: site.states("population") == expected), DEADLINE_S)

    assert site.rows("SELECT DISTINCT state FROM orders") == [("done",)]
    await site.check("population", [first, second])


async def test_an_unreadable_record_parks_and_the_slot_goes_on(site: Site) -> None:
    good = [national(number, 1, number, slots=1) for number in range(3)]
    broken = National(good[1].event_id, good[1].record_id, 1, "UPDATE", 0, b"\x00\x00\x00\x00\x63x", good[1].headers)
    await site.publish([good[0], broken, good[2]])
    site.start("population")
    states = await site.all_states("population", good)

    assert [states[one.event_id] for one in good] == ["accepted", "parked GW-04", "accepted"]


async def test_a_record_that_is_not_the_gateways_goes_into_quarantine_and_the_slot_goes_on(site: Site) -> None:
    good = [national(number, 1, number, slots=1) for number in range(2)]
    foreign = National("", "theirs", 1, "", 0, b"whatever it is", [("theirs", b"x")])
    kept = TopicPartition(QUARANTINE_TOPIC, 0)
    await site.publish([good[0], foreign, good[1]])
    site.start("population")
    states = await site.all_states("population", good)

    assert [states[one.event_id] for one in good] == ["accepted", "accepted"]
    found = [record async for batch in read_partition(site.config.kafka, kept, 0) for record in batch]
    assert found[-1].value == b"whatever it is"
    assert dict(found[-1].headers).items() >= {"dlt-reason": b"GW-04", "theirs": b"x"}.items()


async def test_an_orderly_end_commits_and_hands_the_lease_back(site: Site) -> None:
    records = stream(20)
    await site.publish(records)
    worker = site.start("population")
    await site.all_states("population", records)
    worker.terminate()
    assert await asyncio.to_thread(worker.wait, 20) == 0, site.log()

    assert site.rows("SELECT count(*) FROM slot_owner WHERE lease_until > now()") == [(0,)]
    consumer = make_consumer(site.config.kafka, group_id=f"{site.config.kafka.group_prefix}.deliver.population")
    await consumer.start()
    partitions = [TopicPartition(NATIONAL_TOPIC, slot) for slot in range(SLOTS)]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    assert [await consumer.committed(partition) for partition in partitions] == [ends[p] for p in partitions]
    await consumer.stop()


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.2)
