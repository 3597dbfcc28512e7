"""Every planted fault of the synthetic samples has its handling in a case, and the samples themselves are cases.

The table is `samples.yaml`.  The samples are abridged: as they are, each lacks mandatory fields (DQ-33); completed,
they end as their README says.
"""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.intake.loaded import CONNECTORS

GIVEN = {
    "vnedu_flat_thcs/01": "1004b7fe46bb73ce2e04bcd7da86b71bf193f9f4c237504f369630b31fc66b87",
    "smas_nested/01": "e19ebe6a14fac9fced5859459a522dc126eff5b7777b74e7440db33923a92bfd",
    "hocba_xml_primary/01": "348f468ce02d41eefcbc09456ff69a2f1631af4af9ae33334de453092d61e5f5",
    "hocba_xml_thcs/01": "e72f08979f1a0e318f198354bb4e050001bd5b8e983a61dcbc25eb8b60786c33",
    "emis_avro_primary/01": "7b9711b9d4d023769066730a3e8589427730f804031e34174e27f2c09e6c6221",
    "legacy_csv_primary/01": "6087e1586bf0d57df70295a65c5b3490dbe5f0bcf7578ac16946ac57249271ca",
    "vnedu_flat_thcs/03": "a2c3c4232bdcdab55eb916249d1ddbb0ff35853dc42a9156bdc5e820baee6281",
    "smas_nested/22": "a2c3c4232bdcdab55eb916249d1ddbb0ff35853dc42a9156bdc5e820baee6281",
}
"""Case → SHA-256 of the sample it is a copy of."""


class Planted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the table."""

    sample: str
    place: str
    planted: str
    case: str
    item: int
    items: int | None = None
    """How many results the case has."""
    outcome: str
    codes: list[str]
    values: dict[str, Any] = {}
    then: str = ""


def table() -> list[Planted]:
    return msgspec.yaml.decode((Path(__file__).parent / "samples.yaml").read_bytes(), type=list[Planted])


@cache
def results(case: str) -> list[dict[str, Any]]:
    connector, number = case.split("/")
    (file,) = (CONNECTORS / connector / "cases").glob(f"{number}-*.expected.json")
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return found


def value_at(result: Any, path: str) -> object:
    """The value at a dotted path, whole numbers being places in a list; None where nothing stands."""
    for name in path.split("."):
        result = result[int(name)] if isinstance(result, list) else (result or {}).get(name)
    return result


@pytest.mark.parametrize("planted", table(), ids=lambda row: f"{row.sample}, {row.place}, {row.case}")
def test_a_planted_fault_is_handled_as_expected(planted: Planted) -> None:
    found = results(planted.case)
    result = found[planted.item]

    assert planted.items in {None, len(found)}
    assert result["outcome"] == planted.outcome
    assert sorted({problem["code"] for problem in result["problems"]}) == planted.codes
    assert {path: value_at(result, path) for path in planted.values} == planted.values


@pytest.mark.parametrize("case", GIVEN)
def test_a_sample_is_a_case_byte_for_byte(case: str) -> None:
    connector, number = case.split("/")
    (file,) = (CONNECTORS / connector / "cases").glob(f"{number}-*.input.*")

    assert hashlib.sha256(file.read_bytes()).hexdigest() == GIVEN[case]


@pytest.mark.parametrize("case", [case for case in GIVEN if case.endswith("/01")])
def test_the_abridged_samples_lack_mandatory_fields(case: str) -> None:
    for result in results(case):
        codes = {problem["code"] for problem in result["problems"]}
        event = (result["record"] or {}).get("event_type")

        assert event == "CANCEL" or "DQ-52" in codes or (result["outcome"] == "rejected" and "DQ-33" in codes)


@pytest.mark.parametrize("case", ["hocba_xml_primary/02", "hocba_xml_thcs/02"])
def test_signed_bytes_go_on_untouched(case: str) -> None:
    connector, number = case.split("/")
    (file,) = (CONNECTORS / connector / "cases").glob(f"{number}-*.input.xml")

    assert results(case)[0]["record"]["evidence"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
