"""What `hocba keys new` makes, and what it leaves alone."""

import json
from pathlib import Path

from typer.testing import CliRunner

from gateway.edges.keys import load_keys
from gateway.errors import GatewayError
from gateway.ops.keys_commands import app


def test_new_keys_are_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = CliRunner().invoke(app, ["new", str(path)])
    first = path.read_bytes()
    again = CliRunner().invoke(app, ["new", str(path)])
    told = CliRunner().invoke(app, ["new", str(path), "--if-missing", "--json"])
    left = CliRunner().invoke(app, ["new", str(path), "--if-missing"])

    assert made.exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(told.output) == {"keys_file": str(path), "made": False}
    assert load_keys(path)
    assert isinstance(again.exception, GatewayError)
    assert left.exit_code == 0
    assert path.read_bytes() == first
