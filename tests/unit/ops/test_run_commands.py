"""What `hocba run` accepts, and what it tells when it does not."""

from pathlib import Path

import pytest

from gateway.config import load_config
from gateway.errors import GatewayError
from gateway.ops.run_commands import stages_asked

CONFIG = load_config(Path(__file__).parents[3] / "gateway.yaml", {})


def test_no_stage_or_all_means_every_stage_in_the_order_of_the_way() -> None:
    every = ["intake", "identity", "deliver:sector", "deliver:population", "tower"]

    assert stages_asked(CONFIG, []) == every
    assert stages_asked(CONFIG, ["tower", "all"]) == every
    assert stages_asked(CONFIG, ["tower", "intake"]) == ["intake", "tower"]


def test_an_unknown_stage_is_named_with_those_that_exist() -> None:
    with pytest.raises(GatewayError, match=r"deliver:moon.*deliver:sector, deliver:population"):
        stages_asked(CONFIG, ["intake", "deliver:moon"])
