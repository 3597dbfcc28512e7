"""When a target is closed for maintenance: nothing is sent, nothing is lost, no attempt is burned.

Windows are told in Vietnam's time, which is seven hours ahead of UTC all year round; an instant is milliseconds since
1970 (UTC).  A window holds its start and not its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

DAY_MS: Final = 86_400_000
VIETNAM_MS: Final = 7 * 3_600_000
_THURSDAY: Final = 3
"""1 January 1970; Monday is 0."""


@dataclass(frozen=True, slots=True)
class Weekly:
    """From *since_ms* to *until_ms* of each of *days* (Monday is 0); an end not after the start is the next day's."""

    days: frozenset[int]
    since_ms: int
    until_ms: int

    def ends_at(self, at_ms: int) -> int | None:
        """When the window ends that is open at *at_ms*; None: no such window."""
        local = at_ms + VIETNAM_MS
        length = (self.until_ms - self.since_ms) % DAY_MS or DAY_MS
        for day in (local // DAY_MS, local // DAY_MS - 1):
            start = day * DAY_MS + self.since_ms
            if (day + _THURSDAY) % 7 in self.days and start <= local < start + length:
                return start + length - VIETNAM_MS
        return None


@dataclass(frozen=True, slots=True)
class Once:
    """From *since_ms* to *until_ms*."""

    since_ms: int
    until_ms: int

    def ends_at(self, at_ms: int) -> int | None:
        """When the window ends, if it is open at *at_ms*."""
        return self.until_ms if self.since_ms <= at_ms < self.until_ms else None


Window = Weekly | Once
_MOST_JOINED: Final = 400
"""Windows that follow each other without a gap are one; so many of them are for ever."""


def closed_s(windows: Iterable[Window], at_ms: int) -> float:
    """Seconds until the target is open again; 0 when it is open.

    >>> nightly = Weekly(frozenset(range(7)), 22 * 3_600_000, 2 * 3_600_000)
    >>> closed_s([nightly], 1_000 * DAY_MS + 18 * 3_600_000)  # 01:00 in Vietnam
    3600.0
    """
    listed, open_at = list(windows), at_ms
    for _ in range(_MOST_JOINED):
        ends = [end for window in listed if (end := window.ends_at(open_at)) is not None]
        if not ends:
            break
        open_at = max(ends)
    return (open_at - at_ms) / 1000
