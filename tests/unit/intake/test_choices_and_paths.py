"""Rules in a list, paths into lists and above a row, messages that are lists, and events in part."""

from dataclasses import replace

import pytest

from gateway.errors import Problem
from gateway.intake import Connector, Items, Mapped, Rejected
from gateway.intake.connector import compile_connector
from gateway.intake.decode_xml import decode_xml
from gateway.intake.makers import PathStep, getter, path_steps
from gateway.intake.message import settle_message
from gateway.intake.values import UNREADABLE, as_text
from gateway.record import SourceOrder
from tests.unit.intake.loaded import PLACE, PUBLISHED_MS, codes, connectors, json_of, mapped, rejected, row
from tests.unit.intake.test_compile import COMPLETION, RECORD, body_of, with_rules
from tests.unit.intake.test_language import faults_of, files_with

BOTH = """  completion_text:
    - {from: a, when: {from: khoi, in: ["6"]}}
    - {from: b, via: [upper], when: {present: [b]}}
    - c
"""
CHOSEN = "    subject_comment: [{value: tám, when: {from: khoi, in: ['8']}}, \"{key}_nhan_xet\"]\n"


def test_of_a_list_of_rules_the_first_whose_condition_holds_makes_the_field() -> None:
    connector = with_rules((COMPLETION, BOTH))

    assert body_of(connector, khoi=6, a="một", b="hai", c="ba")["completion_text"] == "một"
    assert body_of(connector, khoi=7, a="một", b="hai", c="ba")["completion_text"] == "HAI"
    assert body_of(connector, khoi=7, a="một", c="ba")["completion_text"] == "ba"
    assert body_of(connector, khoi=6, b="hai")["completion_text"] is None


def test_where_no_condition_of_a_list_holds_there_is_nothing() -> None:
    rules = "  completion_text: [{from: a, when: {present: [a]}}, {from: b, when: {present: [b]}}]\n"

    assert body_of(with_rules((COMPLETION, rules)))["completion_text"] is None


def test_a_rule_behind_one_without_a_condition_is_a_fault() -> None:
    found = faults_of((RECORD, COMPLETION, "  completion_text: [a, b]\n"))

    assert len(found) == 1
    assert found[0].endswith("needs when: the rules after it would never be used")


def test_every_rule_of_a_list_is_checked() -> None:
    rules = "  completion_text: [{from: a, via: [nope], when: {present: [a]}}, {from: b, table: none}]\n"
    found = faults_of((RECORD, COMPLETION, rules))

    assert ["unknown function nope" in found[0], "unknown table none" in found[1], len(found)] == [True, True, 2]


def test_a_list_of_rules_may_stand_in_a_row_too() -> None:
    change = ("subjects.yaml", '    subject_comment: "{key}_nhan_xet"\n', CHOSEN)
    connector = compile_connector(files_with("vnedu_flat_thcs", change))

    eight, seven = body_of(connector, khoi=8), body_of(connector, khoi=7, toan_nhan_xet="bảy")
    assert {entry["subject_comment"] for entry in eight["results"]["subjects"]} == {"tám"}
    assert [entry["subject_comment"] for entry in seven["results"]["subjects"]][1] == "bảy"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("signers[role=B].name", "second"),
        ("signers[role=7].name", "seven"),
        ("signers[role=X].name", None),
        ("one[role=A].name", "alone"),
        ("text[role=A].name", None),
        ("missing[role=A].name", None),
        ("$.signers[role=B].name", "of the message"),
        ("^.signers[role=B].name", "above"),
        ("^.missing.name", None),
    ],
)
def test_a_path_finds_an_element_of_a_list_by_a_field(path: str, value: object) -> None:
    item = {
        "signers": ["x", {"role": "A"}, {"role": "B", "name": "second"}, {"role": "B"}, {"role": 7, "name": "seven"}],
        "one": {"role": "A", "name": "alone"},
        "text": "A",
    }
    root = {"signers": [{"role": "B", "name": "of the message"}], "^": {"signers": [{"role": "B", "name": "above"}]}}

    assert getter(path)(item, root) == value


def test_the_steps_of_a_path() -> None:
    assert path_steps("^.a[b=c.d].e") == (PathStep("a", "b", "c.d"), PathStep("e"))
    assert path_steps("a[b") == (PathStep(""),)


def test_a_row_looks_into_its_pupil() -> None:
    """The same vendor code is another subject at another level."""
    assert [subject_label(grade, "TIN") for grade in (7, 11)] == ["32", "38"]
    assert [subject_label(grade, "LI") for grade in (7, 11)] == ["#0", "35"]


def smas() -> Connector:
    return connectors()["smas_nested"]


def event(grade: int, *subjects: str) -> dict[str, object]:
    rows = [{"subjectCode": code, "subjectName": "Môn Mẫu", "year": 8.0} for code in subjects]
    return {"eventType": "RECORD_ISSUED", "version": 1, "class": {"grade": grade}, "subjects": rows}


def items_of(outcome: object) -> tuple[object, ...]:
    assert isinstance(outcome, Items)
    return outcome.items


def subject_label(grade: int, subject: str) -> str:
    """What the findings of a pupil's one *subject* are named by: its official code, or its place."""
    outcome = smas().process(json_of([event(grade, subject)]), PLACE, PUBLISHED_MS)
    (item,) = items_of(outcome)
    assert isinstance(item, Rejected)
    (label,) = {p.field for p in item.problems if p.field.endswith("].subject_teacher_name")}
    return label.removeprefix("subjects[").removesuffix("].subject_teacher_name")


def test_a_message_may_be_a_list_of_events_or_one_event() -> None:
    both = smas().process(json_of([event(7), event(8)]), PLACE, PUBLISHED_MS)
    one = smas().process(json_of(event(7)), PLACE, PUBLISHED_MS)
    odd = smas().process(json_of([event(7), 5]), PLACE, PUBLISHED_MS)

    assert [len(items_of(outcome)) for outcome in (both, one, odd)] == [2, 1, 2]
    assert items_of(odd)[1] == Rejected(1, (Problem("DQ-45", "message", "not_an_object"),), None, None)


def test_a_required_field_of_the_event_is_missed() -> None:
    without = {name: value for name, value in event(7).items() if name != "eventType"}
    unknown = event(7) | {"eventType": "RECORD_LOST"}

    found = [items_of(smas().process(json_of(one), PLACE, PUBLISHED_MS))[0] for one in (without, unknown)]
    assert [[c for c in codes(item) if c.endswith(":event_type")] for item in found if isinstance(item, Rejected)] == [
        ["DQ-33:event_type"],
        ["DQ-11:event_type"],
    ]


def test_a_change_list_is_refused_without_a_list_of_what_it_lacks() -> None:
    partial = event(7) | {"changes": [{"path": "a"}], "school": {"provinceCode": "49"}}
    (item,) = items_of(smas().process(json_of(partial), PLACE, PUBLISHED_MS))

    assert isinstance(item, Rejected)
    assert codes(item) == ["DQ-29:school_province_code", "DQ-52:event_type"]


def test_a_rejected_record_contradicts_another_of_its_code_and_version() -> None:
    """Two children under one code: the one in order is held although the other's record is refused."""
    good, bad = mapped(row(1)), replace(rejected(row(1, toan="85")), index=1)
    settled = settle_message([good, bad], "TAM-")

    assert [codes(item)[-1] for item in settled] == ["DQ-23:pupil_code", "DQ-23:pupil_code"]


def test_a_rejected_record_of_another_version_or_without_one_contradicts_nothing() -> None:
    good, bad = mapped(row(1)), replace(rejected(row(1, toan="85")), index=1)
    others = [replace(bad, source_order=SourceOrder(1, 9)), replace(bad, source_order=None)]

    assert [settle_message([good, other], "TAM-") for other in others] == [(good, other) for other in others]
    assert isinstance(good, Mapped)


def test_attributes_are_read_beside_an_element_s_text() -> None:
    tree = decode_xml(b'<r><a k="1" Id="x"/><b Id="y"/><c k="1">t</c><d k="1"><e>2</e></d><f k="1"> </f></r>')

    assert tree == {
        "a": {"@k": "1", "@Id": "x"},
        "b": None,
        "c": {"@k": "1", "#text": "t"},
        "d": {"@k": "1", "e": "2"},
        "f": {"@k": "1"},
    }
    assert isinstance(tree, dict)
    assert [as_text(tree["c"]), as_text(tree["a"]), as_text(tree["d"])] == ["t", "", UNREADABLE]
