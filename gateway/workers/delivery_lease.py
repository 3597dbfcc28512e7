"""The right to send: a lease in the ledger, judged by the local monotonic clock.

A request may leave only while more than one request time-out of the lease is left, counted from before the renewal
was asked for; so nothing of this owner is under way when the lease has run out for its successor.
"""

import asyncio
from dataclasses import dataclass, field

from gateway.edges.clock import monotonic_s
from gateway.edges.delivery_ledger import DeliveryLedger
from gateway.edges.ledger import hold_while_down


@dataclass(slots=True)
class Lease:
    """The lease of one slot; *request_s* bounds each request made under it."""

    ledger: DeliveryLedger
    lease_s: float
    request_s: float
    _until: float = 0.0
    _renewed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def allows(self) -> bool:
        """Whether a request may leave now."""
        return self._until - monotonic_s() > self.request_s

    async def ready(self) -> None:
        """Wait until a request may leave."""
        while not self.allows:
            await self._renewed.wait()

    async def keep(self) -> None:
        """Renew for ever; raises LostSlot when another owner has come."""
        while True:
            await asyncio.sleep(self.lease_s / 3)
            await hold_while_down(self.renew, "lease")

    async def renew(self) -> None:
        """Renew once."""
        asked_at = monotonic_s()
        await self.ledger.renew(self.lease_s)
        self._until = asked_at + self.lease_s
        self._renewed.set()
        self._renewed.clear()
