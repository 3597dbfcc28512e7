"""A record under a temporary pupil code, addressed anew: another pupil code, the same event, untouched evidence."""

from dataclasses import replace

import pytest
import typer

from gateway.edges.identity_aliases import Alias
from gateway.errors import Problem
from gateway.identity.plan import Desk, End
from gateway.identity.versions import AlreadyOut, Entry, mint
from gateway.national import codec
from gateway.ops.identity_commands import read_aliases
from gateway.record import H_LANE, H_RECORD_ID, H_SEQ, MAPPED_TOPIC, Op, SourceOrder, lane_token, record_id, slot_of
from gateway.workers.identity_alias import addressed_anew, is_temporary
from gateway.workers.identity_records import Item, first_seq, read
from tests.fakes.identity_school import CLAIM_KEY, LANE_KEY, Sent, make, pupil
from tests.unit.identity.test_records import Consumed

SLOTS = 4
OFFICIAL = "0199990042"
CHILD = replace(pupil(1, "known"), code="TAM-001210999901")
EVIDENCE = {"content_type": "application/xml", "sha256": "5a" * 32, "size_bytes": 7, "content": b"<signed"}


def under_temporary_code(op: str = "UPDATE") -> Item:
    return item_of(make(CHILD, 5, 3, slots=SLOTS, op=op, holds=("DQ-24", "DQ-18")))


def item_of(sent: Sent) -> Item:
    item = read(sent.value, 17, CLAIM_KEY)
    assert item is not None
    return item


def test_lane_slot_record_body_and_claim_follow_the_official_code_and_the_event_stays() -> None:
    item = under_temporary_code()
    anew = addressed_anew(item, OFFICIAL, lane_key=LANE_KEY, slots=SLOTS, seq=3)
    lane, record = lane_token(LANE_KEY, OFFICIAL), record_id(OFFICIAL, item.head["school_year"], "GDPT")
    moved = read(anew.value, 99, CLAIM_KEY, first_seq(Consumed(anew.value, anew.headers)))

    assert (anew.topic, anew.partition, anew.key) == (MAPPED_TOPIC, slot_of(lane, SLOTS), record.encode())
    assert moved is not None
    assert (moved.event.lane, moved.event.record_id, moved.event.seq) == (lane, record, 3)
    assert moved.event.entry.event_id == item.event.entry.event_id
    assert moved.event.entry.order == item.event.entry.order
    assert moved.event.holds == (Problem("DQ-18"),)
    assert not is_temporary(moved)
    assert moved.claim is not None
    assert moved.claim.pupil_code == OFFICIAL
    body = codec.decode_mapped(anew.value)["body"]
    assert body == codec.decode_mapped(item.value)["body"] | {"pupil_code": OFFICIAL}
    assert moved.head["content_hash"] == codec.content_hash(codec.encode_body(body))


def test_headers_follow_and_name_nobody() -> None:
    anew = addressed_anew(under_temporary_code(), OFFICIAL, lane_key=LANE_KEY, slots=SLOTS, seq=2)
    headers = dict(anew.headers)

    assert (headers[H_SEQ], headers[H_RECORD_ID]) == (b"2", anew.key)
    assert headers[H_LANE] == f"{lane_token(LANE_KEY, OFFICIAL):016x}".encode()
    assert all(code not in repr((anew.headers, anew.key)) for code in (OFFICIAL, CHILD.code, CHILD.citizen_id))


def test_evidence_is_carried_byte_for_byte() -> None:
    item = under_temporary_code()
    mapped = codec.decode_mapped(item.value)
    value = codec.encode_mapped(mapped["head"], codec.encode_body(mapped["body"]), codec.encode_evidence(EVIDENCE))

    anew = addressed_anew(replace(item, value=value), OFFICIAL, lane_key=LANE_KEY, slots=SLOTS, seq=2)

    assert codec.decode_mapped(anew.value)["evidence"] == codec.decode_mapped(value)["evidence"]
    assert anew.value.endswith(codec.encode_evidence(EVIDENCE))


def test_a_cancel_under_a_temporary_code_is_addressed_anew_too() -> None:
    anew = addressed_anew(under_temporary_code("CANCEL"), OFFICIAL, lane_key=LANE_KEY, slots=SLOTS, seq=2)

    mapped = codec.decode_mapped(anew.value)
    assert (mapped["body"], mapped["head"]["claim"], mapped["head"]["event_type"]) == (None, None, "CANCEL")


@pytest.mark.parametrize(("text", "seq"), [(b"7", 7), (b"", 1), (b"x", 1), (b"-2", 1), (b"9" * 40, 1)])
def test_the_number_of_the_first_receipt_is_1_unless_a_header_says_another(text: bytes, seq: int) -> None:
    assert first_seq(Consumed(b"", [(H_SEQ, text)])) == seq


def test_an_event_addressed_anew_twice_is_parked_once() -> None:
    """A crash between Kafka's commit and the closing of the old row repeats the order."""
    entry = Entry("e1", ("mau", "01999001"), SourceOrder(1, 3), "00" * 32, Op.UPDATE)
    assert mint(None, [entry], entry, frozenset()) == AlreadyOut()

    event = item_of(make(replace(CHILD, code=OFFICIAL), 5, 3, slots=SLOTS)).event
    desk = Desk()
    desk.arrive(event)

    assert desk.arrive(replace(event, offset=18)).outcome == End(None)
    assert len(desk.lanes[event.lane]) == 1


def test_a_file_of_aliases_is_read_whole_or_not_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_aliases(["TAM-1 , 0199990001", "", "TAM-2,0199990002"]) == [
        Alias("TAM-1", "0199990001"),
        Alias("TAM-2", "0199990002"),
    ]
    with pytest.raises(typer.Exit):
        read_aliases(["TAM-1,0199990001", "TAM-9", "TAM-3,TAM-3", "TAM-4,x,y"])

    told = capsys.readouterr().err
    assert "2, 3, 4" in told
    assert "TAM" not in told
