"""A target that recognises no repeated send: it is asked which version it holds before a record in doubt goes again."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.delivery.effects import SendBatch, Sending
from gateway.delivery.events import Answered, Started
from gateway.delivery.values import Entry
from gateway.edges.clock import monotonic_s
from gateway.outcomes import Accepted, Ambiguous, Duplicate, Hold, Stale, Unavailable
from gateway.record import Op
from gateway.workers.delivery_lease import Lease
from gateway.workers.delivery_limit import Limit
from gateway.workers.delivery_records import Shelf, entry_of
from gateway.workers.delivery_send import BatchSender, Door
from tests.fakes.delivery_shell import FakeReader, Line, Shell, made
from tests.fakes.delivery_slot_ledger import FakeSlotLedger, SlotStore, as_ledger
from tests.fakes.targets import FakeImmediate
from tests.unit.delivery.test_delivery_rules import Bench, entry


class Answers:
    """A query with one answer; remembers what it was asked for."""

    def __init__(self, answer: Mapping[str, int] | Unavailable | Hold) -> None:
        self.answer = answer
        self.asked: list[list[str]] = []

    async def held(self, record_ids: Sequence[str]) -> Mapping[str, int] | Unavailable | Hold:
        self.asked.append(list(record_ids))
        return self.answer


def entries(count: int) -> tuple[list[Entry], list[Line]]:
    """Records of *count* pupils."""
    lines = [Line(n, b"", made(n, 1, "UPDATE").value, [*made(n, 1, "UPDATE").headers]) for n in range(count)]
    read = [entry_of(line) for line in lines]
    return [one for one in read if isinstance(one, Entry)], lines


async def sent(query: Answers, again: Sequence[bool]) -> tuple[Answered, FakeImmediate, list[Entry]]:
    """Send a batch, *again* says which of its records are in doubt."""
    listed, lines = entries(len(again))
    target, shelf = FakeImmediate(), Shelf(0)
    lease = Lease(as_ledger(FakeSlotLedger(SlotStore(monotonic_s))), 60.0, 5.0)
    await lease.ledger.raise_epoch()
    await lease.renew()
    for line in lines:
        shelf.keep(line)
    reader: Any = FakeReader(_world(lines), shelf)
    sender = BatchSender("t", target, Door(lease, Limit(2)), reader, query)
    items = [Sending(one, Op.NEW, doubt) for one, doubt in zip(listed, again, strict=True)]
    answered = await sender.send(SendBatch(1, items))
    assert isinstance(answered, Answered)
    return answered, target, listed


def _world(lines: list[Line]) -> Shell:
    shell = Shell.__new__(Shell)
    shell.log = lines
    return shell


async def test_only_records_in_doubt_are_asked_for_and_what_is_there_is_not_sent() -> None:
    listed, _ = entries(3)
    query = Answers({listed[0].record_id: 1})
    answered, target, _ = await sent(query, [True, True, False])

    assert query.asked == [[listed[0].record_id, listed[1].record_id]]
    assert [send.record_id for send in target.seen] == [listed[1].record_id, listed[2].record_id]
    assert [answered.answer.answers[one.record_id, 1] for one in listed] == [Duplicate(), Accepted(), Accepted()]


async def test_a_higher_version_there_makes_the_record_stale() -> None:
    listed, _ = entries(1)
    answered, target, _ = await sent(Answers({listed[0].record_id: 4}), [True])

    assert answered.answer.answers == {(listed[0].record_id, 1): Stale()}
    assert target.seen == []


async def test_without_an_answer_nothing_is_sent() -> None:
    answered, target, _ = await sent(Answers(Unavailable(3.0, "503")), [True, False])

    assert answered.answer.whole == Unavailable(3.0, "503")
    assert target.seen == []


async def test_nobody_is_asked_when_nothing_is_in_doubt() -> None:
    query = Answers({})
    _, target, _ = await sent(query, [False])

    assert query.asked == []
    assert len(target.seen) == 1


def test_a_record_in_doubt_waits_until_an_answer_proves_something() -> None:
    bench = Bench(ask_after_s=30.0)
    bench.receive(entry(0, "a1"))
    bench.answer({"a1": Ambiguous("missing")})
    bench.wake()

    assert bench.now == 30.0
    assert [item.again for batch in bench.open_batches() for item in batch.items] == [True]


def test_what_a_dead_owner_may_have_sent_waits_as_long() -> None:
    bench = Bench(Started(horizon=10), ask_after_s=30.0)
    bench.receive(entry(0, "a1"))
    assert bench.sent() == []
    bench.wake()

    assert bench.now == 30.0
    assert len(bench.sent()) == 1
