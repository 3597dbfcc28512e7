"""A compiled connector: any bytes of its vendor in, an outcome out.

The order for an item: event and key fields, authority over the school, the record's fields, mandatory fields,
rules; then copies and contradictions inside the message.  All findings count and the strongest decides: reject,
park (hold), warn. A CANCEL carries only pupil code, school year, school and version or time.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.errors import Problem, catalogue
from gateway.intake import decode, rules, rules_identity
from gateway.intake.check import level_of
from gateway.intake.compile import Compiled, compile_definition
from gateway.intake.given import NOTHING, Given
from gateway.intake.language import Profile, School, read_definition
from gateway.intake.makers import Found, add_missing, getter
from gateway.intake.message import settle_message
from gateway.intake.outcome import (
    MAX_FINDINGS,
    Claim,
    Item,
    Items,
    Mapped,
    Outcome,
    Rejected,
    RejectedWhole,
    first_findings,
)
from gateway.national.schema import Level
from gateway.record import Op, Position, SourceOrder, record_id, vendor_topic

INLINE_BYTES = 65_536
_HANOI = timedelta(hours=7)
_OPS = {"NEW": Op.NEW, "UPdate": Op.UPDATE, "UPDATE": Op.UPDATE, "CANCEL": Op.CANCEL}
_MAX_UNKNOWN = 64
_KEYS_DUE = ("pupil_code", "school_code", "school_year")

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Message:
    """What all items of one message share."""

    root: Tree
    position: Position
    timestamp_ms: int
    evidence: dict[str, Any] | None
    unknown: dict[str, int]
    findings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Connector:
    """One vendor's connector, compiled; immutable."""

    name: str
    vendor: str
    title: str
    format: str
    level: Level
    weight: int
    max_bytes: int
    mapping_version: str
    version_epoch: int
    topics: tuple[str, ...]
    """The topics it reads: live records and bulk loads."""
    schools: Mapping[str, tuple[School, ...]]
    profile: Profile
    mapping: Compiled
    severity: Callable[[str], str]

    @property
    def label(self) -> str:
        """``name@mapping version``, as a record's head names it."""
        return f"{self.name}@{self.mapping_version}"

    def process(self, value: bytes, position: Position, timestamp_ms: int, given: Given = NOTHING) -> Outcome:
        """What *value*, published at *position* and time *timestamp_ms*, becomes.  Never raises."""
        if len(value) > self.max_bytes:
            return RejectedWhole((Problem("GW-01"),))
        root, code = self._decode(value)
        if root is None:
            return RejectedWhole((Problem(code),))
        trees = self._items(root)
        if len(trees) > self.profile.max_items:  # a small message of countless items would keep its slot busy
            return RejectedWhole((Problem("GW-01"),))
        if not trees or (self.format == "xml" and len(trees) > 1):  # signed bytes are the evidence of one record
            return RejectedWhole((Problem("DQ-45"),))
        evidence = _evidence(value, position) if self.format == "xml" else None
        message = _Message(root, position, timestamp_ms, evidence, {}, given.findings)
        items = [self._item(index, tree, message) for index, tree in enumerate(trees)]
        return Items(settle_message(items, self.profile.temporary_code), message.unknown)

    def _decode(self, value: bytes) -> tuple[Tree | None, str]:
        tree = decode.decode_xml(value) if self.format == "xml" else decode.decode_json(value)
        if isinstance(tree, dict):
            return tree, ""
        return None, tree if self.format == "xml" and isinstance(tree, str) else "DQ-45"

    def _items(self, root: Tree) -> list[object]:
        if not self.profile.batch:
            return [root]
        found = getter(self.profile.batch)(root, root)
        if isinstance(found, list):
            return found
        return [found] if isinstance(found, dict) else []

    def _item(self, index: int, tree: object, message: _Message) -> Item:
        if not isinstance(tree, dict):
            return Rejected(index, (Problem("DQ-45"),), None, None)
        _count_unknown(tree, self.mapping.known, "", message.unknown, self.profile.max_rows)
        long = self._long_lists(tree, message.root)
        found: Found = [*message.findings, *long]
        event = {name: make(tree, message.root, found) for name, make in self.mapping.event}
        op = _OPS.get(event.get("type") or "NEW", Op.NEW)
        record = self.mapping.keys if op is Op.CANCEL or long else self.mapping.record
        body = {name: make(tree, message.root, found) for name, make in record}
        order = self._order(event, found)
        self._authority(body, event, message, found)
        if record is self.mapping.keys:
            add_missing(body, _KEYS_DUE, "", found)
            found += rules_identity.code_problems(body, self.profile.temporary_code)
            return self._outcome(_Draft(index, op, event, order, None, None, body), found, message)
        return self._full(_Draft(index, op, event, order, None, None, body), tree, found, message)

    def _long_lists(self, tree: Tree, root: Tree) -> Found:
        """GW-01 for each list of more rows than any record has; such an item is rejected before its rows are mapped."""
        lists = [(name, source(tree, root)) for name, source in self.mapping.lists]
        most = self.profile.max_rows
        return [Problem("GW-01", name) for name, rows in lists if isinstance(rows, list) and len(rows) > most]

    def _order(self, event: Mapping[str, Any], found: Found) -> SourceOrder | None:
        order = event.get("version")
        if order is None:
            order = event.get("occurred_at")
        if order is None:
            if not any(problem.field in {"version", "updated_at"} for problem in found):
                found.append(Problem("DQ-33", "updated_at"))
            return None
        return SourceOrder(self.version_epoch, order)

    def _authority(self, body: Tree, event: Mapping[str, Any], message: _Message, found: Found) -> None:
        """DQ-28: a vendor speaks only for its own schools, at the time of the business change (design rule 10)."""
        code = body.get("school_code")
        if code is None:
            return
        moment = event.get("occurred_at")
        moment = message.timestamp_ms if moment is None else moment
        today = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment) + _HANOI).date()
        if not any(school.since <= today <= school.until for school in self.schools.get(code, ())):
            found.append(Problem("DQ-28", "school_code"))

    def _full(self, draft: "_Draft", tree: Tree, found: Found, message: _Message) -> Item:
        mapping, body, root = self.mapping, draft.body, message.root
        results = {name: make(tree, root, found) for name, make in mapping.results}
        add_missing(body | results, mapping.required, "", found)
        results["subjects"] = []
        body["history"] = []
        for name, rows in mapping.rows.items():
            (body if name == "history" else results)[name] = rows(tree, root, found)
        body["results"] = results
        facts = {name: make(tree, root, found) for name, make in mapping.facts}
        for _, expect in mapping.expect:
            expect(tree, root, found)
        identity = rules_identity.identify(body, self.profile.temporary_code)
        body["citizen_id"] = identity.citizen_id
        if not rules_identity.birth_text(body) and not any(p.field.startswith("birth_") for p in found):
            found.append(Problem("DQ-33", "birth_date"))
        refused = frozenset(problem.field for problem in found)
        found += rules_identity.staff_problems(body, results["subjects"])
        found += rules.judge(body, facts, identity, self.level, refused)
        draft = _Draft(draft.index, draft.op, draft.event, draft.order, body, identity, body)
        return self._outcome(draft, found, message)

    def _outcome(self, draft: "_Draft", found: Found, message: _Message) -> Item:
        keys, event = draft.body, draft.event
        code, school, year = (str(keys.get(name) or "") for name in _KEYS_DUE)
        identifier = record_id(code, year, self.profile.programme) if code and year else None
        occurred = event.get("occurred_at")
        occurred = message.timestamp_ms if occurred is None else occurred
        if year:
            found += rules.time_problems(occurred, year, message.timestamp_ms)
        problems = tuple(dict.fromkeys(found))
        refused = any(self.severity(problem.code) == "reject" for problem in problems)
        if refused or identifier is None or draft.order is None:
            problems = first_findings(problems, self.severity)
            return Rejected(draft.index, problems, event.get("vendor_ref"), identifier)
        body = draft.full
        if body is not None and body.get("transcript_id") is None:
            body["transcript_id"] = identifier  # facts section 5: where a vendor has none
        return Mapped(
            index=draft.index,
            record_id=identifier,
            pupil_code=code,
            school_code=school,
            school_year=year,
            programme=self.profile.programme,
            grade=keys.get("grade_code"),
            event_type=draft.op,
            source_order=draft.order,
            occurred_at_ms=occurred,
            vendor_ref=event.get("vendor_ref"),
            claim=None if body is None or draft.identity is None else _claim(body, draft.identity),
            body=body,
            holds=self._of(problems, "park"),
            warnings=self._of(problems, "warn"),
            evidence=message.evidence,
            reason=event.get("reason"),
        )

    def _of(self, problems: tuple[Problem, ...], severity: str) -> tuple[Problem, ...]:
        return tuple(problem for problem in problems if self.severity(problem.code) == severity)[:MAX_FINDINGS]


@dataclass(frozen=True, slots=True)
class _Draft:
    """An item on its way: *full* and *identity* are None for a CANCEL, *body* then holds the key fields only."""

    index: int
    op: Op
    event: Mapping[str, Any]
    order: SourceOrder | None
    full: Tree | None
    identity: rules_identity.Identity | None
    body: Tree


def compile_connector(files: Mapping[str, str]) -> Connector:
    """The connector of *files* (shown name → text, connector.yaml first); raises ConnectorFaults with all faults."""
    definition = read_definition(files)
    mapping = compile_definition(definition)
    profile = definition.profile
    usual = {code: entry.severity for code, entry in catalogue().items()}
    severities: dict[str, str] = {**usual, **profile.severities}
    return Connector(
        name=profile.name,
        vendor=profile.vendor,
        title=profile.title,
        format=profile.format,
        level=level_of(definition),
        weight=profile.weight,
        max_bytes=profile.max_bytes,
        mapping_version=profile.mapping_version,
        version_epoch=profile.version_epoch,
        topics=(vendor_topic(profile.vendor, "records"), vendor_topic(profile.vendor, "bulk")),
        schools=profile.schools,
        profile=profile,
        mapping=mapping,
        severity=severities.__getitem__,
    )


def _claim(body: Tree, identity: rules_identity.Identity) -> Claim:
    return Claim(
        pupil_code=body["pupil_code"],
        temporary_code=identity.temporary,
        citizen_id=identity.citizen_id,
        citizen_id_candidate=identity.candidate,
        full_name=body["full_name"],
        birth=rules_identity.birth_text(body),
        gender=body["gender"],
        nationality=body["nationality"],
    )


def _evidence(value: bytes, position: Position) -> dict[str, Any]:
    """The signed bytes themselves, or above 64 KiB where they stand and their hash (design rule 7)."""
    check = {"topic": position.topic, "partition": position.partition, "offset": position.offset, "index": 0}
    return {
        "content_type": "application/xml",
        "sha256": hashlib.sha256(value).hexdigest(),
        "size_bytes": len(value),
        "content": value if len(value) <= INLINE_BYTES else check,
    }


def _count_unknown(tree: Tree, known: Mapping[str, Any], path: str, counts: dict[str, int], most: int) -> None:
    """Counts input names no rule reads, for the drift report; bounded, because names and lists are the vendor's."""
    for name in tree.keys() - known.keys():
        label = f"{path}{name}"[:80]
        if label in counts or len(counts) < _MAX_UNKNOWN:
            counts[label] = counts.get(label, 0) + 1
    for name, below in known.items():
        if below and name in tree:
            inside = tree[name]
            for element in inside[:most] if isinstance(inside, list) else (inside,):
                if isinstance(element, dict):
                    _count_unknown(element, below, f"{path}{name}.", counts, most)
