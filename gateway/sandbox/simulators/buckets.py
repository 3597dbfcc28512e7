"""The rate limit of a simulated upstream."""


class Bucket:
    """A token bucket of one second's worth of what is counted."""

    def __init__(self, rate_per_s: float, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._level = max(1.0, rate_per_s)
        self._at_s = now_s

    def wait_s(self, now_s: float, cost: float = 1.0) -> float:
        """0 when *cost* may pass now (and is counted), else the seconds to wait."""
        self._level = min(max(1.0, self._rate_per_s), self._level + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s
        if self._level < cost:
            return (cost - self._level) / self._rate_per_s
        self._level -= cost
        return 0.0
