"""Identity on real Kafka and PostgreSQL, killed with -9 in mid-stream: each version once, rising, and nothing lost.

The registry is the simulator.  What was sent is compared with what stands in national.records (read_committed), in the
ledger's parked rows and in the vendors' receipts: every event in exactly one place, whatever was killed when.
"""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaProducer
from psycopg import sql

from gateway.config import Config, load_config
from gateway.edges import topics
from gateway.edges.kafka import make_consumer, read_partition
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.keys import write_private
from gateway.edges.ledger import migrate
from gateway.national import codec
from gateway.record import MAPPED_TOPIC, NATIONAL_TOPIC, record_id, vendor_topic
from gateway.sandbox.embedded import Servers, embedded_servers
from tests.fakes.identity_school import (
    LANE_KEY,
    OTHER_VENDOR,
    VENDOR,
    YEARS,
    Pupil,
    School,
    Sent,
    make,
    pupil,
    school,
)
from tests.fakes.simulator import Simulator

SLOTS = 4
VENDORS = (VENDOR, OTHER_VENDOR)
DEADLINE_S = 90.0
Json = dict[str, Any]

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    """Servers of this file alone: gateway.mapped and national.records have fixed names."""
    with embedded_servers() as running:
        yield running


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
        command = [sys.executable, "-m", "tests.integration.children.identity_child", str(self.path)]
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


@pytest.fixture
async def site(own_servers: Servers, tmp_path: Path, prefix: str) -> AsyncIterator[Site]:
    name = sql.Identifier(f"ledger_{prefix}")
    with psycopg.connect(own_servers.ledger_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    ledger_url = own_servers.ledger_url.rpartition("/")[0] + f"/ledger_{prefix}"
    migrate(ledger_url)
    (tmp_path / "pupils.jsonl").write_text("")
    registry = Simulator("registry", tmp_path, data=tmp_path / "pupils.jsonl")
    path = write_config(tmp_path, own_servers.bootstrap_servers, ledger_url, registry, prefix)
    config = load_config(path, {})
    await topics.apply(config, topics.plan(config, VENDORS))
    made = Site(tmp_path, config, path, registry, await empty_topics(config))
    yield made
    made.end()
    registry.stop()


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


def check_standing(made: School, found: Account) -> None:
    """Pupils the registry does not confirm never reach the unified stream; the others' IDs are the registry's."""
    by_record = {one.record_id: one.pupil for one in made.sent}
    for one in found.published:
        child = by_record[one["head"]["record_id"]]
        if one["head"]["event_type"] != "CANCEL":
            assert child.standing == "known"
            assert one["head"]["citizen_id"] == child.citizen_id
    codes = Counter(code for _, code in found.parked.values())
    assert {"ID-02", "ID-03", "ID-05", "CF-01", "CF-02", "DQ-48", "DQ-42", "GW-03", "GW-04"} <= codes.keys()


async def test_two_kills_in_mid_stream_lose_and_double_nothing(site: Site) -> None:
    made = school(7, 400, slots=SLOTS)
    fill_registry(site, made)
    third = len(made.sent) // 3
    worker = site.start()
    for wave in (made.sent[:third], made.sent[third : 2 * third]):
        before = await published_count(site)
        await site.publish(wave)
        async with asyncio.timeout(DEADLINE_S):
            while await published_count(site) < before + third // 4:
                assert worker.poll() is None, site.log()
                await asyncio.sleep(0.02)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker = site.start()
    await site.publish(made.sent[2 * third :])

    found = await settled(site, made.sent)

    check(made, found, site)
    check_standing(made, found)


@pytest.mark.parametrize(
    "failpoints",
    [
        "identity.after_pg_commit=kill@3",
        "identity.before_commit=kill@4",
        "identity.after_commit=kill@4",
    ],
)
async def test_a_kill_around_each_commit_loses_and_doubles_nothing(site: Site, failpoints: str) -> None:
    made = school(11, 150, slots=SLOTS)
    fill_registry(site, made)
    await site.publish(made.sent)
    for _ in range(3):
        worker = site.start(failpoints)
        await asyncio.to_thread(worker.wait, DEADLINE_S)
        assert worker.returncode == -signal.SIGKILL, site.log()
    site.start()

    found = await settled(site, made.sent)

    check(made, found, site)


async def test_an_outage_of_the_registry_holds_only_unknown_pupils_and_ends_by_itself(site: Site) -> None:
    known, unknown = pupil(1, "known"), pupil(2, "known")
    fill_registry(site, School([known, unknown]))
    site.start()
    first = make(known, 0, 1, slots=SLOTS)
    await site.publish([first])
    await settled(site, [first])
    site.registry.faults(down=True)
    during = [make(unknown, 1, 1, slots=SLOTS), make(known, 2, 2, slots=SLOTS)]
    await site.publish(during)

    async with asyncio.timeout(DEADLINE_S):
        while await published_count(site) < 2 or len(site.open_rows()) < 1:
            await asyncio.sleep(0.1)
    assert site.open_rows() == {during[0].event_id: ("waiting", "ID-01")}
    site.registry.faults()
    found = await settled(site, [first, *during])
    site.workers[-1].terminate()

    assert found.parked == {}
    assert len(found.published) == 3
    assert await asyncio.to_thread(site.workers[-1].wait, 20) == 0, site.log()
    assert "Mẫu" not in site.log()


async def test_above_the_high_water_mark_the_stream_holds_instead_of_parking_more(site: Site) -> None:
    pupils = [pupil(number, "known") for number in range(200, 350)]
    fill_registry(site, School(pupils))
    settings = site.path.read_text().replace("batch_records: 100", "batch_records: 5")
    site.path.write_text(settings.replace("high_water: 4000", "high_water: 40"))
    site.registry.faults(down=True)
    sent = [make(child, number, 1, slots=SLOTS) for number, child in enumerate(pupils)]
    site.start()
    await site.publish(sent)
    async with asyncio.timeout(DEADLINE_S):
        while len(site.open_rows()) < 40:
            await asyncio.sleep(0.1)

    await asyncio.sleep(2)  # long enough for ten more turns of every slot
    held = len(site.open_rows())
    site.registry.faults()
    found = await settled(site, sent)

    assert held <= 40 + SLOTS * 5
    assert len(found.published) == len(sent)


async def test_orders_release_after_a_fresh_look_up_and_discard_frees_the_lane(site: Site) -> None:
    child = pupil(3, "unknown")
    fill_registry(site, School([child]))
    site.start()
    sent = [
        make(child, 0, 1, slots=SLOTS, year="2022-2023"),
        make(child, 1, 1, slots=SLOTS, year="2023-2024", holds=("DQ-42",)),
        make(child, 2, 1, slots=SLOTS, year="2024-2025"),
    ]
    await site.publish(sent)
    found = await settled(site, sent)
    assert [found.parked[one.event_id][1] for one in sent] == ["ID-02", "GW-03", "GW-03"]

    admin(site, "/admin/pupils", {"pupils": [pupil(3, "known").entry()]})
    site.order(sent[0].event_id, "release")
    await until(site, lambda rows: rows == {sent[1].event_id: "DQ-42", sent[2].event_id: "GW-03"})
    site.order(sent[1].event_id, "discard")
    await until(site, lambda rows: rows == {})
    found = await account(site)

    check(School(sent=sent), found, site)
    assert [one["head"]["event_id"] for one in found.published] == [sent[0].event_id, sent[2].event_id]
    assert found.receipts[sent[1].event_id]["state"] == "discarded"
    assert {row[0] for row in site.rows("SELECT state FROM orders")} == {"done"}
    assert site.rows("SELECT count(*), count(DISTINCT request_id) FROM lookups WHERE purpose <> ''") == [(2, 2)]


async def until(site: Site, reached: Any) -> None:
    """Wait until the codes of the open rows are as asked."""
    async with asyncio.timeout(DEADLINE_S):
        while not reached({event: code for event, (_, code) in site.open_rows().items()}):
            assert site.workers[-1].poll() is None, site.log()
            await asyncio.sleep(0.1)


async def test_both_links_confirm_a_pupil_and_every_look_up_is_in_the_audit(site: Site) -> None:
    """Known to both, to the registry alone, to the population database alone; and an outage of the latter holds."""
    both, registered, claimed, late = (pupil(number, "known") for number in range(10, 14))
    fill_registry(site, School([both, registered, late]))
    people = site.folder / "citizens.jsonl"
    people.write_text("\n".join(json.dumps(child.entry()) for child in (both, claimed, late)))
    database = Simulator("c06", site.folder, data=people)
    links = f"""links: {{population: {{url: "{database.url}/soap", credentials_file: "{database.credentials_file}",
  procedure_code: MAU-DVC, officer_code: mau.canbo, rate_per_s: 200}}}}, """
    site.path.write_text(site.path.read_text().replace("identity: {", "identity: {" + links))
    site.start()
    first = [make(child, number, 1, slots=SLOTS) for number, child in enumerate((both, registered, claimed))]
    await site.publish(first)
    found = await settled(site, first)
    database.faults(down=True)
    held = make(late, 3, 1, slots=SLOTS)
    await site.publish([held])
    await until(site, lambda rows: rows.get(held.event_id) == "ID-01")
    during = [*first, make(both, 4, 2, slots=SLOTS)]
    await site.publish(during[-1:])
    async with asyncio.timeout(DEADLINE_S):
        while await published_count(site) < 3:  # a known pupil is not behind the outage
            await asyncio.sleep(0.1)
    database.faults()
    after = await settled(site, [*during, held])
    database.stop()

    assert found.parked == {first[1].event_id: ("parked", "DQ-25")}
    assert {one["head"]["citizen_id"] for one in found.published} == {both.citizen_id, claimed.citizen_id}
    assert len(after.published) == 4
    audit = set(site.rows("SELECT endpoint, officer, purpose, verdict FROM lookups"))
    assert {
        ("registry", "GATEWAY", "HOCBA-GATEWAY", "confirmed"),
        ("registry", "GATEWAY", "HOCBA-GATEWAY", "not_found"),
        ("population:ndxp", "mau.canbo", "MAU-DVC", "confirmed"),
        ("population:ndxp", "mau.canbo", "MAU-DVC", "unconfirmed"),
    } <= audit
    assert {verdict for *_, verdict in audit} <= {"confirmed", "not_found", "unconfirmed", "unanswered"}
    rows = repr(site.rows("SELECT lookups::text FROM lookups")) + site.log() + database.log.read_text()
    assert not [word for child in (both, claimed, late) for word in (child.name, child.citizen_id) if word in rows]


async def test_known_pupils_flow_while_unknown_ones_drain_at_the_registrys_pace(site: Site) -> None:
    known, unknown = ([pupil(number, "known") for number in range(start, start + 60)] for start in (400, 500))
    fill_registry(site, School([*known, *unknown]))
    settings = site.path.read_text().replace(
        "registry: {", "registry: {rate_per_s: 20, counts: codes, batch_codes: 5, "
    )
    site.path.write_text(settings)
    site.start()
    first = [make(child, number, 1, slots=SLOTS) for number, child in enumerate(known)]
    await site.publish(first)
    await settled(site, first)
    second = [make(child, 1000 + number, 1, slots=SLOTS) for number, child in enumerate(unknown)]
    second += [make(child, 2000 + number, 2, slots=SLOTS) for number, child in enumerate(known)]
    await site.publish(second)
    found = await settled(site, [*first, *second])

    before = sum(len(unknown_before(child, unknown, found)) for child in known) / len(known)
    assert before < len(unknown) / SLOTS / 4  # of some 15 unknown ones a slot, though all were published earlier
    check(School(sent=[*first, *second]), found, site)
    assert len(found.published) == len(first) + len(second)
    asked = site.rows("SELECT count(*), count(DISTINCT lane) FROM lookups")
    assert asked == [(len(known) + len(unknown),) * 2]  # one look-up a pupil


async def test_records_under_a_temporary_code_wait_for_the_official_one_and_go_on_as_the_same_events(
    site: Site,
) -> None:
    official, lost = pupil(20, "known"), pupil(21, "unknown")
    fill_registry(site, School([official]))
    temporary, adrift = (replace(child, code=f"TAM-{child.citizen_id}") for child in (official, lost))
    site.start()
    sent = [
        make_temporary(temporary, 0, 1, YEARS[0]),
        make_temporary(temporary, 1, 1, YEARS[1]),
        make_temporary(adrift, 2, 1, YEARS[0]),
    ]
    await site.publish(sent)
    found = await settled(site, sent)
    assert [found.parked[one.event_id][1] for one in sent] == ["DQ-24", "GW-03", "DQ-24"]

    assert alias(site, (temporary.code, official.code), (adrift.code, lost.code)) == (0, (2, 0, [], 3))
    await until(site, lambda rows: rows == {sent[2].event_id: "ID-02"})
    later = make_temporary(temporary, 3, 2, YEARS[0])  # its software still has the old code
    await site.publish([later])
    async with asyncio.timeout(DEADLINE_S):
        while await published_count(site) < 3:
            await asyncio.sleep(0.1)
    found = await account(site)

    check(School(sent=[*sent, later]), found, site)
    records = [record_id(official.code, year, "GDPT") for year in YEARS]
    heads = {one["head"]["event_id"]: one["head"] for one in found.published}
    assert {event: (head["record_id"], head["version"]) for event, head in heads.items()} == {
        sent[0].event_id: (records[0], 1),
        sent[1].event_id: (records[1], 1),
        later.event_id: (records[0], 2),
    }
    assert {one["body"]["pupil_code"] for one in found.published} == {official.code}
    assert found.receipts[sent[2].event_id]["seq"] > 1  # the new reason is told after the old one
    assert alias(site, (temporary.code, official.code), (adrift.code, official.code)) == (1, (0, 1, [2], 0))
    ledger = repr(site.rows("SELECT aliases::text FROM aliases")) + site.log()
    assert not [code for code in (official.code, temporary.code, official.citizen_id) if code in ledger]


def make_temporary(child: Pupil, number: int, order: int, year: str) -> Sent:
    """A record as intake maps it under a temporary pupil code."""
    return make(child, number, order, slots=SLOTS, year=year, holds=("DQ-24",))


def hocba(site: Site, *words: str, given: str = "") -> tuple[int, Any]:
    """A command of ``hocba identity``, *given* on standard input: its exit code and what it printed."""
    command = [sys.executable, "-c", "from gateway.ops.cli import main; main()", "identity", *words]
    command += ["--config", str(site.path), "--json"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


SIGNED = ("--reason", "seen the birth certificate", "--by", "tester")


def alias(site: Site, *pairs: tuple[str, str]) -> tuple[int, tuple[int, int, list[int], int]]:
    """``hocba identity alias`` on *pairs*: its exit code and (new, known, conflicts, released)."""
    code, told = hocba(site, "alias", "-", *SIGNED, given="\n".join(",".join(pair) for pair in pairs))
    return code, (told["new"], told["known"], told["conflicts"], told["released"])


async def test_a_person_settles_a_difference_and_a_recheck_finds_who_was_not_there(site: Site) -> None:
    differing, missing = pupil(30, "differs"), pupil(31, "unknown")
    fill_registry(site, School([differing]))
    site.start()
    sent = [
        make(differing, 0, 1, slots=SLOTS, year=YEARS[0]),
        make(differing, 1, 1, slots=SLOTS, year=YEARS[1]),
        make(missing, 2, 1, slots=SLOTS),
    ]
    await site.publish(sent)
    found = await settled(site, sent)
    assert [found.parked[one.event_id][1] for one in sent] == ["ID-03", "GW-03", "ID-02"]

    _, listed = hocba(site, "review")
    assert [(one["code"], one["verdict"], one["differences"]) for one in listed] == [
        ("ID-03", "mismatch", "full_name:different")
    ]
    row = listed[0]["id"]
    assert hocba(site, "confirm", row, "-", *SIGNED, given="12345")[0] == 1
    assert hocba(site, "confirm", "identity:0:999", "-", *SIGNED, given=differing.citizen_id)[0] == 1
    assert hocba(site, "confirm", row, "-", *SIGNED, given=differing.citizen_id) == (0, {"released": 1})
    await until(site, lambda rows: rows == {sent[2].event_id: "ID-02"})
    admin(site, "/admin/pupils", {"pupils": [pupil(31, "known").entry()]})
    assert hocba(site, "recheck", *SIGNED) == (0, {"ordered": 1})
    await until(site, lambda rows: rows == {})
    asked = site.rows("SELECT count(*) FROM lookups WHERE endpoint = 'registry'")
    later = make(differing, 3, 2, slots=SLOTS, year=YEARS[0])
    await site.publish([later])
    found = await settled(site, [*sent, later])

    check(School(sent=[*sent, later]), found, site)
    assert {one["head"]["citizen_id"] for one in found.published} == {differing.citizen_id, missing.citizen_id}
    assert site.rows("SELECT count(*) FROM lookups WHERE endpoint = 'registry'") == asked  # the decision holds
    assert site.rows("SELECT officer, purpose, verdict FROM lookups WHERE endpoint = 'person'") == [
        ("tester", "REVIEW", "confirmed")
    ]
    assert site.rows("SELECT decided_by, reason FROM verdicts WHERE decided_by <> ''") == [(SIGNED[3], SIGNED[1])]
    assert hocba(site, "review") == (0, [])


async def test_what_the_pre_check_found_needs_no_look_up_when_the_records_come(site: Site) -> None:
    known, differing = pupil(40, "known"), pupil(41, "differs")
    fill_registry(site, School([known, differing]))
    path = site.folder / "pupils.csv"
    rows = [
        f"{one.code},{one.citizen_id},{one.name},{one.birth},{one.gender},01999001,05" for one in (known, differing)
    ]
    path.write_text("\n".join(["pupil_code,citizen_id,full_name,birth_date,gender,school_code,grade", *rows]))

    first, again = (hocba(site, "precheck", "--from", str(path)) for _ in range(2))
    site.start()
    sent = [make(child, number, 1, slots=SLOTS) for number, child in enumerate((known, differing))]
    await site.publish(sent)
    found = await settled(site, sent)

    assert (first[0], again[0], first[1]["cached"], again[1]["cached"]) == (0, 0, 0, 2)
    assert first[1]["schools"] == again[1]["schools"]
    counts = first[1]["schools"][0]
    assert (counts["school"], counts["pupils"], counts["confirmed"], counts["mismatch"]) == ("01999001", 2, 1, 1)
    assert [one["head"]["event_id"] for one in found.published] == [sent[0].event_id]
    assert found.parked == {sent[1].event_id: ("parked", "ID-03")}
    assert site.rows("SELECT count(*) FROM lookups") == [(2,)]


def unknown_before(child: Pupil, unknown: list[Pupil], found: Account) -> list[str]:
    """The unknown pupils who stand before the second version of *child* in the log of its slot."""
    ids = {other.citizen_id for other in unknown if other.lane % SLOTS == child.lane % SLOTS}
    heads = [one["head"] for one in found.published]
    place = next(n for n, head in enumerate(heads) if (head["citizen_id"], head["version"]) == (child.citizen_id, 2))
    return [head["citizen_id"] for head in heads[:place] if head["citizen_id"] in ids]
