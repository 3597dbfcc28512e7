"""Bytes of the national record: Confluent wire format (0x00, schema id in 4 bytes, Avro), body spliced untouched.

    value = 0x00 | id | head | body | evidence          body, evidence: union branch byte, then the record if not null
                       └ split ┘└──── rest ─────┘       rest goes from MappedRecord to LearningRecord as it is

Dicts on both sides, for the hot path. Their values: times are int milliseconds; dates `datetime.date`; numbers
`decimal.Decimal`; enums and codes str. A nullable field may be left out on encoding; decoding gives all of them.
`results` is a plain dict; its branch follows `education_level` (02 primary, else secondary).

Bytes that cannot be read raise `UnknownSchema` or `Undecodable`; a dict that does not fit raises `Unencodable`, with
field paths. None of them repeats a value, and none has the library's error behind it, which would.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from fastavro import schemaless_reader, schemaless_writer
from fastavro.validation import ValidationError, validate

from gateway.national import schema, writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = dict[str, Any]

_NULL, _VALUE = b"\x00", b"\x02"
_PREFIX_BYTES = 5

# All that fastavro and Python raise on damaged bytes: measured by truncation and by flipping bits (tests).
_DAMAGE = (EOFError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError, AttributeError, StopIteration)
_MISFIT = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


class UnknownSchema(Exception):
    """The bytes name a schema id that is not bundled, or not of the kind asked for."""

    def __init__(self, schema_id: int) -> None:
        super().__init__(f"schema id {schema_id} is not a known one here")
        self.schema_id = schema_id


class Undecodable(Exception):
    """The bytes are not what their schema id says."""


class Unencodable(Exception):
    """A dict does not fit its schema: a bug of the caller. Lists fields, never values."""

    def __init__(self, what: str, fields: tuple[str, ...]) -> None:
        super().__init__(f"{what} does not fit its schema: {', '.join(fields) or 'unknown field'}")
        self.fields = fields


@dataclass(frozen=True, slots=True)
class _Layout:
    """Parsed schemas of one id; `latest` is None where it is the current version and needs no resolution."""

    prefix: bytes
    whole: Json
    latest: Json | None
    head: Json | None
    latest_head: Json | None


@cache
def _layout(schema_id: int) -> _Layout:
    entry = schema.bundled()[schema_id]
    newest = schema.current(entry.name)
    headed = entry.name != schema.RECEIPT
    old = not entry.current
    return _Layout(
        prefix=b"\x00" + schema_id.to_bytes(4, "big"),
        whole=_whole(entry.text),
        latest=_whole(newest.text) if old else None,
        head=schema.part(entry.text, "head") if headed else None,
        latest_head=schema.part(newest.text, "head") if headed and old else None,
    )


def _whole(text: str) -> Json:
    return schema.parsed(json.loads(text))


_BODY = schema.part(schema.current(schema.MAPPED).text, "body")
_EVIDENCE = schema.part(schema.current(schema.MAPPED).text, "evidence")
_write_body = writer.writer_of(_BODY)
_MAPPED_ID = schema.current(schema.MAPPED).schema_id
_RECORD_ID = schema.current(schema.RECORD).schema_id
_RECEIPT_ID = schema.current(schema.RECEIPT).schema_id
_FLAGS = {
    where: tuple(spec.name for spec in schema.body_fields() if spec.where == where and spec.avro_type == "boolean")
    for where in ("common", "primary", "secondary")
}
_BRANCH = {"primary": "vn.hocba.PrimaryResults", "secondary": "vn.hocba.SecondaryResults"}


def encode_body(body: Json | None) -> bytes:
    """Body with its union branch; None (CANCEL) is one byte."""
    if body is None:
        return _NULL
    results = body.get("results") or {}
    level = schema.level_of(body.get("education_level", ""))
    # A named branch spares fastavro the validation of both (and its guess).
    datum = body | {"results": (_BRANCH[level], results)}
    quick = writer.attempt(_write_body, datum)
    if quick is not None:
        return _VALUE + quick
    # fastavro writes any object as its truth: a missing answer would become "no", and the text "false" a "yes".
    wrong = [name for name in _FLAGS["common"] if not isinstance(body.get(name), bool)]
    wrong += [name for name in _FLAGS[level] if not isinstance(results.get(name), bool)]
    if wrong:
        raise Unencodable("body", tuple(wrong))
    return _VALUE + _write("body", _BODY, datum)


def body_schema() -> Json:
    """The body's record type, as fastavro parsed it."""
    return _BODY


def results_branch(level: schema.Level) -> str:
    """The full name of a level's results."""
    return _BRANCH[level]


def content_hash(body_bytes: bytes) -> str:
    """SHA-256 of the body's bytes (union branch included), 64 hex digits: part of every idempotency key."""
    return hashlib.sha256(body_bytes).hexdigest()


def encode_evidence(evidence: Json | None) -> bytes:
    """Evidence with its union branch: {content_type, sha256, size_bytes, content: bytes | claim check dict}."""
    return _NULL if evidence is None else _VALUE + _write("evidence", _EVIDENCE, evidence)


def encode_mapped(head: Json, body_bytes: bytes, evidence_bytes: bytes) -> bytes:
    """A value for gateway.mapped."""
    return _headed(_MAPPED_ID, head) + body_bytes + evidence_bytes


def mapped_prefix() -> bytes:
    """What stands in front of every value that `encode_mapped` makes."""
    return _layout(_MAPPED_ID).prefix


def encode_record(head: Json, rest: bytes, *, schema_id: int | None = None) -> bytes:
    """A value for national.records around the rest of a mapped value.

    Give `schema_id=record_schema_id(value)` of that mapped value: a rest written under an older schema keeps its id.
    """
    return _headed(_RECORD_ID if schema_id is None else schema_id, head) + rest


def record_schema_id(mapped_value: bytes) -> int:
    """Id of the LearningRecord schema whose body and evidence are those of this MappedRecord value."""
    pair = schema.bundled()[_known(mapped_value, schema.MAPPED)].record_id
    return _RECORD_ID if pair is None else pair


def split_mapped(value: bytes) -> tuple[Json, bytes]:
    """Head as a dict, and the untouched bytes of body and evidence."""
    return _split(value, schema.MAPPED)


def split_record(value: bytes) -> tuple[Json, bytes]:
    """Head as a dict, and the untouched bytes of body and evidence."""
    return _split(value, schema.RECORD)


def decode_mapped(value: bytes) -> Json:
    """{head, body, evidence} of a gateway.mapped value, as the current schema sees it."""
    return _decode(value, schema.MAPPED)


def decode_record(value: bytes) -> Json:
    """{head, body, evidence} of a national.records value, as the current schema sees it."""
    return _decode(value, schema.RECORD)


def encode_receipt(receipt: Json) -> bytes:
    """A value for vendor.<v>.receipts."""
    layout = _layout(_RECEIPT_ID)
    quick = writer.attempt(_writer(_RECEIPT_ID), receipt)
    return layout.prefix + (_write("receipt", layout.whole, receipt) if quick is None else quick)


def decode_receipt(value: bytes) -> Json:
    """A receipt, as the current schema sees it."""
    return _decode(value, schema.RECEIPT)


def _headed(schema_id: int, head: Json) -> bytes:
    head_schema = _head_of(schema_id)
    quick = writer.attempt(_writer(schema_id), head)
    return _layout(schema_id).prefix + (_write("head", head_schema, head) if quick is None else quick)


@cache
def _writer(schema_id: int) -> Callable[[Mapping[str, Any]], bytes]:
    """The generated writer of a schema's head, or of the whole where it has none."""
    layout = _layout(schema_id)
    return writer.writer_of(layout.head or layout.whole)


def _head_of(schema_id: int) -> Json:
    head = _layout(schema_id).head
    if head is None:
        raise UnknownSchema(schema_id)
    return head


def _write(what: str, avro: Json, datum: Json) -> bytes:
    out = BytesIO()
    try:
        schemaless_writer(out, avro, datum)
    except _MISFIT:
        fitting = False
    else:
        fitting = True
    if not fitting:  # outside the except block: the library's error, which quotes the value, must not be chained
        raise Unencodable(what, _misfits(avro, datum))
    return out.getvalue()


def _misfits(avro: Json, datum: Json) -> tuple[str, ...]:
    """Names of the fields that do not fit; the slow second look."""
    try:
        validate(datum, avro, raise_errors=True)
    except ValidationError as error:
        return tuple(sorted({str(fault.field).removeprefix("vn.hocba.") for fault in error.errors if fault.field}))
    except _MISFIT:
        pass
    return tuple(field["name"] for field in avro["fields"] if not _writes(field["type"], datum.get(field["name"])))


def _writes(avro: Any, value: object) -> bool:
    """Whether one field can be written: for what passes validation and fails all the same, such as a fifth decimal."""
    try:
        schemaless_writer(BytesIO(), avro, value)
    except _MISFIT:
        return False
    return True


def _known(value: bytes, name: str) -> int:
    """The schema id in front, if it is one of *name*."""
    if len(value) < _PREFIX_BYTES or value[0] != 0:
        msg = "not in Confluent wire format"
        raise Undecodable(msg)
    schema_id = int.from_bytes(value[1:_PREFIX_BYTES], "big")
    entry = schema.bundled().get(schema_id)
    if entry is None or entry.name != name:
        raise UnknownSchema(schema_id)
    return schema_id


def _split(value: bytes, name: str) -> tuple[Json, bytes]:
    schema_id = _known(value, name)
    layout = _layout(schema_id)
    head, end = _read(value, _head_of(schema_id), layout.latest_head, name)
    return head, value[end:]


def _decode(value: bytes, name: str) -> Json:
    layout = _layout(_known(value, name))
    datum, end = _read(value, layout.whole, layout.latest, name)
    if end != len(value):
        msg = f"bytes left over after {name}"
        raise Undecodable(msg)
    return datum


def _read(value: bytes, writer: Json, reader: Json | None, name: str) -> tuple[Json, int]:
    source = BytesIO(value)
    source.seek(_PREFIX_BYTES)
    try:
        datum = schemaless_reader(source, writer, reader)
    except _DAMAGE:
        datum = None
    if not isinstance(datum, dict):
        msg = f"damaged bytes of {name}"
        raise Undecodable(msg)
    return datum, source.tell()
