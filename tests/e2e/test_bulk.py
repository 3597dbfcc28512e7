"""A back-load of one vendor on its bulk topic leaves another vendor's live events nearly as fast as they were.

The latency of a live event runs from its hand-over to the broker to its effect in each target's own book.
"""

import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from gateway.edges.kafka import Output, PlainProducer
from gateway.edges.kafka_types import TopicPartition
from gateway.record import record_id, vendor_topic
from gateway.sandbox.bench import Prepared, publish
from gateway.sandbox.demo_setup import SLOTS
from gateway.sandbox.payloads import Pupil, hocba_xml, synthetic_pupil, vnedu_message, vnedu_row
from gateway.sandbox.simulators.book import read_book
from gateway.sandbox.vendors import registry_entry
from tests.e2e.installation import Installation, installation
from tests.servers import FULL

BULK, BULK_PUPILS = (500_000, 20_000) if FULL else (3_000, 300)
ROWS = 20
"""Of one message of the back-load."""
LEAST = 1_000 if FULL else ROWS
"""Records of it that must be under way beside the live ones; a short run on a slow machine sees the first message."""
LIVE_PER_S, LIVE_S = (20, 60) if FULL else (20, 6)
FACTOR, FLOOR_MS = 2.0, 1_500
"""Twice the usual; what is usual is taken for no less than the second, which is noise of a shared machine."""

pytestmark = [pytest.mark.servers, pytest.mark.proof, pytest.mark.timeout(1800)]


def back_load(pupils: list[Pupil]) -> Iterator[Output]:
    """*BULK* records: every pupil in version after version."""
    number = 0
    for version in range(1, BULK // len(pupils) + 1):
        for start in range(0, len(pupils), ROWS):
            rows = [vnedu_row(pupil, version=version) for pupil in pupils[start : start + ROWS]]
            number += 1
            yield Output(vendor_topic("vnedu", "bulk"), number % SLOTS, None, vnedu_message(rows), [])


def chunks(outputs: Iterator[Output]) -> Iterator[list[Output]]:
    """As many as go to the broker in one go."""
    while chunk := list(islice(outputs, 50)):
        yield chunk


def live(pupils: list[Pupil]) -> list[Prepared]:
    """One event of each pupil."""
    return [
        Prepared(
            record_id(pupil.pupil_code, "2025-2026", "GDPT"),
            Output(
                vendor_topic("hocba-xml", "records"),
                n % SLOTS,
                pupil.pupil_code.encode(),
                hocba_xml(pupil, version=1),
                [],
            ),
        )
        for n, pupil in enumerate(pupils)
    ]


async def p99_ms(run: Installation, events: list[Prepared]) -> dict[str, int]:
    """Publish *events* at their pace and wait for their effects; the 99th percentile of each target."""
    sent_ms = await publish(run.config, events, per_second=LIVE_PER_S)
    sent = {event.record_id: at_ms for event, at_ms in zip(events, sent_ms, strict=True)}
    figures: dict[str, int] = {}
    async with asyncio.timeout(240):
        for target in run.config.targets:
            while len(waits := _waits(run.neighbours[target].book, sent)) < len(sent):
                await asyncio.sleep(0.5)
            figures[target] = sorted(waits)[int(len(waits) * 0.99)]
    return figures


def _waits(book: Path, sent: dict[str, int]) -> list[int]:
    return [effect.at_ms - sent[effect.record_id] for effect in read_book(book) if effect.record_id in sent]


async def taken(run: Installation) -> int:
    """Messages of the back-load that intake has committed."""
    partitions = [TopicPartition(vendor_topic("vnedu", "bulk"), slot) for slot in range(SLOTS)]
    group = f"{run.config.kafka.group_prefix}.intake"
    offsets = await run.admin.list_consumer_group_offsets(group, partitions=partitions)
    return sum(max(0, offset.offset) for offset in offsets.values())


async def test_a_back_load_leaves_live_events_of_others_nearly_as_fast(tmp_path: Path) -> None:
    count = LIVE_PER_S * LIVE_S
    loaded = [synthetic_pupil(Random(n), level="secondary", number=n) for n in range(BULK_PUPILS)]
    pupils = [synthetic_pupil(Random(-n), level="primary", number=10_500_000 + n) for n in range(3 * count)]
    registry = [registry_entry(pupil) for pupil in [*loaded, *pupils]]
    async with installation(tmp_path, records=1, faults="off", registry=registry) as run:
        events = live(pupils)
        await p99_ms(run, events[:count])  # warm
        usual = await p99_ms(run, events[count : 2 * count])
        producer = PlainProducer(run.config.kafka)
        await producer.start()
        for outputs in chunks(back_load(loaded)):
            await producer.send(outputs)
        await producer.stop()
        async with asyncio.timeout(120):
            while await taken(run) == 0:
                await asyncio.sleep(0.1)
        beside = await p99_ms(run, events[2 * count :])
        admitted = await taken(run) * ROWS
        print(
            f"live p99 in ms: usual {usual}, beside a back-load of {BULK} {beside}; {admitted} of it admitted meanwhile"
        )

        assert admitted >= LEAST
        assert {t: ms for t, ms in beside.items() if ms > FACTOR * max(usual[t], FLOOR_MS)} == {}
