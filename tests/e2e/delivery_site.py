"""Delivery alone on real servers: workers that come, go, pause and die, the simulators' books, and an attentive ledger.

Triggers of the test note in the ledger when a slot changed hands (`owners`) and every statement that wrote a row of a
slot for somebody who was not its owner (`strays`): what the gateway says about itself is not asked.
"""

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import yaml

from gateway.config import Config, load_config
from gateway.edges import topics
from gateway.edges.kafka import PlainProducer, make_consumer
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.keys import write_private
from gateway.record import NATIONAL_TOPIC
from gateway.sandbox.embedded import Servers
from gateway.sandbox.simulators.book import read_book, read_sends, read_summary
from tests.fakes.identity_school import LANE_KEY, VENDOR
from tests.fakes.simulator import Simulator
from tests.fakes.stream import Made
from tests.servers import new_ledger

ROOT = Path(__file__).resolve().parents[2]
CHUNK = 2_000
TRIES = 200

_WATCH = """
CREATE TABLE owners (target text, slot int, epoch bigint, owner text, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE strays (what text, target text, slot int, writer text, owner text);
CREATE FUNCTION note_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO owners (target, slot, epoch, owner) VALUES (NEW.target, NEW.slot, NEW.epoch, NEW.owner); RETURN NULL;
END $$;
CREATE TRIGGER note_owner AFTER UPDATE ON slot_owner FOR EACH ROW
  WHEN (OLD.epoch IS DISTINCT FROM NEW.epoch) EXECUTE FUNCTION note_owner();
CREATE FUNCTION note_stray() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO strays (what, target, slot, writer, owner)
  SELECT DISTINCT TG_TABLE_NAME, w.target, w.slot, current_setting('application_name'), o.owner
  FROM written w JOIN slot_owner o ON o.target = w.target AND o.slot = w.slot
  WHERE o.owner <> current_setting('application_name');
  RETURN NULL;
END $$;
"""
_WATCHED = ("deliveries", "parked", "packets", "outbox")


@dataclass
class Worker:
    """One worker process of a target."""

    target: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def owner(self) -> str:
        """Its name in `slot_owner`."""
        return f"{socket.gethostname()}:{self.process.pid}"

    @property
    def peak_mb(self) -> float:
        """The most memory it ever held."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    @property
    def cpu_s(self) -> float:
        """Processor time of all its threads so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def kill(self) -> None:
        """End it with -9."""
        self.process.kill()
        self.process.wait()

    def told(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-3000:]


@dataclass
class DeliverySite:
    """One test's installation."""

    folder: Path
    config: Config
    servers: Servers
    targets: dict[str, Simulator]
    workers: list[Worker] = field(default_factory=list)
    placed: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    _ledger: psycopg.Connection[tuple[Any, ...]] | None = None

    def start(
        self, target: str, *, mutation: str = "none", failpoints: str = "", urls: Mapping[str, str] | None = None
    ) -> Worker:
        """A further worker of *target*; *urls* replaces where it looks for targets."""
        path = self.folder / "g.yaml"
        number = len(self.workers)
        if urls:
            content = yaml.safe_load(path.read_text())
            for name, url in urls.items():
                content["targets"][name]["url"] = url
            path = self.folder / f"g{number}.yaml"
            path.write_text(yaml.safe_dump(content))
        command = [sys.executable, "-m", "tests.e2e.children.delivery_child", mutation, f"deliver:{target}"]
        environment = {**os.environ, "HOCBA_SANDBOX": "1", "HOCBA_FAILPOINTS": failpoints}
        log = self.folder / f"worker{number}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen([*command, "--config", str(path)], cwd=ROOT, env=environment, stderr=errors)
        self.workers.append(Worker(target, process, log))
        return self.workers[-1]

    async def publish(self, records: Iterable[Made]) -> int:
        """Put *records* into the unified stream; how many they were."""
        producer = PlainProducer(self.config.kafka)
        await producer.start()
        count = 0
        try:
            for chunk in _chunks(records):
                offsets = await producer.send([one.output for one in chunk])
                for offset, one in zip(offsets, chunk, strict=True):
                    self.placed.setdefault(one.slot, []).append((offset, one.event_id))
                count += len(chunk)
        finally:
            await producer.stop()
        return count

    def rows(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        """Ask the ledger."""
        for _ in range(TRIES):
            try:
                return self._session().execute(query, given).fetchall()
            except psycopg.OperationalError:  # a test has taken PostgreSQL away, and it is coming back
                self.close()
                threading.Event().wait(0.3)
        pytest.fail("PostgreSQL does not come back")

    def _session(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._ledger is None or self._ledger.closed:
            self._ledger = psycopg.connect(self.config.ledger.url, autocommit=True, application_name="test")
        return self._ledger

    def close(self) -> None:
        """Close the own session at PostgreSQL."""
        if self._ledger is not None:
            self._ledger.close()

    def settled(self, target: str) -> int:
        """How many records have an end state."""
        return int(self.rows("SELECT count(*) FROM deliveries WHERE target = %s", target)[0][0])

    def states(self, target: str) -> dict[str, str]:
        """Event → its end state, or parked."""
        return dict(self.rows(_STATES, target, target))

    async def until_settled(self, target: str, count: int, within_s: float) -> None:
        """Wait until so many records have an end state."""
        async with asyncio.timeout(within_s):
            while self.settled(target) < count:
                self.assert_alive(target)
                await asyncio.sleep(0.1)

    async def until_told(self, target: str, count: int, within_s: float) -> None:
        """Wait until so many records have an end state or are parked."""
        async with asyncio.timeout(within_s):
            while len(self.states(target)) < count:
                self.assert_alive(target)
                await asyncio.sleep(0.3)

    def assert_alive(self, target: str) -> None:
        """Somebody must be there who works."""
        mine = [worker for worker in self.workers if worker.target == target]
        assert any(not worker.ended for worker in mine), mine[-1].told()

    def owners(self, target: str) -> dict[int, str]:
        """Who holds each slot under a lease in force."""
        rows = self.rows("SELECT slot, owner FROM slot_owner WHERE target = %s AND lease_until > now()", target)
        return dict(rows)

    async def committed(self, target: str) -> dict[int, int]:
        """The group's offset of each slot."""
        consumer = make_consumer(self.config.kafka, group_id=f"{self.config.kafka.group_prefix}.deliver.{target}")
        await consumer.start()
        try:
            partitions = [TopicPartition(NATIONAL_TOPIC, slot) for slot in range(self.config.slots)]
            consumer.assign(partitions)
            return {p.partition: await consumer.committed(p) or 0 for p in partitions}
        finally:
            await consumer.stop()

    async def release_suspects(self, target: str, within_s: float) -> int:
        """Have the records tried again that stood alone at three kills (rule 11), as an operator would; how many."""
        open_rows = "FROM parked WHERE stage = 'delivery' AND target = %s AND state = 'parked' AND code = 'GW-02'"
        ordered = self.rows(
            "INSERT INTO orders (stage, target, slot, lane, topic_offset, action, reason, ordered_by) "
            f"SELECT stage, target, slot, lane, topic_offset, 'release', 'killed by the test', 'tester' {open_rows} "
            "RETURNING pg_notify('hocba_orders', 'delivery|' || target || '|' || slot)",
            target,
        )
        async with asyncio.timeout(within_s):
            while self.rows(f"SELECT 1 {open_rows}", target):
                self.assert_alive(target)
                await asyncio.sleep(0.3)
        return len(ordered)

    def verdict(self, target: str, records: Iterable[Made]) -> list[str]:
        """What does not hold of I1, I2, I4, I6 and the effects; empty when all is well."""
        published = [Published(one.event_id, one.record_id, one.version) for one in records]
        return [*judge(self, target, published), *(f"stray write {row}" for row in self.rows("TABLE strays"))]


class Published(NamedTuple):
    """What the judge needs of a record: of hundreds of thousands, their bytes would fill the memory."""

    event_id: str
    record_id: str
    version: int


def judge(site: DeliverySite, target: str, records: list[Published]) -> list[str]:
    """The stream that was published against the book of *target*; the ledger's words only where they must agree."""
    findings: list[str] = []
    book = site.targets[target].book
    rank: dict[str, int] = {}
    applied: Counter[tuple[str, int, str]] = Counter()
    for effect in read_book(book):
        applied[effect.record_id, effect.version, effect.op] += 1
        if effect.version < rank.get(effect.record_id, 0):
            findings.append(f"I2 backwards: {effect.record_id} v{effect.version}")
        rank[effect.record_id] = max(rank.get(effect.record_id, 0), effect.version)
    findings += [f"applied {times} times: {what}" for what, times in applied.items() if times > 1]
    findings += _keys(book)
    states = site.states(target)
    newest = {one.record_id: one.version for one in sorted(records, key=lambda one: one.version)}
    refused = {(row.record_id, row.version) for row in read_sends(book) if row.result == "REFUSED"}
    for one in records:
        state = states.get(one.event_id)
        if state is None:
            findings.append(f"I1 no state: {one.record_id} v{one.version}")
        elif state == "accepted" and not any((one.record_id, one.version, op) in applied for op in ("NEW", "UPDATE")):
            findings.append(f"accepted by the ledger's word alone: {one.record_id} v{one.version}")
        elif state == "superseded" and one.version == newest[one.record_id]:
            findings.append(f"lost, superseded by nothing: {one.record_id} v{one.version}")
        elif state == "parked" and not any(record == one.record_id for record, _ in refused):
            findings.append(f"parked without a refusal: {one.record_id} v{one.version}")
    lost = [name for name, version in newest.items() if rank.get(name, 0) < version and (name, version) not in refused]
    return findings + [f"lost: {name}" for name in lost]


_STATES = """
SELECT event_id::text, state FROM deliveries WHERE target = %s
UNION ALL SELECT event_id::text, state FROM parked WHERE stage = 'delivery' AND target = %s AND state <> 'closed'
"""


def _keys(book: Path) -> list[str]:
    """I4, and the anomalies that the simulator counts itself."""
    keys: dict[tuple[str, int], set[str]] = {}
    for row in read_sends(book):
        keys.setdefault((row.record_id, row.version), set()).add(row.key)
    per_record = all(len(seen) == 1 for seen in keys.values()) or book.name.startswith("sector")
    counts = read_summary(book)
    odd = ("new_on_existing", "update_on_unknown", "cancel_on_unknown", "overlapping")
    return [f"{name}: {counts[name]}" for name in odd if counts.get(name)] + (
        [] if per_record else ["I4: one version under several keys"]
    )


def _chunks(records: Iterable[Made]) -> Iterator[tuple[Made, ...]]:
    left = iter(records)
    while chunk := tuple(islice(left, CHUNK)):
        yield chunk


@asynccontextmanager
async def delivery_site(
    servers: Servers,
    folder: Path,
    *,
    slots: int = 4,
    delivery: Mapping[str, object] | None = None,
    contracts: Mapping[str, Mapping[str, object]] | None = None,
    options: Mapping[str, Mapping[str, object]] | None = None,
    session_ms: int = 2000,
) -> AsyncIterator[DeliverySite]:
    """An installation on *servers* (whose national.records must be new), ended with all its processes."""
    name = f"ledger_{folder.name}".replace("-", "_")[:40].lower()
    ledger_url = new_ledger(servers, name)
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        connection.execute(_WATCH)
        for table in _WATCHED:
            for verb in ("INSERT", "UPDATE"):
                connection.execute(
                    f"CREATE TRIGGER stray_{verb} AFTER {verb} ON {table} REFERENCING NEW TABLE AS written "
                    "FOR EACH STATEMENT EXECUTE FUNCTION note_stray()"
                )
    given = {"population": {}, "sector": {"result_delay_s": 0.3, "index_delay_s": 0.3}} | dict(options or {})
    targets = {target: Simulator(target, folder, options=asked) for target, asked in given.items()}
    path = _write(folder, servers, ledger_url, targets, contracts or {})
    content = yaml.safe_load(path.read_text())
    content |= {"slots": slots, "delivery": {"lease_s": 2, **(delivery or {})}}
    content["kafka"] |= {"session_timeout_ms": session_ms, "group_prefix": name}
    path.write_text(yaml.safe_dump(content))
    config = load_config(path, {})
    await topics.apply(config, topics.plan(config, (VENDOR,)))
    site = DeliverySite(folder, config, servers, targets)
    try:
        yield site
    finally:
        site.close()
        for worker in site.workers:
            worker.kill()
        for simulator in targets.values():
            simulator.stop()


def _write(
    folder: Path,
    servers: Servers,
    ledger_url: str,
    targets: Mapping[str, Simulator],
    contracts: Mapping[str, Mapping[str, object]],
) -> Path:
    """The configuration, with contracts that are the project's but for what *contracts* changes."""
    key = base64.b64encode(LANE_KEY).decode()
    keys = {"lane_token": key, "ledger": {"current": "k1", "keys": {"k1": key}}}
    write_private(folder / "keys.json", json.dumps(keys).encode())
    listed: dict[str, dict[str, str]] = {}
    for name, simulator in targets.items():
        contract = yaml.safe_load((ROOT / "targets" / f"{name}.yaml").read_text("utf-8"))
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(contract | dict(contracts.get(name, {}))))
        listed[name] = {
            "contract": str(folder / f"{name}.yaml"),
            "url": simulator.url,
            "credentials_file": str(simulator.credentials_file),
        }
    content = {
        "kafka": {
            "bootstrap_servers": servers.bootstrap_servers,
            "replication_factor": 1,
            "min_insync_replicas": 1,
            "transaction_timeout_ms": 5000,
        },
        "ledger": {"url": ledger_url},
        "keys_file": str(folder / "keys.json"),
        "state_dir": str(folder),
        "registry": {"url": "http://localhost:1", "credentials_file": str(folder / "keys.json")},
        "targets": listed,
    }
    path = folder / "g.yaml"
    path.write_text(yaml.safe_dump(content))
    return path
