"""What identity promises under load, on real servers: pace, outage, single flight, audit.  Full size: ``make proof``.

The registry's side of each figure is read from the simulator's own book, the order from the log of national.records.
"""

import asyncio
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.edges import clock
from gateway.edges.identity_verdicts import Answer, Done, VerdictStore
from gateway.edges.kafka import read_partition
from gateway.edges.kafka_types import TopicPartition
from gateway.edges.keys import load_keys
from gateway.edges.ledger import Pool, make_pool
from gateway.identity.cache import Kept
from gateway.identity.verdicts import Claim, Confirmed, claim_hash
from gateway.national import codec
from gateway.record import NATIONAL_TOPIC, lane_signed
from gateway.sandbox.embedded import Servers, embedded_servers
from gateway.sandbox.simulators.registry import read_lookups
from tests.fakes.identity_school import YEARS, Pupil, School, Sent, make, pupil
from tests.fakes.identity_site import (
    DEADLINE_S,
    SLOTS,
    Site,
    account,
    check,
    fill_registry,
    installed,
    published_count,
    settled,
    until,
)
from tests.fakes.simulator import Simulator
from tests.servers import FULL

PUPILS = 50_000 if FULL else 2_000
ROUNDS = 3 if FULL else 1
LOOKUPS_PER_S = 50 if FULL else 15
"""Shortened with the number of pupils, so that the waiting ones still drain for longer than the others flow."""
OUTAGE_S = 600.0 if FULL else 6.0

pytestmark = [pytest.mark.servers, pytest.mark.proof, pytest.mark.timeout(3600 if FULL else 240)]


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    with embedded_servers() as running:
        yield running


@pytest.fixture
async def site(own_servers: Servers, tmp_path: Path, prefix: str) -> AsyncIterator[Site]:
    async with installed(own_servers, tmp_path, prefix) as made:
        yield made


@dataclass(frozen=True)
class Placed:
    """A published record: when it was written, which event it is, and whose."""

    at_ms: int
    event_id: str
    lane: int


async def log_of(site: Site) -> list[Placed]:
    """National records of this test, slot by slot in the order of the log."""
    found: list[Placed] = []
    for slot in range(SLOTS):
        partition = TopicPartition(NATIONAL_TOPIC, slot)
        async for records in read_partition(site.config.kafka, partition, site.start_at[partition]):
            for record in records:
                head, _ = codec.split_record(record.value or b"")
                found.append(Placed(record.timestamp, head["event_id"], int(head["lane"], 16)))
    return found


def configure(site: Site, old: str, new: str) -> None:
    text = site.path.read_text()
    assert old in text
    site.path.write_text(text.replace(old, new))


async def confirm_all(site: Site, children: Iterable[Pupil]) -> None:
    """What the pre-check months before would have left in the cache."""
    keys, now = load_keys(site.folder / "keys.json"), clock.now()
    kept = now + timedelta(days=300)
    answers = []
    for child in children:
        claim = Claim(child.code, child.citizen_id, child.name, child.birth, child.gender)
        key = (child.lane, claim_hash(claim, keys.claim))
        answers.append(Answer(key, Kept(Confirmed(child.citizen_id), kept)))
    async with opened(site) as pool:
        for start in range(0, len(answers), 5_000):
            await VerdictStore(pool, keys).store(answers[start : start + 5_000], [], Done(now))


@asynccontextmanager
async def opened(site: Site) -> AsyncIterator[Pool]:
    pool = make_pool(site.config.ledger.url, 1)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


def children(count: int, start: int) -> list[Pupil]:
    return [wide(number) for number in range(start, start + count)]


def wide(number: int) -> Pupil:
    """Pupil *number* with a code and an ID that stay unique beyond ten thousand."""
    one = pupil(number, "known")
    return replace(one, code=f"{number % 96 + 1:02d}9{number:07d}", citizen_id=f"0012{number:08d}")


@dataclass
class Flow:
    """Records that left, and the seconds between the first and the last of each backlog."""

    records: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / max(self.seconds, 0.001)

    def add(self, placed: list[Placed], backlog: list[Sent]) -> None:
        """Count *backlog* as it was placed in the log."""
        events = {one.event_id for one in backlog}
        at_ms = [one.at_ms for one in placed if one.event_id in events]
        self.records += len(at_ms)
        self.seconds += (max(at_ms) - min(at_ms)) / 1000


async def at_rest(site: Site, versions: int, within_s: float) -> None:
    """Wait until so many versions are out and nobody waits."""
    async with asyncio.timeout(within_s):
        while True:
            assert site.workers[-1].poll() is None, site.log()
            out = site.rows("SELECT coalesce(sum(version), 0) FROM heads")[0][0]
            if out >= versions and not site.rows("SELECT 1 FROM parked WHERE state <> 'closed' LIMIT 1"):
                return
            await asyncio.sleep(0.5)


async def test_known_pupils_flow_at_full_rate_while_three_percent_drain_at_the_registrys_pace(site: Site) -> None:
    known, unknown = children(PUPILS - PUPILS * 3 // 100, 0), children(PUPILS * 3 // 100, PUPILS)
    fill_registry(site, School([*known, *unknown]))
    limits = {"rate_per_s": LOOKUPS_PER_S, "rate_counts": "codes"}
    site.registry.stop()
    slow = Simulator("registry", site.folder, options=limits, data=site.folder / "pupils.jsonl")
    ours = f'rate_per_s: {LOOKUPS_PER_S}, counts: codes, batch_codes: 10, url: "{slow.url}"'
    configure(site, f'url: "{site.registry.url}"', ours)
    site.registry = slow
    configure(site, "batch_records: 100, lookup_wait_ms: 30, ", "")  # as an installation has them
    await confirm_all(site, known)
    everything: list[Sent] = []
    alone, among, mixed_all, placed = Flow(), Flow(), [], []
    codes = {child.code for child in unknown}

    async def worked_off(backlog: list[Sent]) -> None:
        """The backlog lies there before anybody looks; its end is that nobody waits any more."""
        everything.extend(backlog)
        await site.publish(backlog)
        worker = site.start()
        replaced = sum(one.order == 2 and one.pupil.code in codes for one in everything)  # while they waited, or not
        await at_rest(site, len(everything) - replaced, DEADLINE_S * (10 if FULL else 1))
        worker.terminate()
        assert await asyncio.to_thread(worker.wait, 30) == 0, site.log()

    await worked_off([make(child, number, 1, slots=SLOTS) for number, child in enumerate(known)])
    for turn in range(ROUNDS):  # in turns, because a machine's speed differs from one minute to the next
        theirs = known[turn::ROUNDS]
        second, third = (
            [make(child, version * 1_000_000 + number, version, slots=SLOTS) for number, child in enumerate(theirs)]
            for version in (2 + 2 * turn, 3 + 2 * turn)
        )
        mixed = among_them(third, unknown[turn::ROUNDS], 10_000_000 * (turn + 1))
        mixed_all += mixed
        await worked_off(second)
        await worked_off(mixed)
        placed = await log_of(site)
        alone.add(placed, second)
        among.add(placed, third)

    lanes = {child.lane for child in unknown}
    asked = read_lookups(site.registry.book)
    busy_s = [most - least for least, most in rounds_of([one.at_ms / 1000 for one in asked])]
    print(
        f"known: {alone.rate:.0f}/s alone, {among.rate:.0f}/s with 3 % unknown among them; "
        f"look-ups {len(asked) / sum(busy_s):.1f}/s"
    )
    assert Counter(one.pupil_code for one in asked) == Counter(child.code for child in unknown)  # each pupil once
    assert len(busy_s) == ROUNDS
    assert sum(busy_s) <= len(unknown) / LOOKUPS_PER_S * 1.2 + (0 if FULL else 3)
    assert sum(busy_s) >= (len(unknown) - 40 * ROUNDS) / LOOKUPS_PER_S  # so many may be on their way at once
    assert site.registry.summary().get("lookups_429", 0) == 0
    check_order(placed, mixed_all, lanes)
    check(School(sent=everything), await account(site), site)
    assert among.rate > alone.rate * (0.8 if FULL else 0.4)  # a small run on a busy machine says less


def among_them(known: list[Sent], unknown: list[Pupil], first: int) -> list[Sent]:
    """*known* with a record of each of *unknown* evenly among them; of every fifth three, for the order."""
    mixed = list(known)
    every, threes = len(known) // len(unknown) + 1, 0
    for number, child in enumerate(unknown):
        theirs = [make(child, first + 3 * number, 1, slots=SLOTS, year=YEARS[0])]
        if number % 5 == 0:
            theirs.append(make(child, first + 3 * number + 1, 1, slots=SLOTS, year=YEARS[1]))
            theirs.append(make(child, first + 3 * number + 2, 2, slots=SLOTS, year=YEARS[0]))
        place = number * every + 2 * threes
        threes += len(theirs) > 1
        mixed[place:place] = theirs
    return mixed


def rounds_of(at_s: list[float]) -> list[tuple[float, float]]:
    """First and last of each stretch of *at_s* without a pause of more than two seconds."""
    found = [(at_s[0], at_s[0])]
    for at in at_s:
        if at > found[-1][1] + 2.0:
            found.append((at, at))
        found[-1] = (found[-1][0], at)
    return found


def check_order(placed: list[Placed], sent: list[Sent], lanes: set[int]) -> None:
    """Each pupil's records left in the order in which they came; a newer version of a waiting one in its place."""
    out = {one.event_id for one in placed}
    place: dict[str, int] = {}
    vacant: dict[str, int] = {}
    for number, one in enumerate(sent):
        if one.event_id in out:
            place[one.event_id] = vacant.pop(one.record_id, number)
        else:
            vacant.setdefault(one.record_id, number)
    seen: dict[int, list[int]] = defaultdict(list)
    for one_placed in placed:
        if one_placed.lane in lanes:
            seen[one_placed.lane].append(place[one_placed.event_id])
    assert seen.keys() == lanes
    assert all(order == sorted(order) for order in seen.values())


async def test_an_outage_in_mid_stream_holds_the_unknown_only_burns_no_attempt_and_ends_by_itself(site: Site) -> None:
    known, unknown = children(300, 0), children(40, 300)
    fill_registry(site, School([*known, *unknown]))
    await confirm_all(site, known)
    worker = site.start()
    before = [make(child, number, 1, slots=SLOTS) for number, child in enumerate(known)]
    await site.publish(before)
    await settled(site, before)
    site.registry.faults(down=True)
    began_s = clock.monotonic_s()
    during = [make(child, 1_000 + number, 1, slots=SLOTS) for number, child in enumerate(unknown)]
    during += [make(child, 2_000 + number, 1, slots=SLOTS, year=YEARS[1]) for number, child in enumerate(unknown)]
    during += [make(child, 3_000 + number, 2, slots=SLOTS) for number, child in enumerate(known)]
    await site.publish(during)
    async with asyncio.timeout(DEADLINE_S):
        while await published_count(site) < 2 * len(known):  # the known ones flow
            await asyncio.sleep(0.1)
    worker.send_signal(signal.SIGKILL)  # who takes over in the outage keeps them waiting
    worker.wait()
    site.start()
    await asyncio.sleep(max(0.0, OUTAGE_S - (clock.monotonic_s() - began_s)))
    held = Counter(site.open_rows().values())
    asked_before = len(read_lookups(site.registry.book))
    site.registry.faults()
    found = await settled(site, [*before, *during])

    check(School(sent=[*before, *during]), found, site)
    assert held == {("waiting", "ID-01"): len(unknown), ("parked", "GW-03"): len(unknown)}
    assert found.parked == {}
    assert len(found.published) == len(before) + len(during)
    assert site.rows("SELECT max(attempts), max(seq) FROM parked") == [(0, 1)]  # none burned, none told twice
    assert asked_before == 0
    assert Counter(one.pupil_code for one in read_lookups(site.registry.book)) == Counter(
        child.code for child in unknown
    )
    assert {row[0] for row in site.rows("SELECT verdict FROM lookups")} <= {"unanswered", "confirmed", "asked"}


async def test_two_hundred_records_of_one_unknown_pupil_cost_one_look_up(site: Site) -> None:
    child, other = wide(1), wide(2)
    fill_registry(site, School([child, other]))
    await confirm_all(site, [other])
    site.registry.faults(slow_s=2.0)
    years = [f"{year}-{year + 1}" for year in range(1900, 2100)]
    sent = [make(child, number, 1, slots=SLOTS, year=year) for number, year in enumerate(years)]
    passing = make(other, 500, 1, slots=SLOTS)
    site.start()
    await site.publish([*sent, passing])
    await until(site, lambda rows: len(rows) == len(sent))
    async with asyncio.timeout(DEADLINE_S):
        while await published_count(site) < 1:  # another pupil is not behind them
            await asyncio.sleep(0.05)
    waiting = Counter(site.open_rows().values())
    found = await settled(site, [*sent, passing])

    assert waiting == {("waiting", "ID-01"): 1, ("parked", "GW-03"): len(sent) - 1}
    assert [one.pupil_code for one in read_lookups(site.registry.book)] == [child.code]
    check(School(sent=[*sent, passing]), found, site)
    check_order(await log_of(site), sent, {child.lane})
    assert len(found.published) == len(sent) + 1


async def test_whatever_is_killed_no_look_up_is_without_its_audit(site: Site) -> None:
    """Both registers' own books against our audit, with kill -9 while requests are on their way."""
    everybody = children(120, 0)
    fill_registry(site, School(everybody))
    database = Simulator("c06", site.folder, data=site.folder / "pupils.jsonl")
    links = f"""links: {{population: {{url: "{database.url}/soap", credentials_file: "{database.credentials_file}",
  procedure_code: MAU-DVC, officer_code: mau.canbo, rate_per_s: 200}}}}, """
    configure(site, "identity: {", "identity: {" + links)
    configure(site, "registry: {", "registry: {batch_codes: 4, rate_per_s: 100, ")
    for simulator in (site.registry, database):
        simulator.faults(slow_s=0.1)
    sent = [make(child, number, 1, slots=SLOTS) for number, child in enumerate(everybody)]
    await site.publish(sent)
    for kill in (1, 2):  # the third would be taken for the fault of a record
        worker = site.start()
        async with asyncio.timeout(DEADLINE_S):
            while len(read_lookups(site.registry.book)) < 20 * kill:
                assert worker.poll() is None, site.log()
                await asyncio.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    killed = clock.now()
    site.start()
    found = await settled(site, sent)
    counted = database.summary()["lookups"]
    database.stop()

    assert found.parked == {}
    assert len(found.published) == len(sent)
    lanes = {child.code: lane_signed(child.lane) for child in everybody}
    booked = {(one.request_id, lanes[one.pupil_code]) for one in read_lookups(site.registry.book)}
    rows = site.rows("SELECT request_id::text, lane, endpoint, purpose, officer, verdict, asked_at FROM lookups")
    by_registry = {(request, lane) for request, lane, endpoint, *_ in rows if endpoint == "registry"}
    assert booked <= by_registry
    by_database = {request for request, _, endpoint, *_ in rows if endpoint == "population:ndxp"}
    assert len(by_database) >= counted
    assert all(purpose and officer for *_, purpose, officer, _, _ in rows)
    cut_off = [asked_at for *_, verdict, asked_at in rows if verdict == "asked"]
    answered = [(lane, endpoint) for _, lane, endpoint, *_, verdict, _ in rows if verdict == "confirmed"]
    assert cut_off  # the kills came with requests on their way, or with answers that were not yet in the ledger
    assert all(asked_at < killed for asked_at in cut_off)  # who lived to hear the answers left no row without one
    assert {lane for lane, endpoint in answered if endpoint == "registry"} == set(lanes.values())
    text = repr(rows) + site.log()
    assert not [word for child in everybody for word in (child.name, child.code, child.citizen_id) if word in text]


async def test_a_newer_record_with_the_right_name_reopens_the_pupil_at_once(site: Site) -> None:
    """Also the records behind it go; a look-up of the wrong name minutes ago is in nobody's way."""
    right = wide(1)
    wrong = replace(right, name="Nguyễn Mẫu Nhầm")
    fill_registry(site, School([right]))
    site.start()
    first = [
        make(wrong, 0, 1, slots=SLOTS, year=YEARS[0]),
        make(right, 1, 1, slots=SLOTS, year=YEARS[1]),
    ]
    await site.publish(first)
    found = await settled(site, first)
    assert [found.parked[one.event_id][1] for one in first] == ["ID-03", "GW-03"]

    corrected = make(right, 2, 2, slots=SLOTS, year=YEARS[0])
    began_s = clock.monotonic_s()
    await site.publish([corrected])
    await until(site, lambda rows: rows == {})
    seconds = clock.monotonic_s() - began_s
    found = await account(site)

    check(School(sent=[*first, corrected]), found, site)
    assert [one["head"]["event_id"] for one in found.published] == [corrected.event_id, first[1].event_id]
    assert found.receipts[first[0].event_id]["state"] == "superseded"
    assert seconds < 60  # nobody waits for the wrong answer's ten minutes
