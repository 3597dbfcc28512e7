"""What every target must do for delivery: asked of the fake in memory and of the real simulator over HTTP alike."""

import asyncio
import hashlib
import uuid
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import msgspec
import pytest

from gateway.edges.target_contract import ImmediateContract, PacketContract, Query, load_contract
from gateway.edges.target_door import FAST_RECORDS
from gateway.edges.targets import HttpImmediate, encode_packet, open_immediate, open_packets
from gateway.outcomes import (
    Accepted,
    AlreadyThere,
    Ambiguous,
    Duplicate,
    Hold,
    ImmediateTarget,
    Landed,
    NotFound,
    Outcome,
    PacketTarget,
    Pending,
    PollAnswer,
    Receipt,
    Refused,
    Send,
    Stale,
    TooLarge,
    Unavailable,
    Verdicts,
    VersionQuery,
)
from gateway.record import Op
from tests.fakes.simulator import ROOT, Simulator
from tests.fakes.targets import FakeImmediate, FakePackets, Forget, Lose

REFUSED_IDENTITY = Refused("MAU-L01", "identity")


def population_contract() -> ImmediateContract:
    contract = load_contract(ROOT / "targets/population.yaml", {})
    assert isinstance(contract, ImmediateContract)
    return contract


def sector_contract() -> PacketContract:
    contract = load_contract(ROOT / "targets/sector.yaml", {})
    assert isinstance(contract, PacketContract)
    return contract


def send(name: str, version: int = 1, *, op: Op = Op.NEW, key: str = "") -> Send:
    event = {Op.UPDATE: "UPdate"}.get(op, str(op))
    payload = {"hovaten": "Nguyễn Mẫu An", "idbanghi": name, "phienban": version, "sukien": event}
    return Send(name, version, op, key or f"k-{name}-{version}", msgspec.json.encode(payload))


class ImmediateRig(Protocol):
    """A target with the means to bring about each situation of the contract."""

    target: ImmediateTarget
    query: VersionQuery

    def refuse(self, name: str) -> None: ...
    def forget_one(self, name: str) -> None: ...
    def slow_down(self) -> None: ...
    def go_down(self) -> None: ...
    def lose_answer(self) -> None: ...
    def recover(self) -> None: ...


class FakeImmediateRig:
    def __init__(self) -> None:
        self._fake = FakeImmediate()
        self.target: ImmediateTarget = self._fake
        self.query: VersionQuery = self._fake

    def refuse(self, name: str) -> None:
        self._fake.script[name] = deque([REFUSED_IDENTITY] * 9)

    def forget_one(self, name: str) -> None:
        self._fake.script[name] = deque([Forget()])

    def slow_down(self) -> None:
        self._fake.whole.append(Unavailable(7.0, "429"))

    def go_down(self) -> None:
        self._fake.whole.append(Unavailable(None, "503"))

    def lose_answer(self) -> None:
        self._fake.whole.append(Lose())

    def recover(self) -> None:
        self._fake.script.clear()


class SimulatedImmediateRig:
    def __init__(self, simulator: Simulator, target: HttpImmediate) -> None:
        self.target: ImmediateTarget = target
        self.query: VersionQuery = target
        self._simulator = simulator

    def refuse(self, name: str) -> None:
        self._simulator.faults(refuse_records=[name], refuse_codes=["MAU-L01"])

    def forget_one(self, name: str) -> None:
        del name
        self._simulator.faults(p_missing=1)

    def slow_down(self) -> None:
        self._simulator.faults(p429=1, retry_after_s=7)

    def go_down(self) -> None:
        self._simulator.faults(down=True)

    def lose_answer(self) -> None:
        self._simulator.faults(p_drop_after=1)

    def recover(self) -> None:
        self._simulator.faults()


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator("population", tmp_path_factory.mktemp("population"))
    yield simulator
    simulator.stop()


@pytest.fixture(params=["fake", "simulator", "simulator, small batches"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[ImmediateRig]:
    if request.param == "fake":
        yield FakeImmediateRig()
        return
    simulator: Simulator = request.getfixturevalue("population")
    simulator.faults()
    query = Query(path="/api/v1/records:query", ids="ids", settle_s=1.0)
    contract = msgspec.structs.replace(population_contract(), query=query)
    if request.param != "simulator":  # goes by the exchange for many small requests
        contract = msgspec.structs.replace(
            contract, batch=msgspec.structs.replace(contract.batch, records=FAST_RECORDS)
        )
    target = open_immediate(contract, simulator.url, simulator.credentials)
    yield SimulatedImmediateRig(simulator, target)
    await target.aclose()


@pytest.fixture
def name() -> str:
    return str(uuid.uuid4())


async def only(target: ImmediateTarget, sent: Send) -> Outcome:
    answer = await target.send([sent])
    assert answer.whole is None
    return answer.answers[sent.record_id, sent.version]


async def test_each_record_of_a_batch_is_answered_by_its_own_id(rig: ImmediateRig) -> None:
    batch = [send(str(uuid.uuid4())) for _ in range(20)]
    rig.refuse(batch[17].record_id)

    answer = await rig.target.send(batch)

    assert [answer.answers[s.record_id, 1] for s in batch] == [Accepted()] * 17 + [REFUSED_IDENTITY] + [Accepted()] * 2


async def test_the_same_key_again_is_a_duplicate(rig: ImmediateRig, name: str) -> None:
    assert await only(rig.target, send(name)) == Accepted()

    assert await only(rig.target, send(name)) == Duplicate()


async def test_the_same_version_under_another_key_is_a_duplicate(rig: ImmediateRig, name: str) -> None:
    await only(rig.target, send(name))

    assert await only(rig.target, send(name, key="another-" + name)) == Duplicate()


async def test_a_lower_version_is_stale_even_after_a_cancel(rig: ImmediateRig, name: str) -> None:
    assert await only(rig.target, send(name, 3)) == Accepted()
    assert await only(rig.target, send(name, 5, op=Op.CANCEL)) == Accepted()

    assert await only(rig.target, send(name, 4, op=Op.UPDATE)) == Stale()


async def test_a_refused_version_is_refused_again_and_accepted_once_the_cause_is_gone(
    rig: ImmediateRig, name: str
) -> None:
    rig.refuse(name)
    assert await only(rig.target, send(name)) == REFUSED_IDENTITY
    assert await only(rig.target, send(name)) == REFUSED_IDENTITY
    rig.recover()

    assert await only(rig.target, send(name)) == Accepted()


async def test_a_record_missing_from_the_answer_is_ambiguous_and_settled_by_its_key(
    rig: ImmediateRig, name: str
) -> None:
    rig.forget_one(name)
    assert await only(rig.target, send(name)) == Ambiguous("missing")
    rig.recover()

    assert await only(rig.target, send(name)) == Duplicate()


async def test_a_target_says_which_version_of_a_record_it_holds(rig: ImmediateRig, name: str) -> None:
    await only(rig.target, send(name, 3))
    other = str(uuid.uuid4())

    assert await rig.query.held([name, other]) == {name: 3}


async def test_too_many_records_are_too_large_as_a_whole(rig: ImmediateRig) -> None:
    answer = await rig.target.send([send(str(uuid.uuid4())) for _ in range(501)])

    assert answer.whole == TooLarge()
    assert not answer.answers


async def test_too_many_requests_ask_for_a_pause(rig: ImmediateRig, name: str) -> None:
    rig.slow_down()

    answer = await rig.target.send([send(name)])

    assert answer.whole == Unavailable(7.0, "429")
    assert answer.slow_down_s == 7.0


async def test_a_target_that_is_down_has_taken_nothing(rig: ImmediateRig, name: str) -> None:
    rig.go_down()
    assert (await rig.target.send([send(name)])).whole == Unavailable(None, "503")
    rig.recover()

    assert await only(rig.target, send(name)) == Accepted()


async def test_a_lost_answer_is_ambiguous_and_then_a_duplicate_under_the_same_key(rig: ImmediateRig, name: str) -> None:
    rig.lose_answer()
    assert (await rig.target.send([send(name)])).whole == Ambiguous("connection")
    rig.recover()

    assert await only(rig.target, send(name)) == Duplicate()


# --- packets ----------------------------------------------------------------------------------------------------------


class PacketRig(Protocol):
    """A packet target with the means to bring about each situation of the contract."""

    target: PacketTarget

    def refuse(self, name: str) -> None: ...
    def slow_down(self) -> None: ...
    def lose_answer(self) -> None: ...
    def recover(self) -> None: ...


class FakePacketRig:
    def __init__(self) -> None:
        self._fake = FakePackets(late=1)
        self.target: PacketTarget = self._fake

    def refuse(self, name: str) -> None:
        self._fake.script[name] = deque([REFUSED_IDENTITY])

    def slow_down(self) -> None:
        self._fake.whole.append(Unavailable(7.0, "429"))

    def lose_answer(self) -> None:
        self._fake.whole.append(Lose())

    def recover(self) -> None:
        self._fake.script.clear()


class SimulatedPacketRig:
    def __init__(self, simulator: Simulator, target: PacketTarget) -> None:
        self.target = target
        self._simulator = simulator

    def refuse(self, name: str) -> None:
        self._simulator.faults(refuse_records=[name], refuse_codes=["MAU-L01"])

    def slow_down(self) -> None:
        self._simulator.faults(p429=1, retry_after_s=7)

    def lose_answer(self) -> None:
        self._simulator.faults(p_drop_after=1)

    def recover(self) -> None:
        self._simulator.faults()


@pytest.fixture(scope="module")
def sector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    options = {"result_delay_s": 0.3, "index_delay_s": 0.1}
    simulator = Simulator("sector", tmp_path_factory.mktemp("sector"), options=options)
    yield simulator
    simulator.stop()


@pytest.fixture(params=["fake", "simulator"])
async def portal(request: pytest.FixtureRequest) -> AsyncIterator[PacketRig]:
    if request.param == "fake":
        yield FakePacketRig()
        return
    simulator: Simulator = request.getfixturevalue("sector")
    simulator.faults()
    target = open_packets(sector_contract(), simulator.url, simulator.credentials)
    assert isinstance(await target.results(str(uuid.uuid4())), NotFound)  # so the token is there before faults begin
    yield SimulatedPacketRig(simulator, target)
    await target.aclose()


def item(name: str, version: int = 1) -> dict[str, object]:
    return {
        "id_ban_ghi": name,
        "phien_ban": version,
        "nguoi_hoc": {"ma_hoc_sinh": "4899990201", "so_cccd": "048209999921"},
    }


async def submit(rig: PacketRig, key: str, items: list[dict[str, object]], op: Op = Op.NEW) -> Receipt:
    contract = sector_contract()
    return await rig.target.submit(key, contract.wire.purposes.word(op), encode_packet(contract, op, items, None))


async def settled(rig: PacketRig, key: str) -> list[PollAnswer]:
    """All different answers until the verdicts, in order."""
    heard: list[PollAnswer] = []
    async with asyncio.timeout(10):
        while not (heard and isinstance(heard[-1], Verdicts)):
            answer = await rig.target.results(key)
            if not heard or heard[-1] != answer:
                heard.append(answer)
            await asyncio.sleep(0.02)
    return heard


async def verdict(rig: PacketRig, items: list[dict[str, object]], op: Op = Op.NEW) -> list[Outcome | Pending]:
    key = str(uuid.uuid4())
    assert await submit(rig, key, items, op) == Landed()
    last = (await settled(rig, key))[-1]
    assert isinstance(last, Verdicts)
    return [last.answers[str(i["id_ban_ghi"]), int(str(i["phien_ban"]))] for i in items]


async def test_a_packet_is_not_found_then_pending_then_answered_by_record(portal: PacketRig, name: str) -> None:
    key, other = str(uuid.uuid4()), str(uuid.uuid4())
    portal.refuse(other)
    assert await submit(portal, key, [item(name), item(other)]) == Landed()

    heard = await settled(portal, key)

    assert [type(answer) for answer in heard if answer != Pending("01")] == [NotFound, Pending, Verdicts]
    assert heard[-1] == Verdicts({(name, 1): Accepted(), (other, 1): REFUSED_IDENTITY})


async def test_a_packet_key_is_taken_once(portal: PacketRig, name: str) -> None:
    key = str(uuid.uuid4())
    assert await submit(portal, key, [item(name)]) == Landed()

    assert await submit(portal, key, [item(name)]) == AlreadyThere()


async def test_a_packet_whose_answer_was_lost_has_landed(portal: PacketRig, name: str) -> None:
    key = str(uuid.uuid4())
    portal.lose_answer()
    assert await submit(portal, key, [item(name)]) == Ambiguous("connection")
    portal.recover()

    assert await submit(portal, key, [item(name)]) == AlreadyThere()
    assert (await settled(portal, key))[-1] == Verdicts({(name, 1): Accepted()})


async def test_versions_at_the_portal_never_go_back(portal: PacketRig, name: str) -> None:
    assert await verdict(portal, [item(name, 2)]) == [Accepted()]
    assert await verdict(portal, [item(name, 2)], Op.UPDATE) == [Duplicate()]
    assert await verdict(portal, [item(name, 3)], Op.UPDATE) == [Accepted()]
    assert await verdict(portal, [item(name, 3)], Op.CANCEL) == [Accepted()]

    assert await verdict(portal, [item(name, 2)], Op.UPDATE) == [Stale()]
    assert await verdict(portal, [item(name, 4)]) == [Accepted()]


async def test_a_record_in_force_cannot_be_registered_again(portal: PacketRig, name: str) -> None:
    await verdict(portal, [item(name, 1)])

    assert await verdict(portal, [item(name, 2)]) == [Refused("MAU-L05", "duplicate")]


async def test_a_packet_of_too_many_records_is_too_large(portal: PacketRig) -> None:
    items = [item(str(uuid.uuid4())) for _ in range(201)]

    assert await submit(portal, str(uuid.uuid4()), items) == TooLarge()


async def test_a_portal_may_ask_for_a_pause(portal: PacketRig, name: str) -> None:
    portal.slow_down()

    assert await submit(portal, str(uuid.uuid4()), [item(name)]) == Unavailable(7.0, "429")


async def test_evidence_is_taken_once_under_its_own_key(portal: PacketRig) -> None:
    key, content = str(uuid.uuid4()), b"<HOC_BA>M\xe1\xba\xabu</HOC_BA>"
    digest = hashlib.sha256(content).hexdigest()
    assert await portal.target.upload(key, digest, content) == Landed()

    assert await portal.target.upload(key, digest, content) == AlreadyThere()


async def test_a_server_that_nobody_runs_is_a_hold() -> None:
    target = open_immediate(population_contract(), "http://127.0.0.1:1", {"token": "t"})

    answer = await target.send([send("r1")])

    assert answer.whole == Hold("outage")
    await target.aclose()
