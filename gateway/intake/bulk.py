"""How much of a back-load may enter now, so that it never stands long before anybody's live events.

Behind intake everything is one stream, first in, first out: what bulk puts there, live events wait for.  So bulk may
fill what each reader of the stream (identity, every target) takes up in *BEHIND_S*, and no more.  How much that is, is
seen from what the readers took up lately; from an idle stream a small first amount is let in and doubles.

    allowed = rate of the slowest reader x BEHIND_S - what lies before it, but *TRICKLE* of its rate as long as it moves

Where the way itself takes longer than BEHIND_S, as on an overloaded machine, the trickle keeps bulk from starving.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

BEHIND_S: Final = 1.0
TRICKLE: Final = 0.05
LOOKS: Final = 8
"""The rate is taken over so many looks: offsets are committed in jumps."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How far one reader has come: offsets passed and offsets still before it, summed over the partitions."""

    passed: int
    before: int


@dataclass(slots=True)
class Pace:
    """The look-back of one worker; *first* records are let in when nothing is under way."""

    first: int
    _looks: deque[tuple[float, Mapping[str, Reader]]] = field(default_factory=lambda: deque(maxlen=LOOKS))

    def allowed(self, now_s: float, readers: Mapping[str, Reader]) -> int:
        """Records that bulk may put into the stream until the next look.

        >>> pace = Pace(first=10)
        >>> pace.allowed(0.0, {"a": Reader(passed=0, before=0)})
        10
        >>> pace.allowed(1.0, {"a": Reader(passed=500, before=100)})
        400
        >>> pace.allowed(1.5, {"a": Reader(passed=500, before=600)})  # 333/s over the looks: a twentieth of that
        8
        """
        since_s = now_s - self._looks[-1][0] if self._looks else 0.0
        self._looks.append((now_s, readers))
        then_s, then = self._looks[0]
        elapsed_s = now_s - then_s
        rooms = []
        for name, reader in readers.items():
            passed = reader.passed - then[name].passed if name in then else 0
            rate = passed / elapsed_s if elapsed_s > 0 else 0.0
            room = max(int(rate * BEHIND_S), self.first) - reader.before
            rooms.append(max(room, int(rate * TRICKLE * since_s + 0.5)))
        return max(0, min(rooms, default=0))
