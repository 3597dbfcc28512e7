"""A record that kills its stage ends in quarantine at its third marked death, all others arrive (design rule 11).

The real servers, the real workers under their supervisor.  In each internal topic: bytes that are nothing, a schema id
that nobody knows, and a killer: a record at which the process ends like one with a fault in C (a failpoint of the
sandbox, keyed on a text inside of the record).
"""

import asyncio
import base64
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from gateway.config import Config, load_config
from gateway.edges import topics
from gateway.edges.failpoints import KILLED
from gateway.edges.kafka import AssignedSlot, Output, PlainProducer, SlotProducer, make_consumer, read_partition
from gateway.edges.kafka_types import Record, TopicPartition
from gateway.edges.keys import write_private
from gateway.edges.ledger import migrate
from gateway.national import codec
from gateway.ops.supervisor import Backoff, Plan, Supervisor
from gateway.quarantine.marks import Mark, running
from gateway.record import (
    H_EVENT_ID,
    MAPPED_TOPIC,
    MARKS_TOPIC,
    NATIONAL_TOPIC,
    QUARANTINE_TOPIC,
    Headers,
    Position,
    event_id,
    vendor_topic,
)
from gateway.sandbox.embedded import embedded_servers
from gateway.sandbox.payloads import synthetic_pupil, vnedu_message, vnedu_row
from gateway.workers.suspects import Suspects, Ward
from tests.fakes.delivery_records import national
from tests.fakes.identity_school import LANE_KEY, VENDOR, YEARS, make, pupil
from tests.fakes.receipts import event, receipt
from tests.fakes.simulator import Simulator

SLOTS = 2
ROOT = Path(__file__).resolve().parents[2]
FEEDER = "vnedu"
DEADLINE_S = 200.0
UNKNOWN_SCHEMA = b"\0\0\1\xe2\x40" + b"record of a schema that nobody knows"
GARBAGE = b"\xff\x00 not a record"

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]


@dataclass
class Put:
    """A record to produce."""

    topic: str
    slot: int
    value: bytes
    headers: Headers
    key: bytes | None = None


@dataclass
class Site:
    """One installation of this test alone."""

    config: Config
    path: Path
    folder: Path
    registry: Simulator
    targets: dict[str, Simulator]

    @asynccontextmanager
    async def running(self, stage: str, killer: str) -> AsyncIterator[Supervisor]:
        """*stage* under its supervisor; a record with *killer* inside ends it."""
        environment = {"HOCBA_SANDBOX": "1", "HOCBA_FAILPOINTS": killer}
        plan = Plan(self.path, self.folder / "state", {stage: 1}, environment, backoff=Backoff(0.1, 0.5))
        supervisor = Supervisor(plan, tell=print)
        await supervisor.start()
        try:
            yield supervisor
        finally:
            await supervisor.stop()

    async def publish(self, puts: Sequence[Put]) -> list[int]:
        """Offsets in the order of *puts*."""
        async with AIOKafkaProducer(bootstrap_servers=self.config.kafka.bootstrap_servers, linger_ms=5) as producer:
            sent = [
                await producer.send(one.topic, one.value, key=one.key, partition=one.slot, headers=one.headers)
                for one in puts
            ]
            return [done.offset for done in await asyncio.gather(*sent)]

    async def read(self, topic: str) -> list[Record]:
        """Everything committed in *topic*."""
        found: list[Record] = []
        for slot in range(SLOTS):
            async for records in read_partition(self.config.kafka, TopicPartition(topic, slot), 0):
                found += records
        return found

    async def until(self, settled: Callable[[], Awaitable[bool]], supervisor: Supervisor) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not await settled():
                    assert not supervisor.helpless(), self.log()
                    await asyncio.sleep(0.3)
        except TimeoutError:
            pytest.fail(f"not settled; deaths {supervisor.deaths}\n{self.log()}")

    def log(self) -> str:
        return "\n".join(path.read_text()[-4000:] for path in (self.folder / "state" / "logs").glob("*.log"))

    def rows(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.config.ledger.url, autocommit=True) as connection:
            return connection.execute(query, given).fetchall()

    async def killers(self) -> list[tuple[dict[str, bytes | None], bytes]]:
        """Headers and value of what killed a stage."""
        records = await self.read(QUARANTINE_TOPIC)
        found = [(dict(reversed(one.headers)), one.value or b"") for one in records]  # its own stand behind ours
        return [(headers, value) for headers, value in found if headers["dlt-reason"] == b"GW-02"]

    async def marks(self) -> dict[str, Mark]:
        """Key → the newest mark."""
        records = await self.read(MARKS_TOPIC)
        return {(one.key or b"").decode(): msgspec.json.decode(one.value or b"", type=Mark) for one in records}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    with embedded_servers() as servers:
        migrate(servers.ledger_url)
        (tmp_path / "pupils.jsonl").write_text("")
        registry = Simulator("registry", tmp_path, data=tmp_path / "pupils.jsonl")
        targets = {
            "population": Simulator("population", tmp_path),
            "sector": Simulator("sector", tmp_path, options={"result_delay_s": 0.1, "index_delay_s": 0.1}),
        }
        path = write_config(tmp_path, servers.bootstrap_servers, servers.ledger_url, registry, targets)
        config = load_config(path, {})
        await topics.apply(config, topics.plan(config, (VENDOR, FEEDER)))
        try:
            yield Site(config, path, tmp_path, registry, targets)
        finally:
            for simulator in (registry, *targets.values()):
                simulator.stop()


def write_config(
    folder: Path, broker: str, ledger_url: str, registry: Simulator, targets: dict[str, Simulator]
) -> Path:
    key = base64.b64encode(LANE_KEY).decode()
    keys = {"lane_token": key, "ledger": {"current": "k1", "keys": {"k1": key}}}
    write_private(folder / "keys.json", json.dumps(keys).encode())
    path = folder / "gateway.yaml"
    listed = "\n".join(
        f'  {name}: {{contract: {ROOT}/targets/{name}.yaml, url: "{one.url}",'
        f' credentials_file: "{one.credentials_file}"}}'
        for name, one in targets.items()
    )
    path.write_text(
        f"""
slots: {SLOTS}
kafka: {{bootstrap_servers: "{broker}", replication_factor: 1, min_insync_replicas: 1, session_timeout_ms: 2000,
  transaction_timeout_ms: 5000}}
ledger: {{url: "{ledger_url}"}}
keys_file: {folder / "keys.json"}
state_dir: {folder}
registry: {{url: "{registry.url}", credentials_file: "{registry.credentials_file}"}}
connectors: {{path: {ROOT}/connectors, enabled: [vnedu_flat_thcs]}}
delivery: {{lease_s: 2, window_records: 200}}
targets:
{listed}
"""
    )
    return path


def check_deaths(supervisor: Supervisor, deaths: int = 4) -> None:
    """The first costs a batch and is nobody's, three more are the killer's."""
    assert [death.code for death in supervisor.deaths] == [KILLED] * deaths, supervisor.deaths


# ---------------------------------------------------------------- intake


def messages(count: int, slot: int) -> list[Put]:
    """Clean messages of one pupil each."""
    dice = random.Random(slot)
    made = []
    for number in range(count):
        child = synthetic_pupil(dice, level="secondary", number=slot * 1000 + number)
        made.append(Put(vendor_topic(FEEDER, "records"), slot, vnedu_message([vnedu_row(child, version=1)]), []))
    return made


async def test_a_message_that_kills_intake_is_rejected_by_the_gateway_and_all_others_are_mapped(site: Site) -> None:
    puts = [*messages(150, 0), *messages(150, 1)]
    puts[70] = replace(puts[70], value=puts[70].value + b"KILLER")
    puts[20] = replace(puts[20], value=GARBAGE)
    puts[71] = replace(puts[71], value=UNKNOWN_SCHEMA)
    offsets = await site.publish(puts)
    events = [event_id(Position(one.topic, one.slot, at), 0) for one, at in zip(puts, offsets, strict=True)]

    async def told() -> Counter[str]:
        receipts = [codec.decode_receipt(one.value or b"") for one in await site.read(vendor_topic(FEEDER, "receipts"))]
        mapped = [dict(one.headers)[H_EVENT_ID] or b"" for one in await site.read(MAPPED_TOPIC)]
        codes = [f"{one['event_id']} {one['state']} {one['problems'][0]['code']}" for one in receipts]
        return Counter([*codes, *(f"{name.decode()} mapped" for name in mapped)])

    async def settled() -> bool:
        return len(await told()) >= len(events)

    async with site.running("intake", "intake.record=killer:KILLER") as supervisor:
        await site.until(settled, supervisor)
        check_deaths(supervisor)

    reasons = {20: "rejected DQ-45", 70: "rejected GW-02", 71: "rejected DQ-45"}
    expected = [f"{name} {reasons.get(number, 'mapped')}" for number, name in enumerate(events)]
    assert await told() == Counter(expected)
    ((headers, value),) = await site.killers()
    assert value == puts[70].value
    assert (headers["dlt-stage"], headers["dlt-deaths"], headers["dlt-owner"]) == (b"intake", b"3", b"gateway")
    assert headers["dlt-original-offset"] == str(offsets[70]).encode()
    dead_letters = [one for one in await site.read(vendor_topic(FEEDER, "rejected")) if one.value == value]
    assert [dict(one.headers)["dlt-reason"] for one in dead_letters] == [b"GW-02"]
    assert all(mark.clean for mark in (await site.marks()).values())


async def test_an_exception_counts_like_a_death_and_two_killers_are_both_found(site: Site) -> None:
    puts = messages(120, 0)
    for place in (10, 11):
        puts[place] = replace(puts[place], value=puts[place].value + b"RAISER")
    await site.publish(puts)

    async def settled() -> bool:
        return len(await site.killers()) == 2 and len(await site.read(MAPPED_TOPIC)) == 118

    async with site.running("intake", "intake.record=raiser:RAISER") as supervisor:
        await site.until(settled, supervisor)

    assert {headers["dlt-deaths"] for headers, _ in await site.killers()} == {b"3"}
    assert len(supervisor.deaths) == 6  # the batch, the run that held both, and each alone twice


# ---------------------------------------------------------------- identity


async def test_a_record_that_kills_identity_is_parked_with_its_lane_and_all_others_are_published(site: Site) -> None:
    children = [pupil(number, "known") for number in range(120)]
    entries = [entry for child in children if (entry := child.entry())]
    (site.folder / "pupils.jsonl").write_text("\n".join(json.dumps(entry) for entry in entries))
    site.registry.stop()
    site.registry.start()
    write_url(site)
    sent = [make(child, number, 10, slots=SLOTS) for number, child in enumerate(children)]
    behind = make(children[50], 1000, 10, slots=SLOTS, year=YEARS[1])
    after = make(children[51], 1001, 10, slots=SLOTS, year=YEARS[1])
    puts = [Put(MAPPED_TOPIC, one.slot, one.value, one.headers, one.key) for one in [*sent, behind, after]]
    puts[30] = replace(puts[30], value=UNKNOWN_SCHEMA)
    puts[31:31] = [Put(MAPPED_TOPIC, slot, GARBAGE, []) for slot in range(SLOTS)]
    await site.publish(puts)
    killer = sent[50]

    def parked() -> dict[str, str]:
        return dict(site.rows("SELECT event_id::text, code FROM parked WHERE state <> 'closed' AND code <> 'ID-01'"))

    async def published() -> set[str]:
        return {codec.decode_record(one.value or b"")["head"]["event_id"] for one in await site.read(NATIONAL_TOPIC)}

    async def settled() -> bool:
        return len(await published()) == 119 and len(parked()) == 3

    async with site.running("identity", f"identity.record=killer:{killer.record_id}") as supervisor:
        await site.until(settled, supervisor)
        check_deaths(supervisor)
        assert parked() == {sent[30].event_id: "GW-04", killer.event_id: "GW-02", behind.event_id: "GW-03"}
        assert await published() == {one.event_id for one in [*sent, after] if one not in (sent[30], killer)}
        ((headers, value),) = await site.killers()
        assert (value, headers["dlt-stage"], headers["dlt-deaths"]) == (killer.value, b"identity", b"3")
        assert headers["lane"] == dict(killer.headers)["lane"]
        foreign = [one for one in await site.read(QUARANTINE_TOPIC) if one.value == GARBAGE]
        assert len(foreign) == SLOTS

        order(site, "identity", killer.event_id, "release")
        await site.until(lambda: true_when(len(supervisor.deaths) == 5), supervisor)
        late = make(children[52], 1002, 10, slots=SLOTS, year=YEARS[1])
        await site.publish([Put(MAPPED_TOPIC, late.slot, late.value, late.headers, late.key)])
        await site.until(lambda: event_in(late.event_id, published), supervisor)
        check_deaths(supervisor, 5)  # one order, one death
        assert parked()[killer.event_id] == "GW-02"
        assert site.rows("SELECT state FROM orders") == [("done",)]

        order(site, "identity", killer.event_id, "discard")
        await site.until(lambda: event_in(behind.event_id, published), supervisor)


async def test_what_comes_after_the_take_over_is_not_suspect_although_only_a_marker_stood_before_it(site: Site) -> None:
    """An owner that was killed at rest leaves one offset behind: the marker of the last transaction."""
    kafka, partition = site.config.kafka, TopicPartition(MAPPED_TOPIC, 0)
    one, marker = Output(MAPPED_TOPIC, 0, None, GARBAGE, []), PlainProducer(kafka)
    intake, consumer = SlotProducer(kafka, "test-intake-0"), make_consumer(kafka)
    taken: list[Record] = []

    async def take(records: Sequence[Record]) -> None:
        taken.extend(records)

    async def bury(record: Record, deaths: int) -> None:
        pytest.fail(f"{record.offset} goes to quarantine after {deaths} deaths")

    async with AsyncExitStack() as stack:
        for part in (marker, intake, consumer):
            await part.start()
            stack.push_async_callback(part.stop)
        consumer.assign([partition])
        slot = AssignedSlot(0, (partition,), consumer, "test")
        following = (await intake.transact([one], stage="test"))[partition]
        consumer.seek(partition, following)
        ward = Ward(kafka, "test", marker)
        await ward.marks.write({partition: running(following)})
        suspects = Suspects(ward, slot, most_records=2_000)

        await suspects.take_over()
        newer = (await intake.transact([one], stage="test"))[partition]
        async with asyncio.timeout(10):
            await suspects.go_through(take, bury)
        fetched = await slot.fetch(max_records=10, timeout_ms=5_000)

    assert taken == []
    assert [record.offset for record in fetched[partition]] == [newer - 1]
    mark = msgspec.structs.replace(running(newer - 1), since=following)
    assert await site.marks() == {f"{kafka.group_prefix}.test/{MAPPED_TOPIC}/0": mark}


def write_url(site: Site) -> None:
    """The registry came back on another port."""
    config = site.path.read_text().splitlines()
    line = next(number for number, text in enumerate(config) if text.startswith("registry:"))
    config[line] = f'registry: {{url: "{site.registry.url}", credentials_file: "{site.registry.credentials_file}"}}'
    site.path.write_text("\n".join(config))


def order(site: Site, stage: str, event: str, action: str) -> None:
    site.rows(
        "INSERT INTO orders (stage, target, slot, lane, topic_offset, action, reason, ordered_by) "
        "SELECT stage, target, slot, lane, topic_offset, %s, 'test', 'tester' FROM parked "
        "WHERE stage = %s AND event_id = %s AND state <> 'closed' "
        "RETURNING pg_notify('hocba_orders', stage || '|' || target || '|' || slot)",
        action,
        stage,
        event,
    )


async def true_when(condition: bool) -> bool:
    return condition


async def event_in(name: str, events: Callable[[], Awaitable[set[str]]]) -> bool:
    return name in await events()


# ---------------------------------------------------------------- delivery


@pytest.mark.parametrize("target", ["population", "sector"])
async def test_a_record_that_kills_delivery_is_parked_with_its_lane_and_all_others_are_accepted(
    site: Site, target: str
) -> None:
    sent = [national(number, 1, number, slots=SLOTS) for number in range(120)]
    behind = national(50, 1, 1000, slots=SLOTS, year=YEARS[1])
    puts = [Put(NATIONAL_TOPIC, one.slot, one.value, one.headers, one.record_id.encode()) for one in [*sent, behind]]
    puts[30] = replace(puts[30], value=UNKNOWN_SCHEMA)
    puts[31:31] = [Put(NATIONAL_TOPIC, slot, GARBAGE, [], b"x") for slot in range(SLOTS)]
    await site.publish(puts)
    killer = sent[50]

    async def states() -> dict[str, str]:
        return dict(
            site.rows(
                "SELECT event_id::text, state FROM deliveries WHERE target = %s UNION ALL "
                "SELECT event_id::text, code FROM parked WHERE target = %s AND state <> 'closed'",
                target,
                target,
            )
        )

    async def settled() -> bool:
        return len(await states()) == len(sent) + 1

    async with site.running(f"deliver:{target}", f"delivery.record=killer:{killer.record_id}") as supervisor:
        await site.until(settled, supervisor)
        check_deaths(supervisor)
        odd = {sent[30].event_id: "GW-04", killer.event_id: "GW-02", behind.event_id: "GW-03"}
        expected = {one.event_id: "accepted" for one in sent} | odd
        assert await states() == expected
        ((headers, value),) = await site.killers()
        assert (value, headers["dlt-stage"], headers["dlt-deaths"]) == (
            killer.value,
            f"delivery:{target}".encode(),
            b"3",
        )
        summary = site.targets[target].summary()
        assert (summary["effects"], summary["duplicate_effects"]) == (118, 0)

        order(site, "delivery", killer.event_id, "release")
        await site.until(lambda: true_when(len(supervisor.deaths) == 5), supervisor)
        late = national(52, 1, 1002, slots=SLOTS, year=YEARS[1])
        await site.publish([Put(NATIONAL_TOPIC, late.slot, late.value, late.headers, late.record_id.encode())])
        await site.until(lambda: event_in(late.event_id, lambda: keys(states)), supervisor)
        check_deaths(supervisor, 5)
        assert await states() == expected | {late.event_id: "accepted"}

        order(site, "delivery", killer.event_id, "discard")
        await site.until(lambda: accepted(behind.event_id, states), supervisor)


async def keys(states: Callable[[], Awaitable[dict[str, str]]]) -> set[str]:
    return set(await states())


async def accepted(name: str, states: Callable[[], Awaitable[dict[str, str]]]) -> bool:
    return (await states()).get(name) == "accepted"


# ---------------------------------------------------------------- the tower


async def test_a_receipt_that_kills_the_tower_goes_to_quarantine_and_all_others_are_projected(site: Site) -> None:
    told, dead = vendor_topic(FEEDER, "receipts"), vendor_topic(FEEDER, "rejected")
    values = [codec.encode_receipt(receipt(number, "accepted", target="sector")) for number in range(120)]
    puts = [Put(told, number % SLOTS, value, []) for number, value in enumerate(values)]
    puts[40:40] = [Put(told, 0, UNKNOWN_SCHEMA, []), Put(told, 1, GARBAGE, []), Put(dead, 0, GARBAGE, [])]
    headers: Headers = [
        ("dlt-original-topic", vendor_topic(FEEDER, "records").encode()),
        ("dlt-original-partition", b"0"),
        ("dlt-original-offset", b"7"),
        ("dlt-reason", b"DQ-45"),
        ("dlt-stage", b"intake"),
    ]
    puts += [Put(dead, 0, b"KILLER", headers), Put(dead, 0, b"good", headers)]
    killer = values[60] = codec.encode_receipt(receipt(60, "accepted", target="sector", vendor_ref="KILLER"))
    puts[63] = replace(puts[63], value=killer)
    await site.publish(puts)

    def projected() -> set[str]:
        return {str(row[0]) for row in site.rows("SELECT event_id FROM event_states WHERE target = 'sector'")}

    async def settled() -> bool:
        return len(projected()) == 119 and len(await site.killers()) == 2

    async with site.running("tower", "tower.record=killer:KILLER") as supervisor:
        await site.until(settled, supervisor)
        assert {death.code for death in supervisor.deaths} == {KILLED}
        assert len(supervisor.deaths) <= 8

    assert projected() == {event(number) for number in range(120) if number != 60}
    assert {value for _, value in await site.killers()} == {killer, b"KILLER"}
    assert len(site.rows("SELECT 1 FROM rejections")) == 1
    unreadable = [one for one in await site.read(QUARANTINE_TOPIC) if one.value in (GARBAGE, UNKNOWN_SCHEMA)]
    assert len({(one.value, dict(one.headers)["dlt-original-topic"]) for one in unreadable}) == 3
