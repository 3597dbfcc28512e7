"""Maintenance windows: when a target is closed, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.calendar import DAY_MS, VIETNAM_MS, Once, Weekly, closed_s

HOUR_MS = 3_600_000
MONDAY = 4 * DAY_MS - VIETNAM_MS
"""5 January 1970, 00:00 in Vietnam."""


def test_a_window_past_midnight_belongs_to_the_day_it_begins_on() -> None:
    window = Weekly(frozenset({0}), 22 * HOUR_MS, 3 * HOUR_MS)

    hours = [21.9, 22, 26, 27, 46, 50]
    assert [closed_s([window], MONDAY + int(hour * HOUR_MS)) / 3600 for hour in hours] == [0, 5, 1, 0, 0, 0]


def test_a_window_holds_its_start_and_not_its_end() -> None:
    assert [closed_s([Once(10_000, 20_000)], at) for at in (9_999, 10_000, 19_999, 20_000)] == [0, 10, 0.001, 0]


def test_windows_that_follow_each_other_are_one() -> None:
    assert closed_s([Once(0, 5_000), Once(4_000, 9_000), Once(9_000, 12_000), Once(13_000, 14_000)], 1_000) == 11


def test_a_calendar_that_is_always_closed_is_no_endless_search() -> None:
    assert closed_s([Weekly(frozenset(range(7)), 0, 0)], 0) > 0


@given(
    days=st.frozensets(st.integers(0, 6), min_size=1),
    since=st.integers(0, 23),
    until=st.integers(0, 23),
    at=st.integers(0, 30 * DAY_MS),
)
def test_what_is_closed_stays_closed_until_the_moment_named_and_is_open_then(
    days: frozenset[int], since: int, until: int, at: int
) -> None:
    windows = [Weekly(days, since * HOUR_MS, until * HOUR_MS)]
    left_ms = round(closed_s(windows, at) * 1000)
    if since == until and len(days) == 7:
        return

    assert closed_s(windows, at + left_ms) == 0
    if left_ms:
        assert closed_s(windows, at + left_ms - 1) > 0
