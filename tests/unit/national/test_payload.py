"""What targets are sent: official names, and the traps of the dictionary (facts §4, §5, §8.1)."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from gateway.national import codec, payload, schema
from tests.unit.national.test_codec import minimal_body, record_head

Json = dict[str, Any]

RECORD_ID = "6f1d6c1e-0000-4000-8000-0000000000d1"


def primary(**changes: object) -> Json:
    body = minimal_body()
    results = body["results"] | {"overall_result": "HTXS", "quality_patriotism": "T", "competency_physical": "Đ"}
    return {"head": record_head(), "body": body | {"results": results, "history": []} | changes, "evidence": None}


def secondary(*subjects: Json, education_level: str = "03", **results: object) -> Json:
    plain: dict[str, object] = {"string": "x", "boolean": True, "date": date(2026, 5, 31), "decimal": Decimal(1)}
    own = {s.name: plain[s.avro_type] for s in schema.body_fields() if s.where == "secondary" and not s.nullable}
    own |= {"subjects": list(subjects), "certificates": []} | results
    body = minimal_body() | {"education_level": education_level, "results": own, "history": []}
    return {"head": record_head(), "body": body, "evidence": None}


def subject(code: str, name: str, **marks: str) -> Json:
    return {
        "subject_code": code,
        "subject_name": name,
        "subject_teacher_citizen_id": "079185999911",
        "subject_teacher_name": "Mẫu Hà",
    } | marks


def short_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def test_the_envelope_has_the_official_words_and_vietnamese_time() -> None:
    record = primary()
    record["head"] |= {"occurred_at": 1_779_894_000_000, "version": 7}  # 2026-05-27T15:00:00Z
    record["head"]["source"] = record["head"]["source"] | {"timestamp": 1_779_894_001_999}

    sent = payload.population_payload(record)

    assert sent["idbanghi"] == RECORD_ID
    assert (sent["sukien"], sent["phienban"]) == ("UPdate", 7)
    assert sent["thoigiancapnhat"] == "2026-05-27T22:00:00"
    assert sent["ngaycapnhat"] == "2026-05-27T22:00:01"
    assert re.fullmatch("[0-9a-f]{32}", sent["keythongtinsohocbasotieuhoc"])


@pytest.mark.parametrize(("op", "sent"), [("NEW", "NEW"), ("UPDATE", "UPdate")])
def test_delivery_decides_what_the_target_is_told(op: str, sent: str) -> None:
    assert payload.population_payload(primary(), op=op)["sukien"] == sent


@pytest.mark.parametrize("body", [None, minimal_body()])
def test_a_cancel_is_the_version_envelope_alone(body: Json | None) -> None:
    record = {"head": record_head(event_type="CANCEL", version=3), "body": body, "evidence": None}

    sent = payload.population_payload(record)

    assert list(sent) == ["idbanghi", "sukien", "phienban", "thoigiancapnhat", "ngaycapnhat"]
    assert (sent["sukien"], sent["phienban"]) == ("CANCEL", 3)


def test_child_rows_have_ids_made_of_record_table_and_natural_key() -> None:
    table = "thongtinsohocbasothcsthpt_bangdiem"
    sent = payload.population_payload(secondary(subject("15", "Toán", mark_year="8.5"), subject("19", "Ngữ văn")))

    row = sent[table][0]
    assert row["idbanghi"] == f"{RECORD_ID}:{table}:15"
    assert row["key" + table] == short_key(f"{RECORD_ID}:{table}:15")
    assert row["keythongtinsohocbasothcsthpt"] == sent["keythongtinsohocbasothcsthpt"] == short_key(RECORD_ID)
    assert (row["sukien"], row["phienban"], row["mamonhoc"], row["diemcanam"]) == ("UPdate", 2, "15", "8.5")
    assert [child["mamonhoc"] for child in sent[table]] == ["15", "19"]


def test_two_history_rows_of_one_year_and_unnamed_certificates_still_have_ids_of_their_own() -> None:
    year = {"school_year": "2024-2025", "class_name": "7A", "school_name": "Trường Mẫu", "province_name": "Mẫu"}
    moved = year | {"class_name": "7B", "transfer_in_date": date(2025, 1, 6)}
    record = secondary(certificates=[{}, {"certificate_name": "Mẫu"}])
    record["body"]["history"] = [year, moved]

    sent = payload.population_payload(record)

    history, certificates = "thongtinsohocbasothcsthpt_quatrinhhoctap", "thongtinsohocbasothcsthpt_chungchi"
    assert [row["idbanghi"].rpartition(":")[2] for row in sent[history]] == ["2024-2025", "2024-2025#2"]
    assert sent[history][1]["ngaytrangthaichuyenden"] == "2025-01-06"
    assert [row["idbanghi"].rpartition(":")[2] for row in sent[certificates]] == ["1", "2"]


def test_the_confirmed_citizen_id_is_sent_and_never_the_claim() -> None:
    record = primary(citizen_id="099999999999")

    assert payload.population_payload(record)["sodinhdanh"] == "022218999941"
    assert payload.sector_record(record)["nguoi_hoc"]["so_cccd"] == "022218999941"
    assert "099999999999" not in str(payload.population_payload(record)) + str(payload.sector_record(record))


@pytest.mark.parametrize(
    ("known", "sent"),
    [
        (
            {"birth_date": date(2018, 9, 2), "birth_year_month": "2018-09", "birth_year": "2018"},
            {"ngaythangnamsinh": "2018-09-02"},
        ),
        ({"birth_year_month": "2018-09", "birth_year": "2018"}, {"thangnamsinh": "2018-09"}),
        ({"birth_year": "2018"}, {"namsinh": "2018"}),
    ],
)
def test_only_the_most_precise_birth_field_is_sent(known: Json, sent: Json) -> None:
    row = payload.population_payload(primary(**known))

    assert {name: row[name] for name in ("ngaythangnamsinh", "thangnamsinh", "namsinh") if name in row} == sent


def test_booleans_are_0_and_1_and_numbers_are_plain() -> None:
    record = primary(promoted=False)
    record["body"]["results"] |= {"weight_kg": Decimal("38.4000"), "absences_excused": Decimal("2.0000")}

    sent = payload.population_payload(record)

    assert (sent["duoclenlop"], sent["trichluc"]) == (0, 1)
    assert not isinstance(sent["duoclenlop"], bool)
    assert (sent["cannang"], repr(sent["nghicophep"])) == (38.4, "2")


def test_nulls_are_left_out() -> None:
    assert "tenhuyen" not in payload.population_payload(primary(district_name=None))


@pytest.mark.parametrize(
    ("absences", "sent"), [(Decimal(0), None), (None, None), (Decimal("1.5"), 1.5), (Decimal(45), 45)]
)
def test_zero_absences_are_left_out_because_the_minimum_is_one(absences: Decimal | None, sent: float | None) -> None:
    """DQ-35."""
    assert payload.population_payload(secondary(absences_total=absences)).get("sobuoinghi") == sent


@pytest.mark.parametrize(
    ("level", "code", "name", "sent"),
    [
        ("03", "15", "Toán", "Toán"),
        ("03", "91", "Hoạt động trải nghiệm, hướng nghiệp", "HĐTN, HN"),
        ("04", "100", "Giáo dục kinh tế và pháp luật", "GDKT và PL"),
        ("03", "91", "HĐTN của trường", "HĐTN của trường"),
        ("04", "38", "Tin học ứng dụng nâng cao", "Tin học"),
        ("03", "999", "Môn chưa ai biết tên là gì", "Môn chưa ai biết tên là gì"),
    ],
)
def test_a_long_subject_name_is_replaced_by_code_and_never_cut(level: str, code: str, name: str, sent: str) -> None:
    """DQ-31."""
    row = payload.population_payload(secondary(subject(code, name), education_level=level))

    assert row["thongtinsohocbasothcsthpt_bangdiem"][0]["tenmonhoc"] == sent


def test_every_official_secondary_subject_has_a_name_that_fits() -> None:
    for level, listed in (("03", "subject_thcs"), ("04", "subject_thpt")):
        rows = [subject(code, line.vietnamese) for code, line in schema.code_lists()[listed].items()]
        sent = payload.population_payload(secondary(*rows, education_level=level))["thongtinsohocbasothcsthpt_bangdiem"]
        assert [row["tenmonhoc"] for row in sent if len(row["tenmonhoc"]) > 20] == []


def test_a_long_primary_subject_name_stays() -> None:
    record = primary()
    name = "Tin học và Công nghệ (Công nghệ)"
    record["body"]["results"]["subjects"] = [{"subject_code": "87", "subject_name": name}]

    assert payload.population_payload(record)["thongtinsohocbasotieuhoc_dsbangdiem"][0]["tenmonhoc"] == name


def test_the_primary_overall_result_is_text_on_the_wire() -> None:
    record = primary()
    assert payload.population_payload(record)["xeploai"] == "Hoàn thành xuất sắc"

    record["body"]["results"]["overall_result"] = None
    assert "xeploai" not in payload.population_payload(record)


def test_a_record_names_its_resource_while_it_has_a_body() -> None:
    assert payload.resource_name(primary()) == "thongtinsohocbasotieuhoc"
    assert payload.resource_name(secondary()) == "thongtinsohocbasothcsthpt"
    assert payload.resource_name({"head": record_head(), "body": None, "evidence": None}) is None


def test_a_sector_record_has_the_published_parts() -> None:
    sent = payload.sector_record(primary())

    assert list(sent) == [
        "id_ban_ghi",
        "phien_ban",
        "ma_dinh_danh_hoc_ba",
        "nguoi_hoc",
        "co_so_giao_duc",
        "bang_diem_hoc_ba",
        "bang_nang_luc_pham_chat",
        "tong_ket_hoc_ba",
        "giam_hieu_ky_hoc_ba",
        "ngay_ky_phat_hanh",
    ]
    assert (sent["id_ban_ghi"], sent["phien_ban"], sent["ngay_ky_phat_hanh"]) == (RECORD_ID, 2, "2026-05-31")
    assert sent["bang_nang_luc_pham_chat"] == [{"id": "01", "muc": "T"}, {"id": "15", "muc": "Đ"}]


def test_qualities_and_competencies_have_the_fifteen_ids_of_the_portal() -> None:
    names = [s.name for s in schema.body_fields() if s.name.startswith(("quality_", "competency_"))]
    record = primary()
    record["body"]["results"] |= dict.fromkeys(names, "T")

    rows = payload.sector_record(record)["bang_nang_luc_pham_chat"]

    assert [row["id"] for row in rows] == list(schema.code_lists()["quality_competency_portal"])


def test_a_sector_subject_has_marks_by_term_and_a_word_where_the_result_is_one() -> None:
    scored = subject("15", "Toán", mark_term1="8.0", mark_term2="9.0", mark_year="8.7")
    commented = subject("88", "Giáo dục thể chất", mark_term1="Đ", mark_term2="Đ", mark_year="Đ")

    rows = payload.sector_record(secondary(scored, commented))["bang_diem_hoc_ba"]

    marks = {"diem_hoc_ky_1": "8.0", "diem_hoc_ky_2": "9.0", "diem_tong_ket": "8.7"}
    assert {name: rows[0].get(name) for name in (*marks, "ket_qua_hoc_tap")} == marks | {"ket_qua_hoc_tap": None}
    assert (rows[1]["mon_hoc_id"], rows[1]["ket_qua_hoc_tap"]) == ("88", "Đ")


@pytest.mark.parametrize("record", [primary(), secondary(subject("15", "Toán"))], ids=["primary", "secondary"])
def test_every_field_of_the_body_is_in_the_sector_record_once(record: Json) -> None:
    marked = {
        s.name: (f"<{s.name}>" if s.avro_type == "string" else None)
        for s in schema.body_fields()
        if s.where in {"common", "primary", "secondary"}
    }
    level = record["body"]["education_level"]
    skipped = {"education_level", "citizen_id", "birth_year_month", "birth_year", "overall_result"}
    for part in (record["body"], record["body"]["results"]):
        part |= {name: text for name, text in marked.items() if name in part and text and name not in skipped}

    text = str(payload.sector_record(record))

    marks = [
        value for part in (record["body"], record["body"]["results"]) for value in part.values() if str(value)[0] == "<"
    ]
    assert len(marks) > 20
    assert [mark for mark in marks if text.count(mark) != 1] == []
    assert level in text


def test_a_revoke_is_id_and_version() -> None:
    record = {"head": record_head(event_type="CANCEL"), "body": None, "evidence": None}

    assert payload.sector_record(record) == {"id_ban_ghi": RECORD_ID, "phien_ban": 2}


def test_a_decoded_record_goes_straight_into_both_payloads() -> None:
    body, nothing = codec.encode_body(minimal_body()), codec.encode_evidence(None)
    record = codec.decode_record(codec.encode_record(record_head(), body + nothing))

    assert payload.population_payload(record)["namhoc"] == "x"
    assert payload.sector_record(record)["tong_ket_hoc_ba"]["namhoc"] == "x"
