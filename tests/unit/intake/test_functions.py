"""Every function of the mapping language does what its examples say; the catalogue knows each code it refuses with."""

import pytest

from gateway.errors import catalogue
from gateway.intake.functions import FUNCTIONS
from gateway.intake.registry import Example
from gateway.intake.values import Note, Refusal, clean, folded

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
