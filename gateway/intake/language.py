"""The mapping language: what the files of ``connectors/<name>/`` may say, as values.  Data only, never code.

    connector.yaml      who speaks, for which schools, in which format; where the items of a batch stand
    mappings/*.yaml     tables, event, record, results, subjects, history, certificates, facts, expect, ignore, blank

A field's rule is a path (its text cleaned after the field's type) or ``{from, via, table, value, default, required,
when}``.  Reading collects every fault; nothing here knows the national schema (`check` does).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from gateway.config import Fault
from gateway.errors import GatewayError
from gateway.intake.nodes import Faults, Node

FORMATS = frozenset({"json", "xml"})
LEVELS = frozenset({"primary", "secondary"})
SECTIONS = frozenset({"record", "results", "event", "facts"})
ROW_SECTIONS = frozenset({"subjects", "history", "certificates"})


class ConnectorFaults(GatewayError):
    """A connector cannot be used; carries every fault found."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(set(faults), key=lambda fault: (fault.file, fault.line, fault.path))
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
class School:
    """A school this vendor speaks for, in a span of days (ends included)."""

    code: str
    since: date
    until: date


@dataclass(frozen=True, slots=True)
class Profile:
    """What connector.yaml says."""

    name: str
    vendor: str
    title: str
    format: str
    level: str
    batch: str
    version_epoch: int
    mapping_version: str
    max_bytes: int
    max_items: int
    """Items of one message."""
    max_rows: int
    """Rows in one list of one item."""
    weight: int
    temporary_code: str
    programme: str
    severities: Mapping[str, str]
    schools: Mapping[str, tuple[School, ...]]
    node: Node


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


_PROFILE_KEYS = (
    "name", "vendor", "title", "format", "level", "batch", "version_epoch", "mapping_version", "max_bytes", "max_items",
    "max_rows", "weight", "temporary_code", "programme", "signatures", "severities", "schools",
)  # fmt: skip
_PROFILE_DUE = ("name", "vendor", "title", "format", "level", "version_epoch", "mapping_version", "schools")
_MAPPING_KEYS = SECTIONS | ROW_SECTIONS | {"tables", "expect", "ignore", "blank"}
_RULE_KEYS = ("from", "via", "table", "value", "default", "required", "when")
DEFAULT_MAX_BYTES = 1_048_576
DEFAULT_MAX_ITEMS = 500
DEFAULT_MAX_ROWS = 60


_Named = TypeVar("_Named", Rule, Rows, Table)


def read_definition(files: Mapping[str, str]) -> Definition:
    """A connector from its files (shown name → text), connector.yaml first; faults are in the result."""
    faults = Faults()
    names = list(files)
    profile = _profile(faults, faults.parse(names[0], files[names[0]]))
    tables: dict[str, Table] = {}
    sections: dict[str, dict[str, Rule]] = {name: {} for name in SECTIONS}
    rows: dict[str, Rows] = {}
    lists: dict[str, list[Node]] = {"expect": [], "ignore": [], "blank": []}
    for name in names[1:]:
        found = faults.keys(faults.parse(name, files[name]), _MAPPING_KEYS)
        _add(faults, tables, {key: _table(faults, node) for key, node in _mapping(faults, found.get("tables"))})
        for section in SECTIONS & found.keys():
            _add(faults, sections[section], {k: _rule(faults, n) for k, n in _mapping(faults, found[section])})
        _add(faults, rows, {name: _rows(faults, found[name]) for name in ROW_SECTIONS & found.keys()})
        for key in lists:
            lists[key] += faults.items(found.get(key))
    expect = tuple(_expectation(faults, node) for node in lists["expect"])
    words = {key: tuple(faults.text(node) for node in lists[key]) for key in ("ignore", "blank")}
    return Definition(profile, tables, sections, rows, expect, words["ignore"], words["blank"], faults)


def _mapping(faults: Faults, node: Node | None) -> list[tuple[str, Node]]:
    return [] if node is None else list(faults.mapping(node).items())


def _add(faults: Faults, known: dict[str, _Named], more: Mapping[str, _Named]) -> None:
    for name, item in more.items():
        if name in known:
            faults.add(item.node, f"stands twice, first in {known[name].node.file}:{known[name].node.line}")
        known[name] = item


def _profile(faults: Faults, node: Node) -> Profile:
    found = faults.keys(node, _PROFILE_KEYS, _PROFILE_DUE)
    faults.choice(found.get("signatures"), {"ignore"}, "ignore")
    severities = {
        code: faults.choice(item, {"warn", "reject"}, "warn")
        for code, item in faults.keys(found.get("severities"), {"DQ-32"}).items()
    }
    return Profile(
        name=faults.text(found.get("name")),
        vendor=faults.text(found.get("vendor")),
        title=faults.text(found.get("title")),
        format=faults.choice(found.get("format"), FORMATS, "json"),
        level=faults.choice(found.get("level"), LEVELS, "primary"),
        batch=faults.text(found.get("batch")),
        version_epoch=faults.whole(found.get("version_epoch"), 1),
        mapping_version=faults.text(found.get("mapping_version")),
        max_bytes=faults.whole(found.get("max_bytes"), DEFAULT_MAX_BYTES),
        max_items=max(1, faults.whole(found.get("max_items"), DEFAULT_MAX_ITEMS)),
        max_rows=max(1, faults.whole(found.get("max_rows"), DEFAULT_MAX_ROWS)),
        weight=max(1, faults.whole(found.get("weight"), 1)),
        temporary_code=faults.text(found.get("temporary_code"), "TAM-"),
        programme=faults.choice(found.get("programme"), {"GDPT", "GDTX"}, "GDPT"),
        severities=severities,
        schools=_schools(faults, found.get("schools")),
        node=node,
    )


def _schools(faults: Faults, node: Node | None) -> dict[str, tuple[School, ...]]:
    schools: dict[str, tuple[School, ...]] = {}
    for item in faults.items(node):
        found = faults.keys(item, ("code", "from", "to"), ("code", "from"))
        code = faults.text(found.get("code"))
        since, until = _day(faults, found.get("from"), date.min), _day(faults, found.get("to"), date.max)
        schools[code] = (*schools.get(code, ()), School(code, since, until))
    return schools


def _day(faults: Faults, node: Node | None, default: date) -> date:
    if node is None or node.value is None:
        return default
    try:
        return date.fromisoformat(faults.text(node))
    except ValueError:
        faults.add(node, "must be a date YYYY-MM-DD")
        return default


def _rule(faults: Faults, node: Node) -> Rule:
    if isinstance(node.value, str):
        return Rule(node, paths=(node.value,))
    found = faults.keys(node, _RULE_KEYS)
    if ("from" in found) == ("value" in found):
        faults.add(node, "needs either from or value")
    return Rule(
        node,
        paths=faults.texts(found.get("from")),
        via=tuple(_call(faults, item) for item in faults.items(found.get("via"))),
        table=faults.text(found["table"]) if "table" in found else None,
        value=faults.text(found["value"]) if "value" in found else None,
        default=faults.text(found["default"]) if "default" in found else None,
        required=faults.choice(found.get("required"), {"true", "false"}, "false") == "true",
        when=_condition(faults, found.get("when")),
    )


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
        return Condition(faults.texts(found["present"]), (), node)
    if not {"from", "in"} <= found.keys():
        faults.add(node, "needs present, or from and in")
    return Condition(faults.texts(found.get("from")), faults.texts(found.get("in")), node)


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


def _expectation(faults: Faults, node: Node) -> Expectation:
    found = faults.keys(node, ("from", "in", "code", "field"), ("from", "in", "code", "field"))
    return Expectation(
        node,
        faults.text(found.get("from")),
        faults.texts(found.get("in")),
        faults.text(found.get("code")),
        faults.text(found.get("field")),
    )
