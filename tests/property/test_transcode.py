"""The generated transcoder gives the bytes of fastavro, payload and msgspec, or leaves the record to them."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.national import codec, payload, schema, transcode
from tests.strategies import evidences, learning_bodies, record_heads

Json = dict[str, Any]
LEVELS: tuple[schema.Level, ...] = ("primary", "secondary")


def slow(value: bytes, op: str) -> bytes:
    return msgspec.json.encode(payload.population_payload(codec.decode_record(value), op=op))


def readable(value: bytes) -> bytes | None:
    """The slow way's bytes; it also reads fields that are not sent, and may stumble over those."""
    try:
        return slow(value, "NEW")
    except codec.Undecodable:
        return None


def value_of(head: Json, body: Json | None, evidence: Json | None = None) -> bytes:
    return codec.encode_record(head, codec.encode_body(body) + codec.encode_evidence(evidence))


def has_repeated_rows(body: Json) -> bool:
    subjects = [row["subject_code"] for row in body["results"]["subjects"]]
    years = [row["school_year"] for row in body["history"]]
    return len(set(subjects)) < len(subjects) or len(set(years)) < len(years)


@given(
    body=st.sampled_from(LEVELS).flatmap(learning_bodies),
    head=record_heads(),
    evidence=evidences(),
    op=st.sampled_from(["NEW", "UPDATE"]),
)
def test_it_writes_the_bytes_of_the_slow_way(body: Json, head: Json, evidence: Json | None, op: str) -> None:
    value = value_of(head, body, evidence)

    found = transcode.population_json(value, op)

    if has_repeated_rows(body):
        assert found is None
    else:
        source = head["source"]
        assert found is not None
        assert found.record == slow(value, op)
        assert found.vendor_ref == head.get("vendor_ref")
        assert (found.topic, found.partition, found.offset) == (
            source["topic"],
            source["partition"],
            source["offset"],
        )
        assert (found.index, found.timestamp) == (source["index"], source["timestamp"])


@given(body=learning_bodies("secondary"), head=record_heads(), data=st.data())
def test_damaged_bytes_never_raise_and_what_both_ways_read_they_read_alike(
    body: Json, head: Json, data: st.DataObject
) -> None:
    value = bytearray(value_of(head, body))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(value[: data.draw(st.integers(len(value) - 3, len(value)))])

    found = transcode.population_json(damaged, "NEW")

    if found is not None and (alike := readable(damaged)) is not None:
        assert found.record == alike


def test_a_cancel_and_an_empty_value_are_left_to_the_slow_way() -> None:
    assert transcode.population_json(b"", "NEW") is None
    assert transcode.population_json(b"\x00\x00\x00\x00\x07rest", "NEW") is None
    assert transcode.population_json(b"\x00\x00\x00\x00\x02", "CANCEL") is None
