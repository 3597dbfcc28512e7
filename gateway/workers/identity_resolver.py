"""The resolver: look-ups beside the stream, so that a known pupil never waits for an unknown one.

    ask(claim) ─► one pending entry a claim, one question a pupil code ─► batches of codes ─► registry
                                                                               │ answer
    batches and slots are told  ◄─ memory ◄─ ledger (verdict and audit) ◄──────┘

The rules: one question in flight for a code, however many claims and slots wait for it; an answer is in the ledger
before anybody acts on it; an outage holds and is asked through with capped backoff for ever, no attempt is counted.
A batch that the registry refuses is halved until the code it dislikes stands alone: that pupil parks (ID-02), the
others are answered.  A registry that refuses one code after the other and answers none is taken for an outage.
The stream's wait belongs to the stream: a caller that gives up cancels nothing.
"""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.config import Config
from gateway.edges import clock
from gateway.edges.identity_verdicts import Answer, Kept
from gateway.edges.ledger import hold_while_down
from gateway.edges.pupil_registry import RefusedLookup
from gateway.edges.telemetry import logger
from gateway.identity.plan import ClaimKey
from gateway.identity.verdicts import Candidate, Claim, Confirmed, Verdict, compare
from gateway.outcomes import Unavailable

MEMORY_VERDICTS: Final = 100_000
MOST_PENDING: Final = 10_000
CONCURRENT_REQUESTS: Final = 4
BACKOFF_FIRST_S: Final = 0.2
BACKOFF_CAP_S: Final = 5.0
MOST_REFUSED: Final = 20
"""Codes refused in a row, without one answer between, that may park: more is a fault of the registry, not of codes."""

Told = Callable[[int], None]
"""Called with the lane whose claim was answered."""

log = logger(__name__)


class Registry(Protocol):
    """What the resolver asks: the registry edge, or its fake."""

    async def lookup(
        self, codes: Sequence[str], request_id: uuid.UUID
    ) -> Mapping[str, Sequence[Candidate]] | Unavailable | RefusedLookup:
        """Who stands behind each of *codes*."""


class Store(Protocol):
    """Where verdicts are kept: the ledger, or its fake."""

    async def known(self, keys: Sequence[ClaimKey], now: datetime) -> dict[ClaimKey, Kept]:
        """The unexpired verdicts of *keys*."""

    async def store(self, answers: Sequence[Answer], *, purpose: str, request_id: uuid.UUID, now: datetime) -> None:
        """Keep *answers* and their audit."""

    async def forget(self, keys: Sequence[ClaimKey]) -> None:
        """Drop verdicts."""


@dataclass(slots=True)
class _Pending:
    claim: Claim
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[Told] = field(default_factory=list)


class Resolver:
    """Looks claims up in batches and remembers the verdicts; shared by all slots of a process."""

    def __init__(self, registry: Registry, store: Store, config: Config) -> None:
        self._registry = registry
        self._store = store
        self._settings = config.registry
        self._confirmed = timedelta(days=config.identity.confirmed_days)
        self._negative = timedelta(minutes=config.identity.negative_minutes)
        self._memory: OrderedDict[ClaimKey, Kept] = OrderedDict()
        self._pending: dict[ClaimKey, _Pending] = {}
        self._by_code: dict[str, list[ClaimKey]] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._next_request_s = 0.0
        self._failures = 0
        self._refused = 0
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_answering(self) -> bool:
        """Whether the last request was answered: waiting for look-ups makes sense only then."""
        return self._failures == 0

    async def room(self) -> None:
        """Wait until fewer than MOST_PENDING claims wait for an answer."""
        await self._room.wait()

    async def known(self, keys: Iterable[ClaimKey]) -> dict[ClaimKey, Verdict]:
        """The unexpired verdicts of *keys*: memory first, then one query."""
        wanted, now = set(keys), clock.now()
        found = self.remembered(wanted)
        missing = list(wanted - found.keys())
        if missing:
            stored = await hold_while_down(lambda: self._store.known(missing, now), "verdicts")
            self._remember(stored)
            found |= {key: kept.verdict for key, kept in stored.items()}
        return found

    def remembered(self, keys: Iterable[ClaimKey]) -> dict[ClaimKey, Verdict]:
        """The unexpired verdicts of *keys* that memory has."""
        now = clock.now()
        return {key: kept.verdict for key in keys if (kept := self._memory.get(key)) and kept.expires_at > now}

    def ask(self, key: ClaimKey, claim: Claim, told: Told) -> asyncio.Event:
        """Have *claim* looked up; the event is set and *told* called once its verdict is in the ledger."""
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = _Pending(claim)
            claims = self._by_code.setdefault(claim.pupil_code, [])
            claims.append(key)
            if len(claims) == 1:
                self._queue.put_nowait(claim.pupil_code)
            if len(self._pending) >= MOST_PENDING:
                self._room.clear()
        if told not in pending.told:
            pending.told.append(told)
        return pending.answered

    async def forget(self, keys: Sequence[ClaimKey]) -> None:
        """Drop the verdicts of *keys*, so that the next question goes to the registry again."""
        for key in keys:
            self._memory.pop(key, None)
        await hold_while_down(lambda: self._store.forget(keys), "verdicts")

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENT_REQUESTS):
                group.create_task(self._ask_forever())

    async def _ask_forever(self) -> None:
        while True:
            codes = [await self._queue.get()]
            while len(codes) < self._settings.batch_codes and not self._queue.empty():
                codes.append(self._queue.get_nowait())
            await self._ask_until_answered(codes)

    async def _ask_until_answered(self, codes: Sequence[str]) -> None:
        while True:
            await self._pace()
            request_id = uuid.uuid4()
            match await self._registry.lookup(codes, request_id):
                case Unavailable(retry_after_s, reason):
                    await self._wait_out(reason, retry_after_s)
                case RefusedLookup(reason):
                    await self._narrow(codes, request_id, reason)
                    return
                case answer:
                    self._failures = self._refused = 0
                    await self._take(answer, request_id)
                    return

    async def _wait_out(self, reason: str, retry_after_s: float | None) -> None:
        self._failures += 1
        if self._failures == 1:
            log.warning("registry unavailable, look-ups wait", reason=reason)
        await asyncio.sleep(backoff_s(self._failures, clock.dice(), retry_after_s))

    async def _narrow(self, codes: Sequence[str], request_id: uuid.UUID, reason: str) -> None:
        """Find the refused code by halves; alone it is nobody's, or goes to the queue's end in what looks an outage."""
        if len(codes) > 1:
            middle = len(codes) // 2
            await self._ask_until_answered(codes[:middle])
            await self._ask_until_answered(codes[middle:])
        elif self._refused < MOST_REFUSED:
            self._failures = 0  # it does answer
            self._refused += 1
            log.warning("registry refuses a pupil code", reason=reason, request_id=str(request_id))
            await self._take({codes[0]: []}, request_id)
        else:
            await self._wait_out(reason, None)
            self._queue.put_nowait(codes[0])

    async def _pace(self) -> None:
        """The registry's rate, in requests: each takes the next free moment."""
        now_s = clock.monotonic_s()
        start_s = max(now_s, self._next_request_s)
        self._next_request_s = start_s + 1.0 / self._settings.rate_per_s
        if start_s > now_s:
            await asyncio.sleep(start_s - now_s)

    async def _take(self, answer: Mapping[str, Sequence[Candidate]], request_id: uuid.UUID) -> None:
        now = clock.now()
        verdicts: dict[ClaimKey, Kept] = {}
        for code, people in answer.items():
            for key in self._by_code.pop(code, []):
                verdict = compare(self._pending[key].claim, people)
                life = self._confirmed if isinstance(verdict, Confirmed) else self._negative
                verdicts[key] = Kept(verdict, now + life)
        answers = [Answer(key, kept) for key, kept in verdicts.items()]
        purpose = self._settings.purpose
        await hold_while_down(
            lambda: self._store.store(answers, purpose=purpose, request_id=request_id, now=now), "verdicts"
        )
        self._remember(verdicts)
        for key in verdicts:
            pending = self._pending.pop(key)
            pending.answered.set()
            for told in pending.told:
                told(key[0])
        if len(self._pending) < MOST_PENDING:
            self._room.set()

    def _remember(self, verdicts: Mapping[ClaimKey, Kept]) -> None:
        for key, kept in verdicts.items():
            self._memory[key] = kept
            self._memory.move_to_end(key)
        while len(self._memory) > MEMORY_VERDICTS:
            self._memory.popitem(last=False)


def backoff_s(failures: int, dice: float, retry_after_s: float | None) -> float:
    """Seconds until the next question after *failures* in a row: full jitter below a cap, at least what was asked for.

    >>> backoff_s(3, 1.0, None), backoff_s(50, 0.5, None), backoff_s(1, 0.0, 7.0)
    (0.8, 2.5, 7.0)
    """
    ceiling_s = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 16))
    return max(dice * ceiling_s, retry_after_s or 0.0)
