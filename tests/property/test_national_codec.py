"""The codec against fastavro's whole-record view, for any record that the schema allows."""

from __future__ import annotations

import json
import unicodedata
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.national import codec, codes, payload, schema
from tests.strategies import evidences, learning_bodies, mapped_heads, record_heads

Json = dict[str, Any]

BODIES = st.one_of(learning_bodies("primary"), learning_bodies("secondary"))
ROUNDS = settings(max_examples=100, deadline=None)


@ROUNDS
@given(head=mapped_heads(), body=BODIES, evidence=evidences())
def test_what_is_encoded_comes_back(head: Json, body: Json, evidence: Json | None) -> None:
    value = codec.encode_mapped(head, codec.encode_body(body), codec.encode_evidence(evidence))

    assert codec.decode_mapped(value) == {"head": head, "body": body, "evidence": evidence}


@ROUNDS
@given(mapped=mapped_heads(), head=record_heads(), body=BODIES, evidence=evidences())
def test_identity_copies_body_and_evidence_and_the_result_is_what_fastavro_writes_whole(
    mapped: Json, head: Json, body: Json, evidence: Json | None
) -> None:
    value = codec.encode_mapped(mapped, codec.encode_body(body), codec.encode_evidence(evidence))

    split_head, rest = codec.split_mapped(value)
    spliced = codec.encode_record(head, rest, schema_id=codec.record_schema_id(value))

    assert split_head == mapped
    assert codec.split_record(spliced) == (head, rest)
    assert codec.decode_record(spliced) == {"head": head, "body": body, "evidence": evidence}
    whole = BytesIO()
    branch = "vn.hocba.PrimaryResults" if body["education_level"] == "02" else "vn.hocba.SecondaryResults"
    fastavro.schemaless_writer(
        whole,
        fastavro.parse_schema(json.loads(schema.current(schema.RECORD).text)),
        {"head": head, "body": body | {"results": (branch, body["results"])}, "evidence": evidence},
    )
    assert spliced == b"\x00\x00\x00\x00\x02" + whole.getvalue()


@ROUNDS
@given(body=BODIES, data=st.data())
def test_a_null_left_out_and_a_null_given_are_the_same_content(body: Json, data: st.DataObject) -> None:
    nullable = [name for name, value in body.items() if value is None]
    dropped = data.draw(st.sets(st.sampled_from(nullable))) if nullable else set()
    sparse = {name: value for name, value in body.items() if name not in dropped}

    assert codec.content_hash(codec.encode_body(sparse)) == codec.content_hash(codec.encode_body(body))


@settings(max_examples=5, deadline=None)
@given(head=record_heads(), body=BODIES, evidence=evidences())
def test_bytes_cut_at_any_place_are_undecodable_and_nothing_else(head: Json, body: Json, evidence: Json | None) -> None:
    value = codec.encode_record(head, codec.encode_body(body) + codec.encode_evidence(evidence))

    for end in range(len(value)):
        with pytest.raises(codec.Undecodable):
            codec.decode_record(value[:end])


@settings(max_examples=150, deadline=None)
@given(head=record_heads(), body=BODIES, evidence=evidences(), data=st.data())
def test_damaged_bytes_decode_to_a_dict_or_are_undecodable(
    head: Json, body: Json, evidence: Json | None, data: st.DataObject
) -> None:
    value = bytearray(codec.encode_record(head, codec.encode_body(body) + codec.encode_evidence(evidence)))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(5, len(value) - 1))] = data.draw(st.integers(0, 255))

    for read in (codec.decode_record, codec.split_record):
        try:
            found = read(bytes(value))
        except codec.Undecodable:
            continue
        assert found


@settings(max_examples=150, deadline=None)
@given(garbage=st.binary(max_size=400))
def test_garbage_under_a_known_id_is_undecodable_or_a_dict(garbage: bytes) -> None:
    for schema_id, decode in ((1, codec.decode_mapped), (2, codec.decode_record), (3, codec.decode_receipt)):
        try:
            found = decode(b"\x00" + schema_id.to_bytes(4, "big") + garbage)
        except codec.Undecodable:
            continue
        assert isinstance(found, dict)


def _fits(spec: schema.FieldSpec, level: schema.Level, education_level: str, sent: object) -> bool:
    """Whether a sent value keeps to the dictionary: width in NFC characters, code, bounds."""
    rule = spec.rule(level)
    assert rule is not None
    if spec.avro_type == "boolean":
        return sent in (0, 1)
    if spec.name == "overall_result":
        return sent in {line.vietnamese for line in schema.code_lists()["primary_overall_result"].values()}
    if rule.max_length is not None and len(unicodedata.normalize("NFC", str(sent))) > rule.max_length:
        return False
    value = Decimal(str(sent)) if spec.avro_type == "decimal" else str(sent)
    return codes.allows(codes.parse(rule.codes, education_level), value)


CHILDREN: dict[schema.Level, dict[str, schema.Where]] = {
    "primary": {
        "thongtinsohocbasotieuhoc_dsbangdiem": "primary_subject",
        "thongtinsohocbasotieuhoc_quatrinhhoctap": "history",
    },
    "secondary": {
        "thongtinsohocbasothcsthpt_bangdiem": "secondary_subject",
        "thongtinsohocbasothcsthpt_chungchi": "certificate",
        "thongtinsohocbasothcsthpt_quatrinhhoctap": "history",
    },
}


@pytest.mark.parametrize("level", ["primary", "secondary"])
@ROUNDS
@given(data=st.data())
def test_a_population_payload_keeps_to_the_dictionary(level: schema.Level, data: st.DataObject) -> None:
    body = data.draw(learning_bodies(level))
    record = {"head": data.draw(record_heads()), "body": body, "evidence": None}

    sent = payload.population_payload(record)

    rows = {level: [sent], "common": [sent]} | {where: sent[name] for name, where in CHILDREN[level].items()}
    for spec in schema.body_fields():
        for row in rows.get(spec.where, ()):
            if spec.official in row:
                assert _fits(spec, level, body["education_level"], row[spec.official]), (spec.name, row[spec.official])
            else:
                assert spec.nullable, spec.name
    ids = [row["idbanghi"] for where in rows if where != "common" for row in rows[where]]
    assert len(ids) == len(set(ids))
    assert all(len(row_id) <= 150 for row_id in ids)
    assert json.dumps(sent)


@pytest.mark.parametrize("level", ["primary", "secondary"])
@ROUNDS
@given(data=st.data())
def test_a_sector_record_is_json_and_carries_the_confirmed_id(level: schema.Level, data: st.DataObject) -> None:
    head, body = data.draw(record_heads()), data.draw(learning_bodies(level))

    sent = payload.sector_record({"head": head, "body": body, "evidence": None})

    assert sent["nguoi_hoc"]["so_cccd"] == head["citizen_id"]
    assert len(sent["bang_diem_hoc_ba"]) == len(body["results"]["subjects"])
    assert json.dumps(sent)
