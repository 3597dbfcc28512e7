"""Kafka away when a worker starts: an outage holds (design rule 1), also before there is anything to hold."""

import asyncio
from contextlib import suppress
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from gateway.config import Kafka
from gateway.edges.telemetry import logger

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 10.0

log = logger(__name__)


async def until_reachable(kafka: Kafka, stop: asyncio.Event) -> None:
    """Returns when a broker answers, or on *stop*; asks again after waits that double."""
    wait_s = FIRST_WAIT_S
    while not stop.is_set():
        if await _answers(kafka):
            return
        log.warning("Kafka unavailable, holding", servers=kafka.bootstrap_servers, again_in_s=wait_s)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait_s)
        wait_s = min(LONGEST_WAIT_S, wait_s * 2)


async def _answers(kafka: Kafka) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    try:
        await admin.start()
    except KafkaError:
        return False
    else:
        return True
    finally:
        await admin.close()
