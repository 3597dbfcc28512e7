"""What the worker makes of a contract's limits: no request outlives half of the lease."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.config import load_config
from gateway.edges.target_contract import Contract, load_contract
from gateway.workers.delivery import request_s, settings_of
from tests.fakes.simulator import ROOT


def population() -> Contract:
    return load_contract(ROOT / "targets/population.yaml", {})


def test_a_lease_that_cuts_the_contracts_time_is_told_with_both_numbers() -> None:
    with capture_logs() as lines:
        bound_s = request_s("population", population(), 10.0)

    assert bound_s == 5.0
    assert [(line["log_level"], line["request_s"], line["contract_total_s"]) for line in lines] == [("warning", 5, 30)]


def test_a_long_lease_leaves_the_contracts_time_without_a_word() -> None:
    with capture_logs() as lines:
        bound_s = request_s("population", population(), 600.0)

    assert (bound_s, lines) == (30.0, [])


@pytest.mark.parametrize("name", ["population", "sector"])
def test_the_shipped_lease_cuts_no_shipped_contract(name: str) -> None:
    lease_s = load_config(ROOT / "gateway.yaml", {}).delivery.lease_s
    contract = load_contract(ROOT / f"targets/{name}.yaml", {})

    assert request_s(name, contract, lease_s) == contract.timeouts.total_s


@pytest.mark.parametrize(("named", "in_flight"), [("", 4), ("packets_in_flight: 40\n", 40)])
def test_a_contract_says_how_many_packets_a_portal_may_have_at_work(tmp_path: Path, named: str, in_flight: int) -> None:
    path = tmp_path / "sector.yaml"
    path.write_text((ROOT / "targets/sector.yaml").read_text() + named)

    assert settings_of(load_contract(path, {}), load_config(ROOT / "gateway.yaml", {})).packets_in_flight == in_flight
