"""A signed document that stands inside a message of another format, and what it says beside the message's own fields.

    evidence:
      document: signedXml                  path of the document, as text or base64
      encoding: base64                     or text (the default)
      sha256: signedXmlHash                path of the hash the sender states: 64 hex digits, or base64
      compare:                             national field: path in the document, from below its root element
        full_name: DU_LIEU_HOC_BA.THONG_TIN_HOC_BA.HOC_SINH.HO_VA_TEN

The bytes go on as evidence, whatever they say.  Another hash than the stated one rejects the item (DQ-43).  A field
whose signed value is another national value, made by the same functions and tables, warns (DQ-41): so spaces, letter
forms, decimal commas and date forms make no difference.  A hash of zeros, or one without a document, states nothing.
"""

import base64
import binascii
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Problem
from gateway.intake.decode_xml import decode_xml
from gateway.intake.makers import Found, Getter, Maker, Tree
from gateway.intake.reference import RENUMBERED
from gateway.record import Position

DIFFERS = "DQ-41"
INLINE_BYTES = 65_536
XML = "application/xml"
_PLACE = "evidence.document"
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Embedded:
    """The compiled section."""

    document: Getter
    in_base64: bool
    stated: Getter | None
    compare: tuple[tuple[str, Maker], ...]
    """National fields of record and results, and what makes them of the document's tree."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What an item's embedded document is: *evidence* after `vn.hocba.Evidence`, *tree* where it is to be compared."""

    evidence: dict[str, Any] | None = None
    tree: dict[str, Any] | None = None
    findings: tuple[Problem, ...] = ()


def evidence_of(value: bytes, position: Position, index: int = 0) -> dict[str, Any]:
    """The signed bytes themselves, or above 64 KiB where they stand and their hash (design rule 7)."""
    check = {"topic": position.topic, "partition": position.partition, "offset": position.offset, "index": index}
    return {
        "content_type": XML,
        "sha256": hashlib.sha256(value).hexdigest(),
        "size_bytes": len(value),
        "content": value if len(value) <= INLINE_BYTES else check,
    }


def embedded(section: Embedded, item: Tree, root: Tree, position: Position, index: int) -> Signed:
    """The signed document of item *index*, its hash compared with the stated one."""
    value = section.document(item, root)
    if value is None or value in ("", b""):
        return Signed()
    document = _bytes(value, in_base64=section.in_base64)
    if document is None:
        return Signed(findings=(Problem("DQ-45", _PLACE),))
    findings = []
    stated = None if section.stated is None else section.stated(item, root)
    if stated not in (None, "") and not _same_hash(stated, document):
        findings.append(Problem("DQ-43", "evidence.sha256"))
    tree = decode_xml(document) if section.compare else None
    if isinstance(tree, str):
        findings.append(Problem(tree, _PLACE))
        tree = None
    return Signed(evidence_of(document, position, index), tree, tuple(findings))


def differing(section: Embedded, tree: Tree, body: Mapping[str, Any]) -> list[Problem]:
    """DQ-41 for each compared field whose signed value is not the record's."""
    results = body.get("results") or {}
    found = []
    for field, make in section.compare:
        ours: Found = []
        if make(tree, tree, ours) != body.get(field, results.get(field)):
            found.append(Problem(DIFFERS, field))
    return found


def replaced(findings: Collection[Problem], before: Mapping[str, Any], body: Mapping[str, Any]) -> list[Problem]:
    """DQ-41 for each field of a signed document whose value the gateway replaced by table, so that the two differ.

    Merged provinces and communes (DQ-29), renumbered schools (DQ-28).  What only changes a value's form is no
    difference; *before* is *body* as mapped.
    """
    fields = [p.field for p in findings if (p.code, p.rule) == ("DQ-28", RENUMBERED)]
    fields += [p.field for p in findings if p.code == "DQ-29" and p.field.endswith("_code")]
    fields += [name for name, value in before.items() if body[name] != value]
    return [Problem(DIFFERS, field) for field in dict.fromkeys(fields)]


def _bytes(value: object, *, in_base64: bool) -> bytes | None:
    if isinstance(value, bytes):  # Avro has them
        return value
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode("".join(value.split()), validate=True) if in_base64 else value.encode()
    except (binascii.Error, ValueError):  # lone surrogates have no bytes
        return None


def _same_hash(stated: object, document: bytes) -> bool:
    """Whether *stated* is the document's SHA-256, or zeros, which state nothing."""
    if not isinstance(stated, str):
        return False
    text = stated.strip().removeprefix("sha256:")
    try:
        digest = bytes.fromhex(text) if len(text) == 2 * _HASH_BYTES else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return digest in (hashlib.sha256(document).digest(), bytes(_HASH_BYTES))
