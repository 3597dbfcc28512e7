"""JSON to a tree: strict, numbers with a point as `Decimal`; an object that names something twice is refused.

Marks are never binary floats.  Depth and size are bounded by the parser and by the message's own limit.

Of two values under one name msgspec takes the last and another reader the first, so nobody could say what was meant.
A name of which one value is lost takes its colon with it.  So none stands twice where the tree, written again, is the
text (compact JSON: a sixth of the decoding) or has as many colons (a third); a parser that looks at every pair costs
three times the decoding.
"""

import codecs
import json
from decimal import Decimal
from typing import Any

import msgspec

_json = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode_json(value: bytes) -> object:
    """The JSON value, or None where it cannot be read (a bare null is no record either)."""
    try:
        tree = _json.decode(value.removeprefix(codecs.BOM_UTF8))  # Windows tools write one
        return None if _may_repeat(value, tree) and _repeats(value) else tree
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        return None


def _may_repeat(value: bytes, tree: object) -> bool:
    """Whether a closer look is due: the tree, written again, has other colons than the text, or one was escaped."""
    try:
        again = _encoder.encode(tree)
    except (msgspec.MsgspecError, OverflowError):  # a number of more than 64 bits
        return True
    if again == value:
        return False
    escaped = b"\\" in value and (b"\\u003a" in value or b"\\u003A" in value)
    return escaped or value.count(b":") != again.count(b":")


class _RepeatedName(ValueError):
    """An object has a name twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedName
    return found


def _repeats(value: bytes) -> bool:
    try:
        json.loads(value, object_pairs_hook=_unique, parse_int=str, parse_float=str)
    except _RepeatedName:
        return True
    return False
