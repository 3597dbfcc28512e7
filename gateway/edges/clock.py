"""The only place that reads clocks and throws dice; everything else is handed the result."""

import random
import time
from datetime import UTC, datetime


def monotonic_s() -> float:
    """Seconds that never go backwards, for waits and leases."""
    return time.monotonic()


def now_ms() -> int:
    """Wall-clock milliseconds since 1970, for receipts; never for order."""
    return time.time_ns() // 1_000_000


def now() -> datetime:
    """The present instant in UTC."""
    return datetime.now(tz=UTC)


def dice() -> float:
    """A number in [0, 1) for jitter."""
    return random.random()  # noqa: S311  jitter, not a secret
