"""What one worker may ask of its target: so many requests at a time, and its slots' share of so many a second.

The target's rate is the nation's, whoever sends: each worker takes the share of the slots that it owns, so that all
together stay within it, however many they are and through every rebalance.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.edges.clock import monotonic_s
from gateway.pace import Bucket

Result = TypeVar("Result")
Ready = Callable[[], Awaitable[None]]


class Limit:
    """Turns for requests; *requests_per_s* 0: no rate.  *share* of it is this worker's while it owns a slot."""

    def __init__(self, at_once: int, requests_per_s: float = 0.0, share: Callable[[], float] = lambda: 1.0) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._next = asyncio.Lock()
        self._requests_per_s = requests_per_s
        self._share = share
        self._bucket = Bucket(requests_per_s)

    async def perform(self, ready: Ready, request: Callable[[], Awaitable[Result]]) -> Result:
        """Make *request* in its turn, when *ready* allows it and the rate has room.

        Who waits has spent nothing yet, so that giving up costs nobody time; what holds everybody up, as a lease that
        cannot be renewed, is waited for before the rate, so that nothing is saved up behind it.
        """
        async with self._turn:
            if self._requests_per_s:
                async with self._next:
                    await ready()
                    await asyncio.sleep(self._bucket.wait_s(monotonic_s()))
                    await ready()
                    self._bucket.rate_per_s = self._requests_per_s * self._share()
                    self._bucket.reserve_s(1, monotonic_s())
            else:
                await ready()
            return await request()
