"""A faulty configuration stops the start with every fault at once: file, line and candidates."""

from pathlib import Path

import pytest

from gateway.config import ConfigFaults, load_config, variables

GOOD = """\
slots: 4
kafka: {bootstrap_servers: "${HOCBA_KAFKA:-localhost:9092}"}
ledger: {url: "${HOCBA_LEDGER}"}
keys_file: keys.json
state_dir: state
registry: {url: http://localhost:8081, credentials_file: registry.json}
targets:
  sector: {contract: targets/sector.yaml, url: http://localhost:8082, credentials_file: sector.json}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_good_file_is_typed_and_filled_from_the_environment(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD), {"HOCBA_LEDGER": "postgresql://ledger"})

    assert config.slots == 4
    assert config.kafka.bootstrap_servers == "localhost:9092"
    assert config.ledger.url == "postgresql://ledger"
    assert config.targets["sector"].contract == "targets/sector.yaml"
    assert variables(GOOD) == {"HOCBA_KAFKA", "HOCBA_LEDGER"}


@pytest.mark.parametrize("hosts", ["[localhost]", '["localhost:8081", "localhost:8082"]'])
def test_urls_whose_hosts_are_allowed_are_taken(tmp_path: Path, hosts: str) -> None:
    config = load_config(written(tmp_path, GOOD + f"outbound: {hosts}\n"), {"HOCBA_LEDGER": "postgresql://ledger"})

    assert config.targets["sector"].url == "http://localhost:8082"


def test_every_url_whose_host_is_not_allowed_stops_the_start(tmp_path: Path) -> None:
    text = (
        GOOD + 'outbound: ["localhost:8081", portal.example]\nschema_registry_url: http://user:pw@elsewhere.example/x\n'
    )

    with pytest.raises(ConfigFaults) as caught:
        load_config(written(tmp_path, text), {"HOCBA_LEDGER": "postgresql://ledger"})

    rest = "is not among the hosts of outbound: localhost:8081, portal.example"
    assert [(fault.line, fault.path, fault.text) for fault in caught.value.faults] == [
        (10, "schema_registry_url", f"elsewhere.example {rest}"),
        (8, "targets.sector.url", f"localhost {rest}"),
    ]


def test_every_fault_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("slots: 4", "slots: none").replace("keys_file:", "key_file:").replace("state_dir: state\n", "")

    with pytest.raises(ConfigFaults) as caught:
        load_config(written(tmp_path, text), {"HOCBA_LEDGERS": "x"})

    lines = [str(fault).removeprefix(f"{tmp_path}/gateway.yaml") for fault in caught.value.faults]
    assert len(lines) == 5
    assert lines[0].startswith(":1: slots: ")
    assert lines[1] == ":3: ledger.url: environment variable HOCBA_LEDGER is not set; similar: HOCBA_LEDGERS"
    assert lines[2] == ":4: key_file: unknown key; did you mean keys_file?"
    assert {line.split(": ")[1] for line in lines[3:]} == {"keys_file", "state_dir"}


@pytest.mark.parametrize(("text", "fault"), [("", "is empty"), ("- 1\n", "mapping"), ("a: [1\n", "is not YAML")])
def test_a_file_of_another_shape_is_one_clear_fault(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigFaults, match=fault):
        load_config(written(tmp_path, text), {})


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaults, match="cannot be read"):
        load_config(tmp_path / "absent.yaml", {})


def test_a_population_link_names_its_officer_and_procedure_or_is_refused(tmp_path: Path) -> None:
    link = "\nidentity: {links: {population: {url: u, credentials_file: f, procedure_code: P, officer_code: ''}}}\n"

    with pytest.raises(ConfigFaults) as caught:
        load_config(written(tmp_path, GOOD + link), {"HOCBA_LEDGER": "postgresql://ledger"})
    good = load_config(written(tmp_path, GOOD + link.replace("''", "o")), {"HOCBA_LEDGER": "postgresql://ledger"})

    assert [fault.path for fault in caught.value.faults] == ["identity.links.population.officer_code"]
    assert (good.identity.links["population"].transport, good.identity.links["population"].rate_per_s) == ("ndxp", 5.0)
