"""Verdicts and their audit in the ledger: what the registry said about one claim of one pupil, until it expires.

Only the verdict is kept, never the person: the claim is a hash, the pupil a lane, the citizen ID is sealed.  Every
answer leaves an audit row with purpose and request id, written in the transaction of the verdict (facts section 10).
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.edges.identity_sql import Column, columns_of, insert
from gateway.edges.keys import Keys, Sealed
from gateway.edges.ledger import Pool
from gateway.errors import Problem
from gateway.identity.plan import ClaimKey
from gateway.identity.verdicts import Confirmed, Differs, NoCitizenId, NotFound, Several, Verdict
from gateway.record import lane_signed, lane_unsigned


@dataclass(frozen=True, slots=True)
class Kept:
    """A verdict and the instant it stops being believed."""

    verdict: Verdict
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict to keep for its claim."""

    key: ClaimKey
    kept: Kept


class VerdictStore:
    """Verdicts by (lane, claim hash)."""

    def __init__(self, pool: Pool, keys: Keys) -> None:
        self._pool = pool
        self._keys = keys

    async def known(self, keys: Sequence[ClaimKey], now: datetime) -> dict[ClaimKey, Kept]:
        """The unexpired verdicts of *keys*, in one query."""
        if not keys:
            return {}
        statement = (
            "SELECT v.lane, v.claim_hash, verdict, field, citizen_id, key_id, expires_at FROM verdicts v "
            "JOIN unnest(%s::bigint[], %s::bytea[]) AS k (lane, claim_hash) USING (lane, claim_hash) "
            "WHERE expires_at > %s"
        )
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, (*columns_of(_stored_keys(keys), 2), now))
            rows: list[Any] = await cursor.fetchall()
        return {(lane_unsigned(row[0]), bytes(row[1])): self._kept(row) for row in rows}

    async def store(self, answers: Sequence[Answer], *, purpose: str, request_id: uuid.UUID, now: datetime) -> None:
        """Keep *answers* and write their audit; safe to repeat but for a doubled audit row."""
        rows = [self._columns(answer, now) for answer in answers]
        audit = [(now, request_id, purpose, row[0], row[2]) for row in rows]
        async with self._pool.connection() as connection, connection.transaction():
            await insert(connection, "verdicts", _VERDICT_COLUMNS, rows, _VERDICT_CONFLICT)
            await insert(connection, "lookups", _LOOKUP_COLUMNS, audit, "")

    async def forget(self, keys: Iterable[ClaimKey]) -> None:
        """Drop verdicts that an order wants asked again."""
        statement = (
            "DELETE FROM verdicts USING unnest(%s::bigint[], %s::bytea[]) AS k (lane, claim_hash) "
            "WHERE verdicts.lane = k.lane AND verdicts.claim_hash = k.claim_hash"
        )
        async with self._pool.connection() as connection:
            await connection.execute(statement, columns_of(_stored_keys(keys), 2))

    def _columns(self, answer: Answer, now: datetime) -> tuple[object, ...]:
        lane, claim_hash = answer.key
        name, field, citizen_id = _text(answer.kept.verdict)
        sealed = self._keys.seal(citizen_id.encode(), _context(answer.key)) if citizen_id else None
        return (
            lane_signed(lane),
            claim_hash,
            name,
            field,
            sealed.data if sealed else None,
            sealed.key_id if sealed else None,
            now,
            answer.kept.expires_at,
        )

    def _kept(self, row: Sequence[Any]) -> Kept:
        lane, claim_hash, name, field, sealed, key_id, expires_at = row
        citizen_id = ""
        if sealed is not None:
            key = (lane_unsigned(lane), bytes(claim_hash))
            citizen_id = self._keys.open(Sealed(key_id, bytes(sealed)), _context(key)).decode()
        return Kept(_verdict(name, field, citizen_id), expires_at)


def _stored_keys(keys: Iterable[ClaimKey]) -> list[tuple[int, bytes]]:
    return [(lane_signed(lane), claim_hash) for lane, claim_hash in keys]


def _context(key: ClaimKey) -> bytes:
    return f"verdict|{key[0]}|{key[1].hex()}".encode()


def _text(verdict: Verdict) -> tuple[str, str, str]:
    """(verdict, its fields or warning codes joined by commas, citizen ID): how a verdict stands in its row."""
    match verdict:
        case Confirmed(citizen_id, warnings):
            return "confirmed", ",".join(warning.code for warning in warnings), citizen_id
        case Differs(fields):
            return "differs", ",".join(fields), ""
        case NotFound():
            return "not_found", "", ""
        case Several():
            return "several", "", ""
        case NoCitizenId():
            return "no_citizen_id", "", ""


def _verdict(name: str, field: str, citizen_id: str) -> Verdict:
    parts = tuple(filter(None, field.split(",")))
    if name == "confirmed":
        return Confirmed(citizen_id, tuple(Problem(code, "full_name") for code in parts))
    if name == "differs":
        return Differs(parts)
    return _PLAIN[name]


_PLAIN: Final[dict[str, Verdict]] = {"not_found": NotFound(), "several": Several(), "no_citizen_id": NoCitizenId()}
_VERDICT_COLUMNS: Final = (
    Column("lane", "bigint"),
    Column("claim_hash", "bytea"),
    Column("verdict", "text"),
    Column("field", "text"),
    Column("citizen_id", "bytea"),
    Column("key_id", "text"),
    Column("checked_at", "timestamptz"),
    Column("expires_at", "timestamptz"),
)
_VERDICT_CONFLICT: Final = (
    "ON CONFLICT (lane, claim_hash) DO UPDATE SET verdict = excluded.verdict, field = excluded.field, "
    "citizen_id = excluded.citizen_id, key_id = excluded.key_id, checked_at = excluded.checked_at, "
    "expires_at = excluded.expires_at"
)
_LOOKUP_COLUMNS: Final = (
    Column("asked_at", "timestamptz"),
    Column("request_id", "uuid"),
    Column("purpose", "text"),
    Column("lane", "bigint"),
    Column("verdict", "text"),
)
