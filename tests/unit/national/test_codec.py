"""Wire format, known vectors, and errors that tell no values."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.national import codec, schema

Json = dict[str, Any]

CANARY = "Mẫu Bí Mật 079312999912"
SOURCE = {"topic": "vendor.mau.records", "partition": 3, "offset": 41, "index": 0, "timestamp": 1_780_000_000_000}


def record_head(**changes: object) -> Json:
    return {
        "event_id": "6f1d6c1e-0000-4000-8000-0000000000e1",
        "record_id": "6f1d6c1e-0000-4000-8000-0000000000d1",
        "version": 2,
        "lane": "00000000000000ff",
        "citizen_id": "022218999941",
        "verdict": "confirmed",
        "event_type": "UPDATE",
        "vendor": "mau",
        "connector": "mau@3",
        "source_order": {"epoch": 1, "order": 2},
        "school_code": "22999301",
        "school_year": "2025-2026",
        "programme": "GDPT",
        "occurred_at": 1_779_876_000_000,
        "source": SOURCE,
        "content_hash": "0" * 64,
    } | changes


def mapped_head(**changes: object) -> Json:
    head = record_head()
    for name in ("version", "citizen_id", "verdict"):
        del head[name]
    return head | changes


def receipt(**changes: object) -> Json:
    problem = {
        "code": "DQ-08",
        "field": "subjects[15].mark_year",
        "severity": "reject",
        "owner": "school",
        "fix_vi": "Kiểm tra lại điểm.",
        "fix_en": "Check the mark.",
        "rule": "",
    }
    return {
        "event_id": "6f1d6c1e-0000-4000-8000-0000000000e1",
        "vendor": "mau",
        "stage": "intake",
        "state": "rejected",
        "seq": 1,
        "problems": [problem],
        "source": SOURCE,
        "at": 1_780_000_000_123,
    } | changes


def minimal_body() -> Json:
    """Every field that may not be null, at its plainest."""
    plain: dict[str, object] = {"string": "x", "boolean": True, "date": date(2026, 5, 31), "decimal": Decimal(1)}

    def fields(where: schema.Where) -> Json:
        return {s.name: plain[s.avro_type] for s in schema.body_fields() if s.where == where and not s.nullable}

    results = fields("primary") | {"subjects": [fields("primary_subject")]}
    return fields("common") | {"education_level": "02", "results": results}


def with_results(**changes: object) -> Json:
    body = minimal_body()
    return body | {"results": body["results"] | changes}


CANCEL = codec.encode_body(None) + codec.encode_evidence(None)


def test_the_wire_format_is_magic_byte_id_in_four_bytes_then_head_body_evidence() -> None:
    body = codec.encode_body(minimal_body())
    value = codec.encode_mapped(mapped_head(), body, b"\x00")

    assert value[:5] == b"\x00\x00\x00\x00\x01"
    assert value.endswith(body + b"\x00")
    assert codec.encode_record(record_head(), CANCEL)[:5] == b"\x00\x00\x00\x00\x02"
    assert codec.encode_receipt(receipt())[:5] == b"\x00\x00\x00\x00\x03"


def test_a_cancel_has_neither_body_nor_evidence() -> None:
    value = codec.encode_record(record_head(event_type="CANCEL"), CANCEL)

    assert CANCEL == b"\x00\x00"
    assert codec.decode_record(value)["body"] is None


def test_left_out_fields_come_back_as_null_or_empty() -> None:
    head, rest = codec.split_record(codec.encode_record(record_head(), CANCEL))

    assert (head["vendor_ref"], head["grade"], head["warnings"], head["cause"]) == (None, None, [], None)
    assert rest == CANCEL


def test_times_stay_milliseconds() -> None:
    value = codec.encode_receipt(receipt())

    assert codec.decode_receipt(value)["at"] == 1_780_000_000_123
    assert (
        codec.split_mapped(codec.encode_mapped(mapped_head(), b"\x00", b"\x00"))[0]["occurred_at"] == 1_779_876_000_000
    )


def test_the_content_hash_is_the_sha256_of_the_body_bytes() -> None:
    body = codec.encode_body(minimal_body())

    assert codec.content_hash(body) == hashlib.sha256(body).hexdigest()


def test_the_bytes_of_a_body_are_fixed_for_good() -> None:
    """A changed hash would send every record of the nation again under a new idempotency key."""
    body = codec.encode_body(minimal_body())

    assert codec.content_hash(body) == "a6701233d9b90bd4d4629bfae9e7a4a3c882229c4993c928646b8210f256c3e0"


def test_equal_numbers_are_equal_content_however_they_are_written() -> None:
    bodies = [minimal_body() for _ in range(2)]
    for body, weight in zip(bodies, (Decimal("38.4"), Decimal("38.4000")), strict=True):
        body["results"]["weight_kg"] = weight

    assert codec.encode_body(bodies[0]) == codec.encode_body(bodies[1])


def test_inline_evidence_comes_back_byte_for_byte() -> None:
    raw = b"<DU_LIEU_HOC_BA Id='data'>\r\n\xc4\x90</DU_LIEU_HOC_BA>"
    evidence = {"content_type": "application/xml", "sha256": hashlib.sha256(raw).hexdigest(), "size_bytes": len(raw)}
    value = codec.encode_record(record_head(), b"\x00" + codec.encode_evidence(evidence | {"content": raw}))

    assert codec.decode_record(value)["evidence"]["content"] == raw


def test_a_claim_check_comes_back_as_its_place() -> None:
    place = {"topic": "vendor.mau.records", "partition": 1, "offset": 9, "index": 0}
    evidence = {"content_type": "application/xml", "sha256": "0" * 64, "size_bytes": 70_000, "content": place}
    value = codec.encode_record(record_head(), b"\x00" + codec.encode_evidence(evidence))

    assert codec.decode_record(value)["evidence"]["content"] == place


@pytest.mark.parametrize("decode", [codec.decode_mapped, codec.split_mapped, codec.decode_record, codec.decode_receipt])
def test_an_unknown_schema_id_is_named(decode: Callable[[bytes], object]) -> None:
    with pytest.raises(codec.UnknownSchema, match="schema id 4660 is not") as error:
        decode(b"\x00\x00\x00\x12\x34whatever")

    assert error.value.schema_id == 4660


def test_a_value_of_another_kind_is_an_unknown_schema_here() -> None:
    with pytest.raises(codec.UnknownSchema, match="schema id 3 "):
        codec.decode_record(codec.encode_receipt(receipt()))
    with pytest.raises(codec.UnknownSchema):
        codec.encode_record(record_head(), CANCEL, schema_id=3)


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x00\x00\x00\x00", b'{"a": 1}', b"\x01\x00\x00\x00\x02"])
def test_bytes_without_the_wire_format_are_undecodable(value: bytes) -> None:
    with pytest.raises(codec.Undecodable, match="not in Confluent wire format"):
        codec.decode_record(value)


def test_bytes_left_over_are_undecodable() -> None:
    with pytest.raises(codec.Undecodable, match="left over"):
        codec.decode_record(codec.encode_record(record_head(), CANCEL) + b"\x00")


def told(error: BaseException) -> str:
    """All that a log could print of an error, chained ones included."""
    chained = [error, error.__context__, error.__cause__]
    return "".join(traceback.format_exception(error)) + "".join(repr(e) + str(e) for e in chained)


@pytest.mark.parametrize(
    ("encode", "fields"),
    [
        (lambda: codec.encode_body(minimal_body() | {"promoted": CANARY}), ("promoted",)),
        (lambda: codec.encode_body(minimal_body() | {"issue_date": CANARY}), ("issue_date",)),
        (lambda: codec.encode_body(minimal_body() | {"promoted": None}), ("promoted",)),
        (lambda: codec.encode_body(minimal_body() | {"school_name": CANARY + "\ud800"}), ("school_name",)),
        (lambda: codec.encode_body(minimal_body() | {"results": {"overall_result": CANARY}}), ("_completed",)),
        (lambda: codec.encode_body(with_results(overall_result=[CANARY])), ("PrimaryResults.overall_result",)),
        (lambda: codec.encode_body(with_results(weight_kg=Decimal("38.44444"))), ("results",)),
        (lambda: codec.encode_record(record_head(version=CANARY), CANCEL), ("version",)),
        (lambda: codec.encode_record(record_head(event_type=CANARY), CANCEL), ("event_type",)),
        (lambda: codec.encode_receipt(receipt(problems=[{"code": CANARY}])), ("ReceiptProblem.field",)),
        (lambda: codec.encode_evidence({"content_type": "x", "sha256": 5, "content": CANARY}), ("sha256",)),
    ],
)
def test_what_does_not_fit_is_told_by_field_and_never_by_value(
    encode: Callable[[], bytes], fields: tuple[str, ...]
) -> None:
    with pytest.raises(codec.Unencodable) as error:
        encode()

    assert all(any(field in name for name in error.value.fields) for field in fields)
    assert CANARY not in told(error.value)
    assert CANARY.rsplit(maxsplit=1)[-1] not in told(error.value)


def test_damaged_bytes_tell_no_value() -> None:
    value = codec.encode_record(record_head(vendor_ref=CANARY), CANCEL)
    damaged = value.replace("Mẫu".encode(), b"M\xff\xff\xff", 1)[:-1]

    with pytest.raises(codec.Undecodable) as error:
        codec.decode_record(damaged)

    assert "079312999912" not in told(error.value)


@pytest.fixture
def with_an_older_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The schemas as if version 1 were old, and version 2 had one more nullable field in each head (ids 11, 12)."""
    entries = schema.bundled()

    def newer(name: str) -> str:
        text = json.loads(schema.current(name).text)
        extra = {"name": "note", "type": ["null", "string"], "default": None, "doc": "x"}
        text["fields"][0]["type"]["fields"].append(extra)
        return json.dumps(text)

    known: dict[int, schema.Bundled] = {}
    for number, entry in entries.items():
        headed = entry.name != schema.RECEIPT
        known[number] = schema.Bundled(number, entry.name, 1, not headed, entry.subject, entry.record_id, entry.text)
        if headed:
            pair = None if entry.record_id is None else entry.record_id + 10
            known[number + 10] = schema.Bundled(
                number + 10, entry.name, 2, True, entry.subject, pair, newer(entry.name)
            )
    monkeypatch.setattr(schema, "bundled", lambda: known)
    monkeypatch.setattr(schema, "current", lambda name: next(e for e in known.values() if e.current and e.name == name))
    codec._layout.cache_clear()  # noqa: SLF001
    yield
    codec._layout.cache_clear()  # noqa: SLF001


@pytest.mark.usefixtures("with_an_older_version")
def test_an_older_value_is_read_by_the_current_schema_and_its_rest_keeps_the_older_id() -> None:
    old = codec.encode_mapped(mapped_head(), codec.encode_body(minimal_body()), b"\x00")

    head, rest = codec.split_mapped(old)
    value = codec.encode_record(record_head(), rest, schema_id=codec.record_schema_id(old))

    assert head["note"] is None
    assert codec.decode_mapped(old)["head"]["note"] is None
    assert value[:5] == b"\x00\x00\x00\x00\x02"
    assert codec.decode_record(value)["head"]["note"] is None
    assert codec.decode_record(value)["body"]["education_level"] == "02"
