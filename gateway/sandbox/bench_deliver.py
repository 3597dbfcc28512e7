"""Delivery's own cost: a backlog of the unified stream, one worker, a target that accepts at once.

    batch-500   500 records a request          single   one record a request

Full-width secondary records; every pupil another one, so that lanes never wait for each other.  `more` says what the
design's reference operations cost on this machine in the same run, and how many times as long as on the design's.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import psycopg
import yaml

from gateway.edges.clock import monotonic_s
from gateway.edges.connector_files import load_connectors
from gateway.edges.kafka import Output, PlainProducer
from gateway.edges.keys import Keys, load_keys
from gateway.identity.verdicts import Confirmed
from gateway.record import NATIONAL_TOPIC, vendor_topic
from gateway.sandbox.bench import (
    CHUNK,
    Backlog,
    Figure,
    MakeWorkers,
    Stand,
    drained,
    figure,
    usage,
    with_stand,
)
from gateway.sandbox.calibration import reference_us, slowness
from gateway.sandbox.demo_setup import PROJECT_ROOT
from gateway.sandbox.demo_simulators import PACKAGE_ROOT
from gateway.sandbox.payloads import vnedu_message, vnedu_row
from gateway.sandbox.people import synthetic_pupil
from gateway.workers import identity_records
from gateway.workers.intake_outputs import Envelope, outputs_of

TARGET: Final = "population"
VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "batch-500": {},
    "single": {"batch": {"records": 1, "bytes": 8_388_608, "age_ms": 1}, "concurrency": 64},
}
PUBLISHED_MS: Final = 1_780_000_000_000
CONNECTOR: Final = "vnedu_flat_thcs"


def bench_deliver(records: int, make_workers: MakeWorkers) -> list[Figure]:
    """Both variants, the batches first."""

    async def measure(stand: Stand) -> list[Figure]:
        async with sink() as url:
            return [
                await _variant(_Run(stand, variant, url, number * records, records), make_workers)
                for number, variant in enumerate(VARIANTS)
            ]

    return asyncio.run(with_stand(measure))


class _Run:
    """One variant: its configuration, and the backlog it starts with."""

    def __init__(self, stand: Stand, variant: str, url: str, first: int, records: int) -> None:
        self.stand, self.variant, self.first, self.records = stand, variant, first, records
        layout = stand.layout
        contract = yaml.safe_load((PROJECT_ROOT / "targets" / f"{TARGET}.yaml").read_text("utf-8"))
        self._write(layout.folder / "contract.yaml", contract | VARIANTS[variant])
        content = yaml.safe_load(layout.config.read_text("utf-8"))
        content["targets"][TARGET] |= {"contract": str(layout.folder / "contract.yaml"), "url": url}
        self._write(layout.config, content)

    @staticmethod
    def _write(path: Path, content: dict[str, Any]) -> None:
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")

    def outputs(self) -> Iterator[Output]:
        """Records as identity would publish them, a pupil each."""
        config = self.stand.config
        numbers = range(self.first, self.first + self.records)
        return national_outputs(Path(config.connectors.path), load_keys(Path(config.keys_file)), config.slots, numbers)


def national_outputs(connectors: Path, keys: Keys, slots: int, numbers: Iterable[int]) -> Iterator[Output]:
    """Full-width records as identity would publish them, one for each of *numbers*, a pupil each."""
    connector = load_connectors(connectors, [CONNECTOR])[CONNECTOR]
    envelope = Envelope(keys.lane_token, slots)
    topic = vendor_topic(connector.vendor, "records")
    for number in numbers:
        pupil = synthetic_pupil(Random(number), level="secondary", number=number)
        record = _Consumed(topic, number, vnedu_message([vnedu_row(pupil, version=1)]))
        (mapped,) = outputs_of(connector, record, envelope, at_ms=PUBLISHED_MS)
        item = identity_records.read(mapped.value, number, keys.claim)
        if item is None:
            raise AssertionError
        yield identity_records.national(item, 1, Confirmed(pupil.citizen_id), mapped.partition)


@dataclass(slots=True)
class _Consumed:
    """A vendor's message as a consumer gives it."""

    topic: str
    offset: int
    value: bytes | None
    partition: int = 0
    timestamp: int = PUBLISHED_MS
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


@asynccontextmanager
async def sink() -> AsyncIterator[str]:
    """A target that accepts at once, in a process of its own; its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.sandbox.sink"),
        cwd=PACKAGE_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


async def _variant(run: _Run, make_workers: MakeWorkers) -> Figure:
    """A tenth warms the worker up and is delivered to its end; what follows finds it idle and is measured whole.

    A worker that works off one backlog has thousands of records under way before the first offset is committed: a
    figure between two offsets leaves their cost out.
    """
    outputs = list(run.outputs())
    warm = max(1, len(outputs) // 10)
    costs = reference_us(outputs[0].value)
    config = run.stand.config
    workers = make_workers(run.stand.layout.config, run.stand.layout.state, {f"deliver:{TARGET}": 1})

    async def delivered(part: Sequence[Output], already: int) -> None:
        await _publish(run, part)
        backlog = Backlog(f"deliver.{TARGET}", NATIONAL_TOPIC, len(part), already)
        await drained(config, backlog, workers, lambda: _receipts_sent(config.ledger.url))

    await workers.start()
    try:
        await delivered(outputs[:warm], run.first)
        began_s, before = monotonic_s(), usage(workers.pids().values())
        await delivered(outputs[warm:], run.first + warm)
        seconds, used = monotonic_s() - began_s, usage(workers.pids().values()).since(before)
    finally:
        await workers.stop()
    more = {f"{operation.replace(' ', '_')}_us": round(us, 1) for operation, us in costs.items()}
    more |= {
        "bytes_per_record": round(sum(len(output.value) for output in outputs) / len(outputs)),
        "times_the_reference": round(slowness(costs), 2),
    }
    return figure("deliver", run.variant, len(outputs) - warm, seconds, used, **more)


async def _publish(run: _Run, outputs: Sequence[Output]) -> None:
    """Put *outputs* into national.records."""
    producer = PlainProducer(run.stand.config.kafka)
    await producer.start()
    try:
        for start in range(0, len(outputs), CHUNK):
            await producer.send(outputs[start : start + CHUNK])
    finally:
        await producer.stop()


async def _receipts_sent(ledger_url: str) -> None:
    """Wait until every receipt of the outbox is in its vendor's topic: that is part of a delivery too."""
    async with await psycopg.AsyncConnection.connect(ledger_url, autocommit=True) as connection:
        left = "SELECT 1 FROM outbox WHERE NOT published LIMIT 1"
        while await (await connection.execute(left)).fetchone():  # noqa: ASYNC110  another process's work
            await asyncio.sleep(0.02)
