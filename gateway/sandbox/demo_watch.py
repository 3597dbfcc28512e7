"""Looking at a run from outside, once a second, until nothing moves any more or the time is over.

At rest means: every event has a state at every target, no order, packet or unpublished receipt is open, nothing waits
that somebody is working on, and for longer than a take-over after a kill takes nothing has changed.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NoReturn

import httpx
from rich.markup import escape

from gateway.config import Config
from gateway.edges.clock import monotonic_s
from gateway.edges.kafka import make_consumer
from gateway.edges.kafka_types import Consumer, TopicPartition
from gateway.edges.ledger import Pool
from gateway.errors import GatewayError
from gateway.record import MAPPED_TOPIC, NATIONAL_TOPIC, State
from gateway.sandbox.checker import Sent
from gateway.sandbox.demo_board import Board
from gateway.sandbox.demo_evidence import LedgerLook, look, read_tallies, without_state
from gateway.sandbox.demo_kills import Workers
from gateway.sandbox.demo_simulators import Simulator

LOOK_S: Final = 1.0
SHOWN_EVENTS: Final = 10
MayWait = Callable[[Sent], bool]


class StuckError(GatewayError):
    """The run did not come to rest in time; the text says what is where."""


@dataclass(slots=True)
class Watch:
    """What a run is looked at with."""

    config: Config
    pool: Pool
    consumer: Consumer
    targets: Sequence[Simulator]
    board: Board
    sent: Sequence[Sent]
    workers: Workers
    still_s: float
    changed_s: float = 0.0
    """When something was last seen to change (monotonic)."""

    async def glance(self) -> None:
        """Bring the display up to date; raises StuckError when a worker cannot run at all."""
        if helpless := self.workers.helpless():
            message = f"cannot run until somebody mends what its log says: {', '.join(helpless)}"
            raise StuckError(message)
        figures, before = self.board.figures, repr(self.board.figures)
        figures.produced = len(self.sent)
        figures.mapped = await self._end_of(MAPPED_TOPIC)
        figures.unified = await self._end_of(NATIONAL_TOPIC)
        for target in self.targets:
            with suppress(httpx.HTTPError):  # the next glance asks again; the judge reads the book itself
                figures.effects[target.name] = (await target.progress())["effects"]
        figures.tallies = await read_tallies(self.pool)
        if repr(figures) != before:
            self.changed_s = monotonic_s()
        self.board.show()

    def done(self, worker: str) -> float:
        """How much of what is planned the stage of *worker* has done, about, as of the last glance."""
        figures = self.board.figures
        settled = {f"deliver-{target.name}": figures.settled(target.name) for target in self.targets}
        counts = {"intake": figures.mapped, "identity": figures.unified, "tower": max(settled.values()), **settled}
        stage, _, _ = worker.rpartition("-")
        return counts[stage] / max(1, figures.planned)

    async def _end_of(self, topic: str) -> int:
        partitions = [TopicPartition(topic, number) for number in range(self.config.slots)]
        return sum((await self.consumer.end_offsets(partitions)).values())

    async def keep_glancing(self) -> None:
        """Glance until cancelled."""
        while True:
            await self.glance()
            await asyncio.sleep(LOOK_S)

    async def rest(self, may_wait: MayWait, *, within_s: float) -> LedgerLook:
        """Wait until the run is at rest; raises StuckError after *within_s*.  *may_wait*: who may."""
        deadline_s = monotonic_s() + within_s
        while True:
            await self.glance()
            if self._complete() and monotonic_s() - self.changed_s >= self.still_s:
                seen = await look(self.pool)
                if not any(seen.moving.values()) and not self._unsettled(seen, may_wait):
                    return seen
            if monotonic_s() > deadline_s:
                await self.give_up(within_s, may_wait)
            await asyncio.sleep(LOOK_S)

    async def give_up(self, within_s: float, may_wait: MayWait = lambda _: False) -> NoReturn:
        """Raise StuckError with what is where."""
        raise StuckError(await self._report(may_wait, within_s))

    async def until_states(self, events: Sequence[Sent], state: State, *, within_s: float) -> None:
        """Wait until each of *events* stands in *state* at every target; gives up quietly: the judge will tell."""
        deadline_s = monotonic_s() + within_s
        wanted = {event.event_id for event in events}
        while monotonic_s() < deadline_s:
            await self.glance()
            seen = await look(self.pool)
            reached = Counter(event for (event, _), has in seen.states.items() if has is state and event in wanted)
            if all(reached[event] == len(self.targets) for event in wanted):
                return
            await asyncio.sleep(LOOK_S)

    def _complete(self) -> bool:
        return all(self.board.figures.settled(target.name) >= len(self.sent) for target in self.targets)

    def _unsettled(self, seen: LedgerLook, may_wait: MayWait) -> list[tuple[Sent, str]]:
        names = [target.name for target in self.targets]
        missing = without_state(self.sent, names, seen)
        waiting = [
            (event, name)
            for event in self.sent
            for name in names
            if seen.states.get((event.event_id, name)) is State.WAITING and not may_wait(event)
        ]
        return missing + waiting

    async def _report(self, may_wait: MayWait, within_s: float) -> str:
        seen = await look(self.pool)
        unsettled = self._unsettled(seen, may_wait)
        lines = [f"the run did not come to rest within {within_s:.0f} s"]
        lines += [f"  {what} open: {count}" for what, count in seen.moving.items() if count]
        found = Counter(
            (target, event.plant, seen.states.get((event.event_id, target), "no state")) for event, target in unsettled
        )
        lines += [f"  {target}: {count} × {plant}, {state}" for (target, plant, state), count in found.most_common(12)]
        lines += [
            f"  e.g. {event.event_id} at {target} ({event.topic}-{event.partition}@{event.offset}#{event.index}, "
            f"{event.history}, {seen.reasons.get((event.event_id, target), '')})"
            for event, target in unsettled[:SHOWN_EVENTS]
        ]
        if not unsettled:
            lines.append(f"  every event has its state; something changed {monotonic_s() - self.changed_s:.0f} s ago")
        return escape("\n".join(lines))


async def make_watch_consumer(config: Config) -> Consumer:
    """A consumer that only asks for offsets."""
    consumer = make_consumer(config.kafka)
    await consumer.start()
    return consumer
