"""When to try again: full jitter for a record, and a gate that slows the whole target.

- a record fails while others succeed: its own lane waits (Backoff);
- the target fails, or asks for patience: nobody sends until the gate opens, then one probe, then all (Gate).
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.outcomes import Ambiguous, BatchAnswer, Hold, RefusedWhole, TooLarge, Unavailable


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: a random wait between 0 and a ceiling that doubles."""

    base_s: float = 0.5
    cap_s: float = 60.0

    def delay_s(self, attempt: int, *, dice: float, retry_after_s: float | None = None) -> float:
        """Seconds to wait after failed attempt number *attempt* (1 is the first)."""
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 64))
        return max(dice * ceiling, retry_after_s or 0.0)


@dataclass(slots=True)
class Gate:
    """Whether this target may be asked at all; closed by its own failures only, never by a record's."""

    backoff: Backoff
    breaker_failures: int
    breaker_open_s: float
    dice: Callable[[], float]
    until: float = 0.0
    _failures: int = 0
    _probing: bool = False

    def is_open(self, now: float, requests: int) -> bool:
        """Whether one more request may leave while *requests* are under way."""
        return now >= self.until and not self.is_waiting(requests)

    def is_waiting(self, requests: int) -> bool:
        """Whether a probe is under way, whose answer decides."""
        return self._probing and requests > 0

    def wait_s(self, now: float, seconds: float | None) -> None:
        """Ask nothing for *seconds*, because the target said so."""
        if seconds is not None:
            self.until = max(self.until, now + seconds)

    def unavailable(self, now: float, retry_after_s: float | None) -> None:
        """The target took nothing: wait, then probe with one request."""
        self._failures += 1
        self._probing = True
        delay = self.backoff.delay_s(self._failures, dice=self.dice(), retry_after_s=retry_after_s)
        self.until = max(self.until, now + delay)

    def unanswered(self, now: float) -> None:
        """An answer was lost, or decided about nothing: only a series of them opens the breaker."""
        self._failures += 1
        if self._failures >= self.breaker_failures:
            self._probing = True
            self.until = max(self.until, now + self.breaker_open_s * (1.0 + self.dice()))

    def answered(self) -> None:
        """The target answered: all may send again."""
        self._failures = 0
        self._probing = False

    @property
    def is_troubled(self) -> bool:
        """Whether the last answer said nothing good of the target."""
        return self._failures > 0

    def hear(self, answer: BatchAnswer, now: float, *, fruitless: bool = False) -> None:
        """What a batch's answer says of the target; *fruitless*: it decided about no record of it.

        An outage may be told record by record, with a status of success on the whole.
        """
        self.wait_s(now, answer.slow_down_s)
        match answer.whole:
            case Unavailable(retry_after_s=seconds):
                self.unavailable(now, seconds)
            case Hold():
                self.unavailable(now, None)
            case Ambiguous():
                self.unanswered(now)
            case None if fruitless:
                self.unanswered(now)
            case RefusedWhole() | TooLarge():
                pass  # whose fault that is, the next batches will tell
            case _:
                self.answered()
