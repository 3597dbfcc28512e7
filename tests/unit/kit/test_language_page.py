"""What docs/mapping-language.md shows works as it says: its sheet is read by its layout, its scale refuses others."""

import re
from typing import Any

import pytest

from gateway.edges.connector_files import read_files
from gateway.intake import Items
from gateway.intake.connector import compile_connector
from gateway.intake.decode_csv import decode_csv
from gateway.intake.language_csv import read_layout
from gateway.intake.language_profile import PROFILE_KEYS
from gateway.intake.nodes import Faults
from tests.unit.intake.loaded import CONNECTORS, PLACE, PUBLISHED_MS, ROOT, codes, json_of, row

PAGE = (ROOT / "docs" / "mapping-language.md").read_text(encoding="utf-8")


def block(kind: str, holding: str) -> str:
    found: list[str] = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return next(text for text in found if holding in text)


def test_the_sheet_is_read_by_the_layout_beside_it() -> None:
    faults = Faults()
    layout = read_layout(faults, faults.mapping(faults.parse("connector.yaml", block("yaml", "csv:")))["csv"])
    sheet = decode_csv(block("csv", "STT"), layout)

    assert not faults.found
    assert isinstance(sheet, dict)
    assert (sheet["nam_hoc"], sheet["ma_truong"]) == ("2025-2026", "24999301")
    first = {"stt": "1", "ma": "2499990501", "ten": "Đỗ Mẫu An", "toan_muc": "T", "toan_diem": "9", "ghi_chu": "",
             "lop": "1A"}  # fmt: skip
    rows: Any = sheet["rows"]
    assert rows == [
        first,
        first | {"stt": "2", "ma": "2499990502", "ten": "Vũ Mẫu Bình", "toan_muc": "H", "toan_diem": "7"},
    ]


def test_the_page_names_every_key_of_a_connector() -> None:
    table = PAGE[PAGE.index("## connector.yaml") : PAGE.index("## mappings")]

    assert [key for key in PROFILE_KEYS if f"`{key}`" not in table] == []


@pytest.mark.parametrize(
    ("scale", "sent", "found"),
    [
        ("100", "85", []),
        ("10", "8,5", []),
        (None, "8,5", []),
        ("10", "85", ["DQ-08:subjects[15].mark_year"]),
        (None, "85", ["DQ-08:subjects[15].mark_year"]),
        ("1000", "8,5", ["DQ-08:subjects"]),
    ],
)
def test_a_declared_scale_is_used_and_an_unknown_one_refused(scale: str | None, sent: str, found: list[str]) -> None:
    files = read_files(CONNECTORS, "vnedu_flat_thcs")
    shown = next(file for file in files if file.endswith("subjects.yaml"))
    wanted = block("yaml", "thang_diem").replace("from: ca_nam", 'from: "{key}"')
    choice = wanted[wanted.index("    mark_year:") :]
    files[shown] = re.sub(r"    mark_year: .*\n", lambda _: choice, files[shown])
    record = next(file for file in files if file.endswith("record.yaml"))
    expectation = wanted[: wanted.index("subjects:")].partition("\n")[2]
    files[record] = files[record].replace("\nexpect:\n", f"\nexpect:\n{expectation}")
    declared = {} if scale is None else {"thang_diem": scale}

    outcome = compile_connector(files).process(
        json_of({"rows": [row(1) | {"toan": sent}], **declared}), PLACE, PUBLISHED_MS
    )

    assert isinstance(outcome, Items)
    said = [code for code in codes(outcome.items[0]) if code in {"DQ-08:subjects[15].mark_year", "DQ-08:subjects"}]
    assert said == found
