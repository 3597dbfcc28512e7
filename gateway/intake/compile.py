"""From a checked definition to closures: one maker a field, one list of makers a section.

`makers` are the parts, `limits` the national schema's own steps; here is decided which parts a rule becomes, and
which input names are known (for the drift report).  A fault found on the way is collected like those of `check`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gateway.errors import Problem
from gateway.intake import check as checks
from gateway.intake import functions
from gateway.intake.documents_embedded import Embedded
from gateway.intake.functions_numbers import number_of
from gateway.intake.language import Call, Condition, ConnectorFaults, Definition, Rows, Rule
from gateway.intake.language_profile import ITEM_KEY
from gateway.intake.limits import head_limits, limits, needed, safe_length
from gateway.intake.makers import (
    PARENT,
    FixedRow,
    Found,
    Getter,
    Maker,
    RowMaker,
    Section,
    Test,
    Tree,
    add_missing,
    always,
    chain,
    fixed_rows,
    getter,
    is_nothing,
    joined,
    path_steps,
    short,
    unless_nothing,
)
from gateway.intake.nodes import MAX_DIGITS, Faults, Node
from gateway.intake.tables import BOOLEANS, look_up
from gateway.intake.values import Note, Refusal, Step, as_word, clean_text, folded, word
from gateway.national.schema import FieldSpec, Level


@dataclass(frozen=True, slots=True)
class ListedRows:
    """Rows at *path* of the item; *above*: whether they look into the item too."""

    path: str
    makers: Section
    test: Test | None
    due: tuple[str, ...]
    above: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What the closures of a mapping are, seen from outside."""

    inputs: Mapping[Callable[..., Any], tuple[str, ...]]
    """Maker or test → the paths it reads; what it gives depends on nothing else."""
    texts: Mapping[Maker, tuple[int, object]]
    """Makers of one text that is only cleaned → its longest length, and the value where nothing stands."""
    fixed: Mapping[str, tuple[FixedRow, ...]]
    listed: Mapping[str, ListedRows]
    alike: Mapping[Maker, str]
    """Makers of one field in several rows, and a word for what they do: equal words, equal answers for equal inputs."""
    present: frozenset[Test]
    """Tests that only ask whether one of their inputs holds something."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled mapping."""

    event: Section
    keys: Section
    record: Section
    results: Section
    facts: Section
    rows: Mapping[str, RowMaker]
    lists: tuple[tuple[str, Getter], ...]
    """The row sections whose length the vendor decides, and where their elements stand."""
    expect: Section
    required: tuple[str, ...]
    event_due: tuple[tuple[str, str], ...]
    """Fields of the event that the mapping declares required, and what a finding calls them."""
    known: Mapping[str, Any]
    """Tree of known input names, for counting the unknown ones: name → tree below, empty when all below is known."""
    around: Mapping[str, Any]
    """The same of the message around its items; that of the item where the message is one."""
    embedded: Embedded | None
    """The signed document inside an item."""
    components: bool
    """Whether subject rows carry marks that only SR-1 looks at."""
    parts: Parts
    """The same closures once more, with what each of them reads: what `straight` is made from."""


_NATIONAL_NAME = {"type": "event_type"}
_REMEMBERED = 1_024
KEY_FIELDS = ("pupil_code", "school_code", "school_year", "grade_code")


def compile_definition(definition: Definition) -> Compiled:
    """Closures of *definition*; raises ConnectorFaults like `check`, which runs first."""
    checks.check(definition)
    compiler = _Compiler(definition)
    mapping = compiler.run()
    if definition.faults.found:
        raise ConnectorFaults(definition.faults.found)
    return mapping


class _Compiler:
    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.faults: Faults = definition.faults
        self.level: Level = checks.level_of(definition)
        self.specs = checks.specs(self.level)
        self.nothing = frozenset({"", *definition.blank})  # as `clean` leaves them: `language`
        self.known: dict[str, Any] = {}
        self.around = {} if definition.profile.batch else self.known
        self.above: list[str] = []
        """Paths of rows that look into their item."""
        self.reads: list[str] = []
        self.inputs: dict[Callable[..., Any], tuple[str, ...]] = {}
        self.texts: dict[Maker, tuple[int, object]] = {}
        self.fixed: dict[str, tuple[FixedRow, ...]] = {}
        self.listed: dict[str, ListedRows] = {}
        self.alike: dict[Maker, str] = {}
        self.present: set[Test] = set()

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
            lists=tuple((name, getter(rows.path)) for name, rows in self.definition.rows.items() if rows.path),
            expect=tuple(
                (e.field, self._noted(self._expect(e.path, e.words, e.code, e.field))) for e in self.definition.expect
            ),
            required=self._required(),
            event_due=tuple((n, _NATIONAL_NAME.get(n, n)) for n, rule in sections["event"].items() if rule.required),
            known=self.known,
            around=self.around,
            embedded=self._embedded(),
            components=self._has_components(),
            parts=Parts(self.inputs, self.texts, self.fixed, self.listed, self.alike, frozenset(self.present)),
        )
        profile = self.definition.profile
        places = ([f"$.{profile.place}"] if profile.place else []) + ([ITEM_KEY] if profile.keyed else [])
        for path in (*self.definition.ignore, *places):
            self._know(path)
        return mapping

    def _embedded(self) -> Embedded | None:
        evidence = self.definition.evidence
        if evidence is None:
            return None
        paths = [path for path in (evidence.document, evidence.sha256) if path]
        for path in paths:
            self._know(path)
        compare = _Compiler(self.definition).comparisons(evidence.compare)
        stated = getter(evidence.sha256) if evidence.sha256 else None
        return Embedded(getter(evidence.document), evidence.in_base64, stated, compare)

    def comparisons(self, fields: Mapping[str, Node]) -> Section:
        """The makers of national *fields* from other paths; what this compiler notes of inputs is not the mapping's."""
        found: list[tuple[str, Maker]] = []
        for name, node in fields.items():
            for section in ("record", "results"):
                rule = self.definition.sections[section].get(name)
                if rule is not None:
                    moved = replace(rule, node=node, paths=self.faults.texts(node), value=None, when=None, others=())
                    found += self._section(section, {name: moved})
        return tuple(found)

    def _has_components(self) -> bool:
        rows = self.definition.rows.get("subjects")
        return rows is not None and bool(checks.COMPONENT_SPECS.keys() & rows.rules.keys())

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
        asked = rule is not None and any(one.required for one in (rule, *rule.others))
        return (due and spec.name not in checks.GIVEN_BY_GATEWAY) or asked

    def _plain(self, rules: Mapping[str, Rule]) -> Section:
        kinds = {**checks.EVENT_FIELDS, **checks.FACTS}
        makers = []
        for name, rule in rules.items():
            field = _NATIONAL_NAME.get(name, name)
            makers.append((name, self._noted(self._choice(field, rule, kinds[name], head_limits(name)))))
        return tuple(makers)

    def _section(self, section: str, rules: Mapping[str, Rule], prefix: str = "") -> Section:
        makers = []
        for name, rule in rules.items():
            spec = self.specs[section][name]
            last = limits(spec, self.level)
            maker = self._noted(self._choice(prefix + name, rule, spec.avro_type, last))
            if prefix and rule.value is None and rule.when is None and not rule.others:  # rows differ in paths only
                self.alike[maker] = f"{section}.{name}"
            makers.append((name, maker))
        return tuple(makers)

    def _noted(self, maker: Maker) -> Maker:
        """Notes what was read since the last one under *maker*, which has just been made."""
        self.inputs[maker] = tuple(dict.fromkeys(self.reads))
        self.reads = []
        return maker

    def _choice(self, field: str, rule: Rule, kind: str, last: Sequence[Step]) -> Maker:
        """The maker of *field*: of one rule, or of the first of several whose condition holds."""
        if not rule.others:
            return self._maker(field, rule, kind, last)
        ways: list[tuple[Test | None, Maker]] = []
        for one in (replace(rule, others=()), *rule.others[:-1]):
            maker = self._maker(field, replace(one, when=None), kind, last)
            ways.append((self._test(one.when) if one.when else None, maker))
        ways.append((None, self._maker(field, rule.others[-1], kind, last)))  # with its own condition and default

        def make(item: Tree, root: Tree, found: Found) -> object:
            for test, maker in ways:
                if test is None or test(item, root):
                    return maker(item, root, found)
            return None

        return make

    def _steps(self, rule: Rule, kind: str) -> tuple[Step, ...]:
        steps = [self._step(call) for call in rule.via]
        if rule.table is not None:
            boolean = kind == "boolean"
            steps.append(look_up(self.definition.tables[rule.table], boolean=boolean))
            steps += [self._step(call) for call in rule.then]
        elif all(functions.FUNCTIONS[call.name].gives == "same" for call in rule.via):
            steps.append(_USUAL.get(kind, _TEXT))
        return tuple(steps)

    def _step(self, call: Call) -> Step:
        found = functions.FUNCTIONS[call.name]
        given = call.arguments.items()
        arguments = {name: checks.argument(self.faults, found.parameters[name], node) for name, node in given}
        return found.factory(**arguments)

    def _maker(self, field: str, rule: Rule, kind: str, last: Sequence[Step]) -> Maker:
        default = self._literal(rule, "default", kind, (field, last))
        if rule.value is None:
            left = needed(last, (rule.then or rule.via)[-1].name if rule.then or (rule.via and not rule.table) else "")
            maker = self._chained(field, rule, (*self._steps(rule, kind), *left), default)
        elif rule.via or rule.table is not None:
            maker = always(self._through(rule, (*self._steps(rule, kind), *last)))
        else:
            maker = always(self._literal(rule, "value", kind, (field, last)))
        if rule.when is None:
            return maker
        test = self._test(rule.when)
        return lambda item, root, found: maker(item, root, found) if test(item, root) else default

    def _chained(self, field: str, rule: Rule, steps: tuple[Step, ...], default: object) -> Maker:
        path = rule.paths[0]
        source = self._source(rule.paths)
        if rule.joined:
            source = joined(tuple(getter(path) for path in rule.paths), self.nothing)
        long = chain(field, source, steps, default, self.nothing)
        if len(rule.paths) > 1 or "." in path or "[" in path:
            return long
        if rule.table is None and not rule.via and steps[0] is _TEXT:
            maker = short(path, long, clean_text, (safe_length(steps[1:]), default, self.nothing))
            self.texts[maker] = (safe_length(steps[1:]), default)
            return maker
        few = functions.FUNCTIONS[rule.via[0].name].few_values if rule.via else rule.table is not None
        step = unless_nothing(steps[0], self.nothing)
        step = lru_cache(maxsize=_REMEMBERED)(step) if few else step
        return short(path, long, step, (safe_length(steps[1:]), default, self.nothing))

    def _literal(self, rule: Rule, key: str, kind: str, limit: tuple[str, Sequence[Step]]) -> object:
        """The rule's default or value as the field's type: the national value, held to the limits of any other."""
        text = rule.default if key == "default" else rule.value
        if text is None:
            return None
        try:
            value = _LITERALS.get(kind, _cleaned)(text)
        except (ValueError, ArithmeticError, KeyError):
            self.faults.add(rule.node, f"{key} is no {kind}" + (" (1 or 0)" if kind == "boolean" else ""))
            return None
        if value is None:
            self.faults.add(rule.node, f"{key} is empty")
            return None
        field, last = limit
        made = _passed(value, last)
        if isinstance(made, Refusal):
            self.faults.add(rule.node, f"{key} is no {field.rpartition('.')[2]} ({made.code})")
            return None
        return made

    def _through(self, rule: Rule, steps: Sequence[Step]) -> object:
        value = _passed(rule.value, steps)
        if value is None or isinstance(value, Refusal):
            self.faults.add(rule.node, "the value does not go through its functions")
            return None
        return value

    def _source(self, paths: Sequence[str]) -> Getter:
        self.reads += paths
        for path in paths:
            if path.startswith("^."):
                self.above.append(path.removeprefix("^."))
            else:
                self._know(path)
        getters = tuple(getter(path) for path in paths)
        nothing = self.nothing
        if len(getters) == 1:
            return getters[0]

        def first(item: Tree, root: Tree) -> object:
            for get in getters:
                value = get(item, root)
                if not is_nothing(value, nothing):
                    return value
            return None

        return first

    def _test(self, condition: Condition) -> Test:
        source = self._source(condition.paths)
        nothing = self.nothing
        if not condition.words:

            def present(item: Tree, root: Tree) -> bool:
                return not is_nothing(source(item, root), nothing)

            return present
        words = frozenset(word(text) for text in condition.words)

        def listed(item: Tree, root: Tree) -> bool:
            found = as_word(source(item, root))
            return isinstance(found, str) and word(found) in words

        return listed

    def _row_test(self, condition: Condition | None) -> Test | None:
        if condition is None:
            return None
        test = self._test(condition)
        self.inputs[test] = tuple(dict.fromkeys(self.reads))
        if not condition.words:
            self.present.add(test)
        self.reads = []
        return test

    def _expect(self, path: str, words: Sequence[str], code: str, field: str) -> Maker:
        source = self._source((path,))
        forms = frozenset(folded(text) for text in words)
        problem = Problem(code, field)

        def expect(item: Tree, root: Tree, found: Found) -> None:
            value = source(item, root)
            if value is None:
                return
            read = as_word(value)
            if not isinstance(read, str) or (read and folded(read) not in forms):
                found.append(problem)

        return expect

    def _rows(self, section: str, rows: Rows) -> RowMaker:
        due = tuple(name for name, spec in self.specs[section].items() if self._is_due(spec, rows.rules.get(name)))
        if rows.path is None:
            self.fixed[section] = tuple(self._fixed_row(section, rows, words, due) for words in rows.each)
            return fixed_rows(self.fixed[section])
        return self._path_rows(section, rows, rows.path, due)

    def _fixed_row(self, section: str, rows: Rows, words: Mapping[str, str], due: Sequence[str]) -> "FixedRow":
        rules = {name: _filled(rule, words) for name, rule in rows.rules.items()}
        prefix = f"{section}[{words.get('code', '')}]."
        test = self._row_test(_filled_condition(rows.when, words) if rows.when else None)
        return FixedRow(prefix, self._section(section, rules, prefix), test, tuple(due))

    def _path_rows(self, section: str, rows: Rows, path: str, due: Sequence[str]) -> RowMaker:
        source = self._source((path,))
        self.reads = []
        below, self.known = self.known, {}
        makers = self._section(section, rows.rules)
        test = self._row_test(rows.when)
        inside, self.known = self.known, below
        self._know(path, inside)
        above = self._know_above()
        self.listed[section] = ListedRows(path, makers, test, tuple(due), above)
        code_field = "subject_code" if section == "subjects" else ""
        codes = checks.allowed_codes(self.specs[section][code_field], self.level) if code_field else None
        echoes = (Problem("DQ-30", "subject_name"),)  # the name is made of the code, whose own finding says enough

        def make(item: Tree, root: Tree, found: Found) -> list[dict[str, Any]]:
            value = source(item, root)
            elements = value if isinstance(value, list) else [] if value is None else [value]
            made: list[dict[str, Any]] = []
            scope = {**root, PARENT: item} if above else root
            for index, element in enumerate(elements):
                if not isinstance(element, dict):
                    if element is not None:
                        found.append(Problem("DQ-45", f"{section}[#{index}]"))
                    continue
                if test is not None and not test(element, scope):
                    continue
                own: Found = []
                row = {name: maker(element, scope, own) for name, maker in makers}
                code = row.get(code_field)
                label = code if codes is not None and code in codes else f"#{index}"
                add_missing(row, due, "", own)
                found += [Problem(p.code, f"{section}[{label}].{p.field}", p.rule) for p in own if p not in echoes]
                made.append(row)
            return made

        return make

    def _know_above(self) -> bool:
        """Notes what rows read of their item; whether they do."""
        above, self.above = self.above, []
        for path in above:
            self._know(path)
        return bool(above)

    def _know(self, path: str, inside: dict[str, Any] | None = None) -> None:
        """Notes *path* as known; everything below a leaf is known too."""
        here = self.around if path.startswith("$.") else self.known
        *parents, last = path_steps(path)
        for step in parents:
            here = here.setdefault(step.name, {})
            if step.field:
                here.setdefault(step.field, {})
        here.setdefault(last.name, {}).update(inside or {})


_TEXT = functions.FUNCTIONS["text"].factory()


def _passed(value: object, steps: Sequence[Step]) -> object:
    """*value* behind *steps*, or the refusal of one of them."""
    for step in steps:
        value = step(value)
        value = value.value if isinstance(value, Note) else value
        if value is None or isinstance(value, Refusal):
            break
    return value


def _cleaned(text: str) -> object:
    """A constant text as `clean` leaves it; None when it is empty."""
    made = _TEXT(text)
    if made is None or isinstance(made, str):
        return made
    raise ValueError(text)


def _decimal(text: str) -> Decimal:
    number = number_of(text)
    if number is None:  # NaN, infinity, and powers of ten that nobody means
        raise ValueError(text)
    return number


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ValueError(text)
    return int(text)


_LITERALS: Mapping[str, Callable[[str], object]] = {
    "boolean": BOOLEANS.__getitem__,
    "decimal": _decimal,
    "date": date.fromisoformat,
    "integer": _whole,
    "instant": _whole,
}
_USUAL: dict[str, Step] = {
    "string": _TEXT,
    "decimal": functions.FUNCTIONS["number"].factory(),
    "date": functions.FUNCTIONS["day"].factory(),
    "integer": functions.FUNCTIONS["whole_number"].factory(),
    "instant": functions.FUNCTIONS["instant"].factory(),
}
"""The step of a rule that names no function, after the field's type (a boolean comes through a table)."""


def _fill(text: str, words: Mapping[str, str]) -> str:
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _filled_condition(condition: Condition, words: Mapping[str, str]) -> Condition:
    return replace(condition, paths=tuple(_fill(path, words) for path in condition.paths))


def _filled(rule: Rule, words: Mapping[str, str]) -> Rule:
    return replace(
        rule,
        paths=tuple(_fill(path, words) for path in rule.paths),
        value=None if rule.value is None else _fill(rule.value, words),
        when=_filled_condition(rule.when, words) if rule.when else None,
        others=tuple(_filled(other, words) for other in rule.others),
    )
