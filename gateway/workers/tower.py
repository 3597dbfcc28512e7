"""Stage 4, the tower: receipts, rejected messages and drift become the ledger's states, tallies and rejections.

At least once and idempotent: the transaction in the ledger comes first, the offset afterwards.  An outage of the
ledger holds the tower; Kafka keeps what it has not yet seen.  A record that cannot be read goes whole to
gateway.quarantine, never into a log and never lost, and the stage goes on; so does one that PostgreSQL cannot take,
which a batch that fails for its content is halved to find.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from gateway.config import Config
from gateway.edges import drift_ledger, ledger, topics, tower_ledger
from gateway.edges.connector_files import load_connectors
from gateway.edges.drift_ledger import Told
from gateway.edges.failpoints import record_failpoint
from gateway.edges.faust_app import Cron, FaustStuckError, Inbound, Tower
from gateway.edges.kafka import Output, PlainProducer
from gateway.edges.ledger import Pool
from gateway.edges.marks import Marks
from gateway.edges.telemetry import logger
from gateway.edges.tower_ledger import Rejection
from gateway.intake.drift import read_report
from gateway.national import codec
from gateway.quarantine.fates import Fate, fates, instant
from gateway.record import DRIFT_TOPIC, QUARANTINE_TOPIC, Headers, Position, vendor_topic
from gateway.workers.suspects import KILLER
from gateway.workers.tower_nightly import Nightly
from gateway.workers.tower_suspects import Wary

UNREADABLE: Final = "GW-04"
WATCH_S: Final = 30.0
STUCK: Final = 1
RECEIPTS, REJECTED = ".receipts", ".rejected"

log = logger(__name__)
SendToQuarantine = Callable[[Sequence[Output]], Awaitable[object]]


@dataclass(slots=True)
class Sorted:
    """A batch, taken apart."""

    told: list[Fate] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    drift: list[Told] = field(default_factory=list)
    unreadable: list[Inbound] = field(default_factory=list)


def sort_batch(batch: Iterable[Inbound], targets: Sequence[str]) -> Sorted:
    """Every record of *batch* in exactly one list, in the order of the log."""
    result = Sorted()
    for inbound in batch:
        record_failpoint("tower.record", inbound.value)
        try:
            if inbound.position.topic.endswith(REJECTED):
                result.rejections.append(_rejection(inbound))
            elif inbound.position.topic == DRIFT_TOPIC:
                at = instant(inbound.timestamp_ms)
                result.drift.append(Told(inbound.position, at, read_report(inbound.value)))
            else:
                result.told.extend(fates(codec.decode_receipt(inbound.value), targets))
        except (codec.Undecodable, codec.UnknownSchema, ValueError, KeyError, OverflowError):
            result.unreadable.append(inbound)
    return result


def _rejection(inbound: Inbound) -> Rejection:
    """Raises KeyError or ValueError when the dead letter's headers do not say where it came from."""
    headers = {name: value.decode() for name, value in inbound.headers}
    return Rejection(
        source=Position(
            headers["dlt-original-topic"], int(headers["dlt-original-partition"]), int(headers["dlt-original-offset"])
        ),
        vendor=inbound.position.topic.removeprefix("vendor.").removesuffix(REJECTED),
        stage=headers["dlt-stage"],
        reason=headers["dlt-reason"],
        field=headers.get("dlt-field", ""),
        items=headers.get("dlt-items", "*"),
        size_bytes=len(inbound.value),
        kept_at=inbound.position,
        rejected_at=instant(inbound.timestamp_ms),
    )


def quarantined(inbound: Inbound, slots: int, reason: str = UNREADABLE, **more: str) -> Output:
    """The record as it goes to gateway.quarantine: whole, with its reason, its position, *more* and its own headers."""
    position = inbound.position
    headers: Headers = [
        ("dlt-original-topic", position.topic.encode()),
        ("dlt-original-partition", str(position.partition).encode()),
        ("dlt-original-offset", str(position.offset).encode()),
        ("dlt-reason", reason.encode()),
        ("dlt-stage", b"tower"),
        *((f"dlt-{name}", value.encode()) for name, value in more.items()),
        *inbound.headers,
    ]
    return Output(QUARANTINE_TOPIC, position.partition % slots, None, inbound.value, headers)


class Projector:
    """Brings batches into the ledger; holds while the ledger is down."""

    def __init__(self, config: Config, pool: Pool, send_to_quarantine: SendToQuarantine) -> None:
        self._targets = sorted(config.targets)
        self._slots = config.slots
        self._pool = pool
        self._send_to_quarantine = send_to_quarantine

    async def project(self, batch: Sequence[Inbound]) -> None:
        """Returns when everything of *batch* is in the ledger (or in quarantine); safe to repeat."""
        found = sort_batch(batch, self._targets)
        await self._put_aside(found.unreadable)
        try:
            await ledger.hold_while_down(
                lambda: tower_ledger.project(self._pool, found.told, found.rejections), "tower projection"
            )
            await ledger.hold_while_down(lambda: drift_ledger.project(self._pool, found.drift), "drift projection")
        except psycopg.Error as error:
            if not ledger.refuses_content(error):
                raise
            aside = {inbound.position for inbound in found.unreadable}
            await self._narrow([inbound for inbound in batch if inbound.position not in aside])

    async def _narrow(self, batch: Sequence[Inbound]) -> None:
        """Project what PostgreSQL takes of *batch*, in its order; what it refuses alone is put aside."""
        if len(batch) <= 1:
            await self._put_aside(batch)
            return
        middle = len(batch) // 2
        await self.project(batch[:middle])
        await self.project(batch[middle:])

    async def _put_aside(self, unusable: Sequence[Inbound]) -> None:
        if unusable:
            positions = [str(inbound.position) for inbound in unusable]
            log.error("unreadable records go to quarantine", code=UNREADABLE, positions=positions)
            await self._send_to_quarantine([quarantined(inbound, self._slots) for inbound in unusable])

    async def ready(self) -> None:
        """Returns when the ledger answers."""
        await ledger.hold_while_down(lambda: ledger.ping(self._pool), "tower")

    async def bury(self, inbound: Inbound, deaths: int) -> None:
        """Put the record aside that ended three towers."""
        output = quarantined(inbound, self._slots, KILLER, deaths=str(deaths), owner="gateway")
        await self._send_to_quarantine([output])

    async def watch(self) -> None:
        """On the leader: the oldest unfinished event of each vendor, and tables that outgrew their ranges."""
        for waiting in await ledger.hold_while_down(lambda: tower_ledger.oldest_open(self._pool), "tower watch"):
            log.info(
                "oldest unfinished event",
                vendor=waiting.vendor,
                open_events=waiting.events,
                oldest_s=round(waiting.oldest_s),
                since=waiting.since.isoformat(),
            )
        for table in await ledger.hold_while_down(lambda: tower_ledger.outside_ranges(self._pool), "tower watch"):
            log.warning("rows outside the ranges of their table; a migration with the next ranges is due", table=table)


async def run(config: Config, stop: asyncio.Event) -> None:
    """The tower of this installation's connectors, until *stop*."""
    loaded = load_connectors(Path(config.connectors.path), config.connectors.enabled or None)
    vendors = {connector.vendor for connector in loaded.values()}
    await topics.check(config, vendors)
    try:
        await run_tower(config, vendors, stop)
    except FaustStuckError:
        log.exception("the tower ends without Faust's consent")
        os._exit(STUCK)  # closing the event loop would wait for Faust for ever


async def run_tower(config: Config, vendors: Iterable[str], stop: asyncio.Event, *, watch_s: float = WATCH_S) -> None:
    """Project the topics of *vendors* until *stop*."""
    heard = [vendor_topic(vendor, kind) for vendor in sorted(set(vendors)) for kind in ("receipts", "rejected")]
    heard.append(DRIFT_TOPIC)
    pool = ledger.make_pool(config.ledger.url, config.ledger.pool_size)
    producer = PlainProducer(config.kafka)
    await pool.open()
    await producer.start()
    try:
        projector = Projector(config, pool, producer.send)
        marks = Marks(config.kafka, f"{config.kafka.group_prefix}.tower", producer)
        wary = Wary(marks, projector.project, projector.bury, projector.ready)
        crons = [Cron(times, Nightly(config, pool).run)] if (times := config.identity.recheck_cron) else []
        await Tower(config, heard, wary.project, (projector.watch, watch_s), crons).run(stop)
        await wary.leave()
    finally:
        await producer.stop()
        await pool.close()
