"""Identity's ledger on real PostgreSQL: monotone heads, rows that are never reopened, one owner, sealed verdicts."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from gateway.edges.identity_ledger import SlotLedger, SlotLost
from gateway.edges.identity_rows import Aftermath, Closing, Parking, Published, Repark
from gateway.edges.identity_verdicts import Answer, Kept, VerdictStore
from gateway.edges.keys import Keys, load_keys, new_keys
from gateway.edges.ledger import Pool, make_pool, migrate
from gateway.errors import Problem
from gateway.identity.plan import ClaimKey, Row
from gateway.identity.verdicts import Confirmed, Differs, NoCitizenId, NotFound, Several, Verdict
from gateway.identity.versions import Entry, Head
from gateway.record import Op, SourceOrder, State

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
    migrate(ledger_url)
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
        Confirmed("001210999901", (Problem("DQ-04", "full_name"),)),
        Differs(("full_name", "gender")),
        NotFound(),
        Several(),
        NoCitizenId(),
    ],
)
async def test_a_verdict_comes_back_until_it_expires(pool: Pool, keys: Keys, verdict: Verdict) -> None:
    store = VerdictStore(pool, keys)
    key: ClaimKey = (LANE, b"c" * 32)
    kept = Kept(verdict, NOW + timedelta(minutes=1))

    await store.store([Answer(key, kept)], purpose="TEST", request_id=uuid.UUID(int=1), now=NOW)

    assert await store.known([key, (1, b"x")], NOW) == {key: kept}
    assert await store.known([key], NOW + timedelta(minutes=2)) == {}
    await store.forget([key])
    assert await store.known([key], NOW) == {}


async def test_no_citizen_id_stands_in_the_ledger_in_clear(pool: Pool, keys: Keys, ledger_url: str) -> None:
    answer = Answer((LANE, b"c" * 32), Kept(Confirmed("001210999901"), NOW))
    await VerdictStore(pool, keys).store([answer], purpose="TEST", request_id=uuid.UUID(int=1), now=NOW)

    with psycopg.connect(ledger_url) as connection:
        verdicts = connection.execute("SELECT verdicts::text FROM verdicts").fetchall()
        audit = connection.execute("SELECT purpose, lane, verdict FROM lookups").fetchall()

    assert "9999" not in verdicts[0][0]
    assert b"001210999901".hex() not in verdicts[0][0]
    assert audit == [("TEST", -3, "confirmed")]
