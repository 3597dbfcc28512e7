"""The gate of back-loads against a simulated reader: it is kept busy, and nothing waits long behind the bulk."""

import pytest

from gateway.intake.bulk import BEHIND_S, Pace, Reader

LOOK_S = 0.25


def run(capacity: float, live: float, seconds: float, commit_s: float = 0.25) -> tuple[float, float]:
    """A reader of *capacity* records/s that commits each *commit_s*: the longest wait, and the share of it used."""
    pace = Pace(first=24)
    written = taken = committed = 0.0
    longest = 0.0
    for look in range(int(seconds / LOOK_S)):
        now = look * LOOK_S
        taken = min(written, taken + capacity * LOOK_S)
        if now % commit_s < LOOK_S:
            committed = taken
        longest = max(longest, (written - taken) / capacity)
        readers = {"slow": Reader(int(committed), int(written - committed)), "fast": Reader(int(written), 0)}
        written += pace.allowed(now, readers) + live * LOOK_S
    return longest, taken / (capacity * seconds)


@pytest.mark.parametrize("capacity", [200.0, 1_000.0, 5_000.0])
@pytest.mark.parametrize("commit_s", [0.25, 0.5])
@pytest.mark.parametrize("live_share", [0.0, 0.3])
def test_bulk_fills_what_is_free_and_live_events_wait_a_moment_only(
    capacity: float, commit_s: float, live_share: float
) -> None:
    longest_s, used = run(capacity, capacity * live_share, 60.0, commit_s)

    assert longest_s <= 1.5 * BEHIND_S
    assert used > 0.7


def test_a_reader_that_stands_still_closes_the_gate() -> None:
    pace = Pace(first=24)
    written, allowed = 1_000, []
    for look in range(20):
        allowed.append(pace.allowed(look * LOOK_S, {"down": Reader(500, written - 500)}))
        written += allowed[-1]

    assert allowed == [0] * 20


def test_without_any_reader_nothing_is_admitted() -> None:
    assert Pace(first=24).allowed(0.0, {}) == 0
