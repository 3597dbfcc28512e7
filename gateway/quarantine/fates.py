"""What became of an event at a target: which of its receipts counts, and which reason is shown.

Four rules, the same in the ledger's statement (edges/tower_ledger.py) and here:

    the higher (stage rank, seq) wins      intake 0, identity 1, delivery 2; seq rises inside a stage
    of two equal ones the later wins       a crash may leave a decision told and not kept, and it is made anew
    a final state is never overwritten     not even by a higher one
    target null means every target

so that redelivery, in any number, leaves the same states and the same tallies.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from gateway.record import FINAL_STATES, Position, State

RANKS: Final[Mapping[str, int]] = {"intake": 0, "identity": 1, "delivery": 2}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a state is not a plain success: code, field and whose turn it is; empty strings where there is nothing."""

    code: str = ""
    field: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Fate:
    """The state of one event at one target as one receipt tells it."""

    event_id: str
    target: str
    vendor: str
    record_id: str | None
    vendor_ref: str | None
    vendor_event_id: str | None
    state: State
    rank: int
    seq: int
    version: int | None
    reason: Reason
    source: Position
    source_index: int
    month: date
    at: datetime

    @property
    def place(self) -> tuple[int, int, datetime]:
        """Its place in the event's history: (stage rank, seq, when it was decided)."""
        return self.rank, self.seq, self.at

    @property
    def final(self) -> bool:
        """Whether nothing may come after it."""
        return self.state in FINAL_STATES


def leading_reason(problems: Iterable[Mapping[str, Any]]) -> Reason:
    """The first problem that rejects or parks; a warning is no reason for a state."""
    for problem in problems:
        if problem["severity"] != "warn":
            return Reason(problem["code"], problem["field"], problem["owner"])
    return Reason()


def fates(receipt: Mapping[str, Any], targets: Sequence[str]) -> list[Fate]:
    """The fate at each target that *receipt* (as ``codec.decode_receipt`` gives it) speaks of.

    Raises ValueError for a stage or state that does not exist.
    """
    source = receipt["source"]
    rank = RANKS.get(receipt["stage"])
    if rank is None:
        message = "a receipt names an unknown stage"
        raise ValueError(message)
    told = Fate(
        event_id=receipt["event_id"],
        target="",
        vendor=receipt["vendor"],
        record_id=receipt["record_id"],
        vendor_ref=receipt["vendor_ref"],
        vendor_event_id=receipt["vendor_event_id"],
        state=State(receipt["state"]),
        rank=rank,
        seq=receipt["seq"],
        version=receipt["version"],
        reason=leading_reason(receipt["problems"]),
        source=Position(source["topic"], source["partition"], source["offset"]),
        source_index=source["index"],
        month=instant(source["timestamp"]).date().replace(day=1),
        at=instant(receipt["at"]),
    )
    named = receipt["target"]
    return [replace(told, target=target) for target in (targets if named is None else (named,))]


def instant(milliseconds: int) -> datetime:
    """Kafka's and Avro's milliseconds as an instant in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def rounds(told: Iterable[Fate]) -> list[list[Fate]]:
    """*told*, in the order of the log, as the fewest statements that leave what one after the other would leave.

    Inside a round every (event, target) stands once.  Of a chain of rising places only each final one and the last
    can show: whatever stands before a final one is either replaced by it or, like it, too low.  So there is one
    round, and a second only if something was written after an end state.
    """
    chains: dict[tuple[str, str], list[Fate]] = {}
    for fate in told:
        chain = chains.setdefault((fate.event_id, fate.target), [])
        if not chain or fate.place > chain[-1].place:
            chain.append(fate)
    result: list[list[Fate]] = []
    for key in sorted(chains):
        chain = chains[key]
        shown = [fate for fate in chain[:-1] if fate.final] + chain[-1:]
        for number, fate in enumerate(shown):
            if number == len(result):
                result.append([])
            result[number].append(fate)
    return result
