"""When bulk loads may enter: only while the slowest target is close behind the unified stream.

A back-load admitted without a gate lies in front of everybody's live events in national.records.  The broker knows
how close the targets are: each delivery group's committed offset against the offset of *CLOSE_S* ago.
"""

import asyncio
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from gateway.config import Config
from gateway.edges.clock import now_ms
from gateway.edges.kafka import make_consumer
from gateway.edges.kafka_types import Consumer, TopicPartition
from gateway.edges.telemetry import logger
from gateway.record import NATIONAL_TOPIC

CLOSE_S: Final = 60
LOOK_EVERY_S: Final = 2.0

log = logger(__name__)


class BulkGate:
    """Closed until every target is seen to be close; closed again whenever that cannot be told."""

    def __init__(self, config: Config) -> None:
        self.open = False
        self._config = config
        self._groups = [f"{config.kafka.group_prefix}.deliver.{target}" for target in config.targets]

    async def watch(self) -> None:
        """Look every two seconds; an unreachable broker closes the gate."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._config.kafka.bootstrap_servers)
        consumer = make_consumer(self._config.kafka)
        await admin.start()
        await consumer.start()
        try:
            while True:
                try:
                    self.open = await self._close(admin, consumer)
                except KafkaError as error:
                    self.open = False
                    log.warning("bulk gate closed, broker unavailable", error=type(error).__name__)
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await consumer.stop()
            await admin.close()

    async def _close(self, admin: AIOKafkaAdminClient, consumer: Consumer) -> bool:
        partitions = [TopicPartition(NATIONAL_TOPIC, slot) for slot in range(self._config.slots)]
        since = now_ms() - CLOSE_S * 1000
        then = await consumer.offsets_for_times(dict.fromkeys(partitions, since))
        ends = await consumer.end_offsets(partitions)
        for group in self._groups:
            committed = await admin.list_consumer_group_offsets(group, partitions=partitions)
            for partition in partitions:
                newer = then.get(partition)
                due = newer.offset if newer is not None else ends[partition]
                if due > 0 and (partition not in committed or committed[partition].offset < due):
                    return False
        return True
