"""What may differ between two spellings of one name, and what never may."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.identity.names import How, Other, Same, compare_names, unaccented

SPACING, PLACE, I_OR_Y, ALIKE = How.SPACING, How.TONE_PLACE, How.I_OR_Y, How.LOOK_ALIKE


@pytest.mark.parametrize(
    ("claimed", "registered", "hows"),
    [
        ("Nguyễn Mẫu An", "Nguyễn Mẫu An", ()),
        ("Nguyễn Mẫu Hoà", "Nguyễn Mẫu Hòa", (PLACE,)),
        ("Lê Mẫu Thuý", "Lê Mẫu Thúy", (PLACE,)),
        ("Lý Mẫu Mỹ", "Lí Mẫu Mĩ", (I_OR_Y,)),
        ("Bùi Mẫu Quý", "Bùi Mẫu Quí", (I_OR_Y,)),
        ("Lê Mẫu Quỳnh", "Lê Mẫu Quình", (I_OR_Y,)),
        ("H’Mông Mẫu", "H'Mông  Mẫu", (SPACING,)),
        ("K' Brôi Mẫu", "KʼBrôi Mẫu", (SPACING,)),
        ("Tôn-Nữ Mẫu", "Tôn Nữ Mẫu", (SPACING,)),
        ("Lê ThịMẫu Ân", "Lê Thị Mẫu Ân", (SPACING,)),
        ("Ðặng Mẫu Ân", "Đặng Mẫu Ân", (ALIKE,)),  # Eth for Đ
        ("Trần Mẫu Nаm", "Trần Mẫu Nam", (ALIKE,)),  # Cyrillic а
        ("Trần\u00a0Mẫu\u200b Ân", "Trần Mẫu Ân", ()),
    ],
)
def test_what_is_no_difference_of_the_name_confirms_and_says_what_was_folded(
    claimed: str, registered: str, hows: tuple[How, ...]
) -> None:
    found = compare_names(claimed, registered)

    assert isinstance(found, Same)
    assert set(found.hows) - {ALIKE, SPACING} == set(hows) - {ALIKE, SPACING}
    assert set(hows) <= set(found.hows)


@pytest.mark.parametrize(
    ("claimed", "registered", "warned"),
    [
        ("NGUYỄN MẪU ÂN", "Nguyễn Mẫu Ân", {How.CASE}),
        ("nguyễn mẫu hoà", "Nguyễn Mẫu Hòa", {How.CASE}),
        ("Nguyen Mau An", "Nguyễn Mẫu Ấn", {How.DIACRITICS}),
        ("Dang Mau", "Đặng Mẫu", {How.DIACRITICS}),
        ("Nguyễn Mẫu Ân", "Nguyen Mau An", {How.DIACRITICS}),
        ("NGUYEN MAU AN", "Nguyễn Mẫu Ân", {How.CASE, How.DIACRITICS}),
        ("Mẫu Ân Nguyễn", "Nguyễn Mẫu Ân", {How.ORDER}),
        ("Ân, Nguyễn Mẫu", "Nguyễn Mẫu Ân", {How.ORDER}),
        ("Nguyễn Mẫu Ân", "Ân Nguyễn Mẫu", {How.ORDER}),
        ("An Nguyen Mau", "Nguyễn Mẫu Ân", {How.DIACRITICS, How.ORDER}),
    ],
)
def test_case_order_and_missing_diacritics_confirm_with_a_warning(
    claimed: str, registered: str, warned: set[How]
) -> None:
    found = compare_names(claimed, registered)

    assert isinstance(found, Same)
    assert set(found.hows) & {How.CASE, How.DIACRITICS, How.ORDER} == warned


@pytest.mark.parametrize(
    ("claimed", "registered", "how"),
    [
        ("Nguyễn Mẫu Ân", "Nguyễn Mẫu Ấn", How.TONE),
        ("Nguyễn Mẫu An", "Nguyễn Mẫu Ân", How.DIACRITICS),  # diacritics on both sides: two names
        ("Lê Mẫu Đan", "Lê Mẫu Dan", How.DIACRITICS),
        ("Lê Mẫu Mai", "Lê Mẫu May", How.DIFFERENT),
        ("Lê Mẫu Thúi", "Lê Mẫu Thúy", How.DIFFERENT),
        ("Lê Mẫu Linh", "Lê Mẫu Lynh", How.DIFFERENT),
        ("Lê Mẫu", "Lê Văn Mẫu", How.DIFFERENT),
        ("Lê Mẫu Minh Anh", "Lê Mẫu Anh Minh", How.ORDER),  # twins
        ("Anh Minh Mẫu Lê", "Lê Mẫu Minh Anh", How.ORDER),  # turned, but into which order?
        ("Hà Mẫu Lê", "Lê Hà Mẫu", How.ORDER),  # both ends may be the family
        ("Mẫu Lê Hà", "Lê Hà Mẫu", How.ORDER),  # would be Hà Mẫu Lê as well
        ("Lê Má Ca Mẫu", "Lê Ma Cá Mẫu", How.TONE),
        ("Lê MáCa Mẫu", "Lê Ma Cá Mẫu", How.TONE),
        ("", "Lê Mẫu", How.MISSING),
    ],
)
def test_two_names_stay_two_names_and_the_explanation_is_a_word(claimed: str, registered: str, how: How) -> None:
    assert compare_names(claimed, registered) == Other(how)


def test_decomposed_text_is_the_same_name() -> None:
    name = "Nguyễn Mẫu Quỳnh Hương"

    assert compare_names(unicodedata.normalize("NFD", name), name) == Same()


@given(st.text("aiyưCbĐ '-\u0301\u0306\u0327\u200b", max_size=12), st.text("aiyuCbđ '-\u0301\u0306", max_size=12))
@example("Rơ Chăm C\u0306i", "Rơ Chăm Ci")  # a mark without a letter of its own
@example("Ksor C\u0306y", "Ksor C\u0306ỳ")
def test_any_two_names_are_compared(claimed: str, registered: str) -> None:
    assert isinstance(compare_names(claimed, registered), Same | Other)
    assert compare_names(claimed, claimed) == Same()


def test_a_name_in_capitals_loses_its_diacritics_and_keeps_its_capitals() -> None:
    assert unaccented("ĐẶNG MẪU BƯỞI") == "DANG MAU BUOI"
