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
class AtTarget:
    """One version of one record at one target; *op* is what was asked for."""

    target: str
    record_id: str
    version: int
    event_id: str
    vendor: str
    content_hash: str
    op: str

    @property
    def key(self) -> str:
        """The idempotency key of this version at this target (design rule 4)."""
        return idempotency_key(self.target, self.record_id, self.version, self.content_hash)


@dataclass(frozen=True, slots=True)
class Delivered(AtTarget):
    """An end state at one target; *reply* is what the target answered, empty when nothing was sent."""

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


@dataclass(frozen=True, slots=True)
class Held(AtTarget):
    """An open parked row at one target; *sent* says whether the target may have applied it."""

    code: str
    target_code: str
    owner: str
    sent: str
    parked_at: datetime


@dataclass(frozen=True, slots=True)
class UnderWay(AtTarget):
    """No end state at one target yet: a member of an open packet, or the newest version after a failed attempt.

    *op* is what the target is asked for; without a packet, what the vendor asked for.
    """

    packet: str | None
    packet_purpose: str | None
    packet_sha256: str | None
    packet_built_at: datetime | None
    packet_step: str | None


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
    """Everything of some events, oldest version first; what is *held* may be under way too, by order."""

    delivered: Sequence[Delivered]
    held: Sequence[Held]
    under_way: Sequence[UnderWay]
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
_UNDER_WAY: Final = """
WITH travelling AS (
    SELECT p.target, m.record_id, m.version, m.event_id, m.vendor, m.content_hash, p.purpose AS op, p.packet,
           p.purpose AS packet_purpose, p.bytes_sha256, p.created_at, p.step
    FROM packets p CROSS JOIN LATERAL jsonb_to_recordset(p.members)
         AS m (record_id uuid, version int, event_id uuid, vendor text, content_hash text)
    WHERE p.step <> 'settled' AND m.event_id = ANY (%(events)s::uuid[])
), tried AS (
    SELECT DISTINCT a.target, h.record_id, h.version, h.event_id, h.vendor, encode(h.content_hash, 'hex'), h.op
    FROM heads h JOIN attempts a USING (record_id, version) WHERE h.event_id = ANY (%(events)s::uuid[])
), both_ways AS (
    SELECT * FROM travelling UNION ALL SELECT t.*, NULL, NULL, NULL, NULL, NULL FROM tried t
    WHERE NOT EXISTS (SELECT FROM travelling v WHERE v.target = t.target AND v.event_id = t.event_id)
      AND NOT EXISTS (SELECT FROM parked p WHERE p.stage = 'delivery' AND p.state <> 'closed'
                      AND p.target = t.target AND p.event_id = t.event_id)
)
SELECT target, record_id::text, version, event_id::text, vendor, content_hash, op, packet::text, packet_purpose,
       encode(bytes_sha256, 'hex') AS packet_sha256, created_at AS packet_built_at, step AS packet_step
FROM both_ways b
WHERE NOT EXISTS (SELECT FROM deliveries d WHERE d.event_id = b.event_id AND d.target = b.target)
ORDER BY record_id, version, target
"""
_ATTEMPTS: Final = """
SELECT a.target, a.record_id::text, a.version, a.n, a.at, a.outcome
FROM (SELECT record_id, version FROM deliveries WHERE event_id = ANY (%(events)s::uuid[])
      UNION SELECT record_id, version FROM parked WHERE stage = 'delivery' AND event_id = ANY (%(events)s::uuid[])
      UNION SELECT record_id, version FROM heads WHERE event_id = ANY (%(events)s::uuid[])
      UNION SELECT m.record_id, m.version
      FROM packets p CROSS JOIN LATERAL jsonb_to_recordset(p.members) AS m (record_id uuid, version int, event_id uuid)
      WHERE p.step <> 'settled' AND m.event_id = ANY (%(events)s::uuid[])) AS asked
JOIN attempts a USING (record_id, version)
ORDER BY a.record_id, a.version, a.target, a.at, a.n
"""


async def proof(pool: Pool, events: Sequence[str]) -> Proof:
    """What the ledger can show of *events*."""
    asked = {"events": list(events)}
    return Proof(
        await read_rows(pool, Delivered, _DELIVERED, asked),
        await read_rows(pool, Held, _HELD, asked),
        await read_rows(pool, UnderWay, _UNDER_WAY, asked),
        await read_rows(pool, Attempt, _ATTEMPTS, asked),
    )
