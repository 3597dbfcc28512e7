"""The resolver beside the stream: batches, single flight, outages, and who is told."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from gateway.config import Config, Connectors, Kafka, Ledger, Registry
from gateway.edges.identity_verdicts import Answer, Kept
from gateway.identity.plan import ClaimKey
from gateway.identity.verdicts import Claim, Confirmed, NotFound, claim_hash
from gateway.workers.identity_resolver import MOST_REFUSED, Resolver
from tests.fakes.identity import FakeRegistry, Person

CONFIG = Config(
    slots=4,
    kafka=Kafka(bootstrap_servers="unused"),
    ledger=Ledger(url="unused"),
    keys_file="unused",
    state_dir="unused",
    registry=Registry(url="unused", credentials_file="unused", batch_codes=3, rate_per_s=10_000),
    targets={},
    connectors=Connectors(),
)


class MemoryStore:
    """Verdicts in a dict, with the audit beside them."""

    def __init__(self) -> None:
        self.kept: dict[ClaimKey, Kept] = {}
        self.audit: list[tuple[uuid.UUID, str, int]] = []

    async def known(self, keys: Sequence[ClaimKey], now: datetime) -> dict[ClaimKey, Kept]:
        return {key: self.kept[key] for key in keys if key in self.kept and self.kept[key].expires_at > now}

    async def store(self, answers: Sequence[Answer], *, purpose: str, request_id: uuid.UUID, now: datetime) -> None:
        self.kept |= {answer.key: answer.kept for answer in answers}
        self.audit += [(request_id, purpose, answer.key[0]) for answer in answers]

    async def forget(self, keys: Sequence[ClaimKey]) -> None:
        for key in keys:
            self.kept.pop(key, None)


def claim(number: int, name: str = "Nguyễn Mẫu Ân") -> Claim:
    return Claim(f"0199990{number:03d}", None, name, "2012-05-03", "1")


def key(one: Claim) -> ClaimKey:
    return int(one.pupil_code), claim_hash(one)


def person(number: int) -> Person:
    return Person(f"0012109999{number:02d}", "Nguyễn Mẫu Ân", "2012-05-03", "1")


@asynccontextmanager
async def running(registry: FakeRegistry, store: MemoryStore) -> AsyncIterator[Resolver]:
    resolver = Resolver(registry, store, CONFIG)
    task = asyncio.create_task(resolver.run())
    try:
        yield resolver
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def nobody(_lane: int) -> None:
    """Nobody wants to be told."""


async def test_an_answer_is_in_the_ledger_with_its_audit_before_anybody_is_told() -> None:
    store, told = MemoryStore(), list[tuple[int, bool]]()
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]})
    async with running(registry, store) as resolver:
        answered = resolver.ask(key(claim(1)), claim(1), lambda lane: told.append((lane, key(claim(1)) in store.kept)))
        await asyncio.wait_for(answered.wait(), 5)
        known = await resolver.known([key(claim(1))])

    assert told == [(key(claim(1))[0], True)]
    assert known == {key(claim(1)): Confirmed("001210999901")}
    assert [lane for _, _, lane in store.audit] == [key(claim(1))[0]]


async def test_two_hundred_questions_about_one_pupil_cost_one_look_up() -> None:
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]})
    async with running(registry, MemoryStore()) as resolver:
        answers = [resolver.ask(key(claim(1)), claim(1), nobody) for _ in range(200)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)

    assert registry.asked == [[claim(1).pupil_code]]


async def test_a_caller_that_gives_up_cancels_nothing() -> None:
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]}, outages=2)
    async with running(registry, MemoryStore()) as resolver:
        answered = resolver.ask(key(claim(1)), claim(1), nobody)
        with suppress(TimeoutError):
            await asyncio.wait_for(answered.wait(), 0.001)
        await asyncio.wait_for(resolver.ask(key(claim(1)), claim(1), nobody).wait(), 5)

    assert len(registry.asked) == 3


async def test_codes_go_in_batches_of_the_configured_size() -> None:
    registry = FakeRegistry()
    async with running(registry, MemoryStore()) as resolver:
        answers = [resolver.ask(key(claim(n)), claim(n), nobody) for n in range(7)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)

    assert sorted(len(codes) for codes in registry.asked) == [1, 3, 3]


async def test_two_claims_of_one_pupil_are_two_verdicts_of_one_look_up() -> None:
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]})
    right, wrong = claim(1), claim(1, "Lê Mẫu Khác")
    async with running(registry, MemoryStore()) as resolver:
        answers = [resolver.ask(key(one), one, nobody) for one in (right, wrong)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)
        known = resolver.remembered([key(right), key(wrong)])

    assert registry.asked == [[right.pupil_code]]
    assert isinstance(known[key(right)], Confirmed)
    assert not isinstance(known[key(wrong)], Confirmed)


async def test_an_outage_is_asked_through_and_waiting_for_answers_is_pointless_meanwhile() -> None:
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]}, outages=1)
    async with running(registry, MemoryStore()) as resolver:
        answered = resolver.ask(key(claim(1)), claim(1), nobody)
        while not registry.asked:
            await asyncio.sleep(0)
        during = resolver.is_answering
        await asyncio.wait_for(answered.wait(), 5)

        assert (during, resolver.is_answering) == (False, True)


async def test_a_forgotten_verdict_is_asked_again() -> None:
    registry, store = FakeRegistry(), MemoryStore()
    async with running(registry, store) as resolver:
        await asyncio.wait_for(resolver.ask(key(claim(1)), claim(1), nobody).wait(), 5)
        before = await resolver.known([key(claim(1))])
        await resolver.forget([key(claim(1))])

        assert before == {key(claim(1)): NotFound()}
        assert await resolver.known([key(claim(1))]) == {}


async def test_a_negative_verdict_lives_short_and_a_confirmed_one_long() -> None:
    store = MemoryStore()
    async with running(FakeRegistry({claim(1).pupil_code: [person(1)]}), store) as resolver:
        answers = [resolver.ask(key(claim(n)), claim(n), nobody) for n in (1, 2)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)

    confirmed, negative = (store.kept[key(claim(n))].expires_at for n in (1, 2))
    assert confirmed - negative > timedelta(days=300)


async def test_a_code_that_the_registry_dislikes_parks_its_pupil_and_the_others_are_answered() -> None:
    people = {claim(n).pupil_code: [person(n)] for n in range(6)}
    registry, store = FakeRegistry(people, disliked={claim(4).pupil_code}), MemoryStore()
    async with running(registry, store) as resolver:
        answers = [resolver.ask(key(claim(n)), claim(n), nobody) for n in range(6)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)
        known = await resolver.known(key(claim(n)) for n in range(6))

        assert resolver.is_answering
    assert [n for n in range(6) if known[key(claim(n))] == NotFound()] == [4]
    assert [n for n in range(6) if isinstance(known[key(claim(n))], Confirmed)] == [0, 1, 2, 3, 5]
    negative, confirmed = (store.kept[key(claim(n))].expires_at for n in (4, 5))
    assert confirmed - negative > timedelta(days=300)


async def test_a_registry_that_refuses_everything_is_an_outage_and_parks_few() -> None:
    """Codes beyond the cap wait, go behind the others, and are answered once the registry takes anything again."""
    wanted = range(MOST_REFUSED + 5)
    registry = FakeRegistry({claim(n).pupil_code: [person(n)] for n in wanted})
    registry.disliked = {claim(n).pupil_code for n in wanted}
    async with running(registry, MemoryStore()) as resolver:
        answers = [resolver.ask(key(claim(n)), claim(n), nobody) for n in wanted]
        while resolver.is_answering:
            await asyncio.sleep(0)
        parked = sum(answered.is_set() for answered in answers)
        registry.disliked.clear()
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 30)
        known = resolver.remembered(key(claim(n)) for n in wanted)

        assert (parked, resolver.is_answering) == (MOST_REFUSED, True)
    assert sum(isinstance(verdict, Confirmed) for verdict in known.values()) == 5
