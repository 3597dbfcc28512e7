"""The judge of a run: the vendors' own file against the simulators' own books and the unified stream.

    lost        the version that should be in force at a target is not, and neither the plant nor the target's own
                book says why
    doubled     a version took effect twice at a target, or stands twice in the unified stream

The gateway's ledger is evidence about the gateway's words only: its states must be complete (produced = Σ states),
must be what the plant allows, and a *parked at a target* must be backed by a refusal in that target's book.  Pure:
everything is handed in, nothing is read here.  Findings name event and record ids, never a pupil.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from gateway.record import FINAL_STATES, Op, State
from gateway.sandbox.messes import EXPECTED, Plant

MOST_FINDINGS: Final = 1_000


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the vendors' file: one pupil record in one event, at the position the broker acknowledged."""

    event_id: str
    pupil: str
    record_id: str
    """Empty where nobody can tell the record (unreadable, other school)."""
    vendor: str
    topic: str
    partition: int
    offset: int
    index: int
    op: Op
    order: int
    plant: Plant
    history: str
    wave: str


@dataclass(frozen=True, slots=True)
class Published:
    """A record of the unified stream as a read_committed consumer saw it, in the order of its partition."""

    event_id: str
    record_id: str
    version: int


class Effect(Protocol):
    """A line of a target's book: something took effect."""

    @property
    def record_id(self) -> str:
        """Which record."""

    @property
    def version(self) -> int:
        """Its national version."""

    @property
    def op(self) -> str:
        """NEW, UPDATE or CANCEL."""


class SendRow(Effect, Protocol):
    """A line of a target's book: something arrived, whatever became of it."""

    @property
    def key(self) -> str:
        """The idempotency key it came under."""

    @property
    def content_hash(self) -> str:
        """The target's own hash of the content."""

    @property
    def result(self) -> str:
        """ACCEPTED, DUPLICATE, STALE, REFUSED or RETRY."""


@dataclass(frozen=True, slots=True)
class Book:
    """A target's book; *key_per_record* where a key names one record and not a packet of them."""

    effects: Sequence[Effect]
    sends: Sequence[SendRow]
    key_per_record: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a run left behind; *states* by (event id, target) are the gateway's words."""

    sent: Sequence[Sent]
    unified: Sequence[Published]
    books: Mapping[str, Book]
    states: Mapping[tuple[str, str], State]
    repaired: bool

    @property
    def record_of(self) -> dict[str, str]:
        """The record of each sent event."""
        return {sent.event_id: sent.record_id for sent in self.sent}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not add up."""

    what: str
    target: str
    event_id: str
    record_id: str


@dataclass(slots=True)
class Verdict:
    """What the judge says; everything adds up when *findings* is empty."""

    produced: int = 0
    rejected: int = 0
    unified: int = 0
    targets: dict[str, dict[State, int]] = field(default_factory=dict)
    lost: int = 0
    duplicate_effects: int = 0
    unified_duplicates: int = 0
    backwards: int = 0
    duplicate_sends: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def adds_up(self) -> bool:
        """Whether nothing at all is wrong."""
        return not self.findings

    def find(self, what: str, *, target: str = "", event_id: str = "", record_id: str = "") -> None:
        """Note a finding; a run gone wholly wrong is not listed to its last event."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(what, target, event_id, record_id))


class _Target:
    """What the judge needs to know of one target's book."""

    def __init__(self, book: Book, pupil_of: Mapping[str, str]) -> None:
        self.last: dict[str, Effect] = {}
        for effect in book.effects:
            self.last[effect.record_id] = effect
        self.applied = {(effect.record_id, effect.version) for effect in book.effects}
        self.refused = {(row.record_id, row.version) for row in book.sends if row.result == "REFUSED"}
        self.pupils_refused = {pupil_of[record] for record, _ in self.refused if record in pupil_of}


def judge(evidence: Evidence) -> Verdict:
    """The verdict over a run at rest."""
    verdict = Verdict(produced=len(evidence.sent), unified=len(evidence.unified))
    _judge_stream(evidence.unified, verdict)
    pupil_of = {sent.record_id: sent.pupil for sent in evidence.sent if sent.record_id}
    for name, book in evidence.books.items():
        _judge_book(name, book, verdict)
        target = _Target(book, pupil_of)
        _judge_states(evidence, name, target, verdict)
        _judge_accepted(evidence, name, target, verdict)
        _judge_outcomes(evidence, name, target, verdict)
    known = {sent.event_id for sent in evidence.sent}
    for event in sorted({event for event, _ in evidence.states} - known):
        verdict.find("the ledger tells of an event that no vendor has sent", event_id=event)
    some_target = next(iter(verdict.targets.values()), {})
    verdict.rejected = some_target.get(State.REJECTED, 0)
    return verdict


def _judge_stream(unified: Iterable[Published], verdict: Verdict) -> None:
    """Each event and each version once, versions rising."""
    events: set[str] = set()
    highest: dict[str, int] = {}
    for published in unified:
        before = highest.get(published.record_id, 0)
        if published.event_id in events or published.version == before:
            verdict.unified_duplicates += 1
            _find(verdict, "published twice in the unified stream", published)
        elif published.version < before:
            verdict.backwards += 1
            _find(verdict, "a version went backwards in the unified stream", published)
        events.add(published.event_id)
        highest[published.record_id] = max(before, published.version)


def _find(verdict: Verdict, what: str, published: Published) -> None:
    verdict.find(what, event_id=published.event_id, record_id=published.record_id)


def _judge_book(name: str, book: Book, verdict: Verdict) -> None:
    """I2, I4 and doubled effects, from the target's book alone."""
    effects: Counter[tuple[str, int, str]] = Counter()
    highest: dict[str, int] = {}
    for effect in book.effects:
        effects[effect.record_id, effect.version, effect.op] += 1
        if effect.version < highest.get(effect.record_id, 0):
            verdict.backwards += 1
            verdict.find("a version went backwards at the target", target=name, record_id=effect.record_id)
        highest[effect.record_id] = max(highest.get(effect.record_id, 0), effect.version)
    for (record, _, _), times in effects.items():
        if times > 1:
            verdict.duplicate_effects += times - 1
            verdict.find("a version took effect twice", target=name, record_id=record)
    for record in _torn_keys(book):
        verdict.find(
            "one version under several keys or contents, or one key for several", target=name, record_id=record
        )
    sends = Counter((row.record_id, row.version, row.op, row.key) for row in book.sends)
    verdict.duplicate_sends += sum(times - 1 for times in sends.values())


def _torn_keys(book: Book) -> Iterator[str]:
    contents: dict[tuple[str, int, str], set[str]] = defaultdict(set)
    keys: dict[tuple[str, int], set[str]] = defaultdict(set)
    owners: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for row in book.sends:
        contents[row.record_id, row.version, row.op].add(row.content_hash)
        keys[row.record_id, row.version].add(row.key)
        owners[row.key].add((row.record_id, row.version))
    yield from (record for (record, _, _), seen in contents.items() if len(seen) > 1)
    if book.key_per_record:
        yield from (record for (record, _), seen in keys.items() if len(seen) > 1)
        yield from (min(named)[0] for named in owners.values() if len(named) > 1)


def _judge_states(evidence: Evidence, name: str, target: _Target, verdict: Verdict) -> None:
    """I1: every event stands in one state at the target, and in one that its plant allows."""
    counts: Counter[State] = Counter()
    orders: dict[str, int] = {}
    for sent in evidence.sent:
        if sent.record_id:
            orders[sent.record_id] = max(orders.get(sent.record_id, sent.order), sent.order)
    versions = {published.event_id: published.version for published in evidence.unified}
    for sent in evidence.sent:
        state = evidence.states.get((sent.event_id, name))
        if state is None:
            verdict.find("an event without any state", target=name, event_id=sent.event_id, record_id=sent.record_id)
            continue
        counts[state] += 1
        expected = EXPECTED[sent.plant]
        allowed = expected.after_repair if evidence.repaired else expected.before_repair
        if expected.delivers:
            followed = sent.order < orders.get(sent.record_id, sent.order)
            allowed |= _excuses(sent, versions.get(sent.event_id, 0), followed=followed, target=target)
        if state not in allowed:
            what = f"{sent.plant} ended {state}"
            verdict.find(what, target=name, event_id=sent.event_id, record_id=sent.record_id)
    verdict.targets[name] = {state: counts[state] for state in State}


def _judge_accepted(evidence: Evidence, name: str, target: _Target, verdict: Verdict) -> None:
    """*Accepted* is true only if that very version took effect, also when a higher one has replaced it since."""
    versions = {published.event_id: published.version for published in evidence.unified}
    record_of = evidence.record_of
    for (event, where), state in evidence.states.items():
        if where != name or state is not State.ACCEPTED:
            continue
        record = record_of.get(event, "")
        if (record, versions.get(event, 0)) not in target.applied:
            verdict.find("accepted by the ledger's word alone", target=name, event_id=event, record_id=record)


def _excuses(sent: Sent, version: int, *, followed: bool, target: _Target) -> frozenset[State]:
    """States of a deliverable event that facts outside the gateway explain."""
    excused: set[State] = set()
    if (sent.record_id, version) in target.refused or sent.pupil in target.pupils_refused:
        excused.add(State.PARKED)
    if followed:  # its vendor has sent a higher version: whoever came too late for the target is superseded
        excused.add(State.SUPERSEDED)
    if sent.op is Op.CANCEL and sent.record_id not in target.last:
        excused.add(State.NOTHING_TO_CANCEL)
    if sent.op is Op.CANCEL and not version:  # it came while its record still waited for identity, and took its place
        excused.add(State.PARKED)
    return frozenset(excused)


def _judge_outcomes(evidence: Evidence, name: str, target: _Target, verdict: Verdict) -> None:
    """Lost: by record, the highest version that should be in force against what the book holds."""
    winners: dict[str, Sent] = {}
    for sent in evidence.sent:
        if EXPECTED[sent.plant].delivers and sent.record_id:
            known = winners.get(sent.record_id)
            winners[sent.record_id] = sent if known is None or sent.order > known.order else known
    versions = {published.event_id: published.version for published in evidence.unified}
    for record, sent in winners.items():
        state = evidence.states.get((sent.event_id, name))
        version = versions.get(sent.event_id)
        if not _is_there(sent, version, target.last.get(record)) and not _is_explained(sent, version, state, target):
            verdict.lost += 1
            verdict.find("lost", target=name, event_id=sent.event_id, record_id=record)


def _is_there(sent: Sent, version: int | None, last: Effect | None) -> bool:
    """Whether the target's book holds what the vendor's file says it should."""
    if last is None:
        return sent.op is Op.CANCEL  # nothing ever took effect there, so nothing is in force, as the vendor wants it
    if version is None:
        return False
    return last.version == version and (last.op == Op.CANCEL) == (sent.op is Op.CANCEL)


def _is_explained(sent: Sent, version: int | None, state: State | None, target: _Target) -> bool:
    """Whether something outside the ledger's word explains that it is not there."""
    if state is None or state in FINAL_STATES:
        return False  # a final state other than in force is not what the plant says: then it is lost
    if version is None:
        return State(state) in EXPECTED[sent.plant].before_repair  # still with identity, as planted
    return (sent.record_id, version) in target.refused or sent.pupil in target.pupils_refused
