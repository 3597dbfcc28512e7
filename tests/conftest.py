"""What every test shares: the embedded servers, and Hypothesis profiles (ci: derandomized, without shrinking)."""

import os

from hypothesis import HealthCheck, Phase, settings

pytest_plugins = ["tests.servers"]

settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
