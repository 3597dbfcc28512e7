"""Stage 2, identity: every pupil gets a confirmed citizen ID, every event its national version, Kafka to Kafka.

    gateway.mapped ─► slot loop (identity_slot) ─► national.records, receipts      exactly once, one transaction a batch
                         │          ▲
                         ▼          │ answers
                       ledger     resolver (identity_resolver) ─► links: pupil registry, population database

The stream asks caches only and never waits for one look-up; what is unknown waits in the ledger with its pupil's
later records, and goes on by itself when the answer comes.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg

from gateway.config import Config
from gateway.edges import topics
from gateway.edges.identity_erasure import CHANNEL as ERASURES_CHANNEL
from gateway.edges.identity_link import Duty, Link
from gateway.edges.identity_verdicts import VerdictStore
from gateway.edges.kafka import AssignedSlot, PlainProducer, SlotGroup
from gateway.edges.keys import load_keys
from gateway.edges.ledger import make_pool
from gateway.edges.population_registry import PopulationRegistry, open_population
from gateway.edges.pupil_registry import PupilRegistry
from gateway.edges.target_contract import read_credentials
from gateway.errors import GatewayError
from gateway.record import MAPPED_TOPIC, lane_unsigned
from gateway.workers.identity_resolver import Resolver
from gateway.workers.identity_slot import STAGE, IdentitySlot, Shop
from gateway.workers.suspects import Ward

ORDERS_CHANNEL: Final = "hocba_orders"
LISTEN_AGAIN_S: Final = 1.0


async def run(config: Config, stop: asyncio.Event) -> None:
    """Own identity slots until *stop*.  Raises GatewayError for a set-up that cannot work."""
    registry, population = open_links(config)
    try:
        await serve(config, registry, population, stop)
    finally:
        await registry.aclose()
        if population is not None:
            await population.aclose()


async def serve(config: Config, registry: Link, population: Link | None, stop: asyncio.Event) -> None:
    """Own identity slots until *stop*, asking *registry*, and *population* if there is one."""
    await topics.check(config, ())
    keys = load_keys(Path(config.keys_file))
    pool = make_pool(config.ledger.url, config.ledger.pool_size)
    await pool.open(wait=False)
    resolver = Resolver(registry, population, VerdictStore(pool, keys), config)
    bells = {slot: asyncio.Event() for slot in range(config.slots)}
    marker = PlainProducer(config.kafka)
    await marker.start()
    shop = Shop(config, pool, keys, resolver, bells, Ward(config.kafka, STAGE, marker))

    async def run_slot(slot: AssignedSlot) -> None:
        await IdentitySlot(shop, slot).run()

    group = SlotGroup(
        config.kafka, group=STAGE, topics=[MAPPED_TOPIC], run_slot=run_slot, drain_s=config.delivery.drain_s
    )
    work = [group.run(stop), resolver.run(), _listen(config.ledger.url, bells, resolver)]
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:  # only the group ends by itself; an error of any ends the process (design rule 11)
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await marker.stop()
        await pool.close()


def open_links(config: Config) -> tuple[PupilRegistry, PopulationRegistry | None]:
    """The links of the chain, to be closed; raises GatewayError for a set-up that cannot work."""
    return _registry(config), _population(config)


def _registry(config: Config) -> PupilRegistry:
    settings = config.registry
    token = read_credentials(Path(settings.credentials_file))["token"]
    duty = Duty(settings.purpose, settings.officer, "registry")
    return PupilRegistry(settings.url, token, duty, most=settings.batch_codes, timeout_s=settings.timeout_s)


def _population(config: Config) -> PopulationRegistry | None:
    """The one link behind the registry, if any is configured."""
    links = config.identity.links
    if len(links) > 1:
        message = f"identity.links: one link can be asked behind the registry, not {len(links)}: {', '.join(links)}"
        raise GatewayError(message)
    return next((open_population(settings) for settings in links.values()), None)


async def _listen(url: str, bells: Mapping[int, asyncio.Event], resolver: Resolver) -> None:
    """Ring a slot's bell when an order for it is written; the poll of each second covers an outage of this.

    Drop from memory what was erased; after an outage of this, everything: the ledger is asked again.
    """
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(f"LISTEN {ORDERS_CHANNEL}")
                await connection.execute(f"LISTEN {ERASURES_CHANNEL}")
                resolver.drop(None)
                async for notice in connection.notifies():
                    if notice.channel == ERASURES_CHANNEL:
                        resolver.drop(lane_unsigned(int(notice.payload)))
                    elif bell := _rung(notice.payload, bells):
                        bell.set()
        except psycopg.OperationalError:
            await asyncio.sleep(LISTEN_AGAIN_S)


def _rung(payload: str, bells: Mapping[int, asyncio.Event]) -> asyncio.Event | None:
    """The bell that ``stage|target|slot`` rings; None when it is another stage's or no such text."""
    stage, _, slot = (*payload.split("|"), "", "")[:3]
    return bells.get(int(slot)) if stage == STAGE and slot.isdecimal() else None
