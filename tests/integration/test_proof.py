"""The proof of delivery of one record, from what delivery itself wrote into PostgreSQL."""

import hashlib
import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.delivery.effects import CreatePacket, MarkPacket, Park, Revoke, Settle, Tried, Write
from gateway.delivery.values import Entry, Member, Reason
from gateway.edges.delivery_ledger import DeliveryLedger, Flush
from gateway.edges.ledger import Pool, make_pool, migrate
from gateway.edges.operator_stream import ReceiptFound
from gateway.edges.proof_ledger import proof
from gateway.ops.proof import document
from gateway.record import Op, State, idempotency_key

pytestmark = pytest.mark.servers
RECORD, PACKET = str(uuid.UUID(int=1)), str(uuid.UUID(int=9))


def entry(version: int) -> Entry:
    event = str(uuid.UUID(int=100 + version))
    return Entry(version, RECORD, event, version, Op.UPDATE, 5, "ab" * 32, "mau", 2025, 0)


@pytest.fixture
async def pool(ledger_url: str) -> AsyncIterator[Pool]:
    migrate(ledger_url)
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
