"""The figures of a stage or of the whole way, measured on the embedded servers with clean full-width records.

CPU seconds are those of the measured workers and all their threads; broker, database and simulators share the same
machine and are not counted.  Compare figures of one run with each other; across runs they are weather.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from gateway.config import Config
from gateway.edges import ledger
from gateway.edges.clock import monotonic_s, now_ms
from gateway.edges.connector_files import load_connectors
from gateway.edges.kafka import Output, PlainProducer
from gateway.edges.kafka_types import TopicPartition
from gateway.record import record_id, vendor_topic
from gateway.sandbox.demo_kills import Workers
from gateway.sandbox.demo_setup import SLOTS, Addresses, Layout, prepare_topics, write_config
from gateway.sandbox.demo_simulators import Simulator, Staging, simulators
from gateway.sandbox.embedded import default_data_dir, embedded_servers
from gateway.sandbox.folders import fresh_folder
from gateway.sandbox.payloads import hocba_xml, vnedu_message, vnedu_row
from gateway.sandbox.people import Pupil, synthetic_pupil
from gateway.sandbox.simulators.book import read_book
from gateway.sandbox.vendors import PROGRAMME, SCHOOL_YEAR, registry_entry

CHUNK: Final = 200
LATENCY_RATE: Final = 500
LATENCY_S: Final = 10
WARM_SHARE: Final = 0.1
DEADLINE_S: Final = 600.0
TICKS: Final = os.sysconf("SC_CLK_TCK")
LEVEL: Final = {"vnedu": "secondary", "hocba-xml": "primary"}
MakeWorkers = Callable[[Path, Path, dict[str, int]], Workers]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One variant's figures; *more* holds what only this variant has."""

    stage: str
    variant: str
    records: int
    seconds: float
    records_per_second: float
    cpu_seconds: float
    records_per_core_second: float
    rss_mb: float
    more: dict[str, float] = {}


def figure(stage: str, variant: str, records: int, seconds: float, used: "Usage", **more: float) -> Figure:
    """The figures of *records* handled in *seconds* at the cost of *used*."""
    return Figure(
        stage=stage,
        variant=variant,
        records=records,
        seconds=round(seconds, 3),
        records_per_second=round(records / seconds, 1),
        cpu_seconds=round(used.cpu_s, 3),
        records_per_core_second=round(records / used.cpu_s, 1) if used.cpu_s else 0.0,
        rss_mb=round(used.rss_mb, 1),
        more=more,
    )


class Usage(msgspec.Struct, frozen=True):
    """CPU seconds and the largest resident memory of some processes."""

    cpu_s: float
    rss_mb: float

    def since(self, earlier: "Usage") -> "Usage":
        """What was used after *earlier*; the memory is the later one."""
        return Usage(self.cpu_s - earlier.cpu_s, self.rss_mb)


def usage(pids: Iterable[int]) -> Usage:
    """What *pids* and the processes they started have used so far, all threads (Linux)."""
    cpu_s = rss_mb = 0.0
    for pid in _with_children(pids):
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        cpu_s += (int(fields[11]) + int(fields[12])) / TICKS
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
        peak = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")  # it has ended
        rss_mb = max(rss_mb, int(peak.split()[1]) / 1024)
    return Usage(cpu_s, rss_mb)


def _with_children(pids: Iterable[int]) -> list[int]:
    found = []
    for pid in pids:
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        found += [pid, *_with_children(int(child) for task in tasks for child in task.read_text("utf-8").split())]
    return found


def bench_e2e(records: int, make_workers: MakeWorkers) -> list[Figure]:
    """The whole way with every part on this machine: first latency at 500/s, then the rate of a backlog."""
    return asyncio.run(with_stand(lambda stand: _e2e(stand, records, make_workers)))


class Stand(msgspec.Struct, frozen=True):
    """A running installation without workers."""

    config: Config
    layout: Layout
    neighbours: dict[str, Simulator]


async def with_stand(measure: Callable[[Stand], Any]) -> list[Figure]:
    """Measure on fresh embedded servers with the simulated neighbours."""
    folder = fresh_folder(default_data_dir())
    try:
        with embedded_servers(progress=_tell) as servers:
            async with _stand(Layout(folder), Addresses(servers.bootstrap_servers, servers.ledger_url)) as stand:
                figures: list[Figure] = await measure(stand)
                return figures
    finally:
        shutil.rmtree(folder)


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")


@asynccontextmanager
async def _stand(layout: Layout, addresses: Addresses) -> AsyncIterator[Stand]:
    layout.pupils.touch()
    async with AsyncExitStack() as stack:
        neighbours = await stack.enter_async_context(simulators(Staging(layout.folder, "off", 1, layout.pupils, ())))
        config = write_config(layout, addresses, neighbours, os.environ)
        await asyncio.to_thread(ledger.migrate, config.ledger.url)
        await prepare_topics(config, {c.vendor for c in load_connectors(Path(config.connectors.path)).values()})
        yield Stand(config, layout, neighbours)


def _pupils(count: int, level: str, first: int) -> list[Pupil]:
    dice = Random(first)
    return [
        synthetic_pupil(dice, level="primary" if level == "primary" else "secondary", number=first + number)
        for number in range(count)
    ]


class Prepared(msgspec.Struct, frozen=True):
    """One clean event, rendered before the clock runs."""

    record_id: str
    output: Output


def _prepared(pupils: Sequence[Pupil], vendor: str) -> list[Prepared]:
    prepared = []
    for number, pupil in enumerate(pupils):
        value = vnedu_message([vnedu_row(pupil, version=1)]) if vendor == "vnedu" else hocba_xml(pupil, version=1)
        topic, key = vendor_topic(vendor, "records"), pupil.pupil_code.encode()
        output = Output(topic, number % SLOTS, key, value, [])
        prepared.append(Prepared(record_id(pupil.pupil_code, SCHOOL_YEAR, PROGRAMME), output))
    return prepared


async def publish(config: Config, prepared: Sequence[Prepared], *, per_second: int = 0) -> list[int]:
    """Send *prepared*; the wall-clock milliseconds at which each was handed to the broker."""
    outputs = [event.output for event in prepared]
    producer = PlainProducer(config.kafka)
    await producer.start()
    sent_ms: list[int] = []
    started_s = monotonic_s()
    step = max(1, per_second // 20) if per_second else CHUNK
    try:
        for start in range(0, len(outputs), step):
            chunk = outputs[start : start + step]
            sent_ms += [now_ms()] * len(chunk)
            await producer.send(chunk)
            if per_second:
                await asyncio.sleep(max(0.0, started_s + (start + step) / per_second - monotonic_s()))
    finally:
        await producer.stop()
    return sent_ms


async def _e2e(stand: Stand, records: int, make_workers: MakeWorkers) -> list[Figure]:
    live = LATENCY_RATE * LATENCY_S
    people = {
        vendor: _pupils((live + records) // 2, LEVEL[vendor], 10_000_000 * number)
        for number, vendor in enumerate(LEVEL)
    }
    entries = [registry_entry(pupil) for pupils in people.values() for pupil in pupils]
    await stand.neighbours["registry"].add_pupils(entries, replace=False)
    first = [o for vendor, pupils in people.items() for o in _prepared(pupils[: live // 2], vendor)]
    rest = [o for vendor, pupils in people.items() for o in _prepared(pupils[live // 2 :], vendor)]
    Random(1).shuffle(first)
    stages = ["intake", "identity", *(f"deliver:{name}" for name in stand.config.targets), "tower"]
    workers = make_workers(stand.layout.config, stand.layout.state, dict.fromkeys(stages, 1))
    await workers.start()
    try:
        return [
            await _latency(stand, first, workers),
            await _whole(stand, rest, already=len(first), workers=workers),
        ]
    finally:
        await workers.stop()


async def _effects(stand: Stand, goal: int) -> dict[str, float]:
    """Wait until each target has *goal* effects; the monotonic second at which each had."""
    reached: dict[str, float] = {}
    async with asyncio.timeout(DEADLINE_S):
        while len(reached) < len(stand.config.targets):
            for name in stand.config.targets.keys() - reached.keys():
                if (await stand.neighbours[name].progress())["effects"] >= goal:
                    reached[name] = monotonic_s()
            await asyncio.sleep(0.05)
    return reached


async def _latency(stand: Stand, outputs: Sequence[Prepared], workers: Workers) -> Figure:
    warm_up = outputs[: len(outputs) // 10]
    await publish(stand.config, warm_up, per_second=LATENCY_RATE)
    await _effects(stand, len(warm_up))
    measured = outputs[len(warm_up) :]
    before, began_s = usage(workers.pids().values()), monotonic_s()
    sent_ms = await publish(stand.config, measured, per_second=LATENCY_RATE)
    await _effects(stand, len(outputs))
    seconds = monotonic_s() - began_s
    sent = {output.record_id: at_ms for output, at_ms in zip(measured, sent_ms, strict=True)}
    more: dict[str, float] = {}
    for name in stand.config.targets:
        effects = read_book(stand.neighbours[name].book)
        waits = sorted(effect.at_ms - sent[effect.record_id] for effect in effects if effect.record_id in sent)
        more |= {f"{name}_p50_ms": waits[len(waits) // 2], f"{name}_p99_ms": waits[int(len(waits) * 0.99)]}
    return figure("e2e", "latency-500", len(measured), seconds, usage(workers.pids().values()).since(before), **more)


async def _whole(stand: Stand, outputs: Sequence[Prepared], *, already: int, workers: Workers) -> Figure:
    before, began_s = usage(workers.pids().values()), monotonic_s()
    await publish(stand.config, outputs)
    reached = await _effects(stand, already + len(outputs))
    seconds = max(reached.values()) - began_s
    rates = {f"{name}_per_second": round(len(outputs) / (at - began_s), 1) for name, at in reached.items()}
    return figure("e2e", "whole", len(outputs), seconds, usage(workers.pids().values()).since(before), **rates)


class Backlog(msgspec.Struct, frozen=True):
    """*records* in *topic* that the group of *stage* has to work off, behind *already* earlier ones."""

    stage: str
    topic: str
    records: int
    already: int = 0


async def drained(
    config: Config, backlog: Backlog, workers: Workers, last: Callable[[], Awaitable[None]] | None = None
) -> tuple[float, int, Usage]:
    """Seconds, records and usage between a tenth of *backlog* and its end, by the group's committed offsets.

    The end waits for *last*, if there is something that must have happened too.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=config.kafka.bootstrap_servers)
    await admin.start()
    partitions = [TopicPartition(backlog.topic, slot) for slot in range(config.slots)]

    async def committed() -> int:
        try:
            offsets = await admin.list_consumer_group_offsets(
                f"{config.kafka.group_prefix}.{backlog.stage}", partitions=partitions
            )
        except GroupCoordinatorNotAvailableError:  # the group's first member has not come yet
            return 0
        done: int = sum(max(0, offset.offset) for offset in offsets.values())
        return done - backlog.already

    try:
        warm = await _reach(committed, max(1, int(backlog.records * WARM_SHARE)))
        began_s, began = monotonic_s(), usage(workers.pids().values())
        await _reach(committed, backlog.records)
        if last is not None:
            await last()
        return monotonic_s() - began_s, backlog.records - warm, usage(workers.pids().values()).since(began)
    finally:
        await admin.close()


async def _reach(count: Callable[[], Awaitable[int]], goal: int) -> int:
    async with asyncio.timeout(DEADLINE_S):
        while (reached := await count()) < goal:  # noqa: ASYNC110  the broker has no event for it
            await asyncio.sleep(0.02)
    return reached
