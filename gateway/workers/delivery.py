"""Stage 3, delivery to one target: national.records ─► slot loop (delivery_slot) ─► target, ledger, receipts.

Effectively once: a record is sent under one key however often, its end state is written once, and what a dead owner
may have sent is settled before anything else of its pupil.
"""

import asyncio
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Final

import psycopg

from gateway.config import Config
from gateway.delivery.calendar import closed_s
from gateway.delivery.retry import Backoff
from gateway.delivery.values import Settings
from gateway.edges import topics
from gateway.edges.clock import now_ms
from gateway.edges.delivery_ledger import DeliveryLedger
from gateway.edges.kafka import AssignedSlot, PlainProducer, SlotGroup
from gateway.edges.ledger import Pool, make_pool
from gateway.edges.target_contract import Contract, ImmediateContract, calendar_of, load_contract, read_credentials
from gateway.edges.targets import HttpImmediate, HttpPackets, open_immediate, open_packets
from gateway.edges.telemetry import logger
from gateway.errors import GatewayError
from gateway.record import NATIONAL_TOPIC
from gateway.workers.delivery_lease import Lease
from gateway.workers.delivery_limit import Limit
from gateway.workers.delivery_parts import Neighbour, Parts
from gateway.workers.delivery_records import Shelf
from gateway.workers.delivery_send import BatchSender, Door, PacketSender, Reader
from gateway.workers.delivery_slot import DeliverySlot
from gateway.workers.suspects import Suspects, Ward

STAGE: Final = "delivery"
ORDERS_CHANNEL: Final = "hocba_orders"
LISTEN_AGAIN_S: Final = 1.0
FETCH_BYTES: Final = 1024 * 1024
"""Of a slot at a time: what is fetched ahead of a full window lies in memory for as long as the target is away."""
PAYLOAD_GROWTH: Final = 3
"""A record's JSON is about so many times its Avro; a batch is cut by the latter."""

log = logger(__name__)


class UnknownTarget(GatewayError):
    """The configuration has no such target."""


class _Worker:
    """What the slots of one process share."""

    def __init__(self, config: Config, name: str, contract: Contract, target: HttpImmediate | HttpPackets) -> None:
        self.config = config
        self.name = name
        self.contract = contract
        self.target = target
        self.pool: Pool = make_pool(config.ledger.url, config.ledger.pool_size)
        self.producer = PlainProducer(config.kafka)
        self.ward = Ward(config.kafka, f"deliver.{name}", self.producer)
        self.neighbours: list[Neighbour] = []
        self.limit = Limit(contract.concurrency, contract.requests_per_s, lambda: len(self.neighbours) / config.slots)
        self.bells = {slot: asyncio.Event() for slot in range(config.slots)}
        self.calendar = calendar_of(contract)
        self.request_s = request_s(name, contract, config.delivery.lease_s)

    async def run_slot(self, slot: AssignedSlot) -> None:
        """Own one slot for one assignment."""
        config = self.config
        ledger = DeliveryLedger(self.pool, self.name, slot.number, f"{socket.gethostname()}:{os.getpid()}")
        lease = Lease(ledger, config.delivery.lease_s, self.request_s)
        shelf = Shelf(slot.number)
        reader = Reader(config.kafka, shelf)
        door = Door(lease, self.limit, self._closed_s)
        parts = Parts(
            config=config,
            target=self.name,
            settings=settings_of(self.contract, config),
            ledger=ledger,
            lease=lease,
            shelf=shelf,
            reader=reader,
            sender=self._sender(door, reader),
            producer=self.producer,
            bell=self.bells[slot.number],
            neighbours=self.neighbours,
            suspects=Suspects(self.ward, slot, config.delivery.window_records),
            closed_s=self._closed_s,
        )
        await DeliverySlot(parts, slot).run()

    def _closed_s(self) -> float:
        return closed_s(self.calendar, now_ms())

    def _sender(self, door: Door, reader: Reader) -> BatchSender | PacketSender:
        if isinstance(self.target, HttpPackets):
            return PacketSender(self.name, self.target, self.target.contract, door, reader)
        query = None if self.target.contract.idempotency else self.target
        return BatchSender(self.name, self.target, door, reader, query)

    async def listen(self) -> None:
        """Ring a slot's bell when an order for it is written; the poll of each second covers an outage of this."""
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(self.config.ledger.url, autocommit=True)
                async with connection:
                    await connection.execute(f"LISTEN {ORDERS_CHANNEL}")
                    async for notice in connection.notifies():
                        self._ring(notice.payload)
            except psycopg.OperationalError:
                await asyncio.sleep(LISTEN_AGAIN_S)

    def _ring(self, payload: str) -> None:
        stage, target, slot = (*payload.split("|"), "", "", "")[:3]
        bell = self.bells.get(int(slot)) if slot.isdecimal() else None
        if stage == STAGE and target == self.name and bell is not None:
            bell.set()


async def run(config: Config, target: str, stop: asyncio.Event) -> None:
    """Own delivery slots of *target* until *stop*.  Raises GatewayError for a set-up that cannot work."""
    if target not in config.targets:
        message = f"there is no target {target!r} in the configuration; targets: {', '.join(config.targets)}"
        raise UnknownTarget(message)
    await topics.check(config, ())
    settings = config.targets[target]
    contract = load_contract(Path(settings.contract), os.environ)
    credentials = read_credentials(Path(settings.credentials_file))
    if isinstance(contract, ImmediateContract):
        door: HttpImmediate | HttpPackets = open_immediate(contract, settings.url, credentials)
    else:
        door = open_packets(contract, settings.url, credentials)
    try:
        await _serve(_Worker(config, target, contract, door), stop)
    finally:
        await door.aclose()


async def _serve(worker: _Worker, stop: asyncio.Event) -> None:
    config = worker.config
    await worker.pool.open(wait=False)
    await worker.producer.start()
    group = SlotGroup(
        config.kafka,
        group=f"deliver.{worker.name}",
        topics=[NATIONAL_TOPIC],
        run_slot=worker.run_slot,
        drain_s=config.delivery.drain_s,
        fetch_bytes=FETCH_BYTES,
    )
    tasks = [asyncio.ensure_future(work) for work in (group.run(stop), worker.listen())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:  # only the group ends by itself; an error of either ends the process (design rule 11)
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await worker.producer.stop()
        await worker.pool.close()


def request_s(target: str, contract: Contract, lease_s: float) -> float:
    """How long a request may take, so that none outlives its lease; the log says when that cuts the contract's time."""
    total_s, half_s = contract.timeouts.total_s, lease_s / 2
    if half_s < total_s:
        text = "requests end with half the lease, sooner than the contract says: raise delivery.lease_s"
        log.warning(text, target=target, request_s=half_s, contract_total_s=total_s, lease_s=lease_s)
    return min(total_s, half_s)


def settings_of(contract: Contract, config: Config) -> Settings:
    """The machine's settings for *contract*."""
    settings = Settings(
        Backoff(contract.retry.base_s, contract.retry.cap_s),
        batch_records=contract.batch.records,
        batch_bytes=contract.batch.bytes // PAYLOAD_GROWTH,
        batch_age_s=contract.batch.age_ms / 1000,
        concurrency=contract.concurrency,
        window_records=config.delivery.window_records,
        breaker_failures=contract.breaker.failures,
        breaker_open_s=contract.breaker.open_s,
    )
    if isinstance(contract, ImmediateContract):
        asks = not contract.idempotency and contract.query is not None
        return replace(settings, ask_after_s=contract.query.settle_s) if asks and contract.query else settings
    poll = contract.poll
    return replace(
        settings,
        packets=True,
        poll_first_s=poll.first_s,
        poll_every_s=poll.every_s,
        settle_s=poll.settle_s,
        give_up_s=poll.give_up_s,
        packets_in_flight=contract.packets_in_flight,
        two_steps=contract.update == "revoke_then_register",
    )
