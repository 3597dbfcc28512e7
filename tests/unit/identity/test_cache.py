"""How long an answer is believed, by what it says."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.identity.cache import Kept, Lifetimes
from gateway.identity.verdicts import Confirmed, NotFound, Several, Verdict

DAY = timedelta(days=1)
LIVES = Lifetimes(confirmed=365 * DAY, refresh=30 * DAY, negative=timedelta(minutes=10), stale=30 * DAY)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
YES = Confirmed("001210999901")


@pytest.mark.parametrize(("verdict", "life"), [(YES, 365 * DAY), (NotFound(), LIVES.negative)])
def test_confirmed_lives_long_and_everything_else_short(verdict: Verdict, life: timedelta) -> None:
    assert LIVES.kept(verdict, NOW) == Kept(verdict, NOW + life)


@pytest.mark.parametrize(
    ("verdict", "age", "down", "expected"),
    [
        (YES, -DAY, False, YES),
        (YES, -DAY, True, YES),
        (YES, DAY, False, None),
        (YES, DAY, True, Confirmed("001210999901", stale=True)),
        (YES, 31 * DAY, True, None),
        (Several(), -DAY, True, Several()),
        (Several(), DAY, True, None),  # a negative answer is never stretched
    ],
)
def test_an_expired_answer_serves_only_if_it_confirmed_and_nobody_can_be_asked(
    verdict: Verdict, age: timedelta, *, down: bool, expected: Verdict | None
) -> None:
    assert LIVES.usable(Kept(verdict, NOW - age), NOW, down=down) == expected


def test_refreshes_are_spread_over_the_second_half_of_their_window() -> None:
    early, late = b"\x00" * 32, b"\xff" * 32

    due = [
        [LIVES.is_due(Kept(YES, NOW + left * DAY), claim, NOW) for left in (31, 29, 16, 14)] for claim in (early, late)
    ]
    assert due == [[False, True, True, True], [False, False, False, True]]
    assert not LIVES.is_due(Kept(NotFound(), NOW), early, NOW)
