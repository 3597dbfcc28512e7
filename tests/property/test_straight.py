"""The straight path and the complete path are one mapping: same outcomes, and bytes that fastavro would write."""

import copy
import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edges.connector_files import read_files
from gateway.intake import Connector, Items, Mapped
from gateway.intake.connector import compile_connector
from gateway.intake.dry_run import messages
from gateway.intake.given import NOTHING
from gateway.intake.straight import (
    LONGEST_REMEMBERED,
    REMEMBERED,
    SHAPES,
    SHAPES_SEEN,
    WORTH_WHILE,
    NotPlain,
    check_texts,
)
from gateway.intake.values import clean
from gateway.national import codec
from gateway.ops.connector_cases import case_inputs
from gateway.sandbox.bench_payloads import secondary_full, year_record
from gateway.sandbox.payloads import synthetic_pupil, vnedu_message, vnedu_row
from tests.unit.intake.loaded import CONNECTORS, PLACE, PUBLISHED_MS, connectors


def rendered(number: int) -> bytes:
    """A clean vnEdu message."""
    pupil = synthetic_pupil(random.Random(number), level="secondary", number=number)
    return vnedu_message([vnedu_row(pupil, version=1 + number % 3)])


SOURCES: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "vnedu": ("vnedu_flat_thcs", rendered),
    "secondary-full": ("vnedu_flat_thcs", secondary_full),
    "year-1.7k": ("year_short_primary", year_record),
}
NUMBERS = st.integers(0, 99_999)
ODD: st.SearchStrategy[object] = st.sampled_from(
    [
        None, True, False, 0, 1, 8, 10, 2012, -1, 8.0, 8.5, 7.25, 1e300, "", " ", "-", "–", "7,5", "7.5", "8", "Đ",
        "đ ", "CĐ", "M", "x", "Nam", "Nữ", "Kinh", "2025 - 2026", "2019-2020", "05/2012", "2012", "29/02/2019",
        "31/12/2013", "TAM-1", "0000000000", "1234567890", "000000000000", "012345678901", "79212999911", "79", "49",
        "a\u0301", "o\u0302\u0301",
        " two  spaces ", "a\u200bb", "a\u00a0b", "a|b", "| ", "\x00", "\ud7ff", "\U0001f600", "x" * 300, "ạ" * 2_100,
        "Học sinh Giỏi", "Học sinh Xuất sắc", "Quận 1, Huyện Mẫu", "NGUYỄN MẪU AN", "Nguyen Mau An", "CANCEL",
        "UPDATE", "2026-05-27T15:00:00+07:00", "27/05/2026 15:00:00", 1_779_868_800_000, [], {}, ["a"],
        {"a": 1}, [{"m": "01"}], [[]],
    ]
)  # fmt: skip


def both(connector: Connector, value: bytes) -> tuple[Any, Any]:
    """The outcome with and without the straight path."""
    complete = replace(connector, straight=None)
    return connector.process(value, PLACE, PUBLISHED_MS), complete.process(value, PLACE, PUBLISHED_MS)


def check(connector: Connector, value: bytes) -> int:
    """Asserts that both ways agree; how many items went straight."""
    quick, complete = both(connector, value)
    assert quick == complete
    straight = 0
    if isinstance(quick, Items):
        for one, other in zip(quick.items, complete.items, strict=True):
            if isinstance(one, Mapped) and one.encoded is not None:
                straight += 1
                assert one.encoded == codec.encode_body(other.body)
    return straight


def changed(source: str, number: int, changes: dict[int, object]) -> tuple[Connector, bytes]:
    """A clean message with some fields, of the item or of a row in it, set to other values."""
    name, make = SOURCES[source]
    tree = msgspec.json.decode(make(number))
    item = tree["rows"][0] if "rows" in tree else tree
    places = [(item, key) for key in sorted(item)]
    lists = [inside for inside in item.values() if isinstance(inside, list)]
    places += [(row, key) for rows in lists for row in rows for key in sorted(row)]
    for index, value in changes.items():
        inside, key = places[index % len(places)]
        if value == "\ud7ff":
            inside.pop(key, None)
        else:
            inside[key] = value
    return connectors()[name], msgspec.json.encode(tree)


@pytest.mark.parametrize("source", SOURCES)
@given(number=NUMBERS, changes=st.dictionaries(st.integers(0, 400), ODD, max_size=3))
@settings(max_examples=150)
def test_both_ways_agree_on_any_values(source: str, number: int, changes: dict[int, object]) -> None:
    check(*changed(source, number, changes))


@pytest.mark.parametrize("source", SOURCES)
@given(number=NUMBERS, change=st.tuples(st.integers(0, 400), st.text(max_size=12)))
@settings(max_examples=80)
def test_both_ways_agree_on_any_text(source: str, number: int, change: tuple[int, str]) -> None:
    check(*changed(source, number, dict([change])))


@pytest.mark.parametrize("source", SOURCES)
def test_clean_records_go_straight(source: str) -> None:
    name, make = SOURCES[source]

    straight = sum(check(connectors()[name], make(number)) for number in range(300))

    assert straight >= 285


def case_trees(name: str) -> list[Any]:
    """What the connector *name* decodes from its cases that have an item."""
    connector = connectors()[name]
    files = [file.read_bytes() for file in case_inputs(CONNECTORS / name / "cases")]
    trees = [connector.decode(value, NOTHING) for file in files for value in messages(connector, file)]
    return [tree for tree in trees if isinstance(tree, dict) and places_of(connector, tree)]


def places_of(connector: Connector, tree: Any) -> list[tuple[dict[str, Any], str]]:
    """Where values stand in the items of the decoded message *tree*: each dict and name."""
    items = [tree] if connector.items is None else connector.items(tree, tree)
    found: list[tuple[dict[str, Any], str]] = []
    dicts = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    while dicts:
        one = dicts.pop()
        found += [(one, key) for key in sorted(one)]
        for inside in one.values():
            below = inside if isinstance(inside, list) else [inside]
            dicts += [element for element in below if isinstance(element, dict)]
    return found


STRAIGHT = [name for name, connector in connectors().items() if connector.straight is not None]
TREES = {name: case_trees(name) for name in STRAIGHT}


def given_tree(name: str, tree: Any) -> int:
    """Asserts that both ways agree on the decoded message *tree*, whatever the format; how many items went straight."""
    return check(replace(connectors()[name], decode=lambda _value, _given: copy.deepcopy(tree)), b"")


def test_connectors_send_some_of_their_cases_straight() -> None:
    straight = {name for name in STRAIGHT if sum(given_tree(name, tree) for tree in TREES[name]) > 0}

    assert set(STRAIGHT) - straight == {
        "emis_avro_primary"
    }  # reads a dict as one input, so each item goes the long way


@pytest.mark.parametrize("name", STRAIGHT)
@given(data=st.data())
@settings(max_examples=120)
def test_both_ways_agree_on_the_changed_cases_of_every_connector(name: str, data: st.DataObject) -> None:
    tree = copy.deepcopy(data.draw(st.sampled_from(TREES[name])))
    places = places_of(connectors()[name], tree)
    for _ in range(data.draw(st.integers(0, 3))):
        inside, key = data.draw(st.sampled_from(places))
        inside[key] = data.draw(ODD | st.text(max_size=12))

    given_tree(name, tree)


@given(st.lists(st.text(), max_size=4))
def test_texts_that_pass_are_those_that_cleaning_leaves(texts: list[str]) -> None:
    try:
        check_texts(["", *texts, ""])
    except NotPlain:
        return
    assert [clean(text) for text in texts] == texts


def test_what_is_remembered_is_bounded() -> None:
    connector = connectors()["year_short_primary"]
    assert connector.straight is not None
    row = msgspec.json.decode(year_record(1))
    for number in range(REMEMBERED + 50):
        row |= {"thd": f"Nguyễn Mẫu {number}", "np": number % 300, "tcn": "Mẫu " + "x" * LONGEST_REMEMBERED}
        connector.process(msgspec.json.encode(row), PLACE, PUBLISHED_MS)

    sizes = [len(one) for memo in connector.straight.memos for one in (memo.known, memo.odd)]
    assert max(sizes) <= REMEMBERED
    keys = [key if isinstance(key, tuple) else (key,) for memo in connector.straight.memos for key in memo.known]
    assert max(len(text) for key in keys for text in key if isinstance(text, str)) <= LONGEST_REMEMBERED


def test_names_of_a_person_are_not_remembered() -> None:
    connector = connectors()["vnedu_flat_thcs"]
    assert connector.straight is not None
    row = vnedu_row(synthetic_pupil(random.Random(7), level="secondary", number=7), version=1)
    row |= {"ho_ten": "Lê Mẫu Duy Nhất", "toan_nhan_xet": "Lời nhận xét duy nhất."}
    connector.process(vnedu_message([row]), PLACE, PUBLISHED_MS)

    kept = repr([memo.known for memo in connector.straight.memos])
    assert "Duy Nhất" not in kept
    assert "duy nhất" not in kept


def test_items_of_many_shapes_make_few_functions() -> None:
    connector = connectors()["year_short_primary"]
    row = msgspec.json.decode(year_record(1))
    names = list(row)
    for number in range(200):
        random.Random(number % (SHAPES + SHAPES_SEEN + 5)).shuffle(names)
        assert check(connector, msgspec.json.encode({name: row[name] for name in names})) == 1

    straight = connector.straight
    assert straight is not None
    assert len(straight.shapes) <= SHAPES
    for _ in range(WORTH_WHILE):
        assert check(connector, msgspec.json.encode(row | {"them": 1})) == 1


def test_a_document_never_goes_straight() -> None:
    assert all(connector.straight is None for connector in connectors().values() if connector.format == "xml")


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("occurred_at", '{value: "2026-05-31T00:00:00+07:00", via: [instant]}'),
        ("citizen_id", '{value: "079214999911"}'),
        ("transcript_id", '{value: "6f1d6c1e-0000-4000-8000-0000000000c1"}'),
    ],
)
def test_a_constant_is_the_same_on_both_paths(field: str, rule: str) -> None:
    files = read_files(CONNECTORS, "vnedu_flat_thcs")
    record = next(name for name in files if name.endswith("record.yaml"))
    changed_text, times = re.subn(rf"(?m)^  {field}:.*$", f"  {field}: {rule}", files[record])
    connector = compile_connector(files | {record: changed_text})

    assert times == 1
    assert check(connector, rendered(1)) == 1
