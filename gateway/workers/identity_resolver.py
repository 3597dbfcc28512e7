"""The resolver: look-ups beside the stream, so that a known pupil never waits for an unknown one.

    ask(claim) ─► one pending entry a claim, one question a pupil code ─► registry ─► chain ─► population database
                                                                                        │            │
    slots are told ◄─ memory ◄─ ledger (verdicts and audit, all that came meanwhile) ◄──┴────────────┘

The rules: one question in flight for a pupil and link, however many claims and slots wait for it; an answer is in the
ledger with its audit before anybody acts on it, and no request leaves before its audit is in the ledger; what the
answers say together is a table (``identity.chain``).
The stream's wait belongs to the stream: a caller that gives up cancels nothing.
"""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

from gateway.config import Config
from gateway.edges import clock
from gateway.edges.identity_link import Link
from gateway.edges.identity_verdicts import ASKED, Answer, Audit, Done
from gateway.edges.ledger import hold_while_down
from gateway.identity.cache import Kept, Lifetimes
from gateway.identity.chain import AskPopulation, Known, People, Settled, after_population, after_registry
from gateway.identity.plan import ClaimKey
from gateway.identity.queue import Origin
from gateway.identity.verdicts import Claim, Verdict, compare, word_of
from gateway.workers.identity_line import Hearers, Line, Look

MEMORY_VERDICTS: Final = 100_000
MOST_PENDING: Final = 10_000
PURGE_EVERY_S: Final = 3600.0

Told = Callable[[int], None]
"""Called with the lane whose claim was answered."""


class Store(Protocol):
    """Where verdicts are kept: the ledger, or its fake."""

    async def known(self, keys: Sequence[ClaimKey], since: datetime) -> dict[ClaimKey, Kept]:
        """The verdicts of *keys* that expire after *since*."""

    async def asking(self, audits: Sequence[Audit], now: datetime) -> None:
        """Write the audit of look-ups that are about to leave."""

    async def store(self, answers: Sequence[Answer], audits: Sequence[Audit], done: Done) -> None:
        """Keep *answers*, and the audit of the look-ups in place of what was written before they left, together."""

    async def forget(self, keys: Sequence[ClaimKey]) -> None:
        """Drop verdicts."""

    async def purge(self, before: datetime) -> int:
        """Drop what expired before then; the number dropped."""


@dataclass(slots=True)
class _Pending:
    claim: Claim
    origin: Origin
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[Told] = field(default_factory=list)
    asked: AskPopulation | None = None
    is_with_registry: bool = True


class Resolver:
    """Looks claims up through the chain of links and remembers the verdicts; shared by all slots of a process."""

    def __init__(self, registry: Link, population: Link | None, store: Store, config: Config) -> None:
        self._store = store
        self._lifetimes = _lifetimes(config)
        self._memory: OrderedDict[ClaimKey, Kept] = OrderedDict()
        self._pending: dict[ClaimKey, _Pending] = {}
        self._by_code: dict[str, list[ClaimKey]] = {}
        self._by_person: dict[Claim, list[ClaimKey]] = {}
        self._answers: dict[ClaimKey, Kept] = {}
        self._audits: dict[Audit, None] = {}
        self._not_sent: list[uuid.UUID] = []
        self._to_settle = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        settings = config.registry
        self._registry: Line[str] = Line(
            registry,
            settings.rate_per_s,
            settings.counts,
            Hearers(
                self._registry_asking, self._registry_answered, self._registry_unanswered, self._unsent, self._went_down
            ),
        )
        self._population: Line[Claim] | None = None
        if population is not None:
            rate_per_s = next(iter(config.identity.links.values())).rate_per_s
            hearers = Hearers(
                self._population_asking,
                self._population_answered,
                self._population_unanswered,
                self._unsent,
                self._went_down,
            )
            self._population = Line(population, rate_per_s, "requests", hearers)

    @property
    def is_answering(self) -> bool:
        """Whether all links answered last: waiting for look-ups makes sense only then."""
        return self._registry.is_answering and (self._population is None or self._population.is_answering)

    def answers_within(self, seconds: float) -> bool:
        """Whether look-ups asked by now can be answered by then: else the stream need not wait for them at all."""
        return self.is_answering and self._registry.answers_within(seconds)

    async def room(self) -> None:
        """Wait until fewer than MOST_PENDING claims wait for an answer."""
        await self._room.wait()

    async def known(self, keys: Iterable[ClaimKey]) -> dict[ClaimKey, Verdict]:
        """What may be believed of *keys*: memory first, then one query."""
        wanted = set(keys)
        found = self.remembered(wanted)
        missing = list(wanted - found.keys())
        if missing:
            since = clock.now() - self._lifetimes.stale
            stored = await hold_while_down(lambda: self._store.known(missing, since), "verdicts")
            self._remember(stored)
            found |= self.remembered(stored)
        return found

    def remembered(self, keys: Iterable[ClaimKey]) -> dict[ClaimKey, Verdict]:
        """What may be believed of *keys* by memory alone."""
        now, down = clock.now(), not self.is_answering
        found: dict[ClaimKey, Verdict] = {}
        for key in keys:
            kept = self._memory.get(key)
            verdict = None if kept is None else self._lifetimes.usable(kept, now, down=down)
            if verdict is not None:
                found[key] = verdict
        return found

    def due(self, keys: Iterable[ClaimKey]) -> list[ClaimKey]:
        """Those of *keys* whose believed answer nears its end: to be asked again, beside the stream."""
        now = clock.now()
        return [key for key in keys if (kept := self._memory.get(key)) and self._lifetimes.is_due(kept, key[1], now)]

    def ask(self, key: ClaimKey, claim: Claim, told: Told | None, origin: Origin) -> asyncio.Event:
        """Have *claim* looked up; the event is set and *told* called once its verdict is in the ledger."""
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = _Pending(claim, origin)
            self._by_code.setdefault(claim.pupil_code, []).append(key)
            if len(self._pending) >= MOST_PENDING:
                self._room.clear()
        if pending.is_with_registry:  # asked before, a pressing deadline moves the question up
            self._registry.put(claim.pupil_code, claim, origin)
        if told is not None and told not in pending.told:
            pending.told.append(told)
        return pending.answered

    async def forget(self, keys: Sequence[ClaimKey]) -> None:
        """Drop the verdicts of *keys*, so that the next question goes to the registry again."""
        for key in keys:
            self._memory.pop(key, None)
        await hold_while_down(lambda: self._store.forget(keys), "verdicts")

    def drop(self, lane: int | None) -> None:
        """Have nothing of *lane* in memory any more; None: of anybody."""
        for key in [key for key in self._memory if lane is None or key[0] == lane]:
            del self._memory[key]

    async def run(self) -> None:
        """Ask, settle and purge until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._registry.run())
            if self._population is not None:
                group.create_task(self._population.run())
            group.create_task(self._settle_forever())
            group.create_task(self._purge_forever())

    # --- what the links said ------------------------------------------------------------------------------------

    def _registry_answered(self, look: Look[str]) -> None:
        for code, finding in look.findings:
            people = finding.candidates if isinstance(finding, People) else ()
            for key in self._by_code.pop(code, []):
                pending = self._pending[key]
                pending.is_with_registry = False
                self._audit(look, key, word_of(compare(pending.claim, people)))
                step = after_registry(pending.claim, people, asks_population=self._population is not None)
                match step:
                    case Settled(verdict):
                        self._settle(key, verdict)
                    case AskPopulation():
                        self._ask_population(key, pending, step)

    def _ask_population(self, key: ClaimKey, pending: _Pending, step: AskPopulation) -> None:
        pending.asked = step
        person = step.question
        self._by_person.setdefault(person, []).append(key)
        if self._population is not None:
            self._population.put(person, step.question, pending.origin)

    def _population_answered(self, look: Look[Claim]) -> None:
        for person, finding in look.findings:
            for key in self._by_person.pop(person, []):
                asked = self._pending[key].asked
                if asked is None:
                    continue
                verdict = after_population(asked, finding or Known(known=False))
                self._audit(look, key, word_of(verdict))
                self._settle(key, verdict)

    def _registry_unanswered(self, look: Look[str], word: str) -> None:
        for key in self._of_codes(look):
            self._audit(look, key, word)

    def _population_unanswered(self, look: Look[Claim], word: str) -> None:
        for key in self._of_people(look):
            self._audit(look, key, word)

    async def _registry_asking(self, look: Look[str]) -> None:
        await self._write_asked(look, self._of_codes(look))

    async def _population_asking(self, look: Look[Claim]) -> None:
        await self._write_asked(look, self._of_people(look))

    def _of_codes(self, look: Look[str]) -> list[ClaimKey]:
        return [key for code, _ in look.findings for key in self._by_code.get(code, [])]

    def _of_people(self, look: Look[Claim]) -> list[ClaimKey]:
        return [key for person, _ in look.findings for key in self._by_person.get(person, [])]

    async def _write_asked(self, look: Look[str] | Look[Claim], keys: Sequence[ClaimKey]) -> None:
        lanes = dict.fromkeys(lane for lane, _ in keys)
        audits = [Audit(lane, look.request_id, look.duty, ASKED) for lane in lanes]
        await hold_while_down(partial(self._store.asking, audits, clock.now()), "audit")

    def _unsent(self, request_id: uuid.UUID) -> None:
        self._not_sent.append(request_id)
        self._to_settle.set()

    def _went_down(self) -> None:
        """Pupils whose answer has only just expired need not wait for the register to come back."""
        for key in self.remembered(self._pending):
            for told in self._pending[key].told:
                told(key[0])

    def _audit(self, look: Look[str] | Look[Claim], key: ClaimKey, verdict: str) -> None:
        self._audits[Audit(key[0], look.request_id, look.duty, verdict)] = None
        self._to_settle.set()

    def _settle(self, key: ClaimKey, verdict: Verdict) -> None:
        self._answers[key] = self._lifetimes.kept(verdict, clock.now())
        self._to_settle.set()

    # --- ledger, memory, and who waits --------------------------------------------------------------------------

    async def _settle_forever(self) -> None:
        while True:
            await self._to_settle.wait()
            self._to_settle.clear()
            settled, audits, done = self._answers, list(self._audits), Done(clock.now(), tuple(self._not_sent))
            self._answers, self._audits, self._not_sent = {}, {}, []
            answers = [Answer(key, kept) for key, kept in settled.items()]
            await hold_while_down(partial(self._store.store, answers, audits, done), "verdicts")
            self._remember(settled)
            self._tell(settled)

    def _tell(self, settled: Iterable[ClaimKey]) -> None:
        for key in settled:
            pending = self._pending.pop(key)
            pending.answered.set()
            for told in pending.told:
                told(key[0])
        if len(self._pending) < MOST_PENDING:
            self._room.set()

    async def _purge_forever(self) -> None:
        while True:
            await hold_while_down(partial(self._store.purge, clock.now() - self._lifetimes.stale), "purge")
            await asyncio.sleep(PURGE_EVERY_S)

    def _remember(self, verdicts: Mapping[ClaimKey, Kept]) -> None:
        for key, kept in verdicts.items():
            self._memory[key] = kept
            self._memory.move_to_end(key)
        while len(self._memory) > MEMORY_VERDICTS:
            self._memory.popitem(last=False)


def _lifetimes(config: Config) -> Lifetimes:
    settings = config.identity
    return Lifetimes(
        confirmed=timedelta(days=settings.confirmed_days),
        refresh=timedelta(days=settings.refresh_days),
        negative=timedelta(minutes=settings.negative_minutes),
        stale=timedelta(days=settings.stale_days),
    )
