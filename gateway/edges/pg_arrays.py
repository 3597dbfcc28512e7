"""PostgreSQL's array literals for ``unnest``: one text a column, made by one join.

psycopg turns a list into an array value by value, in Python; for a batch of 500 rows of 14 columns that was a quarter
of delivery's time.  The statement's cast gives each column its type, as with lists.
"""

from collections.abc import Iterable, Sequence


def numbers(values: Iterable[int]) -> str:
    """For integers of any size."""
    return "{" + ",".join(map(str, values)) + "}"


def booleans(values: Iterable[bool]) -> str:
    """For booleans."""
    return "{" + ",".join(["t" if value else "f" for value in values]) + "}"


def uuids(values: Iterable[str | None]) -> str:
    """For UUIDs in their text form, or NULL."""
    return "{" + ",".join([value or "NULL" for value in values]) + "}"


def hexes(values: Iterable[str]) -> str:
    """For bytea, from hexadecimal digits."""
    return "{" + ",".join(["\\\\x" + value for value in values]) + "}"


def texts(values: Sequence[str]) -> str:
    r"""For texts of any content.

    >>> texts(['a', 'say "b"', ''])
    '{"a","say \\"b\\"",""}'
    """
    if not values:
        return "{}"
    joined = '{"' + '","'.join(values) + '"}'
    if "\\" not in joined and joined.count('"') == 2 * len(values):
        return joined
    return '{"' + '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in values]) + '"}'
