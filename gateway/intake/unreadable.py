"""Why a message cannot be read (DQ-45): one word for each kind, which has its own text in the catalogue.

Looked for only when a decoder has given up, so it costs the messages that can be read nothing.
"""

import codecs
import json
from typing import Any, NoReturn

from gateway.errors import Problem

FIELD = "message"
_LONGEST_WORD = 5
"""A word cut in the middle (``fals``) is an error where it begins."""


def unreadable(kind: str) -> Problem:
    """DQ-45 of the message, or of one item of it, with the *kind* of the fault."""
    return Problem("DQ-45", FIELD, kind)


_BINARY = (
    b"PK\x03\x04", b"\x1f\x8b", b"%PDF-", b"\xd0\xcf\x11\xe0", b"7z\xbc\xaf", b"Rar!\x1a", b"\x28\xb5\x2f\xfd",
    b"\x89PNG", b"\xff\xd8\xff",
)  # fmt: skip
"""How zip and Excel, gzip, PDF, old Excel, 7z, rar, zstd and pictures begin."""


def is_binary(value: bytes) -> bool:
    """Whether *value* is a file of another program, by how it begins."""
    return value.startswith(_BINARY)


def why_no_json(value: bytes) -> str:
    """The kind of fault of the UTF-8 *value* that `decode_json` has refused."""
    text = value.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace").strip()
    if not text or text[0] == "<":
        return "other_format" if text else "empty"
    try:
        tree = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_int=str, parse_float=str)
    except (_Kind, json.JSONDecodeError) as error:
        return _what_json_lacks(error, text)
    except RecursionError:
        return "too_deep"
    if tree is None:
        return "not_an_object"
    return "syntax" if b"\\u" in value else "not_a_number"  # half a letter, else a number that nothing can hold


def _what_json_lacks(error: ValueError, text: str) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    if error.msg == "Extra data":
        return "several_documents"
    at_its_end = error.pos >= len(text) - _LONGEST_WORD
    return "truncated" if at_its_end or error.msg.startswith("Unterminated string") else "syntax"


def why_no_xml(value: bytes) -> str:
    """The kind of fault of *value* that no XML reader takes; one cut behind a tag is of wrong syntax like others."""
    text = value.removeprefix(codecs.BOM_UTF8).strip()
    if not text:
        return "empty"
    if is_binary(value):
        return "binary"
    if text[:1] in {b"{", b"["}:
        return "other_format"
    return "truncated" if text.startswith(b"<") and not text.endswith(b">") else "syntax"


class _Kind(ValueError):
    """The kind of a fault, as its text."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Kind("duplicate_name")
    return found


def _no_number(name: str) -> NoReturn:
    """NaN, Infinity, -Infinity."""
    raise _Kind("not_a_number")
