"""Avro messages of vendors: which writer schemas are taken, and bytes to a tree of dicts, lists and scalars.

    00 <id, 4 bytes> …            Confluent wire format; the id's schema is bundled or was asked for before
    C3 01 <fingerprint, 8> …      Avro single-object encoding; the fingerprint's schema is bundled

A schema is looked over before it is used (`decode_avro_schema`): what is left costs the sender at least a byte for
everything it makes intake hold.

Numbers become `Decimal` by their shortest text, times whole milliseconds, days ISO text: never a binary float.
"""

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from fastavro import json_reader, parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import LOGICAL_READERS
from fastavro.schema import SchemaParseException, UnknownType, fingerprint, to_parsing_canonical_form

from gateway.intake.decode_avro_schema import Unfit, look_over

MAX_SCHEMA_BYTES = 262_144
MAGIC_ID = b"\x00"
MAGIC_FINGERPRINT = b"\xc3\x01"
_DECIMAL_BYTES = 24
_DECIMAL_SCALE = 40
_HANOI_MS = 7 * 3_600_000
_FAULTY = (EOFError, IndexError, KeyError, ValueError, TypeError, ArithmeticError, AttributeError, struct.error)
_UNREADABLE = Decimal("NaN")  # no text function reads it

_LOGICAL = {
    ("int", "date"): "hocba-date",
    ("long", "timestamp-micros"): "hocba-micros",
    ("long", "timestamp-nanos"): "hocba-nanos",
    ("long", "local-timestamp-millis"): "hocba-local-millis",
    ("long", "local-timestamp-micros"): "hocba-local-micros",
    ("bytes", "decimal"): "hocba-decimal",
    ("fixed", "decimal"): "hocba-decimal",
    ("fixed", "uuid"): "hocba-uuid",
}
"""What stays a logical type while reading; every other one is read as the type below it."""


Schema = dict[Any, Any] | None


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A schema that has been looked over; *header* is the single-object header of its messages."""

    reading: Any
    plain: Any
    header: bytes

    def __repr__(self) -> str:
        return f"WriterSchema({self.header[2:].hex()})"


def read_schema(text: str) -> WriterSchema | str:
    """The schema of *text* ready for reading, or why it is not taken."""
    if len(text) > MAX_SCHEMA_BYTES:
        return f"is longer than {MAX_SCHEMA_BYTES} characters"
    try:
        raw = json.loads(text)
        look_over(raw)
        canonical = to_parsing_canonical_form(parse_schema(raw))
        header = MAGIC_FINGERPRINT + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))
        return WriterSchema(parse_schema(_rewritten(raw, _LOGICAL)), parse_schema(_rewritten(raw, {})), header)
    except Unfit as error:
        return str(error)
    except (SchemaParseException, UnknownType, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return "is no Avro schema"


def _rewritten(node: Any, logical: Mapping[tuple[str, str], str]) -> Any:
    """*node* with the logical types that are read here, under our own names; with none of *logical*, without any."""
    if isinstance(node, list):
        return [_rewritten(item, logical) for item in node]
    if isinstance(node, str):
        return {"type": node, "logicalType": "hocba-number"} if logical and node in {"double", "float"} else node
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    kept = {key: value for key, value in node.items() if key not in {"logicalType", "default", "doc"}}
    if kind in {"record", "error"}:
        kept["fields"] = [field | {"type": _rewritten(field["type"], logical)} for field in node["fields"]]
        kept["fields"] = [{k: v for k, v in field.items() if k != "default"} for field in kept["fields"]]
    elif kind in {"array", "map"}:
        below = "items" if kind == "array" else "values"
        kept[below] = _rewritten(node[below], logical)
    elif kind in {"enum", "fixed"} or isinstance(kind, str):
        number = "hocba-number" if logical and kind in {"double", "float"} else None
        named = logical.get((str(kind), str(node.get("logicalType"))), number)
        kept |= {"logicalType": named} if named else {}
    else:
        kept["type"] = _rewritten(kind, logical)
    return kept


def bundled_headers(schemas: Mapping[str, WriterSchema], ids: Mapping[str, int]) -> dict[bytes, WriterSchema]:
    """What a message may begin with → its schema; *schemas* and *ids* by file name."""
    found = {schema.header: schema for schema in schemas.values()}
    return found | {id_header(number): schemas[name] for name, number in ids.items() if name in schemas}


def id_header(number: int) -> bytes:
    """The five bytes before a value in the Confluent wire format."""
    return MAGIC_ID + number.to_bytes(4, "big")


def header_of(value: bytes) -> bytes:
    """The header of *value*; empty when it has none."""
    if value[:1] == MAGIC_ID and len(value) > 5:
        return value[:5]
    return value[:10] if value[:2] == MAGIC_FINGERPRINT and len(value) > 10 else b""


def schema_id_of(value: bytes) -> int | None:
    """The registry's id in front of *value*; None where it has no such header."""
    header = header_of(value)
    return int.from_bytes(header[1:], "big") if header[:1] == MAGIC_ID else None


def decode_avro(value: bytes, start: int, schema: WriterSchema) -> object:
    """The value behind the header, or None where the bytes do not fit *schema* to the last one."""
    stream = io.BytesIO(value)
    stream.seek(start)
    try:
        tree = schemaless_reader(stream, schema.reading, None)
    except _FAULTY:
        return None
    return tree if stream.tell() == len(value) else None


def encode_line(line: str, schema: WriterSchema) -> bytes | None:
    """One value in Avro's JSON encoding as a message; None where it does not fit.  For cases and dry runs."""
    stream = io.BytesIO()
    try:
        for value in json_reader(io.StringIO(line), schema.plain):
            schemaless_writer(stream, schema.plain, cast("Any", value))
    except (*_FAULTY, RecursionError):
        return None
    return schema.header + stream.getvalue()


def _float(data: float, writer: Schema = None, reader: Schema = None) -> Decimal:
    """The shortest decimal text that means this number (8.1, not 8.100000381)."""
    if writer is None or writer["type"] == "double":
        return Decimal(repr(data))
    if data != data or data in {float("inf"), float("-inf")}:  # noqa: PLR0124  NaN
        return _UNREADABLE
    exact = struct.pack("<f", data)
    texts = (f"{data:.{digits}g}" for digits in (6, 7, 8))
    return Decimal(next((text for text in texts if struct.pack("<f", float(text)) == exact), f"{data:.9g}"))


def _decimal(data: bytes, writer: Schema = None, reader: Schema = None) -> Decimal:
    scale = int((writer or {}).get("scale", 0))
    if len(data) > _DECIMAL_BYTES or not 0 <= scale <= _DECIMAL_SCALE:
        return _UNREADABLE
    number = int.from_bytes(data, "big", signed=True)
    return Decimal((int(number < 0), tuple(int(digit) for digit in str(abs(number))), -scale))


def _date(data: int, writer: Schema = None, reader: Schema = None) -> str:
    try:
        return (date(1970, 1, 1) + timedelta(days=data)).isoformat()
    except OverflowError:
        return str(data)


LOGICAL_READERS.update(
    {
        "double-hocba-number": _float,
        "float-hocba-number": _float,
        "bytes-hocba-decimal": _decimal,
        "fixed-hocba-decimal": _decimal,
        "int-hocba-date": _date,
        "fixed-hocba-uuid": lambda data, *_: str(UUID(bytes=data)),
        "long-hocba-micros": lambda data, *_: data // 1_000,
        "long-hocba-nanos": lambda data, *_: data // 1_000_000,
        "long-hocba-local-millis": lambda data, *_: data - _HANOI_MS,
        "long-hocba-local-micros": lambda data, *_: data // 1_000 - _HANOI_MS,
    }
)
