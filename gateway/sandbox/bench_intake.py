"""The figures of intake alone: a backlog in a vendor's topic, one worker, real transactions to gateway.mapped.

What is published is described in `bench_payloads`.  Time and CPU are taken between a tenth of the backlog and its end,
by the group's committed offsets, so that start and first answers are not in them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from gateway.config import Config
from gateway.edges.clock import monotonic_s
from gateway.edges.kafka import Output
from gateway.edges.kafka_types import TopicPartition
from gateway.record import vendor_topic
from gateway.sandbox import bench_signed
from gateway.sandbox.bench import (
    DEADLINE_S,
    Figure,
    MakeWorkers,
    Prepared,
    Stand,
    Usage,
    figure,
    publish,
    usage,
    with_stand,
)
from gateway.sandbox.bench_payloads import secondary_full, year_record
from gateway.sandbox.demo_kills import Workers
from gateway.sandbox.demo_setup import SLOTS
from gateway.sandbox.payloads import hocba_xml, synthetic_pupil

WARM_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Variant:
    """Whose topic is filled, and with what for each number."""

    vendor: str
    message: Callable[[int], bytes] | None
    """None: signed records, which the stand has to be made ready for."""


def _unsigned_xml(number: int) -> bytes:
    return hocba_xml(synthetic_pupil(Random(number), level="primary", number=number), version=1)


VARIANTS: Final[Mapping[str, Variant]] = {
    "secondary-full": Variant("vnedu", secondary_full),
    "year-1.7k": Variant("year-short", year_record),
    "primary-xml": Variant("hocba-xml", _unsigned_xml),
    bench_signed.NAME: Variant(bench_signed.VENDOR, None),
}
USUAL: Final = ("secondary-full", "year-1.7k")


def bench_intake(records: int, make_workers: MakeWorkers, variants: Iterable[str] = USUAL) -> list[Figure]:
    """The figures of *variants* (keys of `VARIANTS`), in their order."""

    async def measure(stand: Stand) -> list[Figure]:
        return [await _intake(stand, name, records, make_workers) for name in variants]

    return asyncio.run(with_stand(measure))


async def _intake(stand: Stand, name: str, records: int, make_workers: MakeWorkers) -> Figure:
    variant = VARIANTS[name]
    topic = vendor_topic(variant.vendor, "records")
    more: dict[str, float] = {}
    if variant.message is None:
        records //= bench_signed.SHARE
        values = bench_signed.signed_records(records, bench_signed.require_signatures(stand.layout))
        more["verified_per_core_second"] = bench_signed.verified_per_core_second(stand.layout, values)
    else:
        values = [variant.message(number) for number in range(records)]
    await publish(
        stand.config, [Prepared("", Output(topic, i % SLOTS, b"%d" % i, value, [])) for i, value in enumerate(values)]
    )
    workers = make_workers(stand.layout.config, stand.layout.state, {"intake": 1})
    await workers.start()
    try:
        seconds, handled, used = await _drained(stand.config, topic, records, workers)
    finally:
        await workers.stop()
    size = round(sum(map(len, values)) / records)
    return figure("intake", name, handled, seconds, used, bytes_per_record=size, **more)


async def _drained(config: Config, topic: str, records: int, workers: Workers) -> tuple[float, int, Usage]:
    admin = AIOKafkaAdminClient(bootstrap_servers=config.kafka.bootstrap_servers)
    await admin.start()
    partitions = [TopicPartition(topic, slot) for slot in range(config.slots)]
    group = f"{config.kafka.group_prefix}.intake"

    async def committed() -> int:
        try:
            offsets = await admin.list_consumer_group_offsets(group, partitions=partitions)
        except GroupCoordinatorNotAvailableError:  # the group's first member has not come yet
            return 0
        return sum(max(0, offset.offset) for offset in offsets.values())

    try:
        warm = await _reach(committed, max(1, int(records * WARM_SHARE)))
        began_s, began = monotonic_s(), usage(workers.pids().values())
        await _reach(committed, records)
        return monotonic_s() - began_s, records - warm, usage(workers.pids().values()).since(began)
    finally:
        await admin.close()


async def _reach(count: Callable[[], Awaitable[int]], goal: int) -> int:
    async with asyncio.timeout(DEADLINE_S):
        while (reached := await count()) < goal:  # noqa: ASYNC110  the broker has no event for it
            await asyncio.sleep(0.02)
    return reached
