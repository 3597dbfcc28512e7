"""The notations of the dictionary's `codes` column."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.national import codes, schema


@pytest.mark.parametrize("spec", schema.body_fields(), ids=lambda spec: f"{spec.where}.{spec.name}")
def test_every_notation_in_the_dictionary_is_understood(spec: schema.FieldSpec) -> None:
    for rule in filter(None, (spec.primary, spec.secondary)):
        found = codes.parse(rule.codes, "03")
        assert isinstance(found, codes.Anything) == (not rule.codes)


@pytest.mark.parametrize(
    ("notation", "level", "good", "bad"),
    [
        ("", "02", ["anything"], []),
        ("1|2", "02", ["1", "2"], ["3", "", "12"]),
        ("02", "02", ["02"], ["03", "2"]),
        ("T|Đ|C", "02", ["T", "Đ"], ["Ð", "D", "CĐ"]),
        ("@province_new", "02", ["01", "79"], ["02", "1"]),
        ("@subject_thcs or @subject_thpt", "03", ["32", "66"], ["38", "01"]),
        ("@subject_thcs or @subject_thpt", "04", ["38", "100"], ["32", "66"]),
        ("ISO 3166-1 alpha-2", "02", ["VN"], ["vn", "VNM", "84"]),
        ("0..10 integer|M", "02", ["0", "10", "M"], ["7.5", "11", "-1", "x", "7.0"]),
        ("0..10 one decimal|Đ|CĐ|M", "03", ["8.5", "9", "9.0", "10.0", "CĐ"], ["8.55", "10.1", "85", "8,5", "٣"]),
        ("1..300", "02", [Decimal("38.4"), Decimal(300)], [Decimal("0.5"), Decimal(301), Decimal("1.23456")]),
    ],
)
def test_a_notation_allows_what_it_says(notation: str, level: str, good: list[str], bad: list[str]) -> None:
    rule = codes.parse(notation, level)

    assert [value for value in good if not codes.allows(rule, value)] == []
    assert [value for value in bad if codes.allows(rule, value)] == []


def test_an_unknown_notation_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValueError, match="unknown notation"):
        codes.parse("0..10 thirds", "02")
