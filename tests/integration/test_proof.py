"""The proof of delivery of one record, from what delivery itself wrote into PostgreSQL."""

import hashlib
import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.delivery.effects import CreatePacket, MarkPacket, Park, Revoke, Settle, Tried, Write
from gateway.delivery.values import Entry, Member, Reason
from gateway.edges.delivery_ledger import DeliveryLedger, Flush
from gateway.edges.ledger import Pool, make_pool
from gateway.edges.operator_stream import ReceiptFound
from gateway.edges.proof_ledger import proof
from gateway.edges.story_ledger import events_of
from gateway.ops.proof import document
from gateway.record import Op, State, idempotency_key

pytestmark = pytest.mark.servers
RECORD, PACKET = str(uuid.UUID(int=1)), str(uuid.UUID(int=9))


def entry(version: int) -> Entry:
    event = str(uuid.UUID(int=100 + version))
    return Entry(version, RECORD, event, version, Op.UPDATE, 5, "ab" * 32, "mau", 2025, 0)


@pytest.fixture
async def pool(ledger_url: str) -> AsyncIterator[Pool]:
    opened = make_pool(ledger_url, 2)
    await opened.open()
    yield opened
    await opened.close()


async def written(pool: Pool, target: str, *writes: Write) -> None:
    ledger = DeliveryLedger(pool, target, 0, "test")
    await ledger.raise_epoch()
    await ledger.write(Flush(list(writes)))


async def test_a_proof_shows_versions_keys_answers_packets_attempts_and_times_of_each_target(pool: Pool) -> None:
    one, two = entry(1), entry(2)
    members = (Member(one),)
    first = Settle(one, State.ACCEPTED, Op.NEW, 1, 0, row=False, packet=PACKET, reply="duplicate")
    await written(
        pool,
        "sector",
        Write(1, packets=[CreatePacket(PACKET, Op.NEW, members, hashlib.sha256(b"bytes").digest())]),
        Write(2, tried=[Tried(one, 1, "ambiguous")]),
        Write(3, settles=[first], packets=[MarkPacket(PACKET, "settled", ())]),
        Write(4, revokes=[Revoke(two, 1)], tried=[Tried(two, 1, "refused MAU-L02")]),
        Write(5, parks=[Park(two, (Reason("TG-06", "MAU-L02"),), 1, 0, doubt=False)]),
    )
    await written(pool, "population", Write(1, settles=[Settle(one, State.ACCEPTED, Op.NEW, 1, 0, row=False)]))
    receipt = ReceiptFound("vendor.mau.receipts-0@3", 5, "delivery", "sector", "accepted", 1, 1, ())
    made = document(await proof(pool, [one.event_id, two.event_id]), {one.event_id: (receipt,)})

    assert [version["version"] for version in made["versions"]] == [1, 2]
    population, sector = made["versions"][0]["targets"]
    assert (population["target"], population["state"], population["packet"]) == ("population", "accepted", None)
    assert sector["idempotency_key"] == idempotency_key("sector", RECORD, 1, "ab" * 32)
    assert (sector["reply"], sector["asked"], sector["revoked_for_version"]) == ("duplicate", "NEW", 2)
    assert sector["packet"]["guid"] == PACKET
    assert sector["packet"]["bytes_sha256"] == hashlib.sha256(b"bytes").hexdigest()
    assert [(a["n"], a["outcome"]) for a in sector["attempts"]] == [(1, "ambiguous")]
    assert made["versions"][0]["receipts"][0]["position"] == "vendor.mau.receipts-0@3"
    (held,) = made["versions"][1]["targets"]
    assert (held["state"], held["code"], held["reply"], held["may_be_applied"]) == ("parked", "TG-06", "MAU-L02", False)
    body = {"versions": made["versions"]}
    assert made["sha256"] == hashlib.sha256(msgspec.json.encode(body)).hexdigest()


HEAD = """
INSERT INTO heads (record_id, slot, lane, vendor, school_code, version, epoch, source_order, content_hash, op, event_id,
                   topic_offset)
VALUES (%s, 0, 5, 'mau', '00000001', %s, 1, 1, decode(%s, 'hex'), 'UPDATE', %s, %s)
"""


async def test_a_member_of_an_open_packet_is_under_way_with_its_key_packet_and_attempts(pool: Pool) -> None:
    one = entry(1)
    await written(
        pool,
        "sector",
        Write(1, packets=[CreatePacket(PACKET, Op.NEW, (Member(one),), b"hash")]),
        Write(2, tried=[Tried(one, 1, "unavailable")], packets=[MarkPacket(PACKET, "submitted")]),
    )
    assert await events_of(pool, RECORD) == [one.event_id]
    made = document(await proof(pool, [one.event_id]), {})

    (version,) = made["versions"]
    assert (version["version"], version["event_id"], version["content_hash"]) == (1, one.event_id, "ab" * 32)
    (at,) = version["targets"]
    assert (at["target"], at["state"], at["asked"], at["may_be_applied"]) == ("sector", "under_way", "NEW", True)
    assert at["idempotency_key"] == idempotency_key("sector", RECORD, 1, "ab" * 32)
    assert (at["packet"]["guid"], at["packet"]["step"]) == (PACKET, "submitted")
    assert [(a["n"], a["outcome"]) for a in at["attempts"]] == [(1, "unavailable")]


async def test_a_member_that_has_its_verdict_is_not_under_way_in_a_packet_that_waits_for_others(pool: Pool) -> None:
    one = entry(1)
    await written(
        pool,
        "sector",
        Write(1, packets=[CreatePacket(PACKET, Op.NEW, (Member(one),), b"hash")]),
        Write(2, settles=[Settle(one, State.ACCEPTED, Op.NEW, 1, 0, row=False, packet=PACKET)]),
    )
    made = document(await proof(pool, [one.event_id]), {})

    assert [at["state"] for at in made["versions"][0]["targets"]] == ["accepted"]


async def test_a_parked_record_that_was_released_says_which_packet_it_travels_in(pool: Pool) -> None:
    one = entry(1)
    await written(
        pool,
        "sector",
        Write(1, parks=[Park(one, (Reason("TG-02", "MAU-L07"),), 1, 1, doubt=False)]),
        Write(2, packets=[CreatePacket(PACKET, Op.NEW, (Member(one, seq=1),), b"hash")]),
    )
    made = document(await proof(pool, [one.event_id]), {})

    (at,) = made["versions"][0]["targets"]
    assert (at["state"], at["code"], at["packet"]["guid"], at["packet"]["step"]) == ("parked", "TG-02", PACKET, "built")


async def test_the_attempts_of_the_newest_version_are_shown_before_anything_came_of_them(pool: Pool) -> None:
    one = entry(1)
    async with pool.connection() as connection:
        await connection.execute(HEAD, (RECORD, 1, "ab" * 32, one.event_id, 1))
    await written(pool, "population", Write(1, tried=[Tried(one, 1, "ambiguous"), Tried(one, 2, "unavailable")]))
    await written(pool, "sector", Write(1, settles=[Settle(one, State.ACCEPTED, Op.NEW, 1, 0, row=False)]))
    made = document(await proof(pool, [one.event_id]), {})

    settled, under_way = made["versions"][0]["targets"]
    assert (settled["target"], settled["state"]) == ("sector", "accepted")
    assert (under_way["target"], under_way["state"], under_way["packet"]) == ("population", "under_way", None)
    assert [(a["n"], a["outcome"]) for a in under_way["attempts"]] == [(1, "ambiguous"), (2, "unavailable")]


async def test_the_large_tables_are_partitioned_and_attempts_bounded(pool: Pool) -> None:
    one = entry(1)
    await written(pool, "sector", Write(1, tried=[Tried(one, n % 20 + 1, "ambiguous") for n in range(70)]))
    async with pool.connection() as connection:
        parents = "SELECT relname FROM pg_class WHERE relkind = 'p' ORDER BY relname"
        partitioned = {row[0] for row in await (await connection.execute(parents)).fetchall()}
        rows = await (
            await connection.execute("SELECT tableoid::regclass::text, count(*) FROM attempts GROUP BY 1")
        ).fetchall()

    assert {"attempts", "deliveries", "event_states", "outbox", "lookups", "rejections"} <= partitioned
    assert rows == [("attempts_2025", 20)]
