"""One link with its waiting questions: asked at its pace, in its order, through every outage, until it is answered.

    put(question) ─► waiting (deadline, fair share) ─► batches ─► breaker ─► pace ─► audit ─► link ─► answered(batch)

The rules: an outage holds and is asked through with capped backoff for ever, no attempt is counted.  A batch that the
link refuses is halved until the question it dislikes stands alone: that one is answered by nothing, the others go on.
A link that refuses one question after the other and answers none is taken for an outage.  A question in hand is no
longer waiting: its answer serves everybody who asks it until then.  Nothing leaves before its audit is written.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from gateway.edges import clock
from gateway.edges.identity_link import CONNECTIONS, NOT_SENT, Duty, Link, RefusedLookup
from gateway.edges.telemetry import logger
from gateway.identity.chain import Finding
from gateway.identity.queue import Breaker, Origin, Waiting
from gateway.identity.verdicts import Claim
from gateway.outcomes import Unavailable
from gateway.pace import Bucket

MOST_REFUSED: Final = 20
"""Questions refused in a row, without one answer between, that end: more is a fault of the register, not of them."""

UNANSWERED: Final = "unanswered"
REFUSED: Final = "refused"

Key = TypeVar("Key", bound=Hashable)
Counts = Literal["requests", "codes"]

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Look(Generic[Key]):
    """What one request told: a finding for each of its questions; None for a refused one or no answer at all."""

    request_id: uuid.UUID
    duty: Duty
    findings: Sequence[tuple[Key, Finding | None]]


@dataclass(frozen=True, slots=True)
class Hearers(Generic[Key]):
    """Who hears of requests: about to leave, answered, without an answer (and why), never left; and of an outage."""

    asking: Callable[[Look[Key]], Awaitable[None]]
    answered: Callable[[Look[Key]], None]
    unanswered: Callable[[Look[Key], str], None]
    not_sent: Callable[[uuid.UUID], None]
    down: Callable[[], None]


class Line(Generic[Key]):
    """The waiting questions of *link*, and the tasks that ask them."""

    def __init__(self, link: Link, rate_per_s: float, counts: Counts, hearers: Hearers[Key]) -> None:
        self._link = link
        self._counts = counts
        self._hearers = hearers
        self._bucket = Bucket(rate_per_s)
        self._breaker = Breaker()
        self._refused = 0
        self._questions: dict[Key, Claim] = {}
        self._origins: dict[Key, Origin] = {}
        self._waiting: Waiting[Key] = Waiting()
        self._something = asyncio.Event()

    @property
    def is_answering(self) -> bool:
        """Whether the last request was answered: waiting for an answer makes sense only then."""
        return self._breaker.is_closed

    def answers_within(self, seconds: float) -> bool:
        """Whether what waits now can be answered by then at the present pace; if not, waiting for it is pointless."""
        waiting = len(self._waiting)
        cost = -(-waiting // self._link.most) if self._counts == "requests" else waiting
        return self.is_answering and self._bucket.busy_s(cost, clock.monotonic_s()) <= seconds

    def put(self, key: Key, question: Claim, origin: Origin) -> None:
        """Have *question* asked; one that waits already can only move up, one in hand stays there."""
        fresh = key not in self._questions
        if fresh:
            self._questions[key], self._origins[key] = question, origin
            self._waiting.put(key, origin)
            self._something.set()
        elif origin.first and key in self._waiting:
            self._waiting.put(key, origin)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._ask_forever())

    async def _ask_forever(self) -> None:
        while True:
            keys = self._waiting.take(self._link.most)
            if keys:
                await self._ask_until_answered(keys)
            else:
                self._something.clear()
                await self._something.wait()

    async def _ask_until_answered(self, keys: Sequence[Key]) -> None:
        while True:
            await self._may_ask(len(keys))
            request_id = uuid.uuid4()
            await self._hearers.asking(self._without_answer(keys, request_id))
            answer = await self._link.ask([self._questions[key] for key in keys], request_id)
            match answer:
                case Unavailable():
                    self._hold(keys, request_id, answer)
                case RefusedLookup(reason):
                    await self._narrow(keys, request_id, reason)
                    return
                case findings:
                    self._breaker.answered()
                    self._refused = 0
                    self._end(request_id, list(zip(keys, findings, strict=True)))
                    return

    async def _may_ask(self, questions: int) -> None:
        wait_s = self._breaker.wait_s(clock.monotonic_s())
        while wait_s:
            await asyncio.sleep(wait_s)
            wait_s = self._breaker.wait_s(clock.monotonic_s())
        cost = 1 if self._counts == "requests" else questions
        await asyncio.sleep(self._bucket.reserve_s(cost, clock.monotonic_s()))

    def _hold(self, keys: Sequence[Key], request_id: uuid.UUID, answer: Unavailable) -> None:
        if answer.reason in NOT_SENT:
            self._hearers.not_sent(request_id)
        else:
            self._hearers.unanswered(self._without_answer(keys, request_id), UNANSWERED)
        self._wait_out(answer.reason, answer.retry_after_s)

    def _wait_out(self, reason: str, retry_after_s: float | None) -> None:
        went_down = self._breaker.is_closed
        self._breaker.failed(clock.monotonic_s(), clock.dice(), retry_after_s)
        if went_down:
            log.warning("register unavailable, look-ups wait", reason=reason, endpoint=self._link.duty.endpoint)
            self._hearers.down()

    async def _narrow(self, keys: Sequence[Key], request_id: uuid.UUID, reason: str) -> None:
        """Find the refused question by halves; alone it is nobody's, or waits again in what looks like an outage."""
        if len(keys) > 1:
            self._hearers.unanswered(self._without_answer(keys, request_id), REFUSED)
            self._breaker.let_go()
            middle = len(keys) // 2
            await self._ask_until_answered(keys[:middle])
            await self._ask_until_answered(keys[middle:])
        elif self._refused < MOST_REFUSED:
            self._breaker.answered()
            self._refused += 1
            log.warning("register refuses a question", reason=reason, request_id=str(request_id))
            self._end(request_id, [(keys[0], None)])
        else:
            self._hearers.unanswered(self._without_answer(keys, request_id), REFUSED)
            self._wait_out(reason, None)
            self._waiting.put(keys[0], self._origins[keys[0]])
            self._something.set()

    def _without_answer(self, keys: Sequence[Key], request_id: uuid.UUID) -> Look[Key]:
        return Look(request_id, self._link.duty, [(key, None) for key in keys])

    def _end(self, request_id: uuid.UUID, findings: Sequence[tuple[Key, Finding | None]]) -> None:
        for key, _ in findings:
            del self._questions[key], self._origins[key]
        self._hearers.answered(Look(request_id, self._link.duty, findings))
