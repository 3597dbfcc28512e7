"""A record's Avro bytes straight to the JSON that an immediate target is sent: generated code, no dict in between.

    value ──population_json──► Translated(json object, where its event came from)  │  None: let the slow way decide

The slow way is `codec.decode_record` → `payload.population_payload` → `msgspec.json.encode`; where this module answers,
its bytes are the same (tests compare them); text that is not sent is skipped unread.  It works because the wire asks
for the dictionary's fields in the order in which the schema holds them: every field becomes a few lines that copy its
bytes between two constant fragments.  What is not plain (an older schema, a CANCEL, two rows of one subject, damage)
gives None.

The JSON is collected in triples (fragment before, value, fragment after), so that one join of every second part holds
all values, and one look at it finds what JSON would have to escape.
"""

from __future__ import annotations

import json
from binascii import hexlify
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.national import payload, schema
from gateway.national.transcode_lines import translate_lines

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
Parts = list[bytes]

_ESCAPED: Final = bytes([*range(32), *b'"\\'])
"""What JSON must escape; deleting these and comparing lengths is ten times as fast as a search for them."""
_MEMO: Final = 8_192
"""Entries of each table of remembered conversions; a full one is emptied, which costs a little and bounds it."""


@dataclass(frozen=True, slots=True)
class Translated:
    """The payload as a JSON object, and the origin that receipts need: the head's vendor_ref and source."""

    record: bytes
    vendor_ref: str | None
    topic: str
    partition: int
    offset: int
    index: int
    timestamp: int


class _Unplain(Exception):
    """Not for the short way."""


def population_json(value: bytes, op: str) -> Translated | None:
    """The payload of a current `LearningRecord` *value* sent as *op* (NEW, UPDATE); None when it is not plain."""
    prefix, translate = _generated()
    if op == "CANCEL" or value[:5] != prefix:
        return None
    try:
        parts, origin = translate(value, payload.EVENT_WORDS[op].encode())
        values = b" ".join(parts[1::3])
        values.decode()
    except (_Unplain, IndexError, UnicodeDecodeError):
        return None
    if len(values.translate(None, _ESCAPED)) != len(values):
        parts[1::3] = [_escaped(text) for text in parts[1::3]]
    return Translated(b"".join(parts), *origin)


def _escaped(text: bytes) -> bytes:
    return msgspec.json.encode(text.decode())[1:-1]


# --- what the generated code calls ------------------------------------------------------------------------------------

_LENGTH: Final = tuple(-1 if byte & 129 else byte >> 1 for byte in range(256))
"""First byte of a length → the length; -1 when it goes on in the next byte, or is negative."""


def _number(b: bytes, i: int) -> tuple[int, int]:
    """A zigzag varint at *i*, and the place after it."""
    number = shift = 0
    while b[i] > 127:
        number |= (b[i] & 127) << shift
        shift += 7
        i += 1
        if shift > 63:
            raise _Unplain
    number |= b[i] << shift
    return (number >> 1) ^ -(number & 1), i + 1


def _far(b: bytes, i: int) -> tuple[int, int]:
    """A length of several bytes, and the place of its last one."""
    length, end = _number(b, i)
    if length < 0:
        raise _Unplain
    return length, end - 1


def _remembered(convert: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    known: dict[Any, bytes] = {}

    def look_up(key: Any) -> bytes:
        found = known.get(key)
        if found is None:
            if len(known) >= _MEMO:
                known.clear()
            found = known[key] = convert(key)
        return found

    return look_up


def _decimal_json(raw: bytes) -> bytes:
    """Unscaled big-endian bytes of scale 4 as payload writes them."""
    return msgspec.json.encode(payload.number(Decimal(int.from_bytes(raw, "big", signed=True)).scaleb(-4)))


def _date_json(days: int) -> bytes:
    try:
        return (date(1970, 1, 1) + timedelta(days=days)).isoformat().encode()
    except OverflowError:
        raise _Unplain from None


def _name(names: dict[bytes, bytes]) -> Callable[[tuple[bytes, bytes]], bytes]:
    def choose(key: tuple[bytes, bytes]) -> bytes:
        code, name = key
        return name if len(name.decode()) <= payload.SHORT_NAME_CHARS else names.get(code, name)

    return _remembered(choose)


def _row_key(row_id: bytes) -> bytes:
    return hexlify(sha256(row_id).digest()[:16])


# --- generation -------------------------------------------------------------------------------------------------------


@cache
def _generated() -> tuple[bytes, Callable[[bytes, bytes], tuple[Parts, tuple[Any, ...]]]]:
    """The wire prefix of the current schema, and the function generated from it."""
    current = schema.current(schema.RECORD)
    names: Json = {
        "L": _LENGTH,
        "B": (b"0", b"1"),
        "far": _far,
        "number": _number,
        "decimal": _remembered(_decimal_json),
        "day": _remembered(_date_json),
        "local": _remembered(lambda second: payload.local_time(second * 1000).encode()),
        "overall": _remembered(lambda code: (payload.overall_text(code.decode()) or "").encode()),
        "row_key": _row_key,
        "Unplain": _Unplain,
        **{
            f"short_{level}": _name({k.encode(): v.encode() for k, v in payload.secondary_names(level).items()})
            for level in ("03", "04")
        },
    }
    exec(compile(source(), "<gateway.national.transcode>", "exec"), names)  # noqa: S102  text made of the schema alone
    return b"\x00" + current.schema_id.to_bytes(4, "big"), names["translate"]


@cache
def source() -> str:
    """The generated function's text, for people."""
    avro = json.loads(schema.current(schema.RECORD).text)
    return "\n".join(["def translate(b, event):", *(f"    {line}" for line in translate_lines(avro))])
