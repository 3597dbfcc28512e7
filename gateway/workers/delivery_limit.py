"""What one worker may ask of its target: so many requests at a time, and its slots' share of so many a second.

The target's rate is the nation's, whoever sends: each worker takes the share of the slots that it owns, so that all
together stay within it, however many they are and through every rebalance.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from gateway.edges.clock import monotonic_s
from gateway.pace import Bucket


class Limit:
    """An asynchronous context for one request; *requests_per_s* 0: no rate."""

    def __init__(self, at_once: int, requests_per_s: float = 0.0, slots: int = 1) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._a_slot_per_s = requests_per_s / slots
        self._owned = 0
        self._bucket = Bucket(requests_per_s or 1.0)

    @contextmanager
    def owning(self) -> Iterator[None]:
        """One slot more belongs to this worker inside of the block."""
        self._own(1)
        try:
            yield
        finally:
            self._own(-1)

    def _own(self, more: int) -> None:
        self._owned += more
        self._bucket.rate_per_s = max(1, self._owned) * self._a_slot_per_s or 1.0

    async def __aenter__(self) -> None:
        """Wait for a turn, and for the time at which the rate allows it."""
        await self._turn.acquire()
        if self._a_slot_per_s:
            try:
                await asyncio.sleep(self._bucket.reserve_s(1, monotonic_s()))
            except asyncio.CancelledError:
                self._turn.release()
                raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The request has been answered, or has no answer."""
        self._turn.release()
