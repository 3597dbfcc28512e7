"""Signed documents through real Kafka: good ones go on, others are held with the verdict, and the bytes are untouched.

Mutations that make a test here fail (each was tried):
- `Preparation.given` answers NOTHING for every message   → the changed document is not held
- the pool's answers are taken in reverse order            → another document is held
"""

import asyncio
import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gateway.config import Config, Connectors, Documents, Kafka, Ledger, Registry
from gateway.edges import topics
from gateway.edges.keys import new_keys
from gateway.national import codec
from gateway.record import MAPPED_TOPIC, vendor_topic
from gateway.sandbox.embedded import embedded_servers
from gateway.sandbox.payloads import hocba_xml
from gateway.sandbox.signing import sign_record
from gateway.workers import intake
from gateway.workers.intake_given import NoTrustStore
from tests.fakes.signers import SCHOOL, signers, store
from tests.unit.intake.loaded import CONNECTORS, primary

pytestmark = pytest.mark.servers

CONNECTOR = "hocba_xml_primary"
TOPIC = vendor_topic("hocba-xml", "records")
SOON_S = 60.0


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker of its own: the stage takes the gateway's topics as they are named."""
    with embedded_servers(postgres=False) as running:
        yield running.bootstrap_servers


@pytest.fixture
async def config(broker: str, tmp_path: Path) -> Config:
    shutil.copytree(CONNECTORS / CONNECTOR, tmp_path / "connectors" / CONNECTOR)
    profile = tmp_path / "connectors" / CONNECTOR / "connector.yaml"
    profile.write_text(profile.read_text("utf-8").replace("signatures: ignore", "signatures: require"), "utf-8")
    new_keys(tmp_path / "keys.json")
    found = Config(
        slots=1,
        kafka=Kafka(bootstrap_servers=broker, replication_factor=1, min_insync_replicas=1, session_timeout_ms=6_000),
        ledger=Ledger(url="postgresql://unused"),
        keys_file=str(tmp_path / "keys.json"),
        state_dir=str(tmp_path),
        registry=Registry(url="http://unused", credentials_file="unused"),
        targets={},
        connectors=Connectors(path=str(tmp_path / "connectors")),
        documents=Documents(trust=str(store(tmp_path / "trust"))),
    )
    await topics.apply(found, topics.plan(found, {"hocba-xml"}))
    return found


def document(number: int) -> bytes:
    return sign_record(hocba_xml(primary(number), version=1), {role: signers()[role] for role in SCHOOL})


def changed(value: bytes) -> bytes:
    return value.replace(b"<CAN_NANG>", b"<CAN_NANG>1", 1)


async def mapped(config: Config, sent: list[bytes]) -> list[dict[str, Any]]:
    """The mapped records of the documents *sent*, whatever else stands in the topic."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=config.kafka.bootstrap_servers, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    found: list[dict[str, Any]] = []
    try:
        consumer.assign([TopicPartition(MAPPED_TOPIC, 0)])
        async with asyncio.timeout(SOON_S):
            while len(found) < len(sent):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    decoded = [codec.decode_mapped(record.value) for record in records]
                    found += [record for record in decoded if record["evidence"]["content"] in sent]
    finally:
        await consumer.stop()
    return found


async def test_documents_are_verified_before_they_are_mapped(config: Config) -> None:
    sent = [document(1), document(4), changed(document(2)), hocba_xml(primary(3), version=1)]
    async with AIOKafkaProducer(bootstrap_servers=config.kafka.bootstrap_servers) as producer:
        for value in sent:
            await producer.send_and_wait(TOPIC, value, partition=0)
    stop = asyncio.Event()
    running = asyncio.create_task(intake.run(config, stop))
    found = await mapped(config, sent)
    stop.set()
    await running

    holds = [{(hold["code"], hold["field"], hold["rule"]) for hold in record["head"]["holds"]} for record in found]
    tampered = {("DQ-42", f"signature.{role}", "tampered") for role in SCHOOL}
    innermost = {("DQ-42", "signature.homeroom", "tampered")}
    assert holds == [set(), set(), innermost, tampered]
    assert [record["evidence"]["content"] for record in found] == sent


async def test_a_worker_that_loses_a_verifying_process_ends(config: Config) -> None:
    others = multiprocessing.active_children()
    running = asyncio.create_task(intake.run(config, asyncio.Event()))
    async with AIOKafkaProducer(bootstrap_servers=config.kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(TOPIC, document(11), partition=0)
        async with asyncio.timeout(SOON_S):
            while not (verifiers := set(multiprocessing.active_children()) - set(others)):
                await asyncio.sleep(0.05)
        verifiers.pop().kill()
        await producer.send_and_wait(TOPIC, document(12), partition=0)
        async with asyncio.timeout(SOON_S):
            with pytest.raises(BaseException) as ended:  # noqa: PT011  which group it comes in is not the point
                await running

    assert BrokenProcessPool in {type(leaf) for leaf in leaves(ended.value)}


def leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


async def test_required_signatures_without_a_trust_store_refuse_the_start(config: Config) -> None:
    with pytest.raises(NoTrustStore):
        await intake.run(msgspec.structs.replace(config, documents=Documents()), asyncio.Event())
