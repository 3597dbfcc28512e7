"""A vendor's sample payload as the scaffold looks at it: the items of the message, their leaves and lists.

Only shapes and a few values are looked at; nothing is judged here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.errors import Problem
from gateway.intake.connector import WHOLE
from gateway.intake.decode_json import decode_json
from gateway.intake.decode_xml import decode_xml
from gateway.intake.encodings import ENCODINGS, FIELD, decode_text, disguised
from gateway.intake.language_csv import CsvLayout
from gateway.intake.language_profile import ITEM_KEY, KEYED
from gateway.intake.scaffold_sheet import read_sheet
from gateway.intake.scaffold_words import NAMES, plain
from gateway.intake.values import TEXT, as_word

MAX_VALUES: Final = 40
MAX_ITEMS: Final = 200
_CODE = re.compile(r"(?:TAM-)?\w*\d{6,}\w*", re.ASCII)
"""A key that is a code of somebody, not the name of a field."""
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
    above: str = ""
    """The name of the list or element the item is, where the path says none (``hocSinh`` over ``@ma``)."""

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
    several: bool = False
    """Whether a message holds more than one item."""


@dataclass(slots=True)
class _Walk:
    leaves: dict[str, list[str]] = field(default_factory=dict)
    lists: dict[str, list[Tree]] = field(default_factory=dict)

    def take(self, tree: Tree, prefix: str) -> None:
        for name, value in tree.items():
            path = prefix[:-1] if name == TEXT and prefix else f"{prefix}{name}"
            if isinstance(value, dict):
                self.take(value, f"{path}.")
            elif isinstance(value, list):
                self.lists.setdefault(path, []).extend(one for one in value if isinstance(one, dict))
            else:
                values = self.leaves.setdefault(path, [])
                text = None if value is None else as_word(value)
                if isinstance(text, str) and text and text not in values and len(values) < MAX_VALUES:
                    values.append(text)

    def found(self, above: str = "") -> tuple[Leaf, ...]:
        return tuple(Leaf(path, tuple(values), above) for path, values in self.leaves.items())


def read_sample(value: bytes, ending: str) -> Sample:
    """The sample of a file that ends with *ending* (json, xml, csv, jsonl).  Raises UnreadableSample."""
    match ending:
        case "xml":
            return _of_tree("xml", decode_xml(value))
        case "csv":
            text, encoding = _text(value)
            return replace(_of_csv(text), encoding=encoding)
        case "jsonl":
            lines = [decode_json(line) for line in value.splitlines() if line.strip()]
            return _of_tree("avro", {WHOLE: [_without_branches(line) for line in lines]}, batch=WHOLE)
        case _:
            text, encoding = _text(value)
            tree = decode_json(text.encode())
            sample = _of_tree("json", {WHOLE: tree} if isinstance(tree, list) else tree)
            return replace(sample, encoding=encoding)


def _text(value: bytes) -> tuple[str, str]:
    """The text of a sample and its encoding: UTF-8, else the one its bytes look like."""
    problem = disguised(value) or decode_text(value, "utf-8")
    if isinstance(problem, str):
        return problem.removeprefix("\ufeff"), "utf-8"
    found = problem.field.removeprefix(f"{FIELD}[").removesuffix("]")
    text = decode_text(value, found) if found in ENCODINGS else problem
    if isinstance(text, Problem):
        message = "the sample is not UTF-8, and no encoding was recognised: save it as UTF-8, then declare the real one"
        raise UnreadableSample(message)
    return text.removeprefix("\ufeff"), found


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
    path = batch if batch is not None else _batch(root, kind)
    items = _items(root, path)
    inside, around = _Walk(), _Walk()
    for item in items[:MAX_ITEMS]:
        inside.take(item, "")
    if path and path not in {WHOLE, KEYED}:
        around.take(_without(root, path.split(".")), "$.")
    lists = {}
    for name, elements in inside.lists.items():
        rows = _Walk()
        for element in elements[:MAX_ITEMS]:
            rows.take(element, "")
        lists[name] = rows.found(name.rpartition(".")[2])
    told = "" if kind == "avro" else path
    above = path.removesuffix(f".{KEYED}").rpartition(".")[2] if path not in {WHOLE, KEYED} else ""
    leaves, rows_of = (*inside.found(above), *around.found()), {k: v for k, v in lists.items() if v}
    return Sample(kind, told, leaves, rows_of, several=len(items) > 1)


def _items(root: Tree, path: str) -> list[Tree]:
    here: Any = root
    for name in path.split(".") if path else ():
        if name == KEYED:
            return [{**one, ITEM_KEY: key} for key, one in here.items() if isinstance(one, dict)]
        here = here[name]
    return [one for one in here if isinstance(one, dict)] if isinstance(here, list) else [here]


def _without(root: Tree, names: Sequence[str]) -> Tree:
    first, *rest = names
    if not rest or rest == [KEYED]:
        return {name: value for name, value in root.items() if name != first}
    return {name: _without(value, rest) if name == first else value for name, value in root.items()}


def _batch(root: Tree, kind: str) -> str:
    """Where the pupils stand: the list or object below which most known names stand, the nearest to them.

    In XML a list of one is an object: one that names a pupil stands for a list, below an element that holds it alone.
    """
    if kind == "json" and (keyed := next(_keyed(root, ""), "")):
        return keyed
    best, most = "", _known_names(root)
    for path, tree in _pupils_alone(root, "") if kind == "xml" else ():
        if 2 * _known_names(tree) >= most:
            return path
    for path, tree in _inner(root, ""):
        known = _known_names(tree)
        if known and known >= most * 0.8 and (known > most or len(path) > len(best)):
            best, most = path, max(most, known)
    return best


def _keyed(tree: Tree, prefix: str) -> Iterator[str]:
    """``a.*`` for each object ``a`` that holds records by keys that are codes."""
    codes = [key for key in tree if _CODE.fullmatch(key)]
    if codes and len(codes) == len(tree) and all(isinstance(value, dict) for value in tree.values()):
        yield f"{prefix}{KEYED}"
        return
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _keyed(value, f"{prefix}{name}.")


def _pupils_alone(tree: Tree, prefix: str) -> Iterator[tuple[str, Tree]]:
    """Paths of objects that name a pupil and have no brother but attributes: a list's only element."""
    for name, value in tree.items():
        if isinstance(value, dict):
            alone = prefix and all(other == name or other[0] in "@#" for other in tree)
            if alone and _names_a_pupil(value):
                yield f"{prefix}{name}", value
            yield from _pupils_alone(value, f"{prefix}{name}.")


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


def _of_csv(text: str) -> Sample:
    sheet = read_sheet(text)
    if isinstance(sheet, str):
        raise UnreadableSample(sheet)
    inside, around = _Walk(), _Walk()
    for row in sheet.rows[:MAX_ITEMS]:
        inside.take(row, "")
    around.take(sheet.labels, "$.")
    leaves = (*inside.found(), *around.found())
    return Sample("csv", "", leaves, {}, sheet.layout, several=len(sheet.rows) > 1)
