"""The whole way on real servers with one command: a small run through light faults adds up and ends 0."""

import json
import subprocess
import sys
from typing import Any

import pytest

STATES = {
    "accepted", "superseded", "duplicate", "rejected", "nothing_to_cancel", "discarded", "parked", "waiting",
}  # fmt: skip
RECORDS = 800


def hocba(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from gateway.ops.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.servers
def test_a_run_with_kills_and_faults_reconciles_before_and_after_its_repair() -> None:
    done = hocba("demo", "--records", str(RECORDS), "--faults", "light", "--seed", "11", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)

    assert "kill -9" in done.stderr
    for reckoning in (told, told["before_repair"]):
        assert (reckoning["lost"], reckoning["duplicate_effects"], reckoning["unified_duplicates"]) == (0, 0, 0)
        assert set(reckoning["targets"]) == {"sector", "population"}
        for states in reckoning["targets"].values():
            assert set(states) == STATES
            assert sum(states.values()) == reckoning["produced"] >= RECORDS
    assert told["before_repair"]["targets"]["sector"]["waiting"] > 0
    assert told["targets"]["sector"]["discarded"] > 0
    parked = [reckoning["targets"]["sector"]["parked"] for reckoning in (told["before_repair"], told)]
    assert parked[0] > parked[1]
