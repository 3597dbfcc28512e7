"""What a vendor message becomes: hostile headers change nothing, and every item has a fate."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from gateway.edges.kafka import header
from gateway.errors import Problem, severity_of
from gateway.intake import Items, Mapped, Outcome, Rejected, RejectedWhole
from gateway.intake.given import Given
from gateway.national import codec
from gateway.record import Op, Position, SourceOrder, lane_text, lane_token, record_id
from gateway.workers.intake_outputs import Envelope, outputs_of

ENVELOPE = Envelope(b"k" * 32, 4)
GOOD_TRACE = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"


@dataclass
class Message:
    headers: Sequence[tuple[str, bytes | None]] = ()
    topic: str = "vendor.mau.records"
    partition: int = 2
    offset: int = 7
    timestamp: int = 1_780_000_000_000
    key: bytes | None = None
    value: bytes | None = b"original"


@dataclass
class Connector:
    outcome: Outcome
    vendor: str = "mau"
    name: str = "mau"
    mapping_version: str = "1"
    strict: frozenset[str] = frozenset()

    def severity(self, problem: Problem) -> str:
        return "reject" if problem.code in self.strict else severity_of(problem)

    def process(self, value: bytes, position: Position, timestamp_ms: int, given: Given) -> Outcome:
        return self.outcome


def cancel(index: int = 0) -> Mapped:
    return Mapped(
        index=index,
        record_id=record_id("7999990101", "2025-2026", "GDPT"),
        pupil_code="7999990101",
        school_code="79999501",
        school_year="2025-2026",
        programme="GDPT",
        grade=None,
        event_type=Op.CANCEL,
        source_order=SourceOrder(1, 2),
        occurred_at_ms=1,
        vendor_ref=None,
        claim=None,
        body=None,
        holds=(),
        warnings=(),
        evidence=None,
    )


def made(outcome: Outcome, *headers: tuple[str, bytes | None]) -> list[tuple[str, int, bytes, dict[str, bytes]]]:
    outputs = outputs_of(Connector(outcome), Message(headers), ENVELOPE, at_ms=5)  # type: ignore[arg-type]
    return [(o.topic, o.partition, o.value, dict(o.headers)) for o in outputs]


def test_a_mapped_record_goes_to_its_pupils_slot_with_headers_that_route_it() -> None:
    lane = lane_token(ENVELOPE.lane_key, "7999990101")

    [(topic, partition, value, headers)] = made(Items((cancel(),), {}), ("traceparent", GOOD_TRACE))

    assert (topic, partition) == ("gateway.mapped", lane % 4)
    assert headers["lane"].decode() == lane_text(lane)
    assert headers["traceparent"] == GOOD_TRACE
    assert codec.split_mapped(value)[0]["source"]["offset"] == 7


@pytest.mark.parametrize("hostile", [b"Ho Ten Mau 079212999911", b"", None, GOOD_TRACE + b"\n", b"\xff\xfe"])
def test_a_trace_that_is_none_never_reaches_our_headers(hostile: bytes | None) -> None:
    [(_, _, _, headers)] = made(Items((cancel(),), {}), ("traceparent", hostile))

    assert headers["traceparent"].startswith(b"00-")
    assert headers["traceparent"].isascii()
    assert b"Mau" not in headers["traceparent"]


def test_the_vendors_event_id_is_printable_and_bounded() -> None:
    [(_, _, value, _)] = made(Items((cancel(),), {}), ("ce_id", b"a\x00b\n" + b"c" * 500))

    assert codec.split_mapped(value)[0]["vendor_event_id"] == "ab" + "c" * 198


def test_a_partly_refused_message_keeps_its_bytes_once_and_tells_each_item() -> None:
    refused = Rejected(1, (Problem("DQ-08", "subjects[15].mark_year"), Problem("DQ-33", "full_name")), "ref", None)

    mapped, receipt, original = made(Items((cancel(0), refused), {}))

    assert mapped[0] == "gateway.mapped"
    told = codec.decode_receipt(receipt[2])
    assert [p["code"] for p in told["problems"]] == ["DQ-08", "DQ-33"]
    assert told["state"] == "rejected"
    assert original[0] == "vendor.mau.rejected"
    assert original[2] == b"original"
    assert original[3]["dlt-items"] == b"1"
    assert original[3]["dlt-reason"] == b"DQ-08"
    assert original[3]["dlt-original-offset"] == b"7"


def test_a_message_refused_whole_is_one_event() -> None:
    receipt, original = sorted(made(RejectedWhole((Problem("DQ-45"),))), key=lambda output: output[0])[::-1]

    assert {receipt[0], original[0]} == {"vendor.mau.receipts", "vendor.mau.rejected"}
    assert dict(made(RejectedWhole((Problem("DQ-45"),)))[0][3])["dlt-items"] == b"*"


def test_a_null_header_reads_as_missing() -> None:
    assert header(Message((("lane", None),)), "lane") == ""


def test_a_receipt_weighs_a_problem_as_the_connector_does() -> None:
    refused = Rejected(0, (Problem("DQ-32", "subjects[32]"),), None, None)
    connector = Connector(Items((refused,), {}), strict=frozenset({"DQ-32"}))

    outputs = outputs_of(connector, Message(), ENVELOPE, at_ms=5)  # type: ignore[arg-type]

    [receipt] = [codec.decode_receipt(output.value) for output in outputs if output.topic.endswith(".receipts")]
    assert [problem["severity"] for problem in receipt["problems"]] == ["reject"]
