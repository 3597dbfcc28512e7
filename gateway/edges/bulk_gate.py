"""When bulk loads may enter, and how much: as long as the readers of the stream keep up (intake/bulk.py).

A back-load admitted without a gate lies in front of everybody's live events in national.records.  The broker knows how
far each reader is: its group's committed offsets against the ends of its topic.
"""

import asyncio
from collections import Counter
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from gateway.config import Config
from gateway.edges.clock import now_ms
from gateway.edges.kafka import make_consumer
from gateway.edges.kafka_start import hold_while_away
from gateway.edges.kafka_types import Consumer, TopicPartition
from gateway.edges.telemetry import logger
from gateway.intake.bulk import CYCLE_S, Pace, Reader, is_rest
from gateway.record import MAPPED_TOPIC, NATIONAL_TOPIC

LOOK_S: Final = 0.25
IDLE_S: Final = 2.0
"""Between looks while there is no bulk; what is usual without it is looked at closely all the same."""

log = logger(__name__)


class BulkGate:
    """Closed until every reader is seen to be close; closed again whenever that cannot be told."""

    def __init__(self, config: Config) -> None:
        self._config = config
        prefix = config.kafka.group_prefix
        self._readers = {f"{prefix}.identity": MAPPED_TOPIC}
        self._readers |= {f"{prefix}.deliver.{target}": NATIONAL_TOPIC for target in config.targets}
        self._pace = Pace(first=2 * config.slots)
        self._left: Counter[int] = Counter()
        self._used: set[int] = set()
        self._used_at_s = float("-inf")

    def allowance(self, slot: int) -> int:
        """Records that *slot* may still admit; 0: none, the gate is closed for it."""
        return max(0, self._left[slot])

    def spend(self, slot: int, records: int) -> None:
        """*slot* has admitted so many; what a message held beyond the allowance is a debt."""
        self._left[slot] -= records
        self._used.add(slot)

    async def watch(self) -> None:
        """Look for ever; an unreachable broker closes the gate."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._config.kafka.bootstrap_servers)
        consumer = make_consumer(self._config.kafka)
        try:
            await hold_while_away(admin.start, "bulk gate")
            await hold_while_away(consumer.start, "bulk gate")
            while True:
                try:
                    readers = await self._look(admin, consumer)
                    self._share(self._pace.allowed(now_ms() / 1000, readers, used_up=self._is_used_up))
                except KafkaError as error:
                    self._share(0)
                    log.warning("bulk gate closed, broker unavailable", error=type(error).__name__)
                await asyncio.sleep(self._pause_s(now_ms() / 1000))
        finally:
            await consumer.stop()
            await admin.close()

    @property
    def _is_used_up(self) -> bool:
        """Whether a slot has taken all of its share since the last look."""
        return any(self._left[slot] <= 0 for slot in self._used)

    def _pause_s(self, wall_s: float) -> float:
        if self._used:
            self._used_at_s = wall_s
        self._used.clear()
        return LOOK_S if is_rest(wall_s) or wall_s - self._used_at_s < CYCLE_S else IDLE_S

    def _share(self, allowed: int) -> None:
        """Each slot of the installation may admit its share; its debt is paid from it, what it left over is gone."""
        share = -(-allowed // self._config.slots)
        for slot in range(self._config.slots):
            self._left[slot] = min(0, self._left[slot]) + share

    async def _look(self, admin: AIOKafkaAdminClient, consumer: Consumer) -> dict[str, Reader]:
        seen: dict[str, Reader] = {}
        for group, topic in self._readers.items():
            partitions = [TopicPartition(topic, slot) for slot in range(self._config.slots)]
            committed = await admin.list_consumer_group_offsets(group, partitions=partitions)
            ends = await consumer.end_offsets(partitions)
            log_ends = [ends[p] for p in partitions]
            passed = [max(0, committed[p].offset) if p in committed else 0 for p in partitions]
            seen[group] = Reader(passed, log_ends)
            told = [committed[p].metadata if p in committed else "" for p in partitions]
            if any(map(str.isdecimal, told)):  # delivery says what is still under way at a target that answers later
                settled = [int(text) if text.isdecimal() else offset for text, offset in zip(told, passed, strict=True)]
                seen[f"{group} settled"] = Reader(settled, log_ends, slow=True)
        return seen
