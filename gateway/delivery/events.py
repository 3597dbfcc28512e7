"""What happens to a delivery slot; `Machine.handle` takes one of these and the time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.delivery.values import Entry, Known, OpenPacket, ParkedRow
from gateway.outcomes import BatchAnswer, PollAnswer, Receipt, RecordVersion


@dataclass(frozen=True, slots=True)
class Started:
    """The slot was taken over: what the ledger holds of it.

    *parked* are the lanes with open rows, *live* those among them that nothing blocks; records below *horizon*
    without a row may have been sent by the former owner.
    """

    horizon: int = 0
    parked: Collection[int] = ()
    live: Collection[int] = ()
    packets: Sequence[OpenPacket] = ()


@dataclass(frozen=True, slots=True)
class Received:
    """Records from the stream in their order, what the ledger knows of them, and the consumer's position after them.

    *killers* are the offsets of those that ended three owners: they are parked untouched.
    """

    entries: Sequence[Entry]
    known: Mapping[str, Known]
    position: int
    killers: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class LaneLoaded:
    """The open parked rows of one lane."""

    lane: int
    rows: Sequence[ParkedRow]
    known: Mapping[str, Known]


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch was answered; *unreadable* are the offsets that could not be decoded and were left out of it."""

    batch: int
    answer: BatchAnswer
    unreadable: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """The `Write` of this ticket is committed; tickets are committed in their order."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Ordered:
    """A person asks something of a parked record."""

    order: int
    lane: int
    offset: int
    action: Literal["release", "discard"]


@dataclass(frozen=True, slots=True)
class Slowed:
    """Another slot of the worker was told to wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Vouched:
    """The target decided about a record of another slot of the worker: it does not refuse everything."""


@dataclass(frozen=True, slots=True)
class PacketBuilt:
    """The bytes of packet *packet* stand; *evidence* says whether there is something to upload first."""

    build: int
    packet: str
    sha256: bytes
    evidence: bool
    unreadable: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class PacketRebuilt:
    """The bytes of a former owner's packet were made again; *same* if their hash is that of its row."""

    packet: str
    same: bool
    evidence: bool


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The evidence of a packet, by record."""

    packet: str
    answers: Mapping[RecordVersion, Receipt]


@dataclass(frozen=True, slots=True)
class Submitted:
    """What the target said to the packet itself."""

    packet: str
    answer: Receipt


@dataclass(frozen=True, slots=True)
class Polled:
    """What became of the packet."""

    packet: str
    answer: PollAnswer


@dataclass(frozen=True, slots=True)
class Woke:
    """The time of `WakeAt` has come."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """The slot is being taken away in good order: nothing new is sent."""


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """The slot has another owner: nothing is sent and nothing is written any more."""


PacketEvent = PacketBuilt | PacketRebuilt | Uploaded | Submitted | Polled
Event = (
    Started
    | Received
    | LaneLoaded
    | Answered
    | Written
    | Ordered
    | Slowed
    | Vouched
    | Woke
    | Revoked
    | LeaseLost
    | PacketEvent
)
