"""The gate of back-loads against a simulated reader: it is kept busy, and nothing waits long behind the bulk."""

from dataclasses import dataclass, field
from random import Random

import pytest

from gateway.intake.bulk import BACKLOG_S, CYCLE_S, LEAST_S, REST_S, Pace, Reader, is_rest

LOOK_S = 0.25
FIRST = 24


@dataclass
class Stream:
    """A reader of *capacity* records/s whose offsets are committed *way_s* (plus or minus *noise*) after it."""

    capacity: float
    way_s: float
    noise: float = 0.0
    written: float = 0.0
    taken: float = 0.0
    committed: float = 0.0
    history: list[tuple[float, float]] = field(default_factory=list)
    dice: Random = field(default_factory=lambda: Random(1))

    def pass_by(self, now: float) -> None:
        """One look's time has gone."""
        self.taken = min(self.written, self.taken + self.capacity * LOOK_S * self._about())
        self.history.append((now, self.taken))
        visible = now - self.way_s * self._about()
        self.committed = max([self.committed, *(taken for at, taken in self.history[-40:] if at <= visible)])

    def _about(self) -> float:
        return 1.0 + self.noise * self.dice.uniform(-1.0, 1.0)

    @property
    def wait_s(self) -> float:
        """How long a record written now would wait behind the others."""
        return (self.written - self.taken) / self.capacity


@dataclass
class Told:
    """What came of a run: the longest wait of 99 of 100 looks, the share of the capacity that was used, and amounts."""

    p99_s: float
    used: float
    bulk: list[int]


def run(stream: Stream, live: float, seconds: float, *, ends_at_s: float = float("inf")) -> Told:
    """*live* records/s beside a back-load without end; the reader stands still from *ends_at_s* on."""
    pace, waits, bulk = Pace(first=FIRST), list[float](), list[int]()
    full = stream.capacity
    for look in range(int(seconds / LOOK_S)):
        now = 10 * CYCLE_S + look * LOOK_S
        if look * LOOK_S < ends_at_s:
            stream.pass_by(now)
        waits.append(stream.wait_s)
        slow = Reader([int(stream.committed)], [int(stream.written)])
        fast = Reader([int(stream.written)], [int(stream.written)])
        used_up = bool(bulk and bulk[-1])
        bulk.append(pace.allowed(now, {"slow": slow, "fast": fast}, used_up=used_up))
        stream.written += bulk[-1] + live * LOOK_S
    return Told(sorted(waits)[int(len(waits) * 0.99)], stream.taken / (full * seconds), bulk)


@pytest.mark.parametrize("capacity", [50.0, 200.0, 1_000.0, 5_000.0])
@pytest.mark.parametrize("way_s", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("live_share", [0.1, 0.3, 0.6])
def test_bulk_fills_what_is_free_and_live_events_wait_a_moment_only(
    capacity: float, way_s: float, live_share: float
) -> None:
    told = run(Stream(capacity, way_s), capacity * live_share, 4 * CYCLE_S)

    assert told.p99_s <= max(LEAST_S, 1.2 * way_s)
    assert told.used > 0.65


@pytest.mark.parametrize("capacity", [50.0, 1_000.0])
@pytest.mark.parametrize("way_s", [0.3, 1.0, 3.0])
def test_an_uneven_way_is_not_taken_for_a_queue(capacity: float, way_s: float) -> None:
    told = run(Stream(capacity, way_s, noise=0.5), capacity * 0.3, 4 * CYCLE_S)

    assert told.p99_s <= max(1.5 * LEAST_S + FIRST / capacity, 1.2 * way_s)
    assert told.used > 0.6


def test_without_live_events_the_reader_is_kept_busy_too() -> None:
    told = run(Stream(1_000.0, 1.0), 0.0, 4 * CYCLE_S)

    assert told.used > 0.8
    assert told.p99_s <= BACKLOG_S


def test_a_light_load_of_live_events_does_not_hide_what_is_free() -> None:
    """The rate of a reader says nothing of its capacity while nobody asks for more."""
    told = run(Stream(500.0, 1.0), 20.0, 2 * CYCLE_S)

    assert sum(told.bulk) / (2 * CYCLE_S) > 200.0


def test_bulk_rests_at_the_same_time_everywhere() -> None:
    told = run(Stream(1_000.0, 0.3), 100.0, CYCLE_S)

    assert is_rest(10 * CYCLE_S)
    assert told.bulk[: int(REST_S / LOOK_S)] == [0] * int(REST_S / LOOK_S)
    assert all(told.bulk[int(REST_S / LOOK_S) : int(2 * REST_S / LOOK_S)])


def test_a_reader_that_stands_still_closes_the_gate() -> None:
    told = run(Stream(1_000.0, 0.3), 100.0, CYCLE_S, ends_at_s=40.0)

    assert sum(told.bulk[int(43.0 / LOOK_S) :]) == 0


def test_a_backlog_of_live_events_closes_the_gate_until_it_is_gone() -> None:
    pace, now = Pace(first=FIRST), 10 * CYCLE_S + REST_S
    seen = [pace.allowed(now + n * LOOK_S, {"a": Reader([n * 100], [5_000])}, used_up=False) for n in range(52)]

    assert seen[:40] == [0] * 40
    assert seen[-1] >= FIRST


def test_a_backlog_while_bulk_rests_is_not_taken_for_usual() -> None:
    pace, start = Pace(first=FIRST), 10 * CYCLE_S
    for n in range(int(REST_S / LOOK_S)):
        pace.allowed(start + n * LOOK_S, {"a": Reader([0], [90_000])}, used_up=False)
    recovered = pace.allowed(start + REST_S + 1.0, {"a": Reader([90_000], [90_000])}, used_up=False)

    assert recovered == FIRST


def test_a_portal_that_answers_late_by_itself_is_no_backlog() -> None:
    """10 live records a second that are settled 15 s later; bulk may make that a little longer."""
    pace, allowed = Pace(first=FIRST), []
    for look in range(int(2 * CYCLE_S / LOOK_S)):
        now, written = 10 * CYCLE_S + look * LOOK_S, int(10 * look * LOOK_S)
        portal = Reader([max(0, written - 150)], [written], slow=True)
        allowed.append(pace.allowed(now, {"taken": Reader([written], [written]), "settled": portal}, used_up=True))

    assert min(allowed[int(CYCLE_S / LOOK_S) + int(REST_S / LOOK_S) :]) >= FIRST


@pytest.mark.parametrize(("way_s", "is_open"), [(20.0, False), (60.0, True)])
def test_a_portal_that_takes_very_long_says_nothing_of_what_waits_here(way_s: float, is_open: bool) -> None:
    """In the end it settles nothing any more: told at once of the one, and unknown of the other."""
    pace, allowed, end_s = Pace(first=FIRST), list[int](), 2 * CYCLE_S - 1
    for look in range(int(end_s / LOOK_S)):
        at_s = look * LOOK_S
        written, passed = int(10 * at_s), int(10 * max(0.0, min(at_s, CYCLE_S + REST_S) - way_s))
        readers = {"taken": Reader([written], [written]), "settled": Reader([passed], [written], slow=True)}
        allowed.append(pace.allowed(10 * CYCLE_S + at_s, readers, used_up=False))

    assert (allowed[-1] > 0) == is_open


def test_the_marker_of_a_transaction_is_nothing_that_waits() -> None:
    pace, now = Pace(first=FIRST), 10 * CYCLE_S + REST_S
    seen = [pace.allowed(now + n, {"a": Reader([7, 3], [8, 4])}, used_up=False) for n in range(60)]

    assert min(seen) >= FIRST


def test_without_any_reader_nothing_is_admitted() -> None:
    assert Pace(first=FIRST).allowed(CYCLE_S / 2, {}, used_up=True) == 0
