"""How much of a back-load may enter now, so that it never stands long before anybody's live events.

Behind intake everything is one stream, first in, first out: what bulk puts there, live events wait for.  How long they
wait is seen at each reader of the stream (identity, every target): the age of the oldest record that it has not passed.
So each reader has a window of records that may lie before it.  It grows while the reader keeps up and shrinks when the
age is more than the usual there and *MORE* of it, between *LEAST_S* and *MOST_MORE_S*.

What is usual, live events alone tell: bulk rests for *REST_S* of each *CYCLE_S*, by the clock on the wall, so that all
workers of an installation rest at the same time; the second half of the rest is looked at.  What bulk may add is gone
in the first half, or it would be taken for usual in the end.

    CYCLE_S  │ rest: drain, look │ admit: window of the slowest reader - what lies before it            │ rest …
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

Number = TypeVar("Number", int, float)
LEAST_S: Final = 0.8
MORE: Final = 0.4
MOST_MORE_S: Final = 4.0
BACKLOG_S: Final = 4.0
"""A longer age is a backlog of live events and not usual, but at a slow reader."""
BLIND_S: Final = 30.0
"""A slow reader with a longer way says nothing of what waits here: the other readings of its target must do."""
CYCLE_S: Final = 120.0
REST_S: Final = 12.0
UNKNOWN_S: Final = 2.0
"""Taken for usual where no live events tell."""
MOST_RECORDS: Final = 1_000_000
HISTORY: Final = 256
CUT: Final = 0.7


@dataclass(frozen=True, slots=True)
class Reader:
    """How far one reader has come: by partition, the offset that it has passed and the end of the log.

    *slow*: its way may take long by itself, as through a portal that answers when it likes.
    """

    passed: Sequence[int]
    ends: Sequence[int]
    slow: bool = False

    @property
    def before(self) -> int:
        """Offsets before it; the last one of a partition may be the marker of a transaction, which nobody passes."""
        return sum(max(0, end - passed - 1) for passed, end in zip(self.passed, self.ends, strict=True))


def is_rest(wall_s: float) -> bool:
    """Whether bulk rests at this moment of the wall's clock (seconds since 1970)."""
    return wall_s % CYCLE_S < REST_S


@dataclass(slots=True)
class Pace:
    """What one worker has seen; *first* records more than usual may always lie before a reader that keeps up."""

    first: int
    _ways: dict[str, "_Way"] = field(default_factory=dict)

    def allowed(self, wall_s: float, readers: Mapping[str, Reader], *, used_up: bool) -> int:
        """Records that bulk may put into the stream until the next look; *wall_s* is the time on the wall.

        *used_up* says whether what was allowed at the last look was used: only then is more worth trying.

        >>> pace, at_s = Pace(first=10), 5 * CYCLE_S + REST_S
        >>> pace.allowed(at_s, {"a": Reader([0], [0])}, used_up=False)
        10
        >>> pace.allowed(at_s + 1.0, {"a": Reader([0], [8])}, used_up=True)  # 7 and a marker lie there
        5
        >>> pace.allowed(at_s + 5.0, {"a": Reader([0], [8])}, used_up=True)  # it stands still
        3
        >>> pace.allowed(at_s + 5.5, {"a": Reader([0], [13])}, used_up=True)
        0
        """
        rests, rooms = is_rest(wall_s), list[int]()
        for name, reader in readers.items():
            way = self._ways.setdefault(name, _Way())
            way.look(wall_s, reader)
            way.follow(wall_s, reader, self.first, more=used_up and not rests)
            if not (reader.slow and way.usual_s >= BLIND_S):
                rooms.append(int(way.window) - reader.before)
        return 0 if rests else max(0, min(rooms, default=0))


@dataclass(slots=True)
class _Way:
    """The way to one reader: the age of what lies before it, what that is usually, and how much may lie there."""

    usual_s: float = UNKNOWN_S
    usual_before: int = 0
    window: float = 0.0
    age_s: float = 0.0
    _looks: deque[tuple[float, Sequence[int]]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    _quiet: list[tuple[float, int]] = field(default_factory=list)
    _cut_at_s: float = float("-inf")

    def look(self, now_s: float, reader: Reader) -> None:
        """Remember the ends of the log: the time at which one was first seen is the age of what lies there."""
        self._looks.append((now_s, reader.ends))
        self.age_s = max(map(self._age_s, range(len(reader.ends)), reader.passed), default=0.0)
        rested_s = now_s % CYCLE_S
        if REST_S / 2 <= rested_s < REST_S:
            is_backlog = self.age_s > BACKLOG_S and not reader.slow
            self._quiet.append((BACKLOG_S, 0) if is_backlog else (self.age_s, reader.before))
        elif rested_s >= REST_S and self._quiet:
            self.usual_s = _high([age_s for age_s, _ in self._quiet if age_s] or [UNKNOWN_S])
            self.usual_before = _high([before for _, before in self._quiet])
            self._quiet = []

    def _age_s(self, partition: int, passed: int) -> float:
        """Seconds since the first look at which more than a marker lay behind *passed*; 0 when nothing does."""
        looks = self._looks
        if looks[-1][1][partition] <= passed + 1:
            return 0.0
        first = bisect_right(looks, passed + 1, key=lambda look: look[1][partition])
        return looks[-1][0] - looks[first][0]

    def follow(self, now_s: float, reader: Reader, first: int, *, more: bool) -> None:
        """Narrow the window where the age is too high; *more* widens it where there is time left."""
        most_s = max(LEAST_S, self.usual_s + min(MORE * self.usual_s, MOST_MORE_S))
        since_s = now_s - self._looks[-2][0] if len(self._looks) > 1 else 0.0
        if self.age_s > most_s:
            if now_s - self._cut_at_s >= most_s:
                self.window = CUT * min(self.window, reader.before)
                self._cut_at_s = now_s
        elif more:
            left = 1.0 - self.age_s / most_s
            self.window = min(self.window * 2 ** (left * since_s / most_s), MOST_RECORDS)
        self.window = max(self.window, self.usual_before + first)


def _high(numbers: list[Number]) -> Number:
    """What nine of ten do not exceed."""
    return sorted(numbers)[int(len(numbers) * 0.9)]
