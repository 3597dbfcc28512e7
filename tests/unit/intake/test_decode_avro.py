"""Vendors' Avro messages: schemas looked over first, bytes read to the last one, bombs refused."""

import io
import json
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from gateway.intake.decode_avro import (
    WriterSchema,
    decode_avro,
    encode_line,
    header_of,
    id_header,
    read_schema,
    schema_id_of,
)
from gateway.intake.decode_avro_schema import MAX_SCHEMA_DEPTH

PUPIL: dict[str, Any] = {
    "type": "record",
    "name": "Pupil",
    "namespace": "vn.mau",
    "fields": [
        {"name": "code", "type": "string"},
        {"name": "rows", "type": {"type": "array", "items": {"type": "record", "name": "Row", "fields": [
            {"name": "code", "type": ["null", "string"], "default": None}]}}},
        {"name": "sex", "type": {"type": "enum", "name": "Sex", "symbols": ["NAM", "NU"]}},
        {"name": "mark", "type": ["null", "double"]},
        {"name": "more", "type": {"type": "map", "values": "Row"}},
    ],
}  # fmt: skip


def schema_of(schema: object) -> WriterSchema:
    found = read_schema(json.dumps(schema))
    assert isinstance(found, WriterSchema), found
    return found


def written(schema: Any, value: object) -> bytes:
    stream = io.BytesIO()
    schemaless_writer(stream, parse_schema(schema), value)
    return stream.getvalue()


def zigzag(number: int) -> bytes:
    rest, out = (number << 1) ^ (number >> 63), b""
    while rest > 0x7F:
        out += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return out + bytes([rest])


CLEAN = {"code": "2299990401", "rows": [{"code": None}, {"code": "02"}], "sex": "NU", "mark": 8.5, "more": {}}


def test_a_message_is_read_into_plain_values() -> None:
    value = written(PUPIL, CLEAN)

    assert decode_avro(value, 0, schema_of(PUPIL)) == CLEAN | {"mark": Decimal("8.5")}


def test_numbers_days_and_times_become_what_the_mapping_reads() -> None:
    plain = [
        ("f", "float", 8.1, Decimal("8.1")),
        ("d", "double", 0.1, Decimal("0.1")),
        ("nan", "float", float("nan"), None),
        ("day", {"type": "int", "logicalType": "date"}, 17_776, "2018-09-02"),
        ("far", {"type": "int", "logicalType": "date"}, 2**31 - 1, str(2**31 - 1)),
        ("ms", {"type": "long", "logicalType": "timestamp-millis"}, 1_779_868_800_000, 1_779_868_800_000),
        ("us", {"type": "long", "logicalType": "timestamp-micros"}, 1_779_868_800_000_000, 1_779_868_800_000),
        ("wall", {"type": "long", "logicalType": "local-timestamp-millis"}, 1_779_894_000_000, 1_779_868_800_000),
        ("dec", {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}, b"\x03\x20", Decimal("8.00")),
        ("minus", {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 1}, b"\xff", Decimal("-0.1")),
        ("long", {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 1}, b"\x7f" * 10_000, None),
        ("id", {"type": "string", "logicalType": "uuid"}, "6f1d6c1e-0000-4000-8000-0000000000d1", None),
    ]  # fmt: skip
    schema = {"type": "record", "name": "R", "fields": [{"name": n, "type": t} for n, t, _, _ in plain]}
    bare = {"type": "record", "name": "R", "fields": [
        {"name": n, "type": t["type"] if isinstance(t, dict) else t} for n, t, _, _ in plain]}  # fmt: skip

    read = decode_avro(written(bare, {n: v for n, _, v, _ in plain}), 0, schema_of(schema))

    assert isinstance(read, dict)
    assert read.pop("id") == "6f1d6c1e-0000-4000-8000-0000000000d1"
    assert read.pop("nan").is_nan()
    assert read.pop("long").is_nan()
    assert read == {name: result for name, _, _, result in plain if name in read}


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "record", "name": "A", "fields": [{"name": "n", "type": ["null", "A"]}]}, "holds itself"),
        (PUPIL | {"fields": [{"name": "n", "type": {"type": "array", "items": "vn.mau.Pupil"}}]}, "holds itself"),
        ({"type": "array", "items": "null"}, "null outside a union"),
        ({"type": "record", "name": "A", "fields": []}, "without fields"),
        ({"type": "record", "name": "A", "fields": [{"name": "n", "type": {"type": "fixed", "name": "F", "size": 0}}]},
         "no size"),
        ({"type": "recod"}, "is no Avro schema"),
        ("Nobody", "is no Avro schema"),
        ([], None),
        (17, "is no Avro schema"),
    ],
)  # fmt: skip
def test_a_schema_that_could_cost_without_bytes_is_not_taken(schema: object, says: str | None) -> None:
    found = read_schema(json.dumps(schema))

    assert (says in found) if isinstance(found, str) and says else (says is None)


def test_a_schema_nests_to_a_bound_through_named_types_too() -> None:
    inner: Any = "int"
    for _ in range(MAX_SCHEMA_DEPTH + 1):
        inner = {"type": "array", "items": inner}
    fields: list[Any] = [{"name": "f0", "type": {"type": "record", "name": "N0", "fields": [
        {"name": "x", "type": "int"}]}}]  # fmt: skip
    for number in range(1, MAX_SCHEMA_DEPTH + 1):
        holds = [{"name": "x", "type": f"N{number - 1}"}]
        fields.append({"name": f"f{number}", "type": {"type": "record", "name": f"N{number}", "fields": holds}})

    deep = [read_schema(json.dumps(inner)), read_schema(json.dumps({"type": "record", "name": "R", "fields": fields}))]
    far = read_schema("[" * 100_000)

    assert deep == [f"nests deeper than {MAX_SCHEMA_DEPTH}"] * 2
    assert far == "is no Avro schema"
    assert "longer than" in str(read_schema(" " * 300_000))


@pytest.mark.parametrize(
    "value",
    [
        zigzag(1) + b"a" + zigzag(2**60),
        zigzag(1) + b"a" + zigzag(-(2**62)) + zigzag(5),
        zigzag(2**60),
        zigzag(-5) + b"abc",
        zigzag(2) + b"\xff\xff" + zigzag(0) * 4,
        b"\xff" * 30,
        b"",
    ],
    ids=["items", "items by block", "text", "negative text", "no UTF-8", "no number", "empty"],
)
def test_a_bomb_costs_neither_time_nor_memory(value: bytes) -> None:
    schema = schema_of(PUPIL)
    tracemalloc.start()

    read = decode_avro(value, 0, schema)

    assert read is None
    assert tracemalloc.get_traced_memory()[1] < 200_000
    tracemalloc.stop()


def test_bytes_behind_the_value_are_no_value() -> None:
    assert decode_avro(written(PUPIL, CLEAN) + b"x", 0, schema_of(PUPIL)) is None


def test_the_two_headers() -> None:
    message = encode_line(json.dumps(CLEAN | {"rows": [], "mark": {"double": 7.5}}), schema_of(PUPIL))
    assert message is not None

    assert header_of(message) == schema_of(PUPIL).header
    assert schema_id_of(message) is None
    assert schema_id_of(id_header(4_711) + b"x") == 4_711
    assert header_of(b"\x00\x00") == b""
    assert header_of(b"{}") == b""


def test_a_line_that_does_not_fit_is_no_message() -> None:
    assert encode_line('{"code": 3}', schema_of(PUPIL)) is None
    assert encode_line("{", schema_of(PUPIL)) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_none(value: bytes) -> None:
    read = decode_avro(value, 0, schema_of(PUPIL))

    assert read is None or isinstance(read, dict)
