"""The whole zoo through real Kafka and intake: each message one answer, intake never dies, and the good ones go on.

Beside the zoo's messages: what only a topic can carry, as thousands of headers, a header's name that is not UTF-8, null
values, and compressed batches that unfold to 500 MiB.
"""

import asyncio
import gzip
import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cramjam
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c, encode_varint

from gateway.config import Config, load_config
from gateway.edges import topics
from gateway.edges.kafka import read_partition
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.keys import new_keys
from gateway.errors import catalogue
from gateway.national import codec
from gateway.ops.supervisor import Backoff, Plan, Supervisor
from gateway.record import H_EVENT_ID, MAPPED_TOPIC, Headers, Position, event_id, vendor_topic
from gateway.sandbox.embedded import embedded_servers
from gateway.sandbox.payloads import hocba_xml, synthetic_pupil, vnedu_message, vnedu_row
from tests.fakes.zoo import json_zoo, xml_zoo
from tests.unit.intake.loaded import connectors

ROOT = Path(__file__).resolve().parents[2]
JSON, XML = "vnedu_flat_thcs", "hocba_xml_primary"
MIB = 1024 * 1024
DEADLINE_S = 120.0

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker of its own: gateway.mapped has a fixed name, and some of this could end a broker."""
    with embedded_servers(postgres=False) as running:
        yield running.bootstrap_servers


@pytest.fixture
async def config(broker: str, tmp_path: Path, prefix: str) -> Config:
    new_keys(tmp_path / "keys.json")
    (tmp_path / "gateway.yaml").write_text(
        f"""
slots: 1
kafka: {{bootstrap_servers: "{broker}", replication_factor: 1, min_insync_replicas: 1, group_prefix: {prefix}}}
ledger: {{url: "postgresql://unused"}}
keys_file: {tmp_path / "keys.json"}
state_dir: {tmp_path}
registry: {{url: "http://127.0.0.1:9", credentials_file: unused}}
targets: {{}}
connectors: {{path: {ROOT}/connectors, enabled: [{JSON}, {XML}]}}
"""
    )
    made = load_config(tmp_path / "gateway.yaml", {})
    await topics.apply(made, topics.plan(made, [connectors()[name].vendor for name in (JSON, XML)]))
    return made


def records_of(name: str) -> str:
    return vendor_topic(connectors()[name].vendor, "records")


def good(name: str, number: int) -> bytes:
    dice = random.Random(number)
    if name == JSON:
        return vnedu_message([vnedu_row(synthetic_pupil(dice, level="secondary", number=number), version=1)])
    return hocba_xml(synthetic_pupil(dice, level="primary", number=number), version=1)


def folded(codec_number: int, body: bytes, count: int) -> bytes:
    """A batch of *count* records whose compressed bytes are *body*."""
    head = struct.pack(">hiqqqhii", codec_number, count - 1, 1, 1, -1, -1, -1, count) + body
    rest = struct.pack(">iBI", 0, 2, calc_crc32c(head)) + head
    return struct.pack(">qi", 0, len(rest)) + rest


def bomb() -> Iterator[bytes]:
    """The pieces of five records of 100 MiB each."""
    size = 100 * MIB
    for number in range(5):
        head = bytearray(b"\0")
        for field in (0, number, -1, size):
            encode_varint(field, head.append)
        length = bytearray()
        encode_varint(len(head) + size + 1, length.append)
        yield bytes(length + head)
        for _ in range(100):
            yield bytes(MIB)
        yield b"\0"


@cache
def bombs() -> dict[str, bytes]:
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    zipped = b"".join(pack.compress(piece) for piece in bomb()) + pack.flush()
    whole = b"".join(bomb())
    lz4 = cramjam.lz4.Compressor(content_checksum=False, block_linked=False)  # as Kafka wants it
    lz4.compress(whole)
    zstd = bytes(cramjam.zstd.compress(whole))
    return {"gzip": folded(1, zipped, 5), "zstd": folded(4, zstd, 5), "lz4": folded(3, bytes(lz4.finish()), 5)}


def with_a_spoilt_name(value: bytes) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 4 * MIB)
    builder.append(0, 1, b"k", value, [("hh", b"x")])
    made = bytearray(builder.build())
    place = made.rfind(b"\x04hh") + 1
    made[place : place + 2] = b"\xff\xfe"
    struct.pack_into(">I", made, 17, calc_crc32c(bytes(made[21:])))
    return bytes(made)


async def send_raw(producer: AIOKafkaProducer, topic: str, batch: bytes) -> int:
    """The offset of *batch*, written as it is."""
    await producer.client._wait_on_metadata(topic)  # noqa: SLF001  no client of ours writes such batches
    leader = producer.client.cluster.leader_for_partition(TopicPartition(topic, 0))
    asked = ProduceRequest(transactional_id=None, required_acks=-1, timeout=60_000, topics=[(topic, [(0, batch)])])
    ((_, (told,)),) = (await producer.client.send(leader, asked)).topics
    assert told[1] == 0, f"refused with {told[1]}"
    return int(told[2])


async def publish(config: Config) -> dict[str, str]:
    """Event id → what it was; only the first item's event of a message."""
    sent: dict[str, str] = {}

    def note(name: str, offset: int, what: str) -> None:
        sent[event_id(Position(records_of(name), 0, offset), 0)] = what

    async with AIOKafkaProducer(
        bootstrap_servers=config.kafka.bootstrap_servers, max_request_size=60 * MIB, request_timeout_ms=60_000
    ) as producer:

        async def send(name: str, what: str, value: bytes | None, headers: Headers | None = None) -> None:
            key = b"k" if value is None else None
            done = await producer.send_and_wait(records_of(name), value, key=key, partition=0, headers=headers or [])
            note(name, done.offset, what)

        for name, zoo in ((JSON, json_zoo()), (XML, xml_zoo())):
            for what, (value, _) in zoo.items():
                await send(name, what, value)
            await send(name, "a null value", None)
            await send(name, "good with 10,000 headers", good(name, 900), [(f"h{n}", b"x" * 20) for n in range(10_000)])
            await send(name, "good with a header of 1 MiB", good(name, 901), [("ce_id", b"x" * MIB)])
            note(
                name, await send_raw(producer, records_of(name), with_a_spoilt_name(good(name, 902))), "good, odd name"
            )
            for what, batch in bombs().items():
                note(name, await send_raw(producer, records_of(name), batch), f"bomb {what}")
            for number in range(3):
                await send(name, "good", good(name, number))
    return sent


async def answers(config: Config) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Event id → the codes of its receipt; event id → how often it was mapped."""
    told: dict[str, list[str]] = {}
    mapped: dict[str, int] = {}
    for name in (JSON, XML):
        topic = vendor_topic(connectors()[name].vendor, "receipts")
        async for batch in read_partition(config.kafka, TopicPartition(topic, 0), 0):
            for record in batch:
                receipt = codec.decode_receipt(record.value or b"")
                assert receipt["event_id"] not in told, "a second receipt"
                told[receipt["event_id"]] = [problem["code"] for problem in receipt["problems"]]
    async for batch in read_partition(config.kafka, TopicPartition(MAPPED_TOPIC, 0), 0):
        for record in batch:
            event = (dict(record.headers)[H_EVENT_ID] or b"").decode()
            mapped[event] = mapped.get(event, 0) + 1
    return told, mapped


@pytest.mark.timeout(300)
async def test_each_hostile_message_is_answered_once_and_intake_lives(config: Config, tmp_path: Path) -> None:
    sent = await publish(config)
    plan = Plan(tmp_path / "gateway.yaml", tmp_path / "state", {"intake": 1}, backoff=Backoff(0.1, 0.5))
    supervisor = Supervisor(plan, tell=print)

    await supervisor.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                told, mapped = await answers(config)
                if sent.keys() <= told.keys() | mapped.keys():
                    break
                await asyncio.sleep(0.5)
    except TimeoutError:
        missing = [what for event, what in sent.items() if event not in told and event not in mapped]
        pytest.fail(f"no answer to {missing}; deaths {supervisor.deaths}\n{log(tmp_path)}")
    finally:
        await supervisor.stop()

    assert supervisor.deaths == [], log(tmp_path)
    assert not told.keys() & mapped.keys()
    assert set(mapped.values()) == {1}
    assert {code for codes in told.values() for code in codes} <= catalogue().keys()
    by_name: dict[str, set[str]] = {}
    for event, what in sent.items():
        by_name.setdefault(what, set()).add("mapped" if event in mapped else told[event][0])
    assert {what: kinds for what, kinds in by_name.items() if what.startswith("good") and kinds != {"mapped"}} == {}
    assert {what: kinds for what, kinds in by_name.items() if what.startswith("bomb") and kinds != {"GW-01"}} == {}
    assert by_name["5 MiB"] == {"GW-01"}
    assert by_name["a null value"] == {"DQ-45"}
    for name in (JSON, XML):
        topic = vendor_topic(connectors()[name].vendor, "rejected")
        kept = [one async for batch in read_partition(config.kafka, TopicPartition(topic, 0), 0) for one in batch]
        zoo = json_zoo() if name == JSON else xml_zoo()
        assert zoo["5 MiB"][0] in {one.value for one in kept}, "rejected whole, with its original bytes"


def log(folder: Path) -> str:
    return "\n".join(path.read_text()[-3000:] for path in (folder / "state" / "logs").glob("*.log"))


async def test_50_mb_are_refused_at_the_producer_and_by_the_broker(config: Config) -> None:
    servers = config.kafka.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=servers) as usual:
        with pytest.raises(MessageSizeTooLargeError):
            await usual.send_and_wait(records_of(JSON), bytes(50 * 1_000_000), partition=0)

    async with AIOKafkaProducer(bootstrap_servers=servers, max_request_size=60 * MIB) as generous:
        with pytest.raises(MessageSizeTooLargeError):
            await generous.send_and_wait(records_of(JSON), bytes(50 * 1_000_000), partition=0)
        await generous.send_and_wait(records_of(JSON), gzip.compress(b"still there"), partition=0)
