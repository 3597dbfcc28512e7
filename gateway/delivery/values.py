"""What the delivery machine is told of a record, and how its settings are called.

An `Entry` is made from a record's headers alone: nothing is decoded before it is sent (design section 1).  What is made
for every record is a msgspec struct, a fifth of the cost of a frozen dataclass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from gateway.delivery.retry import Backoff
from gateway.record import Op

KILLER: Final = "GW-02"
BEHIND: Final = "GW-03"
UNDECODABLE: Final = "GW-04"
REFUSED: Final = "TG-01"
KEEPS_FAILING: Final = "TG-04"
NOT_PROCESSED: Final = "TG-05"
REVOKED: Final = "TG-06"
REFUSES_ALL: Final = "TG-07"
TOO_LARGE: Final = "TOO-LARGE"


class Entry(msgspec.Struct, frozen=True):
    """One version of one record in the unified stream, as its headers tell it."""

    offset: int
    record_id: str
    event_id: str
    version: int
    op: Op
    lane: int
    content_hash: str
    vendor: str
    school_year: int
    size: int


class Known(msgspec.Struct, frozen=True):
    """What the ledger says of a record at this target.

    *finals* are its versions in an end state, *held* the highest accepted one (0: none) and *held_op* what that asked
    for; *maybe* is the highest version that a person discarded while its effect was in doubt, *revoked* the highest
    held one that was revoked to make room for the next.
    """

    finals: frozenset[int] = frozenset()
    held: int = 0
    held_op: Op | None = None
    maybe: int = 0
    revoked: int = 0

    @property
    def highest(self) -> int:
        """The highest version in an end state, 0 without one."""
        return max(self.finals, default=0)

    def merged(self, other: "Known") -> "Known":
        """Both together: what was learnt since a reading of the ledger stands beside it."""
        held, held_op = max((self.held, self.held_op), (other.held, other.held_op), key=lambda pair: pair[0])
        maybe, revoked = max(self.maybe, other.maybe), max(self.revoked, other.revoked)
        return Known(self.finals | other.finals, held, held_op, maybe, revoked)

    @property
    def in_force(self) -> bool:
        """Whether the target holds a version that was neither cancelled nor revoked."""
        return self.held > self.revoked and self.held_op is not Op.CANCEL

    @property
    def left_revoked(self) -> bool:
        """Whether the target holds no valid version, because the next one has not been registered yet."""
        return 0 < self.revoked == self.held


NOTHING_KNOWN: Final = Known()


def decide(op: Op, known: Known) -> Op | None:
    """What the target is asked for, from the ledger and never from the vendor's word; None: nothing to cancel."""
    if op is Op.CANCEL:
        return Op.CANCEL if known.in_force or known.maybe > known.held else None
    return Op.UPDATE if known.in_force else Op.NEW


@dataclass(frozen=True, slots=True)
class Step:
    """What the target is asked for next; *revokes* names the held version that must go first, 0: none."""

    op: Op
    revokes: int = 0


def next_step(op: Op, known: Known, *, two_steps: bool) -> Step | None:
    """As `decide`; a target that knows only create and revoke (*two_steps*) is asked for an update in two steps."""
    asked = decide(op, known)
    if asked is None:
        return None
    return Step(Op.CANCEL, known.held) if two_steps and asked is Op.UPDATE else Step(asked)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a record is parked: the catalogue's code and the target's own."""

    code: str
    target_code: str = ""


Sent = Literal["no", "maybe", "released", "again"]
"""Of a parked row: refused for certain; parked in doubt; released and not sent yet; released and perhaps sent since."""


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """An open row of `parked`; *seq* counts the states its event has been through."""

    entry: Entry
    reason: Reason
    seq: int
    sent: Sent


@dataclass(frozen=True, slots=True)
class Member:
    """A record inside a packet; *seq* as in `ParkedRow`, 0 if it was never parked; *revokes* as in `Step`."""

    entry: Entry
    seq: int = 0
    revokes: int = 0


@dataclass(frozen=True, slots=True)
class OpenPacket:
    """A packet of a former owner that has no verdicts yet; *age_s*: since it was submitted."""

    packet: str
    op: Op
    members: Sequence[Member]
    submitted: bool
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The target's contract and the slot's limits, as far as the machine needs them."""

    backoff: Backoff
    packets: bool = False
    batch_records: int = 500
    batch_bytes: int = 2 * 1024 * 1024
    batch_age_s: float = 0.05
    concurrency: int = 4
    window_records: int = 2_000
    window_bytes: int = 32 * 1024 * 1024
    breaker_failures: int = 5
    breaker_open_s: float = 2.0
    most_attempts: int = 20
    horizon_ahead: int = 4_000
    poll_first_s: float = 0.3
    poll_every_s: float = 0.5
    settle_s: float = 2.0
    give_up_s: float = 86_400.0
    packets_in_flight: int = 4
    two_steps: bool = False
    ask_after_s: float = 0.0
    """How long a record in doubt waits, until asking the target which version it holds proves something."""
