"""From a checked definition to closures: one `Maker` a field, one list of makers a section.  Hot path: plain dicts.

A maker takes (item, root, found): the item's tree, the message's tree, and the list that findings are added to; it gives
the field's value or None.  Which field a finding belongs to is decided here once, at load.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from gateway.errors import Problem
from gateway.intake import check as checks
from gateway.intake import functions
from gateway.intake.language import Call, Condition, ConnectorFaults, Definition, Rows, Rule
from gateway.intake.nodes import Faults
from gateway.intake.tables import BOOLEANS, look_up
from gateway.intake.values import Note, Refusal, Step, as_text, folded, word
from gateway.national.schema import FieldSpec, Level

Tree = Mapping[str, Any]
Found = list[Problem]
Maker = Callable[[Tree, Tree, Found], Any]
Getter = Callable[[Tree, Tree], object]
Test = Callable[[Tree, Tree], bool]
Section = tuple[tuple[str, Maker], ...]
RowMaker = Callable[[Tree, Tree, Found], list[dict[str, Any]]]

_TOO_LONG = Refusal("DQ-34")
_NOT_LISTED = Refusal("DQ-11")
_COUNTRY = re.compile(r"[A-Z]{2}")
_BY_CODE_RULES = frozenset({"grade_code", "education_level", "circular"})
"""Whether these fit together is judged as one (DQ-49)."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled mapping."""

    event: Section
    keys: Section
    record: Section
    results: Section
    facts: Section
    rows: Mapping[str, RowMaker]
    expect: Section
    required: tuple[str, ...]
    known: Mapping[str, Any]
    """Tree of known input names, for counting the unknown ones: name → tree below, empty when all below is known."""


KEY_FIELDS = ("pupil_code", "school_code", "school_year", "grade_code")


def compile_definition(definition: Definition) -> Compiled:
    """Closures of *definition*; raises ConnectorFaults like `check`, which runs first."""
    checks.check(definition)
    compiler = _Compiler(definition)
    mapping = compiler.run()
    if definition.faults.found:
        raise ConnectorFaults(definition.faults.found)
    return mapping


def getter(path: str) -> Getter:
    """Reads *path* (``a.b.c`` from the item, ``$.a`` from the message); None when anything on the way is missing."""
    from_root = path.startswith("$.")
    names = path.removeprefix("$.").split(".")
    if len(names) == 1 and not from_root:
        name = names[0]
        return lambda item, root: item.get(name)

    def walk(item: Tree, root: Tree) -> object:
        here: object = root if from_root else item
        for name in names:
            if not isinstance(here, dict):
                return None
            here = here.get(name)
        return here

    return walk


class _Compiler:
    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.faults: Faults = definition.faults
        self.level: Level = checks.level_of(definition)
        self.specs = checks.specs(self.level)
        self.nothing = frozenset({"", *definition.blank})
        self.known: dict[str, Any] = {}

    def run(self) -> Compiled:
        sections = self.definition.sections
        record = self._section("record", sections["record"])
        mapping = Compiled(
            event=self._plain(sections["event"]),
            keys=tuple((name, maker) for name, maker in record if name in KEY_FIELDS),
            record=record,
            results=self._section("results", sections["results"]),
            facts=self._plain(sections["facts"]),
            rows={name: self._rows(name, rows) for name, rows in self.definition.rows.items()},
            expect=tuple((e.field, self._expect(e.path, e.words, e.code, e.field)) for e in self.definition.expect),
            required=self._required(),
            known=self.known,
        )
        for path in self.definition.ignore:
            self._know(path)
        return mapping

    def _required(self) -> tuple[str, ...]:
        names = [
            name
            for section in ("record", "results")
            for name, spec in self.specs[section].items()
            if self._is_due(spec, self.definition.sections[section].get(name))
        ]
        return tuple(names)

    def _is_due(self, spec: FieldSpec, rule: Rule | None) -> bool:
        national = spec.rule(self.level)
        due = national is not None and national.required == "yes"
        return (due and spec.name not in checks.GIVEN_BY_GATEWAY) or (rule is not None and rule.required)

    def _plain(self, rules: Mapping[str, Rule]) -> Section:
        kinds = checks.EVENT_FIELDS | checks.FACTS
        fields = {"occurred_at": "updated_at", "type": "event_type"}
        return tuple((n, self._maker(fields.get(n, n), r, self._steps(r, kinds[n]), kinds[n])) for n, r in rules.items())

    def _section(self, section: str, rules: Mapping[str, Rule], prefix: str = "") -> Section:
        makers = []
        for name, rule in rules.items():
            spec = self.specs[section][name]
            steps = (*self._steps(rule, spec.avro_type), *_limits(spec, self.level))
            makers.append((name, self._maker(prefix + name, rule, steps, spec.avro_type)))
        return tuple(makers)

    def _steps(self, rule: Rule, kind: str) -> tuple[Step, ...]:
        steps = [self._step(call) for call in rule.via]
        if rule.table is not None:
            boolean = kind == "boolean"
            steps.append(look_up(self.definition.tables[rule.table], boolean=boolean))
        elif all(functions.FUNCTIONS[call.name].gives == "same" for call in rule.via):
            steps += _usual(kind)
        return tuple(steps)

    def _step(self, call: Call) -> Step:
        found = functions.FUNCTIONS[call.name]
        arguments = {name: checks.argument(self.faults, found.parameters[name], node) for name, node in call.arguments.items()}
        return found.factory(**arguments)

    def _maker(self, field: str, rule: Rule, steps: Sequence[Step], kind: str) -> Maker:
        default = self._literal(rule, rule.default, kind)
        if rule.value is not None:
            made = self._constant(rule, steps, kind)
            return lambda item, root, found: made
        maker = _chain(field, self._source(rule.paths), tuple(steps), default, self.nothing)
        if rule.when is None:
            return maker
        test = self._test(rule.when)
        return lambda item, root, found: maker(item, root, found) if test(item, root) else default

    def _literal(self, rule: Rule, text: str | None, kind: str) -> object:
        """A default as the field's type; text is the national value, not the vendor's word."""
        if text is None:
            return None
        try:
            match kind:
                case "boolean":
                    return BOOLEANS[text]
                case "decimal":
                    return Decimal(text)
                case "date":
                    return date.fromisoformat(text)
                case "integer" | "instant":
                    return int(text)
                case _:
                    return text
        except (ValueError, ArithmeticError, KeyError):
            self.faults.add(rule.node, f"default is no {kind}" + (" (1 or 0)" if kind == "boolean" else ""))
            return None

    def _constant(self, rule: Rule, steps: Sequence[Step], kind: str) -> object:
        if not rule.via and rule.table is None:
            return self._literal(rule, rule.value, kind)
        value: object = rule.value
        for step in steps:
            value = step(value)
            if value is None or isinstance(value, Refusal):
                self.faults.add(rule.node, "the value does not go through its functions")
                return None
        return value.value if isinstance(value, Note) else value

    def _source(self, paths: Sequence[str]) -> Getter:
        for path in paths:
            self._know(path)
        getters = tuple(getter(path) for path in paths)
        nothing = self.nothing
        if len(getters) == 1:
            return getters[0]

        def first(item: Tree, root: Tree) -> object:
            for get in getters:
                value = get(item, root)
                if not (value is None or (isinstance(value, str) and value.strip() in nothing)):
                    return value
            return None

        return first

    def _test(self, condition: Condition) -> Test:
        source = self._source(condition.paths)
        nothing = self.nothing
        if not condition.words:

            def present(item: Tree, root: Tree) -> bool:
                value = source(item, root)
                return not (value is None or (isinstance(value, str) and value.strip() in nothing))

            return present
        words = frozenset(word(text) for text in condition.words)

        def listed(item: Tree, root: Tree) -> bool:
            found = as_text(source(item, root))
            return isinstance(found, str) and word(found) in words

        return listed

    def _expect(self, path: str, words: Sequence[str], code: str, field: str) -> Maker:
        source = self._source((path,))
        forms = frozenset(folded(text) for text in words)
        problem = Problem(code, field)

        def expect(item: Tree, root: Tree, found: Found) -> None:
            value = source(item, root)
            if value is None:
                return
            read = as_text(value)
            if not isinstance(read, str) or (read and folded(read) not in forms):
                found.append(problem)

        return expect

    def _rows(self, section: str, rows: Rows) -> RowMaker:
        due = tuple(name for name, spec in self.specs[section].items() if self._is_due(spec, rows.rules.get(name)))
        if rows.path is None:
            return _fixed_rows(tuple(self._fixed_row(section, rows, words, due) for words in rows.each))
        return self._path_rows(section, rows, rows.path, due)

    def _fixed_row(self, section: str, rows: Rows, words: Mapping[str, str], due: Sequence[str]) -> "_FixedRow":
        rules = {name: _filled(rule, words) for name, rule in rows.rules.items()}
        prefix = f"{section}[{words.get('code', '')}]."
        when = rows.when
        test = self._test(Condition(tuple(_fill(p, words) for p in when.paths), when.words, when.node)) if when else None
        return _FixedRow(prefix, self._section(section, rules, prefix), test, tuple(due))

    def _path_rows(self, section: str, rows: Rows, path: str, due: Sequence[str]) -> RowMaker:
        source = self._source((path,))
        below, self.known = self.known, {}
        makers = self._section(section, rows.rules)
        test = self._test(rows.when) if rows.when else None
        inside, self.known = self.known, below
        self._know(path, inside)
        code_field = "subject_code" if section == "subjects" else ""
        codes = checks.allowed_codes(self.specs[section][code_field], self.level) if code_field else None

        def make(item: Tree, root: Tree, found: Found) -> list[dict[str, Any]]:
            value = source(item, root)
            elements = value if isinstance(value, list) else [] if value is None else [value]
            made: list[dict[str, Any]] = []
            for index, element in enumerate(elements):
                if not isinstance(element, dict):
                    if element is not None:
                        found.append(Problem("DQ-45", f"{section}[#{index}]"))
                    continue
                if test is not None and not test(element, root):
                    continue
                own: Found = []
                row = {name: maker(element, root, own) for name, maker in makers}
                code = row.get(code_field)
                label = code if codes is not None and code in codes else f"#{index}"
                add_missing(row, due, "", own)
                found += [Problem(p.code, f"{section}[{label}].{p.field}", p.rule) for p in own]
                made.append(row)
            return made

        return make

    def _know(self, path: str, inside: dict[str, Any] | None = None) -> None:
        """Notes *path* as known; everything below a leaf is known too."""
        if path.startswith("$."):
            return
        here = self.known
        *parents, last = path.split(".")
        for name in parents:
            here = here.setdefault(name, {})
        here.setdefault(last, {}).update(inside or {})


@dataclass(frozen=True, slots=True)
class _FixedRow:
    """One row of an ``each``."""

    prefix: str
    makers: Section
    test: Test | None
    due: tuple[str, ...]


def _fixed_rows(rows: tuple[_FixedRow, ...]) -> RowMaker:
    def make(item: Tree, root: Tree, found: Found) -> list[dict[str, Any]]:
        made = []
        for row in rows:
            if row.test is None or row.test(item, root):
                values = {name: maker(item, root, found) for name, maker in row.makers}
                add_missing(values, row.due, row.prefix, found)
                made.append(values)
        return made

    return make


def add_missing(values: Mapping[str, Any], due: Sequence[str], prefix: str, found: Found) -> None:
    """Adds DQ-33 for each due field that has no value and no finding of its own."""
    empty = [name for name in due if values.get(name) is None]
    if empty:
        refused = {problem.field for problem in found}
        found += [Problem("DQ-33", prefix + name) for name in empty if prefix + name not in refused]





def _chain(field: str, source: Getter, steps: tuple[Step, ...], default: object, nothing: frozenset[str]) -> Maker:
    problems: dict[str, Problem] = {}

    def problem(code: str) -> Problem:
        return problems.setdefault(code, Problem(code, field))

    def make(item: Tree, root: Tree, found: Found) -> object:
        value = source(item, root)
        if value is None or (value.__class__ is str and value in nothing):  # type: ignore[operator]  # a str here
            return default
        if value.__class__ is str and len(value) < 5 and value.strip() in nothing:  # type: ignore[arg-type,attr-defined]
            return default
        for step in steps:
            value = step(value)
            if value is None:
                return default
            kind = value.__class__
            if kind is Refusal:
                found.append(problem(value.code))  # type: ignore[attr-defined]  # a Refusal by its class
                return None
            if kind is Note:
                found.append(problem(value.code))  # type: ignore[attr-defined]  # a Note by its class
                value = value.value  # type: ignore[attr-defined]
        return value

    return make


def _usual(kind: str) -> list[Step]:
    """The step of a rule that names no function: after the field's type."""
    names = {"decimal": "number", "date": "day", "integer": "whole_number", "instant": "instant"}
    return [functions.FUNCTIONS[names.get(kind, "text")].factory()]


def _limits(spec: FieldSpec, level: Level) -> list[Step]:
    """What the national schema asks of one value: width, codes or bounds."""
    rule = spec.rule(level)
    if rule is None or spec.avro_type in {"boolean", "date"}:
        return []
    if spec.name == "school_year" and spec.where == "common":
        return [functions.FUNCTIONS["school_year"].factory()]  # record ids and rules rest on its form
    if spec.avro_type == "decimal":
        return _bounds(rule.codes, zero=spec.limits_hold_outbound)
    limits: list[Step] = []
    codes = checks.allowed_codes(spec, level)
    if codes is not None and spec.name not in _BY_CODE_RULES:
        limits.append(_among(codes, Refusal("DQ-30" if spec.name == "subject_code" else "DQ-11")))
    elif rule.codes.startswith("ISO"):
        limits.append(lambda value: value if _COUNTRY.fullmatch(str(value)) else _NOT_LISTED)
    elif rule.max_length is not None and not spec.limits_hold_outbound:
        limits.append(_at_most(rule.max_length))
    return limits


def _among(codes: frozenset[str], refusal: Refusal) -> Step:
    return lambda value: value if value in codes else refusal


def _at_most(length: int) -> Step:
    return lambda value: value if len(value) <= length else _TOO_LONG  # type: ignore[arg-type]  # a string field


def _bounds(notation: str, *, zero: bool) -> list[Step]:
    """Within the dictionary's bounds; with *zero* 0 is let through, which a target is sent as nothing (DQ-35)."""
    low, dots, high = notation.partition("..")
    if not dots:
        return []
    lowest, highest = Decimal(0 if zero else low), Decimal(high)
    refusal = Refusal("DQ-08")
    return [lambda value: value if lowest <= value <= highest else refusal]  # type: ignore[operator]  # a decimal field


def _fill(text: str, words: Mapping[str, str]) -> str:
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _filled(rule: Rule, words: Mapping[str, str]) -> Rule:
    when = rule.when
    return Rule(
        rule.node,
        paths=tuple(_fill(path, words) for path in rule.paths),
        via=rule.via,
        table=rule.table,
        value=None if rule.value is None else _fill(rule.value, words),
        default=rule.default,
        required=rule.required,
        when=Condition(tuple(_fill(p, words) for p in when.paths), when.words, when.node) if when else None,
    )
