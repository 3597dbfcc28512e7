"""Dated tables: what they replace, from which day on, and every fault of theirs."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gateway.edges.connector_files import load_connectors, load_reference, read_files
from gateway.intake import Items, Rejected
from gateway.intake.connector import compile_connector
from gateway.intake.language import ConnectorFaults
from gateway.intake.reference import NO_TABLES, Reference, day_of, province_today, school_on, settle
from gateway.intake.reference_tables import read_reference
from gateway.sandbox.payloads import vnedu_message, vnedu_row
from tests.unit.intake.loaded import CONNECTORS, PLACE, PUBLISHED_MS, codes, mapped, row, secondary

SCHOOLS = "old_code,new_code,since\n"
CLASSES = "school_code,school_year,class_name,written_as\n"
COMMUNES = "old_code,old_name,new_code,new_name,since\n"
TODAY = date(2026, 6, 1)


def tables(**texts: str) -> Reference:
    return read_reference({f"reference/{name}.csv": text for name, text in texts.items()})


def faults(**texts: str) -> list[str]:
    with pytest.raises(ConnectorFaults) as caught:
        tables(**texts)
    return [str(fault) for fault in caught.value.faults]


def told(body: dict[str, Any], known: Reference = NO_TABLES, day: date = TODAY) -> list[str]:
    return [f"{problem.code}:{problem.field}" for problem in settle(body, known, day)]


def test_a_school_code_is_followed_to_the_code_of_the_day() -> None:
    known = tables(schools=SCHOOLS + "79999502,79999503,2025-08-01\n79999501,79999502,2023-08-01\n")

    assert school_on(known, "79999501", date(2023, 7, 31)) == "79999501"
    assert school_on(known, "79999501", date(2023, 8, 1)) == "79999502"
    assert school_on(known, "79999501", date(2025, 8, 1)) == "79999503"
    assert school_on(known, "79999509", TODAY) == "79999509"


def test_a_class_of_no_table_a_known_a_rewritten_and_an_unknown_one() -> None:
    known = tables(classes=CLASSES + "79999501,2025-2026,8A1,Lớp 8/1\n")
    place = {"school_code": "79999501", "school_year": "2025-2026"}
    bodies = [place | {"class_name": name} for name in ("8A1", "LỚP 8/1", "8A9")]

    assert [told(body, known) for body in bodies] == [[], ["DQ-28:class_name"], ["DQ-28:class_name"]]
    assert [body["class_name"] for body in bodies] == ["8A1", "8A1", "8A9"]
    assert told(place | {"school_year": "2024-2025", "class_name": "8A9"}, known) == []
    assert told(dict(place), known) == []


def test_an_old_commune_becomes_the_new_one_from_its_day_on() -> None:
    known = tables(communes=COMMUNES + "79981,Phường Mẫu Cũ,79991,Phường Mẫu,2025-07-01\n")
    body: dict[str, Any] = {"school_commune_code": "79981", "school_commune_name": "PHƯỜNG MẪU CŨ"}

    assert told(body, known, date(2025, 6, 30)) == []
    assert told(body, known, date(2025, 7, 1)) == ["DQ-29:school_commune_code"]
    assert body == {"school_commune_code": "79991", "school_commune_name": "Phường Mẫu"}
    assert told(body, known) == []


def test_another_name_beside_an_old_commune_code_stays() -> None:
    known = tables(communes=COMMUNES + "79981,Phường Mẫu Cũ,79991,Phường Mẫu,2025-07-01\n")
    body: dict[str, Any] = {"school_commune_code": "79981", "school_commune_name": "Phường Khác"}

    assert told(body, known) == ["DQ-29:school_commune_code"]
    assert body["school_commune_name"] == "Phường Khác"


def test_a_commune_that_keeps_its_code_is_no_change() -> None:
    assert tables(communes=COMMUNES + "79981,Xã Mẫu,79981,Xã Mẫu,2025-07-01\n").communes == {}


@pytest.mark.parametrize(
    ("name", "code", "becomes", "found"),
    [
        ("Tỉnh Bình Dương", "79", "Thành phố Hồ Chí Minh", 1),
        ("BÌNH DƯƠNG", "79", "Thành phố Hồ Chí Minh", 1),
        ("TP. Hồ Chí Minh", "79", "TP. Hồ Chí Minh", 0),
        ("Tỉnh Hà Giang", "79", "Tỉnh Hà Giang", 1),
        ("Hà Giang", None, "Tỉnh Tuyên Quang", 1),
        ("Tỉnh Lào Cai", "15", "Tỉnh Lào Cai", 0),
        ("Tỉnh Yên Bái", "15", "Tỉnh Lào Cai", 1),
        ("Nơi Mẫu", "79", "Nơi Mẫu", 0),
    ],
)
def test_the_name_of_a_merged_province(name: str, code: str | None, becomes: str, found: int) -> None:
    body: dict[str, Any] = {"school_province_name": name, "school_province_code": code}

    assert told(dict(body), day=date(2025, 6, 30)) == []
    assert told(body) == ["DQ-29:school_province_name"] * found
    assert body["school_province_name"] == becomes


def test_every_old_province_leads_to_one_of_today() -> None:
    assert province_today("Thừa Thiên Huế") == ("46", "Thành phố Huế")
    assert province_today("Huế") is None


def test_days_are_those_of_vietnam() -> None:
    assert day_of(1_780_246_799_999) == date(2026, 5, 31)
    assert day_of(1_780_246_800_000) == date(2026, 6, 1)


def test_every_fault_of_every_table_is_named_with_its_line() -> None:
    found = faults(
        schools=SCHOOLS + "79999501,,2025-08-01\n79999501,79999502,soon\n1,2,2025-01-01\n2,1,2025-01-01\n",
        classes=CLASSES + "79999501,2025,8A1,\n79999501,2025-2026,12345678901,\n"
        "79999501,2025-2026,8A1,x\n79999501,2025-2026,8A2,x\n",
        communes=COMMUNES + "7998,Xã Mẫu,79991,Xã Mẫu,2025-07-01,too,much\n79981,Xã Mẫu,79991,Xã Mẫu,\n",
        provinces="a,b\n",
    )

    assert found == [
        "reference/classes.csv:2: school_year: must be a school year YYYY-YYYY",
        "reference/classes.csv:3: class_name: has more than 10 characters",
        "reference/classes.csv:5: written_as: already means another class of this school",
        "reference/communes.csv:2: has more cells than columns",
        "reference/communes.csv:2: old_code: must have five digits",
        "reference/communes.csv:3: since: is empty",
        "reference/provinces.csv:0: is no table; the tables are schools.csv, classes.csv, communes.csv",
        "reference/schools.csv:2: new_code: is empty",
        "reference/schools.csv:3: old_code: stands twice: one code has one successor",
        "reference/schools.csv:3: since: must be a date YYYY-MM-DD",
        "reference/schools.csv:4: new_code: leads back to its own old code",
        "reference/schools.csv:5: new_code: leads back to its own old code",
    ]


def test_a_table_without_its_columns_is_refused() -> None:
    assert faults(schools="old,new\n") == [
        "reference/schools.csv:1: the columns must be old_code, new_code, since",
    ]


def test_a_chain_into_somebody_elses_circle_is_only_the_circles_fault() -> None:
    text = SCHOOLS + "3,1,2025-01-01\n1,2,2025-01-01\n2,1,2025-01-01\n"

    assert [fault.split(":")[1] for fault in faults(schools=text)] == ["3", "4"]


def test_the_repositorys_sample_tables_are_in_order() -> None:
    known = load_reference(CONNECTORS / "reference")

    assert known.schools
    assert known.classes
    assert known.communes


def test_a_cancel_under_an_old_school_code_is_taken_for_the_new_one() -> None:
    cancel = vnedu_row(secondary(), version=7, event="CANCEL") | {"ma_truong": "79999512"}
    late, early = mapped(cancel), mapped(cancel | {"thoi_gian_cap_nhat": "2025-07-31T23:59:59+07:00"})

    assert (late.school_code, codes(late)) == ("79999513", ["DQ-28:school_code"])
    assert (early.school_code, codes(early)) == ("79999512", [])


def test_a_successor_that_is_not_the_vendors_is_still_not_authorised() -> None:
    known = tables(schools=SCHOOLS + "79999501,79999999,2025-08-01\n")
    connector = compile_connector(read_files(CONNECTORS, "vnedu_flat_thcs"), known)

    outcome = connector.process(vnedu_message([row(1, ma_truong="79999501")]), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    (item,) = outcome.items
    assert isinstance(item, Rejected)
    assert [(problem.code, connector.severity(problem)) for problem in item.problems] == [
        ("DQ-28", "warn"),
        ("DQ-28", "reject"),
    ]


def test_an_installation_without_tables_knows_nothing(tmp_path: Path) -> None:
    assert load_reference(tmp_path / "reference") == NO_TABLES


def test_a_faulty_table_stops_every_connector(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "schools.csv").write_bytes(b"\xff")
    with pytest.raises(ConnectorFaults, match="is not UTF-8"):
        load_connectors(tmp_path)
    (tmp_path / "reference" / "schools.csv").unlink()
    (tmp_path / "reference" / "schools.csv").mkdir()
    with pytest.raises(ConnectorFaults, match="cannot be read"):
        load_connectors(tmp_path)
