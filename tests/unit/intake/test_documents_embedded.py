"""A signed document inside a message: its bytes are evidence, its hash must fit, its values are compared."""

import base64
import hashlib
from typing import Any

import pytest

from gateway.intake import Connector, ConnectorFaults, Items, Mapped, Rejected
from gateway.intake.connector import compile_connector
from gateway.intake.documents_embedded import INLINE_BYTES, Embedded, embedded
from tests.unit.intake.loaded import PLACE, PUBLISHED_MS, codes, document, from_xml, json_of, row
from tests.unit.intake.test_language import files_with

SECTION = """
evidence:
  document: ban_ky
  sha256: ma_bam
  compare:
    full_name: KY.HO_VA_TEN
    birth_date: KY.NGAY_SINH
    promoted: KY.DUOC_LEN_LOP
    absences_total: KY.NGHI
"""


def connector(section: str = SECTION) -> Connector:
    files = files_with("vnedu_flat_thcs")
    shown = next(name for name in files if name.endswith("record.yaml"))
    return compile_connector(files | {shown: files[shown] + section})


def signed(**changes: str) -> str:
    """A document that says what the clean row says, in other forms."""
    clean = row()
    values = {
        "HO_VA_TEN": f"  {clean['ho_ten']} ",
        "NGAY_SINH": clean["ngay_sinh"],
        "DUOC_LEN_LOP": str(clean["len_lop"]),
        "NGHI": str(clean["nghi_tong"]),
    }
    inside = "".join(f"<{name}>{text}</{name}>" for name, text in (values | changes).items())
    return f"<HOC_BA><KY>{inside}</KY></HOC_BA>"


def made(section: str = SECTION, **fields: Any) -> Mapped | Rejected:
    outcome = connector(section).process(json_of({"rows": [row(**fields)]}), PLACE, PUBLISHED_MS)
    assert isinstance(outcome, Items), outcome
    (item,) = outcome.items
    assert isinstance(item, (Mapped, Rejected))
    return item


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_document_is_carried_untouched_and_other_forms_of_a_value_are_no_difference() -> None:
    found = made(ban_ky=signed(), ma_bam=sha256(signed()))

    assert isinstance(found, Mapped)
    assert codes(found) == []
    assert found.evidence == {
        "content_type": "application/xml",
        "sha256": sha256(signed()),
        "size_bytes": len(signed().encode()),
        "content": signed().encode(),
    }


@pytest.mark.parametrize(
    ("name", "signs", "field"),
    [
        ("HO_VA_TEN", "Kim Mẫu Khác", "full_name"),
        ("NGAY_SINH", "01/02/2003", "birth_date"),
        ("NGAY_SINH", "", "birth_date"),
        ("NGAY_SINH", "30/02/2012", "birth_date"),
        ("NGHI", "44", "absences_total"),
    ],
)
def test_a_field_that_was_signed_otherwise_is_named(name: str, signs: str, field: str) -> None:
    found = made(ban_ky=signed(**{name: signs}))

    assert isinstance(found, Mapped)
    assert codes(found) == [f"DQ-41:{field}"]
    assert found.evidence is not None
    assert found.evidence["content"] == signed(**{name: signs}).encode()


def test_another_hash_than_stated_rejects() -> None:
    found = made(ban_ky=signed(), ma_bam=sha256("khác"))

    assert isinstance(found, Rejected)
    assert codes(found) == ["DQ-43:evidence.sha256"]


@pytest.mark.parametrize("stated", ["", None, "0" * 64, "SHA", 5])
def test_what_is_no_hash_does_not_fit_and_zeros_state_nothing(stated: object) -> None:
    found = made(ban_ky=signed(), ma_bam=stated)

    assert codes(found) == (["DQ-43:evidence.sha256"] if stated in ("SHA", 5) else [])


@pytest.mark.parametrize("form", ["{}", " {} ", "sha256:{}"])
def test_a_hash_may_be_written_in_upper_case_or_with_its_name(form: str) -> None:
    assert codes(made(ban_ky=signed(), ma_bam=form.format(sha256(signed()).upper()))) == []


def test_a_hash_may_be_base64() -> None:
    digest = base64.b64encode(hashlib.sha256(signed().encode()).digest()).decode()

    assert codes(made(ban_ky=signed(), ma_bam=digest)) == []


@pytest.mark.parametrize("stated", ["0" * 64, "f" * 64])
def test_a_hash_without_document_states_nothing(stated: str) -> None:
    found = made(ma_bam=stated)

    assert isinstance(found, Mapped)
    assert (codes(found), found.evidence) == ([], None)


def test_a_document_in_base64_is_carried_as_its_bytes() -> None:
    section = SECTION.replace("ban_ky\n", "ban_ky\n  encoding: base64\n")
    found = made(section, ban_ky=base64.b64encode(signed().encode()).decode(), ma_bam=sha256(signed()))

    assert isinstance(found, Mapped)
    assert found.evidence is not None
    assert found.evidence["content"] == signed().encode()
    assert codes(made(section, ban_ky="không phải base64")) == ["DQ-45:evidence.document"]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("<HOC_BA>", "DQ-45"),
        ('<!DOCTYPE HOC_BA [<!ENTITY a "b">]><HOC_BA><KY>&a;</KY></HOC_BA>', "DQ-44"),
        (5, "DQ-45"),
        (["<HOC_BA/>"], "DQ-45"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused(value: object, code: str) -> None:
    assert codes(made(ban_ky=value)) == [f"{code}:evidence.document"]


def test_bytes_of_avro_are_carried_as_they_are() -> None:
    section = Embedded(lambda item, root: item["ky"], in_base64=True, stated=None, compare=())
    found = embedded(section, {"ky": b"\x00signed"}, {}, PLACE, 0)

    assert found.evidence is not None
    assert (found.evidence["content"], found.findings) == (b"\x00signed", ())


def test_without_anything_to_compare_the_document_need_not_be_xml() -> None:
    found = made("evidence: {document: ban_ky}", ban_ky="%PDF-1.7")

    assert isinstance(found, Mapped)
    assert codes(found) == []


def test_a_long_document_becomes_a_claim_check_that_names_its_item() -> None:
    rows = [row(1), row(2, ban_ky="x" * (INLINE_BYTES + 1))]
    outcome = connector("evidence: {document: ban_ky}").process(json_of({"rows": rows}), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    first, second = outcome.items
    assert isinstance(first, Mapped)
    assert isinstance(second, Mapped)
    assert first.evidence is None
    assert second.evidence is not None
    assert second.evidence["content"] == {"topic": PLACE.topic, "partition": 3, "offset": 17, "index": 1}


def test_its_fields_are_known_to_the_drift_report() -> None:
    outcome = connector().process(json_of({"rows": [row(ban_ky=signed(), ma_bam="")]}), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert outcome.unknown_fields == {}


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("evidence: {sha256: a}", "document is missing"),
        ("evidence: {document: a, encoding: hex}", "must be one of base64, text"),
        ("evidence: {document: a, compare: {ful_name: a}}", "no field of record or results; did you mean full_name"),
        ("evidence: {document: a, hash: b}", "unknown key"),
    ],
)
def test_faults_of_the_section_are_named(section: str, says: str) -> None:
    with pytest.raises(ConnectorFaults) as caught:
        connector(f"\n{section}\n")

    assert says in str(caught.value)


def test_an_xml_message_is_its_own_evidence() -> None:
    files = files_with("hocba_xml_primary")
    shown = next(name for name in files if name.endswith("record.yaml"))
    with pytest.raises(ConnectorFaults, match="its own evidence"):
        compile_connector(files | {shown: files[shown] + "\nevidence: {document: a}\n"})


def test_a_code_replaced_in_a_signed_xml_is_told_beside_its_reason() -> None:
    """The record says another province than the signed bytes, which go on as they are."""
    text = document()
    found = from_xml(_with_province(text, "49"))

    assert isinstance(found, Mapped)
    assert codes(found) == ["DQ-29:residence_province_code", "DQ-41:residence_province_code"]
    assert found.evidence is not None
    assert found.evidence["content"] == _with_province(text, "49").encode()


def _with_province(text: str, code: str) -> str:
    before, _, rest = text.partition("<NOI_O_MA_TINH>")
    _, _, after = rest.partition("</NOI_O_MA_TINH>")
    return f"{before}<NOI_O_MA_TINH>{code}</NOI_O_MA_TINH>{after}"


def test_another_form_of_a_signed_value_is_no_difference() -> None:
    text = (
        document()
        .replace("<CAN_NANG>", "<CAN_NANG> ")
        .replace("<NGAY_KY_PHAT_HANH>2026-05-29", "<NGAY_KY_PHAT_HANH>29/5/2026")
    )

    assert codes(from_xml(text)) == []
