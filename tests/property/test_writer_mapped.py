"""Values and headers of gateway.mapped, written straight, are those that the codec makes of the same head."""

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Problem
from gateway.intake import Items, Mapped
from gateway.intake.outcome import Claim
from gateway.national import codec
from gateway.national.writer import MISFITS
from gateway.national.writer_mapped import Ids, Spot, mapped_value, place
from gateway.record import (
    EVENT_NAMESPACE,
    RECORD_NAMESPACE,
    Op,
    Position,
    SourceOrder,
    event_id,
    lane_token,
    record_id,
)
from gateway.workers.intake_outputs import Envelope, mapped_headers, outputs_of
from tests.strategies import evidences, learning_bodies, mapped_heads

BODY = b"\x02body"


def mapped(head: dict[str, Any], evidence: dict[str, Any] | None = None) -> Mapped:
    """The intake outcome that *head* would be made of."""
    claim = head["claim"]
    return Mapped(
        index=head["source"]["index"],
        record_id=head["record_id"],
        pupil_code="7999990101",
        school_code=head["school_code"],
        school_year=head["school_year"],
        programme=head["programme"],
        grade=head.get("grade"),
        event_type=Op(head["event_type"]),
        source_order=SourceOrder(**head["source_order"]),
        occurred_at_ms=head["occurred_at"],
        vendor_ref=head.get("vendor_ref"),
        claim=None if claim is None else Claim(**claim),
        body=None,
        holds=tuple(Problem(**one) for one in head["holds"]),
        warnings=tuple(Problem(**one) for one in head["warnings"]),
        evidence=evidence,
        encoded=BODY,
    )


def straight(head: dict[str, Any], evidence: dict[str, Any] | None) -> bytes:
    """The value of *head* by the straight writer."""
    source = head["source"]
    names = ("event_id", "record_id", "lane", "content_hash", "traceparent")
    return mapped_value(
        place(head["vendor"], head["connector"], source["topic"], source["partition"]),
        Spot(source["offset"], source["timestamp"], head["vendor_event_id"]),
        Ids(*[head[name].encode() for name in names]),
        mapped(head),
        BODY,
        codec.encode_evidence(evidence),
    )


@pytest.mark.parametrize("event_type", ["NEW", "UPDATE", "CANCEL"])
@given(st.data())
def test_values_are_those_of_the_codec(event_type: str, data: st.DataObject) -> None:
    head = data.draw(mapped_heads(event_type)) | {"cause": None}
    head["traceparent"] = head["traceparent"] or "t"
    evidence = data.draw(evidences())

    assert straight(head, evidence) == codec.encode_mapped(head, BODY, codec.encode_evidence(evidence))


@pytest.mark.parametrize(
    "changes",
    [
        {"school_code": None},
        {"vendor_ref": 7},
        {"occurred_at": 1 << 63},
        {"occurred_at": "1"},
        {"vendor_ref": "\ud800"},
        {"vendor_ref": "x" * 9_000},
    ],
)
@given(st.data())
def test_what_is_not_plainly_right_is_left_to_the_codec(changes: dict[str, Any], data: st.DataObject) -> None:
    head = data.draw(mapped_heads()) | {"cause": None, "traceparent": "t"}
    with pytest.raises(MISFITS):
        straight(head | changes, None)


def test_a_flag_that_is_no_flag_is_left_to_the_codec() -> None:
    claim = Claim("c", 1, None, None, "n", "2012", "1", "VN")  # type: ignore[arg-type]
    item = Mapped(0, "r", "c", "s", "y", "GDPT", None, Op.NEW, SourceOrder(1, 1), 1, None, claim, None, (), (), None)
    with pytest.raises(MISFITS):
        mapped_value(place("v", "v@1", "t", 0), Spot(0, 0, None), Ids(b"", b"", b"", b"", b""), item, b"", b"")


@dataclass(frozen=True, slots=True)
class Sent:
    """A consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes = b""
    value: bytes = b"{}"
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """A connector that says what it was told."""

    vendor: str
    item: Mapped
    name: str = "mau_v1"
    mapping_version: str = "3"

    def process(self, *_: object) -> Items:
        return Items((self.item,), {})


@given(st.data())
def test_an_output_is_its_head_and_that_head_s_headers(data: st.DataObject) -> None:
    head = data.draw(mapped_heads())
    body = data.draw(learning_bodies("secondary"))
    source = head["source"]
    item = mapped(head, data.draw(evidences()))
    item = Mapped(**{name: getattr(item, name) for name in item.__slots__} | {"body": body, "encoded": None})  # type: ignore[attr-defined]
    record: Any = Sent(source["topic"], source["partition"], source["offset"], source["timestamp"])

    connector: Any = Told(head["vendor"], item)
    (output,) = outputs_of(connector, record, Envelope(b"k" * 32, 12), at_ms=0)

    read = codec.decode_mapped(output.value)
    written, rest = codec.split_mapped(output.value)
    assert read["head"] == written
    assert written["content_hash"] == hashlib.sha256(codec.encode_body(body)).hexdigest()
    assert rest == codec.encode_body(body) + codec.encode_evidence(item.evidence)
    assert output.headers == mapped_headers(written)
    told = {"connector", "event_id", "lane", "content_hash", "vendor_event_id", "traceparent", "cause"}
    given_head = {name: value for name, value in head.items() if name not in told}
    assert {name: written[name] for name in given_head} == given_head


@given(st.text(max_size=20), st.integers(0, 99), st.integers(0, 2**62), st.integers(0, 500))
def test_event_ids_are_version_5_uuids(topic: str, partition: int, offset: int, index: int) -> None:
    name = f"{topic}|{partition}|{offset}|{index}"

    assert event_id(Position(topic, partition, offset), index) == str(uuid.uuid5(EVENT_NAMESPACE, name))


@given(st.binary(max_size=200), st.text(alphabet="0123456789ABC", max_size=20))
def test_lanes_are_hmacs_of_the_code(key: bytes, code: str) -> None:
    digest = hmac.digest(key, code.encode(), "sha256")

    assert lane_token(key, code) == int.from_bytes(digest[:8], "big")
    assert record_id(code, "2025-2026", "GDPT") == str(uuid.uuid5(RECORD_NAMESPACE, f"v1|{code}|2025-2026|GDPT"))
