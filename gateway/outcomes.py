"""What a target answered, as values that the delivery machine and the edges share.

The rule: whoever reads an answer sorts it once into one of these classes, and nobody looks at a status code again.
Three questions tell the classes apart:

    was it refused?             Refused, RefusedWhole                  the record parks (a batch is bisected first)
    may it have taken effect?   Accepted, Duplicate, Stale, Ambiguous  Ambiguous is settled under its stored key
    or was it not taken?        Unavailable, TooLarge, Hold            again later, smaller, or when it is mended

`Hold` and `Unavailable` never cost a record an attempt (design, rule 1: an outage holds, a bad record parks).
No class carries a name, an ID or a value of a record: codes and reasons only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gateway.record import Op

Category = Literal["school", "identity", "certificate", "upstream", "duplicate"]
HoldReason = Literal["auth", "denied", "tls", "dns", "outage", "contract"]
RecordVersion = tuple[str, int]
"""(record id, national version): how a target's answers are told apart."""

CODE_OF_CATEGORY: Mapping[Category, str] = {
    "school": "TG-02",
    "identity": "TG-01",
    "certificate": "TG-03",
    "upstream": "TG-04",
    "duplicate": "TG-01",
}
"""The error catalogue's code for a refusal of each category; the catalogue names its owner and its fix."""

CODE_OF_HOLD: Mapping[HoldReason, str] = {
    "auth": "TG-08",
    "denied": "TG-09",
    "tls": "TG-10",
    "dns": "TG-11",
    "outage": "TG-12",
    "contract": "TG-13",
}
"""The error catalogue's code for each reason of a hold: nothing is parked for it, an operator is told."""


@dataclass(frozen=True, slots=True)
class Send:
    """One version of one record on its way to a target; `op` was decided from the ledger, never by the vendor."""

    record_id: str
    version: int
    op: Op
    key: str
    payload: bytes = field(repr=False)
    """A JSON object, not empty (national.payload)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The target applied it."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The target had applied exactly this before: an earlier answer of it was lost."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The target holds a higher version."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The target says no to this record; `others` are further (code, category) pairs of the same answer."""

    code: str
    category: Category
    others: tuple[tuple[str, Category], ...] = ()


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The target did not take it and may take it later; `reason` is a word for logs."""

    retry_after_s: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It was sent and no answer says what became of it."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The whole batch is above a limit of the target: halve it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing was taken and nothing will be until somebody or something outside changes: stop, keep the lag, probe."""

    reason: HoldReason


@dataclass(frozen=True, slots=True)
class RefusedWhole:
    """The target refused the batch or packet as one, without naming a record: bisect it."""

    code: str


Outcome = Accepted | Duplicate | Stale | Refused | Unavailable | Ambiguous
Whole = TooLarge | Unavailable | Hold | RefusedWhole | Ambiguous


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """Either one outcome for every record of the batch, or `whole`, and then `answers` is empty.

    `slow_down_s` asks the sender to send nothing at all to this target for so long.
    """

    answers: Mapping[RecordVersion, Outcome]
    slow_down_s: float | None = None
    whole: Whole | None = None


@dataclass(frozen=True, slots=True)
class Landed:
    """A packet or an evidence file is in the target's staging area; nothing is decided yet."""


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """The key was used before: after a lost answer that means landed, to be verified by its results."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The packet (or one record of it) is known, not yet answered; `step` is the target's own word for where it is."""

    step: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The target's search knows no such packet; its index may be late: wait the settle delay before sending again."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The packet's answer by record; a record of the packet that is missing here was not answered.

    A record that is `Pending` is still being decided in this packet: it must not go into another one.
    """

    answers: Mapping[RecordVersion, Outcome | Pending]


Receipt = Landed | AlreadyThere | Whole
PollAnswer = Pending | NotFound | Verdicts | Unavailable | Hold | RefusedWhole


class ImmediateTarget(Protocol):
    """A target that answers each record of a batch at once."""

    async def send(self, batch: Sequence[Send]) -> BatchAnswer:
        """Send *batch* in one request. Never raises for what a network or a target may do."""
        ...


class VersionQuery(Protocol):
    """A target that knows no repeated send by itself, and is asked before one."""

    async def held(self, record_ids: Sequence[str]) -> "Mapping[str, int] | Unavailable | Hold":
        """The highest version that the target applied of each record it knows. Reading only."""
        ...


class PacketTarget(Protocol):
    """A target that takes packets into a staging area and answers them later."""

    async def upload(self, evidence_key: str, sha256: str, content: bytes) -> Receipt:
        """Upload signed bytes under the caller's own GUID; *sha256* (hex) is checked before sending."""
        ...

    async def submit(self, packet_key: str, purpose: str, body: bytes) -> Receipt:
        """Send the packet *body* (see `encode_packet`) under the caller's own GUID."""
        ...

    async def results(self, packet_key: str) -> PollAnswer:
        """Ask what became of a packet. Reading only, so a lost answer is `Unavailable`."""
        ...
