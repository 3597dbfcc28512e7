"""The generated writers write fastavro's bytes, or leave it to fastavro."""

import random
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from gateway.national import codec, schema
from gateway.national.writer import MISFITS, attempt, decimal_bytes, field_bytes, long_bytes, writer_of
from tests.strategies import learning_bodies, mapped_heads, record_heads

BODY = codec.body_schema()
HEADS = {name: schema.part(schema.current(name).text, "head") for name in (schema.MAPPED, schema.RECORD)}
WRITERS = {name: writer_of(head) for name, head in HEADS.items()} | {"body": writer_of(BODY)}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.decimals(),
    st.dates(),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)


def fastavro(kind: Any, value: object) -> bytes:
    """What the library writes."""
    out = BytesIO()
    schemaless_writer(out, kind, value)
    return out.getvalue()


def never_other(kind: Any, name: str, datum: dict[str, Any]) -> None:
    """Asserts that the writer of *name* writes what fastavro writes, or nothing."""
    written = attempt(WRITERS[name], datum)
    if written is not None:
        assert written == fastavro(kind, datum)


def branched(body: dict[str, Any], level: schema.Level) -> dict[str, Any]:
    """*body* with the branch of its results named."""
    return body | {"results": (codec.results_branch(level), body["results"])}


@pytest.mark.parametrize("level", ["primary", "secondary"])
@given(st.data())
def test_bodies_are_those_of_fastavro(level: schema.Level, data: st.DataObject) -> None:
    body = branched(data.draw(learning_bodies(level)), level)

    assert WRITERS["body"](body) == fastavro(BODY, body)


@given(mapped_heads(), record_heads())
def test_heads_are_those_of_fastavro(mapped: dict[str, Any], record: dict[str, Any]) -> None:
    for name, head in ((schema.MAPPED, mapped), (schema.RECORD, record)):
        assert WRITERS[name](head) == fastavro(HEADS[name], head)


@given(st.data())
def test_a_body_with_a_wrong_value_is_never_written_otherwise(data: st.DataObject) -> None:
    body = data.draw(learning_bodies("secondary"))
    places = [body, body["results"], *body["results"]["subjects"], *body["history"]]
    place = data.draw(st.sampled_from(places))
    name = data.draw(st.sampled_from(sorted(set(place) - {"results"})))
    place[name] = data.draw(ODD)

    flags = {spec.name for spec in schema.body_fields() if spec.avro_type == "boolean"}
    if name in flags and not isinstance(place[name], bool):  # fastavro writes any object as its truth
        assert attempt(WRITERS["body"], branched(body, "secondary")) is None
    else:
        never_other(BODY, "body", branched(body, "secondary"))


@given(st.data())
def test_a_head_with_a_wrong_value_is_never_written_otherwise(data: st.DataObject) -> None:
    head = data.draw(mapped_heads())
    place = data.draw(st.sampled_from([head, head["source"], head["source_order"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(ODD)

    never_other(HEADS[schema.MAPPED], schema.MAPPED, head)


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_are_those_of_fastavro(number: int) -> None:
    assert long_bytes(number) == fastavro("long", number)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**13), max_value=10**13))
def test_decimals_are_those_of_fastavro(number: Decimal) -> None:
    assert decimal_bytes(number) == fastavro(DECIMAL, number)


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("Infinity"), Decimal("1.00001"), Decimal(10) ** 18, 1, 1.5])
def test_a_number_that_does_not_fit_is_left_to_fastavro(number: Any) -> None:
    with pytest.raises(MISFITS):
        decimal_bytes(number)


@given(st.dates(), st.booleans(), st.text(max_size=400))
def test_single_fields_are_those_of_fastavro(day: date, flag: bool, text: str) -> None:
    kinds: list[tuple[Any, object]] = [
        ({"type": "int", "logicalType": "date"}, day),
        ("boolean", flag),
        ("string", text),
    ]
    for kind, value in kinds:
        assert field_bytes(kind, value) == fastavro(kind, value)
        assert field_bytes(["null", kind], value) == fastavro(["null", kind], value)
        assert field_bytes(["null", kind], None) == b"\x00"


def test_a_text_longer_than_the_table_is_left_to_fastavro() -> None:
    assert attempt(lambda datum: field_bytes("string", datum["text"]), {"text": "x" * 10_000}) is None


@given(st.integers(0, 2**32))
def test_the_codec_takes_long_comments_all_the_same(seed: int) -> None:
    comment = "ạ" * random.Random(seed).randrange(2_700, 2_800)
    head = {"code": "DQ-38", "field": comment, "rule": ""}

    assert codec.split_mapped(codec.encode_mapped(HEAD | {"warnings": [head]}, b"\x00", b"\x00"))[0]["warnings"] == [
        head
    ]


HEAD: dict[str, Any] = {
    "event_id": "e", "record_id": "r", "lane": "0" * 16, "vendor": "mau", "connector": "mau@1", "event_type": "NEW",
    "source_order": {"epoch": 1, "order": 1}, "school_code": "s", "school_year": "2025-2026", "programme": "GDPT",
    "occurred_at": 1, "source": {"topic": "t", "partition": 0, "offset": 0, "index": 0, "timestamp": 0},
    "content_hash": "0" * 64, "holds": [],
}  # fmt: skip
