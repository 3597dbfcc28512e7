"""kill -9 of workers in the middle of their work: which, how often and how far into the run, by seed.

A kill waits until the worker's own stage is so far, so that it has records in hand, and until the worker lives.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

FIRST, LAST = 0.15, 0.75
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
    """Kill *worker* when its stage has done the share *at* of the run's events."""

    at: float
    worker: str


def plan_kills(workers: Sequence[str], rounds: int, seed: int) -> list[Kill]:
    """*rounds* kills of every worker, each somewhere in its own part of the run."""
    dice = Random(f"kills|{seed}")
    width = (LAST - FIRST) / max(1, rounds)
    return [
        Kill(FIRST + (number + dice.random()) * width, worker) for worker in sorted(workers) for number in range(rounds)
    ]


async def perform(
    kills: Sequence[Kill], workers: Workers, done: Callable[[str], float], tell: Callable[[str], None]
) -> None:
    """Perform all *kills*; *done* is the share that a worker's stage has done so far."""
    await asyncio.gather(
        *(
            _perform_one_by_one([kill for kill in kills if kill.worker == worker], workers, done, tell)
            for worker in sorted({kill.worker for kill in kills})
        )
    )


async def _perform_one_by_one(
    kills: Sequence[Kill], workers: Workers, done: Callable[[str], float], tell: Callable[[str], None]
) -> None:
    for kill in kills:
        while done(kill.worker) < kill.at or kill.worker not in workers.pids():  # noqa: ASYNC110  other processes
            await asyncio.sleep(POLL_S)
        with suppress(ProcessLookupError):
            os.kill(workers.pids()[kill.worker], signal.SIGKILL)
            tell(f"kill -9 {kill.worker}, whose stage has done {done(kill.worker):.0%}")
