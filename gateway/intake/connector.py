"""A compiled connector: any bytes of its vendor in, an outcome out.

The order for an item: event and key fields, authority over the school, the record's fields, mandatory fields,
rules; then copies and contradictions inside the message.  All findings count and the strongest decides: reject,
park (hold), warn. A CANCEL carries only pupil code, school year, school and version or time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from gateway.errors import Problem, severity_of
from gateway.intake import rules, rules_identity
from gateway.intake.check import level_of
from gateway.intake.compile import Compiled, compile_definition
from gateway.intake.decode import Decoder, decoder
from gateway.intake.decode_avro import WriterSchema, bundled_headers, header_of
from gateway.intake.documents import Policy
from gateway.intake.documents_embedded import differing, embedded, evidence_of, replaced
from gateway.intake.documents_policy import policy_of, severities_of
from gateway.intake.given import NOTHING, Given
from gateway.intake.language import read_definition
from gateway.intake.language_profile import ITEM_KEY, Profile, School
from gateway.intake.makers import Found, Getter, add_missing, getter
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
from gateway.intake.quick import Quick
from gateway.intake.reference import NO_TABLES, RENUMBERED, Reference, day_of, school_on, settle
from gateway.intake.rules_marks import take_components
from gateway.intake.rules_options import COUNT_OPTIONAL, USUAL, Options
from gateway.intake.rules_secondary import fill_total
from gateway.intake.straight import Made, Straight
from gateway.intake.straight_source import straight_of
from gateway.intake.unknown import Known
from gateway.intake.unreadable import unreadable
from gateway.national.schema import Level
from gateway.record import Op, Position, SourceOrder, record_id, vendor_topic

WHOLE = "$"
"""As `batch`: the message itself is the list of items, or one item."""
_OPS = {"NEW": Op.NEW, "UPdate": Op.UPDATE, "UPDATE": Op.UPDATE, "CANCEL": Op.CANCEL}
_LACKS = frozenset({"DQ-18", "DQ-32", "DQ-33", "DQ-36"})
"""What a change list (DQ-52) lacks is not named beside it: sending that alone would help nobody."""
NOTHING_REFUSED: frozenset[str] = frozenset()
_KEYS_DUE = ("pupil_code", "school_code", "school_year")

Tree = dict[str, Any]


class _Message(NamedTuple):
    """What all items of one message share."""

    root: Tree
    position: Position
    timestamp_ms: int
    evidence: dict[str, Any] | None
    unknown: dict[str, int]
    findings: tuple[Problem, ...]
    signed: Tree | None = None
    """The tree of the signed document inside an item, to be compared with what is mapped."""


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
    schemas: Mapping[str, WriterSchema]
    """Its own Avro schemas, by file name."""
    decode: Decoder
    mapping: Compiled
    straight: Straight | None
    """The short way of plainly clean items; without it the complete path does all, with the same outcomes."""
    quick: Quick
    known: Known
    around: Known | None
    """The known names of the message around its items; None where there is nothing around."""
    items: Getter | None
    severity: Callable[[Problem], str]
    signed_by: Policy | None
    """Who must have signed its documents; None where signatures are not looked at."""
    tables: Reference
    options: Options

    @property
    def label(self) -> str:
        """``name@mapping version``, as a record's head names it."""
        return f"{self.name}@{self.mapping_version}"

    def process(self, value: bytes, position: Position, timestamp_ms: int, given: Given = NOTHING) -> Outcome:
        """What *value*, published at *position* and time *timestamp_ms*, becomes.  Never raises."""
        if len(value) > self.max_bytes:
            return RejectedWhole((Problem("GW-01"),))
        root = self._decode(value, given)
        if not isinstance(root, dict):
            return RejectedWhole(root)
        trees = self._items(root)
        if len(trees) > self.profile.max_items or self._has_too_many_rows(trees, root):
            return RejectedWhole((Problem("GW-01"),))  # a small message of countless parts would keep its slot busy
        if not trees:
            return RejectedWhole((unreadable("no_items"),))
        kept = self.profile.evidence == "message"
        if kept and len(trees) > 1:  # the message's bytes are the evidence of one record
            return RejectedWhole((unreadable("several_records"),))
        evidence = evidence_of(value, position) if kept else None
        message = _Message(root, position, timestamp_ms, evidence, {}, given.findings)
        if self.around is not None:
            self.around.count(root, tuple(root), message.unknown, self.profile.max_rows, "$.")
        items = [self._item(index, tree, message) for index, tree in enumerate(trees)]
        return Items(settle_message(items, self.profile.temporary_code), message.unknown)

    def brings_schema(self, value: bytes) -> bool:
        """Whether the writer schema that the Avro message *value* names is one of its own."""
        return header_of(value) in bundled_headers(self.schemas, self.profile.schema_ids)

    def trees(self, value: bytes) -> tuple[Tree, list[Tree]]:
        """The message's tree and its items' trees, as the mapping sees them; empty when it cannot be read."""
        root = self._decode(value, NOTHING)
        if not isinstance(root, dict):
            return {}, []
        return root, [tree for tree in self._items(root) if isinstance(tree, dict)]

    def _has_too_many_rows(self, trees: list[object], root: Tree) -> bool:
        most = self.profile.max_total_rows
        if len(trees) * self.profile.max_rows * len(self.mapping.lists) <= most:
            return False
        found = (source(tree, root) for tree in trees if isinstance(tree, dict) for _, source in self.mapping.lists)
        return sum(len(rows) for rows in found if isinstance(rows, list)) > most

    def _decode(self, value: bytes, given: Given) -> Tree | tuple[Problem, ...]:
        tree = self.decode(value, given)
        if self.profile.batch == WHOLE and isinstance(tree, (dict, list)):
            return {WHOLE: tree}
        if isinstance(tree, (dict, tuple)):
            return tree
        return (unreadable("not_an_object"),)

    def _items(self, root: Tree) -> list[object]:
        if self.profile.keyed:
            found = root if self.items is None else self.items(root, root)
            return _keyed(found) if isinstance(found, dict) else []
        if self.items is None:
            return [root]
        found = self.items(root, root)
        if isinstance(found, list):
            return found
        return [found] if isinstance(found, dict) else []

    def _item(self, index: int, tree: object, message: _Message) -> Item:
        if not isinstance(tree, dict):
            # a Problem: the decoder knows of this item alone
            why = tree if isinstance(tree, Problem) else unreadable("not_an_object")
            return Rejected(index, (why,), None, None)
        shape = tuple(tree)
        self.known.count(tree, shape, message.unknown, self.profile.max_rows)
        if self.mapping.embedded is not None:
            own = embedded(self.mapping.embedded, tree, message.root, message.position, index)
            findings = (*message.findings, *own.findings)
            message = message._replace(evidence=own.evidence, findings=findings, signed=own.tree)
        made = None if self.straight is None else self.straight.make(tree, message.root, shape)
        if made is not None and (op := _op_of(made.event)) is not Op.CANCEL:
            plain = not message.findings and message.evidence is None
            usual = self.quick.mapped(index, op, made, message.timestamp_ms) if plain else None
            return self._plain(index, op, made, message) if usual is None else usual
        long = self._long_lists(tree, message.root)
        found: Found = [*message.findings, *long]
        event = {name: make(tree, message.root, found) for name, make in self.mapping.event}
        for name, field in self.mapping.event_due:
            if event[name] is None and not any(problem.field == field for problem in found):
                found.append(Problem("DQ-33", field))
        op = _op_of(event)
        record = self.mapping.keys if op is Op.CANCEL or long else self.mapping.record
        body = {name: make(tree, message.root, found) for name, make in record}
        order = self._order(event, found)
        self._authority(body, event, message, found)
        if record is self.mapping.keys:
            add_missing(body, _KEYS_DUE, "", found)
            found += rules_identity.code_problems(body, self.profile.temporary_code)
            return self._outcome(_Draft(index, op, event, order, body), found, message)
        return self._full(_Draft(index, op, event, order, body), tree, found, message)

    def _plain(self, index: int, op: Op, made: Made, message: _Message) -> Item:
        """The rest of the way of an item that the straight path has mapped without a finding."""
        made.watch()
        found: Found = [*message.findings]
        order = self._order(made.event, found)
        self._authority(made.body, made.event, message, found)
        draft = _Draft(index, op, made.event, order, made.body, made)
        return self._judged(draft, made.facts, found, message)

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
            if not any(problem.field in {"version", "occurred_at"} for problem in found):
                found.append(Problem("DQ-33", "occurred_at"))
            return None
        return SourceOrder(self.version_epoch, order)

    def _authority(self, body: Tree, event: Mapping[str, Any], message: _Message, found: Found) -> None:
        """DQ-28: a vendor speaks only for its own schools, at the time of the business change (design rule 10)."""
        code = body.get("school_code")
        if code is None:
            return
        today = _day_of(event, message)
        became = school_on(self.tables, code, today)
        if became != code:
            body["school_code"] = code = became
            found.append(Problem("DQ-28", "school_code", RENUMBERED))
        for school in self.schools.get(code, ()):
            if school.since <= today <= school.until:
                return
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
        if mapping.components:
            facts["components"] = take_components(results["subjects"])
        for _, expect in mapping.expect:
            expect(tree, root, found)
        return self._judged(draft, facts, found, message)

    def _judged(self, draft: "_Draft", facts: Tree, found: Found, message: _Message) -> Item:
        """The rules over a mapped *draft*, and its outcome."""
        body = draft.body
        results = body["results"]
        fill_total(results, facts)
        identity = rules_identity.identify(body, self.profile.temporary_code)
        body["citizen_id"] = identity.citizen_id
        unborn = body.get("birth_date") is None and not rules_identity.birth_text(body)
        if unborn and not any(p.field.startswith("birth_") for p in found):
            found.append(Problem("DQ-33", "birth_date"))
        refused = frozenset([p.field for p in found if p.code != "DQ-33"]) if found else NOTHING_REFUSED
        before = None if message.evidence is None else dict(body)
        found += settle(body, self.tables, _day_of(draft.event, message))
        if before is not None:
            found += self._unlike_signed(found, before, body, message)
        found += rules_identity.staff_problems(body, results["subjects"])
        judged = rules.judge(body, facts, identity, self.level, refused, self.options)
        found = rules.told_once(found, judged, body) if found else judged
        return self._outcome(draft, found, message, identity)

    def _unlike_signed(self, found: Found, before: Tree, body: Tree, message: _Message) -> list[Problem]:
        """DQ-41: where the record says another thing than the signed document it is made from or comes with."""
        if self.mapping.embedded is None:
            return replaced(found, before, body)
        return [] if message.signed is None else differing(self.mapping.embedded, message.signed, body)

    def _outcome(
        self, draft: "_Draft", found: Found, message: _Message, identity: rules_identity.Identity | None = None
    ) -> Item:
        keys, event = draft.body, draft.event
        code, school, year = keys.get("pupil_code") or "", keys.get("school_code") or "", keys.get("school_year") or ""
        identifier = record_id(code, year, self.profile.programme) if code and year else None
        occurred = event.get("occurred_at")
        occurred = message.timestamp_ms if occurred is None else occurred
        if year and event.get("occurred_at") is not None:
            found += rules.time_problems(occurred, year, message.timestamp_ms)
        issued = keys.get("issue_date")
        if year and issued is not None:
            found += rules.issue_problems(issued, year, message.timestamp_ms)
        problems = tuple(dict.fromkeys(found)) if found else ()
        if problems and any(problem.code == "DQ-52" for problem in problems):
            problems = tuple(problem for problem in problems if problem.code not in _LACKS)
        refused = problems and any(self.severity(problem) == "reject" for problem in problems)
        if refused or identifier is None or draft.order is None:
            problems = first_findings(problems, self.severity)
            return Rejected(draft.number, problems, event.get("vendor_ref"), identifier, draft.order)
        body = None if identity is None else draft.body
        made = None if draft.made is None or draft.made.changed() else draft.made
        if body is not None and body.get("transcript_id") is None:
            body["transcript_id"] = identifier  # facts section 5: where a vendor has none
        return Mapped(
            index=draft.number,
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
            claim=None if body is None or identity is None else _claim(body, identity),
            body=body,
            holds=self._of(problems, "park") if problems else (),
            warnings=self._of(problems, "warn") if problems else (),
            evidence=message.evidence,
            reason=event.get("reason"),
            encoded=None if made is None else made.body_bytes(),
        )

    def _of(self, problems: tuple[Problem, ...], severity: str) -> tuple[Problem, ...]:
        return tuple(problem for problem in problems if self.severity(problem) == severity)[:MAX_FINDINGS]


class _Draft(NamedTuple):
    """An item on its way; of a CANCEL, *body* holds the key fields only."""

    number: int
    op: Op
    event: Mapping[str, Any]
    order: SourceOrder | None
    body: Tree
    made: Made | None = None
    """Where the straight path mapped it."""


def compile_connector(files: Mapping[str, str], tables: Reference = NO_TABLES) -> Connector:
    """The connector of *files* (shown name → text, connector.yaml first); raises ConnectorFaults with all faults.

    *tables* are the dated tables of the installation: what became of schools, classes and communes.
    """
    definition = read_definition(files)
    mapping = compile_definition(definition)
    profile = definition.profile
    options = COUNT_OPTIONAL if profile.optional_subjects == "counted" else USUAL
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
        schemas=definition.schemas,
        decode=decoder(profile, definition.schemas),
        mapping=mapping,
        straight=None if profile.format == "xml" else straight_of(definition, mapping, level_of(definition)),
        quick=Quick(profile, level_of(definition), options, tables),
        known=Known(mapping.known),
        around=None if profile.place in {"", WHOLE} else Known(mapping.around),
        items=getter(profile.place) if profile.place else None,
        severity=_severity({**profile.severities, **severities_of(profile)}),
        signed_by=policy_of(profile),
        tables=tables,
        options=options,
    )


def _severity(own: Mapping[str, str]) -> Callable[[Problem], str]:
    """How a problem weighs for a connector with its *own* severities."""
    return lambda problem: own.get(problem.code) or severity_of(problem)


def _op_of(event: Mapping[str, Any]) -> Op:
    """What an event asks for; without a word, or by one that no table knows, a new record."""
    return _OPS.get(event.get("type") or "NEW", Op.NEW)


def _keyed(records: Tree) -> list[object]:
    """The values of an object of records, each with its key; what is no record stays as it is."""
    return [{**tree, ITEM_KEY: key} if isinstance(tree, dict) else tree for key, tree in records.items()]


def _day_of(event: Mapping[str, Any], message: _Message) -> date:
    """The day in Vietnam of an event's business change; without one, of its publication."""
    moment = event.get("occurred_at")
    return day_of(message.timestamp_ms if moment is None else moment)


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
