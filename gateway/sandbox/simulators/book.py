"""The durable book of a simulator: what arrived, what took effect, in SQLite, committed before the answer is sent.

    sends      every arrival of a record, with key and content hash, also those without effect
    effects    every application of a version, append-only, in the order they happened
    records    the present state of each record (derived, kept in the same transaction)

The rule: one batch is one transaction (a `Page`), so that a kill -9 at any moment leaves either all of its effects or
none, and an answer never speaks of an effect that is not in the file. Doubled and overtaken effects are computed from
the effects themselves (`summary`), never from the fence that should have prevented them.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

_SCHEMA = """
CREATE TABLE IF NOT EXISTS effects (seq INTEGER PRIMARY KEY, record_id TEXT NOT NULL, version INTEGER NOT NULL,
  op TEXT NOT NULL, content_hash TEXT NOT NULL, key TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sends (seq INTEGER PRIMARY KEY, record_id TEXT NOT NULL, version INTEGER NOT NULL,
  op TEXT NOT NULL, content_hash TEXT NOT NULL, key TEXT NOT NULL, at_ms INTEGER NOT NULL, result TEXT NOT NULL,
  code TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS sends_key ON sends (key);
CREATE TABLE IF NOT EXISTS records (record_id TEXT PRIMARY KEY, version INTEGER NOT NULL, in_force INTEGER NOT NULL,
  seen_version INTEGER NOT NULL, seen_op TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
"""

_SUMMARY = """
SELECT (SELECT count(*) FROM effects) AS effects,
  (SELECT count(*) FROM (SELECT 1 FROM effects GROUP BY record_id, version)) AS applied_versions,
  (SELECT count(*) FROM sends) AS sends,
  (SELECT count(*) FROM sends WHERE result = 'REFUSED') AS refused,
  (SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM sends GROUP BY key, record_id, version))
    AS duplicate_sends,
  (SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM effects GROUP BY record_id, version, op))
    AS duplicate_effects,
  (SELECT count(*) FROM (SELECT version, max(version) OVER (PARTITION BY record_id ORDER BY seq
     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM effects) WHERE version < before) AS backwards,
  (SELECT count(*) FROM records WHERE in_force = 1) AS in_force,
  (SELECT count(*) FROM records WHERE in_force = 0 AND version > 0) AS cancelled,
  (SELECT count(*) FROM records WHERE in_force = 0 AND seen_op <> 'CANCEL') AS without_valid_record
"""
_CACHE_KIB = 65536


@dataclass(frozen=True, slots=True)
class Effect:
    """One application of a version at the target; `content_hash` is the target's own, of the bytes it got."""

    record_id: str
    version: int
    op: str
    content_hash: str
    key: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class SendRow:
    """One arrival of a record, whatever became of it."""

    record_id: str
    version: int
    op: str
    content_hash: str
    key: str
    at_ms: int
    result: str
    code: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record as it arrived: *op* is NEW, UPDATE or CANCEL whatever the wire calls it."""

    record_id: str
    version: int
    op: str
    content_hash: str
    key: str


@dataclass(slots=True)
class Held:
    """What the book holds of a record; version 0: nothing was ever applied."""

    version: int = 0
    in_force: bool = False
    seen_version: int = 0
    seen_op: str = ""


def content_hash(content: bytes, *without: bytes) -> str:
    """SHA-256 (hex) of a record's bytes as they were sent, *without* what names the sending and not the record."""
    for words in without:
        content = content.replace(words, b"")
    return hashlib.sha256(content).hexdigest()


class Page:
    """One batch on its way into the book: reads see what the batch itself has done so far."""

    def __init__(
        self, connection: sqlite3.Connection, at_ms: int, record_ids: Iterable[str], keys: Iterable[str]
    ) -> None:
        self._connection = connection
        self._at_ms = at_ms
        self._effects: list[tuple[object, ...]] = []
        self._sends: list[tuple[object, ...]] = []
        self._counters: dict[str, int] = {}
        rows = connection.execute(
            "SELECT record_id, version, in_force, seen_version, seen_op FROM records "
            "WHERE record_id IN (SELECT value FROM json_each(?))",
            [_json(record_ids)],
        )
        self._held = {row[0]: Held(row[1], bool(row[2]), row[3], row[4]) for row in rows}
        answered = connection.execute(
            "SELECT key FROM sends WHERE key IN (SELECT value FROM json_each(?)) "
            "AND result NOT IN ('RETRY', 'REFUSED')",
            [_json(keys)],
        )
        self._keys = {row[0] for row in answered}
        self._touched: set[str] = set()

    def held(self, record_id: str) -> Held:
        """The present state of a record."""
        return self._held.setdefault(record_id, Held())

    def took(self, key: str) -> bool:
        """Whether a send under *key* was taken before (a refused one was not)."""
        return key in self._keys

    def apply(self, arrival: Arrival) -> None:
        """Let a version take effect, whatever is held: the fence is the caller's."""
        held = self.held(arrival.record_id)
        held.version, held.in_force = max(held.version, arrival.version), arrival.op != "CANCEL"
        self._effects.append((*_identity(arrival), self._at_ms))

    def answer(self, arrival: Arrival, result: str, code: str = "") -> None:
        """Book the arrival with its answer."""
        held = self.held(arrival.record_id)
        if arrival.version >= held.seen_version:
            held.seen_version, held.seen_op = arrival.version, arrival.op
        if result not in {"RETRY", "REFUSED"}:
            self._keys.add(arrival.key)
        self._touched.add(arrival.record_id)
        self._sends.append((*_identity(arrival), self._at_ms, result, code))

    def count(self, name: str, n: int = 1) -> None:
        """Raise an anomaly counter."""
        self._counters[name] = self._counters.get(name, 0) + n

    @property
    def effects(self) -> int:
        """How many effects this page has so far."""
        return len(self._effects)

    def write(self) -> None:
        """Put everything into the open transaction."""
        run = self._connection.executemany
        run(
            "INSERT INTO effects (record_id, version, op, content_hash, key, at_ms) VALUES (?,?,?,?,?,?)", self._effects
        )
        run(
            "INSERT INTO sends (record_id, version, op, content_hash, key, at_ms, result, code) "
            "VALUES (?,?,?,?,?,?,?,?)",
            self._sends,
        )
        run(
            "INSERT OR REPLACE INTO records VALUES (?,?,?,?,?)",
            [
                (name, held.version, int(held.in_force), held.seen_version, held.seen_op)
                for name, held in ((name, self._held[name]) for name in self._touched)
            ],
        )
        run(
            "INSERT INTO counters VALUES (?,?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n",
            list(self._counters.items()),
        )


def _identity(arrival: Arrival) -> tuple[object, ...]:
    return (arrival.record_id, arrival.version, arrival.op, arrival.content_hash, arrival.key)


def _json(values: Iterable[str]) -> str:
    return msgspec.json.encode(list(values)).decode()


class Book:
    """The open book. All calls are short and synchronous: one event loop, one writer."""

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute(
            "PRAGMA synchronous=NORMAL"
        )  # kill -9 loses nothing; a power cut is no part of the simulation
        self.connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self.connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is in the file when this ends, or nothing is."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    @contextmanager
    def page(self, record_ids: Iterable[str], keys: Iterable[str]) -> Iterator[Page]:
        """A page for one batch; it is in the file when this ends."""
        with self.transaction() as connection:
            page = Page(connection, self._now_ms(), record_ids, keys)
            yield page
            page.write()

    def count(self, name: str, n: int = 1) -> None:
        """Raise a counter at once."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO counters VALUES (?,?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n", [name, n]
            )

    def versions(self, record_ids: Iterable[str]) -> list[tuple[str, int]]:
        """The highest version applied of each of *record_ids* that is known."""
        rows = self.connection.execute(
            "SELECT record_id, version FROM records "
            "WHERE version > 0 AND record_id IN (SELECT value FROM json_each(?))",
            [_json(record_ids)],
        )
        return [(str(name), int(version)) for name, version in rows]

    def summary(self) -> dict[str, int]:
        """Every count of the book, computed from its rows."""
        return _summary(self.connection)

    def progress(self) -> dict[str, int]:
        """The two counts that cost nothing, for a live display."""
        row = self.connection.execute("SELECT (SELECT max(seq) FROM effects), (SELECT max(seq) FROM sends)").fetchone()
        return {"effects": row[0] or 0, "sends": row[1] or 0}

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _summary(connection: sqlite3.Connection) -> dict[str, int]:
    cursor = connection.execute(_SUMMARY)
    names = [column[0] for column in cursor.description]
    counts = dict(zip(names, cursor.fetchone(), strict=True))
    return counts | dict(connection.execute("SELECT name, n FROM counters ORDER BY name"))


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def read_book(path: Path) -> Iterator[Effect]:
    """The effects in the order they happened; also while the simulator runs."""
    with closing(_reader(path)) as connection:
        for row in connection.execute(
            "SELECT record_id, version, op, content_hash, key, at_ms FROM effects ORDER BY seq"
        ):
            yield Effect(*row)


def read_sends(path: Path) -> Iterator[SendRow]:
    """Every arrival in order, with its answer; also while the simulator runs."""
    with closing(_reader(path)) as connection:
        rows = connection.execute(
            "SELECT record_id, version, op, content_hash, key, at_ms, result, code FROM sends ORDER BY seq",
        )
        for row in rows:
            yield SendRow(*row)


def read_summary(path: Path) -> dict[str, int]:
    """The book's counts from its file alone."""
    with closing(_reader(path)) as connection:
        return _summary(connection)
