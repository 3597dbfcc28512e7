"""What one transaction of identity writes, collected from the decisions: records, receipts, ledger rows.

stream step   parked rows and the rows they replace go to the ledger before the Kafka commit
retried row   the ledger follows the Kafka commit: close, or park again under the new reason
"""

from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from gateway.edges.identity_rows import Aftermath, Closing, Parking, Published, Repark
from gateway.edges.kafka import Output
from gateway.edges.kafka_types import Record
from gateway.identity.plan import End, Held, Out, Row, Step
from gateway.identity.verdicts import Confirmed
from gateway.identity.versions import Head
from gateway.record import State
from gateway.workers.identity_records import Fate, Item, national, opened, quarantined, receipt

RELEASED: Final = "released"


@dataclass(slots=True)
class Draft:
    """One transaction in the making; *at_ms* is the time its receipts bear."""

    slot: int
    slots: int
    at_ms: int
    records: list[Output] = field(default_factory=list)
    versions: list[tuple[Item, int]] = field(default_factory=list)
    receipts: list[Output] = field(default_factory=list)
    parkings: dict[int, Parking] = field(default_factory=dict)
    replaced: list[Closing] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    reparks: list[Repark] = field(default_factory=list)

    @property
    def outputs(self) -> list[Output]:
        """All records of the transaction."""
        return [*self.records, *self.receipts]

    def streamed(self, step: Step, item: Item) -> None:
        """An event of the stream was decided."""
        match step.outcome:
            case Out(version, verdict):
                self._publish(item, version, verdict)
            case End(state):
                self._tell(item.head, state, item.event.seq)
            case Held(state, problems, row):
                self.parkings[row.offset] = item.parking(row, state, problems[0])
                self.receipts.append(
                    receipt(item.head, Fate(state, row.seq, problems), slots=self.slots, at_ms=self.at_ms)
                )
            case _ as never:
                assert_never(never)

    def unread(self, parking: Parking | None, record: Record) -> None:
        """Bytes of the stream could not be read: parked if their headers tell whose they are, else kept whole."""
        if parking is None:
            self.receipts.append(quarantined(record))
            return
        self.parkings[parking.row.offset] = parking
        head, _ = opened(parking.value)
        fate = Fate(parking.state, 1, (parking.problem,))
        self.receipts.append(receipt(head, fate, slots=self.slots, at_ms=self.at_ms))

    def replace(self, row: Row, item: Item, by: int) -> None:
        """The version at offset *by* of the stream took the place of *row*."""
        if self.parkings.pop(row.offset, None) is None:
            self.replaced.append(Closing(row.offset, State.SUPERSEDED, by))
        self._tell(item.head, State.SUPERSEDED, row.seq + 1)

    def retried(self, step: Step, row: Row, item: Item) -> str:
        """*row* was decided again; a word for what came of it."""
        match step.outcome:
            case Out(version, verdict):
                self._publish(item, version, verdict)
                self.closings.append(Closing(row.offset, RELEASED))
                return RELEASED
            case End(state):
                self.end(row, item.head, state)
                return state or RELEASED
            case Held(state, problems, held):
                if held.code != row.code:
                    self.reparks.append(Repark(row.offset, state, problems[0], held.seq, held.claim_hash))
                    fate = Fate(state, held.seq, problems)
                    self.receipts.append(receipt(item.head, fate, slots=self.slots, at_ms=self.at_ms))
                return f"{state} {held.code}"
            case _ as never:
                assert_never(never)

    def moved(self, row: Row, anew: Output) -> str:
        """*row* goes on under another pupil code; a word for what came of it."""
        self.receipts.append(anew)
        self.closings.append(Closing(row.offset, RELEASED))
        return "addressed anew"

    def end(self, row: Row, head: dict[str, Any], state: State | None) -> None:
        """*row* ends in *state*; None where its event was published before."""
        self.closings.append(Closing(row.offset, state or RELEASED))
        self._tell(head, state, row.seq + 1)

    def aftermath(self, next_offset: int | None, orders: list[tuple[int, str, str]]) -> Aftermath:
        """What the ledger learns once Kafka has committed; *next_offset* follows the last record written."""
        first = (next_offset or 0) - len(self.records)
        heads = [
            Published(item.event.record_id, item.event.lane, Head(version, item.event.entry), first + number)
            for number, (item, version) in enumerate(self.versions)
        ]
        return Aftermath(heads, next_offset, self.closings, self.reparks, orders)

    def _publish(self, item: Item, version: int, verdict: Confirmed | None) -> None:
        self.records.append(national(item, version, verdict, self.slot))
        self.versions.append((item, version))

    def _tell(self, head: dict[str, Any], state: State | None, seq: int) -> None:
        if state is not None:
            self.receipts.append(receipt(head, Fate(state, seq), slots=self.slots, at_ms=self.at_ms))
