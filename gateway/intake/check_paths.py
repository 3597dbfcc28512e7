"""The static check of what rules read, and of whether they always give something.

Paths are well formed; ``^.`` stands in rows only; a brace is filled by every line of ``each``; a CSV rule reads a
declared column or label, an Avro rule a field of one of the connector's own schemas (JSON and XML: `check_cases`).  A
list of rules for a required field ends in one that always counts, or has a default; one that chooses a scale by an
input comes with an expectation of that input.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.intake.language import Condition, Definition, Rows, Rule
from gateway.intake.language_csv import CsvLayout
from gateway.intake.makers import path_steps
from gateway.intake.nodes import Faults, Node, candidates

_NOTHING = "nothing is made when no condition holds: give it a default, or a last rule without when"
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Read:
    """A path as a rule names it; *rows* is the section it stands in, None for a rule of the item."""

    path: str
    node: Node
    rows: Rows | None


def check_paths(definition: Definition) -> None:
    """Adds what is wrong with the paths of *definition*."""
    faults = definition.faults
    for name, rows in definition.rows.items():
        _check_each(faults, rows)
        _check_lines_differ(faults, name, rows)
    _check_places(faults, definition)
    shapes = [_shape(schema.plain) for schema in definition.schemas.values()]
    if definition.profile.csv is not None:
        _check_lines(faults, definition, definition.profile.csv)
    for read in reads(definition):
        _check_form(faults, read)
        if definition.profile.csv is not None:
            _check_column(faults, read, definition)
        elif shapes:
            _check_field(faults, read, definition, shapes)


def check_total(faults: Faults, section: str, rules: Mapping[str, Rule], required: Iterable[str]) -> None:
    """Adds the required outputs whose rules may all be passed over."""
    for name in required:
        rule = rules.get(name)
        if rule is None:
            continue
        ways = (rule, *rule.others)
        if ways[-1].when is not None and all(way.default is None for way in ways[-1:]):
            faults.add(ways[-1].node, f"{section}.{name} is required, but {_NOTHING}")


def check_scales(definition: Definition, rule: Rule) -> None:
    """Adds that a scale chosen by an input has no expectation: an unknown word there must not pass for the last one."""
    ways = (rule, *rule.others)
    scales = {str(call.arguments["scale"].value) if "scale" in call.arguments else "1" for w in ways for call in w.via}
    chosen = [way.when for way in ways if way.when is not None and way.when.words]
    if len(scales) < 2 or not chosen:
        return
    asked = {path for condition in chosen for path in condition.paths}
    if not asked & {expectation.path for expectation in definition.expect}:
        words = ", ".join(dict.fromkeys(word for condition in chosen for word in condition.words))
        path = min(asked)
        text = (
            f"an unknown scale must be refused: add expect: {{from: {path}, in: [{words}, …], code: DQ-08, field: …}}"
        )
        definition.faults.add(rule.node, text)


def reads(definition: Definition) -> Iterator[Read]:
    """Every path of *definition* with the place it stands in."""
    for section in definition.sections.values():
        for rule in section.values():
            yield from _of_rule(rule, None)
    for expectation in definition.expect:
        yield Read(expectation.path, expectation.node, None)
    for rows in definition.rows.values():
        if rows.path is not None:
            yield Read(rows.path, rows.node, None)
        yield from _of_condition(rows.when, rows)
        for rule in rows.rules.values():
            yield from _of_rule(rule, rows)


def _of_rule(rule: Rule, rows: Rows | None) -> Iterator[Read]:
    for path in rule.paths:
        yield Read(path, rule.node, rows)
    yield from _of_condition(rule.when, rows)
    for other in rule.others:  # which may be a list again
        yield from _of_rule(other, rows)


def _of_condition(condition: Condition | None, rows: Rows | None) -> Iterator[Read]:
    if condition is not None:
        for path in condition.paths:
            yield Read(path, condition.node, rows)


def _check_form(faults: Faults, read: Read) -> None:
    if not is_path(read.path):
        faults.add(read.node, _no_path(read.path))
    if read.path.startswith("^.") and (read.rows is None or read.rows.path is None):
        faults.add(read.node, f"{read.path}: only rows found by a path have an item above them")
    words = read.rows.each if read.rows is not None else ()
    for name in _BRACES.findall(read.path):
        if not words or any(name not in row for row in words):
            known = sorted({key for row in words for key in row})
            faults.add(read.node, f"{{{name}}} is filled by no line of each{candidates(name, known)}")


def is_path(path: str) -> bool:
    """Whether *path* leads anywhere: ``$`` and ``^`` stand only before a point."""
    has_sign = path[:1] in {"$", "^"}
    return all(step.name.strip() for step in path_steps(path)) and (not has_sign or path[1:2] == ".")


def _no_path(path: str) -> str:
    return f"{path or 'an empty path'} is no path (a.b, $.a, ^.a, a[b=c].d)"


def _check_places(faults: Faults, definition: Definition) -> None:
    """The paths that are no rule's: of the items, and of what is ignored."""
    profile = definition.profile
    if profile.batch not in {"", "$"} and (not is_path(profile.batch) or profile.batch[:1] in {"$", "^"}):
        faults.add(profile.node, f"batch: {_no_path(profile.batch)}")
    if "*" in profile.place or (profile.keyed and profile.format != "json"):
        faults.add(profile.node, "batch: * stands at the end only, and only in JSON: the values of an object")
    for path in definition.ignore:
        if not is_path(path):
            faults.add(profile.node, f"ignore: {_no_path(path)}")
        elif path.startswith("^."):
            faults.add(profile.node, f"ignore: {path}: only rows found by a path have an item above them")


def _check_lines_differ(faults: Faults, section: str, rows: Rows) -> None:
    """A code twice is a subject twice; a key twice gives one subject's marks to another."""
    for name in ("code", "key"):
        words = [row[name] for row in rows.each if name in row]
        for word in sorted({word for word in words if words.count(word) > 1}):
            faults.add(rows.node, f"{section}.each: {name} {word} stands twice")


def _check_each(faults: Faults, rows: Rows) -> None:
    for rule in rows.rules.values():
        for one in (rule, *rule.others):
            for name in _BRACES.findall(one.value or ""):
                if any(name not in row for row in rows.each):
                    faults.add(one.node, f"{{{name}}} is filled by no line of each")


def _check_lines(faults: Faults, definition: Definition, layout: CsvLayout) -> None:
    """Each line of ``each`` must make some path a column."""
    for section, rows in definition.rows.items():
        paths = {read.path for rule in rows.rules.values() for read in _of_rule(rule, rows)}
        paths = {path for path in paths if _BRACES.search(path)}
        for place, words in enumerate(rows.each if paths else ()):
            if not any(_with_words(path, words) in layout.columns for path in paths):
                faults.add(rows.node, f"{section}.each[{place}] reads no declared column")


def filled(read: Read) -> list[str]:
    """The path of *read* with each line's words in its braces."""
    if not _BRACES.search(read.path) or read.rows is None:
        return [read.path]
    return [_with_words(read.path, row) for row in read.rows.each]


def _with_words(path: str, words: Mapping[str, str]) -> str:
    return _BRACES.sub(lambda found: words.get(found[1], found[0]), path)


def _check_column(faults: Faults, read: Read, definition: Definition) -> None:
    """A path that a line of ``each`` fills is enough when one line makes it a column: not every subject has a test."""
    layout = definition.profile.csv
    if layout is None or (read.rows is not None and read.rows.path is not None):
        return
    of_file = read.path.startswith("$.")
    known: Collection[str] = layout.labels if of_file else layout.columns
    names = [path.removeprefix("$.") for path in filled(read)]
    if all(names) and not any(name in known for name in names):
        where = "label" if of_file else "column"
        faults.add(read.node, f"{names[0]} is no declared {where}{candidates(names[0], known)}")


def _check_field(faults: Faults, read: Read, definition: Definition, shapes: list[Any]) -> None:
    batch = definition.profile.batch
    for path in filled(read):
        if path.startswith("$."):
            starts = shapes
        else:
            starts = [_below(shape, batch) for shape in shapes]
            if read.rows is not None and read.rows.path is not None and not path.startswith("^."):
                starts = [_below(shape, read.rows.path) for shape in starts]
        known = {name for start in starts if isinstance(start, dict) for name in start}
        first = path_steps(path)[0].name
        if known and first and all(_below(start, path) is None for start in starts if start is not None):
            faults.add(read.node, f"{path} is in no schema of the connector{candidates(first, known - {first})}")


_LEAF = "leaf"


def _shape(schema: Any, known: dict[str, Any] | None = None) -> Any:
    """Field names of an Avro schema as a tree; lists as what they hold, a map or a text as a leaf."""
    known = {} if known is None else known
    if isinstance(schema, list):
        shapes = [_shape(branch, known) for branch in schema if branch != "null"]
        found = [shape for shape in shapes if isinstance(shape, dict)]
        return {name: below for shape in found for name, below in shape.items()} if found else _LEAF
    if isinstance(schema, str):
        return known.get(schema, _LEAF)
    kind = schema.get("type")
    if kind in {"record", "error"}:
        tree = {field["name"]: _shape(field["type"], known) for field in schema["fields"]}
        known[schema["name"]] = tree
        return tree
    if kind == "array":
        return _shape(schema["items"], known)
    return _LEAF if kind in {"map", "enum", "fixed"} else _shape(kind, known) if not isinstance(kind, str) else _LEAF


def _below(shape: Any, path: str) -> Any:
    """What stands at *path* of a shape; None where there is no such field."""
    if not path or path == "$":
        return shape
    for step in path_steps(path):
        if shape == _LEAF:
            return _LEAF
        shape = shape.get(step.name) if isinstance(shape, dict) else None
        if shape is None:
            return None
    return shape
