"""The text of a connector's straight function, made from the closures of its mapping and the schema of the body.

    i3 = g('van_hk1'); i4 = g('van_hk2'); i5 = g('van')          each input is read once
    e = G2((i3, i4, i5))                                         a group of neighbouring fields: known?
    if e is None: e = X2((i3, i4, i5), item, root)               else asked for, and remembered
    b2, v7, v8, v9 = e                                           its bytes, and its values for the rules

Only positions, names of the national schema and `repr` of input names get into the text; everything else stands in the
function's scope as a value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.intake.compile import Compiled, ListedRows
from gateway.intake.functions_dates import usual_instant
from gateway.intake.language import Definition
from gateway.intake.makers import FixedRow, Section, Test, getter
from gateway.intake.straight import (
    Column,
    Memo,
    NotPlain,
    Straight,
    check_texts,
    digits_test,
    reads_usual_instants,
    value_of,
)
from gateway.intake.straight_columns import (
    DIRECT,
    GAP,
    MOMENT,
    NUMBERS,
    WIDTHS,
    CannotBeStraight,
    Group,
    Layout,
    Segment,
)
from gateway.national import codec
from gateway.national.schema import Level
from gateway.national.writer import EMPTY, END, LENGTH, NULL, SOME, VALUE


@dataclass(slots=True)
class _Scope:
    """Lines at one depth, and where the item of this depth is."""

    item: str
    get: str
    indent: str
    inputs: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    """Field → the expression of its value."""


def straight_of(definition: Definition, mapping: Compiled, level: Level) -> Straight | None:
    """The straight function of a connector whose items are flat enough; None where the complete path does it all."""
    try:
        return _Writer(definition, mapping, codec.results_branch(level)).run()
    except CannotBeStraight:
        return None


class _Writer:
    def __init__(self, definition: Definition, mapping: Compiled, results_branch: str) -> None:
        self.definition = definition
        self.mapping = mapping
        self.layout = Layout(mapping, results_branch)
        self.nothing = frozenset({"", *definition.blank})
        self.longest_blank = max(len(word) for word in self.nothing)
        self.lines: list[str] = []
        self.parts: list[str] = []
        self.memos: list[Memo] = []
        self.gap = 0
        self.alike: dict[tuple[str, ...], Memo] = {}
        self.reads: dict[str, tuple[str, str]] = {}
        """Line → variable and name, for each input of the item that is read by name."""
        self.count = 0
        self.globals: dict[str, Any] = {
            "EMPTY": EMPTY, "END": END, "NULL": NULL, "SOME": SOME, "LENGTH": LENGTH, "NotPlain": NotPlain,
            "BLANK": self.nothing, "check_texts": check_texts,
        }  # fmt: skip

    def run(self) -> Straight:
        if self.mapping.components:
            raise CannotBeStraight
        item = _Scope("item", "g", "    ")
        self.lines += ["def straight(item, root):", "    T = ['']"]
        event = self._plain(item, self.mapping.event, frozenset(name for name, _ in self.mapping.event_due))
        facts = self._plain(item, self.mapping.facts, frozenset())
        for _, expect in self.mapping.expect:
            self._group(item, Group("", [Column("", expect, self.layout.inputs(expect), None, due=False)], ()), [])
        self.parts.append(self._constant(VALUE))
        body_schema, made = codec.body_schema(), {**dict(self.mapping.record), **dict(self.mapping.results)}
        record, results = [name for name, _ in self.mapping.record], [name for name, _ in self.mapping.results]
        rows: dict[str, str] = {}
        self._fields(item, self.layout.columns(body_schema["fields"], made, self.mapping.required), rows)
        lists = [f", {name!r}: {variable}" for name, variable in rows.items() if name != "history"]
        text = self._dict(item, results) + "".join(lists)
        text += "" if "subjects" in rows else ", 'subjects': []"
        history = rows.get("history", "[]")
        claim = "" if "citizen_id" in record else ", 'citizen_id': None"
        self.lines += [
            "    T.append('')",
            "    check_texts(T)",
            f"    body = {{{self._dict(item, record)}{claim}, 'history': {history}, 'results': {{{text}}}}}",
            f"    return {{{event}}}, body, {{{facts}}}, [{', '.join(self.parts)}]",
        ]
        return Straight(self.text, self.globals, self.gap, tuple(self.memos))

    def text(self, shape: tuple[str, ...] | None) -> str:
        """The function for items whose names are *shape*, read at one go; for None each input is read by its name."""
        first, *rest = self.lines
        if shape is None:
            return "\n".join([first, "    g = item.get", *rest])
        reads = {line: read for line, read in self.reads.items() if read[1] in shape}
        names: dict[str, str] = {}
        again = []
        for variable, name in reads.values():
            if name in names:
                again.append(f"    {variable} = {names[name]}")
            names.setdefault(name, variable)
        missing = [f"    {variable} = None" for variable, name in self.reads.values() if name not in shape]
        unpacked = ", ".join(names.get(name, "_") for name in shape)
        body = [line for line in rest if line.strip() not in self.reads]
        return "\n".join([first, f"    {unpacked}, = item.values()", *again, *missing, *body])

    def _plain(self, scope: _Scope, section: Section, due: frozenset[str]) -> str:
        """What is no field of the body: values only."""
        for name, maker in section:
            column = Column(name, maker, self.layout.inputs(maker), None, name in due)
            segment: Segment = column
            if not (name in DIRECT or self.layout.is_personal(column)):
                segment = Group("", [column], ())
            self._segment(scope, segment, [])
        return self._dict(scope, [name for name, _ in section])

    def _dict(self, scope: _Scope, names: Sequence[str]) -> str:
        return ", ".join(f"{name!r}: {scope.values[name]}" for name in names)

    def _fields(self, scope: _Scope, columns: Sequence[Any], rows: dict[str, str]) -> None:
        run: list[bytes | Column] = []
        for one in columns:
            if not isinstance(one, dict):
                run.append(one)
                continue
            self._run(scope, run, self.parts)
            run = []
            rows_bytes, rows_name = self._rows(scope, one["name"], one["type"]["items"])
            self.parts.append(rows_bytes)
            if rows_name:
                rows[one["name"]] = rows_name
        self._run(scope, run, self.parts)

    def _run(self, scope: _Scope, run: Sequence[bytes | Column], parts: list[str], test: Test | None = None) -> None:
        segments = self.layout.grouped(run)
        if test is not None:
            leads = self._leads(segments, test)
            if leads:
                self._led(scope, segments, parts, (leads, test))
                return
            lead = next((segment for segment in segments if isinstance(segment, Group)), None)
            if lead is None:
                segments.insert(0, lead := Group("", [], ()))
            lead.test = test
            lead.inputs = tuple(dict.fromkeys((*lead.inputs, *self.layout.inputs(test))))
            parts_of_lead: list[str] = []
            self._segment(scope, lead, parts_of_lead)
            self.lines.append(f"{scope.indent}if e:")
            scope.indent += "    "
            self._unpack(scope, lead)
            for segment in segments:
                if segment is lead:
                    parts += parts_of_lead
                else:
                    self._segment(scope, segment, parts)
            return
        for segment in segments:
            self._segment(scope, segment, parts)

    def _leads(self, segments: Sequence[Segment], test: Test) -> list[Group]:
        """The marks of which any one, where it is something, says that the row is there."""
        if test not in self.mapping.parts.present:
            return []
        asked = set(self.layout.inputs(test))
        marks = [one for one in segments if isinstance(one, Group) and one.alone and set(one.inputs) <= asked]
        return [one for one in marks if one.columns[0].maker({}, {}, []) is None]

    def _led(
        self, scope: _Scope, segments: Sequence[Segment], parts: list[str], lead: tuple[Sequence[Group], Test]
    ) -> None:
        """A row that is there when one of its marks is, or else when its test says so."""
        leads, test = lead
        written: dict[int, list[str]] = {}
        for group in leads:
            self._segment(scope, group, written.setdefault(id(group), []))
        number = self._number()
        self.globals[f"Q{number}"] = test
        marks = [f"{scope.values[group.columns[0].name]} is not None" for group in leads]
        self.lines.append(f"{scope.indent}if {' or '.join(marks)} or Q{number}({scope.item}, root):")
        scope.indent += "    "
        for segment in segments:
            if id(segment) in written:
                parts += written[id(segment)]
            else:
                self._segment(scope, segment, parts)

    # --- code -------------------------------------------------------------------------------------------------------

    def _number(self) -> int:
        self.count += 1
        return self.count

    def _constant(self, value: object) -> str:
        name = f"C{self._number()}"
        self.globals[name] = value
        return name

    def _input(self, scope: _Scope, path: str) -> str:
        if path not in scope.inputs:
            name = scope.inputs[path] = f"i{self._number()}"
            if any(sign in path for sign in ".[$^"):
                self.globals[f"P{name}"] = getter(path)
                self.lines.append(f"{scope.indent}{name} = P{name}({scope.item}, root)")
            else:
                self.lines.append(f"{scope.indent}{name} = {scope.get}({path!r})")
                if scope.get == "g":
                    self.reads[f"{name} = g({path!r})"] = (name, path)
        return scope.inputs[path]

    def _segment(self, scope: _Scope, segment: Segment, parts: list[str]) -> None:
        match segment:
            case bytes():
                parts.append(self._constant(segment))
            case Group():
                self._group(scope, segment, parts)
            case Column() if segment.name in DIRECT:
                self._direct(scope, segment, parts)
            case Column():
                self._text(scope, segment, parts)

    def _group(self, scope: _Scope, group: Group, parts: list[str]) -> None:
        """Looks the group up; a group with a test is unpacked by its caller, who asks the test's answer first."""
        inputs = tuple(dict.fromkeys([*(path for column in group.columns for path in column.inputs), *group.inputs]))
        numbers = scope.item == "row" or any(column.name.startswith(NUMBERS) for column in group.columns)
        tagged = numbers and len(inputs) > 1
        word = self.layout.word_of(group)
        like = None if word is None else self.alike.get(word)
        memo, number = Memo(tuple(group.pieces), group.test, tagged=tagged, like=like), self._number()
        if word is not None:
            self.alike.setdefault(word, memo)
        if not inputs and group.test is None:
            answer = memo.miss((), {}, {})
            if group.columns and group.columns[0].kind is not None:
                parts.append(self._constant(answer[0]))
            for column, value in zip(group.columns, answer[1:], strict=True):
                scope.values[column.name] = self._constant(value)
            return
        self.memos.append(memo)
        self.globals |= {f"G{number}": memo.known.get, f"X{number}": memo.miss}
        names = [self._input(scope, path) for path in inputs]
        tags = [f"{name}.__class__" for name in names] if tagged else []
        key = names[0] if len(names) == 1 else f"({', '.join([*names, *tags])})"
        pad = scope.indent
        self.lines += [
            f"{pad}e = G{number}({key})",
            f"{pad}if e is None: e = X{number}({key}, {scope.item}, root)",
        ]
        for column in group.columns:
            scope.values[column.name] = f"v{self._number()}"
        scope.values[f"bytes of {id(group)}"] = f"b{number}"
        parts.append(f"b{number}")
        if group.test is None:
            self._unpack(scope, group)

    def _unpack(self, scope: _Scope, group: Group) -> None:
        names = [scope.values[f"bytes of {id(group)}"], *(scope.values[column.name] for column in group.columns)]
        self.lines.append(f"{scope.indent}{', '.join(names)}{',' if len(names) == 1 else ''} = e")

    def _direct(self, scope: _Scope, column: Column, parts: list[str]) -> None:
        number, pad = self._number(), scope.indent
        self.globals[f"D{number}"] = lambda item, root, column=column: value_of(column, item, root)
        value = scope.values[column.name] = f"v{number}"
        call = f"D{number}({scope.item}, root)"
        usual = self._usual(scope, column, number)
        self.lines.append(f"{pad}{value} = {usual}{call}")
        if column.name == GAP:
            self.gap = len(self.parts)
            parts.append("EMPTY")
        elif column.kind is not None:
            self._encoded(pad, column, value, parts)

    def _usual(self, scope: _Scope, column: Column, number: int) -> str:
        """What needs no look by the maker, up to the word else: so many digits, or a usual instant."""
        if len(column.inputs) != 1 or any(sign in column.inputs[0] for sign in ".[$^"):
            return ""
        name, width = f"M{number}", WIDTHS.get(column.name)
        if width is not None and (test := digits_test(column, width)) is not None:
            source = self._input(scope, column.inputs[0])
            self.globals[name] = test
            return f"{source} if {source}.__class__ is str and {name}({source}) else "
        if column.name == MOMENT and reads_usual_instants(column):
            source = self._input(scope, column.inputs[0])
            self.globals[name] = usual_instant
            return f"u if {source}.__class__ is str and (u := {name}({source})) is not None else "
        return ""

    def _encoded(self, pad: str, column: Column, value: str, parts: list[str]) -> None:
        """A text that may be None."""
        number, nullable = value[1:], isinstance(column.kind, list)
        none = f"p{number} = NULL; x{number} = EMPTY" if nullable and not column.due else "raise NotPlain"
        self.lines += [
            f"{pad}if {value} is None: {none}",
            f"{pad}else: x{number} = {value}.encode(); p{number} = {'SOME' if nullable else 'LENGTH'}[len(x{number})]",
        ]
        parts += [f"p{number}", f"x{number}"]

    def _text(self, scope: _Scope, column: Column, parts: list[str]) -> None:
        source, number, pad = self._input(scope, column.inputs[0]), self._number(), scope.indent
        longest, _ = self.mapping.parts.texts[column.maker]
        value = scope.values[column.name] = f"v{number}"
        nullable = column.kind is None or isinstance(column.kind, list)
        none = f"{value} = None; p{number} = NULL; x{number} = EMPTY"
        self.lines += [
            f"{pad}if {source} is None or len({source}) <= {self.longest_blank} and {source} in BLANK:",
            f"{pad}    {none if nullable and not column.due else 'raise NotPlain'}",
            f"{pad}else:",
            f"{pad}    if len({source}) > {longest}: raise NotPlain",
            f"{pad}    {value} = {source}; x{number} = {value}.encode()",
            f"{pad}    p{number} = {'SOME' if nullable else 'LENGTH'}[len(x{number})]; T.append({value})",
        ]
        parts += [f"p{number}", f"x{number}"] if column.kind is not None else []

    # --- rows -------------------------------------------------------------------------------------------------------

    def _rows(self, scope: _Scope, section: str, schema: Mapping[str, Any]) -> tuple[str, str]:
        """Names of the array's bytes and of its list of rows; no list where the mapping makes none."""
        known = self.mapping.parts
        if section not in self.mapping.rows:
            return "END", ""
        number = self._number()
        self.lines.append(f"    R{number} = []; S{number} = []")
        if section in known.fixed:
            for row in known.fixed[section]:
                inside = _Scope("item", "g", "    ", inputs=dict(scope.inputs))
                self._row(inside, row, schema, number)
                if row.test is None:
                    scope.inputs |= inside.inputs
        else:
            self._listed(scope, known.listed[section], schema, number)
        count = f"LENGTH[len(R{number})]"
        self.lines.append(f"    a{number} = EMPTY.join(({count}, *S{number}, END)) if R{number} else END")
        return f"a{number}", f"R{number}"

    def _listed(self, scope: _Scope, rows: ListedRows, schema: Mapping[str, Any], number: int) -> None:
        if rows.above:
            raise CannotBeStraight
        source = self._input(scope, rows.path)
        most = self.definition.profile.max_rows
        self.lines += [
            f"    if {source} is not None:",
            f"        if {source}.__class__ is not list or len({source}) > {most}: raise NotPlain",
            f"        for row in {source}:",
            "            h = row.get",
        ]
        inside = _Scope("row", "h", "            ")
        self._row(inside, FixedRow("", rows.makers, rows.test, rows.due), schema, number)

    def _row(self, scope: _Scope, row: FixedRow, schema: Mapping[str, Any], number: int) -> None:
        parts: list[str] = []
        columns = self.layout.columns(schema["fields"], dict(row.makers), row.due)
        self._run(scope, columns, parts, row.test)
        shown = self._dict(scope, [name for name, _ in row.makers])
        self.lines += [
            f"{scope.indent}S{number} += ({', '.join(parts)},)",
            f"{scope.indent}R{number}.append({{{shown}}})",
        ]
