"""Component marks from a vendor's message to SR-1, and options of the rules in connector.yaml, through a connector."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.edges.connector_files import load_connectors
from gateway.intake import Connector, ConnectorFaults, Items, Mapped, Rejected
from gateway.national import codec
from gateway.sandbox.payloads import vnedu_message
from tests.unit.intake.loaded import CONNECTORS, PLACE, PUBLISHED_MS, codes, rejected, row

RULES = """\
    regular_1_term1: {from: "{key}_tx1", via: [secondary_mark]}
    regular_2_term1: {from: "{key}_tx2", via: [secondary_mark]}
    midterm_term1: {from: "{key}_gk", via: [secondary_mark]}
    final_term1: {from: "{key}_ck", via: [secondary_mark]}
    periods_a_year: "{key}_so_tiet"
"""
MARKS = {"toan_tx1": "7,0", "toan_tx2": "8,0", "toan_gk": "7,5", "toan_ck": "8,0", "toan_so_tiet": "35"}
"""(7 + 8 + 2 × 7.5 + 3 × 8) : 7 = 7.714…"""

Copy = Callable[[str, str], Connector]


@pytest.fixture
def changed(tmp_path: Path) -> Copy:
    """Loads a copy of the flat connector with text added to one of its files."""

    def load(file: str, text: str) -> Connector:
        copy = tmp_path / "vnedu_flat_thcs"
        shutil.copytree(CONNECTORS / "vnedu_flat_thcs", copy)
        place = copy / file
        old, _, new = text.partition("→")
        place.write_text(place.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        return load_connectors(tmp_path)["vnedu_flat_thcs"]

    return load


ADDED = f"    mark_retest: →{RULES}    mark_retest: "


def only(connector: Connector, **changes: object) -> Mapped | Rejected:
    outcome = connector.process(vnedu_message([row(1, **changes)]), PLACE, PUBLISHED_MS)
    assert isinstance(outcome, Items)
    (item,) = outcome.items
    assert isinstance(item, Mapped | Rejected)
    return item


def sr_1(item: Mapped | Rejected) -> list[str]:
    assert isinstance(item, Mapped)
    return [problem.field for problem in item.warnings if problem.rule == "SR-1"]


def test_a_term_mark_that_is_not_its_average_warns_and_no_component_reaches_the_record(changed: Copy) -> None:
    connector = changed("mappings/subjects.yaml", ADDED)
    right, wrong = only(connector, **MARKS, toan_hk1="7,7"), only(connector, **MARKS, toan_hk1="7,8")

    assert sr_1(right) == []
    assert sr_1(wrong) == ["subjects[15].mark_term1"]
    assert isinstance(wrong, Mapped)
    assert wrong.body is not None
    assert all(not name.startswith(("regular", "periods")) for one in wrong.body["results"]["subjects"] for name in one)
    assert codec.encode_body(wrong.body)


def test_the_number_of_regular_marks_follows_from_the_periods(changed: Copy) -> None:
    connector = changed("mappings/subjects.yaml", ADDED)

    assert sr_1(only(connector, **MARKS | {"toan_so_tiet": "36"}, toan_hk1="7,7")) == ["subjects[15].regular_1_term1"]


def test_a_component_mark_is_read_like_any_mark(changed: Copy) -> None:
    found = only(changed("mappings/subjects.yaml", ADDED), toan_tx1="85")

    assert isinstance(found, Rejected)
    assert codes(found) == ["DQ-08:subjects[15].regular_1_term1"]


def test_rows_without_component_marks_stay_as_they_are(changed: Copy) -> None:
    assert codes(only(changed("mappings/subjects.yaml", ADDED))) == []


def test_optional_subjects_count_where_connector_yaml_says_so(changed: Copy) -> None:
    low = {f"ngoai_ngu_2{period}": "1,0" for period in ("", "_hk1", "_hk2")}
    low |= {"ngoai_ngu_2_gv": "Mẫu An", "ngoai_ngu_2_gv_so_dinh_danh": "079180999901"}
    counted = changed("connector.yaml", "signatures: ignore→signatures: ignore\noptional_subjects: counted")

    assert [code for code in codes(only(counted, **low)) if code.startswith("DQ-38")] != []


def test_an_unknown_option_is_a_fault(changed: Copy) -> None:
    with pytest.raises(ConnectorFaults, match="optional_subjects: must be one of counted, left_out"):
        changed("connector.yaml", "signatures: ignore→signatures: ignore\noptional_subjects: some")


def test_a_missing_level_is_told_once() -> None:
    """DQ-36 for each level that is due (SR-12), and not DQ-33 besides."""
    found = codes(rejected(row(1, ket_qua_hoc_tap="", ket_qua_ren_luyen="")))

    assert found == ["DQ-36:study_result_year", "DQ-36:conduct_result_year"]
