"""A target's contract file is read strictly, and all of its faults are reported at once."""

from pathlib import Path

import pytest

from gateway.config import ConfigFaults
from gateway.edges.target_contract import load_contract, read_credentials

ROOT = Path(__file__).resolve().parents[3]
POPULATION = (ROOT / "targets/population.yaml").read_text()
SECTOR = (ROOT / "targets/sector.yaml").read_text()


def faults_of(folder: Path, text: str) -> list[str]:
    path = folder / "target.yaml"
    path.write_text(text)
    with pytest.raises(ConfigFaults) as caught:
        load_contract(path, {})
    return [f"{fault.line} {fault.path}" for fault in caught.value.faults]


@pytest.mark.parametrize("name", ["population", "sector"])
def test_the_contracts_of_this_repository_are_sound(name: str) -> None:
    assert load_contract(ROOT / f"targets/{name}.yaml", {}).name == name


def test_every_fault_is_reported_with_its_line(tmp_path: Path) -> None:
    text = POPULATION.replace("concurrency: 4", "concurrency: 0").replace("age_ms: 50", "age: 50")
    text = text.replace('"429": slow_down', '"429": faster').replace("update: replace", "update: perhaps")

    found = faults_of(tmp_path, text)

    lines = text.splitlines()
    wanted = [
        ("batch: {", "batch.age"),
        ("batch: {", "batch.age_ms"),
        ("concurrency", "concurrency"),
        ('  "429"', "http.429"),
        ("update:", "update"),
    ]
    assert found == [
        f"{next(n for n, line in enumerate(lines, 1) if line.startswith(start))} {path}" for start, path in wanted
    ]


def test_what_types_cannot_say_is_checked_too(tmp_path: Path) -> None:
    text = (
        SECTOR.replace("{key}/results", "results")
        .replace('"200": answers', '"2xx": answers')
        .replace("cap_s: 60", "cap_s: 0.1")
    )
    text = text.replace("total_s: 30", "total_s: 1").replace("{key}?muc", "{key}/{pupil}?muc")

    assert {line.split()[1] for line in faults_of(tmp_path, text)} == {
        "http.2xx",
        "retry.cap_s",
        "timeouts.total_s",
        "paths.results",
        "paths.submit",
    }


@pytest.mark.parametrize("text", ["", "kind: carrier-pigeon", "[1, 2]", "kind: [", "name: x"])
def test_a_file_that_is_no_contract_is_one_fault(tmp_path: Path, text: str) -> None:
    assert len(faults_of(tmp_path, text)) == 1


def test_credentials_open_to_others_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.write_text('{"token": "t"}')
    path.chmod(0o640)
    with pytest.raises(ConfigFaults, match="0600"):
        read_credentials(path)
    path.chmod(0o600)

    assert read_credentials(path) == {"token": "t"}
