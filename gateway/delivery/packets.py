"""Packets: taken into the target's staging area at once, answered by record later.

    build ─► row 'built' ─► upload ─► submit ─► 'submitted' ─► poll … ─► verdicts ─► row 'settled'
                 │                      │ lost answer, or a former owner's packet
                 │                      ▼
                 │                   search ── not found after the settle delay ─► the same bytes again
                 └ offsets of its members may pass

A packet's row is committed before anything of it leaves.  A packet that will never be answered for some of its members
(refused whole, too large, a record to be tried again) gives way to others: its row is closed in the very write that
creates theirs, so that a member always stands in one open row.
"""

import heapq
from collections.abc import Collection, Mapping, Sequence

from gateway.delivery.effects import (
    BuildPacket,
    CreatePacket,
    ForgetPacket,
    MarkPacket,
    PacketEffect,
    Poll,
    RebuildPacket,
    Submit,
    Upload,
)
from gateway.delivery.events import PacketBuilt, PacketRebuilt, Polled, Started, Submitted, Uploaded
from gateway.delivery.flights import Flight, halved, is_success, version_of
from gateway.delivery.packet import MOST_POLLS_AWAY, Build, Packet, PacketStep, code_of, is_no, member_of
from gateway.delivery.retry import Gate
from gateway.delivery.slot import Slot
from gateway.delivery.values import NOT_PROCESSED, TOO_LARGE, UNDECODABLE, Reason
from gateway.outcomes import (
    AlreadyThere,
    Ambiguous,
    Hold,
    Landed,
    NotFound,
    Outcome,
    Pending,
    Receipt,
    RecordVersion,
    RefusedWhole,
    TooLarge,
    Unavailable,
    Verdicts,
)

_Trouble = (Unavailable, Hold, Ambiguous)


class Packets:
    """The packets of a slot."""

    def __init__(self, slot: Slot, gate: Gate) -> None:
        self._slot = slot
        self._gate = gate
        self._packets: dict[str, Packet] = {}
        self._builds: dict[int, Build] = {}
        self._last = 0
        self._due: list[tuple[float, int, str]] = []
        self._turn = 0
        self._tickets: dict[int, list[Packet]] = {}
        self.effects: list[PacketEffect] = []
        self.requests = 0

    def start(self, event: Started, now: float) -> None:
        """A former owner's packets: search first, whatever their row says."""
        for left in event.packets:
            flights = [Flight(*self._slot.carry(member), left.op, member.revokes) for member in left.members]
            step: PacketStep = "poll" if left.submitted else "search"
            packet = Packet(left.packet, left.op, flights, step, has_bytes=False, since=now, heard=now)
            # a target that answered nothing for as long before is asked for a while yet: it may have been down
            packet.waited_s = min(left.age_s, self._slot.settings.give_up_s / 2)
            self._packets[packet.name] = packet
            self._at(packet, now)

    def cut(self, now: float) -> None:
        """New packets of ready heads, and the steps that are due."""
        while self._room() > 0 and now >= self._gate.until and (lanes := self._slot.ready.take(now)):
            self._build([Flight(lane, *self._slot.depart(lane)) for lane in lanes], None)
        while self._due and self._due[0][0] <= now and self._may_ask(now):
            packet = self._packets.get(heapq.heappop(self._due)[2])
            if packet is not None and not packet.asked:
                self._ask(packet)

    def _may_ask(self, now: float) -> bool:
        return self.requests < self._slot.settings.concurrency and self._gate.is_open(now, self.requests)

    def _ask(self, packet: Packet) -> None:
        """Perform the packet's step."""
        match packet.step:
            case "upload":
                self.effects.append(Upload(packet.name))
            case "submit":
                self.effects.append(Submit(packet.name))
            case "search" | "poll":
                self.effects.append(Poll(packet.name))
            case "rebuild":
                self.effects.append(RebuildPacket(packet.name, packet.op, packet.members))
            case "split":
                self._split(packet, [packet.flights])
                return
            case "row" | "closing":
                return
        packet.asked = True
        self.requests += 1

    def _room(self) -> int:
        """How many packets may be begun; those that wait to be tried again do not keep others back."""
        fresh = sum(build.instead_of is None for build in self._builds.values())
        under_way = sum(packet.step != "split" for packet in self._packets.values())
        return self._slot.settings.packets_in_flight - under_way - fresh

    def settled(self, low_water: int) -> int:
        """Below it everything has its end at the target; a record that is tried again and again does not count."""
        under_way = (packet.first for packet in self._packets.values() if packet.step != "split")
        return min([low_water, *under_way])

    def moments(self) -> list[float | None]:
        """When the next packet or step may leave, if nothing else happens."""
        moments: list[float | None] = []
        begin = self._slot.ready.next_due()
        if begin is not None and self._room() > 0:
            moments.append(max(begin, self._gate.until))
        if self._due and self.requests < self._slot.settings.concurrency and not self._gate.is_waiting(self.requests):
            moments.append(max(self._due[0][0], self._gate.until))
        return moments

    def _at(self, packet: Packet, when: float) -> None:
        self._turn += 1
        heapq.heappush(self._due, (when, self._turn, packet.name))

    def _go(self, packet: Packet, step: PacketStep, when: float) -> None:
        packet.step = step
        self._at(packet, when)

    def _build(self, flights: list[Flight], instead_of: Packet | None) -> None:
        self._last += 1
        self._builds[self._last] = Build(flights[0].op, flights, instead_of)
        for flight in flights:
            flight.open.left = self._slot.successes
        self.effects.append(BuildPacket(self._last, flights[0].op, tuple(map(member_of, flights))))

    def built(self, event: PacketBuilt, now: float) -> None:
        """The bytes stand: write the row, in one write with the end of the packet it is built instead of."""
        build = self._builds.pop(event.build)
        flights = self._set_aside(build.flights, event.unreadable, now)
        old = build.instead_of
        if flights:
            replaces = old.name if old else None
            row = CreatePacket(event.packet, build.op, tuple(map(member_of, flights)), event.sha256, replaces)
            packet = Packet(event.packet, build.op, flights, "row", evidence=event.evidence)
            self._packets[packet.name] = packet
            if old is None:
                self._write(row, packet)
            else:
                old.built.append(row)
        if old is None:
            return
        old.parts -= 1
        if old.parts == 0:
            for row in old.built:
                self._write(row, self._packets[row.packet])
            self._close(old)

    def _write(self, change: CreatePacket | MarkPacket, packet: Packet) -> None:
        ticket = self._slot.drafts.packet(change)
        self._tickets.setdefault(ticket, []).append(packet)

    def _set_aside(self, flights: list[Flight], unreadable: Collection[int], now: float) -> list[Flight]:
        for flight in flights:
            if flight.open.entry.offset in unreadable:
                self._free(flight, Reason(UNDECODABLE), now)
        return [flight for flight in flights if flight.open.entry.offset not in unreadable]

    def _free(self, flight: Flight, reason: Reason, now: float) -> None:
        """Out of its packet and into its lane again, blocked."""
        flight.lane.busy = False
        flight.open.block(reason)
        self._slot.advance(flight.lane, now)

    def _close(self, packet: Packet) -> None:
        packet.step = "closing"
        self._packets.pop(packet.name, None)
        self._slot.drafts.packet(MarkPacket(packet.name, "settled", ()))
        self.effects.append(ForgetPacket(packet.name))

    def written(self, ticket: int, now: float) -> None:
        """Rows are committed: their members' offsets may pass, their bytes may leave."""
        for packet in self._tickets.pop(ticket, ()):
            for flight in packet.flights:
                self._slot.offsets.close(flight.open.entry.offset)
            self._go(packet, "upload" if packet.evidence else "submit", now)

    def rebuilt(self, event: PacketRebuilt, now: float) -> None:
        """The same bytes again; if they cannot be made again, another packet takes its place."""
        packet = self._returned(event.packet)
        if event.same:
            packet.has_bytes, packet.evidence = True, event.evidence
            self._go(packet, "upload" if packet.evidence else "submit", now)
        else:
            self._split(packet, [packet.flights])

    def uploaded(self, event: Uploaded, now: float) -> None:
        """Evidence stands, or keeps its record back, or is tried again."""
        packet = self._returned(event.packet)
        refused = {version: code_of(receipt) for version, receipt in event.answers.items() if is_no(receipt)}
        troubles = [receipt for receipt in event.answers.values() if isinstance(receipt, _Trouble)]
        if len(troubles) < len(event.answers):
            self._gate.answered()  # it takes files: what fails among them is no outage
        if troubles:  # one round of requests is one failure
            self._troubled(next((t for t in troubles if not isinstance(t, Ambiguous)), troubles[0]), now)
        if refused:
            self._without(packet, refused, now)
        elif troubles:
            self._go(packet, "upload", self._pause(now))
        else:
            self._gate.answered()
            self._slot.drafts.packet(MarkPacket(packet.name, "uploaded"))
            self._go(packet, "submit", now)

    def _without(self, packet: Packet, refused: dict[RecordVersion, str], now: float) -> None:
        """Some members' evidence is refused: they park, the others go in another packet."""
        others = [flight for flight in packet.flights if version_of(flight) not in refused]
        for flight in packet.flights:
            if version_of(flight) in refused:
                self._free(flight, Reason("TG-03", refused[version_of(flight)]), now)
        if others:
            self._split(packet, [others])
        else:
            self._close(packet)

    def _troubled(self, answer: Receipt | Unavailable | Hold, now: float) -> None:
        match answer:
            case Unavailable(retry_after_s=seconds):
                self._gate.unavailable(now, seconds)
            case Hold():
                self._gate.unavailable(now, None)
            case _:
                self._gate.unanswered(now)

    def _pause(self, now: float) -> float:
        settings = self._slot.settings
        return max(self._gate.until, now + settings.backoff.delay_s(1, dice=self._slot.dice()))

    def submitted(self, event: Submitted, now: float) -> None:
        """Landed is no verdict; a lost answer is searched for before anything is sent again."""
        packet = self._returned(event.packet)
        packet.since = packet.heard = now
        settings = self._slot.settings
        match event.answer:
            case Landed() | AlreadyThere():
                self._gate.answered()
                self._slot.vouch()
                self._slot.drafts.packet(MarkPacket(packet.name, "submitted"))
                self._go(packet, "poll", now + settings.poll_first_s)
            case Ambiguous():
                self._gate.unanswered(now)
                for flight in packet.flights:
                    flight.open.doubt = flight.open.doubt or not flight.revokes
                self._go(packet, "search", now + settings.poll_first_s)
            case Unavailable() | Hold():
                self._troubled(event.answer, now)
                self._go(packet, "submit", self._pause(now))
            case TooLarge():
                self._refused(packet, TOO_LARGE, now)
            case RefusedWhole(code=code):
                self._refused(packet, code, now)

    def _refused(self, packet: Packet, code: str, now: float) -> None:
        """The packet as one: halve it, or its only record is refused."""
        flights = packet.flights
        halved(self._slot, self._gate, flights, code, now)
        if len(flights) > 1:
            middle = len(flights) // 2
            self._split(packet, [flights[:middle], flights[middle:]])
        elif flights[0].open.reasons:
            self._close(packet)
            flights[0].lane.busy = False
            self._slot.advance(flights[0].lane, now)
        else:
            self._go(packet, "split", max(self._gate.until, flights[0].open.not_before))

    def _split(self, packet: Packet, parts: Sequence[list[Flight]]) -> None:
        packet.step = "closing"
        packet.parts = len(parts)
        for part in parts:
            self._build(part, packet)

    def polled(self, event: Polled, now: float) -> None:
        """Wait on, send again, or judge."""
        packet = self._returned(event.packet)
        settings = self._slot.settings
        match event.answer:
            case Pending():
                self._gate.answered()
                if not self._given_up(packet, now):
                    self._go(packet, "poll", now + settings.poll_every_s)
            case NotFound():
                self._gate.answered()
                if not self._given_up(packet, now):
                    self._missing(packet, now)
            case Verdicts(answers=answers):
                self._gate.answered()
                self._judge(packet, answers, now)
            case Unavailable() | Hold():
                packet.heard = now
                self._troubled(event.answer, now)
                self._go(packet, packet.step, self._pause(now))
            case RefusedWhole(code=code):
                self._refused(packet, code, now)

    def _given_up(self, packet: Packet, now: float) -> bool:
        """Whether the target has had the packet for so long that it will hardly decide: its records park, in doubt.

        Time in which it was not asked does not count: it was closed, or asked for patience.
        """
        packet.waited_s += min(now - packet.heard, MOST_POLLS_AWAY * self._slot.settings.poll_every_s)
        packet.heard = now
        if packet.waited_s < self._slot.settings.give_up_s:
            return False
        flights, packet.flights = packet.flights, []
        for flight in flights:
            flight.open.doubt = flight.open.doubt or not flight.revokes
            self._free(flight, Reason(NOT_PROCESSED), now)
        self._close(packet)
        return True

    def _missing(self, packet: Packet, now: float) -> None:
        """The search is late at first; after the settle delay the packet is not there."""
        if now < packet.since + self._slot.settings.settle_s:
            self._go(packet, packet.step, now + self._slot.settings.poll_every_s)
        elif packet.has_bytes:
            self._go(packet, "upload" if packet.evidence else "submit", now)
        else:
            self._go(packet, "rebuild", now)

    def _judge(self, packet: Packet, answers: Mapping[RecordVersion, Outcome | Pending], now: float) -> None:
        """Settle what is decided; what is not waits here while one record is pending, and is then split off."""
        said: list[tuple[Flight, Outcome]] = []
        waiting: list[Flight] = []
        for flight in packet.flights:
            outcome = answers.get(version_of(flight), Ambiguous("missing"))
            if isinstance(outcome, Pending):
                waiting.append(flight)
            else:
                said.append((flight, outcome))
        self._slot.succeeded(sum(is_success(outcome) for _, outcome in said))
        if waiting:
            self._wait_on(packet, said, now)
        else:
            self._judge_last(packet, said, now)

    def _wait_on(self, packet: Packet, said: list[tuple[Flight, Outcome]], now: float) -> None:
        """The target has not decided about all of it: what is undecided stays in the packet and is asked for again."""
        decided = [(flight, outcome) for flight, outcome in said if is_success(outcome)]
        gone = {version_of(flight) for flight, _ in decided}
        for flight, outcome in decided:
            self._conclude(packet, flight, outcome, now)
        if decided:
            packet.flights = [flight for flight in packet.flights if version_of(flight) not in gone]
            self._slot.drafts.packet(MarkPacket(packet.name, "submitted", packet.members))
        if not self._given_up(packet, now):
            self._go(packet, "poll", now + self._slot.settings.poll_every_s)

    def _conclude(self, packet: Packet, flight: Flight, outcome: Outcome, now: float) -> None:
        if flight.revokes:
            self._slot.revoked(flight.lane, flight.revokes, outcome, now)
        else:
            self._slot.conclude(flight.lane, flight.op, outcome, now, packet.name)

    def _judge_last(self, packet: Packet, said: list[tuple[Flight, Outcome]], now: float) -> None:
        left: list[Flight] = []
        for flight, outcome in said:
            if isinstance(outcome, Unavailable | Ambiguous):
                flight.open.doubt = flight.open.doubt or (isinstance(outcome, Ambiguous) and not flight.revokes)
                self._slot.failed(flight.open, now, None, answered=True)
                if not flight.open.reasons:
                    left.append(flight)
                    continue
                flight.lane.busy = False
                self._slot.advance(flight.lane, now)
            else:
                self._conclude(packet, flight, outcome, now)
        if not left:
            self._close(packet)
            return
        packet.flights = left
        self._slot.drafts.packet(MarkPacket(packet.name, "submitted", packet.members))
        self._go(packet, "split", max(flight.open.not_before for flight in left))

    def _returned(self, name: str) -> Packet:
        packet = self._packets[name]
        packet.asked = False
        self.requests -= 1
        return packet
