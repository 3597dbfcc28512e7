"""The words every stage shares: positions, identities, lanes, states and headers of a record.

Nothing here depends on a stage.  The identities are deterministic: a redelivered message yields the same
event id, a corrected school level the same record id (design rule 3), so that no stage has to remember them.
"""

import hashlib
import unicodedata
import uuid
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, TypeVar, dataclass_transform

EVENT_NAMESPACE: Final = uuid.UUID("9d6f2f53-0c27-5a3e-9a0b-6f1f0a3d7c11")
RECORD_NAMESPACE: Final = uuid.UUID("5b1c9a74-3c1e-5d0e-8a7a-2f4b8e9d6c22")
"""The record id's namespace is a constant, not a secret: the id is a pseudonym.  Test vector: docs/glossary.md."""

H_SPEC: Final = "ce_specversion"
H_EVENT_ID: Final = "ce_id"
H_SOURCE: Final = "ce_source"
H_TYPE: Final = "ce_type"
H_CONTENT_TYPE: Final = "content-type"
H_TRACEPARENT: Final = "traceparent"
H_RECORD_ID: Final = "record_id"
H_CONTENT_HASH: Final = "content_hash"
H_LANE: Final = "lane"
H_OP: Final = "op"
H_SCHOOL_YEAR: Final = "school_year"
H_VERSION: Final = "version"
H_SEQ: Final = "seq"
"""Only on a record that identity addressed anew: its next receipt's number, so that no receipt goes backwards."""

TYPE_MAPPED: Final = "vn.hocba.record.mapped.v1"
TYPE_RECORD: Final = "vn.hocba.record.v1"

Headers = list[tuple[str, bytes]]
T = TypeVar("T")


@dataclass_transform(frozen_default=True, order_default=True)
def hot_key(cls: type[T]) -> type[T]:
    """Frozen for the type checker; at run time ordered, hashable and made in a third of the time of a frozen one."""
    return dataclass(slots=True, order=True, unsafe_hash=True)(cls)


class State(StrEnum):
    """The state of one event at one target; the first six are final (design rule 5)."""

    ACCEPTED = "accepted"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    NOTHING_TO_CANCEL = "nothing_to_cancel"
    DISCARDED = "discarded"
    PARKED = "parked"
    WAITING = "waiting"


FINAL_STATES: Final = frozenset(State) - {State.PARKED, State.WAITING}


class Op(StrEnum):
    """What an event asks for; a target's own word for it is decided from the ledger."""

    NEW = "NEW"
    UPDATE = "UPDATE"
    CANCEL = "CANCEL"


@hot_key
class Position:
    """Where a record stands in Kafka; prints as ``topic-partition@offset``."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """The form used in logs, reports and commands."""
        return f"{self.topic}-{self.partition}@{self.offset}"


@hot_key
class SourceOrder:
    """The order a vendor gives its versions: the connector's epoch first, then version or business time."""

    epoch: int
    order: int


_BLOCK: Final = 64
_EVENT_HASH: Final = hashlib.sha1(EVENT_NAMESPACE.bytes, usedforsecurity=False)
_RECORD_HASH: Final = hashlib.sha1(RECORD_NAMESPACE.bytes, usedforsecurity=False)
_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def _uuid5(namespace: "hashlib._Hash", name: str) -> str:
    """``str(uuid.uuid5(…))`` at a fourth of its cost: the namespace is hashed once for all."""
    sha1 = namespace.copy()
    sha1.update(name.encode())
    h = sha1.hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


def event_id(position: Position, index: int) -> str:
    """The id of item *index* of the message at *position*; the same after every redelivery."""
    return _uuid5(_event_hash(position.topic, position.partition), f"{position.offset}|{index}")


@lru_cache(maxsize=4_096)
def _event_hash(topic: str, partition: int) -> "hashlib._Hash":
    """The state that all event ids of a partition begin with."""
    sha1 = _EVENT_HASH.copy()
    sha1.update(f"{topic}|{partition}|".encode())
    return sha1


def _part(text: str) -> str:
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip().upper()


def record_id(pupil_code: str, school_year: str, programme: str) -> str:
    """One pupil, one school year (``YYYY-YYYY``), one programme (GDPT or GDTX): one record, for all vendors."""
    return _uuid5(_RECORD_HASH, f"v1|{_part(pupil_code)}{_record_tail(school_year, programme)}")


@lru_cache(maxsize=1_024)
def _record_tail(school_year: str, programme: str) -> str:
    return f"|{_part(school_year)}|{_part(programme)}"


def lane_token(key: bytes, pupil_code: str) -> int:
    """The pupil's lane, an unsigned 64-bit pseudonym.  *key* is never rotated: it would move pupils between slots."""
    inner, outer = _lane_hashes(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(_part(pupil_code).encode())
    outer.update(inner.digest())
    return int.from_bytes(outer.digest()[:8], "big")


@lru_cache(maxsize=16)
def _lane_hashes(key: bytes) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """HMAC-SHA-256 (RFC 2104) of *key* with the key already hashed in: less than half of ``hmac.digest``."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return hashlib.sha256(bytes(b ^ 0x36 for b in block)), hashlib.sha256(bytes(b ^ 0x5C for b in block))


def lane_text(lane: int) -> str:
    """A lane as sixteen hex digits: its form in headers and Avro."""
    return f"{lane:016x}"


def lane_signed(lane: int) -> int:
    """A lane as PostgreSQL's signed bigint."""
    return lane - (1 << 64) if lane >= 1 << 63 else lane


def lane_unsigned(stored: int) -> int:
    """A lane back from PostgreSQL's signed bigint."""
    return stored + (1 << 64) if stored < 0 else stored


def slot_of(lane: int, slots: int) -> int:
    """The slot (partition) that owns *lane* among *slots*."""
    return lane % slots


def receipt_partition(event: str, partitions: int) -> int:
    """The receipts partition of an event: one event's receipts stay in order whoever writes them."""
    return int(event[-8:], 16) % partitions


def idempotency_key(target: str, record: str, version: int, content_hash: str) -> str:
    """The same content for the same target has the same key, whatever offset or payload carries it (design rule 4)."""
    text = f"{target}|{record}|{version}|{content_hash}"
    digits = hashlib.sha256(text.encode()).hexdigest()
    variant = _VARIANT[digits[16]]  # with the 4 before it the form of a random UUID (RFC 9562, 5.4)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def vendor_topic(vendor: str, kind: str) -> str:
    """A vendor's topic; *kind* is records, bulk, rejected or receipts."""
    return f"vendor.{vendor}.{kind}"


MAPPED_TOPIC: Final = "gateway.mapped"
QUARANTINE_TOPIC: Final = "gateway.quarantine"
MARKS_TOPIC: Final = "gateway.marks"
DRIFT_TOPIC: Final = "gateway.drift"
NATIONAL_TOPIC: Final = "national.records"
