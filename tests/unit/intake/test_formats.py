"""Formats and encodings through a whole connector: what a message as published becomes."""

import json
from typing import Literal
from unicodedata import normalize

import msgspec
import pytest

from gateway.errors import Problem
from gateway.intake import Connector, ConnectorFaults, Items, Mapped, Rejected, RejectedWhole
from gateway.intake.connector import compile_connector
from gateway.intake.decode_avro import id_header
from gateway.intake.dry_run import dry_run, messages
from gateway.intake.given import NOTHING, Given
from gateway.intake.language_profile import DEFAULT_MAX_TOTAL_ROWS
from gateway.national.schema import code_lists
from gateway.sandbox.payloads import vnedu_message
from tests.unit.intake.loaded import CONNECTORS, PLACE, PUBLISHED_MS, codes, connectors, row, vnedu
from tests.unit.intake.test_language import files_with

AVRO = "emis_avro_primary"


def declared(encoding: str) -> Connector:
    return compile_connector(
        files_with("vnedu_flat_thcs", ("connector.yaml", "format: json", f"format: json\nencoding: {encoding}"))
    )


def flat_bodies(connector: Connector, value: bytes) -> list[object]:
    outcome = connector.process(value, PLACE, PUBLISHED_MS)
    assert isinstance(outcome, Items), outcome
    return [item.body if isinstance(item, Mapped) else item for item in outcome.items]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_json_in_a_declared_encoding_gives_the_same_records(codec: str) -> None:
    message = vnedu_message([row(1), row(2)])

    assert flat_bodies(declared("utf-16"), message.decode().encode(codec)) == flat_bodies(vnedu(), message)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ('{"rows": [{"ho_ten": "Nguyễn"}]}'.encode("utf-16"), "encoding[utf-16]"),
        (b'{"rows": [{"ho_ten": "Nguy\xd4n Th\xde M\xc9u", "lop": "L\xedp"}]}', "encoding[tcvn3]"),
        ('{"rows": [{"ho_ten": "Nguyeãn Thò Maãu Huyeàn"}]}'.encode(), "encoding[vni]"),
        ('{"rows": [{"ho_ten": "Nguyeãn Thò Maãu Huyeàn"}]}'.encode("latin-1"), "encoding[vni]"),
    ],
)
def test_an_undeclared_encoding_refuses_the_file_and_says_which(value: bytes, field: str) -> None:
    outcome = vnedu().process(value, PLACE, PUBLISHED_MS)

    assert isinstance(outcome, RejectedWhole)
    assert [(problem.code, problem.field) for problem in outcome.problems] == [("DQ-02", field)]


def test_another_encoding_than_declared_refuses_the_file() -> None:
    outcome = declared("tcvn3").process(vnedu_message([row(1)]), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, RejectedWhole)
    assert outcome.problems[0].code == "DQ-02"


def clean_avro() -> tuple[Connector, bytes]:
    connector = connectors()[AVRO]
    file = CONNECTORS / AVRO / "cases" / "03-clean.input.jsonl"
    return connector, messages(connector, file.read_bytes())[0]


def test_an_avro_message_is_read_by_id_fingerprint_or_the_schema_that_was_asked_for() -> None:
    connector, message = clean_avro()
    newest = connector.schemas[max(connector.schemas)]
    ways: list[tuple[bytes, Given]] = [
        (message, NOTHING),
        (id_header(1_002) + message[10:], NOTHING),
        (id_header(77) + message[10:], Given(schema=newest)),
    ]

    outcomes = [connector.process(value, PLACE, PUBLISHED_MS, given) for value, given in ways]

    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert isinstance(outcomes[0], Items)
    assert isinstance(outcomes[0].items[0], Mapped)


@pytest.mark.parametrize(
    ("header", "code"),
    [(id_header(77), "GW-05"), (b"\xc3\x01" + b"x" * 8, "GW-05"), (b"", "DQ-45"), (b"{", "DQ-45")],
)
def test_an_avro_message_without_a_known_schema_is_rejected(header: bytes, code: str) -> None:
    connector, message = clean_avro()

    outcome = connector.process(header + message[10:], PLACE, PUBLISHED_MS)

    assert isinstance(outcome, RejectedWhole)
    assert outcome.problems[0].code == code


def test_each_line_of_a_dry_run_is_a_message_of_its_own() -> None:
    connector, _ = clean_avro()
    line = (CONNECTORS / AVRO / "cases" / "03-clean.input.jsonl").read_text(encoding="utf-8").splitlines()[0]

    found = dry_run(connector, "f.jsonl", f"{line}\n\n{{\n{line}\n".encode(), PUBLISHED_MS)

    assert [(one["source"], one["outcome"]) for one in found] == [
        ("f.jsonl#0", "accepted"),
        ("f.jsonl#1", "rejected"),
        ("f.jsonl#2", "accepted"),
    ]


def test_a_sheets_shifted_line_is_rejected_alone() -> None:
    connector = connectors()["legacy_csv_primary"]
    file = next((CONNECTORS / connector.name / "cases").glob("*clean*.input.csv"))
    lines = file.read_bytes().split(b"\r\n")
    pupil = next(number for number in reversed(range(len(lines))) if lines[number].count(b";") > 3)
    shifted = lines[pupil] + b";x;x;x;x"

    before = connector.process(b"\r\n".join(lines), PLACE, PUBLISHED_MS)
    outcome = connector.process(b"\r\n".join([*lines[: pupil + 1], shifted]), PLACE, PUBLISHED_MS)

    assert isinstance(before, Items)
    assert isinstance(outcome, Items)
    assert outcome.items[:-1] == before.items
    assert isinstance(outcome.items[-1], Rejected)
    assert codes(outcome.items[-1]) == ["DQ-26:row"]


def test_a_message_of_countless_rows_is_rejected_unmapped() -> None:
    history = [{"lop": "6A"}] * 60
    few = DEFAULT_MAX_TOTAL_ROWS // 60
    value = msgspec.json.encode({"rows": [{"qua_trinh_hoc_tap": history}] * (few + 1)})
    bearable = msgspec.json.encode({"rows": [{"qua_trinh_hoc_tap": history}] * few})

    assert vnedu().process(value, PLACE, PUBLISHED_MS) == RejectedWhole((Problem("GW-01"),))
    assert isinstance(vnedu().process(bearable, PLACE, PUBLISHED_MS), Items)


def changed(*changes: tuple[str, str, str]) -> Connector:
    return compile_connector(files_with("vnedu_flat_thcs", *changes))


def test_parts_of_a_name_are_joined() -> None:
    connector = changed(("record.yaml", "full_name: ho_ten", "full_name: {join: [ho_dem, ten]}"))

    first, second, third = flat_bodies(
        connector,
        vnedu_message(
            [
                row(1, ho_dem=" Nguyễn  Mẫu", ten="An "),
                row(2, ho_dem="-", ten="Mẫu"),
                row(3, ho_dem=["x"], ten="Mẫu"),
            ]
        ),
    )

    assert isinstance(first, dict)
    assert first["full_name"] == "Nguyễn Mẫu An"
    assert isinstance(second, dict)
    assert second["full_name"] == "Mẫu"
    assert isinstance(third, Rejected)
    assert "DQ-45:full_name" in codes(third)


def test_a_lost_zero_is_put_back_with_a_warning_where_the_mapping_says_so() -> None:
    connector = changed(("record.yaml", "pupil_code: {width: 10,", "pupil_code: {width: 10, pad: true,"))
    value = vnedu_message([row(1, ma_hoc_sinh=199990202, truong_ma_xa="4.0")])

    item = connector.process(value, PLACE, PUBLISHED_MS)

    assert isinstance(item, Items)
    assert isinstance(item.items[0], Mapped)
    assert item.items[0].pupil_code == "0199990202"
    assert item.items[0].body is not None
    assert item.items[0].body["school_commune_code"] == "00004"
    assert {"GW-06:pupil_code", "GW-06:school_commune_code"} <= set(codes(item.items[0]))
    plain = vnedu().process(value, PLACE, PUBLISHED_MS)
    assert isinstance(plain, Items)
    assert "DQ-11:pupil_code" in codes(plain.items[0])


def test_the_scale_of_marks_is_taken_from_the_message_only_where_declared() -> None:
    two = (
        "mark_year:\n"
        '      - {from: "{key}", via: [{secondary_mark: {scale: 10}}], when: {from: $.he_so, in: ["10"]}}\n'
        '      - {from: "{key}", via: [secondary_mark]}'
    )
    expected = 'expect:\n  - {from: $.he_so, in: ["1", "10"], code: DQ-08, field: subjects}\n'
    connector = changed(
        ("subjects.yaml", 'mark_year: {from: "{key}", via: [secondary_mark]}', two),
        ("record.yaml", "expect:\n", expected),
    )
    scaled = msgspec.json.decode(vnedu_message([row(1)]))
    for name in ("toan", "van"):
        scaled["rows"][0][name] = "85"

    with_scale = connector.process(msgspec.json.encode(scaled | {"he_so": 10}), PLACE, PUBLISHED_MS)
    without = connector.process(msgspec.json.encode(scaled), PLACE, PUBLISHED_MS)

    assert isinstance(with_scale, Items)
    assert isinstance(without, Items)
    assert "DQ-08:subjects[15].mark_year" not in codes(with_scale.items[0])
    assert "DQ-08:subjects[15].mark_year" in codes(without.items[0])


def test_a_code_of_the_vendor_names_the_subject_by_then() -> None:
    mapping = (
        "subjects:\n  path: mon\n  rules:\n"
        "    subject_code: {from: ma, table: mon}\n"
        "    subject_name: {from: ma, table: mon, then: [{subject_name: {list: subject_thcs}}]}\n"
        "    mark_year: {from: diem, via: [secondary_mark]}\n"
        "    subject_teacher_name: gv\n"
        "    subject_teacher_citizen_id: gv_id\n"
    )
    words = ", ".join(f'"{code}": [m{code}]' for code in sorted(code_lists()["subject_thcs"]))
    tables = f"\n  mon:\n    official: subject_thcs\n    words: {{{words}}}\n"
    shown = files_with("vnedu_flat_thcs")
    name = next(file for file in shown if file.endswith("subjects.yaml"))
    other = next(file for file in shown if file.endswith("tables.yaml"))
    shown[name] = mapping + shown[name][shown[name].index("\nhistory:") :]
    shown[other] += tables

    connector = compile_connector(shown)
    outcome = connector.process(
        vnedu_message([row(1, mon=[{"ma": "m99", "diem": "Đ"}, {"ma": "X", "diem": "Đ"}])]), PLACE, PUBLISHED_MS
    )

    assert isinstance(outcome, Items)
    found = [code for code in codes(outcome.items[0]) if code.startswith("DQ-30")]
    assert found == ["DQ-30:subjects[#1].subject_code"]


def test_a_line_nested_too_deep_is_no_message_and_no_crash() -> None:
    connector, _ = clean_avro()

    found = dry_run(connector, "f.jsonl", b"[" * 20_000, PUBLISHED_MS)

    assert [[problem["code"] for problem in one["problems"]] for one in found] == [["DQ-45"]]


ACCENTED = ("mappings/record.yaml", "full_name: ho_ten", "full_name: họ_tên")


@pytest.mark.parametrize("escaped", [False, True], ids=["as bytes", "escaped"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_of_a_field_is_found_however_its_letters_are_composed(
    form: Literal["NFC", "NFD"], escaped: bool
) -> None:
    connector = compile_connector(files_with("vnedu_flat_thcs", ACCENTED))
    given = row(1)
    given[normalize(form, "họ_tên")] = given.pop("ho_ten")
    message = json.dumps({"rows": [given]}, ensure_ascii=escaped).encode()

    (item,) = connector.process(message, PLACE, PUBLISHED_MS).items  # type: ignore[union-attr]

    assert isinstance(item, Mapped), item


def test_two_names_that_differ_in_composition_only_are_one_name_twice() -> None:
    message = json.dumps({"rows": [row(1, **{"ghi_chú": "a", normalize("NFD", "ghi_chú"): "b"})]}).encode()

    assert vnedu().process(message, PLACE, PUBLISHED_MS) == RejectedWhole(
        (Problem("DQ-45", "message", "duplicate_name"),)
    )


@pytest.mark.parametrize("field", ["ho_ten", "toan", "noi_o", "truong_ma_xa"])
def test_a_nul_inside_a_text_is_refused_at_its_field(field: str) -> None:
    given = row(1)
    given[field] = f"{given[field]}\0"
    found = vnedu().process(vnedu_message([given]), PLACE, PUBLISHED_MS)

    assert isinstance(found, Items)
    assert isinstance(found.items[0], Rejected)
    assert [problem.code for problem in found.items[0].problems] == ["DQ-45"]


@pytest.mark.parametrize(
    ("field", "code"), [("toan", "DQ-11:"), ("khoi", "DQ-11:grade_code"), ("gioi_tinh", "DQ-17:gender")]
)
@pytest.mark.parametrize("clean_first", [True, False])
def test_true_is_no_mark_no_grade_and_no_sex(field: str, code: str, clean_first: bool) -> None:
    before = [row(1), row(2, toan=1, toan_hk1=1, toan_hk2=1, khoi=6)] if clean_first else []
    found = vnedu().process(vnedu_message([*before, row(3, **{field: True})]), PLACE, PUBLISHED_MS)

    assert isinstance(found, Items)
    assert [one[: len(code)] for one in codes(found.items[-1])] == [code]


@pytest.mark.parametrize(
    ("given", "code"),
    [("202605271500", "DQ-11"), ("hôm qua", "DQ-11"), ("31/02/2026", "DQ-14"), (True, "DQ-11")],
)
def test_a_time_that_cannot_be_read_is_refused_at_its_field(given: object, code: str) -> None:
    found = vnedu().process(vnedu_message([row(1, thoi_gian_cap_nhat=given)]), PLACE, PUBLISHED_MS)

    assert isinstance(found, Items)
    assert codes(found.items[0]) == [f"{code}:occurred_at"]


@pytest.mark.parametrize("given", ["abcde", "799911", "7.9911", "-1"])
def test_a_commune_code_has_five_digits(given: str) -> None:
    found = vnedu().process(vnedu_message([row(1, truong_ma_xa=given)]), PLACE, PUBLISHED_MS)

    assert isinstance(found, Items)
    assert codes(found.items[0]) == ["DQ-11:school_commune_code"]


def test_a_school_code_a_spreadsheet_has_touched_is_the_code() -> None:
    given = row(1)
    given["ma_truong"] += ".0"

    assert flat_bodies(vnedu(), vnedu_message([given])) == flat_bodies(vnedu(), vnedu_message([row(1)]))


def test_records_keyed_by_pupil_code_are_the_values_of_their_object() -> None:
    connector = changed(
        ("connector.yaml", "batch: rows", "batch: hocSinh.*"),
        ("record.yaml", "pupil_code: {from: ma_hoc_sinh,", 'pupil_code: {from: "@key",'),
    )
    plain = msgspec.json.decode(vnedu_message([row(1), row(2)]))
    rows = {one.pop("ma_hoc_sinh"): one for one in plain["rows"]}
    message = {"hocSinh": {**rows, "7999990109": 5}, "lop": "x"}

    outcome = connector.process(msgspec.json.encode(message), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert [item.pupil_code for item in outcome.items if isinstance(item, Mapped)] == list(rows)
    assert codes(outcome.items[2]) == ["DQ-45:message"]
    assert outcome.unknown_fields == {"$.lop": 1}
    none = connector.process(b'{"hocSinh": []}', PLACE, PUBLISHED_MS)
    assert none == RejectedWhole((Problem("DQ-45", "message", "no_items"),))


def test_a_message_may_be_the_object_of_records() -> None:
    connector = changed(
        ("connector.yaml", "batch: rows", 'batch: "*"'),
        ("record.yaml", "pupil_code: {from: ma_hoc_sinh,", 'pupil_code: {from: "@key",'),
    )
    one = row(1)
    code = one.pop("ma_hoc_sinh")

    outcome = connector.process(msgspec.json.encode({code: one}), PLACE, PUBLISHED_MS)

    assert isinstance(outcome, Items)
    assert [item.pupil_code for item in outcome.items if isinstance(item, Mapped)] == [code]


@pytest.mark.parametrize("batch", ["a.*.b", "*.rows"])
def test_a_star_elsewhere_is_a_fault(batch: str) -> None:
    with pytest.raises(ConnectorFaults, match="stands at the end only"):
        changed(("connector.yaml", "batch: rows", f'batch: "{batch}"'))
