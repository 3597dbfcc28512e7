"""Publishes a script's messages and keeps the vendors' own file: what was sent, at the position the broker gave it.

The file is written from the broker's acknowledgements only: what is not in it was never promised to anybody.
"""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.config import Kafka
from gateway.edges.clock import monotonic_s
from gateway.edges.kafka import Output, PlainProducer
from gateway.record import H_EVENT_ID, Position, event_id
from gateway.sandbox.checker import Sent
from gateway.sandbox.vendors import Message

CHUNK_EVENTS: Final = 200
SLICE_S: Final = 0.1


class Publisher:
    """One producer for all vendors and one file."""

    def __init__(self, kafka: Kafka, path: Path) -> None:
        self._producer = PlainProducer(kafka)
        self._path = path
        self._messages = 0
        self.sent: list[Sent] = []

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()

    async def publish(self, messages: Sequence[Message], *, over_s: float) -> list[Sent]:
        """Send *messages* in their order, spread over about *over_s* seconds; what the broker has acknowledged."""
        total = sum(len(message.items) for message in messages)
        started_s, done, first = monotonic_s(), 0, len(self.sent)
        for chunk in _chunks(messages, max(1, min(CHUNK_EVENTS, int(total * SLICE_S / over_s) if over_s else total))):
            await self._send(chunk)
            done += sum(len(message.items) for message in chunk)
            await asyncio.sleep(max(0.0, started_s + over_s * done / total - monotonic_s()))
        return self.sent[first:]

    async def _send(self, messages: Sequence[Message]) -> None:
        outputs = []
        for message in messages:
            self._messages += 1
            reference = f"{message.items[0].vendor}-{self._messages}".encode()
            headers = [(H_EVENT_ID, reference)]
            outputs.append(Output(message.topic, message.partition, message.key, message.render(), headers))
        offsets = await self._producer.send(outputs)
        fresh = [line for message, offset in zip(messages, offsets, strict=True) for line in _lines(message, offset)]
        self.sent += fresh
        with self._path.open("ab") as file:
            file.write(msgspec.json.Encoder().encode_lines(fresh))


def _chunks(messages: Sequence[Message], events: int) -> Iterator[list[Message]]:
    chunk: list[Message] = []
    size = 0
    for message in messages:
        chunk.append(message)
        size += len(message.items)
        if size >= events:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _lines(message: Message, offset: int) -> Iterator[Sent]:
    position = Position(message.topic, message.partition, offset)
    for index, item in enumerate(message.items):
        yield Sent(
            event_id=event_id(position, index),
            pupil=f"{item.pupil.level}-{item.pupil.number}",
            record_id=item.record_id,
            vendor=item.vendor,
            topic=message.topic,
            partition=message.partition,
            offset=offset,
            index=index,
            op=item.step.op,
            order=item.step.order,
            plant=item.step.plant,
            history=item.history.name,
            wave=item.step.wave,
        )
