"""A packet under way and one being built: what `packets` keeps of them."""

from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.delivery.effects import CreatePacket
from gateway.delivery.flights import Flight
from gateway.delivery.values import TOO_LARGE, Member
from gateway.outcomes import Receipt, RefusedWhole, TooLarge
from gateway.record import Op

NOWHERE: Final = 1 << 62
MOST_POLLS_AWAY: Final = 10
"""A longer time between two answers was not spent waiting for this packet alone."""
PacketStep = Literal["row", "rebuild", "upload", "submit", "search", "poll", "split", "closing"]


@dataclass(slots=True, eq=False)
class Packet:
    """A packet under way; *since* is when it was last submitted, *parts* how many packets take its place.

    *first* is the lowest offset of those of its records that came with the stream and not out of the ledger.

    *waited_s* is how long the target has had it without a verdict, outages not counted; *heard*: when it last said so.
    """

    name: str
    op: Op
    flights: list[Flight]
    step: PacketStep
    evidence: bool = False
    has_bytes: bool = True
    asked: bool = False
    since: float = 0.0
    heard: float = 0.0
    waited_s: float = 0.0
    parts: int = 0
    first: int = field(init=False)
    built: list[CreatePacket] = field(default_factory=list)

    def __post_init__(self) -> None:
        offsets = (flight.open.entry.offset for flight in self.flights if not flight.open.row)
        self.first = min(offsets, default=NOWHERE)

    @property
    def members(self) -> tuple[Member, ...]:
        """Its records without a verdict."""
        return tuple(member_of(flight) for flight in self.flights)


@dataclass(slots=True, eq=False)
class Build:
    """A packet whose bytes are being made, perhaps instead of another."""

    op: Op
    flights: list[Flight]
    instead_of: Packet | None


def is_no(receipt: Receipt) -> bool:
    """Whether the target refused what was sent."""
    return isinstance(receipt, RefusedWhole | TooLarge)


def code_of(receipt: Receipt) -> str:
    """The code of a refusal."""
    return receipt.code if isinstance(receipt, RefusedWhole) else TOO_LARGE


def member_of(flight: Flight) -> Member:
    """A record on its way as its packet's row keeps it."""
    return Member(flight.open.entry, flight.open.seq, flight.revokes)
