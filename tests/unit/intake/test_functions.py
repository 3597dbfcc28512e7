"""Every function of the mapping language does what its examples say; the catalogue knows each code it refuses with."""

from decimal import Decimal

import pytest

from gateway.edges.connector_files import connector_names, read_files
from gateway.errors import Problem, catalogue, describe
from gateway.intake.functions import FUNCTIONS
from gateway.intake.language import read_definition
from gateway.intake.registry import Example
from gateway.intake.values import Note, Refusal, clean, folded
from tests.unit.intake.loaded import CONNECTORS, rejected, row

CASES = [(name, example) for name, function in FUNCTIONS.items() for example in function.examples]


@pytest.mark.parametrize(("name", "example"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)])
def test_the_example_holds(name: str, example: Example) -> None:
    result = FUNCTIONS[name].factory(**example.arguments)(example.given)

    assert (type(result), result) == (type(example.result), example.result)


def test_every_function_has_a_description_and_examples() -> None:
    assert [name for name, function in FUNCTIONS.items() if not (function.doc and function.examples)] == []


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "value", [{}, [], [1], {"a": {}}, 10**60, True, "", "   ", "\u0660\u0661", "\x00", "9" * 5_000]
)
def test_a_function_takes_any_value(name: str, value: object) -> None:
    required: dict[str, dict[str, object]] = {
        "subject_name": {"list": "subject_thcs"},
        "blank": {"words": ["-"]},
        "letter": {"at": 1, "of": 5},
        "nth": {"at": 1},
        "code": {"width": 5},
    }
    result = FUNCTIONS[name].factory(**required.get(name, {}))(value)

    match result:
        case Refusal(code) | Note(code=code):
            assert code in catalogue()
        case _:
            assert name == "blank" or not isinstance(result, (dict, list))


def test_clean_text_is_composed_and_has_single_spaces() -> None:
    assert clean("Nguye\u0302\u0303n\u00a0 Mẫu\u200b\tAn\r\n") == "Nguyễn Mẫu An"


@pytest.mark.parametrize(
    ("one", "other"),
    [("Lê Mẫu Hòa", "LE MAU HOÀ"), ("Y Mẫu K’Bôr", "y mau k'bor"), ("Ê-đê", "Ê Đê"), ("Ðặng", "Đặng")],
)
def test_folded_forms_agree_where_only_spelling_differs(one: str, other: str) -> None:
    assert folded(one) == folded(other)


SECOND = 1_000
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("20260527150000", "DQ-11"),
        (202605271500, "DQ-11"),
        ("2026052715000", "DQ-11"),
        ("123456789", "DQ-11"),
        ("99999999999", "DQ-11"),
        ("9999999999", "DQ-14"),
        ("9999999999999", "DQ-14"),
        ("1000000000", 1_000_000_000 * SECOND),
        ("1779868800.0", 1_779_868_800 * SECOND),
        (Decimal("1779868800.5"), "DQ-11"),
        ("2026-05-27 15:00:00 +07:00", 1_779_868_800_000),
        ("2026-05-27T08:00:00.000Z", 1_779_868_800_000),
        ("2026-05-27", 1_779_814_800_000),
        ("2026-02-30", "DQ-14"),
        ("2026-05-27T25:00:00", "DQ-14"),
        ("31/02/2026", "DQ-14"),
        ("27/05/2026 3:00 PM", "DQ-11"),
        ("2026-W22-3", "DQ-11"),
        ("27/05/2126", "DQ-14"),
        ("27/05/1926", "DQ-14"),
        ("x", "DQ-11"),
    ],
)
def test_a_time_is_read_or_refused_never_guessed(given: object, code: object) -> None:
    found = FUNCTIONS["instant"].factory()(given)

    assert found == (Refusal(code) if isinstance(code, str) else code)


@pytest.mark.parametrize("given", ["2014.0", Decimal("2014.0"), 2014, "2014-00-00"])
def test_a_year_of_birth_a_spreadsheet_has_touched_is_a_year(given: object) -> None:
    assert FUNCTIONS["birth_year"].factory(excel=True)(given) == "2014"
    assert FUNCTIONS["birth_day"].factory(excel=True)(given) is None


@pytest.mark.parametrize("given", ["1899", "2101", "0001-05", "05/9999", "0000-00-00", "31/12/1899", "0000"])
def test_a_birth_outside_two_centuries_is_impossible(given: str) -> None:
    assert FUNCTIONS["birth_day"].factory()(given) == Refusal("DQ-14")


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - {"blank", "nth", "date_parts"}))
@pytest.mark.parametrize("value", [True, False])
def test_a_yes_or_no_is_no_word_and_no_number(name: str, value: bool) -> None:
    required: dict[str, dict[str, object]] = {
        "subject_name": {"list": "subject_thcs"},
        "letter": {"at": 1, "of": 1},
        "code": {"width": 1},
    }
    found = FUNCTIONS[name].factory(**required.get(name, {}))(value)

    assert found is None or isinstance(found, Refusal)


@pytest.mark.parametrize("name", ["secondary_mark", "pupil_code", "identity_number", "text", "birth_day", "upper"])
def test_a_nul_inside_a_text_is_refused_and_not_removed(name: str) -> None:
    assert FUNCTIONS[name].factory()("8\0") == Refusal("DQ-45")


def expected_of(result: object) -> str:
    return result.rule if isinstance(result, Refusal) else ""


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        ("secondary_mark", "8/5", "mark"),
        ("primary_test_mark", "x", "mark"),
        ("number", "35 kg", "number"),
        ("whole_number", "x", "number"),
        ("day", "tháng 3", "date"),
        ("birth_day", "x", "date"),
        ("instant", "hôm qua", "moment"),
        ("day_of", "x", "moment"),
        ("grade", "13", "grade"),
        ("grade_of_class", "A2", "grade"),
        ("province_code", "03", "province_new"),
        ("circular", "mới", "circular"),
        ("pupil_code", "12", "code"),
    ],
)
def test_a_value_of_no_form_is_told_which_form_was_expected(function: str, value: str, expected: str) -> None:
    result = FUNCTIONS[function].factory()(value)

    assert (result, expected_of(result)) == (Refusal("DQ-11"), expected)
    assert any(variant.rule == expected for variant in catalogue()["DQ-11"].variants)


def test_a_word_of_no_list_is_told_which_list_was_expected() -> None:
    found = rejected(row(1, dan_toc="Kinhh", ket_qua_hoc_tap="Giỏi", len_lop="chưa rõ", su_kien="KHAC"))
    rules = {problem.field: problem.rule for problem in found.problems if problem.code == "DQ-11"}

    assert rules == {
        "ethnic_group": "ethnic_group",
        "study_result_year": "secondary_result_level",
        "promoted": "boolean",
        "event_type": "event_type",
    }
    assert "T, K, Đ, CĐ" in describe(Problem("DQ-11", "study_result_year", "secondary_result_level")).fix_vi


def test_every_list_of_a_table_in_the_connectors_has_its_own_text() -> None:
    officials = {
        table.official
        for name in connector_names(CONNECTORS)
        for table in read_definition(read_files(CONNECTORS, name)).tables.values()
    }
    told = {variant.rule for variant in catalogue()["DQ-11"].variants}

    assert {one for one in officials if not one.startswith("subject_")} - {"gender"} <= told
