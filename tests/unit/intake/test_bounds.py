"""What one message may cost: items, rows, head texts and findings are bounded before work is done on them."""

from dataclasses import replace

import pytest

from gateway.errors import Problem
from gateway.intake import Items, Mapped, Rejected, RejectedWhole
from gateway.intake.connector import compile_connector
from gateway.intake.limits import HEAD_TEXT, REASON_TEXT
from gateway.intake.message import settle_message
from gateway.intake.outcome import MAX_FINDINGS, first_findings
from gateway.sandbox.payloads import vnedu_row
from tests.unit.intake.loaded import (
    PLACE,
    PUBLISHED_MS,
    codes,
    document,
    from_xml,
    items,
    json_of,
    mapped,
    rejected,
    row,
    secondary,
    vnedu,
    xml,
)
from tests.unit.intake.test_language import files_with

REFERENCE, REASON = "id_ban_ghi", "ly_do"


def test_a_small_message_of_countless_items_is_rejected_whole() -> None:
    value = json_of({"rows": [{}] * 20_000})

    assert vnedu().process(value, PLACE, PUBLISHED_MS) == RejectedWhole((Problem("GW-01"),))


def test_the_bound_of_items_is_the_connector_s_own() -> None:
    connector = compile_connector(files_with("vnedu_flat_thcs", ("connector.yaml", "max_items: 500", "max_items: 2")))
    two, three = ([row(number) for number in range(1, count + 1)] for count in (2, 3))

    assert isinstance(connector.process(json_of({"rows": two}), PLACE, PUBLISHED_MS), Items)
    assert connector.process(json_of({"rows": three}), PLACE, PUBLISHED_MS) == RejectedWhole((Problem("GW-01"),))


def test_bounds_have_defaults() -> None:
    changes = [("connector.yaml", f"{line}\n", "") for line in ("max_items: 500", "max_rows: 60")]
    profile = compile_connector(files_with("vnedu_flat_thcs", *changes)).profile

    assert (profile.max_items, profile.max_rows) == (500, 60)


def test_a_record_of_countless_subjects_is_rejected_before_they_are_mapped() -> None:
    found = from_xml(document().replace("<DANH_SACH_MON>", "<DANH_SACH_MON>" + "<MON/>" * 40_000))
    clean = from_xml(document())

    assert isinstance(found, Rejected)
    assert isinstance(clean, Mapped)
    expected = Rejected(0, (Problem("GW-01", "subjects"),), clean.vendor_ref, clean.record_id, clean.source_order)
    assert found == expected


def test_a_list_up_to_the_bound_is_mapped_and_one_more_row_is_not() -> None:
    year = {"nam_hoc": "2024-2025", "lop": "6A", "ten_truong": "THCS Mẫu", "ten_tinh": "Tỉnh Mẫu"}
    full, over = items(row(1, qua_trinh_hoc_tap=[year] * 60), row(2, qua_trinh_hoc_tap=[year] * 61))

    assert isinstance(full, Mapped), full
    assert full.body is not None
    assert len(full.body["history"]) == 60
    assert codes(over) == ["GW-01:history"]


def test_a_cancel_with_a_countless_list_is_rejected_too() -> None:
    cancel = vnedu_row(secondary(), version=7, event="CANCEL") | {"qua_trinh_hoc_tap": [{}] * 61}

    assert codes(rejected(cancel)) == ["GW-01:history"]


def test_unknown_names_are_counted_in_the_first_rows_only() -> None:
    value = json_of({"rows": [row(1, qua_trinh_hoc_tap=[{"la": 1}] * 1_000)]})
    outcome = vnedu().process(value, PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert outcome.unknown_fields == {"qua_trinh_hoc_tap.la": 60}


@pytest.mark.parametrize("event", ["NEW", "CANCEL"])
def test_a_vendor_reference_over_its_width_is_rejected_and_not_carried(event: str) -> None:
    long = vnedu_row(secondary(), version=1, event=event) | {REFERENCE: "x" * (HEAD_TEXT + 1)}
    found = rejected(long)

    assert codes(found) == ["DQ-34:vendor_ref"]
    assert found.vendor_ref is None
    assert mapped(long | {REFERENCE: "x" * HEAD_TEXT}).vendor_ref == "x" * HEAD_TEXT


def test_a_vendor_reference_is_cleaned_like_other_texts() -> None:
    assert mapped(row(**{REFERENCE: " a\x07b\u200b\tc "})).vendor_ref == "ab c"
    assert mapped(row(**{REFERENCE: "x" * HEAD_TEXT + "\x07"})).vendor_ref == "x" * HEAD_TEXT
    assert codes(rejected(row(**{REFERENCE: "a\x00"}))) == ["DQ-45:vendor_ref"]


def test_a_long_reason_is_taken_and_one_over_its_width_rejected_but_never_cut() -> None:
    cancel = vnedu_row(secondary(), version=7, event="CANCEL")
    long, longer = ("x" * width for width in (REASON_TEXT, REASON_TEXT + 1))

    assert mapped(cancel | {REASON: long}).reason == long
    assert codes(rejected(cancel | {REASON: longer})) == ["DQ-34:reason"]


def test_a_rejected_record_carries_its_strongest_findings() -> None:
    bad = [{"nam_hoc": "sai", "ma_truong": None} for _ in range(60)]
    found = rejected(row(1, ma_truong="01999901", qua_trinh_hoc_tap=bad))

    assert len(found.problems) == MAX_FINDINGS
    assert {vnedu().severity(problem) for problem in found.problems} == {"reject"}


def test_of_too_many_findings_the_strongest_stay_in_their_order() -> None:
    weak = [Problem("DQ-38", f"w{n}") for n in range(MAX_FINDINGS)]
    hold, strong = Problem("DQ-24", "pupil_code"), Problem("DQ-28", "school_code")

    assert first_findings([*weak[1:], strong], vnedu().severity) == (*weak[1:], strong)
    assert first_findings([*weak, hold, strong], vnedu().severity) == (strong, hold, *weak[:-2])


def test_a_hold_found_in_the_message_has_its_place_among_too_many() -> None:
    full = tuple(Problem("DQ-24", f"f{n}") for n in range(MAX_FINDINGS))
    one, other = (replace(mapped(row(1, toan_nhan_xet=text)), index=n, holds=full) for n, text in enumerate("ab"))
    settled = settle_message([one, other], "TAM-")

    assert [codes(item)[-1] for item in settled] == ["DQ-23:pupil_code"] * 2
    assert [len(item.holds) for item in settled if isinstance(item, Mapped)] == [MAX_FINDINGS] * 2


def test_countless_records_in_one_signed_document_are_rejected_whole() -> None:
    value = f"<HOC_BA><DU_LIEU_HOC_BA>{'<THONG_TIN_HOC_BA/>' * 501}</DU_LIEU_HOC_BA></HOC_BA>"

    assert xml().process(value.encode(), PLACE, PUBLISHED_MS) == RejectedWhole((Problem("GW-01"),))
