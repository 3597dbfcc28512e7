"""The simulators as real processes: their books stay right through kills, and count what a gateway did to them."""

import asyncio
import hashlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import httpx
import msgspec
import pytest

from gateway.edges.identity_link import Duty, RefusedLookup
from gateway.edges.pupil_registry import Candidate, PupilRegistry
from gateway.edges.target_contract import ImmediateContract, PacketContract, load_contract, read_credentials
from gateway.edges.targets import HttpImmediate, HttpPackets, encode_packet, open_immediate, open_packets
from gateway.outcomes import (
    Accepted,
    AlreadyThere,
    Ambiguous,
    BatchAnswer,
    Duplicate,
    Hold,
    Landed,
    Refused,
    RefusedWhole,
    Send,
    Unavailable,
    Verdicts,
)
from gateway.record import Op
from gateway.sandbox.simulators.assumptions import ASSUMPTIONS
from gateway.sandbox.simulators.book import read_book, read_sends, read_summary
from tests.fakes.simulator import ROOT, Simulator


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Simulator]]:
    started: list[Simulator] = []

    def run(name: str, **options: object) -> Simulator:
        started.append(Simulator(name, tmp_path, options=options))
        return started[-1]

    yield run
    for simulator in started:
        simulator.stop()


def population_of(simulator: Simulator) -> HttpImmediate:
    contract = load_contract(ROOT / "targets/population.yaml", {})
    assert isinstance(contract, ImmediateContract)
    return open_immediate(contract, simulator.url, read_credentials(simulator.credentials_file))


def portal_of(simulator: Simulator) -> HttpPackets:
    contract = load_contract(ROOT / "targets/sector.yaml", {})
    assert isinstance(contract, PacketContract)
    return open_packets(contract, simulator.url, read_credentials(simulator.credentials_file))


def send(name: str, version: int = 1, op: Op = Op.NEW, key: str = "") -> Send:
    payload: dict[str, object] = {
        "idbanghi": name,
        "phienban": version,
        "sukien": {Op.UPDATE: "UPdate"}.get(op, str(op)),
        "hovaten": "Lê Mẫu Canh",
        "sodinhdanh": "048209999921",
    }
    return Send(name, version, op, key or f"{name}-{version}", msgspec.json.encode(payload))


def batch_of(size: int) -> list[Send]:
    return [send(str(uuid.uuid4())) for _ in range(size)]


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


async def settle(target: HttpImmediate, batch: Sequence[Send]) -> BatchAnswer:
    """Send *batch* under its keys until every record is answered."""
    async with asyncio.timeout(20):
        while True:
            answer = await target.send(batch)
            if answer.whole is None and not any(
                isinstance(a, Ambiguous | Unavailable) for a in answer.answers.values()
            ):
                return answer
            await asyncio.sleep(0.02)


# --- population -------------------------------------------------------------------------------------------------------


async def test_a_kill_between_effect_and_answer_keeps_the_effect_once(start: Callable[..., Simulator]) -> None:
    simulator, batch = start("population"), batch_of(100)
    target = population_of(simulator)
    simulator.faults(stall_after_s=30)
    sending = asyncio.create_task(target.send(batch))
    await until(lambda: len(list(read_book(simulator.book))) == 100)

    simulator.kill()

    assert (await sending).whole == Ambiguous("connection")
    assert (await target.send(batch)).whole == Hold("outage")
    simulator.start()
    again = population_of(simulator)
    assert set((await again.send(batch)).answers.values()) == {Duplicate()}
    counts = simulator.summary()
    assert (counts["effects"], counts["duplicate_effects"], counts["duplicate_sends"]) == (100, 0, 100)
    assert [(e.record_id, e.version, e.op) for e in read_book(simulator.book)] == [
        (s.record_id, 1, "NEW") for s in batch
    ]
    await target.aclose()
    await again.aclose()


async def test_kills_in_the_middle_of_the_traffic_lose_and_double_nothing(start: Callable[..., Simulator]) -> None:
    simulator = start("population")
    batches = [batch_of(100) for _ in range(30)]
    killed = 0
    for done, batch in enumerate(batches):
        target = population_of(simulator)
        if done % 5 == 2:  # while this batch is on its way, at no particular moment
            sending = asyncio.create_task(target.send(batch))
            await asyncio.sleep(0.002 * (done % 7))
            simulator.kill()
            await sending
            simulator.start()
            killed += 1
        await target.aclose()
        target = population_of(simulator)
        await settle(target, batch)
        await target.aclose()

    counts = read_summary(simulator.book)
    assert killed == 6
    assert (counts["effects"], counts["applied_versions"], counts["duplicate_effects"], counts["in_force"]) == (
        3000,
        3000,
        0,
        3000,
    )


async def test_a_receiver_without_fence_counts_what_it_was_done(start: Callable[..., Simulator]) -> None:
    simulator, name = start("population", dedupe="none"), str(uuid.uuid4())
    target = population_of(simulator)
    for version, op in ((2, Op.NEW), (2, Op.NEW), (1, Op.NEW), (3, Op.CANCEL)):
        await target.send([send(name, version, op)])
    await target.send([send(str(uuid.uuid4()), 1, Op.UPDATE), send(str(uuid.uuid4()), 1, Op.CANCEL)])

    assert simulator.summary() == {
        "effects": 6, "applied_versions": 5, "sends": 6, "refused": 0, "duplicate_sends": 1, "duplicate_effects": 1,
        "backwards": 1, "in_force": 1, "cancelled": 2, "without_valid_record": 0,
        "cancel_on_unknown": 1, "new_on_existing": 2, "update_on_unknown": 1,
    }  # fmt: skip
    await target.aclose()


async def test_a_receiver_that_knows_versions_only_takes_a_repeated_send_for_a_duplicate(
    start: Callable[..., Simulator],
) -> None:
    simulator, name = start("population", dedupe="version"), str(uuid.uuid4())
    target = population_of(simulator)

    answers = [(await target.send([send(name)])).answers[name, 1] for _ in range(2)]

    assert answers == [Accepted(), Duplicate()]
    await target.aclose()


async def test_a_refusal_stays_until_a_newer_version_and_leaves_no_valid_record_meanwhile(
    start: Callable[..., Simulator],
) -> None:
    simulator, name = start("population"), str(uuid.uuid4())
    target = population_of(simulator)
    simulator.faults(refuse_records=[f"{name}@1"], refuse_codes=["MAU-L02"])

    first = [(await target.send([send(name)])).answers[name, 1] for _ in range(2)]
    assert first == [Refused("MAU-L02", "certificate")] * 2
    assert simulator.summary()["without_valid_record"] == 1
    assert (await target.send([send(name, 2)])).answers[name, 2] == Accepted()

    counts = simulator.summary()
    assert (counts["refused"], counts["in_force"], counts["without_valid_record"]) == (2, 1, 0)
    await target.aclose()


async def test_shares_of_refusals_come_from_the_record_and_not_from_the_moment(start: Callable[..., Simulator]) -> None:
    simulator, batch = start("population"), batch_of(400)
    target = population_of(simulator)
    simulator.faults(p_refuse=0.1)

    first, second = (await target.send(batch)).answers, (await target.send(batch)).answers

    refused = {key for key, outcome in first.items() if isinstance(outcome, Refused)}
    assert 15 < len(refused) < 75
    assert refused == {key for key, outcome in second.items() if isinstance(outcome, Refused)}
    await target.aclose()


async def test_an_outage_begins_after_so_many_records_and_ends(start: Callable[..., Simulator]) -> None:
    simulator = start("population")
    target = population_of(simulator)
    simulator.faults(outage=[{"after_records": 100, "for_s": 0.5}])
    assert (await target.send(batch_of(100))).whole is None

    assert (await target.send(batch_of(1))).whole == Unavailable(None, "503")
    assert simulator.summary()["effects"] == 100
    await settle(target, batch_of(1))
    await target.aclose()


async def test_heavy_faults_leave_every_record_applied_once_or_refused(start: Callable[..., Simulator]) -> None:
    simulator = start("population")
    target = population_of(simulator)
    plan = {"latency_ms": [0, 3], "p429": 0.1, "retry_after_s": 0, "p5xx": 0.2, "p_drop_after": 0.2}
    simulator.faults(**plan, p_refuse=0.05, p_retry=0.02, p_missing=0.02)
    batches = [batch_of(50) for _ in range(20)]

    answers = await asyncio.gather(*(settle(target, batch) for batch in batches))

    refused = sum(isinstance(outcome, Refused) for answer in answers for outcome in answer.answers.values())
    counts = simulator.summary()
    assert 0 < refused < 150
    assert (counts["effects"], counts["duplicate_effects"], counts["backwards"]) == (1000 - refused, 0, 0)
    assert counts["duplicate_sends"] > 0
    keys = {(row.record_id, row.version, row.content_hash): row.key for row in read_sends(simulator.book)}
    assert len(set(keys.values())) == len(keys) == 1000
    await target.aclose()


async def test_batches_are_taken_at_thousands_of_records_a_second(start: Callable[..., Simulator]) -> None:
    target = population_of(start("population"))
    batches = [batch_of(500) for _ in range(20)]
    begun_s = time.monotonic()

    for batch in batches:
        await settle(target, batch)

    assert 10_000 / (time.monotonic() - begun_s) > 2_000
    await target.aclose()


# --- sector -----------------------------------------------------------------------------------------------------------


def packet(
    portal: HttpPackets, op: Op, *names: str, version: int = 1, evidence: str | None = None
) -> tuple[str, bytes]:
    pupil = {"ma_hoc_sinh": "4899990201", "so_cccd": "048209999921"}
    items = [{"id_ban_ghi": name, "phien_ban": version, "nguoi_hoc": pupil} for name in names]
    return portal.contract.wire.purposes.word(op), encode_packet(portal.contract, op, items, evidence)


async def verdicts(portal: HttpPackets, key: str) -> Verdicts:
    async with asyncio.timeout(10):
        while True:
            answer = await portal.results(key)
            if isinstance(answer, Verdicts):
                return answer
            await asyncio.sleep(0.02)


async def test_a_packet_landed_before_a_kill_is_answered_after_it(start: Callable[..., Simulator]) -> None:
    simulator, key = start("sector", result_delay_s=1.0, index_delay_s=0.1), str(uuid.uuid4())
    names = [str(uuid.uuid4()) for _ in range(50)]
    portal = portal_of(simulator)
    await portal.results(key)  # the token is there before the answers become late
    simulator.faults(stall_after_s=30)
    sending = asyncio.create_task(portal.submit(key, *packet(portal, Op.NEW, *names)))
    await until(lambda: landed(simulator.book) == 1)

    simulator.kill()

    assert await sending == Ambiguous("connection")
    simulator.start()
    again = portal_of(simulator)
    assert await again.submit(key, *packet(again, Op.NEW, *names)) == AlreadyThere()
    assert (await verdicts(again, key)).answers == {(name, 1): Accepted() for name in names}
    counts = simulator.summary()
    assert (counts["effects"], counts["duplicate_effects"], counts["in_force"]) == (50, 0, 50)
    assert counts["packet_keys_repeated"] == 1
    await portal.aclose()
    await again.aclose()


def landed(book: Path) -> int:
    with closing(sqlite3.connect(book)) as connection:
        return int(connection.execute("SELECT count(*) FROM packets").fetchone()[0])


async def test_a_token_of_short_life_is_renewed(
    start: Callable[..., Simulator],
) -> None:
    simulator = start("sector", token_life_s=0.4, result_delay_s=0.1, index_delay_s=0.0)
    portal = portal_of(simulator)
    for _ in range(4):
        key = str(uuid.uuid4())
        assert await portal.submit(key, *packet(portal, Op.NEW, str(uuid.uuid4()))) == Landed()
        await verdicts(portal, key)
        await asyncio.sleep(0.2)

    assert simulator.summary()["effects"] == 4
    await portal.aclose()


async def test_wrong_credentials_hold(start: Callable[..., Simulator]) -> None:
    simulator = start("sector")
    contract = load_contract(ROOT / "targets/sector.yaml", {})
    assert isinstance(contract, PacketContract)
    for wrong in ({"client_secret": "x"}, {"unit": "other"}):
        portal = open_packets(contract, simulator.url, simulator.credentials | wrong)
        assert await portal.submit(str(uuid.uuid4()), *packet(portal, Op.NEW, "r1")) == Hold("auth")
        await portal.aclose()


async def test_a_portal_without_updates_shows_who_is_left_without_a_record(start: Callable[..., Simulator]) -> None:
    simulator, name = (
        start("sector", updates="revoke_then_register", result_delay_s=0.05, index_delay_s=0.0),
        str(uuid.uuid4()),
    )
    portal = portal_of(simulator)

    async def outcome(op: Op, version: int) -> object:
        key = str(uuid.uuid4())
        await portal.submit(key, *packet(portal, op, name, version=version))
        return (await verdicts(portal, key)).answers[name, version]

    assert await outcome(Op.NEW, 1) == Accepted()
    assert await outcome(Op.UPDATE, 2) == Refused("MAU-L09", "upstream")
    assert await outcome(Op.CANCEL, 1) == Accepted()
    simulator.faults(refuse_records=[f"{name}@2"])
    assert await outcome(Op.NEW, 2) == Refused("MAU-L07", "school")
    assert simulator.summary()["without_valid_record"] == 1
    simulator.faults()
    assert await outcome(Op.NEW, 2) == Accepted()

    counts = simulator.summary()
    assert (counts["without_valid_record"], counts["in_force"], counts["duplicate_effects"], counts["backwards"]) == (
        0,
        1,
        0,
        0,
    )
    await portal.aclose()


async def test_a_packet_that_names_unknown_evidence_is_refused(start: Callable[..., Simulator]) -> None:
    portal = portal_of(start("sector", result_delay_s=0.05, index_delay_s=0.0))
    evidence, content = str(uuid.uuid4()), "<HOC_BA>Mẫu</HOC_BA>".encode()
    purpose, body = packet(portal, Op.NEW, str(uuid.uuid4()), evidence=evidence)

    refused = await portal.submit(str(uuid.uuid4()), purpose, body)
    assert await portal.upload(evidence, hashlib.sha256(content).hexdigest(), content) == Landed()

    assert refused == RefusedWhole("HTTP-400")
    assert await portal.submit(str(uuid.uuid4()), purpose, body) == Landed()
    await portal.aclose()


# --- registry ---------------------------------------------------------------------------------------------------------

DUTY = Duty("HOCBA-MAU", "mau.canbo", "registry")
AN = {"pupil_code": "4899990201", "citizen_id": "048209999921", "full_name": "Nguyễn Mẫu An",
      "birth_date": "2009-08-19", "gender": "1"}  # fmt: skip


async def test_the_registry_answers_none_one_and_several_and_learns_at_run_time(tmp_path: Path) -> None:
    data = tmp_path / "pupils.jsonl"
    twins = [AN | {"pupil_code": "4899990202", "citizen_id": None}] * 2
    data.write_bytes(b"\n".join(msgspec.json.encode(row) for row in [AN, *twins]) + b"\n")
    simulator = Simulator("registry", tmp_path, data=data)
    registry = PupilRegistry(simulator.url, simulator.credentials["token"], DUTY)
    codes = ["4899990201", "4899990202", "4899990203"]

    found = await registry.lookup(codes, uuid.uuid4())
    assert isinstance(found, dict)
    assert [len(found[code]) for code in codes] == [1, 2, 0]
    assert found["4899990201"] == [Candidate("048209999921", "Nguyễn Mẫu An", "2009-08-19", "1")]
    assert "Mẫu" not in repr(found)
    addition = {"pupils": [AN | {"pupil_code": "4899990203"}]}
    async with httpx.AsyncClient(trust_env=False) as administrator:
        (await administrator.post(simulator.url + "/admin/pupils", json=addition)).raise_for_status()
    simulator.kill()
    assert await registry.lookup(codes, uuid.uuid4()) == Unavailable(None, "outage")
    simulator.start()

    again = PupilRegistry(simulator.url, simulator.credentials["token"], DUTY)
    found = await again.lookup(codes, uuid.uuid4())
    assert isinstance(found, dict)
    assert len(found["4899990203"]) == 1
    for edge in (registry, again):
        await edge.aclose()
    simulator.stop()


async def test_the_registry_limits_rate_size_and_callers(start: Callable[..., Simulator]) -> None:
    simulator = start("registry", rate_per_s=2)
    registry = PupilRegistry(simulator.url, simulator.credentials["token"], DUTY)
    stranger = PupilRegistry(simulator.url, "wrong", DUTY)

    assert await stranger.lookup(["1"], uuid.uuid4()) == Unavailable(None, "HTTP-401")
    assert await registry.lookup([str(n) for n in range(201)], uuid.uuid4()) == RefusedLookup("HTTP-413")
    assert isinstance(await registry.lookup(["1"], uuid.uuid4()), dict)
    assert await registry.lookup(["1"], uuid.uuid4()) == Unavailable(1.0, "HTTP-429")
    for edge in (registry, stranger):
        await edge.aclose()


# --- all --------------------------------------------------------------------------------------------------------------


def test_the_list_of_assumptions_names_every_open_question() -> None:
    topics = " ".join(topic for topic, _ in ASSUMPTIONS)

    for words in [
        "XSD",
        "end-points",
        "error codes",
        "batch sizes",
        "rate limits",
        "time-outs",
        "C06",
        "NDOP",
        "masogd",
        "QĐ 4998",
        "prefixes",
        "lifelong",
        "push",
        "drafts",
        "characters or bytes",
        "casing",
        "deadlines",
        "updates",
    ]:
        assert words in topics


@pytest.mark.parametrize("name", ["population", "sector"])
async def test_a_simulators_log_holds_its_assumptions_and_nobody(start: Callable[..., Simulator], name: str) -> None:
    simulator = start(name, result_delay_s=0.0)
    simulator.faults(p_drop_after=0.3, p5xx=0.3)
    if name == "population":
        target = population_of(simulator)
        for _ in range(20):
            await target.send(batch_of(3))
        await target.aclose()
    else:
        portal = portal_of(simulator)
        for _ in range(20):
            await portal.submit(str(uuid.uuid4()), *packet(portal, Op.NEW, str(uuid.uuid4())))
        await portal.aclose()
    simulator.faults()
    broken = '{"records": [{"hovaten": "Lê Mẫu Canh", "sodinhdanh": 48209999921'
    async with httpx.AsyncClient(trust_env=False) as stranger:
        for path in ("/api/v1/records:batch", "/connect/token", "/admin/faults"):
            await stranger.post(simulator.url + path, content=broken)

    log = simulator.log.read_text()
    assert "assumes" in log
    assert not [word for word in ("Canh", "048209999921", "48209999921", "4899990201") if word in log]


def test_credentials_are_made_once_and_closed_to_others(start: Callable[..., Simulator]) -> None:
    simulator = start("population")
    before = simulator.credentials
    simulator.kill()
    simulator.start()

    assert simulator.credentials == before
    assert simulator.credentials_file.stat().st_mode & 0o077 == 0


def test_the_book_can_be_read_while_it_is_written(start: Callable[..., Simulator]) -> None:
    simulator = start("population")
    faults: list[sqlite3.Error] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                read_summary(simulator.book)
            except sqlite3.Error as error:
                faults.append(error)

    reader = threading.Thread(target=read)
    reader.start()

    async def write() -> None:
        target = population_of(simulator)
        for _ in range(10):
            await settle(target, batch_of(100))
        await target.aclose()

    asyncio.run(write())
    ended.set()
    reader.join()

    assert not faults
    assert read_summary(simulator.book)["effects"] == 1000
