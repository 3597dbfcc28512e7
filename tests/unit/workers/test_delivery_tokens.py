"""A token server that hangs leaves no record in doubt: nothing of it was under way."""

import asyncio
from typing import Any

from gateway.edges.exchange import Answered, Reply
from gateway.edges.target_contract import ClientCredentials, ImmediateContract, load_contract
from gateway.edges.target_door import Door as TargetDoor
from gateway.edges.target_door import _Granted
from gateway.edges.targets import HttpImmediate
from gateway.outcomes import Accepted, Ambiguous, BatchAnswer, Send, Unavailable
from gateway.record import Op
from gateway.workers.delivery_limit import Limit
from gateway.workers.delivery_send import NO_TOKEN, Door
from tests.fakes.free_lease import FreeLease
from tests.fakes.simulated_loop import SimulatedLoop
from tests.fakes.simulator import ROOT

SENT = Send("r1", 1, Op.NEW, "k1", b'{"idbanghi":"r1"}')
TAKEN = Answered(200, {}, b'{"results":[{"id_ban_ghi":"r1","phien_ban":1,"result":"ACCEPTED"}]}')
TOKEN = Answered(200, {}, b'{"access_token":"T1","expires_in":60}')
ENDLESS = Answered(200, {}, b'{"access_token":"T1","token_type":"Bearer"}')
EXPIRED = Answered(401, {}, b"")
GRANT = ClientCredentials(path="/token", client_id="id", client_secret="secret")
LOST = BatchAnswer({}, whole=Ambiguous("time-out"))
HANGS = 3600.0


class Scripted:
    """An exchange whose replies are given, each after so many seconds."""

    def __init__(self, *replies: tuple[float, Reply]) -> None:
        self.replies = [*replies]
        self.asked = 0

    async def ask(self, method: str, path: str, **parts: Any) -> Reply:
        self.asked += 1
        takes_s, reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        await asyncio.sleep(takes_s)
        return reply

    async def aclose(self) -> None:
        """Nothing is open."""


class Way:
    """The worker's door to a target behind a token server."""

    def __init__(self, loop: SimulatedLoop, tokens: Scripted, target: Scripted) -> None:
        contract = load_contract(ROOT / "targets/population.yaml", {})
        assert isinstance(contract, ImmediateContract)
        keys = _Granted(tokens, GRANT, {"id": "me", "secret": "s3"}, loop.time)
        self.target = HttpImmediate(contract, TargetDoor(contract, target, keys))
        lease: Any = FreeLease()
        self.door = Door(lease, Limit(4))

    async def send(self) -> BatchAnswer | Unavailable:
        return await self.door.ask(lambda: self.target.send([SENT]), LOST)


def test_a_token_server_that_hangs_is_no_lost_answer(loop: SimulatedLoop) -> None:
    target = Scripted((0.1, TAKEN))
    way = Way(loop, Scripted((HANGS, TOKEN)), target)

    async def story() -> list[BatchAnswer | Unavailable]:
        return await asyncio.gather(*(way.send() for _ in range(4)))

    assert loop.run(story()) == [NO_TOKEN] * 4
    assert target.asked == 0


def test_neither_is_one_that_hangs_when_the_target_wants_a_fresh_token(loop: SimulatedLoop) -> None:
    way = Way(loop, Scripted((0.1, TOKEN), (HANGS, TOKEN)), Scripted((0.1, EXPIRED)))

    assert loop.run(way.send()) == NO_TOKEN


def test_a_target_that_hangs_behind_a_token_is_a_lost_answer(loop: SimulatedLoop) -> None:
    way = Way(loop, Scripted((2.0, TOKEN)), Scripted((HANGS, TAKEN)))

    assert loop.run(way.send()) == LOST


def test_the_next_request_asks_for_a_token_anew(loop: SimulatedLoop) -> None:
    way = Way(loop, Scripted((HANGS, TOKEN), (0.1, TOKEN)), Scripted((0.1, TAKEN)))

    async def story() -> list[BatchAnswer | Unavailable]:
        return [await way.send(), await way.send()]

    assert loop.run(story()) == [NO_TOKEN, BatchAnswer({("r1", 1): Accepted()})]


def test_who_is_cancelled_while_waiting_for_a_token_is_cancelled(loop: SimulatedLoop) -> None:
    way = Way(loop, Scripted((HANGS, TOKEN)), Scripted((0.1, TAKEN)))

    async def story() -> bool:
        task = asyncio.ensure_future(way.send())
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert loop.run(story())


def test_a_token_without_an_end_is_renewed_after_five_minutes(loop: SimulatedLoop) -> None:
    tokens = Scripted((0.1, ENDLESS))
    way = Way(loop, tokens, Scripted((0.1, TAKEN)))

    async def story() -> list[int]:
        asked = []
        for wait_s in (0.0, 280.0, 20.0):
            await asyncio.sleep(wait_s)
            assert await way.send() == BatchAnswer({("r1", 1): Accepted()})
            asked.append(tokens.asked)
        return asked

    assert loop.run(story()) == [1, 1, 2]
