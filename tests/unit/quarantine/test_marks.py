"""Crash marks: which records a new owner suspects, and that they find any killer in a batch, and no innocent."""

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.quarantine import marks
from gateway.quarantine.marks import RUN, Mark, Span


def test_nothing_is_suspect_after_a_clean_end_or_without_a_mark() -> None:
    assert marks.suspects(None, 10, 50, 100) == ()
    assert marks.suspects(marks.clean(10), 10, 50, 100) == ()


def test_a_batch_that_ended_its_owner_is_suspect_as_far_as_it_may_have_reached() -> None:
    assert marks.suspects(marks.running(0), 10, 50, 100) == (Span(10, 50, 0),)
    assert marks.suspects(marks.running(0), 10, 500, 100) == (Span(10, 110, 0),)
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


def test_what_was_acquitted_but_never_committed_is_suspect_again() -> None:
    """Delivery acquits what waits for its target; it may have been that which ended the owner."""
    left = marks.suspecting((Span(150, 200, 1), Span(200, 300, 0)), trying=False)

    assert marks.suspects(left, 10, 300, 1000) == (Span(10, 150, 0), Span(150, 200, 1), Span(200, 300, 0))
    assert marks.suspects(left, 10, 300, 100)[0] == Span(10, 150, 0)
    assert marks.suspects(marks.running(150), 10, 400, 100) == (Span(10, 250, 0),)


def test_the_mark_of_a_group_that_was_sent_back_is_not_about_what_it_takes_now() -> None:
    left = replace(marks.suspecting((Span(50_000, 50_001, 2),), trying=True), since=49_000)

    assert marks.suspects(left, 49_000, 60_000, 100) == (Span(49_000, 50_000, 0), Span(50_000, 50_001, 3))
    assert marks.suspects(left, 48_999, 60_000, 100) == (Span(48_999, 49_099, 0),)


def test_nothing_is_suspect_that_the_log_had_not_yet_when_the_owner_came() -> None:
    only_a_marker = (Span(10, 11, 0),)

    assert marks.anchored(only_a_marker, 11, 11, 100) == only_a_marker  # passed with it: the new record is free
    assert marks.anchored((Span(10, 110, 0),), 300, 350, 100) == (Span(300, 350, 0),)
    assert marks.anchored((Span(10, 110, 0),), 300, 900, 100) == (Span(300, 400, 0),)
    assert marks.suspects(marks.suspecting((Span(10, 15, 2), Span(15, 4015, 1)), trying=False), 12, 20, 100) == (
        Span(12, 15, 2),
        Span(15, 20, 1),
    )


class Partition:
    """A log with killers in it, and owners that take it in batches until they die or reach the end.

    It grows by *step* records whenever an owner comes or has taken what was there.  *lives* are the numbers of tries
    after which somebody kills an owner from outside, in the midst of the next one.
    """

    def __init__(self, offsets: list[int], killers: set[int], batch: int, step: int = 500) -> None:
        self.offsets, self.killers, self.batch, self.step = offsets, killers, batch, step
        self.lives: list[int] = []
        self.tries = 0
        self.committed = offsets[0]
        self.there = min(step, len(offsets))
        self.mark: Mark | None = None
        self.taken: list[int] = []
        self.buried: list[int] = []
        self.deaths = 0

    @property
    def end(self) -> int:
        """Where the log ends now, with what follows its last record."""
        return self.offsets[self.there] if self.there < len(self.offsets) else self.offsets[-1] + 1

    def grow(self) -> bool:
        """False when all that will ever be there is there."""
        grown = min(self.there + self.step, len(self.offsets))
        self.there, before = grown, self.there
        return grown > before

    def ahead(self, most: int, before: int) -> list[int]:
        return [offset for offset in self.offsets[: self.there] if self.committed <= offset < before][:most]

    def take(self, records: list[int]) -> bool:
        """False when the owner died; what it took is committed as one."""
        if self.killers & set(records) or (self.lives and self.tries == self.lives[0]):
            self.deaths += 1
            return False
        self.tries += 1
        self.taken += records
        self.committed = records[-1] + 1
        return True

    def own(self) -> bool:
        """One owner's life; True when it drained the log."""
        end, self.tries = self.end, 0
        spans = marks.suspects(self.mark, self.committed, end, 2 * self.batch)
        self.grow()
        self.mark = marks.suspecting(spans, trying=False) if spans else marks.running(self.committed)
        if spans and (there := self.ahead(1, self.end)):
            spans = marks.passed(marks.anchored(spans, there[0], end, 2 * self.batch), there[0])
        assert all(span.end <= end for span in spans)
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
        while (records := self.ahead(self.batch, self.end)) or self.grow():
            if records and not self.take(records):
                return False
        self.mark = marks.clean(self.committed)
        return True


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=500),
    st.sets(st.integers(0, 499), max_size=4),
    st.integers(1, 300),
    st.integers(1, 500),
)
def test_every_killer_is_buried_and_every_other_record_taken_once(
    gaps: list[int], places: set[int], batch: int, step: int
) -> None:
    offsets = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    killers = {offsets[place] for place in places if place < len(offsets)}
    log = Partition(offsets, killers, batch, step)

    for _ in range(4 * len(killers) + 1):
        if log.own():
            break

    assert log.mark == marks.clean(log.committed)
    assert set(log.buried) == killers
    assert sorted(log.taken + log.buried) == offsets
    assert log.deaths <= 4 * len(killers)


@given(st.integers(0, 399), st.integers(50, 400))
def test_one_killer_costs_a_batch_a_run_and_twice_itself_wherever_it_stands(place: int, batch: int) -> None:
    log = Partition(list(range(400)), {place}, batch)

    while not log.own():
        assert log.deaths <= 4

    assert (log.deaths, log.buried) == (4, [place])


@given(st.lists(st.integers(1, 5), min_size=3, max_size=40), st.integers(50, 300), st.integers(100, 500))
@example([1, 1, 1], 150, 500)  # over a batch, over a run, over one alone
def test_owners_that_are_killed_from_outside_condemn_nobody(lives: list[int], batch: int, step: int) -> None:
    """Each lives long enough for one try: what its predecessor had in hand is what it takes first."""
    log = Partition(list(range(400)), set(), batch, step)
    log.lives = lives

    while not log.own():
        log.lives = log.lives[1:]

    assert (log.buried, log.taken) == ([], list(range(400)))


def test_a_run_is_about_the_root_of_the_largest_batch() -> None:
    assert 40 <= RUN <= 64
