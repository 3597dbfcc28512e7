"""Bytes in, bytes out: what identity reads of a mapped record and what it writes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from gateway.edges.identity_rows import Published
from gateway.errors import GatewayError, Problem
from gateway.identity.names import How
from gateway.identity.plan import Row
from gateway.identity.verdicts import Confirmed, Difference
from gateway.identity.versions import Head
from gateway.national import codec
from gateway.record import H_LANE, H_TRACEPARENT, H_VERSION, Headers, State
from gateway.workers.identity_records import (
    MOST_PROBLEMS,
    Fate,
    national,
    opened,
    published,
    quarantined,
    read,
    receipt,
    unread,
)
from tests.fakes.identity_school import CLAIM_KEY, make, pupil

SLOTS = 4
SENT = make(pupil(1, "known"), 5, 3, slots=SLOTS)


@dataclass
class Consumed:
    """A record as aiokafka gives it."""

    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = field(default_factory=list)
    topic: str = "gateway.mapped"
    partition: int = 2
    offset: int = 17
    timestamp: int = 1_780_000_000_000
    key: bytes | None = None


def test_the_body_goes_through_untouched_under_a_new_head() -> None:
    item = read(SENT.value, 17, CLAIM_KEY)
    assert item is not None

    output = national(item, 4, Confirmed("001200900001", (Difference("full_name", How.CASE),)), 2)
    record, mapped = codec.decode_record(output.value), codec.decode_mapped(SENT.value)

    assert output.value.endswith(item.rest)
    assert (record["body"], record["evidence"]) == (mapped["body"], mapped["evidence"])
    assert (record["head"]["version"], record["head"]["citizen_id"]) == (4, "001200900001")
    assert record["head"]["warnings"] == [{"code": "DQ-04", "field": "full_name", "rule": "case"}]
    assert record["head"]["verdict"] == "confirmed_with_differences"
    assert dict(output.headers)[H_VERSION] == b"4"
    assert H_TRACEPARENT not in dict(output.headers)
    assert (output.partition, output.key) == (2, SENT.record_id.encode())


def test_no_header_and_no_key_names_the_pupil() -> None:
    item = read(SENT.value, 17, CLAIM_KEY)
    assert item is not None

    output = national(item, 1, Confirmed(SENT.pupil.citizen_id), 2)
    text = repr((output.headers, output.key))

    assert SENT.pupil.code not in text
    assert SENT.pupil.citizen_id not in text


def test_a_cancel_needs_no_claim_and_carries_no_citizen_id() -> None:
    item = read(make(pupil(1, "known"), 5, 3, slots=SLOTS, op="CANCEL").value, 17, CLAIM_KEY)
    assert item is not None

    head = codec.decode_record(national(item, 2, None, 2).value)["head"]

    assert item.event.claim_key is None
    assert (head["citizen_id"], head["verdict"]) == (None, "cancel")


@pytest.mark.parametrize("value", [b"", b"\x00", SENT.value[:60], b"\x00\x00\x00\xff\xff" + SENT.value[5:]])
def test_what_cannot_be_read_is_parked_by_its_headers_with_its_bytes(value: bytes) -> None:
    record = Consumed(value, SENT.headers)

    parking = unread(record)

    assert read(value, 17, CLAIM_KEY) is None
    assert parking is not None
    assert (parking.row.code, parking.row.lane, parking.event_id) == ("GW-04", SENT.pupil.lane, SENT.event_id)
    assert opened(parking.value)[1] == value


@pytest.mark.parametrize("headers", [[], [(H_LANE, b"not hex"), *SENT.headers[1:]], SENT.headers[:-1]])
def test_bytes_without_usable_headers_are_kept_whole_in_the_quarantine(headers: Headers) -> None:
    record = Consumed(b"garbage", headers)

    assert unread(record) is None
    assert quarantined(record).value == b"garbage"
    assert dict(quarantined(record).headers)["dlt-original-offset"] == b"17"


def test_a_record_that_claims_nobody_is_not_readable() -> None:
    head, rest = codec.split_mapped(SENT.value)
    nobody = codec.encode_mapped(head | {"claim": None}, rest, b"")

    assert read(nobody, 17, CLAIM_KEY) is None


def test_a_temporary_code_is_held_even_if_intake_did_not_say_so() -> None:
    head, rest = codec.split_mapped(SENT.value)
    temporary = codec.encode_mapped(head | {"claim": head["claim"] | {"temporary_code": True}}, rest, b"")

    item = read(temporary, 17, CLAIM_KEY)

    assert item is not None
    assert [hold.code for hold in item.event.holds] == ["DQ-24"]


def test_the_candidate_of_a_damaged_id_is_what_the_claim_says() -> None:
    head, rest = codec.split_mapped(SENT.value)
    claim = head["claim"] | {"citizen_id": None, "citizen_id_candidate": "001200900001"}

    item = read(codec.encode_mapped(head | {"claim": claim}, rest, b""), 17, CLAIM_KEY)

    assert item is not None
    assert item.claim is not None
    assert item.claim.citizen_id == "001200900001"


def test_a_receipt_tells_state_reason_and_fix_and_no_value() -> None:
    item = read(SENT.value, 17, CLAIM_KEY)
    assert item is not None

    output = receipt(item.head, Fate(State.PARKED, 2, [Problem("ID-03", "full_name")]), slots=SLOTS, at_ms=1)
    told = codec.decode_receipt(output.value)

    assert (told["state"], told["stage"], told["seq"], told["target"]) == ("parked", "identity", 2, None)
    assert told["problems"][0]["fix_vi"]
    assert SENT.pupil.name not in repr(told)
    assert output.topic == "vendor.mau.receipts"
    assert output.key == SENT.event_id.encode()


def test_a_parked_row_keeps_the_whole_mapped_value() -> None:
    item = read(SENT.value, 17, CLAIM_KEY)
    assert item is not None
    row = Row(17, 17, item.event.lane, item.event.record_id, item.event.entry, "ID-02")

    assert item.parking(row, State.PARKED, Problem("ID-02")).value == SENT.value


def test_a_receipt_lists_no_more_problems_than_a_reader_can_use() -> None:
    item = read(SENT.value, 17, CLAIM_KEY)
    assert item is not None
    problems = [Problem("ID-03", f"field_{number}") for number in range(MOST_PROBLEMS + 1)]

    output = receipt(item.head, Fate(State.PARKED, 1, problems), slots=SLOTS, at_ms=1)

    told = codec.decode_receipt(output.value)["problems"]
    assert [problem["field"] for problem in told] == [problem.field for problem in problems[:MOST_PROBLEMS]]


def test_a_published_record_is_read_back_as_its_head() -> None:
    item = read(SENT.value, 17, CLAIM_KEY)
    assert item is not None
    output = national(item, 4, Confirmed("001200900001"), 2)

    found = published(Consumed(output.value, output.headers, "national.records", 2, 9))

    assert found == Published(SENT.record_id, item.event.lane, Head(4, item.event.entry), 9)


@pytest.mark.parametrize("value", [None, b"", b"garbage", b"\x00", b"\x00\x00\x00\xff\xff\x02"])
def test_a_national_record_that_nobody_can_read_became_no_head(value: bytes | None) -> None:
    assert published(Consumed(value)) is None


def test_a_head_in_a_newer_schema_is_not_passed_over() -> None:
    item = read(SENT.value, 17, CLAIM_KEY)
    assert item is not None
    output = national(item, 4, Confirmed("001200900001"), 2)
    newer = Consumed(b"\x00\x00\x00\xff\xff" + output.value[5:], output.headers, "national.records", 2, 9)

    with pytest.raises(GatewayError, match=r"national\.records-2@9"):
        published(newer)
