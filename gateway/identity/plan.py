"""What becomes of each event: published, ended or held, so that trouble stays with one pupil (design rule 2).

A lane is one pupil's open parked rows in the order of their *place*.  The rules of a lane:

- an event waits behind (GW-03) while a row of another record of its pupil has a lower place;
- a newer version of a parked record takes that row's place and is tried at once, the old one ends superseded;
- versions are settled first, so that a duplicate or an outdated event ends at once and waits for nobody;
- a row behind goes by itself when nothing stands before it any more (``due``).

``Desk`` is the working copy for one batch of one slot: events and rows go in in order, each answer changes what the
next one meets.  It knows no I/O: the shell fills it with heads, lanes and verdicts, and performs the steps it returns.
"""

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.errors import Problem
from gateway.identity import versions
from gateway.identity.verdicts import Confirmed, Verdict, problems_of
from gateway.identity.versions import Claimant, Entry, Head
from gateway.record import State

BEHIND: Final = "GW-03"
WAITING: Final = "ID-01"
UNDECODABLE: Final = "GW-04"
UNKNOWN_CANCEL: Final = "DQ-48"
SETTLED_BY_LOOKUP: Final = frozenset({"DQ-18", "DQ-19"})
"""Holds that a look-up confirming the pupil releases: no ID, and an ID that lost its zeros (facts section 12)."""

ClaimKey = tuple[int, bytes]
"""(lane, claim hash)"""


@dataclass(frozen=True, slots=True)
class Event:
    """A mapped record as far as identity decides on it.

    *offset* is its place in the slot's gateway.mapped, *seq* the number of its first receipt here.
    """

    offset: int
    lane: int
    record_id: str
    entry: Entry
    holds: tuple[Problem, ...] = ()
    claim_hash: bytes | None = None
    seq: int = 1

    @property
    def claim_key(self) -> ClaimKey | None:
        """The key of its verdict; None for a CANCEL, which claims nobody."""
        return None if self.claim_hash is None else (self.lane, self.claim_hash)


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """An open parked row; *entry* is None for bytes that could not be read."""

    place: int
    offset: int
    lane: int = field(compare=False)
    record_id: str = field(compare=False)
    entry: Entry | None = field(compare=False)
    code: str = field(compare=False)
    claim_hash: bytes | None = field(compare=False, default=None)
    seq: int = field(compare=False, default=1)


@dataclass(frozen=True, slots=True)
class Out:
    """Publish as *version*; *verdict* is None for a CANCEL."""

    version: int
    verdict: Confirmed | None


@dataclass(frozen=True, slots=True)
class End:
    """Settled without being published; *state* is None where this very event was published before."""

    state: State | None


@dataclass(frozen=True, slots=True)
class Held:
    """Into the ledger as *row*, parked or waiting, for these reasons (the first one leads)."""

    state: State
    problems: tuple[Problem, ...]
    row: Row


Outcome = Out | End | Held


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one event or row, and the older rows it replaced (they end superseded)."""

    event: Event
    outcome: Outcome
    replaced: tuple[Row, ...] = ()


@dataclass(slots=True)
class Desk:
    """Heads, lanes, verdicts and hand-overs as the batch has left them so far."""

    heads: dict[str, Head] = field(default_factory=dict)
    lanes: dict[int, list[Row]] = field(default_factory=dict)
    verdicts: Mapping[ClaimKey, Verdict] = field(default_factory=dict)
    handed_over: Mapping[str, frozenset[Claimant]] = field(default_factory=dict)

    def arrive(self, event: Event) -> Step:
        """Decide on an event of the stream; it is the newest of its lane."""
        rivals = [row for row in self.lanes.get(event.lane, []) if row.record_id == event.record_id]
        return self._step(event, rivals, Row(event.offset, event.offset, *_row_of(event), event.seq))

    def retry(self, row: Row, event: Event) -> Step:
        """Decide again on *event*, which *row* of its lane holds; only what stands before it counts."""
        lane = self.lanes[row.lane]
        before = [other for other in lane if other.record_id == row.record_id and other < row]
        lane.remove(row)
        return self._step(event, before, Row(row.place, row.offset, *_row_of(event), row.seq + 1))

    def due(self, row: Row) -> bool:
        """Whether the reason that holds *row* is gone without anybody's order."""
        if row.code == BEHIND:
            return not self._blocked(row)
        if row.code == WAITING and row.claim_hash is not None:
            return (row.lane, row.claim_hash) in self.verdicts
        return False

    def unanswered(self) -> list[Row]:
        """Rows that wait for a look-up and have no verdict, or no longer one: somebody has to ask."""
        waiting = (row for lane in self.lanes.values() for row in lane if row.code == WAITING)
        return [row for row in waiting if (row.lane, row.claim_hash) not in self.verdicts]

    def drop(self, row: Row) -> None:
        """Take a discarded row out of its lane."""
        self.lanes[row.lane].remove(row)

    def park_unread(self, row: Row) -> None:
        """Take in a row of bytes that could not be read: it holds its lane and nothing can be compared with it."""
        insort(self.lanes.setdefault(row.lane, []), row)

    def _step(self, event: Event, rivals: list[Row], row: Row) -> Step:
        minted = self._mint(event, rivals)
        gone = _replaced(minted)
        replaced = tuple(old for old in rivals if old.entry is not None and old.entry.event_id in gone)
        for old in replaced:
            self.lanes[event.lane].remove(old)
        row = replace(row, place=min([row.place, *(old.place for old in replaced)]))
        return Step(event, self._settle(event, minted, row), replaced)

    def _mint(self, event: Event, rivals: list[Row]) -> versions.Minted:
        entries = [row.entry for row in rivals if row.entry is not None]
        allowed = self.handed_over.get(event.record_id, frozenset())
        return versions.mint(self.heads.get(event.record_id), entries, event.entry, allowed)

    def _settle(self, event: Event, minted: versions.Minted, row: Row) -> Outcome:
        outcome = self._outcome(event, minted, row)
        match outcome:
            case Out(version, _):
                self.heads[event.record_id] = Head(version, event.entry)
            case Held(_, _, held):
                insort(self.lanes.setdefault(event.lane, []), held)
            case End():
                pass
        return outcome

    def _outcome(self, event: Event, minted: versions.Minted, row: Row) -> Outcome:
        match minted:
            case versions.Superseded():
                return End(State.SUPERSEDED)
            case versions.Duplicate():
                return End(State.DUPLICATE)
            case versions.AlreadyOut():
                return End(None)
            case versions.Conflict(code):
                return _held(State.PARKED, row, Problem(code), *event.holds)
            case versions.ParkCancel():
                return _held(State.PARKED, row, Problem(BEHIND if self._blocked(row) else UNKNOWN_CANCEL))
            case versions.Publish(version):
                return self._identified(event, version, row)

    def _identified(self, event: Event, version: int, row: Row) -> Outcome:
        if self._blocked(row):
            return _held(State.PARKED, row, Problem(BEHIND))
        firm = [hold for hold in event.holds if hold.code not in SETTLED_BY_LOOKUP]
        if firm:
            rest = [hold for hold in event.holds if hold.code in SETTLED_BY_LOOKUP]
            return _held(State.PARKED, row, *firm, *rest)
        key = event.claim_key
        if key is None:
            return Out(version, None)
        match self.verdicts.get(key):
            case None:
                return _held(State.WAITING, row, Problem(WAITING))
            case Confirmed() as confirmed:
                return Out(version, confirmed)
            case refused:
                return _held(State.PARKED, row, *problems_of(refused), *event.holds)

    def _blocked(self, row: Row) -> bool:
        return any(other.record_id != row.record_id and other < row for other in self.lanes.get(row.lane, ()))


def _replaced(minted: versions.Minted) -> tuple[str, ...]:
    match minted:
        case versions.Publish(_, replaced) | versions.Conflict(_, replaced) | versions.ParkCancel(replaced):
            return replaced
        case versions.Duplicate() | versions.Superseded() | versions.AlreadyOut():
            return ()


def _row_of(event: Event) -> tuple[int, str, Entry, str, bytes | None]:
    return event.lane, event.record_id, event.entry, "", event.claim_hash


def _held(state: State, row: Row, *problems: Problem) -> Held:
    return Held(state, problems, replace(row, code=problems[0].code))
