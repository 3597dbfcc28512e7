"""The static check of a connector against the national schema: all faults with line and candidates, then one raise.

What it promises to the rest of intake: every named function, field, table and argument exists; every rule gives the
type and the codes its field takes; every required output has a rule; every code table is total over its official
list.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import cache

from gateway.errors import catalogue
from gateway.intake import functions
from gateway.intake.check_paths import check_paths, check_scales, check_total
from gateway.intake.documents_policy import check_signatures
from gateway.intake.language import Call, ConnectorFaults, Definition, Rule, Table
from gateway.intake.nodes import NOT_YAML, Faults, Node, candidates
from gateway.intake.registry import Function, Kind
from gateway.intake.rules_marks import COMPONENTS
from gateway.intake.tables import spellings
from gateway.national.schema import FieldSpec, Level, Where, body_fields, code_lists
from gateway.national.schema import Rule as NationalRule

EVENT_FIELDS: Mapping[str, Kind] = {
    "type": "string",
    "version": "integer",
    "occurred_at": "instant",
    "vendor_ref": "string",
    "reason": "string",
}
NATIONAL_EVENT_FIELDS = frozenset({"event_type", "version", "occurred_at", "vendor_ref", "reason"})
"""What findings call the fields of the event."""
FACTS: Mapping[str, Kind] = {"absences_excused": "decimal", "absences_unexcused": "decimal"}
"""Inputs the rules need although the national record of a level does not carry them."""

COMPONENT_SPECS: Mapping[str, FieldSpec] = {
    name: FieldSpec(
        name=name,
        official="",
        avro_type="decimal" if name == "periods_a_year" else "string",
        nullable=True,
        where="secondary_subject",
        doc="For SR-1 only, not part of the record.",
        limits_hold_outbound=False,
        primary=None,
        secondary=NationalRule("no", 4, "1..400" if name == "periods_a_year" else "0..10 one decimal|Đ|CĐ|M"),
    )
    for name in COMPONENTS
}
"""What a secondary subject row may carry besides the national fields: the marks a term mark is made of."""

GIVEN_BY_GATEWAY = frozenset({"transcript_id", "citizen_id"})
"""Mandatory upstream, but not due from a vendor: facts sections 4 and 5."""

JUDGED_AS_ONE = frozenset({"grade_code", "education_level", "circular"})
"""Any code of these may come from a vendor: whether they fit together is judged as one (DQ-49)."""

EVENT_TYPES = frozenset({"NEW", "UPdate", "UPDATE", "CANCEL"})
"""What may stand in event.type; the second is the national list's own spelling."""
_VENDOR = re.compile(r"[a-z0-9][a-z0-9-]*")
_BIRTH = ("birth_date", "birth_year_month", "birth_year")
_ROW_WHERE: dict[str, dict[str, Where]] = {
    "subjects": {"primary": "primary_subject", "secondary": "secondary_subject"},
    "history": {"primary": "history", "secondary": "history"},
    "certificates": {"secondary": "certificate"},
}
_A: Mapping[str, str] = {
    "string": "a text",
    "integer": "a whole number",
    "decimal": "a number",
    "boolean": "a yes or no",
    "date": "a day",
    "instant": "a moment",
}
_ARGUMENT_KINDS = {"int": "whole", "str": "text", "bool": "flag", "list[str]": "texts"}


@cache
def specs(level: Level) -> dict[str, dict[str, FieldSpec]]:
    """Section → field name → spec, for the fields a mapping may make at *level*."""
    by_where: dict[str, dict[str, FieldSpec]] = {}
    for spec in body_fields():
        by_where.setdefault(spec.where, {})[spec.name] = spec
    found = {"record": by_where["common"], "results": by_where[level]}
    found |= {rows: by_where[where[level]] for rows, where in _ROW_WHERE.items() if level in where}
    if level == "secondary":
        found["subjects"] = {**found["subjects"], **COMPONENT_SPECS}
    return found


def level_of(definition: Definition) -> Level:
    """The connector's level as the schema names it."""
    return "primary" if definition.profile.level == "primary" else "secondary"


def allowed_codes(spec: FieldSpec, level: Level) -> frozenset[str] | None:
    """The codes *spec* takes; None where it takes any text or a number."""
    rule = spec.rule(level)
    notation = rule.codes if rule else ""
    if notation.startswith("@"):
        lists = [name.removeprefix("@") for name in notation.split(" or ")]
        return frozenset(code for name in lists for code in code_lists()[name])
    if not notation or ".." in notation or notation.startswith("ISO"):
        return None
    return frozenset(notation.split("|"))


def check(definition: Definition) -> None:
    """Raises ConnectorFaults with all faults of *definition*, reading faults included."""
    faults = definition.faults
    broken = {fault.file for fault in faults.found if fault.text.startswith(NOT_YAML)}
    if definition.profile.node.file not in broken:  # without level and format nothing can be said of the rest
        _Checker(definition, whole=not broken).run()
    found = [fault for fault in faults.found if fault.file not in broken or fault.text.startswith(NOT_YAML)]
    if found:
        raise ConnectorFaults(found)


class _Checker:
    """*whole*: every file could be read; else what seems to be missing may stand in one that could not."""

    def __init__(self, definition: Definition, *, whole: bool) -> None:
        self.definition = definition
        self.whole = whole
        self.faults = definition.faults
        self.level = level_of(definition)
        self.specs = specs(self.level)

    def run(self) -> None:
        self._profile()
        check_signatures(self.definition)
        if self.whole:
            self._evidence()
        for table in self.definition.tables.values():
            self._table(table)
        self._plain("event", EVENT_FIELDS)
        self._plain("facts", FACTS)
        self._event_type()
        for section in ("record", "results"):
            self._section(section, self.definition.sections[section])
        for name, rows in self.definition.rows.items():
            if name not in self.specs:
                self.faults.add(rows.node, f"{self.level} records have no {name}")
                continue
            self._section(name, rows.rules, "".join(f"{{{key}}}" for key in (rows.each[0] if rows.each else ())))
            if rows.rules:
                self._due(name, rows.rules, rows.node)
        check_paths(self.definition)
        if self.whole:
            self._totals()
        self._expectations()

    def _expectations(self) -> None:
        named = {*self.specs["record"], *self.specs["results"], *self.specs, *NATIONAL_EVENT_FIELDS}
        for expectation in self.definition.expect:
            if expectation.code not in catalogue():
                self.faults.add(expectation.node, f"unknown code{candidates(expectation.code, catalogue())}")
            elif not is_of_input(expectation.code):
                self.faults.add(expectation.node, f"{expectation.code} is no finding of a vendor's input")
            if expectation.field not in named:
                self.faults.add(expectation.node, f"unknown field{candidates(expectation.field, named)}")

    def _evidence(self) -> None:
        evidence = self.definition.evidence
        if evidence is None:
            return
        if self.definition.profile.format == "xml":
            self.faults.add(evidence.node, "evidence: an XML message is its own evidence")
        mapped = {name for section in ("record", "results") for name in self.definition.sections[section]}
        for name, node in evidence.compare.items():
            if node.value == []:
                self.faults.add(node, "names no path")
            if name not in mapped:
                self.faults.add(node, f"no field of record or results{candidates(name, mapped)}")

    def _profile(self) -> None:
        profile = self.definition.profile
        if not profile.schools:
            self.faults.add(profile.node, "schools: a connector speaks for at least one school")
        if not _VENDOR.fullmatch(profile.vendor):
            self.faults.add(profile.node, "vendor: must be lower-case letters, digits and hyphens (it names topics)")
        if not profile.mapping_version.strip():
            self.faults.add(profile.node, "mapping_version: must not be empty: records name it")
        if profile.signers and profile.signatures == "ignore":
            self.faults.add(profile.node, "signers: have no use with signatures: ignore")

    def _table(self, table: Table) -> None:
        official = code_lists().get(table.official)
        if official is None:
            near = candidates(table.official, code_lists())
            self.faults.add(table.node, f"unknown official list {table.official}{near}")
            return
        for code in (*table.words, *table.unused):
            if code not in official:
                self.faults.add(table.node, f"{code} is no code of {table.official}{candidates(code, official)}")
        covered = set(table.words) | set(table.unused) | (set(official) if table.names else set())
        if missing := [code for code in official if code not in covered]:
            names = ", ".join(missing)
            self.faults.add(table.node, f"not total over {table.official}: no word for {names}, and not unused")
        spellings(table, self.faults)

    def _plain(self, section: str, known: Mapping[str, Kind]) -> None:
        for name, rule in self.definition.sections[section].items():
            if name not in known:
                self.faults.add(rule.node, f"unknown field{candidates(name, known)}")
                continue
            for one in (rule, *rule.others):
                given = self._given(one, known[name])
                if given not in {known[name], "same"}:
                    self.faults.add(one.node, f"gives {given}, but {section}.{name} takes {known[name]}")

    def _event_type(self) -> None:
        """A word that no table knows must not pass for a new record."""
        rule = self.definition.sections["event"].get("type")
        for one in () if rule is None else (rule, *rule.others):
            table = self.definition.tables.get(one.table or "")
            if one.value is None and (self.whole if table is None else table.official != "event_type"):
                self.faults.add(one.node, "needs a table of event_type: an unknown word would be a new record")
            stated = {text for text in (one.default, None if one.via else one.value) if text is not None}
            for text in sorted(stated - EVENT_TYPES):
                self.faults.add(one.node, f"{text} is no code of event_type{candidates(text, EVENT_TYPES)}")

    def _section(self, section: str, rules: Mapping[str, Rule], braces: str = "") -> None:
        known = self.specs[section]
        for name, rule in rules.items():
            spec = known.get(name)
            if spec is None:
                self.faults.add(rule.node, f"unknown field of {section}{candidates(name, known)}")
                continue
            for one in (rule, *rule.others):
                given = self._given(one, spec.avro_type)
                if given not in {spec.avro_type, "same"}:
                    self.faults.add(one.node, f"gives {given}, but {name} is {spec.avro_type}")
                self._codes(one, spec, constant=not braces)
            check_scales(self.definition, rule)

    def _codes(self, rule: Rule, spec: FieldSpec, *, constant: bool) -> None:
        allowed = allowed_codes(spec, self.level)
        table = self.definition.tables.get(rule.table or "")
        if allowed is None or spec.avro_type == "boolean":
            return
        produced = set(table.words) if table and not rule.then and spec.name not in JUDGED_AS_ONE else set()
        produced |= {rule.value} if rule.value is not None and constant and not rule.via else set()
        produced |= {rule.default} if rule.default is not None else set()  # the national code, not the vendor's word
        if wrong := sorted(produced - allowed):
            self.faults.add(rule.node, f"{', '.join(wrong)} is no code of {spec.name}{candidates(wrong[0], allowed)}")

    def _given(self, rule: Rule, wanted: str) -> str:
        """What the rule's last step gives; faults of names and arguments on the way."""
        gives = wanted if wanted in {"string", "decimal", "date"} or rule.value is not None else "string"
        named = self._chain(rule.via)
        gives = named or gives
        if rule.table is None:
            return gives
        table = self.definition.tables.get(rule.table)
        if table is None and not self.whole:
            return wanted
        if table is None:
            self.faults.add(rule.node, f"unknown table {rule.table}{candidates(rule.table, self.definition.tables)}")
            return wanted
        if named in {"date", "instant"}:
            self.faults.add(rule.via[-1].node, f"gives {_A[named]}, but table {rule.table} takes words")
        if after := self._chain(rule.then):
            return after
        return "boolean" if table.official == "boolean" and wanted == "boolean" else "string"

    def _chain(self, calls: Sequence[Call]) -> Kind | None:
        """What the last of *calls* gives, None where each gives what it takes; a fault for one that cannot read it."""
        given: Kind | None = None
        before = ""
        for call in calls:
            gives = self._call(call)
            found = functions.FUNCTIONS.get(call.name)
            if found is not None and given is not None and given not in found.takes:
                text = f"{call.name} takes a text, but {before} before it gives {_A[given]}"
                self.faults.add(call.node, text)
            if gives != "same":
                given, before = gives, call.name
        return given

    def _call(self, call: Call) -> Kind:
        found = functions.FUNCTIONS.get(call.name)
        if found is None:
            self.faults.add(call.node, f"unknown function {call.name}{candidates(call.name, functions.FUNCTIONS)}")
            return "same"
        before = len(self.faults.found)
        for name, node in call.arguments.items():
            parameter = found.parameters.get(name)
            if parameter is None:
                self.faults.add(node, f"{call.name} has no argument {name}{candidates(name, found.parameters)}")
            else:
                argument(self.faults, parameter, node)
        for name, parameter in found.parameters.items():
            if parameter.default is inspect.Parameter.empty and name not in call.arguments:
                self.faults.add(call.node, f"{call.name} needs the argument {name}")
        listed = call.arguments.get("list")
        if listed is not None and self.faults.text(listed) not in code_lists():
            self.faults.add(listed, f"unknown official list{candidates(self.faults.text(listed), code_lists())}")
        elif len(self.faults.found) == before:
            self._try(found, call)
        return found.gives

    def _temporary(self, call: Call) -> None:
        """A temporary code waits for its official one (DQ-24), so the function must know it as connector.yaml does."""
        if call.name != "pupil_code":
            return
        usual = functions.FUNCTIONS["pupil_code"].parameters["temporary"].default
        stated = self.faults.text(call.arguments.get("temporary"), usual)
        due = self.definition.profile.temporary_code
        if stated != due:
            self.faults.add(call.node, f"temporary must be {due}, the temporary_code of connector.yaml")

    def _try(self, found: Function, call: Call) -> None:
        """Arguments that make no sense together are the function's to say."""
        self._temporary(call)
        given = {name: argument(self.faults, found.parameters[name], node) for name, node in call.arguments.items()}
        try:
            found.factory(**given)
        except ValueError as error:
            self.faults.add(call.node, f"{call.name}: {error}")

    def _totals(self) -> None:
        sections, node = self.definition.sections, self.definition.profile.node
        for section in ("record", "results"):
            self._due(section, sections[section], node)
        if "subjects" not in self.definition.rows:
            self.faults.add(node, "subjects: no rows are mapped")
        if not set(_BIRTH) & sections["record"].keys():
            self.faults.add(node, f"record: none of {', '.join(_BIRTH)} has a rule")
        if not {"version", "occurred_at"} & sections["event"].keys():
            self.faults.add(node, "event: neither version nor occurred_at has a rule, so versions have no order")
        if "type" not in sections["event"]:
            self.faults.add(node, "event: type has no rule")

    def _due(self, section: str, rules: Mapping[str, Rule], node: Node) -> None:
        for name, spec in self.specs[section].items():
            rule = spec.rule(self.level)
            conditional = rule is not None and rule.required == "cond" and name not in _BIRTH
            due = rule is not None and (rule.required == "yes" or conditional)
            if due and name not in rules and name not in GIVEN_BY_GATEWAY:
                self.faults.add(node, f"{section}: required output {name} has no rule")
        required = (name for name, spec in self.specs[section].items() if _is_required(spec.rule(self.level)))
        check_total(self.faults, section, rules, required)


def is_of_input(code: str) -> bool:
    """Whether *code* may be said of what a vendor sends: a data-quality code that is reported, and as itself."""
    entry = catalogue()[code]
    return code.startswith("DQ-") and not entry.silent and not entry.reported_as


def _is_required(rule: NationalRule | None) -> bool:
    return rule is not None and rule.required == "yes"


def argument(faults: Faults, parameter: inspect.Parameter, node: Node) -> object:
    """The value of one argument, after the parameter's annotation."""
    kind = _ARGUMENT_KINDS.get(inspect.formatannotation(parameter.annotation), "text")
    if kind == "whole":
        return faults.whole(node, 0)
    if kind == "flag":
        return faults.choice(node, {"true", "false"}, "false") == "true"
    return list(faults.texts(node)) if kind == "texts" else faults.text(node)
