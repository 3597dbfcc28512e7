"""A vendor's sample payload as the scaffold looks at it: the items of the message, their leaves and lists.

Only shapes and a few values are looked at; nothing is judged here.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.intake.connector import WHOLE
from gateway.intake.decode_csv import decode_csv
from gateway.intake.decode_json import decode_json
from gateway.intake.decode_xml import decode_xml
from gateway.intake.language_csv import DELIMITERS, MAX_HEADER_ROWS, ROWS, CsvLayout
from gateway.intake.scaffold_words import NAMES, plain
from gateway.intake.values import as_word, folded

MAX_VALUES: Final = 40
MAX_ITEMS: Final = 200
_BRANCHES = {"string", "int", "long", "double", "float", "boolean", "bytes", "null"}
_KNOWN: Final = frozenset(word for section in NAMES.values() for words in section.values() for word in words)

Tree = Mapping[str, Any]


class UnreadableSample(Exception):
    """The sample is not of the format its name says; the text names no value."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar of the item (``a.b``) or of the message around it (``$.a``), with its distinct values as text."""

    path: str
    values: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The names on its path."""
        return tuple(self.path.removeprefix("$.").split("."))


@dataclass(frozen=True, slots=True)
class Sample:
    """What was found in the sample."""

    format: str
    batch: str
    leaves: tuple[Leaf, ...]
    lists: Mapping[str, tuple[Leaf, ...]]
    """Path of a list of objects in the item → the leaves of its elements."""
    layout: CsvLayout | None = None
    encoding: str = "utf-8"


@dataclass(slots=True)
class _Walk:
    leaves: dict[str, list[str]] = field(default_factory=dict)
    lists: dict[str, list[Tree]] = field(default_factory=dict)

    def take(self, tree: Tree, prefix: str) -> None:
        for name, value in tree.items():
            path = f"{prefix}{name}"
            if isinstance(value, dict):
                self.take(value, f"{path}.")
            elif isinstance(value, list):
                self.lists.setdefault(path, []).extend(one for one in value if isinstance(one, dict))
            else:
                values = self.leaves.setdefault(path, [])
                text = None if value is None else as_word(value)
                if isinstance(text, str) and text and text not in values and len(values) < MAX_VALUES:
                    values.append(text)

    def found(self) -> tuple[Leaf, ...]:
        return tuple(Leaf(path, tuple(values)) for path, values in self.leaves.items())


def read_sample(value: bytes, ending: str) -> Sample:
    """The sample of a file that ends with *ending* (json, xml, csv, jsonl).  Raises UnreadableSample."""
    match ending:
        case "xml":
            return _of_tree("xml", decode_xml(value))
        case "csv":
            return _of_csv(value)
        case "jsonl":
            lines = [decode_json(line) for line in value.splitlines() if line.strip()]
            return _of_tree("avro", {WHOLE: [_without_branches(line) for line in lines]}, batch=WHOLE)
        case _:
            tree = decode_json(value)
            return _of_tree("json", {WHOLE: tree} if isinstance(tree, list) else tree)


def _without_branches(value: Any) -> Any:
    """Avro's JSON encoding names the branch of a union: ``{"string": "x"}`` is ``"x"``."""
    match value:
        case dict() if len(value) == 1 and next(iter(value)) in _BRANCHES:
            return next(iter(value.values()))
        case dict():
            return {name: _without_branches(inside) for name, inside in value.items()}
        case list():
            return [_without_branches(inside) for inside in value]
        case _:
            return value


def _of_tree(kind: str, root: object, *, batch: str | None = None) -> Sample:
    if not isinstance(root, dict):
        message = f"the sample cannot be read as {kind}"
        raise UnreadableSample(message)
    path = batch if batch is not None else _batch(root)
    items = _items(root, path)
    inside, around = _Walk(), _Walk()
    for item in items[:MAX_ITEMS]:
        inside.take(item, "")
    if path and path != WHOLE:
        around.take(_without(root, path.split(".")), "$.")
    lists = {}
    for name, elements in inside.lists.items():
        rows = _Walk()
        for element in elements[:MAX_ITEMS]:
            rows.take(element, "")
        lists[name] = rows.found()
    told = "" if kind == "avro" else path
    return Sample(kind, told, (*inside.found(), *around.found()), {k: v for k, v in lists.items() if v})


def _items(root: Tree, path: str) -> list[Tree]:
    here: Any = root
    for name in path.split(".") if path else ():
        here = here[name]
    return [one for one in here if isinstance(one, dict)] if isinstance(here, list) else [here]


def _without(root: Tree, names: Sequence[str]) -> Tree:
    first, *rest = names
    if not rest:
        return {name: value for name, value in root.items() if name != first}
    return {name: _without(value, rest) if name == first else value for name, value in root.items()}


def _batch(root: Tree) -> str:
    """Where the pupils stand: the list or object below which most known names stand, the nearest to them."""
    best, most = "", _known_names(root)
    for path, tree in _inner(root, ""):
        known = _known_names(tree)
        if known and known >= most * 0.8 and (known > most or len(path) > len(best)):
            best, most = path, max(most, known)
    return best


def _inner(tree: Tree, prefix: str) -> Iterator[tuple[str, Tree]]:
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            yield path, value
            yield from _inner(value, f"{path}.")
        elif isinstance(value, list):
            elements = [one for one in value if isinstance(one, dict)]
            if elements and _names_a_pupil(elements[0]):
                yield path, elements[0]


def _names_a_pupil(tree: Tree) -> bool:
    """A list of pupils, not of subjects or years: its elements have a pupil's code or name, directly or below."""
    wanted = {*NAMES["record"]["pupil_code"], *NAMES["record"]["full_name"]} - {"name", "code"}
    names = {plain(name) for name in tree} | {plain(a + b) for a, v in tree.items() if isinstance(v, dict) for b in v}
    return bool(wanted & (names | {plain(b) for v in tree.values() if isinstance(v, dict) for b in v}))


def _known_names(tree: Tree) -> int:
    walk = _Walk()
    walk.take(tree, "")
    return sum(plain(path.rpartition(".")[2]) in _KNOWN for path in walk.leaves)


def _of_csv(value: bytes) -> Sample:
    try:
        text = value.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = "the CSV sample is not UTF-8: save it so for the scaffold, then declare the real encoding"
        raise UnreadableSample(message) from error
    head = text[:8192]
    delimiter = max(DELIMITERS, key=head.count)
    lines = list(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter))[: MAX_HEADER_ROWS + 4]
    header = max(lines, key=lambda line: sum(plain(cell) in _KNOWN for cell in line), default=[])
    columns = {_slug(cell): (cell.strip(),) for cell in header if cell.strip()}
    due = tuple(c for name in ("pupil_code", "full_name") for c in columns if plain(c) in NAMES["record"][name])
    if not due:
        message = "the CSV sample has no line that could be its header: none names a pupil's code or name"
        raise UnreadableSample(message)
    layout = CsvLayout(delimiter, '"', 1, columns, due, due[0], "", {}, "", (), ())
    sheet = decode_csv(text, layout)
    if isinstance(sheet, tuple):
        message = "the CSV sample has no header that could be told from its lines"
        raise UnreadableSample(message)
    rows = sheet[ROWS]
    items = [item for item in rows if isinstance(item, dict)] if isinstance(rows, list) else []
    walk = _Walk()
    for item in items[:MAX_ITEMS]:
        walk.take(item, "")
    return Sample("csv", "", walk.found(), {}, layout)


def _slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", folded(heading)).strip("_") or "cot"
