"""Identities are deterministic, and the record id is the one the glossary prints."""

import hashlib
import re
import unicodedata
import uuid
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.record import (
    Position,
    event_id,
    idempotency_key,
    lane_signed,
    lane_token,
    lane_unsigned,
    receipt_partition,
    record_id,
    slot_of,
)

ROOT = Path(__file__).parents[2]


def test_the_record_id_is_the_glossarys_test_vector() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")

    vector = record_id("7999990101", "2025-2026", "GDPT")

    assert re.search(rf"gives\s+`{vector}`", glossary)


def test_spelling_of_the_same_pupil_code_is_the_same_record() -> None:
    assert record_id(" tam-0792 ", "2025-2026", "gdpt") == record_id("TAM-0792", "2025-2026", "GDPT")


def test_parts_cannot_run_into_each_other() -> None:
    assert record_id("12", "3", "4") != record_id("1", "23", "4")


def test_decomposed_letters_name_the_same_lane() -> None:
    assert lane_token(b"k" * 32, unicodedata.normalize("NFD", "TAM-Đức")) == lane_token(b"k" * 32, "TAM-Đức")


@given(st.integers(0, 2**64 - 1))
def test_a_lane_survives_its_way_through_the_ledger(lane: int) -> None:
    stored = lane_signed(lane)

    assert -(2**63) <= stored < 2**63
    assert lane_unsigned(stored) == lane
    assert 0 <= slot_of(lane, 12) < 12


def test_every_item_of_a_message_is_an_event_of_its_own() -> None:
    position = Position("vendor.a.records", 3, 42)

    assert str(position) == "vendor.a.records-3@42"
    assert event_id(position, 0) == event_id(Position("vendor.a.records", 3, 42), 0)
    assert event_id(position, 0) != event_id(position, 1)
    assert 0 <= receipt_partition(event_id(position, 0), 4) < 4


def test_the_idempotency_key_is_a_uuid_of_the_random_form() -> None:
    for version in range(1, 99):
        digest = hashlib.sha256(f"sector|r|{version}|abc".encode()).digest()

        assert idempotency_key("sector", "r", version, "abc") == str(uuid.UUID(bytes=digest[:16], version=4))


def test_the_idempotency_key_follows_content_and_version_only() -> None:
    key = idempotency_key("sector", "r", 1, "abc")

    assert key == idempotency_key("sector", "r", 1, "abc")
    assert len({key, idempotency_key("sector", "r", 2, "abc"), idempotency_key("population", "r", 1, "abc")}) == 3
