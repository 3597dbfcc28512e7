"""What a slot of delivery works with."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.config import Config
from gateway.delivery.events import Event
from gateway.delivery.values import Settings
from gateway.edges.delivery_ledger import DeliveryLedger
from gateway.edges.kafka import PlainProducer
from gateway.workers.delivery_lease import Lease
from gateway.workers.delivery_records import Shelf
from gateway.workers.delivery_send import BatchSender, PacketSender, Reader
from gateway.workers.suspects import Suspects


class Neighbour(Protocol):
    """Another slot of the same target in this process."""

    @property
    def has_suspects(self) -> bool:
        """Whether it waits for a sign that others are taken."""

    def tell(self, event: Event) -> None:
        """Put *event* into its inbox."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a slot works with; made by the composition of the worker."""

    config: Config
    target: str
    settings: Settings
    ledger: DeliveryLedger
    lease: Lease
    shelf: Shelf
    reader: Reader
    sender: BatchSender | PacketSender
    producer: PlainProducer
    bell: asyncio.Event
    neighbours: list[Neighbour]
    suspects: Suspects
    closed_s: Callable[[], float]
