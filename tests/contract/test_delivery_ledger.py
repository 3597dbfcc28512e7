"""What the ledger must do for delivery: asked of the fake in memory and of PostgreSQL alike."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import pytest

from gateway.delivery.effects import Arm, CloseOrder, CreatePacket, MarkPacket, Park, Revoke, Settle, Tried, Write
from gateway.delivery.events import Ordered
from gateway.delivery.values import BEHIND, REVOKED, Entry, Known, Member, OpenPacket, Reason
from gateway.edges.delivery_ledger import DeliveryLedger, Flush, LostSlot, ReceiptRow
from gateway.edges.ledger import Pool, make_pool
from gateway.record import Op, State, lane_signed
from gateway.sandbox.embedded import Servers
from tests.fakes.delivery_slot_ledger import FakeSlotLedger, SlotStore
from tests.servers import new_ledger

LANE = 2**64 - 5
"""Above PostgreSQL's signed range."""
Owner = Callable[[], Any]


class Rig:
    """Owners of one slot, and what people write into its ledger."""

    def __init__(self, owner: Owner, order: Callable[[int, int, int, str], Any]) -> None:
        self.owner = owner
        self.order = order


@pytest.fixture(scope="module")
def shared_url(servers: Servers) -> str:
    """One ledger for all tests of this file; each has a target of its own in it."""
    return new_ledger(servers, "ledger_contract")


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.servers)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "fake":
        store = SlotStore(asyncio.get_running_loop().time)

        async def given(order: int, lane: int, offset: int, action: Any) -> None:
            store.orders.append(Ordered(order, lane, offset, action))

        yield Rig(lambda: FakeSlotLedger(store), given)
        return
    pool = make_pool(request.getfixturevalue("shared_url"), 2)
    await pool.open()
    target = f"t-{request.node.name}"
    yield Rig(lambda: DeliveryLedger(pool, target, 1, "test"), lambda *order: _ordered(pool, target, *order))
    await pool.close()


async def _ordered(pool: Pool, target: str, order: int, lane: int, offset: int, action: str) -> None:
    text = (
        "INSERT INTO orders (id, stage, target, slot, lane, topic_offset, action, reason, ordered_by) "
        "OVERRIDING SYSTEM VALUE VALUES (%s, 'delivery', %s, 1, %s, %s, %s, 'test', 'test')"
    )
    async with pool.connection() as connection:
        await connection.execute(text, (order, target, lane_signed(lane), offset, action))


async def taken_over(rig: Rig, lease_s: float = 5.0) -> Any:
    ledger = rig.owner()
    await ledger.raise_epoch()
    await ledger.renew(lease_s)
    return ledger


def entry(offset: int = 7, version: int = 1, op: Op = Op.NEW, name: int = 1) -> Entry:
    record, event = str(uuid.UUID(int=name)), str(uuid.UUID(int=1000 + offset))
    return Entry(offset, record, event, version, op, LANE, "ab" * 32, "mau", 2025, 0)


def settle(one: Entry, state: State = State.ACCEPTED, op: Op = Op.NEW, **more: Any) -> Settle:
    return Settle(one, state, op, more.pop("seq", 1), 0, more.pop("row", False), **more)


def park(one: Entry, *codes: str, seq: int = 1, doubt: bool = False, step: bool = False) -> Park:
    return Park(one, tuple(Reason(code, "X1") for code in codes), seq, 0, doubt, step)


def flush(ticket: int = 1, **rows: Any) -> Flush:
    parks = rows.get("parks", ())
    receipts = {(p.entry.offset, p.seq): b"receipt" for p in parks if not p.step}
    return Flush([Write(ticket, **rows)], [ReceiptRow("mau", str(uuid.UUID(int=5)), b"told")], receipts)


async def test_a_new_owner_learns_how_long_the_lease_of_the_one_before_runs(rig: Rig) -> None:
    await taken_over(rig, 5.0)
    second = rig.owner()

    assert await second.raise_epoch() == pytest.approx(5.0, abs=1.0)


async def test_a_lease_handed_back_is_over(rig: Rig) -> None:
    first = await taken_over(rig)
    await first.hand_back()

    assert await rig.owner().raise_epoch() == 0


async def test_an_owner_before_neither_renews_nor_writes(rig: Rig) -> None:
    first = await taken_over(rig)
    second = await taken_over(rig)
    with pytest.raises(LostSlot):
        await first.renew(5.0)
    with pytest.raises(LostSlot):
        await first.write(flush(settles=[settle(entry())]))
    with pytest.raises(LostSlot):
        await first.load()

    assert await second.known([(2025, entry().record_id)]) == {}
    assert await second.unpublished(10) == []


async def test_what_is_settled_is_known_with_what_the_target_holds(rig: Rig) -> None:
    ledger = await taken_over(rig)
    await ledger.write(flush(settles=[settle(entry(7, 1)), settle(entry(8, 2), State.SUPERSEDED)]))
    await ledger.write(
        flush(2, settles=[settle(entry(9, 3), op=Op.UPDATE), settle(entry(10, 4), State.DISCARDED, doubt=True)])
    )

    known = await ledger.known([(2025, entry().record_id), (2025, str(uuid.UUID(int=99)))])
    assert known == {entry().record_id: Known(frozenset({1, 2, 3, 4}), 3, Op.UPDATE, 4)}


async def test_a_version_that_was_revoked_is_not_in_force(rig: Rig) -> None:
    ledger = await taken_over(rig)
    await ledger.write(flush(settles=[settle(entry(7, 1))]))
    step = park(entry(8, 2), REVOKED, step=True)
    await ledger.write(flush(2, revokes=[Revoke(entry(8, 2), 1)], parks=[step]))

    known = (await ledger.known([(2025, entry().record_id)]))[entry().record_id]
    assert (known.held, known.revoked, known.in_force, known.left_revoked) == (1, 1, False, True)
    started = (await (await taken_over(rig)).load()).started
    assert (list(started.parked), list(started.live)) == ([LANE], [LANE])  # a successor goes on by itself


async def test_parked_rows_come_back_with_reason_doubt_and_receipt(rig: Rig) -> None:
    ledger = await taken_over(rig)
    await ledger.write(flush(parks=[park(entry(7), "TG-02", doubt=True), park(entry(8, 2), BEHIND)]))

    loaded = await ledger.lane(LANE)
    assert [(row.entry.offset, row.reason.code, row.seq, row.sent) for row in loaded.rows] == [
        (7, "TG-02", 1, "maybe"),
        (8, "GW-03", 1, "no"),
    ]
    assert dict(loaded.receipts) == {7: b"receipt", 8: b"receipt"}
    assert loaded.rows[0].entry == entry(7)


async def test_a_row_is_closed_by_its_end_state_and_never_opened_again(rig: Rig) -> None:
    ledger = await taken_over(rig)
    await ledger.write(flush(parks=[park(entry(7), "TG-02")]))
    await ledger.write(flush(2, arms=[Arm(7, "released")]))
    assert (await ledger.lane(LANE)).rows[0].sent == "released"
    await ledger.write(flush(3, arms=[Arm(7, "released"), Arm(7)]))
    assert (await ledger.lane(LANE)).rows[0].sent == "again"
    await ledger.write(flush(4, settles=[settle(entry(7), row=True, seq=2)]))

    assert (await ledger.lane(LANE)).rows == []
    assert not (await (await taken_over(rig)).load()).started.parked


@pytest.mark.parametrize(
    ("parks", "live"),
    [
        ([("TG-02", "")], False),
        ([("TG-02", ""), (BEHIND, "")], False),
        ([(BEHIND, "")], True),
        ([("TG-06", "again")], True),
        ([("TG-02", "released")], True),
        ([("GW-02", "again")], False),
    ],
)
async def test_a_new_owner_knows_which_parked_lanes_go_on_by_themselves(
    rig: Rig, parks: list[tuple[str, Literal["", "released", "again"]]], live: bool
) -> None:
    ledger = await taken_over(rig)
    rows = [park(entry(7 + n, 1 + n), code) for n, (code, _) in enumerate(parks)]
    await ledger.write(flush(parks=rows))
    armed = [Arm(7 + n, sent) for n, (_, sent) in enumerate(parks) if sent]
    await ledger.write(flush(2, arms=armed))

    started = (await (await taken_over(rig)).load()).started
    assert (list(started.parked), list(started.live)) == ([LANE], [LANE] if live else [])


async def test_an_open_packet_is_inherited_with_what_is_left_of_it(rig: Rig) -> None:
    ledger = await taken_over(rig)
    members = (Member(entry(7)), Member(entry(8, 1, name=2)), Member(entry(9, 2, name=3), revokes=1))
    name = str(uuid.UUID(int=77))
    await ledger.write(flush(packets=[CreatePacket(name, Op.NEW, members, b"h" * 32)]))
    await ledger.write(flush(2, settles=[settle(entry(7))], packets=[MarkPacket(name, "submitted")]))

    (packet,) = (await (await taken_over(rig)).load()).started.packets
    assert isinstance(packet, OpenPacket)
    assert (packet.packet, packet.submitted, tuple(packet.members)) == (name, True, members[1:])
    await (ledger := await taken_over(rig)).write(flush(3, packets=[MarkPacket(name, "settled", ())]))
    assert not (await ledger.load()).started.packets


async def test_the_send_horizon_only_rises(rig: Rig) -> None:
    ledger = await taken_over(rig)
    await ledger.write(flush(horizon=500))
    await ledger.write(flush(2, horizon=400))

    second = await taken_over(rig)
    assert second.horizon == 500


async def test_orders_stay_open_until_they_are_answered(rig: Rig) -> None:
    ledger = await taken_over(rig)
    await rig.order(1, LANE, 7, "release")
    await rig.order(2, LANE, 8, "discard")
    assert [(o.order, o.lane, o.offset, o.action) for o in await ledger.orders([2])] == [(1, LANE, 7, "release")]
    await ledger.write(flush(parks=[park(entry(7), "TG-02")]))
    await ledger.write(flush(2, arms=[Arm(7, "released")], orders=[CloseOrder(1, True, "released")]))

    assert [order.order for order in await ledger.orders([])] == [2]


async def test_a_receipt_stays_in_the_outbox_until_kafka_has_it(rig: Rig) -> None:
    ledger = await taken_over(rig)
    await ledger.write(flush(settles=[settle(entry())]))
    waiting = await ledger.unpublished(10)
    assert [one.receipt.payload for one in waiting] == [b"told"]
    await ledger.published(waiting)

    assert await ledger.unpublished(10) == []


async def test_attempts_and_alarms_are_taken_without_a_word(rig: Rig) -> None:
    ledger = await taken_over(rig)
    tried = [Tried(entry(), n % 20 + 1, "ambiguous") for n in range(45)]
    await ledger.write(flush(tried=tried, alarm="TG-07"))
    await ledger.write(flush(2, tried=tried[:3], alarm=""))
    await ledger.tell_held("TG-08")

    assert await ledger.known([(2025, entry().record_id)]) == {}
