"""What every test shares: the embedded servers, and Hypothesis profiles.

dev shrinks; ci is derandomized, without shrinking; hunt (HYPOTHESIS_PROFILE=hunt) is random and many.
"""

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
settings.register_profile(
    "hunt", deadline=None, phases=[Phase.explicit, Phase.generate], max_examples=300, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
