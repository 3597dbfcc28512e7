"""The delivery ledger in memory, with the promises the real one keeps, checked at every write.

A final state is written once; the receipts' numbers of one event rise; a parked row is closed by its end state.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.delivery.effects import CreatePacket, MarkPacket, Park, Revoke, Settle, Write
from gateway.delivery.events import Started
from gateway.delivery.lanes import is_released
from gateway.delivery.values import BEHIND, Entry, Known, Member, OpenPacket, ParkedRow, Sent
from gateway.record import Op, State

Version = tuple[str, int]


@dataclass
class FakeLedger:
    horizon: int = 0
    settled: dict[Version, Settle] = field(default_factory=dict)
    rows: dict[int, ParkedRow] = field(default_factory=dict)
    packets: dict[str, OpenPacket] = field(default_factory=dict)
    seqs: dict[Version, int] = field(default_factory=dict)
    orders: dict[int, tuple[bool, str]] = field(default_factory=dict)
    revoked: dict[str, Revoke] = field(default_factory=dict)
    attempts: dict[tuple[str, int, int], str] = field(default_factory=dict)
    alarm: str = ""
    writes: int = 0

    def commit(self, write: Write) -> None:
        self.writes += 1
        if write.horizon is not None:
            self.horizon = max(self.horizon, write.horizon)
        self.alarm = self.alarm if write.alarm is None else write.alarm
        for arm in write.arms:
            row = self.rows[arm.offset]
            self.rows[arm.offset] = ParkedRow(row.entry, row.reason, row.seq, arm.sent)
        for park in write.parks:
            self._park(park)
        self._steps(write)
        for settle in write.settles:
            self._settle(settle)
        for order in write.orders:
            assert order.order not in self.orders
            if order.outcome == "released":
                assert any(arm.sent in {"released", "again"} for arm in write.arms), "a release outlives its owner"
            self.orders[order.order] = (order.done, order.outcome)
        for change in write.packets:
            self._packet(change)

    def _park(self, park: Park) -> None:
        version = (park.entry.record_id, park.entry.version)
        assert version not in self.settled, "a settled record is never parked"
        self._rises(version, park.seq)
        sent: Sent = "again" if park.step else "maybe" if park.doubt else "no"
        self.rows[park.entry.offset] = ParkedRow(park.entry, park.reasons[0], park.seq, sent)

    def _steps(self, write: Write) -> None:
        for tried in write.tried:
            assert 1 <= tried.number <= 20
            self.attempts[tried.entry.record_id, tried.entry.version, tried.number] = tried.outcome
        for revoke in write.revokes:
            self._revoke(revoke)

    def _revoke(self, revoke: Revoke) -> None:
        held = self.settled[revoke.entry.record_id, revoke.revokes]
        assert held.state is State.ACCEPTED, "only what is in force is revoked"
        assert held.op is not Op.CANCEL, "only what is in force is revoked"
        known = self.revoked.get(revoke.entry.record_id)
        if known is None or known.revokes < revoke.revokes:
            self.revoked[revoke.entry.record_id] = revoke

    def _settle(self, settle: Settle) -> None:
        version = (settle.entry.record_id, settle.entry.version)
        assert version not in self.settled, "an end state is written once"
        self._rises(version, settle.seq)
        row = self.rows.pop(settle.entry.offset, None)
        assert settle.row == (row is not None), "a parked row is closed by its end state"
        self.settled[version] = settle

    def _rises(self, version: Version, seq: int) -> None:
        assert seq > self.seqs.get(version, 0), "receipts of one event rise"
        self.seqs[version] = seq

    def _packet(self, change: CreatePacket | MarkPacket) -> None:
        match change:
            case CreatePacket():
                assert change.packet not in self.packets
                self.packets[change.packet] = OpenPacket(change.packet, change.op, change.members, submitted=False)
            case MarkPacket(step="settled"):
                del self.packets[change.packet]
            case MarkPacket():
                old = self.packets[change.packet]
                members = old.members if change.members is None else change.members
                submitted = old.submitted or change.step == "submitted"
                self.packets[change.packet] = OpenPacket(change.packet, old.op, members, submitted)

    def known(self, records: Iterable[str]) -> dict[str, Known]:
        wanted = set(records)
        found: dict[str, list[Settle]] = {}
        for (record_id, _), settle in self.settled.items():
            if record_id in wanted:
                found.setdefault(record_id, []).append(settle)
        return {record_id: self._known(record_id, settles) for record_id, settles in found.items()}

    def _known(self, record_id: str, settles: list[Settle]) -> Known:
        accepted = [(s.entry.version, s.op) for s in settles if s.state is State.ACCEPTED]
        held: tuple[int, Op | None] = max(accepted, default=(0, None), key=lambda pair: pair[0])
        maybe = max((s.entry.version for s in settles if s.doubt), default=0)
        gone = self.revoked.get(record_id)
        finals = frozenset(s.entry.version for s in settles)
        return Known(finals, held[0], held[1], maybe, gone.revokes if gone else 0)

    def lane(self, lane: int) -> list[ParkedRow]:
        return [row for row in self.rows.values() if row.entry.lane == lane]

    def started(self) -> Started:
        lanes = {row.entry.lane for row in self.rows.values()}
        blocked = {row.entry.lane for row in self.rows.values() if row.reason.code != BEHIND}
        armed = {row.entry.lane for row in self.rows.values() if is_released(row)}
        packets = [self._open(packet) for packet in self.packets.values()]
        return Started(self.horizon, lanes, (lanes - blocked) | armed, [p for p in packets if p.members])

    def _open(self, packet: OpenPacket) -> OpenPacket:
        """Without the members that were judged before the packet's row could say so."""
        members = tuple(member for member in packet.members if not self._judged(member))
        return OpenPacket(packet.packet, packet.op, members, packet.submitted)

    def _judged(self, member: Member) -> bool:
        row = self.rows.get(member.entry.offset)
        settled = (member.entry.record_id, member.entry.version) in self.settled
        return settled or (row is not None and row.seq > member.seq)

    def is_safe(self, entry: Entry) -> bool:
        """Whether Kafka may forget the record."""
        in_packet = any(
            member.entry.offset == entry.offset for packet in self.packets.values() for member in packet.members
        )
        return (entry.record_id, entry.version) in self.settled or entry.offset in self.rows or in_packet
