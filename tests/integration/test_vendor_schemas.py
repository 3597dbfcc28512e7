"""Avro of a vendor through real Kafka while its schema registry is away, comes back, and knows nothing of an id.

Mutations that make a test here fail (each was tried):
- what is held is not sought back                → the waiting messages are lost
- only the message is held, not its partition    → a later one of the same partition overtakes it
"""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gateway.config import Config, Connectors, Kafka, Ledger, Registry
from gateway.edges import topics
from gateway.edges.keys import new_keys
from gateway.intake.decode_avro import id_header
from gateway.intake.dry_run import messages
from gateway.national import codec
from gateway.record import MAPPED_TOPIC, vendor_topic
from gateway.sandbox.embedded import embedded_servers
from gateway.sandbox.launch import free_ports
from gateway.sandbox.payloads import vnedu_message
from gateway.workers import intake
from tests.fakes.raw_server import answer, served
from tests.unit.intake.loaded import CONNECTORS, connectors, row

pytestmark = pytest.mark.servers

AVRO, JSON = "emis_avro_primary", "vnedu_flat_thcs"
UNKNOWN_HERE, UNKNOWN_THERE, OWN = 5_005, 4_040, 1_002
SOON_S = 30.0
QUIET_S = 2.0


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker of its own: the stage takes the gateway's topics as they are named."""
    with embedded_servers(postgres=False) as running:
        yield running.bootstrap_servers


@pytest.fixture
async def config(broker: str, tmp_path: Path) -> Config:
    for name in (AVRO, JSON):
        shutil.copytree(CONNECTORS / name, tmp_path / "connectors" / name)
    new_keys(tmp_path / "keys.json")
    (port,) = free_ports(1)
    found = Config(
        slots=1,
        kafka=Kafka(bootstrap_servers=broker, replication_factor=1, min_insync_replicas=1, session_timeout_ms=6_000),
        ledger=Ledger(url="postgresql://unused"),
        keys_file=str(tmp_path / "keys.json"),
        state_dir=str(tmp_path),
        registry=Registry(url="http://unused", credentials_file="unused"),
        targets={},
        connectors=Connectors(path=str(tmp_path / "connectors")),
        schema_registry_url=f"http://127.0.0.1:{port}",
    )
    await topics.apply(found, topics.plan(found, {"emis", "vnedu"}))
    return found


def avro_value() -> bytes:
    """The body of a clean message, without header; written with the connector's newest schema."""
    file = CONNECTORS / AVRO / "cases" / "03-clean.input.jsonl"
    return messages(connectors()[AVRO], file.read_bytes())[0][10:]


@contextlib.asynccontextmanager
async def schema_registry(config: Config) -> AsyncIterator[list[str]]:
    """Knows one id; the list holds what it was asked."""
    asked: list[str] = []
    text = (CONNECTORS / AVRO / "schemas" / "ban-ghi-2.avsc").read_text(encoding="utf-8")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split(b" ")[1].decode()
            asked.append(path)
            known = path == f"/schemas/ids/{UNKNOWN_HERE}"
            writer.write(answer("200 OK", json.dumps({"schema": text})) if known else answer("404 Not Found", "{}"))
            await writer.drain()

    async with served(serve, port=int(config.schema_registry_url.rpartition(":")[2])):
        yield asked


@contextlib.asynccontextmanager
async def running(config: Config) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(intake.run(config, stop))
    yield
    stop.set()
    await task


class Reader:
    """Everything committed to some topics, in order."""

    def __init__(self, config: Config, *names: str) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=config.kafka.bootstrap_servers, isolation_level="read_committed",
            auto_offset_reset="earliest", enable_auto_commit=False,
        )  # fmt: skip
        self._names = names
        self.seen: dict[str, list[tuple[bytes, dict[str, bytes]]]] = {name: [] for name in names}

    async def __aenter__(self) -> "Reader":
        await self._consumer.start()
        self._consumer.assign([TopicPartition(name, 0) for name in self._names])
        await self._consumer.seek_to_beginning()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read(self, wait_s: float = 0.5) -> None:
        fetched = await self._consumer.getmany(timeout_ms=int(wait_s * 1000))
        for partition, records in fetched.items():
            self.seen[partition.topic] += [(record.value, dict(record.headers)) for record in records]

    async def until(self, name: str, number: int) -> None:
        async with asyncio.timeout(SOON_S):
            while len(self.seen[name]) < number:
                await self.read()


async def test_a_vendor_waits_for_its_registry_alone_and_loses_nothing(config: Config) -> None:
    emis, vnedu, rejected = (
        vendor_topic("emis", "records"),
        vendor_topic("vnedu", "records"),
        vendor_topic("emis", "rejected"),
    )
    first = second = third = avro_value()
    async with (
        AIOKafkaProducer(bootstrap_servers=config.kafka.bootstrap_servers) as producer,
        Reader(config, MAPPED_TOPIC, rejected) as reader,
        running(config),
    ):
        await producer.send_and_wait(emis, id_header(OWN) + first, partition=0)
        await producer.send_and_wait(emis, id_header(UNKNOWN_HERE) + second, partition=0)
        await producer.send_and_wait(emis, id_header(OWN) + third, partition=0)
        await producer.send_and_wait(emis, id_header(UNKNOWN_THERE) + third, partition=0)
        for number in range(1, 4):
            await producer.send_and_wait(vnedu, vnedu_message([row(number)]), partition=0)

        await reader.until(MAPPED_TOPIC, 4)
        await reader.read(QUIET_S)
        assert [vendor_of(value) for value, _ in reader.seen[MAPPED_TOPIC]].count("emis") == 1
        assert len(reader.seen[MAPPED_TOPIC]) == 4
        assert not reader.seen[rejected]

        async with schema_registry(config) as asked:
            await reader.until(MAPPED_TOPIC, 6)
            await reader.until(rejected, 1)

    mapped = [value for value, _ in reader.seen[MAPPED_TOPIC] if vendor_of(value) == "emis"]
    offsets = [codec.decode_mapped(value)["head"]["source"]["offset"] for value in mapped]
    assert offsets == sorted(offsets)
    assert len(set(offsets)) == 3
    ((_, headers),) = reader.seen[rejected]
    assert headers["dlt-reason"] == b"GW-05"
    assert headers["dlt-original-offset"] == b"3"
    assert asked.count(f"/schemas/ids/{UNKNOWN_HERE}") == 1


def vendor_of(value: bytes) -> str:
    return str(codec.decode_mapped(value)["head"]["vendor"])
