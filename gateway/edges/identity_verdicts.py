"""Verdicts and their audit in the ledger: what the registers said about one claim of one pupil, until it expires.

Only the verdict is kept, never the person: the claim is a hash, the pupil a lane, the citizen ID is sealed.  Every
look-up leaves an audit row with purpose, officer, endpoint and request id (facts section 10): it is written before the
request leaves, and replaced in the transaction of the verdicts that it led to, so that a kill in between leaves it.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from gateway.edges.identity_link import Duty
from gateway.edges.identity_sql import Column, columns_of, insert
from gateway.edges.keys import Keys, Sealed
from gateway.edges.ledger import Pool
from gateway.identity.cache import Kept
from gateway.identity.names import How
from gateway.identity.plan import ClaimKey
from gateway.identity.verdicts import (
    Confirmed,
    Difference,
    Mismatch,
    NotApplicable,
    NotFound,
    Several,
    Unconfirmed,
    Verdict,
    word_of,
)
from gateway.record import lane_signed, lane_unsigned

ASKED: Final = "asked"
"""The verdict of a look-up that may have left and has no answer yet."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict to keep for its claim."""

    key: ClaimKey
    kept: Kept


@dataclass(frozen=True, slots=True)
class Done:
    """Look-ups end *at*; the requests *not_sent* never left this machine and need no audit."""

    at: datetime
    not_sent: tuple[uuid.UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """One pupil asked about in one request, and what was said; nothing of the person."""

    lane: int
    request_id: uuid.UUID
    duty: Duty
    verdict: str

    def columns(self, now: datetime) -> tuple[object, ...]:
        """The values of its row."""
        duty = self.duty
        lane = lane_signed(self.lane)
        return now, self.request_id, duty.purpose, duty.officer, duty.endpoint, lane, self.verdict


async def insert_audit(connection: psycopg.AsyncConnection[Any], audits: Sequence[Audit], now: datetime) -> None:
    """Write *audits* in the caller's transaction."""
    await insert(connection, "lookups", _LOOKUP_COLUMNS, [audit.columns(now) for audit in audits], "")


class VerdictStore:
    """Verdicts by (lane, claim hash)."""

    def __init__(self, pool: Pool, keys: Keys) -> None:
        self._pool = pool
        self._keys = keys

    async def known(self, keys: Sequence[ClaimKey], since: datetime) -> dict[ClaimKey, Kept]:
        """The verdicts of *keys* that expire after *since*, in one query."""
        if not keys:
            return {}
        statement = (
            "SELECT v.lane, v.claim_hash, verdict, field, citizen_id, key_id, expires_at FROM verdicts v "
            "JOIN unnest(%s::bigint[], %s::bytea[]) AS k (lane, claim_hash) USING (lane, claim_hash) "
            "WHERE expires_at > %s"
        )
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, (*columns_of(_stored_keys(keys), 2), since))
            rows: list[Any] = await cursor.fetchall()
        return {(lane_unsigned(row[0]), bytes(row[1])): self._kept(row) for row in rows}

    async def asking(self, audits: Sequence[Audit], now: datetime) -> None:
        """Write the audit of look-ups that are about to leave; safe to repeat."""
        async with self._pool.connection() as connection:
            await insert_audit(connection, audits, now)

    async def store(self, answers: Sequence[Answer], audits: Sequence[Audit], done: Done) -> None:
        """Keep *answers* and write the audit, in one transaction; safe to repeat but for doubled audit rows."""
        rows = [self._columns(answer, done.at) for answer in answers]
        replaced = list({*(audit.request_id for audit in audits), *done.not_sent})
        async with self._pool.connection() as connection, connection.transaction():
            await insert(connection, "verdicts", _VERDICT_COLUMNS, rows, _VERDICT_CONFLICT)
            await connection.execute(_ANSWERED, (ASKED, replaced))
            await insert_audit(connection, audits, done.at)

    async def forget(self, keys: Iterable[ClaimKey]) -> None:
        """Drop verdicts that an order wants asked again; a person's word stays."""
        statement = (
            "DELETE FROM verdicts USING unnest(%s::bigint[], %s::bytea[]) AS k (lane, claim_hash) "
            "WHERE verdicts.lane = k.lane AND verdicts.claim_hash = k.claim_hash AND decided_by = ''"
        )
        async with self._pool.connection() as connection:
            await connection.execute(statement, columns_of(_stored_keys(keys), 2))

    async def purge(self, before: datetime) -> int:
        """Drop the verdicts that expired before then, a page at a time; the number dropped."""
        statement = (
            "DELETE FROM verdicts WHERE ctid IN "
            f"(SELECT ctid FROM verdicts WHERE expires_at < %s ORDER BY expires_at LIMIT {_PURGE_PAGE})"
        )
        dropped, page = 0, _PURGE_PAGE
        while page == _PURGE_PAGE:
            async with self._pool.connection() as connection:
                page = (await connection.execute(statement, (before,))).rowcount
            dropped += page
        return dropped

    def _columns(self, answer: Answer, now: datetime) -> tuple[object, ...]:
        lane, claim_hash = answer.key
        name, told, citizen_id = _text(answer.kept.verdict)
        sealed = self._keys.seal(citizen_id.encode(), verdict_context(answer.key)) if citizen_id else None
        return (
            lane_signed(lane),
            claim_hash,
            name,
            told,
            sealed.data if sealed else None,
            sealed.key_id if sealed else None,
            now,
            answer.kept.expires_at,
        )

    def _kept(self, row: Sequence[Any]) -> Kept:
        lane, claim_hash, name, told, sealed, key_id, expires_at = row
        citizen_id = ""
        if sealed is not None:
            key = (lane_unsigned(lane), bytes(claim_hash))
            citizen_id = self._keys.open(Sealed(key_id, bytes(sealed)), verdict_context(key)).decode()
        return Kept(_verdict(name, told, citizen_id), expires_at)


def _stored_keys(keys: Iterable[ClaimKey]) -> list[tuple[int, bytes]]:
    return [(lane_signed(lane), claim_hash) for lane, claim_hash in keys]


def verdict_context(key: ClaimKey) -> bytes:
    """What a sealed citizen ID of a verdict is bound to."""
    return f"verdict|{key[0]}|{key[1].hex()}".encode()


def _text(verdict: Verdict) -> tuple[str, str, str]:
    """(verdict, its differences as ``field:how`` joined by commas, citizen ID): how a verdict stands in its row."""
    match verdict:
        case Confirmed(citizen_id, differences):
            return word_of(verdict), _told(differences), citizen_id
        case Mismatch(differences):
            return word_of(verdict), _told(differences), ""
        case Unconfirmed() | NotFound() | Several() | NotApplicable():
            return word_of(verdict), "", ""


def _told(differences: Iterable[Difference]) -> str:
    return ",".join(f"{one.field}:{one.how}" for one in differences)


def _verdict(name: str, told: str, citizen_id: str) -> Verdict:
    if name in _PLAIN:
        return _PLAIN[name]
    pairs = (one.partition(":") for one in told.split(",") if one)
    differences = tuple(Difference(field, How(how or How.DIFFERENT)) for field, _, how in pairs)
    return Mismatch(differences) if name == "mismatch" else Confirmed(citizen_id, differences)


_PLAIN: Final[dict[str, Verdict]] = {
    word_of(verdict): verdict for verdict in (Unconfirmed(), NotFound(), Several(), NotApplicable())
}
_PURGE_PAGE: Final = 5_000
_ANSWERED: Final = "DELETE FROM lookups WHERE verdict = %s AND request_id = ANY(%s::uuid[])"
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
    "expires_at = excluded.expires_at WHERE verdicts.decided_by = ''"
)
_LOOKUP_COLUMNS: Final = (
    Column("asked_at", "timestamptz"),
    Column("request_id", "uuid"),
    Column("purpose", "text"),
    Column("officer", "text"),
    Column("endpoint", "text"),
    Column("lane", "bigint"),
    Column("verdict", "text"),
)
