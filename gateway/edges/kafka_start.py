"""Kafka away: an outage holds (design rule 1), at a worker's start and later."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from gateway.config import Kafka
from gateway.edges.bell import rings
from gateway.edges.telemetry import logger

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 10.0
AGAIN_S: Final = 0.5
Result = TypeVar("Result")

log = logger(__name__)


async def until_reachable(kafka: Kafka, stop: asyncio.Event) -> None:
    """Returns when a broker answers, or on *stop*; asks again after waits that double."""
    wait_s = FIRST_WAIT_S
    while not stop.is_set():
        if await _answers(kafka):
            return
        log.warning("Kafka unavailable, holding", servers=kafka.bootstrap_servers, again_in_s=wait_s)
        await rings(stop, wait_s)
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


def is_away(error: KafkaError) -> bool:
    """Whether *error* tells of a broker that is not there or not ready; a topic that is missing is no outage."""
    if isinstance(error, UnknownTopicOrPartitionError):
        return False
    return isinstance(error, KafkaTimeoutError) or bool(error.retriable)


async def hold_while_away(work: Callable[[], Awaitable[Result]], what: str) -> Result:
    """Perform *work* (safe to repeat), waiting through an outage of Kafka for as long as it lasts."""
    told = False
    while True:
        try:
            return await work()
        except KafkaError as error:
            if not is_away(error):
                raise
            if not told:
                log.warning("Kafka unavailable, holding", what=what, error=type(error).__name__)
                told = True
            await asyncio.sleep(AGAIN_S)
