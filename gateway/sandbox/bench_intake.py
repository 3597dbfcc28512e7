"""The figures of intake alone: a backlog in a vendor's topic, one worker, real transactions to gateway.mapped.

What is published is described in `bench_payloads`.  Time and CPU are taken between a tenth of the backlog and its end,
by the group's committed offsets, so that start and first answers are not in them.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from gateway.edges.kafka import Output
from gateway.record import vendor_topic
from gateway.sandbox import bench_signed
from gateway.sandbox.bench import (
    Backlog,
    Figure,
    MakeWorkers,
    Prepared,
    Stand,
    drained,
    figure,
    publish,
    with_stand,
)
from gateway.sandbox.bench_payloads import secondary_full, year_record
from gateway.sandbox.demo_setup import SLOTS
from gateway.sandbox.payloads import hocba_xml, synthetic_pupil


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
        seconds, handled, used = await drained(stand.config, Backlog("intake", topic, records), workers)
    finally:
        await workers.stop()
    size = round(sum(map(len, values)) / records)
    return figure("intake", name, handled, seconds, used, bytes_per_record=size, **more)
