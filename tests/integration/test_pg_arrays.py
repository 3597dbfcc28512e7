"""Array literals arrive in PostgreSQL as the values they were made of."""

import psycopg
import pytest

from gateway.edges import pg_arrays as arrays

pytestmark = pytest.mark.servers
STRANGE = ["plain", "", "NULL", "null", "a,b", "{c}", 'say "d"', "back\\slash", '\\"', " e ", "Trần Mẫu\n", "\t"]
U1, U2 = "0a6c1f00-0000-4000-8000-0000000000e1", "ffffffff-ffff-4fff-bfff-ffffffffffff"


@pytest.mark.parametrize(
    ("literal", "kind", "values"),
    [
        (arrays.texts(STRANGE), "text", STRANGE),
        (arrays.texts(["a", "b"]), "text", ["a", "b"]),
        (arrays.numbers([-(2**63), 0, 2**63 - 1]), "bigint", [-(2**63), 0, 2**63 - 1]),
        (arrays.booleans([True, False]), "boolean", [True, False]),
        (arrays.hexes(["", "00ff5c22"]), "bytea", [b"", b'\x00\xff\\"']),
        (arrays.texts([]), "text", []),
        (arrays.numbers([]), "smallint", []),
    ],
    ids=["strange texts", "texts", "numbers", "booleans", "bytes", "no texts", "no numbers"],
)
def test_a_column_arrives_as_it_was(ledger_url: str, literal: str, kind: str, values: list[object]) -> None:
    with psycopg.connect(ledger_url) as connection:
        rows = connection.execute(f"SELECT * FROM unnest(%s::{kind}[])", (literal,)).fetchall()

    assert [value for (value,) in rows] == values


def test_uuids_arrive_with_their_gaps(ledger_url: str) -> None:
    with psycopg.connect(ledger_url) as connection:
        rows = connection.execute("SELECT * FROM unnest(%s::uuid[])", (arrays.uuids([U1, None, U2]),)).fetchall()

    assert [value and str(value) for (value,) in rows] == [U1, None, U2]
