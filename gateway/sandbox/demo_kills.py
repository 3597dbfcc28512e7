"""kill -9 of workers in the middle of their work: which, how often and how far into the run, by seed.

A kill waits until the run is so far and the worker lives; it asks for nothing and nobody is warned.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

FIRST, LAST = 0.15, 0.9
POLL_S: Final = 0.05


class Workers(Protocol):
    """The supervised workers of a run (ops/supervisor.py)."""

    async def start(self) -> None:
        """Start them all."""

    async def stop(self) -> None:
        """Drain them all."""

    def pids(self) -> dict[str, int]:
        """Who lives now."""

    def helpless(self) -> list[str]:
        """Who cannot run until a person mends something."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill *worker* when the share *at* of the run's events is published."""

    at: float
    worker: str


def plan_kills(workers: Sequence[str], rounds: int, seed: int) -> list[Kill]:
    """*rounds* kills of every worker, mixed and evenly spread over the time of publishing."""
    dice = Random(f"kills|{seed}")
    chosen = [worker for _ in range(rounds) for worker in dice.sample(sorted(workers), len(workers))]
    step = (LAST - FIRST) / max(1, len(chosen) - 1)
    return [Kill(FIRST + number * step, worker) for number, worker in enumerate(chosen)]


async def perform(
    kills: Sequence[Kill], workers: Workers, progress: Callable[[], float], tell: Callable[[str], None]
) -> None:
    """Perform all *kills* in their order."""
    for kill in kills:
        while progress() < kill.at or kill.worker not in workers.pids():  # noqa: ASYNC110  other processes
            await asyncio.sleep(POLL_S)
        with suppress(ProcessLookupError):
            os.kill(workers.pids()[kill.worker], signal.SIGKILL)
            tell(f"kill -9 {kill.worker} at {progress():.0%} of the events")
