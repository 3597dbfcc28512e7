"""A packet that is answered in parts: what is decided is settled, what is pending stays in this packet and no other."""

from collections.abc import Mapping

from gateway.delivery.effects import BuildPacket, CreatePacket, Effect, MarkPacket, Poll, Write
from gateway.delivery.events import PacketBuilt, Polled, Received, Started, Submitted, Woke, Written
from gateway.delivery.machine import Machine
from gateway.delivery.retry import Backoff
from gateway.delivery.values import Settings
from gateway.outcomes import Accepted, Landed, Outcome, Pending, Verdicts
from tests.unit.delivery.test_delivery_rules import entry

Said = Mapping[tuple[str, int], Outcome | Pending]


class Portal:
    """One packet of three pupils, landed and being asked for."""

    def __init__(self) -> None:
        self.machine = Machine(Settings(Backoff(1.0, 60.0), packets=True, batch_age_s=0.0), lambda: 0.5)
        self.now = 0.0
        self.effects: list[Effect] = []
        self.hear(Started())
        self.hear(Received([entry(0, "a1"), entry(1, "b1"), entry(2, "c1")], {}, 3))
        self.hear(PacketBuilt(1, "packet", b"", evidence=False))
        self.hear(Submitted("packet", Landed()))

    def hear(self, event: Started | Received | PacketBuilt | Submitted | Polled | Woke | Written) -> None:
        for effect in self.machine.handle(event, self.now):
            self.effects.append(effect)
            if isinstance(effect, Write):
                self.hear(Written(effect.ticket))

    def poll(self, said: Said) -> None:
        """Let the next question be asked and answered."""
        asked = self.count(Poll)
        while self.count(Poll) == asked:
            assert self.now < 60.0, "the packet is not asked for any more"
            self.now += 0.5
            self.hear(Woke())
        self.hear(Polled("packet", Verdicts(said)))

    def count(self, kind: type[object]) -> int:
        return sum(isinstance(effect, kind) for effect in self.effects)

    def rows(self) -> list[CreatePacket | MarkPacket]:
        return [change for write in self.effects if isinstance(write, Write) for change in write.packets]

    def settled(self) -> list[str]:
        return [s.entry.record_id for write in self.effects if isinstance(write, Write) for s in write.settles]


def test_a_pending_record_stays_in_its_packet_with_those_not_answered() -> None:
    portal = Portal()
    portal.poll({("a1", 1): Accepted(), ("b1", 1): Pending("00")})

    assert portal.settled() == ["a1"]
    last = portal.rows()[-1]
    assert isinstance(last, MarkPacket)
    assert last.step == "submitted"
    assert [member.entry.record_id for member in last.members or ()] == ["b1", "c1"]

    portal.poll({("a1", 1): Accepted(), ("b1", 1): Pending("00")})
    assert portal.settled() == ["a1"]
    assert portal.count(BuildPacket) == 1


def test_only_what_is_absent_when_nothing_is_pending_goes_into_another_packet() -> None:
    portal = Portal()
    portal.poll({("a1", 1): Accepted(), ("b1", 1): Pending("00")})
    portal.poll({("a1", 1): Accepted(), ("b1", 1): Accepted()})
    portal.now += 100.0
    portal.hear(Woke())

    builds = [effect for effect in portal.effects if isinstance(effect, BuildPacket)]
    assert portal.settled() == ["a1", "b1"]
    assert [[member.entry.record_id for member in build.members] for build in builds] == [["a1", "b1", "c1"], ["c1"]]
