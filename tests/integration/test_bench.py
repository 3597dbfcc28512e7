"""``hocba bench`` runs each variant in its turn, to its end, and tells of it in JSON.

No figure is judged here: the machine is shared, and the records are few.
"""

import json

import pytest
from typer.testing import CliRunner

from gateway.ops.cli import app

SHAPE = {"stage", "variant", "records", "seconds", "records_per_second", "cpu_seconds", "records_per_core_second"}
RECORDS = 600


@pytest.mark.servers
@pytest.mark.proof
@pytest.mark.parametrize(
    ("stage", "variants"), [("intake", ["secondary-full", "year-1.7k"]), ("deliver", ["batch-500", "single"])]
)
def test_a_short_run_tells_of_each_variant(stage: str, variants: list[str]) -> None:
    arguments = ["bench", stage, "--records", str(RECORDS), "--json"]
    ended = CliRunner().invoke(app, arguments, catch_exceptions=False)

    assert ended.exit_code == 0
    figures = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(one["stage"], one["variant"]) for one in figures] == [(stage, variant) for variant in variants]
    for one in figures:
        assert one.keys() >= SHAPE
        assert 0 < one["records"] <= RECORDS
        assert one["cpu_seconds"] > 0
        assert one["records_per_second"] == pytest.approx(one["records"] / one["seconds"], rel=0.01)
