"""Hypothesis strategies of national records, built from the schema so that a new field is covered at once.

`learning_bodies(level)` gives bodies that every rule of the dictionary allows: widths, codes, bounds, one level's
subjects. People are synthetic: each personal name contains Mẫu, each citizen ID has 9999 before its last two digits.

A body has about a hundred fields; drawing each by itself took 0.12 s a body. So each field has a pool of values with
its extremes (longest text, bounds, every code), one drawn seed picks from all pools, and one comment is any text.
"""

from __future__ import annotations

import random
import unicodedata
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import strategies as st

from gateway.national import codes, schema

Json = dict[str, Any]

_WORDS = (
    "Nguyễn Đặng",
    "tốt, chăm chỉ",
    "Trường Hòa",
    "ƯỚC",
    "O’Brien",
    "Ê-đê",
    "x",
    '"Mẫu"',
    "a/b \\ 10%",
    "dòng\nmới\t",
)
_LONG = unicodedata.normalize("NFC", "Đậu Mẫu ") * 250
_YEARS = range(2005, 2020)
_CITIZEN_IDS = tuple(
    f"{place:03d}{sex}{year:02d}9999{place % 100:02d}"
    for place in (1, 48, 79, 96)
    for sex in (2, 3)
    for year in (12, 18)
)
_SHAPES: dict[str, tuple[str, ...]] = {
    "school_year": tuple(f"{year}-{year + 1}" for year in range(2019, 2026)),
    "birth_year": tuple(map(str, _YEARS)),
    "birth_year_month": tuple(f"{year}-{year % 12 + 1:02d}" for year in _YEARS),
    "pupil_code": tuple(f"{place}9999{number:04d}" for place in (22, 48, 79) for number in (1, 203, 9999)),
    "school_code": ("22999301", "48999701", "79999001"),
    "department_code": ("01", "22", "79", "96"),
    "transcript_id": ("6f1d6c1e-0000-4000-8000-0000000000d1", "6f1d6c1e-0000-4000-8000-0000000000b1"),
    "circular": ("27", "22", "58"),
    "record_template_version": ("1.0", "2.1"),
}


@cache
def _pool(spec: schema.FieldSpec, level: schema.Level, education_level: str) -> tuple[Any, ...]:
    """Values that the dictionary allows for a field, its extremes among them."""
    rule = spec.rule(level)
    assert rule is not None
    if spec.name in _SHAPES:
        return _SHAPES[spec.name]
    if spec.name.endswith("citizen_id"):
        return _CITIZEN_IDS
    if spec.name.endswith("commune_code"):
        return ("00001", "26734", "99999")
    if spec.avro_type == "boolean":
        return (True, False)
    if spec.avro_type == "date":
        return (date(2000, 2, 29), date(2012, 2, 18), date(2026, 5, 31), date(1969, 12, 31))
    return _coded(spec, rule, education_level)


def _coded(spec: schema.FieldSpec, rule: schema.Rule, education_level: str) -> tuple[Any, ...]:
    match codes.parse(rule.codes, education_level):
        case codes.Listed(listed):
            return tuple(sorted(listed))
        case codes.Country():
            return ("VN", "LA", "KR")
        case codes.Number(low, high, decimals, words):
            return (
                _numbers(spec, low, high, decimals)
                if spec.avro_type == "decimal"
                else _marks(low, high, decimals, words)
            )
        case codes.Anything():
            return _texts(spec, rule.max_length or 200)


def _texts(spec: schema.FieldSpec, limit: int) -> tuple[str, ...]:
    personal = spec.name.endswith("_name") and "school_" not in spec.name
    short = tuple((f"Mẫu {word}" if personal else word)[:limit] for word in _WORDS)
    return (*short, _LONG[:limit])


def _numbers(spec: schema.FieldSpec, low: int, high: int, decimals: int) -> tuple[Decimal, ...]:
    # absences_total may be 0 in a record: the wire's minimum of 1 is payload's business (DQ-35)
    least = 0 if spec.limits_hold_outbound else low
    steps = (Decimal(low) + Decimal(n).scaleb(-decimals) for n in (1, 5, 12345))
    return (Decimal(least), Decimal(low), Decimal(high), *steps)


def _marks(low: int, high: int, decimals: int, words: frozenset[str]) -> tuple[str, ...]:
    numbers = [str(n) for n in range(low, high + 1)]
    return (*numbers, *(f"{n}.{n}" for n in range(low, high) if decimals), *sorted(words))


def _row(dice: random.Random, where: schema.Where, level: schema.Level, education_level: str) -> Json:
    """All fields of one record type; a nullable one is null in a third of the cases."""
    return {
        spec.name: None if spec.nullable and dice.random() < 1 / 3 else dice.choice(_pool(spec, level, education_level))
        for spec in schema.body_fields()
        if spec.where == where
    }


def _rows(dice: random.Random, most: int, where: schema.Where, level: schema.Level, education_level: str) -> list[Json]:
    return [_row(dice, where, level, education_level) for _ in range(dice.randint(0, most))]


def _subjects(dice: random.Random, level: schema.Level, education_level: str) -> list[Json]:
    """Subjects of the level's list, each once, under their official names (some longer than the wire allows)."""
    names = {"02": "subject_primary", "03": "subject_thcs", "04": "subject_thpt"}
    listed = schema.code_lists()[names[education_level]]
    rows = _rows(dice, 13, "primary_subject" if level == "primary" else "secondary_subject", level, education_level)
    chosen = dice.sample(sorted(listed), k=len(rows))
    return [
        row | {"subject_code": code, "subject_name": listed[code].vietnamese}
        for row, code in zip(rows, chosen, strict=True)
    ]


_COMMENTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300).map(
    lambda text: unicodedata.normalize("NFC", text)
)


@st.composite
def learning_bodies(draw: st.DrawFn, level: schema.Level) -> Json:
    """A body as a connector makes it, valid after the dictionary."""
    dice = random.Random(draw(st.integers(0, 2**32)))
    education_level = "02" if level == "primary" else dice.choice(["03", "04"])
    results = _row(dice, level, level, education_level) | {"subjects": _subjects(dice, level, education_level)}
    if level == "secondary":
        results["certificates"] = _rows(dice, 2, "certificate", level, education_level)
    grades = {"02": range(1, 6), "03": range(6, 10), "04": range(10, 13)}[education_level]
    body = _row(dice, "common", level, education_level) | {
        "education_level": education_level,
        "grade_code": f"{dice.choice(grades):02d}",
        "homeroom_teacher_comment": draw(_COMMENTS),
        "results": results,
        "history": _rows(dice, 3, "history", level, education_level),
    }
    if not any(body[name] for name in ("birth_date", "birth_year_month", "birth_year")):
        body["birth_year"] = "2015"
    return body


_HEX = st.text("0123456789abcdef", min_size=16, max_size=16)
_LONGS = st.integers(0, 2**62)
_TIMES = st.integers(1_600_000_000_000, 1_900_000_000_000)
_SOURCES = st.fixed_dictionaries(
    {
        "topic": st.just("vendor.mau.records"),
        "partition": st.integers(0, 47),
        "offset": _LONGS,
        "index": st.integers(0, 500),
        "timestamp": _TIMES,
    }
)
_FINDINGS = st.fixed_dictionaries(
    {"code": st.just("DQ-38"), "field": st.just("results.study_result_year"), "rule": st.sampled_from(["", "SR-4"])}
)
_REFS = st.one_of(st.none(), st.text(max_size=40))
_SHARED: dict[str, st.SearchStrategy[Any]] = {
    "event_id": st.uuids().map(str),
    "record_id": st.uuids().map(str),
    "lane": _HEX,
    "vendor": st.just("mau"),
    "connector": st.just("mau@3"),
    "vendor_ref": _REFS,
    "vendor_event_id": _REFS,
    "traceparent": _REFS,
    "source_order": st.fixed_dictionaries({"epoch": st.integers(0, 9), "order": _LONGS}),
    "school_code": st.sampled_from(_SHAPES["school_code"]),
    "school_year": st.sampled_from(_SHAPES["school_year"]),
    "programme": st.sampled_from(["GDPT", "GDTX"]),
    "grade": st.one_of(st.none(), st.just("08")),
    "occurred_at": _TIMES,
    "source": _SOURCES,
    "content_hash": st.binary(min_size=32, max_size=32).map(bytes.hex),
    "warnings": st.lists(_FINDINGS, max_size=2),
    "cause": _REFS,
}


def record_heads(event_type: str = "NEW") -> st.SearchStrategy[Json]:
    """Heads of the unified stream."""
    own = {
        "version": st.integers(1, 99999),
        "citizen_id": st.sampled_from(_CITIZEN_IDS),
        "verdict": st.just("confirmed"),
    }
    return st.fixed_dictionaries(_SHARED | own | {"event_type": st.just(event_type)})


def mapped_heads(event_type: str = "NEW") -> st.SearchStrategy[Json]:
    """Heads of gateway.mapped."""
    claim = st.fixed_dictionaries(
        {
            "pupil_code": st.sampled_from(_SHAPES["pupil_code"]),
            "temporary_code": st.booleans(),
            "citizen_id": st.sampled_from([None, *_CITIZEN_IDS]),
            "citizen_id_candidate": st.sampled_from([None, *_CITIZEN_IDS]),
            "full_name": st.sampled_from(["Mẫu Hòa", "Nguyễn Đặng Mẫu Ước", "Mẫu O’Brien"]),
            "birth": st.sampled_from(["2012", "2012-02", "2012-02-18"]),
            "gender": st.sampled_from(["0", "1", "2"]),
            "nationality": st.just("VN"),
        }
    )
    own = {
        "vendor_event_id": _REFS,
        "claim": st.none() if event_type == "CANCEL" else claim,
        "holds": st.lists(_FINDINGS, max_size=2),
        "traceparent": _REFS,
    }
    return st.fixed_dictionaries(_SHARED | own | {"event_type": st.just(event_type)})


def evidences() -> st.SearchStrategy[Json | None]:
    """No evidence, inline bytes, or a claim check."""
    place = st.fixed_dictionaries(
        {
            "topic": st.just("vendor.mau.records"),
            "partition": st.integers(0, 47),
            "offset": _LONGS,
            "index": st.integers(0, 9),
        }
    )
    return st.one_of(
        st.none(),
        st.fixed_dictionaries(
            {
                "content_type": st.just("application/xml"),
                "sha256": st.binary(min_size=32, max_size=32).map(bytes.hex),
                "size_bytes": st.integers(0, 1 << 20),
                "content": st.one_of(st.binary(max_size=200), place),
            }
        ),
    )
