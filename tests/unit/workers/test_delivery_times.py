"""How long a request to a target may take: its contract's time, but never longer than half of the lease."""

import pytest
from structlog.testing import capture_logs

from gateway.config import load_config
from gateway.edges.target_contract import Contract, load_contract
from gateway.workers.delivery import request_s
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
