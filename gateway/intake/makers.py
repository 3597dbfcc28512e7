"""What a compiled mapping is made of: getters, tests and makers.  Hot path: plain dicts and closures.

A maker takes (item, root, found): the item's tree, the message's tree, and the list that findings are added to; it
gives the field's value or None.  Which field a finding belongs to is decided once, at load.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import Problem
from gateway.intake.values import MEMORABLE, TEXT, Note, Refusal, Step, as_text, as_word, clean_text

Tree = Mapping[str, Any]
Found = list[Problem]
Maker = Callable[[Tree, Tree, Found], Any]
Getter = Callable[[Tree, Tree], object]
Test = Callable[[Tree, Tree], bool]
Section = tuple[tuple[str, Maker], ...]
RowMaker = Callable[[Tree, Tree, Found], list[dict[str, Any]]]

PARENT = "^"
"""In the message's tree of a row's makers: the item the row belongs to."""
_PATH_DOT = re.compile(r"\.(?![^\[\]]*\])")
_PATH_STEP = re.compile(r"([^\[\]=]+)(?:\[([^\[\]=]+)=([^\[\]=]+)\])?")


@dataclass(frozen=True, slots=True)
class PathStep:
    """One name of a path; with *field* the first element of a list there whose *field* is *word*."""

    name: str
    field: str = ""
    word: str = ""


def path_steps(path: str) -> tuple[PathStep, ...]:
    """The steps of ``a.b[c=d].e``, without ``$.`` or ``^.`` in front."""
    found = (_PATH_STEP.fullmatch(part) for part in _PATH_DOT.split(path.removeprefix("$.").removeprefix("^.")))
    return tuple(PathStep(*(text or "" for text in match.groups())) if match else PathStep("") for match in found)


def getter(path: str) -> Getter:
    """Reads *path*; None when anything on the way is missing.

    ``a.b.c`` from the item or row, ``$.a`` from the message, ``^.a`` from the item a row belongs to, ``a[b=c].d`` from
    the first element of the list ``a`` whose ``b`` is ``c``.
    """
    steps = path_steps(path)
    if any(step.field for step in steps) or path.startswith("^."):
        return _walk(steps, path)
    from_root = path.startswith("$.")
    names = path.removeprefix("$.").split(".")
    if len(names) == 1 and not from_root:
        name = names[0]
        return lambda item, root: item.get(name)

    if len(names) == 2 and not from_root:
        above, below = names

        def two(item: Tree, root: Tree) -> object:
            inside = item.get(above)
            return inside.get(below) if inside.__class__ is dict else None

        return two

    def walk(item: Tree, root: Tree) -> object:
        here: object = root if from_root else item
        for name in names:
            if not isinstance(here, dict):
                return None
            here = here.get(name)
        return here

    return walk


def _walk(steps: tuple[PathStep, ...], path: str) -> Getter:
    def walk(item: Tree, root: Tree) -> object:
        here: object = root.get(PARENT) if path.startswith("^.") else root if path.startswith("$.") else item
        for step in steps:
            if not isinstance(here, dict):
                return None
            here = here.get(step.name)
            if step.field:
                here = _element(here, step)
        return here

    return walk


def _element(value: object, step: PathStep) -> object:
    elements = value if isinstance(value, list) else [value]
    for element in elements:
        if isinstance(element, dict) and as_word(element.get(step.field)) == step.word:
            return element
    return None


def joined(getters: Sequence[Getter], nothing: frozenset[str]) -> Getter:
    """The texts at *getters* as one, with a space between; what cannot be read stays as it is."""

    def join(item: Tree, root: Tree) -> object:
        parts: list[str] = []
        for get in getters:
            value = get(item, root)
            if is_nothing(value, nothing):
                continue
            text = as_text(value)
            if not isinstance(text, str):
                return value
            parts.append(text)
        return " ".join(parts)

    return join


def add_missing(values: Mapping[str, Any], due: Sequence[str], prefix: str, found: Found) -> None:
    """Adds DQ-33 for each due field that has no value and no finding of its own."""
    empty = [name for name in due if values.get(name) is None]
    if empty:
        refused = {problem.field for problem in found}
        found += [Problem("DQ-33", prefix + name) for name in empty if prefix + name not in refused]


def always(value: object) -> Maker:
    """The same *value* for every item."""
    return lambda item, root, found: value


def is_nothing(value: object, nothing: frozenset[str]) -> bool:
    """Whether *value* is missing, empty or a word the mapping declares blank; *nothing* are words as `clean` leaves
    them, and so is *value* compared.
    """
    if isinstance(value, dict):
        value = value.get(TEXT, value)  # an XML text beside attributes
    return value is None or (isinstance(value, str) and (value in nothing or clean_text(value) in nothing))


def unless_nothing(step: Step, nothing: frozenset[str]) -> Step:
    """*step* for what holds something; None for a text that is nothing once it is cleaned."""
    return lambda value: None if isinstance(value, str) and clean_text(value) in nothing else step(value)


def chain(field: str, source: Getter, steps: tuple[Step, ...], default: object, nothing: frozenset[str]) -> Maker:
    """The value at *source* through *steps*; a refusal or a note becomes a finding of *field*."""
    problems: dict[tuple[str, str], Problem] = {}

    def problem(code: str, rule: str = "") -> Problem:
        return problems.setdefault((code, rule), Problem(code, field, rule))

    def make(item: Tree, root: Tree, found: Found) -> object:
        value = source(item, root)
        if is_nothing(value, nothing):
            return default
        for step in steps:
            value = step(value)
            if value is None:
                return default
            kind = value.__class__
            if kind is Refusal:
                found.append(problem(value.code, value.rule))  # type: ignore[attr-defined]  # a Refusal by its class
                return None
            if kind is Note:
                found.append(problem(value.code))  # type: ignore[attr-defined]  # a Note by its class
                value = value.value  # type: ignore[attr-defined]
        return value

    return make


def short(name: str, long: Maker, step: Callable[..., object], rest: tuple[int, object, frozenset[str]]) -> Maker:
    """The short way of a text field with one step; what does not succeed at once goes *long*, with the same result."""
    safe_length, default, nothing = rest

    def make(item: Tree, root: Tree, found: Found) -> object:
        value = item.get(name)
        if value is None:
            return default
        if value.__class__ is str and value not in nothing and len(value) <= MEMORABLE:
            made = step(value)
            if made.__class__ is str and len(made) <= safe_length and made not in nothing:
                return made
        return long(item, root, found)

    return make


@dataclass(frozen=True, slots=True)
class FixedRow:
    """One row of an ``each``."""

    prefix: str
    makers: Section
    test: Test | None
    due: tuple[str, ...]


def fixed_rows(rows: tuple[FixedRow, ...]) -> RowMaker:
    """Makes the rows whose test holds, and finds what is missing in them."""

    def make(item: Tree, root: Tree, found: Found) -> list[dict[str, Any]]:
        made = []
        for row in rows:
            if row.test is None or row.test(item, root):
                values = {name: maker(item, root, found) for name, maker in row.makers}
                add_missing(values, row.due, row.prefix, found)
                made.append(values)
        return made

    return make
