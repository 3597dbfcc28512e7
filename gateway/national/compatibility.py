"""Whether the current schema still reads what a released one wrote (Avro schema resolution, BACKWARD_TRANSITIVE).

A field may go; a field may come with a default; an int may widen; an enum and a union may grow. All else breaks
readers of a topic that still holds old bytes. Stricter than Avro in one point: a logical type (date, decimal with
precision and scale) may not change, because the bytes would be read without an error as another value.

fastavro finds a mismatch only while it reads data, branch by branch; this looks at the schemas alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastavro import parse_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]

_PROMOTIONS = frozenset(
    {
        ("int", "long"),
        ("int", "float"),
        ("int", "double"),
        ("long", "float"),
        ("long", "double"),
        ("float", "double"),
        ("string", "bytes"),
        ("bytes", "string"),
    }
)
_LOGICAL = ("logicalType", "precision", "scale")


@dataclass(slots=True)
class _Pair:
    """Writer's and reader's named types, and the pairs of names already compared (types may be recursive)."""

    written: dict[str, Any]
    read: dict[str, Any]
    done: set[tuple[str, str]] = field(default_factory=set)


def check(released: Json, current: Json) -> list[str]:
    """Breaches, one sentence each, with the path of the field; empty if *current* reads what *released* wrote."""
    written: dict[str, Any] = {}
    read: dict[str, Any] = {}
    writer = parse_schema(released, named_schemas=written)
    reader = parse_schema(current, named_schemas=read)
    return list(_compare(writer, reader, str(released.get("name", "")), _Pair(written, read)))


def check_all(released: Iterable[Json], current: Json) -> list[str]:
    """Breaches against every released copy, each sentence once."""
    return list(dict.fromkeys(breach for copy in released for breach in check(copy, current)))


def _compare(writer: Any, reader: Any, path: str, pair: _Pair) -> Iterator[str]:
    writer, reader = _resolved(writer, pair.written), _resolved(reader, pair.read)
    if isinstance(writer, list):
        for branch in writer:
            yield from _into(branch, reader, path, pair)
    else:
        yield from _into(writer, reader, path, pair)


def _into(writer: Any, reader: Any, path: str, pair: _Pair) -> Iterator[str]:
    """One written type into what the reader expects there, which may be a union."""
    writer = _resolved(writer, pair.written)
    if not isinstance(reader, list):
        yield from _same_kind(writer, reader, path, pair)
        return
    branches = [_resolved(branch, pair.read) for branch in reader]
    alike = next((branch for branch in branches if _label(branch) == _label(writer)), None)
    if alike is not None:
        yield from _same_kind(writer, alike, path, pair)
    elif not any(_promotes(writer, branch) for branch in branches):
        yield f"{path}: union branch {_label(writer)} was removed"


def _same_kind(writer: Any, reader: Any, path: str, pair: _Pair) -> Iterator[str]:
    kind = _kind(writer)
    if kind != _kind(reader):
        if not _promotes(writer, reader):
            yield f"{path}: type {_label(writer)} became {_label(reader)}"
        return
    yield from _logical(writer, reader, path)
    match kind:
        case "record":
            yield from _records(writer, reader, path, pair)
        case "enum":
            yield from _enums(writer, reader, path)
        case "fixed":
            yield from _fixed(writer, reader, path)
        case "array":
            yield from _compare(writer["items"], reader["items"], f"{path}[]", pair)
        case "map":
            yield from _compare(writer["values"], reader["values"], f"{path}{{}}", pair)
        case _:  # a primitive has nothing below it
            pass


def _records(writer: Json, reader: Json, path: str, pair: _Pair) -> Iterator[str]:
    names = (writer["name"], reader["name"])
    if names in pair.done:
        return
    pair.done.add(names)
    yield from _names(writer, reader, path)
    written = {field["name"]: field for field in writer["fields"]}
    for expected in reader["fields"]:
        found = next(
            (written[name] for name in (expected["name"], *expected.get("aliases", ())) if name in written), None
        )
        where = f"{path}.{expected['name']}"
        if found is not None:
            yield from _compare(found["type"], expected["type"], where, pair)
        elif "default" not in expected:
            yield f"{where}: new field without default"


def _enums(writer: Json, reader: Json, path: str) -> Iterator[str]:
    yield from _names(writer, reader, path)
    if "default" not in reader:
        for symbol in writer["symbols"]:
            if symbol not in reader["symbols"]:
                yield f"{path}: enum symbol {symbol} was removed"


def _fixed(writer: Json, reader: Json, path: str) -> Iterator[str]:
    yield from _names(writer, reader, path)
    if writer["size"] != reader["size"]:
        yield f"{path}: fixed size {writer['size']} became {reader['size']}"


def _names(writer: Json, reader: Json, path: str) -> Iterator[str]:
    if writer["name"] not in _own_names(reader):
        yield f"{path}: name {writer['name']} became {reader['name']}"


def _own_names(named: Json) -> set[str]:
    space = named["name"].rpartition(".")[0]
    aliases = named.get("aliases", ())
    return {named["name"], *(alias if "." in alias or not space else f"{space}.{alias}" for alias in aliases)}


def _logical(writer: Any, reader: Any, path: str) -> Iterator[str]:
    before, after = _annotations(writer), _annotations(reader)
    if before != after:
        yield f"{path}: logical type {before or 'none'} became {after or 'none'}"


def _annotations(avro: Any) -> str:
    return " ".join(f"{avro[key]}" for key in _LOGICAL if key in avro) if isinstance(avro, dict) else ""


def _promotes(writer: Any, reader: Any) -> bool:
    plain = not _annotations(writer) and not _annotations(reader)
    return plain and (_kind(writer), _kind(reader)) in _PROMOTIONS


def _resolved(avro: Any, names: dict[str, Any]) -> Any:
    return names.get(avro, avro) if isinstance(avro, str) else avro


def _kind(avro: Any) -> str:
    return str(avro["type"]) if isinstance(avro, dict) else str(avro)


def _label(avro: Any) -> str:
    """How a branch of a union is told from the others: by name for named types, else by kind."""
    return str(avro.get("name", avro["type"])) if isinstance(avro, dict) else str(avro)
