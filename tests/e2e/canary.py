"""Looks for planted people in everything a run leaves behind that is no payload (design rule 8, invariant I10).

    logs        every worker's and simulator's, and the servers'
    Kafka       keys and headers of every topic but the vendors' own; values where they are no payload: receipts, drift,
                marks
    ledger      every row of every table, as text, and each bytea as bytes
    commands    what operators' commands print

A person is sought in every form in which a value may get into a text: composed and decomposed, in capitals, without
diacritics, escaped for JSON, Python, URLs, in hex and base64; an ID also as the number it makes.
"""

import base64
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition
from psycopg import sql

from gateway.config import Config

VALUES_READ = (".receipts", "gateway.drift", "gateway.marks")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+|(?:%[0-9a-fA-F]{2})+")
_NUMBER = re.compile(rb"(?<![0-9])[0-9]{8,12}(?![0-9])")
_HEX = re.compile(rb"\\\\x((?:[0-9a-f]{2})+)")


@dataclass(frozen=True)
class Planted:
    """A person who must not be found; names and numbers are sought in all their forms."""

    names: tuple[str, ...] = field(repr=False)
    numbers: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Place:
    """Bytes, and where they stand."""

    where: str
    content: bytes = field(repr=False)


def folded(content: bytes) -> str:
    """*content* as one text in which a name has one form: unescaped, without diacritics, small letters."""
    text = _ESCAPED.sub(_unescaped, content.decode("utf-8", "replace"))
    text = _BYTES.sub(_as_text, text)
    letters = (one for one in unicodedata.normalize("NFD", text.replace("+", " ")) if not unicodedata.combining(one))
    return "".join(letters).lower().replace("đ", "d")


def _unescaped(run: re.Match[str]) -> str:
    return chr(int(run[1], 16))


def _as_text(run: re.Match[str]) -> str:
    raw = bytes.fromhex(re.sub(r"\\x|%", "", run[0]))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")  # an escaped letter, not an escaped byte


def leaks(places: Iterable[Place], people: Iterable[Planted]) -> dict[str, set[str]]:
    """Where something planted stands, and whether it is a name or a number.

    A number counts where no digit stands beside it.
    """
    names, numbers = set[str](), set[bytes]()
    hidden = set[bytes]()
    for person in people:
        names |= {folded(name.encode()) for name in person.names}
        numbers |= {form.encode() for one in person.numbers for form in (one, one.lstrip("0"))}
        hidden |= {form for name in person.names for form in (_in_hex(name), _in_base64(name))}
    found: dict[str, set[str]] = {}
    for where, content in _by_where(places).items():
        text = folded(content)
        if any(name in text for name in names) or any(form in content for form in hidden):
            found.setdefault(where, set()).add("name")
        if numbers.intersection(_NUMBER.findall(content)):
            found.setdefault(where, set()).add("number")
    return found


def _by_where(places: Iterable[Place]) -> dict[str, bytes]:
    parts: dict[str, list[bytes]] = {}
    for place in places:
        parts.setdefault(place.where, []).append(place.content)
    return {where: b"\n".join(contents) for where, contents in parts.items()}


def _in_hex(name: str) -> bytes:
    return name.encode().hex().encode()


def _in_base64(name: str) -> bytes:
    """Its middle, which is the same whatever follows."""
    return base64.b64encode(name.encode())[:-4]


def files(*folders: Path, pattern: str = "*.log") -> Iterator[Place]:
    """The files of *folders* and of those below."""
    for folder in folders:
        for path in sorted(folder.rglob(pattern)):
            yield Place(f"file {path.name}", path.read_bytes())


async def kafka(config: Config) -> list[Place]:
    """Keys, headers, and values that are no payload, of every topic that is not a vendor's own; aborted ones too."""
    admin = AIOKafkaAdminClient(bootstrap_servers=config.kafka.bootstrap_servers)
    consumer = AIOKafkaConsumer(bootstrap_servers=config.kafka.bootstrap_servers, enable_auto_commit=False)
    await admin.start()
    await consumer.start()
    try:
        described = await admin.describe_topics([name for name in await admin.list_topics() if is_ours(name)])
        parts = [TopicPartition(one["topic"], part["partition"]) for one in described for part in one["partitions"]]
        consumer.assign(parts)
        for part, beginning in (await consumer.beginning_offsets(parts)).items():
            consumer.seek(part, beginning)
        ends, found = await consumer.end_offsets(parts), list[Place]()
        while [part for part in parts if await consumer.position(part) < ends[part]]:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [_of_record(record) for record in records]
        return found
    finally:
        await consumer.stop()
        await admin.close()


def is_ours(topic: str) -> bool:
    """Whether a topic is the gateway's: what a vendor publishes is its own."""
    vendors_own = topic.startswith("vendor.") and topic.endswith((".records", ".bulk"))
    return not vendors_own and not topic.startswith("__")


def _of_record(record: object) -> Place:
    topic, value = record.topic, record.value  # type: ignore[attr-defined]
    headers = record.headers  # type: ignore[attr-defined]
    parts = [record.key or b"", *(name.encode() + b"=" + (text or b"") for name, text in headers)]  # type: ignore[attr-defined]
    if topic.endswith(VALUES_READ):
        parts.append(value or b"")
    return Place(f"topic {topic}", b"\n".join(parts))


def ledger(url: str) -> list[Place]:
    """Every row of every table as JSON, and each bytea as the bytes it is."""
    found: list[Place] = []
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = 'public' AND relkind = 'r' ORDER BY 1"
        ).fetchall()
        for (table,) in tables:
            query = sql.SQL("SELECT row_to_json(t)::text FROM {} t").format(sql.Identifier(table))
            rows = [row[0].encode() for row in connection.execute(query)]
            for row in rows:
                raw = [bytes.fromhex(found.decode()) for found in _HEX.findall(row)]
                found.append(Place(f"table {table}", b"\n".join([row, *raw])))
    return found
