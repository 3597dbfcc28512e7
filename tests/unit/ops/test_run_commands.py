"""What `hocba run` and `hocba keys new` accept, and what they tell when they do not."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.config import load_config
from gateway.edges.keys import load_keys
from gateway.errors import GatewayError
from gateway.ops.run_commands import register, stages_asked

CONFIG = load_config(Path(__file__).parents[3] / "gateway.yaml", {})


def app() -> typer.Typer:
    made = typer.Typer()
    register(made)
    return made


def test_no_stage_or_all_means_every_stage_in_the_order_of_the_way() -> None:
    every = ["intake", "identity", "deliver:sector", "deliver:population", "tower"]

    assert stages_asked(CONFIG, []) == every
    assert stages_asked(CONFIG, ["tower", "all"]) == every
    assert stages_asked(CONFIG, ["tower", "intake"]) == ["intake", "tower"]


def test_an_unknown_stage_is_named_with_those_that_exist() -> None:
    with pytest.raises(GatewayError, match=r"deliver:moon.*deliver:sector, deliver:population"):
        stages_asked(CONFIG, ["intake", "deliver:moon"])


def test_new_keys_are_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = CliRunner().invoke(app(), ["keys", "new", str(path)])
    first = path.read_bytes()
    again = CliRunner().invoke(app(), ["keys", "new", str(path)])
    told = CliRunner().invoke(app(), ["keys", "new", str(path), "--if-missing", "--json"])
    left = CliRunner().invoke(app(), ["keys", "new", str(path), "--if-missing"])

    assert made.exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(told.output) == {"keys_file": str(path), "made": False}
    assert load_keys(path)
    assert isinstance(again.exception, GatewayError)
    assert left.exit_code == 0
    assert path.read_bytes() == first
