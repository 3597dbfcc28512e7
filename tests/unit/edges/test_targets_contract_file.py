"""A target's contract file is read strictly, and all of its faults are reported at once."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.config import ConfigFaults
from gateway.delivery.calendar import closed_s
from gateway.edges.target_contract import calendar_of, load_contract, read_credentials

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


def test_a_path_that_names_another_host_is_a_fault(tmp_path: Path) -> None:
    text = SECTOR.replace("  upload: /", "  upload: //elsewhere.example/").replace(
        "  path: /", "  path: http://x.example/"
    )

    assert {line.split()[1] for line in faults_of(tmp_path, text)} == {"auth.path", "paths.upload"}


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


def test_faults_of_types_words_and_sense_are_told_together_with_candidates(tmp_path: Path) -> None:
    text = SECTOR.replace("kind: oauth_password", "kind: oauth_passwort").replace(
        '"429": slow_down', '"429": slow_donw'
    )
    text = text.replace("idempotency: [key, version]", "idempotency: []").replace(
        "{key}/results", "{kee}/{key}/results"
    )
    text = text.replace("MAU-L07: school,", "MAU-L06: school,").replace("open_s: 2", "open_s: 2, open_s: 3")
    text += "maintenance: [{since: '22:00', until: '25:00'}]\ntls: {certificate: c}\n"
    path = tmp_path / "target.yaml"
    path.write_text(text)
    with pytest.raises(ConfigFaults) as caught:
        load_contract(path, {})
    found = {fault.path: (text.splitlines()[fault.line - 1].strip(), fault.text) for fault in caught.value.faults}

    assert {name: line.partition(":")[0] for name, (line, _) in found.items()} == {
        "auth": "kind",
        "paths.results": "results",
        "http.429": '"429"',
        "categories.MAU-L06": "categories",
        "idempotency": "idempotency",
        "breaker.open_s": "breaker",
        "maintenance[0].until": "maintenance",
        "tls.private_key": "tls",
    }
    assert found["auth"][1].endswith("did you mean oauth_password?")
    assert found["http.429"][1].endswith("did you mean slow_down?")
    assert found["paths.results"][1] == "does not know {kee}; candidates: key"


def test_an_immediate_target_without_fences_needs_a_query_and_knows_no_two_step_update(tmp_path: Path) -> None:
    text = POPULATION.replace("idempotency: [key, version]", "idempotency: []")
    text = text.replace("update: replace", "update: revoke_then_register")

    assert [line.split()[1] for line in faults_of(tmp_path, text)] == ["idempotency", "update"]
    mended = text.replace("revoke_then_register", "replace") + "query: {path: /q, ids: ids, settle_s: 2}\n"
    (tmp_path / "target.yaml").write_text(mended)
    assert load_contract(tmp_path / "target.yaml", {}).idempotency == ()


@pytest.mark.parametrize("path", ["//evil.example/x", "https://evil.example/x", "q"])
def test_a_question_goes_to_the_target_and_nowhere_else(tmp_path: Path, path: str) -> None:
    text = POPULATION + f"query: {{path: '{path}', ids: ids, settle_s: 2}}\n"

    assert [line.split()[1] for line in faults_of(tmp_path, text)] == ["query.path"]


@pytest.mark.parametrize(
    ("windows", "where"),
    [
        ("{since: '00:00', until: '00:00'}", "maintenance"),
        ("{since: '22:00', until: '06:00'}, {since: '05:30', until: '22:00'}", "maintenance"),
        ("{since: '00:00', until: '00:00', days: [mon, tue, wed, thu, fri]}, {since: '23:00', until: '23:00', days: "
         "[fri, sat]}, {since: '22:59', until: '00:00', days: [sun]}", "maintenance"),
        ("{since: 2026-12-31T22:00, until: 2027-01-01T06:00, days: [thu]}", "maintenance[0].days"),
    ],
)  # fmt: skip
def test_a_window_that_never_ends_or_says_two_things_is_a_fault(tmp_path: Path, windows: str, where: str) -> None:
    assert [line.split()[1] for line in faults_of(tmp_path, POPULATION + f"maintenance: [{windows}]\n")] == [where]


@pytest.mark.parametrize(
    "windows",
    [
        "{since: '00:00', until: '23:59'}",
        "{since: '22:00', until: '06:00'}, {since: '06:01', until: '22:00'}",
        "{since: '00:00', until: '00:00', days: [mon, tue, wed, thu, fri, sat]}",
    ],
)
def test_a_target_that_is_open_for_a_minute_is_open(tmp_path: Path, windows: str) -> None:
    path = tmp_path / "target.yaml"
    path.write_text(POPULATION + f"maintenance: [{windows}]\n")

    assert load_contract(path, {}).maintenance


def test_a_week_that_cannot_be_read_is_the_fault_of_its_days_alone(tmp_path: Path) -> None:
    text = POPULATION + "maintenance: [{since: '00:00', until: '00:00', days: sat}]\n"

    assert [line.split()[1] for line in faults_of(tmp_path, text)] == ["maintenance[0].days"]


def test_only_packets_are_asked_for_later_answers(tmp_path: Path) -> None:
    text = POPULATION.replace("RETRY: retry", "RETRY: pending").replace("MAU-L06: duplicate", "MAU-L06: pending")

    assert [line.split()[1] for line in faults_of(tmp_path, text)] == ["results.RETRY", "codes.MAU-L06"]


def test_only_packets_may_be_in_flight(tmp_path: Path) -> None:
    assert [line.split()[1] for line in faults_of(tmp_path, POPULATION + "packets_in_flight: 4\n")] == [
        "packets_in_flight"
    ]
    assert [line.split()[1] for line in faults_of(tmp_path, SECTOR + "packets_in_flight: 0\n")] == ["packets_in_flight"]


def test_the_maintenance_calendar_is_in_vietnams_time(tmp_path: Path) -> None:
    path = tmp_path / "target.yaml"
    windows = "{since: '22:00', until: '02:00', days: [sat]}, {since: 2026-12-31T00:00, until: 2027-01-02T12:00}"
    path.write_text(POPULATION + f"maintenance: [{windows}]\n")

    calendar = calendar_of(load_contract(path, {}))
    closed = [closed_s(calendar, ms(text)) for text in ("2026-11-28T15:30", "2026-11-28T19:30", "2026-12-31T05:00")]
    assert closed == [3.5 * 3600, 0.0, 2 * 86400.0]


def ms(utc: str) -> int:
    return int(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp() * 1000)
