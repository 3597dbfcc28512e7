"""Crash marks: which records a new owner suspects, and that three deaths find any killer anywhere in a batch."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.quarantine import marks
from gateway.quarantine.marks import RUN, Mark, Span


def test_nothing_is_suspect_after_a_clean_end_or_without_a_mark() -> None:
    assert marks.suspects(None, 10, 50, 100) == ()
    assert marks.suspects(marks.clean(10), 10, 50, 100) == ()


def test_a_batch_that_ended_its_owner_is_suspect_as_far_as_it_may_have_reached() -> None:
    assert marks.suspects(marks.running(0), 10, 50, 100) == (Span(10, 50, 1),)
    assert marks.suspects(marks.running(0), 10, 500, 100) == (Span(10, 110, 1),)
    assert marks.suspects(marks.running(0), 50, 50, 100) == ()


def test_a_try_that_ended_its_owner_counts_and_one_that_was_taken_back_does_not() -> None:
    spans = (Span(10, 15, 1), Span(15, 50, 1))

    assert marks.suspects(marks.suspecting(spans, trying=True), 10, 99, 9)[0] == Span(10, 15, 2)
    assert marks.suspects(marks.suspecting(spans, trying=False), 10, 99, 9) == spans


def test_what_was_committed_is_no_longer_suspect() -> None:
    spans = (Span(10, 15, 2), Span(15, 50, 1))

    assert marks.passed(spans, 12) == (Span(12, 15, 2), Span(15, 50, 1))
    assert marks.passed(spans, 15) == (Span(15, 50, 1),)
    assert marks.passed(spans, 50) == ()


class Partition:
    """A log with killers in it, and owners that take it in batches until they die or reach the end."""

    def __init__(self, offsets: list[int], killers: set[int], batch: int) -> None:
        self.offsets, self.killers, self.batch = offsets, killers, batch
        self.committed = offsets[0]
        self.end = offsets[-1] + 1
        self.mark: Mark | None = None
        self.taken: list[int] = []
        self.buried: list[int] = []
        self.deaths = 0

    def ahead(self, most: int, before: int) -> list[int]:
        return [offset for offset in self.offsets if self.committed <= offset < before][:most]

    def take(self, records: list[int]) -> bool:
        """False when the owner died; what it took is committed as one."""
        if self.killers & set(records):
            self.deaths += 1
            return False
        self.taken += records
        self.committed = records[-1] + 1
        return True

    def own(self) -> bool:
        """One owner's life; True when it drained the log."""
        spans = marks.suspects(self.mark, self.committed, self.end, 2 * self.batch)
        self.mark = marks.suspecting(spans, trying=False) if spans else marks.running(self.committed)
        if spans and (there := self.ahead(1, self.end)):
            spans = marks.anchored(spans, there[0], 2 * self.batch)
        while spans:
            records = self.ahead(spans[0].most, spans[0].end)
            if not records:
                spans = spans[1:]
                continue
            if spans[0].is_guilty:
                self.buried.append(records[0])
                self.committed = records[0] + 1
            else:
                tried = marks.narrowed(spans, records[0], records[-1])
                self.mark = marks.suspecting(tried, trying=True)
                if not self.take(records):
                    return False
            spans = marks.passed(spans, self.committed)
        self.mark = marks.running(self.committed)
        while records := self.ahead(self.batch, self.end):
            if not self.take(records):
                return False
        self.mark = marks.clean(self.committed)
        return True


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=500),
    st.sets(st.integers(0, 499), max_size=4),
    st.integers(1, 300),
)
def test_every_killer_is_buried_and_every_other_record_taken_once(
    gaps: list[int], places: set[int], batch: int
) -> None:
    offsets = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    killers = {offsets[place] for place in places if place < len(offsets)}
    log = Partition(offsets, killers, batch)

    for _ in range(3 * len(killers) + 1):
        if log.own():
            break

    assert log.mark == marks.clean(log.committed)
    assert set(log.buried) == killers
    assert sorted(log.taken + log.buried) == offsets
    assert log.deaths <= 3 * len(killers)


@given(st.integers(0, 399), st.integers(50, 400))
def test_one_killer_costs_exactly_three_deaths_wherever_it_stands(place: int, batch: int) -> None:
    log = Partition(list(range(400)), {place}, batch)

    while not log.own():
        assert log.deaths <= 3

    assert (log.deaths, log.buried) == (3, [place])


def test_a_run_is_about_the_root_of_the_largest_batch() -> None:
    assert 40 <= RUN <= 64
