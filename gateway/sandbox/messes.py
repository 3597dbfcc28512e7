"""What the generator plants in the vendors' events, and in which states each planting may end.

The expectation belongs to the plant, not to the gateway: it was written down before anything ran.  A state that a
plant does not allow is a finding, whatever the gateway's ledger says about it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.record import State


class Plant(StrEnum):
    """What one event is, seen from its vendor."""

    CLEAN = "clean"
    REPEATED = "repeated"
    """The same content under the same version, again."""
    LATE = "late"
    """A lower version after a higher one."""
    CONFLICT = "conflict"
    """The same version with other content."""
    CANCEL = "cancel"
    CANCEL_UNKNOWN = "cancel_unknown"
    """A cancel of a record nobody has sent: a fence."""
    CANCEL_UNDELIVERED = "cancel_undelivered"
    """A cancel of a record that every target has refused."""
    REFUSED = "refused"
    """Clean by every rule of the gateway, refused by the targets' own."""
    BEHIND = "behind"
    """Clean; another record of the same pupil is refused before it."""
    BROKEN = "broken"
    """A data-quality problem whose handling is *reject*."""
    UNREADABLE = "unreadable"
    FOREIGN_SCHOOL = "foreign_school"
    HELD = "held"
    """A data-quality problem whose handling is *park*."""
    UNKNOWN_PUPIL = "unknown_pupil"
    DIFFERS = "differs"
    SEVERAL = "several"
    NO_ID = "no_id"
    WHILE_DOWN = "while_down"
    """Clean; sent while the registry does not answer."""
    MENDED = "mended"
    """The corrected version of something above."""


_OPEN: Final = frozenset({State.PARKED, State.WAITING})
_DELIVERS: Final = frozenset({State.ACCEPTED})
_REJECTED: Final = frozenset({State.REJECTED})


@dataclass(frozen=True, slots=True)
class Expectation:
    """The states in which a plant may stand when nothing moves any more."""

    before_repair: frozenset[State]
    after_repair: frozenset[State]
    delivers: bool = False
    """Whether it should be in force at every target in the end (or, for a cancel, take its record out of force)."""


_WAITS_FOR_PERSON: Final = Expectation(_OPEN, _OPEN | {State.ACCEPTED, State.SUPERSEDED, State.DISCARDED})

EXPECTED: Final[dict[Plant, Expectation]] = {
    Plant.CLEAN: Expectation(_DELIVERS, _DELIVERS, delivers=True),
    Plant.MENDED: Expectation(_DELIVERS, _DELIVERS, delivers=True),
    Plant.CANCEL: Expectation(_DELIVERS, _DELIVERS, delivers=True),
    Plant.REPEATED: Expectation(frozenset({State.DUPLICATE}), frozenset({State.DUPLICATE})),
    Plant.LATE: Expectation(frozenset({State.SUPERSEDED}), frozenset({State.SUPERSEDED})),
    Plant.CONFLICT: _WAITS_FOR_PERSON,
    Plant.CANCEL_UNKNOWN: _WAITS_FOR_PERSON,
    Plant.CANCEL_UNDELIVERED: Expectation(
        frozenset({State.NOTHING_TO_CANCEL}), frozenset({State.NOTHING_TO_CANCEL}), delivers=True
    ),
    Plant.REFUSED: Expectation(_OPEN | {State.SUPERSEDED}, _OPEN | {State.SUPERSEDED, State.DISCARDED}),
    Plant.BEHIND: Expectation(_OPEN, _DELIVERS, delivers=True),
    Plant.BROKEN: Expectation(_REJECTED, _REJECTED),
    Plant.UNREADABLE: Expectation(_REJECTED, _REJECTED),
    Plant.FOREIGN_SCHOOL: Expectation(_REJECTED, _REJECTED),
    Plant.HELD: _WAITS_FOR_PERSON,
    Plant.UNKNOWN_PUPIL: _WAITS_FOR_PERSON,
    Plant.DIFFERS: _WAITS_FOR_PERSON,
    Plant.SEVERAL: _WAITS_FOR_PERSON,
    Plant.NO_ID: _WAITS_FOR_PERSON,
    Plant.WHILE_DOWN: Expectation(_OPEN, _DELIVERS, delivers=True),
}
