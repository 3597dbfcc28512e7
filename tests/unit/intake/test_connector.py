"""A connector end to end: keys, order, authority, cancels, evidence, and everything that is refused whole."""

import re
import shutil
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.edges.connector_files import load_connectors, read_files
from gateway.errors import Problem, catalogue, describe
from gateway.intake import ConnectorFaults, Duplicate, Items, Mapped, Rejected, RejectedWhole
from gateway.intake.connector import compile_connector
from gateway.intake.documents_embedded import INLINE_BYTES
from gateway.national import codec
from gateway.record import Op, SourceOrder, record_id
from gateway.sandbox.payloads import hocba_xml, vnedu_message, vnedu_row
from tests.unit.intake.loaded import (
    CONNECTORS,
    PLACE,
    PUBLISHED_MS,
    codes,
    document,
    from_xml,
    items,
    json_of,
    mapped,
    primary,
    rejected,
    row,
    secondary,
    vnedu,
    xml,
)


def test_a_clean_row_becomes_a_national_record() -> None:
    pupil = secondary()
    found = mapped(row())

    assert found.record_id == record_id(pupil.pupil_code, "2025-2026", "GDPT")
    assert (found.school_code, found.grade) == (pupil.school_code, f"{pupil.grade:02d}")
    assert found.event_type is Op.NEW
    assert found.source_order == SourceOrder(1, 1)
    assert (found.holds, found.warnings, found.evidence) == ((), (), None)
    assert found.claim is not None
    assert (found.claim.citizen_id, found.claim.birth) == (pupil.citizen_id, pupil.birth_date.isoformat())
    assert found.body is not None
    assert found.body["transcript_id"] == found.record_id
    assert found.body["issue_date"] == date(2026, 5, 29)
    assert len(found.body["results"]["subjects"]) == 12


def test_a_mapped_body_fits_the_national_schema() -> None:
    for found in (mapped(row()), from_xml(document())):
        assert isinstance(found, Mapped)
        assert codec.encode_body(found.body)
        assert codec.encode_evidence(found.evidence)


def test_a_cancel_needs_keys_and_version_only() -> None:
    found = mapped(vnedu_row(secondary(), version=7, event="CANCEL"))

    assert (found.event_type, found.body, found.claim) == (Op.CANCEL, None, None)
    assert found.source_order.order == 7
    assert found.reason == "Phát hành nhầm học sinh"


def test_a_cancel_in_xml_keeps_its_bytes_as_evidence() -> None:
    value = hocba_xml(primary(), version=2, event="CANCEL")
    found = from_xml(value.decode())

    assert isinstance(found, Mapped)
    assert found.body is None
    assert found.evidence is not None
    assert found.evidence["content"] == value


def test_a_cancel_without_version_and_time_is_rejected() -> None:
    cancel = vnedu_row(secondary(), version=7, event="CANCEL") | {"phien_ban": None, "thoi_gian_cap_nhat": ""}

    assert codes(rejected(cancel)) == ["DQ-33:occurred_at"]


def test_without_a_version_the_business_time_orders() -> None:
    found = mapped(row(phien_ban=None, thoi_gian_cap_nhat="2026-05-25T06:01:00+07:00"))

    assert found.source_order == SourceOrder(1, 1_779_663_660_000)


def test_a_header_field_of_the_message_is_shared_by_its_rows() -> None:
    bare = row(phien_ban=None, thoi_gian_cap_nhat=None)
    value = json_of({"exported_at": "29/05/2026 16:42:07", "rows": [bare]})
    outcome = vnedu().process(value, PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert isinstance(outcome.items[0], Mapped)
    assert outcome.items[0].occurred_at_ms == 1_780_047_727_000


def test_a_school_of_another_vendor_is_rejected() -> None:
    assert codes(rejected(row(ma_truong="01999901"))) == ["DQ-28:school_code"]


def test_authority_ends_with_its_last_day() -> None:
    before = row(ma_truong="38999511", nam_hoc="2023-2024", thoi_gian_cap_nhat="2024-12-31T23:59:59")
    after = row(ma_truong="38999511", nam_hoc="2023-2024", thoi_gian_cap_nhat="2025-01-01T00:00:00")

    assert isinstance(items(before)[0], Mapped)
    assert codes(rejected(after)) == ["DQ-28:school_code", "DQ-51:occurred_at"]


def test_a_record_without_pupil_code_is_rejected_without_record_id() -> None:
    found = rejected(row(ma_hoc_sinh="  "))

    assert found.problems == (Problem("DQ-33", "pupil_code"),)
    assert found.record_id is None


def test_all_missing_fields_are_listed() -> None:
    found = rejected(row(ten_gvcn=None, que_quan="", gdcd_gv="-"))

    assert set(codes(found)) == {
        "DQ-33:homeroom_teacher_name",
        "DQ-33:hometown_address",
        "DQ-33:subjects[26].subject_teacher_name",
    }


def test_the_strongest_finding_decides_and_all_are_reported() -> None:
    found = rejected(row(toan_hk1="85", so_dinh_danh_ca_nhan="", nghi_tong="44"))

    assert {"DQ-08:subjects[15].mark_term1", "DQ-18:citizen_id", "DQ-40:absences_total"} <= set(codes(found))


def test_a_repeated_finding_is_reported_once() -> None:
    found = rejected(row(nam_hoc="2025"))

    assert codes(found) == ["DQ-27:school_year"]


def test_one_bad_row_does_not_touch_the_others() -> None:
    first, second, third = items(row(1), row(2, toan="85"), row(3))

    assert isinstance(first, Mapped)
    assert isinstance(second, Rejected)
    assert isinstance(third, Mapped)
    assert [first.index, second.index, third.index] == [0, 1, 2]


def test_marks_have_one_form_whatever_the_vendor_writes() -> None:
    bodies = [
        mapped(row(toan=mark, toan_hk1=mark, toan_hk2=mark)).body for mark in ("9", "9,0", " 9.0 ", 9, Decimal("9.0"))
    ]

    assert {body["results"]["subjects"][1]["mark_year"] for body in bodies if body} == {"9.0"}


def test_unknown_input_fields_are_ignored_and_counted() -> None:
    outcome = vnedu().process(vnedu_message([row(1, la=1, cu={"x": 2}), row(2, la=1)]), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert outcome.unknown_fields == {"la": 2, "cu": 1}
    assert all(isinstance(item, Mapped) for item in outcome.items)


def test_unknown_elements_are_counted_with_their_path() -> None:
    value = document().replace("<QUOC_TICH>", "<BI_DANH>Mẫu</BI_DANH><QUOC_TICH>").encode()
    outcome = xml().process(value, PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert outcome.unknown_fields == {"HOC_SINH.BI_DANH": 1}


def test_signed_bytes_are_untouched() -> None:
    value = (CONNECTORS / "hocba_xml_primary/cases/02-sample-completed.input.xml").read_bytes()
    outcome = xml().process(value, PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    (found,) = outcome.items
    assert isinstance(found, Mapped)
    assert found.evidence == {
        "content_type": "application/xml",
        "sha256": sha256(value).hexdigest(),
        "size_bytes": len(value),
        "content": value,
    }


def test_long_signed_bytes_become_a_claim_check() -> None:
    value = document().replace("</HOC_BA>", f"<!--{'x' * INLINE_BYTES}--></HOC_BA>").encode()
    outcome = xml().process(value, PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    (found,) = outcome.items
    assert isinstance(found, Mapped)
    assert found.evidence is not None
    assert found.evidence["content"] == {"topic": PLACE.topic, "partition": 3, "offset": 17, "index": 0}
    assert found.evidence["sha256"] == sha256(value).hexdigest()
    assert codec.encode_evidence(found.evidence)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"[]",
        b"[1]",
        b'{"rows": []}',
        b'{"rows": 5}',
        b"{}",
        b"{" * 100_000,
        b"\xff\xfe",
        b'{"rows": [NaN]}',
        b'{"rows": [{"ma_hoc_sinh": 1e99999999999999999999}]}',
        b'{"rows": [' + b"9" * 6_000 + b"]}",
    ],
)
def test_what_cannot_be_read_is_rejected_whole(value: bytes) -> None:
    outcome = vnedu().process(value, PLACE, PUBLISHED_MS)

    match outcome:
        case RejectedWhole(problems):
            (problem,) = problems
            assert (problem.code, problem.field) == ("DQ-45", "message")
            assert describe(problem).fix_en != catalogue()["DQ-45"].fix_en
        case Items(found):
            assert all(isinstance(item, Rejected) for item in found)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b'{"rows": [{"toan": "8', "truncated"),
        (b'{"rows": [{"toan": "8,5"', "truncated"),
        (b'{"rows": [{"len_lop": tru', "truncated"),
        (b'{"rows": [{"toan" "8,5"}]}   ', "syntax"),
        (b"<HOC_BA/>                    ", "other_format"),
        (b'{"rows": []} {"rows": []}', "several_documents"),
        (b"PK\x03\x04\x14\x00\x06\x00", "binary"),
        (b"\x1f\x8b\x08\x00\xc3\xa1\xa1\xe1", "binary"),
        (b"%PDF-1.7 \xe2\xe3", "binary"),
        (b'{"rows": [{"toan": 8, "toan": 9}]}', "duplicate_name"),
        (b'{"rows": [{"toan": NaN}]}', "not_a_number"),
        (b'{"rows": [{"toan": -Infinity}]}', "not_a_number"),
        (b'{"rows": null}', "no_items"),
        (b'{"rows": []}', "no_items"),
        (b'{"rows": 5}', "no_items"),
        (b"{}", "no_items"),
        (b"5", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"x"', "not_an_object"),
        (b"[" * 100_000, "too_deep"),
        (b"\xff\xd8\xff\xe0", "binary"),
        (b"\xff\xd8\xe0", "encoding"),
    ],
)
def test_an_unreadable_message_says_what_is_wrong_with_it(value: bytes, kind: str) -> None:
    assert vnedu().process(value, PLACE, PUBLISHED_MS) == RejectedWhole((Problem("DQ-45", "message", kind),))


def test_every_kind_of_an_unreadable_message_has_its_own_text() -> None:
    kinds = [variant.rule for variant in catalogue()["DQ-45"].variants if variant.rule]

    assert set(kinds) == {
        "empty", "truncated", "syntax", "duplicate_name", "not_a_number", "no_items", "not_an_object",
        "several_records", "too_deep", "encoding", "binary", "other_format", "several_documents",
    }  # fmt: skip
    assert len({describe(Problem("DQ-45", "message", kind)).fix_vi for kind in kinds}) == len(kinds)
    assert "structure" in describe(Problem("DQ-45", "full_name")).fix_en


def test_an_item_that_is_no_object_is_refused_alone() -> None:
    outcome = vnedu().process(b'{"rows": [5]}', PLACE, PUBLISHED_MS)

    assert outcome == Items((Rejected(0, (Problem("DQ-45", "message", "not_an_object"),), None, None),), {})


def test_a_repeated_json_name_refuses_the_message() -> None:
    text = vnedu_message([row()]).decode().replace('"toan":', '"toan":"85","toan":', 1)
    outcome = vnedu().process(text.encode(), PLACE, PUBLISHED_MS)

    assert outcome == RejectedWhole((Problem("DQ-45", "message", "duplicate_name"),))


def test_over_the_connector_s_limit_is_rejected_whole() -> None:
    value = vnedu_message([row()]) + b" " * vnedu().max_bytes

    assert vnedu().process(value, PLACE, PUBLISHED_MS) == RejectedWhole((Problem("GW-01"),))


ENTITY = '<!DOCTYPE HOC_BA [<!ENTITY a "x">]>'


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "DQ-45 empty"),
        (b"<a", "DQ-45 truncated"),
        (b"{}", "DQ-45 other_format"),
        (b"<a/>", "DQ-45 syntax"),
        (b"<a>&b;</a>", "DQ-45 syntax"),
        (f"{ENTITY}<HOC_BA>&a;</HOC_BA>".encode(), "DQ-44"),
        (f'<?xml version="1.0" encoding="UTF-16"?>{ENTITY}<HOC_BA>&a;</HOC_BA>'.encode("utf-16"), "DQ-44"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>', "DQ-44"),
        (b"<a>" * 100 + b"</a>" * 100, "DQ-44"),
        (b'<a><b Id="x"/><c Id="x"/><d URI="#x"/></a>', "DQ-44"),
    ],
)
def test_hostile_or_broken_xml_is_rejected_whole(value: bytes, code: str) -> None:
    code, _, kind = code.partition(" ")

    assert xml().process(value, PLACE, PUBLISHED_MS) == RejectedWhole((Problem(code, "message" if kind else "", kind),))


def test_a_repeated_id_that_nothing_refers_to_is_harmless() -> None:
    text = document().replace("<DANH_SACH_MON>", '<DANH_SACH_MON Id="GVBM">').replace("<GVCN>", '<GVCN Id="GVBM">')

    assert isinstance(from_xml(text), Mapped)


def test_two_records_in_one_signed_document_are_refused() -> None:
    text = document()
    inner = text[text.index("<THONG_TIN_HOC_BA") : text.index("</THONG_TIN_HOC_BA>") + len("</THONG_TIN_HOC_BA>")]
    doubled = text.replace(inner, inner + inner.replace('Id="thongtinhocba"', ""))

    assert xml().process(doubled.encode(), PLACE, PUBLISHED_MS) == RejectedWhole(
        (Problem("DQ-45", "message", "several_records"),)
    )


def test_xml_that_is_no_evidence_may_hold_a_class_and_one_bad_pupil_sinks_only_itself() -> None:
    files = read_files(CONNECTORS, "hocba_xml_primary")
    shown = next(iter(files))
    files[shown] = files[shown].replace("signatures: ignore", "signatures: ignore\nevidence: none")
    records = [
        re.sub(r"(?s).*(<THONG_TIN_HOC_BA.*</THONG_TIN_HOC_BA>).*", r"\1", document(number)) for number in (1, 2, 3)
    ]
    more = re.sub(r' Id="[^"]*"', "", records[1] + records[2].replace("GIOI_TINH>", "GIOI_TINH_KHAC>"))
    message = document().replace(records[0], f"<LOP>9Z</LOP>{records[0]}{more}")

    outcome = compile_connector(files).process(message.encode(), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert [type(item) for item in outcome.items] == [Mapped, Mapped, Rejected]
    assert [item.evidence for item in outcome.items if isinstance(item, Mapped)] == [None, None]
    assert outcome.unknown_fields == {"$.DU_LIEU_HOC_BA.LOP": 1, "HOC_SINH.GIOI_TINH_KHAC": 1}


@pytest.mark.parametrize("policy", ["warn", "require"])
def test_signatures_need_the_message_as_evidence(policy: str) -> None:
    files = read_files(CONNECTORS, "hocba_xml_thcs")
    shown = next(iter(files))
    files[shown] = files[shown].replace("signatures: warn", f"signatures: {policy}\nevidence: none")

    with pytest.raises(ConnectorFaults, match="signatures need the message as their evidence"):
        compile_connector(files)


def test_unknown_names_around_the_items_are_counted_once_a_message() -> None:
    message = json_of({"rows": [row(1), row(2)], "exported_at": "2026-05-27T15:00:00", "lop_truong": "x"})

    outcome = vnedu().process(message, PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert outcome.unknown_fields == {"$.lop_truong": 1}


def test_an_identical_copy_is_a_duplicate_of_the_first() -> None:
    first, copy = items(row(1), row(1))

    assert isinstance(first, Mapped)
    assert isinstance(copy, Duplicate)
    assert (copy.index, copy.first, copy.record_id) == (1, 0, first.record_id)
    assert first.holds == ()


def test_different_contents_of_one_version_hold_all_involved() -> None:
    one, other, third = items(row(1), row(1, toan_nhan_xet="Khác"), row(2))

    assert codes(one) == codes(other) == ["DQ-23:pupil_code"]
    assert codes(third) == []


def test_versions_of_one_record_in_one_message_are_a_history() -> None:
    versions = [vnedu_row(secondary(), version=version) for version in (1, 2, 3)]

    assert all(isinstance(item, Mapped) and not item.holds for item in items(*versions))


def test_one_citizen_id_on_two_pupils_holds_both() -> None:
    shared = {key: row(1)[key] for key in ("so_dinh_danh_ca_nhan", "ngay_sinh", "gioi_tinh")}
    one, other = items(row(1), row(11, **shared))

    assert codes(one) == codes(other) == ["DQ-23:citizen_id"]


def test_a_temporary_code_beside_the_official_one_holds_only_itself() -> None:
    official, temporary = items(row(1), row(1, ma_hoc_sinh=f"TAM-{secondary(1).citizen_id}"))

    assert codes(official) == []
    assert codes(temporary) == ["DQ-24:pupil_code"]
    assert isinstance(temporary, Mapped)
    assert temporary.claim is not None
    assert temporary.claim.temporary_code


def test_a_cancel_under_a_temporary_code_is_held() -> None:
    cancel = vnedu_row(secondary(), version=2, event="CANCEL") | {"ma_hoc_sinh": "TAM-20260101-mau"}

    assert codes(mapped(cancel)) == ["DQ-24:pupil_code"]


def test_a_compulsory_subject_can_be_made_a_reason_to_reject(tmp_path: Path) -> None:
    shutil.copytree(CONNECTORS / "vnedu_flat_thcs", tmp_path / "vnedu_flat_thcs")
    profile = tmp_path / "vnedu_flat_thcs/connector.yaml"
    profile.write_text(profile.read_text(encoding="utf-8") + "severities: {DQ-32: reject}\n", encoding="utf-8")
    strict = load_connectors(tmp_path)["vnedu_flat_thcs"]
    bare = row(tin=None, tin_hk1=None, tin_hk2=None)

    assert codes(items(bare)[0]) == ["DQ-32:subjects[32]"]
    outcome = strict.process(vnedu_message([bare]), PLACE, PUBLISHED_MS)
    assert isinstance(outcome, Items)
    assert isinstance(outcome.items[0], Rejected)


def test_outcomes_do_not_show_personal_data_when_printed() -> None:
    found = mapped(row())
    pupil = secondary()

    shown = repr(found)
    assert pupil.full_name not in shown
    assert pupil.citizen_id not in shown
    assert pupil.pupil_code not in shown


def test_an_outcome_does_not_depend_on_what_came_before() -> None:
    value = vnedu_message([row(1), row(2, toan="85")])
    first = vnedu().process(value, PLACE, PUBLISHED_MS)
    vnedu().process(vnedu_message([row(5)]), PLACE, PUBLISHED_MS)

    assert vnedu().process(value, PLACE, PUBLISHED_MS) == first


def test_a_record_without_school_or_birth_lists_both() -> None:
    assert codes(rejected(row(ma_truong=None, ngay_sinh=""))) == ["DQ-33:school_code", "DQ-33:birth_date"]


def test_counting_unknown_fields_is_bounded() -> None:
    outcome = vnedu().process(vnedu_message([row(1) | {f"la_{n}": n for n in range(500)}]), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert len(outcome.unknown_fields) == 64


def test_a_byte_order_mark_before_json_is_no_fault() -> None:
    clean = vnedu_message([row()])

    found = vnedu().process(b"\xef\xbb\xbf" + clean, PLACE, PUBLISHED_MS)

    assert found == vnedu().process(clean, PLACE, PUBLISHED_MS)
    assert isinstance(found, Items)
