"""Why a target is held is said once, and stands in the slot's row as long as it lasts."""

import asyncio
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from structlog.testing import capture_logs

from gateway.delivery.effects import Write
from gateway.delivery.events import Answered, Polled, Submitted, Uploaded
from gateway.edges.delivery_ledger import Flush
from gateway.errors import catalogue
from gateway.outcomes import (
    CODE_OF_HOLD,
    Accepted,
    Ambiguous,
    BatchAnswer,
    Hold,
    HoldReason,
    Landed,
    RefusedWhole,
    TooLarge,
    Unavailable,
    Verdicts,
    Whole,
)
from gateway.workers import delivery_held
from gateway.workers.delivery_heard import Heard
from gateway.workers.delivery_held import Held
from tests.fakes.delivery_shell import Shell
from tests.fakes.delivery_slot_ledger import FakeSlotLedger, SlotStore, as_ledger
from tests.fakes.simulated_loop import SimulatedLoop

RECORD = ("r1", 1)
TAKEN = Answered(1, BatchAnswer({RECORD: Accepted()}))


@pytest.fixture
def loop() -> Iterator[SimulatedLoop]:
    made = SimulatedLoop()
    yield made
    made.end()


def whole(said: Whole) -> Answered:
    return Answered(1, BatchAnswer({}, whole=said))


def told(*events: Heard) -> list[tuple[str, str]]:
    """The level and the reason (or the text) of each line that is logged when *events* are heard."""
    held = Held(as_ledger(FakeSlotLedger(SlotStore(lambda: 0.0))), "sector", 3)
    with capture_logs() as lines:
        for event in events:
            held.hear(event)
    assert all((line["target"], line["slot"]) == ("sector", 3) for line in lines)
    return [(line["log_level"], line.get("reason", line["event"])) for line in lines]


def test_each_reason_of_a_hold_has_a_code_that_the_catalogue_explains() -> None:
    assert CODE_OF_HOLD.keys() == set(get_args(HoldReason))
    assert sorted(CODE_OF_HOLD.values()) == ["TG-08", "TG-09", "TG-10", "TG-11", "TG-12", "TG-13"]
    assert {catalogue()[code].owner for code in CODE_OF_HOLD.values()} == {"operator", "target"}


@pytest.mark.parametrize(
    ("held", "over"),
    [
        (whole(Hold("auth")), TAKEN),
        (Uploaded("p", {RECORD: Hold("auth")}), Uploaded("p", {RECORD: Landed()})),
        (Submitted("p", Hold("auth")), Submitted("p", Landed())),
        (Polled("p", Hold("auth")), Polled("p", Verdicts({}))),
    ],
)
def test_a_hold_is_said_once_when_it_begins_and_once_when_it_is_over(held: Heard, over: Heard) -> None:
    said = told(held, held, held, over, over)

    assert said == [("warning", "auth"), ("info", "target no longer held")]


def test_another_reason_is_said_too() -> None:
    assert told(whole(Hold("dns")), whole(Hold("tls"))) == [("warning", "dns"), ("warning", "tls")]


@pytest.mark.parametrize(
    "silence", [Unavailable(None, "token"), Unavailable(None, "not sent"), Ambiguous("time-out"), TooLarge()]
)
def test_what_the_target_did_not_say_ends_no_hold(silence: Whole) -> None:
    assert told(whole(Hold("tls")), whole(silence), Answered(1, BatchAnswer({}))) == [("warning", "tls")]


@pytest.mark.parametrize("word", [RefusedWhole("HTTP-400"), Unavailable(None, "503"), Ambiguous("500")])
def test_a_target_that_speaks_is_held_no_more(word: Whole) -> None:
    assert told(whole(Hold("tls")), whole(word))[1:] == [("info", "target no longer held")]


def test_a_portal_that_answers_polls_may_still_deny_uploads() -> None:
    denied, polled = Uploaded("p", {RECORD: Hold("denied")}), Polled("q", Verdicts({}))

    assert told(denied, polled, denied, polled) == [("warning", "denied")]


class Row:
    """A slot's row, and the one who writes into it what holds the target."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.store = SlotStore(loop.time)
        self.ledger = FakeSlotLedger(self.store)
        self.held = Held(as_ledger(self.ledger), "sector", 0)
        loop.run(self.ledger.raise_epoch())
        self.task = loop.create_task(self.held.keep())

    async def after(self, seconds: float, *events: Heard) -> str:
        for event in events:
            self.held.hear(event)
        await asyncio.sleep(seconds)
        return self.store.core.alarm

    async def alarm(self, code: str) -> None:
        """As the machine writes it."""
        await self.ledger.write(Flush([Write(id(code), alarm=code)]))


def test_the_slots_row_says_what_holds_the_target_as_long_as_it_lasts(loop: SimulatedLoop) -> None:
    row = Row(loop)

    async def story() -> list[str]:
        held = [await row.after(0.1, whole(Hold("auth"))), await row.after(0.1, whole(Hold("dns")))]
        return [*held, await row.after(0.1, TAKEN)]

    assert loop.run(story()) == ["TG-08", "TG-11", ""]


def test_a_target_that_refuses_everything_stays_in_the_row_and_what_holds_it_comes_after(loop: SimulatedLoop) -> None:
    row = Row(loop)

    async def story() -> list[str]:
        await row.alarm("TG-07")
        both = await row.after(0.1, whole(Hold("auth")))
        await row.alarm("")
        return [both, await row.after(delivery_held.AGAIN_S)]

    assert loop.run(story()) == ["TG-07", "TG-08"]


def test_a_slot_tells_what_holds_its_target(loop: SimulatedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(loop, 1)
    expired = True

    async def judge(batch: Any) -> BatchAnswer:
        said = {(send.record_id, send.version): Accepted() for send in batch}
        return BatchAnswer({}, whole=Hold("auth")) if expired else BatchAnswer(said)

    async def assign() -> None:
        shell.assign()

    monkeypatch.setattr(shell, "judge", judge)
    loop.run(assign())
    shell.publish(1)
    with capture_logs() as lines:
        shell.pass_time(20.0)
        held = shell.store.core.alarm
        expired = False
        shell.pass_time(20.0)

    assert (held, shell.store.core.alarm) == ("TG-08", "")
    said = [(line["event"], line.get("reason")) for line in lines if "held" in line["event"]]
    assert said == [("target held", "auth"), ("target no longer held", None)]
