# ruff: noqa: INP001  a script to run, not a package
"""How near intake can come to what Kafka's client alone costs: microseconds of CPU a record, each step in one run.

    .venv/bin/python bench/intake_floor.py [records]

Three passes over one backlog on an embedded broker, with this program's own consumer and producer:

    read            fetched and looked at
    read and write  and for each an output that was made before, in transactions with the offsets
    the stage       and what intake makes of each record instead (decode, map, rules, head, headers)

The second is a floor: a figure below it is out of reach of any mapping, however fast, on this client and machine.
"""

import asyncio
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gateway.config import Config  # noqa: E402
from gateway.edges.connector_files import load_connectors  # noqa: E402
from gateway.edges.kafka import Output, SlotProducer, make_consumer  # noqa: E402
from gateway.edges.kafka_types import Record, TopicPartition  # noqa: E402
from gateway.ops.worker import collect_rarely  # noqa: E402
from gateway.record import vendor_topic  # noqa: E402
from gateway.sandbox.bench import Figure, Prepared, Stand, publish, with_stand  # noqa: E402
from gateway.sandbox.bench_intake import USUAL, VARIANTS  # noqa: E402
from gateway.sandbox.demo_setup import SLOTS  # noqa: E402
from gateway.workers.intake_outputs import Envelope, outputs_of  # noqa: E402

BATCH = 500
Make = Callable[[Record], Iterable[Output]]


async def passed(config: Config, partitions: Sequence[TopicPartition], count: int, make: Make | None) -> float:
    """Microseconds of CPU of this process for each of *count* records; *make* None writes nothing."""
    consumer = make_consumer(config.kafka)
    producer = SlotProducer(config.kafka, f"floor-{uuid.uuid4().hex}")
    await consumer.start()
    await producer.start()
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    seen, warm, began = 0, 0, 0.0
    try:
        while seen < count:
            for partition, records in (await consumer.getmany(timeout_ms=200, max_records=BATCH)).items():
                outputs = [output for record in records for output in make(record)] if make else []
                if make:
                    offsets = {partition: records[-1].offset + 1}
                    await producer.transact(outputs, offsets=offsets, group_id="floor", stage="floor")
                seen += len(records)
            if not warm and seen > count // 5:
                warm, began = seen, time.process_time()
        return (time.process_time() - began) / (seen - warm) * 1e6
    finally:
        await consumer.stop()
        await producer.stop()


async def measure(stand: Stand, records: int) -> list[Figure]:
    """Print a table a variant."""
    connectors = {connector.vendor: connector for connector in load_connectors(ROOT / "connectors").values()}
    envelope = Envelope(b"k" * 32, SLOTS)
    for name in USUAL:
        variant = VARIANTS[name]
        if variant.message is None:
            continue
        connector, topic = connectors[variant.vendor], vendor_topic(variant.vendor, "records")
        values = [variant.message(number) for number in range(records)]
        messages = [Output(topic, number % SLOTS, b"%d" % number, value, []) for number, value in enumerate(values)]
        await publish(stand.config, [Prepared("", message) for message in messages])
        partitions = [TopicPartition(topic, slot) for slot in range(SLOTS)]
        made: dict[tuple[int, int], list[Output]] = {}

        def stage(record: Record) -> list[Output]:
            return outputs_of(connector, record, envelope, at_ms=0)  # noqa: B023  called before the next round

        def remember(record: Record) -> list[Output]:
            return made.setdefault((record.partition, record.offset), stage(record))  # noqa: B023

        await passed(stand.config, partitions, records, remember)
        collect_rarely()
        reading = await passed(stand.config, partitions, records, None)
        floor = await passed(stand.config, partitions, records, lambda r: made[r.partition, r.offset])  # noqa: B023
        whole = await passed(stand.config, partitions, records, stage)
        sys.stdout.write(f"{name}: {sum(map(len, values)) // records} bytes in\n")
        for step, us in (("read", reading), ("read and write", floor), ("the stage", whole)):
            sys.stdout.write(f"  {step:16}{us:8.1f} µs  {1e6 / us:10,.0f} a core second\n")
    return []


def main() -> None:
    """Measure on a broker of this script's own."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(with_stand(lambda stand: measure(stand, count)))


if __name__ == "__main__":
    main()
