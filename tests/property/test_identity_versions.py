"""Versions against a model: never backwards, nothing lost or doubled, fences hold; with redelivery after crashes.

The model replays a slot: a log of events of a few records, verdicts that appear late, crashes that lose the copy in
memory and take the batch again.  What is published must satisfy the rules whatever the order of things was.
"""

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.plan import Desk, End, Event, Held, Out, Row, Step
from gateway.identity.verdicts import Confirmed, Verdict
from gateway.identity.versions import Entry, Head
from gateway.record import Op, SourceOrder, State

LANE = 1
CLAIMS = (b"a", b"b")


@dataclass
class Model:
    """The durable side: the log's committed offset, published versions, open rows, ends."""

    log: list[Event]
    offset: int = 0
    heads: dict[str, Head] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    verdicts: dict[tuple[int, bytes], Verdict] = field(default_factory=dict)
    published: list[tuple[str, int, Event]] = field(default_factory=list)
    ended: dict[str, State] = field(default_factory=dict)

    def desk(self) -> Desk:
        return Desk(dict(self.heads), {LANE: sorted(self.rows)}, self.verdicts)

    def batch(self, size: int, *, commits: bool) -> None:
        """Decide again on what may go on, then take *size* events, in one transaction.

        A crash before the commit leaves no trace (the take-over undoes the ledger).
        """
        desk, events = self.desk(), self.log[self.offset : self.offset + size]
        steps = [*self._retried(desk), *(desk.arrive(event) for event in events)]
        if commits:
            self.offset += len(events)
            self._commit(desk, steps)

    def wake(self) -> None:
        """Everything that may go on is decided again."""
        desk = self.desk()
        self._commit(desk, self._retried(desk))

    def _retried(self, desk: Desk) -> list[Step]:
        return [
            desk.retry(row, self.log[row.offset])
            for row in list(desk.lanes[LANE])
            if row in desk.lanes[LANE] and desk.due(row)
        ]

    def _commit(self, desk: Desk, steps: list[Step]) -> None:
        for step in steps:
            self._book(step.event, step.outcome)
            for row in step.replaced:
                assert row.entry is not None
                self._end(row.entry.event_id, State.SUPERSEDED)
        self._keep(desk)

    def _book(self, event: Event, outcome: Out | End | Held) -> None:
        match outcome:
            case Out(version, _):
                self.published.append((event.record_id, version, event))
            case End(state):
                assert state is not None, "an event met itself as head"
                self._end(event.entry.event_id, state)
            case Held():
                pass

    def _end(self, event: str, state: State) -> None:
        assert event not in self.ended
        self.ended[event] = state

    def _keep(self, desk: Desk) -> None:
        self.heads, self.rows = desk.heads, list(desk.lanes[LANE])


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Events of one pupil: three records, two vendors now and then, orders that repeat and go back."""
    count = draw(st.integers(1, 25))
    events = []
    for offset in range(count):
        op = draw(st.sampled_from([Op.NEW, Op.UPDATE, Op.UPDATE, Op.CANCEL]))
        entry = Entry(
            event_id=f"e{offset}",
            claimant=draw(st.sampled_from([("alpha", "1"), ("alpha", "1"), ("alpha", "1"), ("beta", "2")])),
            order=SourceOrder(draw(st.integers(0, 1)), draw(st.integers(1, 4))),
            content_hash="" if op is Op.CANCEL else draw(st.sampled_from(["p", "q"])),
            op=op,
            caused=draw(st.sampled_from([False, False, False, True])),
        )
        record = draw(st.sampled_from(["x", "y", "z"]))
        claim = None if op is Op.CANCEL else draw(st.sampled_from(CLAIMS))
        events.append(Event(offset, LANE, record, entry, claim_hash=claim))
    return events


actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["batch", "crash"]), st.integers(1, 6)),
        st.tuples(st.just("wake"), st.just(0)),
        st.tuples(st.just("answer"), st.integers(0, 1)),
    ),
    max_size=30,
)


def run(log: list[Event], plan: list[tuple[str, int]]) -> Model:
    model = Model(log)
    answers = [("answer", 0), ("answer", 1)]
    for action, number in [*plan, ("batch", len(log)), *answers, ("wake", 0)]:
        match action:
            case "batch" | "crash":
                model.batch(number, commits=action == "batch")
            case "answer":
                model.verdicts[LANE, CLAIMS[number]] = Confirmed("001210999901")
            case _:
                model.wake()
    return model


@given(logs(), actions)
def test_versions_rise_by_one_and_never_repeat(log: list[Event], plan: list[tuple[str, int]]) -> None:
    model = run(log, plan)

    for record in ("x", "y", "z"):
        versions = [version for name, version, _ in model.published if name == record]
        assert versions == list(range(1, len(versions) + 1))


@given(logs(), actions)
def test_every_event_is_published_ended_or_held_exactly_once(log: list[Event], plan: list[tuple[str, int]]) -> None:
    model = run(log, plan)

    places = [event.entry.event_id for _, _, event in model.published]
    places += model.ended
    places += [row.entry.event_id for row in model.rows if row.entry is not None]
    assert sorted(places) == sorted(event.entry.event_id for event in log)


@given(logs(), actions)
def test_one_claimants_source_order_never_goes_back(log: list[Event], plan: list[tuple[str, int]]) -> None:
    model = run(log, plan)

    for record in ("x", "y", "z"):
        entries = [event.entry for name, _, event in model.published if name == record]
        assert len({entry.claimant for entry in entries}) <= 1  # nobody else without a hand-over
        for earlier, later in pairwise(entries):
            assert later.order > earlier.order or (later.caused and later.order == earlier.order)


@given(logs(), actions)
def test_nothing_of_the_pupil_overtakes_a_record_that_is_held(log: list[Event], plan: list[tuple[str, int]]) -> None:
    model = run(log, plan)

    held = [row for row in model.rows if row.code != "GW-03"]
    behind = [row for row in model.rows if row.code == "GW-03"]
    for row in behind:
        assert any(other.record_id != row.record_id and other < row for other in (*held, *behind))
    assert {row.code for row in held} <= {"CF-01", "CF-02", "DQ-48"}  # all claims are answered at the end


@given(logs())
def test_the_first_event_of_a_record_is_published_as_one_unless_it_is_a_cancel(log: list[Event]) -> None:
    first = log[0]
    model = run(log[:1], [("answer", CLAIMS.index(first.claim_hash or b"a")), ("batch", 1)])

    if first.entry.op is Op.CANCEL:
        assert [row.code for row in model.rows] == ["DQ-48"]
    else:
        assert model.published == [(first.record_id, 1, first)]
