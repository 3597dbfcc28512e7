"""The mapping language: what the files of ``connectors/<name>/`` may say, as values.  Data only, never code.

    connector.yaml      who speaks, for which schools, in which format; where the items of a batch stand
    mappings/*.yaml     tables, event, record, results, subjects, history, certificates, facts, expect, ignore, blank

A field's rule is a path (its text cleaned after the field's type), ``{from, via, table, then, default, required,
when}`` with ``join`` (parts of one text) or ``value`` (a constant) in place of ``from``, or a list of such, of which
the first counts whose ``when`` holds.  ``from`` with several paths takes the first that holds something.  A path is
``a.b`` from the item (a row's from its element), ``$.a`` from the message, ``^.a`` from the item a row belongs to;
``a[b=c].d`` looks into the first element of list ``a`` whose ``b`` is ``c``.  Reading collects every fault; nothing
here knows the national schema (`check` does).  connector.yaml: `language_profile`; its CSV: `language_csv`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gateway.config import Fault
from gateway.errors import GatewayError
from gateway.intake.decode_avro import WriterSchema, read_schema
from gateway.intake.language_profile import PROFILE_KEYS, Profile, read_profile
from gateway.intake.nodes import Faults, Node, candidates
from gateway.intake.values import clean

SECTIONS = frozenset({"record", "results", "event", "facts"})
ROW_SECTIONS = frozenset({"subjects", "history", "certificates"})


class ConnectorFaults(GatewayError):
    """A connector cannot be used; carries every fault found."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(set(faults), key=lambda fault: (fault.file, fault.line, fault.path, fault.text))
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments, as written."""

    name: str
    arguments: Mapping[str, Node]
    node: Node


@dataclass(frozen=True, slots=True)
class Condition:
    """True when any of *paths* holds something, or one of *words* where words are given."""

    paths: tuple[str, ...]
    words: tuple[str, ...]
    node: Node


@dataclass(frozen=True, slots=True)
class Rule:
    """How one output field is made."""

    node: Node
    paths: tuple[str, ...] = ()
    via: tuple[Call, ...] = ()
    table: str | None = None
    value: str | None = None
    default: str | None = None
    required: bool = False
    when: Condition | None = None
    joined: bool = False
    """The paths are parts of one text (``join: [ho_dem, ten]``), not places to look in one after the other."""
    then: tuple[Call, ...] = ()
    """Functions on the code that the table gave."""
    others: "tuple[Rule, ...]" = ()
    """Where a list of rules is written, those after the first: the first whose condition holds makes the field."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Child rows: one a dict of *each* (its words fill the braces of paths), or one an element at *path*."""

    node: Node
    each: tuple[Mapping[str, str], ...]
    path: str | None
    when: Condition | None
    rules: Mapping[str, Rule]


@dataclass(frozen=True, slots=True)
class Table:
    """Words of the vendor for each code of an official list; *names*: the list's own names count, compared folded."""

    node: Node
    official: str
    words: Mapping[str, tuple[str, ...]]
    nothing: tuple[str, ...]
    unused: tuple[str, ...]
    names: bool


@dataclass(frozen=True, slots=True)
class Expectation:
    """An input that, when it is there, must be one of *words* (compared folded); else *code* with *field*."""

    node: Node
    path: str
    words: tuple[str, ...]
    code: str
    field: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where an item holds its signed document, and which national fields are compared with it."""

    node: Node
    document: str
    in_base64: bool
    sha256: str
    compare: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Definition:
    """A connector as written: profile and mapping."""

    profile: Profile
    tables: Mapping[str, Table]
    sections: Mapping[str, Mapping[str, Rule]]
    rows: Mapping[str, Rows]
    expect: tuple[Expectation, ...] = ()
    ignore: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()
    faults: Faults = field(default_factory=Faults, compare=False)
    schemas: Mapping[str, WriterSchema] = field(default_factory=dict)
    """The connector's own Avro schemas, by file name."""
    evidence: Evidence | None = None


_MAPPING_KEYS = SECTIONS | ROW_SECTIONS | {"tables", "expect", "ignore", "blank", "evidence"}
_RULE_KEYS = ("from", "join", "via", "table", "then", "value", "default", "required", "when")
KEYS: Mapping[str, Collection[str]] = {"connector": PROFILE_KEYS, "mapping": _MAPPING_KEYS, "rule": _RULE_KEYS}
"""What each kind of file and node may say; the JSON Schema for editors must know every one (`mapping_schema`)."""
SCHEMA_ENDING = ".avsc"


_Named = TypeVar("_Named", Rule, Rows, Table)


def read_definition(files: Mapping[str, str]) -> Definition:
    """A connector from its files (shown name → text), connector.yaml first; faults are in the result."""
    faults = Faults()
    names = list(files)
    profile = read_profile(faults, faults.parse(names[0], files[names[0]]))
    tables: dict[str, Table] = {}
    sections: dict[str, dict[str, Rule]] = {name: {} for name in SECTIONS}
    rows: dict[str, Rows] = {}
    lists: dict[str, list[Node]] = {"expect": [], "ignore": [], "blank": []}
    evidence: Evidence | None = None
    for name in names[1:]:
        if name.endswith(SCHEMA_ENDING):
            continue
        found = faults.keys(faults.parse(name, files[name]), _MAPPING_KEYS)
        _add(faults, tables, {key: _table(faults, node) for key, node in _mapping(faults, found.get("tables"))})
        for section in SECTIONS & found.keys():
            _add(faults, sections[section], {k: _rule(faults, n) for k, n in _mapping(faults, found[section])})
        _add(faults, rows, {name: _rows(faults, found[name]) for name in ROW_SECTIONS & found.keys()})
        for key in lists:
            lists[key] += faults.items(found.get(key))
        evidence = _evidence(faults, found.get("evidence"), evidence)
    expect = tuple(_expectation(faults, node) for node in lists["expect"])
    words = {key: tuple(faults.text(node) for node in lists[key]) for key in ("ignore", "blank")}
    schemas = _schemas(faults, profile, files)
    blank = tuple(clean(word) for word in words["blank"])
    return Definition(profile, tables, sections, rows, expect, words["ignore"], blank, faults, schemas, evidence)


def _schemas(faults: Faults, profile: Profile, files: Mapping[str, str]) -> dict[str, WriterSchema]:
    """The Avro schemas among *files*, by the last part of their names."""
    found: dict[str, WriterSchema] = {}
    for shown in files:
        if not shown.endswith(SCHEMA_ENDING):
            continue
        schema = read_schema(files[shown])
        if isinstance(schema, str):
            faults.add(Node(None, shown, 1, ""), f"the schema {schema}")
        else:
            found[shown.rpartition("/")[2]] = schema
    for name in profile.schema_ids:
        if not any(shown.rpartition("/")[2] == name for shown in files):
            faults.add(profile.node, f"schema_ids: schemas/{name} does not exist{candidates(name, found)}")
    return found


def _mapping(faults: Faults, node: Node | None) -> list[tuple[str, Node]]:
    return [] if node is None else list(faults.mapping(node).items())


def _add(faults: Faults, known: dict[str, _Named], more: Mapping[str, _Named]) -> None:
    for name, item in more.items():
        if name in known:
            faults.add(item.node, f"stands twice, first in {known[name].node.file}:{known[name].node.line}")
        known[name] = item


def _rule(faults: Faults, node: Node) -> Rule:
    if isinstance(node.value, str):
        return Rule(node, paths=(node.value,))
    if isinstance(node.value, list) and node.value:
        first, *others = (_rule(faults, item) for item in node.value)
        for rule in (first, *others)[:-1]:
            if rule.when is None:
                faults.add(rule.node, "needs when: the rules after it would never be used")
        return replace(first, others=tuple(others))
    found = faults.keys(node, _RULE_KEYS)
    if sum(key in found for key in ("from", "join", "value")) != 1:
        faults.add(node, "needs either from or value, or join")
    _check_use(faults, found)
    if "then" in found and "table" not in found:
        faults.add(found["then"], "stands behind a table; without one write via")
    return Rule(
        node,
        paths=_some(faults, found.get("join", found.get("from")), "path"),
        joined="join" in found,
        then=tuple(_call(faults, item) for item in faults.items(found.get("then"))),
        via=tuple(_call(faults, item) for item in faults.items(found.get("via"))),
        table=faults.text(found["table"]) if "table" in found else None,
        value=faults.text(found["value"]) if "value" in found else None,
        default=faults.text(found["default"]) if "default" in found else None,
        required=faults.choice(found.get("required"), {"true", "false"}, "false") == "true",
        when=_condition(faults, found.get("when")),
    )


def _check_use(faults: Faults, found: Mapping[str, Node]) -> None:
    """Adds what one key of a rule makes useless."""
    if "default" in found and "value" in found and "when" not in found:
        faults.add(found["default"], "default has no use beside value without when")
    if "default" in found and "required" in found and found["required"].value == "true":
        faults.add(found["required"], "required has no use beside default: the field is never empty")


def _some(faults: Faults, node: Node | None, what: str) -> tuple[str, ...]:
    """One text or a list of texts, of which there must be one."""
    if node is not None and node.value == []:
        faults.add(node, f"names no {what}")
    return faults.texts(node)


def _call(faults: Faults, node: Node) -> Call:
    if isinstance(node.value, dict) and len(node.value) == 1:
        name, arguments = next(iter(node.value.items()))
        return Call(name, faults.mapping(arguments), node)
    return Call(faults.text(node), {}, node)


def _condition(faults: Faults, node: Node | None) -> Condition | None:
    if node is None:
        return None
    found = faults.keys(node, ("present", "from", "in"))
    if "present" in found:
        if found.keys() & {"from", "in"}:
            faults.add(node, "needs either present, or from and in")
        return Condition(_some(faults, found["present"], "path"), (), node)
    if not {"from", "in"} <= found.keys():
        faults.add(node, "needs present, or from and in")
    return Condition(_some(faults, found.get("from"), "path"), _some(faults, found.get("in"), "word"), node)


def _rows(faults: Faults, node: Node) -> Rows:
    found = faults.keys(node, ("each", "path", "when", "rules"), ("rules",))
    if ("each" in found) == ("path" in found):
        faults.add(node, "needs either each or path")
    each = tuple(
        {key: faults.text(item) for key, item in faults.mapping(row).items()} for row in faults.items(found.get("each"))
    )
    path = faults.text(found["path"]) if "path" in found else None
    rules = {key: _rule(faults, item) for key, item in _mapping(faults, found.get("rules"))}
    return Rows(node, each, path, _condition(faults, found.get("when")), rules)


def _table(faults: Faults, node: Node) -> Table:
    found = faults.keys(node, ("official", "words", "nothing", "unused", "names"), ("official",))
    words = {code: faults.texts(item) for code, item in _mapping(faults, found.get("words"))}
    return Table(
        node,
        official=faults.text(found.get("official")),
        words=words,
        nothing=faults.texts(found.get("nothing")),
        unused=faults.texts(found.get("unused")),
        names=faults.choice(found.get("names"), {"true", "false"}, "false") == "true",
    )


def _evidence(faults: Faults, node: Node | None, before: Evidence | None) -> Evidence | None:
    if node is None:
        return before
    if before is not None:
        faults.add(node, f"stands twice, first in {before.node.file}:{before.node.line}")
    found = faults.keys(node, ("document", "encoding", "sha256", "compare"), ("document",))
    return Evidence(
        node,
        document=faults.text(found.get("document")),
        in_base64=faults.choice(found.get("encoding"), {"text", "base64"}, "text") == "base64",
        sha256=faults.text(found.get("sha256")),
        compare=dict(_mapping(faults, found.get("compare"))),
    )


def _expectation(faults: Faults, node: Node) -> Expectation:
    found = faults.keys(node, ("from", "in", "code", "field"), ("from", "in", "code", "field"))
    return Expectation(
        node,
        faults.text(found.get("from")),
        faults.texts(found.get("in")),  # no words: nothing may stand there
        faults.text(found.get("code")),
        faults.text(found.get("field")),
    )
