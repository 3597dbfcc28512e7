"""What the delivery worker makes of records that are not its own, of long answers, and of a ledger that is down."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from gateway.delivery.effects import Park
from gateway.delivery.values import Entry, Reason
from gateway.edges.delivery_ledger import DeliveryLedger
from gateway.edges.delivery_rows import Origin
from gateway.edges.kafka import Output
from gateway.edges.ledger import make_pool
from gateway.national import codec
from gateway.record import NATIONAL_TOPIC, QUARANTINE_TOPIC, Op, Position
from gateway.workers.delivery_records import MOST_PROBLEMS, Foreign, Receipts, entry_of

UUID = "0a6c1f00-0000-4000-8000-0000000000e1"
GOOD = {
    "ce_id": UUID,
    "ce_source": "/vendors/mau",
    "record_id": UUID,
    "content_hash": "ab" * 32,
    "lane": "f" * 16,
    "op": "NEW",
    "school_year": "2024-2025",
    "version": "3",
}


@dataclass
class Consumed:
    """A record as it is read."""

    headers: Sequence[tuple[str, bytes | None]]
    topic: str = NATIONAL_TOPIC
    partition: int = 5
    offset: int = 42
    timestamp: int = 0
    key: bytes | None = b"key"
    value: bytes | None = field(default=b"bytes")


def consumed(headers: dict[str, str]) -> Consumed:
    return Consumed([(name, text.encode()) for name, text in headers.items()])


def test_a_national_record_is_told_by_its_headers() -> None:
    read = entry_of(consumed(GOOD))

    assert read == Entry(42, UUID, UUID, 3, Op.NEW, 2**64 - 1, "ab" * 32, "mau", 2024, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ce_id": "no"},
        {"record_id": ""},
        {"ce_source": "elsewhere"},
        {"ce_source": "/vendors/../x"},
        {"content_hash": "ab"},
        {"lane": "-1"},
        {"lane": "f" * 17},
        {"op": "MERGE"},
        {"school_year": "0000-0001"},
        {"school_year": ""},
        {"version": "0"},
        {"version": str(2**31)},
    ],
)
def test_a_header_that_the_ledger_could_not_keep_makes_the_record_foreign(wrong: dict[str, str]) -> None:
    assert isinstance(entry_of(consumed(GOOD | wrong)), Foreign)


def test_a_foreign_record_goes_into_quarantine_whole() -> None:
    read = entry_of(Consumed([("theirs", b"x"), ("empty", None)]))

    headers = [
        ("dlt-stage", b"delivery"),
        ("dlt-reason", b"GW-04"),
        ("dlt-original-topic", NATIONAL_TOPIC.encode()),
        ("dlt-original-partition", b"5"),
        ("dlt-original-offset", b"42"),
        ("theirs", b"x"),
    ]
    output = Output(QUARANTINE_TOPIC, 5, b"key", b"bytes", headers)
    assert read == Foreign(Position(NATIONAL_TOPIC, 5, 42), output)


def test_a_receipt_names_a_hundred_problems_at_most() -> None:
    entry = entry_of(consumed(GOOD))
    assert isinstance(entry, Entry)
    park = Park(entry, tuple(Reason("TG-02", f"MAU-L{n}") for n in range(5000)), 1, 1, doubt=False)

    row = Receipts("sector").parked(park, Origin(None, "vendor.mau.records", 0, 1, 0, 0), 1)

    rules = [problem["rule"] for problem in codec.decode_receipt(row.payload)["problems"]]
    assert rules == [f"MAU-L{n}" for n in range(MOST_PROBLEMS)]


async def test_handing_back_while_the_ledger_is_down_is_no_error() -> None:
    ledger = DeliveryLedger(make_pool("postgresql://localhost:1/none", 1), "sector", 0, "owner")

    await ledger.hand_back()

    assert ledger.epoch == 0
