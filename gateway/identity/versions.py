"""Which national version an event becomes: versions are minted here and never go backwards (design rule 3).

An event is compared, by the vendor's source order, with the highest of the record's head (what national.records holds)
and its parked rows (what waits outside it; a parked CANCEL is a fence):

    higher                          head + 1, the lower parked rows are replaced; a CANCEL of an unknown record parks
    equal, same content             duplicate
    equal, other content            conflict CF-01; an event with a cause (edit, re-map) is minted instead
    lower                           superseded

Orders of two vendors or schools cannot be compared, so whoever does not hold the record conflicts (CF-02) and is
compared with its own parked rows only, unless a hand-over is recorded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.record import Op, SourceOrder

HIGHEST_VERSION: Final = 99_999
"""Official ``PhienBan`` has five digits."""

Claimant = tuple[str, str]
"""(vendor, school code): who speaks for a record."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event's place in its record's history, as far as versions are concerned."""

    event_id: str
    claimant: Claimant
    order: SourceOrder
    content_hash: str
    op: Op
    caused: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """The highest published version of a record."""

    version: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Publish:
    """The event becomes this version."""

    version: int
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same order with the same content is there already."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """A higher order is there already."""


@dataclass(frozen=True, slots=True)
class AlreadyOut:
    """This very event is the head, or is parked already: nothing new has happened."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A person has to decide; *replaced* are the event ids of older parked rows of the same claimant."""

    code: str
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParkCancel:
    """A CANCEL of a record that was never published: kept as a fence (DQ-48)."""

    replaced: tuple[str, ...] = ()


Minted = Publish | Duplicate | Superseded | AlreadyOut | Conflict | ParkCancel


def mint(head: Head | None, parked: Sequence[Entry], event: Entry, handed_over: frozenset[Claimant]) -> Minted:
    """What becomes of *event*; *parked* are the record's open parked rows in lane order, without the event itself."""
    if head is not None and head.entry.event_id == event.event_id:
        return AlreadyOut()
    if any(entry.event_id == event.event_id for entry in parked):  # addressed anew twice: a crash came between
        return AlreadyOut()
    holder = _holder(head, parked)
    foreign = holder is not None and event.claimant not in {holder, *handed_over}
    spoken_for = {event.claimant} if foreign else {event.claimant, *handed_over, *([holder] if holder else [])}
    rivals = [entry for entry in parked if entry.claimant in spoken_for]
    published = [head.entry] if head is not None and not foreign else []
    match _compared(event, published, rivals):
        case Publish(_, replaced):
            return Conflict("CF-02", replaced) if foreign else _higher(head, event, replaced)
        case Conflict() if foreign:
            return Conflict("CF-02")
        case settled:
            return settled


def _holder(head: Head | None, parked: Sequence[Entry]) -> Claimant | None:
    """Who claimed the record first: its head's claimant, or the first that waits for it."""
    if head is not None:
        return head.entry.claimant
    return parked[0].claimant if parked else None


def _compared(event: Entry, published: Sequence[Entry], parked: Sequence[Entry]) -> Minted:
    top = max((entry.order for entry in (*published, *parked)), default=None)
    if top is None or event.order > top:
        return Publish(0, _ids(parked))
    if event.order < top:
        return Superseded()
    if event.caused:  # an edit carries the order of what it corrects; it is tried again even with the same content
        same_out = any(_same_content(event, entry) for entry in published if entry.order == top)
        return Duplicate() if same_out else Publish(0, _ids(parked))
    if any(_same_content(event, entry) for entry in (*published, *parked) if entry.order == top):
        return Duplicate()
    return Conflict("CF-01")


def _higher(head: Head | None, event: Entry, replaced: tuple[str, ...]) -> Minted:
    if head is None:
        return ParkCancel(replaced) if event.op is Op.CANCEL else Publish(1, replaced)
    if head.version >= HIGHEST_VERSION:
        return Conflict("CF-04", replaced)
    return Publish(head.version + 1, replaced)


def _same_content(one: Entry, other: Entry) -> bool:
    return one.content_hash == other.content_hash and (one.op is Op.CANCEL) == (other.op is Op.CANCEL)


def _ids(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(entry.event_id for entry in entries)
