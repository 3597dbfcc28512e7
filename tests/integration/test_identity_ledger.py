"""Identity's ledger on real PostgreSQL: monotone heads, rows that are never reopened, one owner, sealed verdicts."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest

from gateway.edges import clock
from gateway.edges.identity_aliases import Alias, AliasStore
from gateway.edges.identity_erasure import Erased, erase
from gateway.edges.identity_ledger import SlotLedger, SlotLost
from gateway.edges.identity_link import Duty
from gateway.edges.identity_recheck import RECHECKED, Wish, expire_bodies, recheck, recheck_within
from gateway.edges.identity_review import REVIEWED, Decision, ReviewDesk
from gateway.edges.identity_rows import Aftermath, Closing, Parking, Published, Repark
from gateway.edges.identity_verdicts import Answer, Audit, Done, VerdictStore
from gateway.edges.keys import Keys, load_keys, new_keys, rotate_keys, write_private
from gateway.edges.ledger import Pool, make_pool
from gateway.edges.reseal import by_key, reseal
from gateway.errors import Problem
from gateway.identity.cache import Kept
from gateway.identity.names import How
from gateway.identity.plan import ClaimKey, Row
from gateway.identity.verdicts import (
    Confirmed,
    Difference,
    Mismatch,
    NotApplicable,
    NotFound,
    Several,
    Unconfirmed,
    Verdict,
)
from gateway.identity.versions import Entry, Head
from gateway.record import Op, SourceOrder, State, lane_token

pytestmark = pytest.mark.servers
SLOT = 2
LANE = 2**64 - 3  # above PostgreSQL's signed range
RECORD = str(uuid.UUID(int=7))
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    new_keys(tmp_path / "keys.json")
    return load_keys(tmp_path / "keys.json")


@pytest.fixture
async def pool(ledger_url: str) -> AsyncIterator[Pool]:
    opened = make_pool(ledger_url, 2)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(pool: Pool, keys: Keys) -> SlotLedger:
    owner = SlotLedger(pool, keys, SLOT)
    await owner.raise_epoch()
    return owner


def entry(number: int, order: int = 1) -> Entry:
    return Entry(str(uuid.UUID(int=number)), ("alpha", "01999001"), SourceOrder(1, order), "ab" * 32, Op.NEW)


def parking(offset: int, *, code: str = "ID-02", state: State = State.PARKED) -> Parking:
    row = Row(offset, offset, LANE, RECORD, entry(offset, offset), code, b"claim")
    return Parking(
        row=row,
        state=state,
        problem=Problem(code, "pupil_code"),
        event_id=entry(offset).event_id,
        vendor="alpha",
        school_code="01999001",
        school_year=2025,
        content_hash="ab" * 32,
        op="NEW",
        value=f"mapped {offset}".encode(),
    )


def published(version: int, offset: int) -> Published:
    return Published(RECORD, LANE, Head(version, entry(100 + version, version)), offset)


async def test_a_parked_row_comes_back_as_it_went_in_and_its_value_is_sealed(ledger: SlotLedger, pool: Pool) -> None:
    await ledger.park([parking(5)], [])

    (stored,) = await ledger.lanes([LANE])
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT body FROM parked")
        raw = await cursor.fetchone()

    assert (stored.row, stored.state) == (parking(5).row, State.PARKED)
    assert ledger.unseal(stored) == b"mapped 5"
    assert raw is not None
    assert b"mapped" not in bytes(raw[0])  # type: ignore[call-overload]
    assert await ledger.open_lanes() == ({LANE}, 0)


async def test_heads_and_watermark_only_move_forward(ledger: SlotLedger) -> None:
    await ledger.finish(Aftermath([published(2, 20)], 21))
    await ledger.finish(Aftermath([published(1, 10)], 11))

    assert (await ledger.heads([RECORD])).heads == {RECORD: published(2, 20).head}
    assert await ledger.watermark() == 21


async def test_a_redelivered_row_is_an_upsert_and_never_reopens_a_closed_one(ledger: SlotLedger) -> None:
    await ledger.park([parking(5)], [])
    await ledger.park([parking(5, code="ID-01", state=State.WAITING)], [])
    (again,) = await ledger.lanes([LANE])
    await ledger.finish(Aftermath(closings=[Closing(5, "released")]))
    await ledger.park([parking(5)], [])

    assert (again.row.code, again.state) == ("ID-01", State.WAITING)
    assert await ledger.lanes([LANE]) == []


async def test_a_take_over_forgets_what_was_never_committed(ledger: SlotLedger) -> None:
    await ledger.park([parking(5, code="ID-01", state=State.WAITING), parking(6)], [])
    await ledger.park([parking(9)], [Closing(5, "superseded", closed_by=9), Closing(6, "superseded", closed_by=8)])

    undone = await ledger.undo_from(9)

    assert undone == 1
    assert [(stored.row.offset, stored.state) for stored in await ledger.lanes([LANE])] == [(5, State.WAITING)]


async def test_catching_up_closes_rows_whose_release_had_reached_kafka(ledger: SlotLedger) -> None:
    await ledger.park([parking(5), parking(6)], [])
    released = Published(RECORD, LANE, Head(1, entry(5, 5)), 40)

    await ledger.catch_up([released], 41)

    assert [stored.row.offset for stored in await ledger.lanes([LANE])] == [6]
    assert await ledger.watermark() == 41


async def test_a_predecessor_that_wakes_up_can_write_nothing(ledger: SlotLedger, pool: Pool, keys: Keys) -> None:
    successor = SlotLedger(pool, keys, SLOT)
    await successor.raise_epoch()

    with pytest.raises(SlotLost):
        await ledger.park([parking(5)], [])
    with pytest.raises(SlotLost):
        await ledger.finish(Aftermath([published(1, 10)], 11))
    with pytest.raises(SlotLost):
        await ledger.undo_from(0)
    await successor.park([parking(5)], [])

    assert len(await successor.lanes([LANE])) == 1


async def test_a_reparked_row_keeps_its_place_under_its_new_reason(ledger: SlotLedger) -> None:
    await ledger.park([parking(5)], [])

    await ledger.finish(Aftermath(reparks=[Repark(5, State.WAITING, Problem("ID-01"), 2)]))

    (stored,) = await ledger.waiting(-1)
    assert stored.row == replace(parking(5).row, code="ID-01", seq=2)
    assert (await ledger.open_lanes())[1] == 1


async def test_orders_below_the_committed_offset_are_taken_and_finished(ledger: SlotLedger, pool: Pool) -> None:
    async with pool.connection() as connection:
        for offset in (5, 9):
            await connection.execute(
                "INSERT INTO orders (stage, slot, lane, topic_offset, action, reason, ordered_by) "
                "VALUES ('identity', %s, -3, %s, 'release', 'test', 'tester')",
                (SLOT, offset),
            )

    (order,) = await ledger.orders(below=9)
    await ledger.finish(Aftermath(orders=[(order.number, "done", "released")]))

    assert (order.lane, order.offset, order.action) == (LANE, 5, "release")
    assert [one.offset for one in await ledger.orders(below=99)] == [9]


async def test_hand_overs_are_known_with_the_heads(ledger: SlotLedger, pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO handovers (record_id, vendor, school_code, reason, recorded_by) "
            "VALUES (%s, 'beta', '01999002', 'test', 'tester')",
            (RECORD,),
        )

    assert (await ledger.heads([RECORD])).handed_over == {RECORD: frozenset({("beta", "01999002")})}


@pytest.mark.parametrize(
    "verdict",
    [
        Confirmed("001210999901"),
        Confirmed("001210999901", (Difference("full_name", How.CASE), Difference("full_name", How.SPACING))),
        Mismatch((Difference("full_name", How.TONE), Difference("gender", How.DIFFERENT))),
        Unconfirmed(),
        NotFound(),
        Several(),
        NotApplicable(),
    ],
)
async def test_a_verdict_comes_back_until_it_expires(pool: Pool, keys: Keys, verdict: Verdict) -> None:
    store = VerdictStore(pool, keys)
    key: ClaimKey = (LANE, b"c" * 32)
    kept = Kept(verdict, NOW + timedelta(minutes=1))

    await store.store([Answer(key, kept)], [], Done(NOW))

    assert await store.known([key, (1, b"x")], NOW) == {key: kept}
    assert await store.known([key], NOW + timedelta(minutes=2)) == {}
    await store.forget([key])
    assert await store.known([key], NOW) == {}


async def test_no_citizen_id_stands_in_the_ledger_in_clear(pool: Pool, keys: Keys, ledger_url: str) -> None:
    number, most_of_it = "001210999901", "210999901"  # four nines alone come up in a cipher's hexadecimals
    answer = Answer((LANE, b"c" * 32), Kept(Confirmed(number), NOW))
    audit_row = Audit(LANE, uuid.UUID(int=1), Duty("TEST", "mau.canbo", "registry"), "confirmed")
    await VerdictStore(pool, keys).store([answer], [audit_row], Done(NOW))

    with psycopg.connect(ledger_url) as connection:
        verdicts = connection.execute("SELECT verdicts::text FROM verdicts").fetchall()
        audit = connection.execute(
            "SELECT purpose, officer, endpoint, request_id, lane, verdict FROM lookups"
        ).fetchall()

    assert most_of_it not in verdicts[0][0]
    assert most_of_it.encode().hex() not in verdicts[0][0]
    assert audit == [("TEST", "mau.canbo", "registry", uuid.UUID(int=1), -3, "confirmed")]


async def test_expired_verdicts_are_purged_and_the_others_stay(pool: Pool, keys: Keys) -> None:
    store = VerdictStore(pool, keys)
    ends = {(lane, b"c" * 32): NOW + timedelta(days=lane - 5) for lane in range(10)}
    await store.store([Answer(key, Kept(NotFound(), end)) for key, end in ends.items()], [], Done(NOW))

    assert await store.purge(NOW) == 5
    assert await store.purge(NOW) == 0
    assert set(await store.known(list(ends), NOW - timedelta(days=99))) == {key for key in ends if key[0] >= 5}


async def test_a_persons_word_is_neither_forgotten_nor_replaced_by_a_look_up(
    pool: Pool, keys: Keys, ledger: SlotLedger
) -> None:
    key: ClaimKey = (LANE, b"claim")
    await ledger.park([parking(5, code="ID-03"), parking(6)], [])
    store, desk = VerdictStore(pool, keys), ReviewDesk(pool, keys)
    await store.store([Answer(key, Kept(Mismatch((Difference("full_name", How.TONE),)), NOW))], [], Done(NOW))
    decision = Decision(SLOT, 5, "001210999901", "seen", "tester")

    assert [(one.code, one.differences) for one in await desk.waiting(REVIEWED)] == [("ID-03", "full_name:tone")]
    assert await desk.waiting(REVIEWED, school="nowhere") == []
    assert await desk.confirm(replace(decision, offset=6), NOW) == 0  # not found is no question for a person
    assert await desk.confirm(decision, NOW) == 1
    await store.forget([key])
    await store.store([Answer(key, Kept(NotFound(), NOW + timedelta(days=1)))], [], Done(NOW))

    known = await store.known([key], NOW)
    assert known[key].verdict == Confirmed("001210999901")
    assert "001210999901" not in repr(decision)
    assert [(order.offset, order.action) for order in await ledger.orders(below=100)] == [(5, "release")]


def wish(before: datetime, most: int | None = None) -> Wish:
    return Wish("nightly", "cron", before, RECHECKED, most)


async def test_a_recheck_orders_each_row_once_and_those_longest_not_asked_about_first(
    pool: Pool, keys: Keys, ledger: SlotLedger
) -> None:
    await ledger.park([parking(offset) for offset in (5, 6, 7)], [])
    later = clock.now() + timedelta(minutes=1)
    answer = Answer((LANE, b"claim"), Kept(NotFound(), later))
    await VerdictStore(pool, keys).store([answer], [], Done(later))

    assert await recheck(pool, wish(later - timedelta(hours=1))) == 0  # asked about a moment ago
    assert await recheck(pool, wish(later, most=2)) == 2
    assert await recheck(pool, wish(later)) == 1
    assert await recheck(pool, wish(later)) == 0  # ordered already


async def test_a_nightly_recheck_leaves_half_of_the_room_for_the_stream(pool: Pool, ledger: SlotLedger) -> None:
    await ledger.park([parking(offset) for offset in range(20)], [])
    waiting = [replace(parking(offset, code="ID-01"), state=State.WAITING) for offset in range(20, 26)]
    await ledger.park(waiting, [])
    tonight = wish(clock.now() + timedelta(minutes=1))

    assert await recheck_within(pool, tonight, high_water=6) == 0
    assert await recheck_within(pool, tonight, high_water=16) == 5
    assert await recheck_within(pool, tonight, high_water=16) == 2  # five of them are in the way already


async def test_rows_closed_long_ago_lose_their_bodies_and_open_ones_keep_theirs(pool: Pool, ledger: SlotLedger) -> None:
    await ledger.park([parking(5), parking(6)], [])
    await ledger.finish(Aftermath(closings=[Closing(5, "released")]))
    now = clock.now()

    assert await expire_bodies(pool, now, timedelta(days=40)) == 0
    assert await expire_bodies(pool, now + timedelta(days=41), timedelta(days=40)) == 1
    assert await expire_bodies(pool, now + timedelta(days=41), timedelta(days=40)) == 0
    (row,) = await ledger.lanes([LANE])
    assert ledger.unseal(row) == parking(6).value


async def test_after_a_rotation_everything_is_sealed_anew_and_the_old_key_can_go(
    pool: Pool, keys: Keys, ledger: SlotLedger, tmp_path: Path
) -> None:
    verdict_key: ClaimKey = (LANE, b"claim")
    await ledger.park([parking(5), parking(6)], [])
    later = NOW + timedelta(days=1)
    await VerdictStore(pool, keys).store([Answer(verdict_key, Kept(Confirmed("001210999901"), later))], [], Done(NOW))
    await AliasStore(pool, keys).record([Alias("TAM-1", "0199990001")], reason="seen", by="tester")
    rotate_keys(tmp_path / "keys.json")
    rotated = load_keys(tmp_path / "keys.json")

    before = await by_key(pool)
    assert (await reseal(pool, rotated), await reseal(pool, rotated)) == (4, 0)

    assert before == {"k1": {"parked": 2, "verdicts": 1, "aliases": 1}}
    assert await by_key(pool) == {"k2": {"parked": 2, "verdicts": 1, "aliases": 1}}
    new = msgspec.json.decode((tmp_path / "keys.json").read_bytes())
    del new["ledger"]["keys"]["k1"]
    write_private(tmp_path / "k2.json", msgspec.json.encode(new))
    alone = load_keys(tmp_path / "k2.json")
    successor = SlotLedger(pool, alone, SLOT)
    assert [successor.unseal(row) for row in await successor.lanes([LANE])] == [parking(5).value, parking(6).value]
    assert (await VerdictStore(pool, alone).known([verdict_key], NOW))[verdict_key].verdict == Confirmed("001210999901")
    lane = lane_token(alone.lane_token, "TAM-1")
    assert await AliasStore(pool, alone).known([lane]) == {lane: "0199990001"}


async def test_erasure_takes_verdicts_aliases_and_closed_bodies_and_leaves_what_is_open(
    pool: Pool, keys: Keys, ledger: SlotLedger
) -> None:
    await ledger.park([parking(5), parking(6)], [])
    await ledger.finish(Aftermath(closings=[Closing(5, "released")]))
    others: ClaimKey = (LANE + 1, b"claim")
    answers = [Answer(key, Kept(NotFound(), NOW)) for key in ((LANE, b"claim"), others)]
    await VerdictStore(pool, keys).store(answers, [], Done(NOW))

    assert await erase(pool, [LANE, LANE], reason="asked for", by="tester") == Erased(1, 1, 0, 1, 1)
    assert await erase(pool, [LANE], reason="asked for", by="tester") == Erased(1, 0, 0, 0, 1)
    assert set(await VerdictStore(pool, keys).known([(LANE, b"claim"), others], NOW - timedelta(1))) == {others}
    (row,) = await ledger.lanes([LANE])
    assert ledger.unseal(row) == parking(6).value
