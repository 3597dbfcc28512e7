"""What the tests of delivery's way out share."""

from collections.abc import Iterator

import pytest

from gateway.workers import delivery_limit
from tests.fakes.simulated_loop import SimulatedLoop


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedLoop]:
    """Simulated time, which the limit reads too."""
    made = SimulatedLoop()
    monkeypatch.setattr(delivery_limit, "monotonic_s", made.time)
    yield made
    made.end()
