"""Sealing anew what older keys sealed, so that they can be retired: verdicts, aliases, identity's parked bodies.

A page at a time, beside running workers: a row that somebody changed meanwhile is left to its new owner.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from gateway.edges.identity_aliases import alias_context
from gateway.edges.identity_rows import body_context
from gateway.edges.identity_verdicts import verdict_context
from gateway.edges.keys import Keys, Sealed
from gateway.edges.ledger import Pool
from gateway.record import lane_unsigned

PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class _Column:
    """A sealed column, the columns of its key, and what its values are bound to."""

    table: str
    sealed: str
    key: tuple[str, ...]
    where: str
    context: Callable[[Sequence[Any]], bytes]


_COLUMNS: Final = (
    _Column(
        "verdicts",
        "citizen_id",
        ("lane", "claim_hash"),
        "true",
        lambda key: verdict_context((lane_unsigned(key[0]), bytes(key[1]))),
    ),
    _Column("aliases", "official_code", ("lane",), "true", lambda key: alias_context(lane_unsigned(key[0]))),
    _Column(
        "parked",
        "body",
        ("slot", "topic_offset"),
        "stage = 'identity' AND target = ''",
        lambda key: body_context(key[0], key[1]),
    ),
)


async def by_key(pool: Pool) -> dict[str, dict[str, int]]:
    """How many values each key has sealed, by table."""
    found: dict[str, dict[str, int]] = {}
    async with pool.connection() as connection:
        for column in _COLUMNS:
            statement = (
                f"SELECT key_id, count(*) FROM {column.table} WHERE {column.where} AND {column.sealed} IS NOT NULL "
                "GROUP BY key_id"
            )
            rows: list[Any] = await (await connection.execute(statement)).fetchall()
            for name, count in rows:
                found.setdefault(name, {})[column.table] = count
    return found


async def reseal(pool: Pool, keys: Keys) -> int:
    """Seal everything under the current key; how many values.  Raises GatewayError when a key is missing."""
    done = 0
    for column in _COLUMNS:
        while page := await _page(pool, keys, column):
            done += page
    return done


async def _page(pool: Pool, keys: Keys, column: _Column) -> int:
    names = ", ".join(column.key)
    statement = (
        f"SELECT {column.sealed}, key_id, {names} FROM {column.table} WHERE {column.where} "
        f"AND {column.sealed} IS NOT NULL AND key_id <> %s LIMIT {PAGE} FOR UPDATE SKIP LOCKED"
    )
    async with pool.connection() as connection, connection.transaction():
        rows: list[Any] = await (await connection.execute(statement, (keys.current,))).fetchall()
        for data, key_id, *key in rows:
            await _change(connection, column, keys, Sealed(key_id, bytes(data)), key)
    return len(rows)


async def _change(
    connection: psycopg.AsyncConnection[Any], column: _Column, keys: Keys, old: Sealed, key: Sequence[Any]
) -> None:
    context = column.context(key)
    new = keys.seal(keys.open(old, context), context)
    same = " AND ".join(f"{name} = %s" for name in column.key)
    statement = f"UPDATE {column.table} SET {column.sealed} = %s, key_id = %s WHERE {column.where} AND {same}"
    await connection.execute(statement, (new.data, new.key_id, *key))
