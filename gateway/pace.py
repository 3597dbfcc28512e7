"""How fast an upstream may be asked.  No clock, no I/O."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """A rate without bursts: each taking is spaced from the one before by what that one cost."""

    rate_per_s: float
    free_at_s: float = 0.0

    def busy_s(self, cost: float, now_s: float) -> float:
        """Seconds until *cost* could have been spent in full, if nothing else came."""
        return self.wait_s(now_s) + cost / self.rate_per_s

    def wait_s(self, now_s: float) -> float:
        """Seconds until anything may be spent."""
        return max(0.0, self.free_at_s - now_s)

    def reserve_s(self, cost: float, now_s: float) -> float:
        """Seconds until *cost* may be spent; it is spent."""
        start_s = max(now_s, self.free_at_s)
        self.free_at_s = start_s + cost / self.rate_per_s
        return start_s - now_s
