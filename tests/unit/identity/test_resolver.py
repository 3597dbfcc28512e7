"""The resolver beside the stream: batches, single flight, the chain, outages, lifetimes, and who is told."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from gateway.config import Config, Connectors, Identity, Kafka, Ledger, PopulationLink, Registry
from gateway.edges import clock
from gateway.edges.identity_link import RefusedLookup
from gateway.edges.identity_verdicts import ASKED, Answer, Audit, Done
from gateway.identity.cache import Kept
from gateway.identity.chain import Finding
from gateway.identity.plan import ClaimKey
from gateway.identity.queue import Origin
from gateway.identity.verdicts import Claim, Confirmed, Mismatch, NotFound, Unconfirmed, claim_hash
from gateway.outcomes import Unavailable
from gateway.workers.identity_line import MOST_REFUSED
from gateway.workers.identity_resolver import Resolver
from tests.fakes.identity import FakePopulation, FakeRegistry, Person

POPULATION = PopulationLink(
    url="unused", credentials_file="unused", procedure_code="p", officer_code="o", rate_per_s=10_000
)
CONFIG = Config(
    slots=4,
    kafka=Kafka(bootstrap_servers="unused"),
    ledger=Ledger(url="unused"),
    keys_file="unused",
    state_dir="unused",
    registry=Registry(url="unused", credentials_file="unused", rate_per_s=10_000),
    identity=Identity(links={"population": POPULATION}),
    targets={},
    connectors=Connectors(),
)
ANYBODY = Origin()


class MemoryStore:
    """Verdicts in a dict, with the audit beside them."""

    def __init__(self) -> None:
        self.kept: dict[ClaimKey, Kept] = {}
        self.audit: list[Audit] = []
        self.leaving: list[Audit] = []
        self.purged: list[datetime] = []

    async def known(self, keys: Sequence[ClaimKey], since: datetime) -> dict[ClaimKey, Kept]:
        return {key: self.kept[key] for key in keys if key in self.kept and self.kept[key].expires_at > since}

    async def asking(self, audits: Sequence[Audit], now: datetime) -> None:
        self.leaving += audits

    async def store(self, answers: Sequence[Answer], audits: Sequence[Audit], done: Done) -> None:
        self.kept |= {answer.key: answer.kept for answer in answers}
        answered = {*(audit.request_id for audit in audits), *done.not_sent}
        self.leaving = [audit for audit in self.leaving if audit.request_id not in answered]
        self.audit += audits

    async def forget(self, keys: Sequence[ClaimKey]) -> None:
        for key in keys:
            self.kept.pop(key, None)

    async def purge(self, before: datetime) -> int:
        self.purged.append(before)
        return 0


class AuditedRegistry(FakeRegistry):
    """Notes what the audit says of a request at the moment it arrives."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._store = store
        self.written: list[tuple[int, str]] = []

    async def ask(
        self, questions: Sequence[Claim], request_id: uuid.UUID
    ) -> Sequence[Finding] | Unavailable | RefusedLookup:
        self.written += [(one.lane, one.verdict) for one in self._store.leaving if one.request_id == request_id]
        return await FakeRegistry.ask(self, questions, request_id)


def claim(number: int, name: str = "Nguyễn Mẫu Ân") -> Claim:
    return Claim(f"0199990{number:03d}", None, name, "2012-05-03", "1")


def key(one: Claim) -> ClaimKey:
    return int(one.pupil_code), claim_hash(one, b"k" * 32)


def person(number: int) -> Person:
    return Person(f"0012109999{number:02d}", "Nguyễn Mẫu Ân", "2012-05-03", "1")


@asynccontextmanager
async def running(
    registry: FakeRegistry, store: MemoryStore, population: FakePopulation | None = None, config: Config = CONFIG
) -> AsyncIterator[Resolver]:
    resolver = Resolver(registry, population, store, config)
    task = asyncio.create_task(resolver.run())
    try:
        yield resolver
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def nobody(_lane: int) -> None:
    """Nobody wants to be told."""


async def verdict_of(resolver: Resolver, one: Claim) -> object:
    await asyncio.wait_for(resolver.ask(key(one), one, nobody, ANYBODY).wait(), 5)
    return (await resolver.known([key(one)]))[key(one)]


async def test_an_answer_is_in_the_ledger_with_its_audit_before_anybody_is_told() -> None:
    store, told = MemoryStore(), list[tuple[int, bool]]()
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]})
    async with running(registry, store) as resolver:
        answered = resolver.ask(
            key(claim(1)), claim(1), lambda lane: told.append((lane, key(claim(1)) in store.kept)), ANYBODY
        )
        await asyncio.wait_for(answered.wait(), 5)
        known = await resolver.known([key(claim(1))])

    assert told == [(key(claim(1))[0], True)]
    assert known == {key(claim(1)): Confirmed("001210999901")}
    assert [(audit.lane, audit.duty, audit.verdict) for audit in store.audit] == [
        (key(claim(1))[0], registry.duty, "confirmed")
    ]


async def test_two_hundred_questions_about_one_pupil_cost_one_look_up() -> None:
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]})
    async with running(registry, MemoryStore()) as resolver:
        answers = [resolver.ask(key(claim(1)), claim(1), nobody, ANYBODY) for _ in range(200)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)

    assert registry.asked == [[claim(1).pupil_code]]


async def test_the_first_caller_gives_up_and_two_hundred_others_are_answered_by_its_look_up() -> None:
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]}, outages=2)
    async with running(registry, MemoryStore()) as resolver:
        first = asyncio.create_task(resolver.ask(key(claim(1)), claim(1), nobody, ANYBODY).wait())
        while not registry.asked:
            await asyncio.sleep(0)
        others = [
            asyncio.create_task(resolver.ask(key(claim(1)), claim(1), nobody, ANYBODY).wait()) for _ in range(200)
        ]
        first.cancel()
        await asyncio.wait_for(asyncio.gather(*others), 5)

    assert first.cancelled()
    assert len(registry.asked) == 3  # two outages and one answer


async def test_two_hundred_records_of_one_pupil_cost_one_look_up_at_each_link() -> None:
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]})
    population = FakePopulation({person(1).citizen_id or "": person(1)})
    spellings = [claim(1), replace(claim(1), full_name="NGUYỄN MẪU ÂN"), replace(claim(1), birth="2012")]
    async with running(registry, MemoryStore(), population) as resolver:
        answers = [resolver.ask(key(spellings[n % 3]), spellings[n % 3], nobody, ANYBODY) for n in range(200)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)

    assert (registry.asked, population.asked) == ([[claim(1).pupil_code]], [person(1).citizen_id])


async def test_codes_go_in_batches_of_the_configured_size() -> None:
    registry = FakeRegistry(most=3)
    async with running(registry, MemoryStore()) as resolver:
        answers = [resolver.ask(key(claim(n)), claim(n), nobody, ANYBODY) for n in range(7)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)

    assert sorted(len(codes) for codes in registry.asked) == [1, 3, 3]


async def test_two_claims_of_one_pupil_are_two_verdicts_of_one_look_up() -> None:
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]})
    right, wrong = claim(1), claim(1, "Lê Mẫu Khác")
    async with running(registry, MemoryStore()) as resolver:
        answers = [resolver.ask(key(one), one, nobody, ANYBODY) for one in (right, wrong)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)
        known = resolver.remembered([key(right), key(wrong)])

    assert registry.asked == [[right.pupil_code]]
    assert isinstance(known[key(right)], Confirmed)
    assert not isinstance(known[key(wrong)], Confirmed)


async def test_an_outage_is_asked_through_and_waiting_for_answers_is_pointless_meanwhile() -> None:
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]}, outages=1)
    async with running(registry, MemoryStore()) as resolver:
        answered = resolver.ask(key(claim(1)), claim(1), nobody, ANYBODY)
        while not registry.asked:
            await asyncio.sleep(0)
        during = resolver.is_answering
        await asyncio.wait_for(answered.wait(), 5)

        assert (during, resolver.is_answering) == (False, True)


async def test_a_forgotten_verdict_is_asked_again() -> None:
    registry, store = FakeRegistry(), MemoryStore()
    async with running(registry, store) as resolver:
        await asyncio.wait_for(resolver.ask(key(claim(1)), claim(1), nobody, ANYBODY).wait(), 5)
        before = await resolver.known([key(claim(1))])
        await resolver.forget([key(claim(1))])

        assert before == {key(claim(1)): NotFound()}
        assert await resolver.known([key(claim(1))]) == {}


async def test_a_negative_verdict_lives_short_and_a_confirmed_one_long() -> None:
    store = MemoryStore()
    async with running(FakeRegistry({claim(1).pupil_code: [person(1)]}), store) as resolver:
        answers = [resolver.ask(key(claim(n)), claim(n), nobody, ANYBODY) for n in (1, 2)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)

    confirmed, negative = (store.kept[key(claim(n))].expires_at for n in (1, 2))
    assert confirmed - negative > timedelta(days=300)


async def test_a_code_that_the_registry_dislikes_parks_its_pupil_and_the_others_are_answered() -> None:
    people = {claim(n).pupil_code: [person(n)] for n in range(6)}
    registry, store = FakeRegistry(people, disliked={claim(4).pupil_code}, most=3), MemoryStore()
    async with running(registry, store) as resolver:
        answers = [resolver.ask(key(claim(n)), claim(n), nobody, ANYBODY) for n in range(6)]
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
    registry = FakeRegistry({claim(n).pupil_code: [person(n)] for n in wanted}, most=3)
    registry.disliked = {claim(n).pupil_code for n in wanted}
    async with running(registry, MemoryStore()) as resolver:
        answers = [resolver.ask(key(claim(n)), claim(n), nobody, ANYBODY) for n in wanted]
        while resolver.is_answering:
            await asyncio.sleep(0)
        while sum(answered.is_set() for answered in answers) < MOST_REFUSED:
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        parked = sum(answered.is_set() for answered in answers)
        registry.disliked.clear()
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 30)
        known = resolver.remembered(key(claim(n)) for n in wanted)

        assert (parked, resolver.is_answering) == (MOST_REFUSED, True)
    assert sum(isinstance(verdict, Confirmed) for verdict in known.values()) == 5


# --- the chain --------------------------------------------------------------------------------------------------------


async def test_a_registered_pupil_whom_the_population_database_does_not_know_goes_to_people() -> None:
    store = MemoryStore()
    registry, population = FakeRegistry({claim(1).pupil_code: [person(1)]}), FakePopulation()
    async with running(registry, store, population) as resolver:
        found = await verdict_of(resolver, claim(1))

    assert found == Unconfirmed()
    assert [(audit.duty.endpoint, audit.verdict) for audit in store.audit] == [
        ("registry", "confirmed"),
        ("population:fake", "unconfirmed"),
    ]


async def test_a_claimed_id_is_confirmed_directly_when_the_registry_is_silent() -> None:
    one = replace(claim(1), citizen_id=person(1).citizen_id)
    population = FakePopulation({person(1).citizen_id or "": person(1)})
    async with running(FakeRegistry(), MemoryStore(), population) as resolver:
        assert await verdict_of(resolver, one) == Confirmed(person(1).citizen_id or "")


async def test_what_only_people_can_decide_is_not_asked_of_the_population_database() -> None:
    wrong = claim(1, "Lê Mẫu Khác")
    registry, population = FakeRegistry({claim(1).pupil_code: [person(1)]}), FakePopulation()
    async with running(registry, MemoryStore(), population) as resolver:
        assert isinstance(await verdict_of(resolver, wrong), Mismatch)
        assert await verdict_of(resolver, claim(2)) == NotFound()

    assert population.asked == []


async def test_an_outage_of_the_population_database_holds_and_is_audited_as_unanswered() -> None:
    store = MemoryStore()
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]})
    population = FakePopulation({person(1).citizen_id or "": person(1)}, down=True)
    async with running(registry, store, population) as resolver:
        answered = resolver.ask(key(claim(1)), claim(1), nobody, ANYBODY)
        while resolver.is_answering:
            await asyncio.sleep(0)
        while len(store.audit) < 2:
            await asyncio.sleep(0)
        assert (key(claim(1)) in store.kept, answered.is_set()) == (False, False)
        population.down = False
        await asyncio.wait_for(answered.wait(), 5)

    assert [audit.verdict for audit in store.audit][:2] == ["confirmed", "unanswered"]
    assert store.audit[-1].verdict == "confirmed"


async def test_nothing_leaves_before_its_audit_is_written_and_the_answer_takes_its_place() -> None:
    store = MemoryStore()
    registry, population = AuditedRegistry(store), FakePopulation({person(1).citizen_id or "": person(1)})
    registry.people = {claim(1).pupil_code: [person(1)]}
    async with running(registry, store, population) as resolver:
        await verdict_of(resolver, claim(1))

    assert registry.written == [(key(claim(1))[0], ASKED)]
    assert store.leaving == []
    assert [audit.duty.endpoint for audit in store.audit] == ["registry", "population:fake"]


async def test_a_batch_that_is_refused_and_halved_is_audited_as_often_as_it_left() -> None:
    people = {claim(n).pupil_code: [person(n)] for n in range(3)}
    registry, store = FakeRegistry(people, disliked={claim(1).pupil_code}, most=3), MemoryStore()
    async with running(registry, store) as resolver:
        answers = [resolver.ask(key(claim(n)), claim(n), nobody, ANYBODY) for n in range(3)]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 5)

    requests = {audit.request_id for audit in store.audit}
    assert len(requests) == len(registry.asked)
    assert Counter(audit.verdict for audit in store.audit) == {"refused": 5, "confirmed": 2, "not_found": 1}
    assert store.leaving == []


async def test_a_request_that_never_left_is_no_look_up() -> None:
    store = MemoryStore()
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]}, outages=2, reason="dns")
    async with running(registry, store) as resolver:
        await verdict_of(resolver, claim(1))

    assert [audit.verdict for audit in store.audit] == ["confirmed"]
    assert store.leaving == []


# --- lifetimes --------------------------------------------------------------------------------------------------------


def kept_until(store: MemoryStore, one: Claim, ends: timedelta) -> None:
    store.kept[key(one)] = Kept(Confirmed("001210999901"), clock.now() + ends)


async def test_an_expired_answer_is_served_and_flagged_only_while_the_registry_is_down() -> None:
    store, told = MemoryStore(), list[int]()
    registry = FakeRegistry({claim(1).pupil_code: [person(1)]}, down=True)
    kept_until(store, claim(1), timedelta(days=-1))
    async with running(registry, store) as resolver:
        before = await resolver.known([key(claim(1))])
        resolver.ask(key(claim(1)), claim(1), told.append, ANYBODY)
        while resolver.is_answering:
            await asyncio.sleep(0)
        during = await resolver.known([key(claim(1))])
        told_during = list(told)
        registry.down = False
        await asyncio.wait_for(resolver.ask(key(claim(1)), claim(1), nobody, ANYBODY).wait(), 5)
        after = await resolver.known([key(claim(1))])

    assert before == {}
    assert during == {key(claim(1)): Confirmed("001210999901", stale=True)}
    assert told_during == [key(claim(1))[0]]  # who waits is told, and goes on with the stale answer
    assert after == {key(claim(1)): Confirmed("001210999901")}
    assert store.kept[key(claim(1))].expires_at > clock.now() + timedelta(days=300)


async def test_an_answer_beyond_its_grace_is_not_served() -> None:
    store, registry = MemoryStore(), FakeRegistry(down=True)
    kept_until(store, claim(1), timedelta(days=-31))
    async with running(registry, store) as resolver:
        resolver.ask(key(claim(2)), claim(2), nobody, ANYBODY)
        while resolver.is_answering:
            await asyncio.sleep(0)

        assert await resolver.known([key(claim(1))]) == {}


async def test_a_confirmed_answer_near_its_end_is_due_and_stays_believed_meanwhile() -> None:
    store = MemoryStore()
    for number, days in ((1, 200), (2, 14), (3, -1)):
        kept_until(store, claim(number), timedelta(days=days))
    keys = [key(claim(number)) for number in (1, 2, 3)]
    async with running(FakeRegistry(), store) as resolver:
        known = await resolver.known(keys)

        assert set(known) == {keys[0], keys[1]}
        assert resolver.due(known) == [keys[1]]


async def test_what_is_beyond_every_grace_is_purged_at_the_start() -> None:
    store = MemoryStore()
    async with running(FakeRegistry(), store):
        while not store.purged:
            await asyncio.sleep(0)

    assert clock.now() - store.purged[0] >= timedelta(days=30)


async def test_the_stream_need_not_wait_for_look_ups_that_cannot_be_answered_in_time() -> None:
    slow = msgspec.structs.replace(
        CONFIG, registry=msgspec.structs.replace(CONFIG.registry, rate_per_s=10, counts="codes")
    )
    async with running(FakeRegistry(most=5), MemoryStore(), config=slow) as resolver:
        at_rest = resolver.answers_within(0.15)
        for n in range(10):
            resolver.ask(key(claim(n)), claim(n), nobody, ANYBODY)

        assert at_rest
        assert not resolver.answers_within(0.15)
        assert resolver.answers_within(2.0)


# --- order ------------------------------------------------------------------------------------------------------------


async def test_a_pressing_deadline_goes_first_and_vendors_take_turns() -> None:
    slow = msgspec.structs.replace(CONFIG, registry=msgspec.structs.replace(CONFIG.registry, rate_per_s=200))
    registry = FakeRegistry(most=1)
    async with running(registry, MemoryStore(), config=slow) as resolver:
        answers = [
            resolver.ask(key(claim(n)), claim(n), nobody, Origin(vendor, first))
            for n, (vendor, first) in enumerate([*[("a", False)] * 12, *[("b", False)] * 2, ("a", True), ("c", True)])
        ]
        await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in answers)), 10)

    order = [int(codes[0][-3:]) for codes in registry.asked]
    assert order.index(14) < 7
    assert order.index(15) < 7
    assert max(order.index(12), order.index(13)) < 12
