"""What the cases of a connector show of its mapping, and what they leave in the dark.

Input fields no rule reads; outputs that only ever had their default, or nothing; words of tables and conditions that
no case uses; rules of the regulations (PR, SR) and codes of the catalogue (DQ) that no case provokes.  Static: the
cases are read as the mapping reads them, nothing is traced at run time.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import catalogue
from gateway.intake import check
from gateway.intake.connector import WHOLE
from gateway.intake.decode_xml import ANCHORS
from gateway.intake.language import Condition, Definition
from gateway.intake.makers import PARENT, Getter, getter, is_nothing, path_steps
from gateway.intake.sources import Reading, readings, row_conditions, sorted_rows
from gateway.intake.values import as_word, folded, word
from gateway.national.schema import Level

Tree = Mapping[str, Any]
Item = tuple[Tree, Tree]
"""An item's tree and its message's tree."""
NOT_OF_INTAKE = frozenset({"DQ-25", "DQ-47", "DQ-48", "DQ-50"})
"""Found by identity, which knows what was there before; no case can provoke them."""
_RULES: Mapping[Level, tuple[str, int]] = {"primary": ("PR", 12), "secondary": ("SR", 12)}


@dataclass(frozen=True, slots=True)
class Coverage:
    """The report of one connector; every tuple in the order of the files."""

    connector: str
    records: int
    unused_inputs: tuple[tuple[str, int], ...]
    """Path of an input no rule reads, and in how many records (``$.a``: messages) it stands."""
    defaulted: tuple[str, ...]
    """Outputs with a default that no case gave a value."""
    never_filled: tuple[str, ...]
    """Outputs with a rule and no default that no case gave a value."""
    no_rule: tuple[str, ...]
    """Fields of the national record, not mandatory, that no rule makes."""
    conditions: tuple[str, ...]
    """Conditions that held in every case, or in none."""
    words: tuple[str, ...]
    """Words of tables no case uses, as ``table: word``."""
    rules: tuple[str, ...]
    """PR, SR and DQ numbers no case provokes."""

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "connector": self.connector,
            "records": self.records,
            "unused_inputs": [{"path": path, "records": times} for path, times in self.unused_inputs],
            "outputs_defaulted": list(self.defaulted),
            "outputs_never_filled": list(self.never_filled),
            "outputs_without_rule": list(self.no_rule),
            "conditions_one_sided": list(self.conditions),
            "table_words_unused": list(self.words),
            "rules_never_provoked": list(self.rules),
        }


def coverage(definition: Definition, items: Sequence[Item], results: Iterable[Mapping[str, Any]]) -> Coverage:
    """The report over *items* (those of all cases) and their dry-run *results*."""
    all_readings = list(readings(definition))
    nothing = frozenset({"", *definition.blank})
    filled = {reading.label for reading in all_readings if _has_input(reading, items, nothing)}
    constant = {reading.label for reading in all_readings if reading.rule.value is not None}
    idle = [reading for reading in all_readings if reading.label not in filled | constant]
    level = check.level_of(definition)
    return Coverage(
        connector=definition.profile.name,
        records=len(items),
        unused_inputs=tuple(unread(definition, items)),
        defaulted=tuple(dict.fromkeys(reading.label for reading in idle if reading.rule.default is not None)),
        never_filled=tuple(dict.fromkeys(reading.label for reading in idle if reading.rule.default is None)),
        no_rule=tuple(_without_rule(definition, level)),
        conditions=tuple(_one_sided(definition, all_readings, items, nothing)),
        words=tuple(_unused_words(definition, all_readings, items)),
        rules=tuple(_not_provoked(level, results)),
    )


def _elements(rows: str, item: Item) -> list[Item]:
    """The trees a rule's paths start at: the item itself, or each element of its list of rows."""
    if not rows:
        return [item]
    found = getter(rows)(*item)
    elements = found if isinstance(found, list) else [found]
    root = {**item[1], PARENT: item[0]}
    return [(element, root) for element in elements if isinstance(element, dict)]


def _values(reading: Reading, items: Sequence[Item]) -> Iterator[object]:
    getters = [getter(path) for path in reading.rule.paths]
    for item in items:
        for tree, root in _elements(reading.rows, item):
            yield from (get(tree, root) for get in getters)


def _has_input(reading: Reading, items: Sequence[Item], nothing: frozenset[str]) -> bool:
    return any(not is_nothing(value, nothing) for value in _values(reading, items))


def unread(definition: Definition, items: Sequence[Item]) -> list[tuple[str, int]]:
    """The inputs of *items* that no rule reads, from the item or as ``$.a``, and in how many items or messages."""
    batch = definition.profile.place
    read = set(_read_paths(definition, list(readings(definition))))
    around = {path for path in read if path.startswith("$.")} | {f"$.{batch}"}
    inside = read - around if definition.profile.batch else {path.removeprefix("$.") for path in read}
    counts: dict[str, int] = {}
    for tree, _ in items:
        _count_unread(dict.fromkeys(leaves(tree)), inside, counts)
    for root in {id(root): root for _, root in items}.values() if batch not in {"", WHOLE} else ():
        _count_unread(dict.fromkeys(leaves(root, "$.")), around, counts)
    return list(counts.items())


def _count_unread(paths: Iterable[str], known: Collection[str], counts: dict[str, int]) -> None:
    for path in paths:
        # below a read leaf all is read; an object that is null here is read elsewhere by its fields
        read = any(path == name or path.startswith(f"{name}.") or name.startswith(f"{path}.") for name in known)
        if not read and path.rpartition(".")[2] not in ANCHORS:
            counts[path] = counts.get(path, 0) + 1


def _read_paths(definition: Definition, all_readings: Sequence[Reading]) -> Iterator[str]:
    """Every path some rule, condition or expectation reads, from the item or as ``$.a``; below a read leaf all is
    read.
    """
    yield from definition.ignore
    for expectation in definition.expect:
        yield from _plain_paths(expectation.path)
    for reading in all_readings:
        conditions = reading.rule.when.paths if reading.rule.when else ()
        for path in (*reading.rule.paths, *conditions):
            yield from _plain_paths(path, reading.rows)
    for section, rows in sorted_rows(definition):
        for _, condition in row_conditions(section, rows):
            for path in condition.paths:
                yield from _plain_paths(path, rows.path or "")
    if definition.evidence is not None:
        yield from (path for path in (definition.evidence.document, definition.evidence.sha256) if path)


def _plain_paths(path: str, rows: str = "") -> Iterator[str]:
    """*path* without marks, below the list *rows*; ``a[b=c].d`` reads ``a.d`` and ``a.b``; ``$.`` stays."""
    if path.startswith("$."):
        yield from (f"$.{inside}" for inside in _plain_paths(path.removeprefix("$.")))
        return
    if rows.startswith("$."):
        yield from (f"$.{inside}" for inside in _plain_paths(path, rows.removeprefix("$.")))
        return
    above = [] if not rows or path.startswith("^.") else rows.split(".")
    for step in path_steps(path):
        above.append(step.name)
        if step.field:
            yield ".".join((*above, step.field))
    yield ".".join(above)


def leaves(tree: Tree, path: str = "") -> Iterator[str]:
    """The path of every scalar below *tree*; elements of a list share one path."""
    for name, value in tree.items():
        here = f"{path}{name}"
        for inside in value if isinstance(value, list) else (value,):
            if isinstance(inside, dict):
                yield from leaves(inside, f"{here}.")
            else:
                yield here


def _without_rule(definition: Definition, level: Level) -> Iterator[str]:
    for section, fields in check.specs(level).items():
        rules = definition.sections.get(section) or (
            definition.rows[section].rules if section in definition.rows else {}
        )
        yield from (f"{section}.{name}" for name in fields if name not in rules)


def _one_sided(
    definition: Definition, all_readings: Sequence[Reading], items: Sequence[Item], nothing: frozenset[str]
) -> Iterator[str]:
    conditions = [(r.label, r.rows, r.rule.when) for r in all_readings if r.rule.when is not None]
    for section, rows in sorted_rows(definition):
        conditions += [(label, rows.path or "", when) for label, when in row_conditions(section, rows)]
    for label, rows_path, when in conditions:
        elements = [element for item in items for element in _elements(rows_path, item)]
        held = {_holds(when, element, nothing) for element in elements}
        if held != {True, False}:
            yield f"{label}: the condition {'always' if held == {True} else 'never'} held"


def _holds(condition: Condition, item: Item, nothing: frozenset[str]) -> bool:
    found = _first([getter(path) for path in condition.paths], item, nothing)
    if not condition.words:
        return found is not None
    text = as_word(found)
    return isinstance(text, str) and word(text) in {word(one) for one in condition.words}


def _first(getters: Sequence[Getter], item: Item, nothing: frozenset[str]) -> object:
    return next((value for get in getters if not is_nothing(value := get(*item), nothing)), None)


def _unused_words(definition: Definition, all_readings: Sequence[Reading], items: Sequence[Item]) -> Iterator[str]:
    for name, table in definition.tables.items():
        form = folded if table.names else word
        reading_it = [reading for reading in all_readings if reading.rule.table == name]
        texts = {form(text) for reading in reading_it for text in _texts(reading, items)}
        if not reading_it:
            yield f"{name}: no rule uses this table"
            continue
        words = [text for code_words in table.words.values() for text in code_words]
        yield from (f"{name}: {text}" for text in (*words, *table.nothing) if form(text) not in texts)


def _texts(reading: Reading, items: Sequence[Item]) -> Iterator[str]:
    constants: tuple[object, ...] = tuple(text for text in (reading.rule.value,) if text is not None)
    for value in (*constants, *_values(reading, items)):
        text = None if value is None else as_word(value)
        if isinstance(text, str):
            yield text


def _not_provoked(level: Level, results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for result in results:
        for problem in result["problems"]:
            seen |= {problem["code"], *str(problem.get("rule", "")).replace(",", " ").split()}
    prefix, most = _RULES[level]
    yield from (rule for n in range(1, most + 1) if (rule := f"{prefix}-{n}") not in seen)
    yield from (code for code in sorted(catalogue()) if code.startswith("DQ-") and code not in seen | NOT_OF_INTAKE)
