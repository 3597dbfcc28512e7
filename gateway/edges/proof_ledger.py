"""The proof of delivery of one record: what the ledger can show of each version at each target, without its content.

Hashes, ids, versions, keys, answers and times; a reader can compare them with the target's own book and with the
vendor's file.  No row here holds personal data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.edges.ledger import Pool
from gateway.edges.operator_ledger import read_rows
from gateway.record import idempotency_key


@dataclass(frozen=True, slots=True)
class Delivered:
    """An end state at one target; *reply* is what the target answered, empty when nothing was sent."""

    target: str
    record_id: str
    version: int
    event_id: str
    vendor: str
    content_hash: str
    op: str
    state: str
    reply: str
    attempts: int
    epoch: int
    settled_at: datetime
    revoked_for: int | None
    revoked_at: datetime | None
    packet: str | None
    packet_purpose: str | None
    packet_sha256: str | None
    packet_built_at: datetime | None

    @property
    def key(self) -> str:
        """The idempotency key of this version at this target (design rule 4)."""
        return idempotency_key(self.target, self.record_id, self.version, self.content_hash)


@dataclass(frozen=True, slots=True)
class Held:
    """An open parked row at one target; *sent* says whether the target may have applied it."""

    target: str
    record_id: str
    version: int
    event_id: str
    vendor: str
    content_hash: str
    op: str
    code: str
    target_code: str
    owner: str
    sent: str
    parked_at: datetime

    @property
    def key(self) -> str:
        """As of `Delivered`."""
        return idempotency_key(self.target, self.record_id, self.version, self.content_hash)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that settled nothing."""

    target: str
    record_id: str
    version: int
    n: int
    at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything of some events, oldest version first."""

    delivered: Sequence[Delivered]
    held: Sequence[Held]
    attempts: Sequence[Attempt]


_DELIVERED: Final = """
SELECT d.target, d.record_id::text, d.version, d.event_id::text, d.vendor,
       encode(d.content_hash, 'hex') AS content_hash, d.op, d.state, d.reply, d.attempts, d.epoch, d.settled_at,
       d.revoked_for, d.revoked_at, d.packet::text, p.purpose AS packet_purpose,
       encode(p.bytes_sha256, 'hex') AS packet_sha256, p.created_at AS packet_built_at
FROM deliveries d LEFT JOIN packets p ON p.packet = d.packet
WHERE d.event_id = ANY (%(events)s::uuid[]) ORDER BY d.record_id, d.version, d.target
"""
_HELD: Final = """
SELECT target, record_id::text, version, event_id::text, vendor, encode(content_hash, 'hex') AS content_hash, op, code,
       target_code, owner, sent, parked_at
FROM parked WHERE stage = 'delivery' AND state <> 'closed' AND event_id = ANY (%(events)s::uuid[])
ORDER BY record_id, version, target
"""
_ATTEMPTS: Final = """
SELECT a.target, a.record_id::text, a.version, a.n, a.at, a.outcome
FROM (SELECT DISTINCT school_year, record_id, version FROM (
        SELECT school_year, record_id, version FROM deliveries WHERE event_id = ANY (%(events)s::uuid[])
        UNION SELECT school_year, record_id, version FROM parked
        WHERE stage = 'delivery' AND event_id = ANY (%(events)s::uuid[])) AS every) AS asked
JOIN attempts a ON a.school_year = asked.school_year AND a.record_id = asked.record_id AND a.version = asked.version
ORDER BY a.record_id, a.version, a.target, a.at, a.n
"""


async def proof(pool: Pool, events: Sequence[str]) -> Proof:
    """What the ledger can show of *events*."""
    asked = {"events": list(events)}
    return Proof(
        await read_rows(pool, Delivered, _DELIVERED, asked),
        await read_rows(pool, Held, _HELD, asked),
        await read_rows(pool, Attempt, _ATTEMPTS, asked),
    )
