"""What the shell is to do; one `Write` is one transaction and is committed in the order of its ticket."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.delivery.values import Entry, Member, Reason, Sent
from gateway.record import Op, State


class Settle(msgspec.Struct, frozen=True):
    """A record reached an end state; *row* says that a parked row of it must be closed."""

    entry: Entry
    state: State
    op: Op
    seq: int
    attempts: int
    row: bool
    doubt: bool = False
    packet: str | None = None
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt that did not settle the record: its number (the last MOST_TRIED are kept) and what came of it."""

    entry: Entry
    number: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """The held version *revokes* was revoked at the target, to make room for *entry*."""

    entry: Entry
    revokes: int


@dataclass(frozen=True, slots=True)
class Park:
    """A record is held with its reasons, the first one leading; *doubt*: it may have taken effect.

    *step*: not held, but between the two steps of an update; its row says so for a successor, and no receipt does.
    """

    entry: Entry
    reasons: tuple[Reason, ...]
    seq: int
    attempts: int
    doubt: bool
    step: bool = False


@dataclass(frozen=True, slots=True)
class Arm:
    """A parked record will be sent again: its row says so when it is released, and before it leaves."""

    offset: int
    sent: Sent = "again"


@dataclass(frozen=True, slots=True)
class CloseOrder:
    """An order was carried out, or is void with the reason *outcome*."""

    order: int
    done: bool
    outcome: str


@dataclass(frozen=True, slots=True)
class CreatePacket:
    """The row that precedes the POST; the packet *replaces* one that will never be answered."""

    packet: str
    op: Op
    members: tuple[Member, ...]
    sha256: bytes
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class MarkPacket:
    """A packet's step; *members* are those still without a verdict (None: unchanged)."""

    packet: str
    step: str
    members: tuple[Member, ...] | None = None


@dataclass(slots=True)
class Write:
    """Everything that one event changed in the ledger.  Filled by the machine, read by the shell.

    *alarm*: the code of what a person must look at in this slot, "" when it is over, None: as before.
    """

    ticket: int
    settles: list[Settle] = field(default_factory=list)
    parks: list[Park] = field(default_factory=list)
    revokes: list[Revoke] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    arms: list[Arm] = field(default_factory=list)
    orders: list[CloseOrder] = field(default_factory=list)
    packets: list[CreatePacket | MarkPacket] = field(default_factory=list)
    horizon: int | None = None
    alarm: str | None = None

    def __bool__(self) -> bool:
        return bool(self.settles) or not self.only_settles

    @property
    def only_settles(self) -> bool:
        """Whether there is nothing in it but end states."""
        rows = self.parks or self.revokes or self.tried or self.arms or self.orders or self.packets
        return not rows and self.horizon is None and self.alarm is None


class Sending(msgspec.Struct, frozen=True):
    """A record on its way and what the target is asked for; *again*: it may be there already."""

    entry: Entry
    op: Op
    again: bool = False


@dataclass(frozen=True, slots=True)
class SendBatch:
    """Send these in one request; answer with `Answered`."""

    batch: int
    items: Sequence[Sending]


@dataclass(frozen=True, slots=True)
class LoadLane:
    """Read the lane's open parked rows; answer with `LaneLoaded`."""

    lane: int


@dataclass(frozen=True, slots=True)
class BuildPacket:
    """Give a packet its GUID and its bytes; answer with `PacketBuilt`."""

    build: int
    op: Op
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class RebuildPacket:
    """Make the bytes of a former owner's packet again; answer with `PacketRebuilt`."""

    packet: str
    op: Op
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Upload:
    """Upload the evidence of a packet's records; answer with `Uploaded`."""

    packet: str


@dataclass(frozen=True, slots=True)
class Submit:
    """POST the packet; answer with `Submitted`."""

    packet: str


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask what became of the packet; answer with `Polled`."""

    packet: str


@dataclass(frozen=True, slots=True)
class ForgetPacket:
    """The packet's bytes are not needed any more."""

    packet: str


@dataclass(frozen=True, slots=True)
class Commit:
    """The group may start at *offset*; a later one takes its place.

    *settled*: below it nothing is under way at the target either, -1 where that is the same.
    """

    offset: int
    settled: int = -1


@dataclass(frozen=True, slots=True)
class PauseFetch:
    """The window is full."""


@dataclass(frozen=True, slots=True)
class ResumeFetch:
    """There is room again."""


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Answer with `Woke` at this time, unless a later effect of this kind names another."""

    at: float


@dataclass(frozen=True, slots=True)
class Drained:
    """After `Revoked`: nothing is under way and nothing is unwritten."""


PacketEffect = BuildPacket | RebuildPacket | Upload | Submit | Poll | ForgetPacket
Effect = Write | SendBatch | LoadLane | PacketEffect | Commit | PauseFetch | ResumeFetch | WakeAt | Drained
