"""Receipts on their way from the outbox, where they were written with the state they tell of, to their vendors."""

import asyncio
from typing import Final

from gateway.edges.bell import rings
from gateway.edges.kafka import Output
from gateway.edges.kafka_start import hold_while_away
from gateway.edges.ledger import hold_while_down
from gateway.record import receipt_partition, vendor_topic
from gateway.workers.delivery_parts import Parts

OUTBOX_RECORDS: Final = 1_000
LOOK_S: Final = 1.0


async def publish(parts: Parts, fresh: asyncio.Event) -> None:
    """Send what is in the outbox, for ever, and mark it when Kafka has it; *fresh* says that there is something."""
    while True:
        waiting = await hold_while_down(lambda: parts.ledger.unpublished(OUTBOX_RECORDS), "outbox")
        if waiting:
            receipts = [_output(parts, o.receipt.vendor, o.receipt.event_id, o.receipt.payload) for o in waiting]
            await hold_while_away(lambda: parts.producer.send(receipts), "receipts")  # noqa: B023  awaited here
            await hold_while_down(lambda: parts.ledger.published(waiting), "outbox")  # noqa: B023  awaited here
        if len(waiting) < OUTBOX_RECORDS:
            await rings(fresh, LOOK_S)
            fresh.clear()


def _output(parts: Parts, vendor: str, event: str, payload: bytes) -> Output:
    partition = receipt_partition(event, parts.config.slots)
    return Output(vendor_topic(vendor, "receipts"), partition, event.encode(), payload, [])
