"""The only file that imports Faust: it hears the vendors' receipts and rejected topics and hands them on in batches.

    Kafka ─► agents (total bodies: they only put) ─► one inbox ─► one reader ─► project(batch) ─► acknowledge

Three traps of Faust are closed here, and nowhere else may it be used:

- it reads aborted records unless its guarantee is exactly_once; the consumer here is read_committed whatever Faust
  thinks (``_CommittedThread``);
- it acknowledges what an agent crashed on and (without its C extension) what it skips in a rebalance; here
  ``noack`` and ``_LedgerConsumer.ack`` acknowledge nothing, and ``acknowledge`` is called by the reader alone, after
  the ledger has the batch;
- a crashed agent, timer or reader is restarted or left lying; here each of them ends ``run`` with its error.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, Final, cast

import faust
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.types import EventT, Message

from gateway.config import Config
from gateway.edges.batches import bound_all_consumers
from gateway.edges.telemetry import logger
from gateway.record import Headers, Position

BATCH_RECORDS: Final = 1_000
INBOX_RECORDS: Final = 4_000
LINGER_S: Final = 0.02
HEARTBEAT_S: Final = 3.0
COMMIT_S: Final = 1.0
FETCH_BYTES: Final = 1024 * 1024
STOP_S: Final = 10.0
HOLD_S: Final = 24 * 3600.0
"""A held ledger stops fetching for as long as it lasts; the group must not take that for a dead member."""

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Inbound:
    """A committed record of a vendor's receipts or rejected topic."""

    position: Position
    timestamp_ms: int
    headers: Headers
    value: bytes


class FaustStuckError(Exception):
    """Faust does not stop and holds the event loop with it: only the end of the process helps."""


Project = Callable[[Sequence[Inbound]], Awaitable[None]]
Watch = Callable[[], Awaitable[None]]
VIETNAM: Final = timezone(timedelta(hours=7))


@dataclass(frozen=True, slots=True)
class Cron:
    """Work on the leader at fixed times (+07:00)."""

    times: str
    work: Watch


class _CommittedThread(AIOKafkaConsumerThread):
    """Opens the consumer with ``isolation_level="read_committed"``."""

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        """Faust asks one question to choose the isolation level, and asks it here: answer yes for that moment."""
        asked = self.consumer
        asked.in_transaction = True
        try:
            return super()._create_worker_consumer(transport)
        finally:
            asked.in_transaction = False


class _LedgerConsumer(FaustConsumer):
    """Acknowledges only what the ledger holds."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _CommittedThread(self, loop=self.loop, beacon=self.beacon)

    def ack(self, message: Any) -> bool:
        """What Faust would acknowledge by itself is not acknowledged (its C extension goes round this: ``noack``)."""
        del message
        return False

    def acknowledge(self, message: Message) -> None:
        """Let the offset of *message* be committed; not after a rebalance, when it is read again anyway."""
        if message.generation_id == self.app.consumer_generation_id:
            super().ack(message)


class _CommittedTransport(Transport):
    Consumer = _LedgerConsumer


def _settings(config: Config) -> dict[str, Any]:
    session_s = config.kafka.session_timeout_ms / 1000
    return {
        "id": f"{config.kafka.group_prefix}.tower",
        "broker": ";".join(f"kafka://{server.strip()}" for server in config.kafka.bootstrap_servers.split(",")),
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": min(HEARTBEAT_S, session_s / 3),
        "broker_rebalance_timeout": max(5.0, session_s * 2),
        "broker_max_poll_interval": HOLD_S,
        "broker_commit_interval": COMMIT_S,
        "broker_commit_livelock_soft_timeout": HOLD_S,
        "stream_processing_timeout": HOLD_S,
        "stream_wait_empty": False,  # it would wait for Faust's own acknowledgements, which never come
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": FETCH_BYTES,
        "processing_guarantee": "at_least_once",
        "datadir": str(Path(config.state_dir) / "tower"),
        "store": "memory://",
        "cache": "memory://",
        "web_enabled": False,
        "topic_replication_factor": config.kafka.replication_factor,
        "reply_create_topic": False,
        "autodiscover": False,
    }


class Tower:
    """The Faust application for one run; *project* must be safe to repeat.

    On the leader run *watch*, with the seconds between two of it, and *crons*.
    """

    def __init__(
        self, config: Config, topics: Sequence[str], project: Project, watch: tuple[Watch, float], crons: Sequence[Cron]
    ) -> None:
        bound_all_consumers()
        self._project = project
        self._inbox: asyncio.Queue[Message] = asyncio.Queue(INBOX_RECORDS)
        self._fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        Path(config.state_dir).mkdir(parents=True, exist_ok=True)  # Faust makes its own folder in it and no parents
        self._app = faust.App(loop=asyncio.get_running_loop(), **_settings(config))
        self._app.transport = _CommittedTransport(self._app.conf.broker_consumer, self._app)
        heard = self._app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        self._app.agent(heard, name="tower.hear")(self._hear)
        self._watch, watch_s = watch
        self._app.timer(watch_s, on_leader=True, name="tower.watch")(self._watch_once)
        for cron in crons:
            self._app.crontab(cron.times, timezone=VIETNAM, on_leader=True)(self._at_its_time(cron))

    async def run(self, stop: asyncio.Event) -> None:
        """Project until *stop*.  Raises what ended an agent, the reader, the watch or Faust itself."""
        reader = asyncio.ensure_future(self._guarded(self._read()))
        stopping = asyncio.ensure_future(stop.wait())
        ended: asyncio.Future[Any] = asyncio.ensure_future(self._serve())
        try:
            await asyncio.wait({stopping, ended, self._fatal}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopping, reader):
                task.cancel()
            await asyncio.gather(stopping, reader, return_exceptions=True)  # what they raised is in _fatal
            await self._stop()
            ended.cancel()
        if self._fatal.done():
            self._fatal.result()
        elif ended.done() and not ended.cancelled():
            ended.result()

    async def _serve(self) -> None:
        await self._app.start()
        await self._app.wait_until_stopped()
        if self._app.crash_reason is not None:
            raise self._app.crash_reason
        if not self._app.should_stop:
            message = "Faust ended by itself"
            raise RuntimeError(message)

    async def _stop(self) -> None:
        """Leave the group within STOP_S, committing what is acknowledged; raises FaustStuckError.

        Faust's stop swallows a cancellation, so it is left behind rather than cancelled.
        """
        stopping = asyncio.ensure_future(self._app.stop())
        await asyncio.wait({stopping}, timeout=STOP_S)
        if not stopping.done():
            message = f"Faust did not stop within {STOP_S:.0f} s"
            raise FaustStuckError(message)

    async def _hear(self, stream: AsyncIterable[Any]) -> None:
        """The agent: nothing in it can fail, and what does all the same ends the process."""
        await self._guarded(self._put_all(stream))

    async def _put_all(self, stream: Any) -> None:
        event: EventT[bytes]
        async for event in stream.noack().events():
            await self._inbox.put(event.message)

    async def _watch_once(self) -> None:
        await self._guarded(self._watch())

    def _at_its_time(self, cron: Cron) -> Watch:
        async def tower_cron() -> None:
            await self._guarded(cron.work())

        return tower_cron

    async def _read(self) -> None:
        """The one reader of the inbox: a batch, its transaction in the ledger, then its acknowledgement."""
        while True:
            batch = [await self._inbox.get()]
            await asyncio.sleep(LINGER_S)
            while len(batch) < BATCH_RECORDS and not self._inbox.empty():
                batch.append(self._inbox.get_nowait())
            await self._project([_inbound(message) for message in batch])
            consumer = cast("_LedgerConsumer", self._app.consumer)
            for message in batch:
                consumer.acknowledge(message)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            log.exception("the tower ends")
            if not self._fatal.done():
                self._fatal.set_exception(error)
            raise


def _inbound(message: Message) -> Inbound:
    raw = message.headers or ()
    pairs = raw.items() if isinstance(raw, Mapping) else raw
    return Inbound(
        position=Position(message.topic, message.partition, message.offset),
        timestamp_ms=round(message.timestamp * 1000),
        headers=[(name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs],
        value=message.value or b"",
    )
