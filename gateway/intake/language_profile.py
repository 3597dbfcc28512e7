"""What connector.yaml may say, as values: who speaks, for which schools, in which format, within which bounds.

``batch`` leads to the items of a message; ``$`` says that the message itself is their list, or one item; ``a.*``
that they are the values of the object at ``a``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from gateway.intake.documents_layout import Role
from gateway.intake.encodings import ENCODINGS
from gateway.intake.language_csv import ROWS, CsvLayout, read_layout
from gateway.intake.nodes import Faults, Node

FORMATS = frozenset({"json", "xml", "avro", "csv"})
EVIDENCE = frozenset({"message", "none"})
LEVELS = frozenset({"primary", "secondary"})
SIGNATURES = frozenset({"ignore", "warn", "require"})
ROLES = frozenset(str(role) for role in Role)

PROFILE_KEYS = (
    "name", "vendor", "title", "format", "level", "batch", "version_epoch", "mapping_version", "max_bytes", "max_items",
    "max_rows", "max_total_rows", "weight", "temporary_code", "programme", "signatures", "signers", "severities",
    "schools", "encoding", "csv", "schema_ids", "optional_subjects", "evidence",
)  # fmt: skip
_DUE = ("name", "vendor", "title", "format", "level", "version_epoch", "mapping_version", "schools")
_ONLY = {
    "encoding": {"json", "csv"},
    "csv": {"csv"},
    "schema_ids": {"avro"},
    "batch": {"json", "xml", "avro"},
    "evidence": {"xml"},
}
"""Key → the formats it belongs to."""
KEYED = "*"
"""At the end of ``batch``: the records are the values of an object that has a key for each."""
ITEM_KEY = "@key"
"""Where such a record's key is read."""
DEFAULT_MAX_BYTES = 1_048_576
DEFAULT_MAX_ITEMS = 500
DEFAULT_MAX_ROWS = 60
DEFAULT_MAX_TOTAL_ROWS = 8_000
"""About a quarter of a second (30 µs a row that lacks everything): so long a message may keep the stage's loop."""


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
    max_total_rows: int = DEFAULT_MAX_TOTAL_ROWS
    """Rows in the lists of all items of one message."""
    optional_subjects: str = "left_out"
    """``counted`` or ``left_out``: whether optional subjects count for a study level (SR-4)."""
    encoding: str = "utf-8"
    """Of json and csv; XML and Avro say their own."""
    csv: CsvLayout | None = None
    signatures: str = "ignore"
    """``require``: a record that is not well signed is held; ``warn``: it goes on with a warning."""
    signers: tuple[str, ...] = ()
    """The roles whose signatures are due; none: those usual at the level."""
    schema_ids: Mapping[str, int] = field(default_factory=dict)
    """File below ``schemas/`` → its id in the registry; a schema without one is known by its fingerprint."""
    evidence: str = "none"
    """``message``: the bytes of a message are the evidence of its one record, as those of signed XML are."""

    @property
    def keyed(self) -> bool:
        """Whether the records are the values of an object."""
        return self.batch == KEYED or self.batch.endswith(f".{KEYED}")

    @property
    def place(self) -> str:
        """The path of the list or object of records; empty where the message is that object, or the only record."""
        return self.batch.removesuffix(KEYED).removesuffix(".") if self.keyed else self.batch


def read_profile(faults: Faults, node: Node) -> Profile:
    """The profile at *node*; what is wrong with it goes into *faults*."""
    found = faults.keys(node, PROFILE_KEYS, _DUE)
    _check_format(faults, found)
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
        batch=ROWS if faults.text(found.get("format")) == "csv" else faults.text(found.get("batch")),
        version_epoch=_count(faults, found.get("version_epoch"), 1),
        mapping_version=faults.text(found.get("mapping_version")),
        max_bytes=_count(faults, found.get("max_bytes"), DEFAULT_MAX_BYTES),
        max_items=_count(faults, found.get("max_items"), DEFAULT_MAX_ITEMS),
        max_rows=_count(faults, found.get("max_rows"), DEFAULT_MAX_ROWS),
        max_total_rows=_count(faults, found.get("max_total_rows"), DEFAULT_MAX_TOTAL_ROWS),
        weight=_count(faults, found.get("weight"), 1),
        temporary_code=faults.text(found.get("temporary_code"), "TAM-"),
        programme=faults.choice(found.get("programme"), {"GDPT", "GDTX"}, "GDPT"),
        severities=severities,
        schools=_schools(faults, found.get("schools")),
        node=node,
        optional_subjects=faults.choice(found.get("optional_subjects"), {"counted", "left_out"}, "left_out"),
        encoding=faults.choice(found.get("encoding"), ENCODINGS, "utf-8"),
        csv=read_layout(faults, found["csv"]) if "csv" in found else None,
        signatures=faults.choice(found.get("signatures"), SIGNATURES, "ignore"),
        signers=tuple(faults.choice(item, ROLES, "") for item in faults.items(found.get("signers"))),
        schema_ids=_schema_ids(faults, found.get("schema_ids")),
        evidence=_evidence(faults, found),
    )


def _evidence(faults: Faults, found: Mapping[str, Node]) -> str:
    """An XML message is evidence unless the connector says that it is none; of other formats none is."""
    usual = "message" if faults.text(found.get("format")) == "xml" else "none"
    stated = faults.choice(found.get("evidence"), EVIDENCE, usual)
    signatures = found.get("signatures")
    if stated == "none" and "evidence" in found and signatures is not None and signatures.value in {"warn", "require"}:
        faults.add(found["evidence"], "signatures need the message as their evidence")
    return stated


def _count(faults: Faults, node: Node | None, default: int) -> int:
    number = faults.whole(node, default)
    if number < 1 and node is not None:
        faults.add(node, "must be 1 or more")
    return max(1, number)


def _check_format(faults: Faults, found: Mapping[str, Node]) -> None:
    """What belongs to another format, or is missing for this one."""
    kind = faults.text(found.get("format"))
    for key, formats in _ONLY.items():
        if key in found and kind in FORMATS and kind not in formats:
            faults.add(found[key], f"does not belong to format {kind}")
    if kind == "csv" and "csv" not in found:
        faults.add(found["format"], "needs csv: the columns of the sheet")


def _schema_ids(faults: Faults, node: Node | None) -> dict[str, int]:
    items = {} if node is None else faults.mapping(node)
    return {name: min(faults.whole(item, 0), 2**32 - 1) for name, item in items.items()}


def _schools(faults: Faults, node: Node | None) -> dict[str, tuple[School, ...]]:
    schools: dict[str, tuple[School, ...]] = {}
    for item in faults.items(node):
        found = faults.keys(item, ("code", "from", "to"), ("code", "from"))
        code = faults.text(found.get("code"))
        since, until = _day(faults, found.get("from"), date.min), _day(faults, found.get("to"), date.max)
        if until < since:
            faults.add(item, "to is before from")
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
