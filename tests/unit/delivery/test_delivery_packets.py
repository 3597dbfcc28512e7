"""Packets, one rule a test: the row before the POST, the same GUID again, verdicts, and what replaces what."""

from gateway.delivery.effects import (
    BuildPacket,
    Commit,
    CreatePacket,
    Effect,
    LoadLane,
    MarkPacket,
    Poll,
    RebuildPacket,
    Submit,
    Upload,
    WakeAt,
    Write,
)
from gateway.delivery.events import (
    Event,
    LaneLoaded,
    PacketBuilt,
    PacketRebuilt,
    Polled,
    Received,
    Started,
    Submitted,
    Uploaded,
    Woke,
    Written,
)
from gateway.delivery.machine import Machine
from gateway.delivery.retry import Backoff
from gateway.delivery.values import Entry, Known, Member, OpenPacket, ParkedRow, Settings
from gateway.outcomes import (
    Accepted,
    AlreadyThere,
    Ambiguous,
    Landed,
    NotFound,
    Outcome,
    Pending,
    Refused,
    RefusedWhole,
    TooLarge,
    Unavailable,
    Verdicts,
)
from gateway.record import Op, State


def entry(offset: int, name: str, version: int = 1, op: Op = Op.NEW) -> Entry:
    """A record; *name* ``a1`` is record 1 of pupil a."""
    return Entry(offset, name, f"event-{offset}", version, op, ord(name[0]), "00" * 32, "mau", 2024, 1000)


class Portal:
    """A machine whose packets are built and written at once; steps are answered by the test."""

    def __init__(self, started: Started | None = None, *, evidence: bool = False, **settings: object) -> None:
        base = {"packets": True, "batch_age_s": 0.0, "poll_first_s": 1.0, "poll_every_s": 1.0, "settle_s": 3.0}
        self.machine = Machine(Settings(Backoff(1.0, 8.0), **(base | settings)), lambda: 0.5)  # type: ignore[arg-type]
        self.evidence = evidence
        self.commits = True
        self.now = 0.0
        self.effects: list[Effect] = []
        self.hear(started or Started())

    def hear(self, event: Event) -> None:
        for effect in self.machine.handle(event, self.now):
            self.effects.append(effect)
            match effect:
                case Write() if self.commits:
                    self.hear(Written(effect.ticket))
                case BuildPacket():
                    name = f"p{effect.build}"
                    self.hear(PacketBuilt(effect.build, name, b"hash", self.evidence))
                case _:
                    pass

    def receive(self, *entries: Entry, known: dict[str, Known] | None = None) -> None:
        self.hear(Received(entries, known or {}, entries[-1].offset + 1))

    def loaded(self, rows: list[ParkedRow], known: dict[str, Known]) -> None:
        """The parked rows of the lane asked for last."""
        lane = next(effect.lane for effect in reversed(self.effects) if isinstance(effect, LoadLane))
        self.hear(LaneLoaded(lane, rows, known))

    def wake(self) -> None:
        self.now = next(effect.at for effect in reversed(self.effects) if isinstance(effect, WakeAt))
        self.hear(Woke())

    def verdicts(self, packet: str, said: dict[str, Outcome], version: int = 1) -> None:
        self.hear(Polled(packet, Verdicts({(name, version): outcome for name, outcome in said.items()})))

    def steps(self) -> list[str]:
        """Give the requests so far, such as ``submit p1``."""
        asked = [effect for effect in self.effects if isinstance(effect, Upload | Submit | Poll | RebuildPacket)]
        return [f"{type(effect).__name__.lower()} {effect.packet}" for effect in asked]

    def changes(self) -> list[CreatePacket | MarkPacket]:
        return [change for effect in self.effects if isinstance(effect, Write) for change in effect.packets]

    def settled(self) -> dict[str, State]:
        writes = [effect for effect in self.effects if isinstance(effect, Write)]
        return {settle.entry.record_id: settle.state for write in writes for settle in write.settles}

    def parked(self) -> list[tuple[str, str]]:
        writes = [effect for effect in self.effects if isinstance(effect, Write)]
        return [(park.entry.record_id, park.reasons[0].code) for write in writes for park in write.parks]

    def committed(self) -> int:
        return max((effect.offset for effect in self.effects if isinstance(effect, Commit)), default=-1)


def test_the_row_precedes_the_post_and_lets_the_offset_pass() -> None:
    portal = Portal()
    portal.commits = False
    portal.receive(entry(0, "a1"), entry(1, "b1"))

    assert portal.steps() == []
    assert portal.committed() == 0
    portal.hear(Written(1))
    assert portal.steps() == ["submit p1"]
    assert portal.committed() == 2


def test_a_packet_has_one_purpose() -> None:
    portal = Portal()
    portal.receive(entry(0, "a1"), entry(1, "b1", 2), known={"b1": Known(frozenset({1}), 1, Op.NEW)})

    created = [(change.op, len(change.members)) for change in portal.changes() if isinstance(change, CreatePacket)]
    assert created == [(Op.NEW, 1), (Op.UPDATE, 1)]


def test_landed_is_no_verdict() -> None:
    portal = Portal()
    portal.receive(entry(0, "a1"), entry(1, "b1"))
    portal.hear(Submitted("p1", Landed()))
    portal.wake()
    portal.hear(Polled("p1", Pending("01")))
    portal.wake()

    assert portal.settled() == {}
    portal.verdicts("p1", {"a1": Accepted(), "b1": Refused("MAU-L07", "school")})
    assert portal.settled() == {"a1": State.ACCEPTED}
    assert portal.parked() == [("b1", "TG-02")]
    assert portal.changes()[-1] == MarkPacket("p1", "settled", ())


def test_a_lost_answer_is_searched_for_and_the_same_packet_goes_again_only_after_the_settle_delay() -> None:
    portal = Portal()
    portal.receive(entry(0, "a1"))
    portal.hear(Submitted("p1", Ambiguous("time-out")))
    while portal.steps().count("submit p1") == 1:
        portal.wake()
        if portal.steps()[-1] == "poll p1" and portal.steps().count("submit p1") == 1:
            portal.hear(Polled("p1", NotFound()))

    assert portal.now >= 3.0
    assert set(portal.steps()) == {"submit p1", "poll p1"}
    portal.hear(Submitted("p1", AlreadyThere()))
    portal.wake()
    portal.verdicts("p1", {"a1": Accepted()})
    assert portal.settled() == {"a1": State.ACCEPTED}


def test_a_former_owners_packet_is_searched_before_anything_is_sent_again() -> None:
    left = OpenPacket("old", Op.NEW, [Member(entry(0, "a1"))], submitted=False)
    portal = Portal(Started(packets=[left]))
    portal.receive(entry(0, "a1"), entry(1, "a1", 2))

    assert portal.steps() == ["poll old"]
    portal.verdicts("old", {"a1": Accepted()})
    assert portal.settled() == {"a1": State.ACCEPTED}
    assert portal.steps()[-1] == "submit p1"  # the newer version follows, in a packet of its own


def test_a_former_owners_packet_that_is_not_there_goes_again_unchanged() -> None:
    left = OpenPacket("old", Op.NEW, [Member(entry(0, "a1"))], submitted=False)
    portal = Portal(Started(packets=[left]))
    while "rebuild" not in portal.steps()[-1]:
        portal.hear(Polled("old", NotFound()))
        if "rebuild" not in portal.steps()[-1]:
            portal.wake()
    portal.hear(PacketRebuilt("old", same=True, evidence=False))

    assert portal.now >= 3.0
    assert portal.steps()[-1] == "submit old"


def test_bytes_that_cannot_be_made_again_give_way_to_another_packet_in_one_write() -> None:
    left = OpenPacket("old", Op.NEW, [Member(entry(0, "a1"))], submitted=False)
    portal = Portal(Started(packets=[left]), settle_s=0.0)
    portal.hear(Polled("old", NotFound()))
    portal.hear(PacketRebuilt("old", same=False, evidence=False))

    write = next(effect for effect in portal.effects if isinstance(effect, Write) and effect.packets)
    assert [type(change) for change in write.packets] == [CreatePacket, MarkPacket]
    created = write.packets[0]
    assert isinstance(created, CreatePacket)
    assert (created.replaces, portal.steps()[-1]) == ("old", "submit p1")


def test_a_packet_refused_whole_is_halved_until_the_culprit_stands_alone() -> None:
    portal = Portal()
    portal.receive(*(entry(place, f"{name}1") for place, name in enumerate("abcd")))
    answered: set[str] = set()
    while todo := [step.split()[1] for step in portal.steps() if step.startswith("submit") and step not in answered]:
        answered.add(f"submit {todo[0]}")
        created = next(c for c in portal.changes() if isinstance(c, CreatePacket) and c.packet == todo[0])
        guilty = any(member.entry.record_id == "c1" for member in created.members)
        portal.hear(Submitted(todo[0], RefusedWhole("HTTP-400") if guilty else Landed()))

    assert portal.parked() == [("c1", "TG-01")]
    assert portal.committed() == 4


def test_a_packet_that_is_too_large_is_halved() -> None:
    portal = Portal()
    portal.receive(*(entry(place, f"{name}1") for place, name in enumerate("abcd")))
    portal.hear(Submitted("p1", TooLarge()))

    created = [(c.replaces, len(c.members)) for c in portal.changes() if isinstance(c, CreatePacket)]
    assert created == [(None, 4), ("p1", 2), ("p1", 2)]


def test_a_record_without_a_verdict_goes_in_another_packet_and_stands_in_one_open_row_always() -> None:
    portal = Portal()
    portal.receive(entry(0, "a1"), entry(1, "b1"))
    portal.hear(Submitted("p1", Landed()))
    portal.wake()
    portal.verdicts("p1", {"a1": Accepted()})
    assert portal.changes()[-1] == MarkPacket("p1", "submitted", (Member(entry(1, "b1")),))

    portal.wake()
    last = [effect for effect in portal.effects if isinstance(effect, Write)][-1]
    assert [type(change) for change in last.packets] == [CreatePacket, MarkPacket]
    assert portal.steps()[-1] == "submit p2"


def test_evidence_is_uploaded_first_and_a_refused_file_keeps_only_its_record_back() -> None:
    portal = Portal(evidence=True)
    portal.receive(entry(0, "a1"), entry(1, "b1"))

    assert portal.steps() == ["upload p1"]
    portal.hear(Uploaded("p1", {("a1", 1): RefusedWhole("EVIDENCE-HASH"), ("b1", 1): Landed()}))
    assert portal.parked() == [("a1", "TG-03")]
    portal.hear(Uploaded("p2", {("b1", 1): AlreadyThere()}))
    assert portal.steps() == ["upload p1", "upload p2", "submit p2"]


def test_an_outage_of_the_portal_holds_its_packets_and_parks_nothing() -> None:
    portal = Portal()
    portal.receive(entry(0, "a1"))
    for _ in range(30):
        portal.hear(Submitted("p1", Unavailable(None)))
        portal.wake()

    assert portal.parked() == []
    assert set(portal.steps()) == {"submit p1"}


def test_no_more_packets_are_begun_than_may_be_in_flight() -> None:
    portal = Portal(batch_records=1, packets_in_flight=2)
    portal.receive(*(entry(place, f"{name}1") for place, name in enumerate("abcd")))

    assert portal.steps() == ["submit p1", "submit p2"]
