"""Batched inserts for identity: one statement a table, its rows as arrays (``unnest``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its PostgreSQL type."""

    name: str
    kind: str


def columns_of(rows: Sequence[tuple[Any, ...]], width: int) -> tuple[list[Any], ...]:
    """Rows of *width* values, turned into one list a column."""
    return tuple([row[index] for row in rows] for index in range(width))


async def insert(
    connection: psycopg.AsyncConnection[Any],
    table: str,
    columns: Sequence[Column],
    rows: Sequence[tuple[object, ...]],
    conflict: str,
) -> None:
    """Insert *rows* into *table*; *conflict* is the ON CONFLICT clause.  Nothing happens without rows."""
    if not rows:
        return
    names = ", ".join(column.name for column in columns)
    arrays = ", ".join(f"%s::{column.kind}[]" for column in columns)
    await connection.execute(
        f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}) {conflict}", columns_of(rows, len(columns))
    )
