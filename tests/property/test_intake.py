"""General laws of intake: total on any bytes, clean payloads without findings, whatever is mapped fits the schema."""

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import catalogue
from gateway.intake import Connector, Items, Mapped, Rejected, RejectedWhole
from gateway.national import codec
from gateway.record import Position
from gateway.sandbox.payloads import SCHOOLS, hocba_xml, synthetic_pupil, vnedu_message, vnedu_row
from tests.unit.intake.loaded import CONNECTORS, PLACE, PUBLISHED_MS, connectors, vnedu, xml

SAMPLE_JSON = (CONNECTORS / "vnedu_flat_thcs/cases/02-sample-completed.input.json").read_bytes()
SAMPLE_XML = (CONNECTORS / "hocba_xml_primary/cases/02-sample-completed.input.xml").read_bytes()

EVENTS = st.sampled_from(["NEW", "UPDATE", "CANCEL"])
NUMBERS = st.integers(0, 99_999)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-1000, max_value=1000).map(float),
    st.text(max_size=20),
    st.sampled_from(
        ["7,5", "Đ", "M", "x", "-", "2012", "05/2012", "29/02/2019", "TAM-1", "2025-2026", "\u0660", "\x00"]
    ),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner), max_leaves=6
)


def check(connector: Connector, value: bytes) -> None:
    """What must hold of the outcome of any bytes."""
    match connector.process(value, PLACE, PUBLISHED_MS):
        case RejectedWhole(problems):
            assert problems
            assert all(problem.code in catalogue() for problem in problems)
        case Items(items):
            assert [item.index for item in items] == list(range(len(items)))
            for item in items:
                if isinstance(item, Mapped):
                    assert codec.content_hash(codec.encode_body(item.body))
                elif isinstance(item, Rejected):
                    assert any(catalogue()[problem.code].severity == "reject" for problem in item.problems)


@given(st.binary(max_size=300))
def test_any_bytes_give_an_outcome(value: bytes) -> None:
    for connector in connectors().values():
        check(connector, value)


@given(st.data())
def test_a_damaged_message_gives_an_outcome(data: st.DataObject) -> None:
    connector, sample = data.draw(st.sampled_from([(vnedu(), SAMPLE_JSON), (xml(), SAMPLE_XML)]))
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                damaged[place] = data.draw(st.integers(0, 255))
            case 1:
                del damaged[place : place + data.draw(st.integers(1, 30))]
            case _:
                damaged[place:place] = data.draw(st.binary(max_size=8))
        if not damaged:
            break

    check(connector, bytes(damaged))


@given(NUMBERS, st.dictionaries(st.integers(0, 200), VALUES, min_size=1, max_size=5))
def test_a_row_with_any_values_is_mapped_to_the_schema_or_rejected(number: int, changes: dict[int, object]) -> None:
    row = vnedu_row(synthetic_pupil(random.Random(number), level="secondary", number=number), version=1)
    names = sorted(row)
    row |= {names[index % len(names)]: value for index, value in changes.items()}

    check(vnedu(), msgspec.json.encode({"rows": [row, row]}))


@given(NUMBERS, st.integers(1, 99_999), EVENTS)
@settings(max_examples=200)
def test_clean_rows_have_no_finding(number: int, version: int, event: str) -> None:
    pupil = synthetic_pupil(random.Random(number), level="secondary", number=number)
    outcome = vnedu().process(vnedu_message([vnedu_row(pupil, version=version, event=event)]), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    (item,) = outcome.items
    assert isinstance(item, Mapped), item
    assert (item.holds, item.warnings, outcome.unknown_fields) == ((), (), {})
    assert item.source_order.order == version
    assert (item.body is None) == (event == "CANCEL")


@given(NUMBERS, st.integers(1, 99_999), EVENTS)
@settings(max_examples=200)
def test_clean_documents_have_no_finding(number: int, version: int, event: str) -> None:
    pupil = synthetic_pupil(random.Random(number), level="primary", number=number)
    value = hocba_xml(pupil, version=version, event=event)
    outcome = xml().process(value, PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    (item,) = outcome.items
    assert isinstance(item, Mapped), item
    assert (item.holds, item.warnings, outcome.unknown_fields) == ((), (), {})
    assert item.evidence is not None
    assert item.evidence["content"] == value


@given(NUMBERS, st.integers(1, 9), st.integers(1, 9))
def test_content_follows_the_marks_and_not_the_place_or_version(number: int, version: int, marks: int) -> None:
    pupil = synthetic_pupil(random.Random(number), level="secondary", number=number)

    def content(version: int, position: Position) -> object:
        value = vnedu_message([vnedu_row(pupil, version=version, marks=marks)])
        outcome = vnedu().process(value, position, PUBLISHED_MS)
        assert isinstance(outcome, Items)
        assert isinstance(outcome.items[0], Mapped)
        return codec.content_hash(codec.encode_body(outcome.items[0].body))

    assert content(version, PLACE) == content(version + 1, Position("vendor.vnedu.bulk", 0, 1))


def test_pupils_are_unique_by_code_and_id() -> None:
    pupils = [synthetic_pupil(random.Random(n), level=level, number=n) for n in range(20_000) for level in SCHOOLS]

    assert len({pupil.pupil_code for pupil in pupils}) == len({pupil.citizen_id for pupil in pupils}) == 40_000
    assert all("Mẫu" in pupil.full_name for pupil in pupils)


def test_the_vendors_speak_for_the_synthetic_schools() -> None:
    assert {school.code for school in SCHOOLS["secondary"]} <= vnedu().schools.keys()
    assert {school.code for school in SCHOOLS["primary"]} <= xml().schools.keys()
