"""What may differ between two spellings of one name, and what never may."""

import unicodedata

import pytest

from gateway.identity.names import Other, Same, compare_names


@pytest.mark.parametrize(
    ("claimed", "registered"),
    [
        ("Nguyễn Mẫu An", "Nguyễn Mẫu An"),
        ("Nguyễn Mẫu Hoà", "Nguyễn Mẫu Hòa"),  # tone placement
        ("Lê Mẫu Thuý", "Lê Mẫu Thúy"),
        ("Lý Mẫu Mỹ", "Lí Mẫu Mĩ"),  # i/y
        ("Bùi Mẫu Quý", "Bùi Mẫu Quí"),
        ("H’Mông Mẫu", "H'Mông  Mẫu"),  # apostrophes and spaces
        ("K' Brôi Mẫu", "KʼBrôi Mẫu"),
        ("Tôn-Nữ Mẫu", "Tôn Nữ Mẫu"),
        ("Ðặng Mẫu Ân", "Đặng Mẫu Ân"),  # Eth for Đ
        ("Trần\u00a0Mẫu\u200b Ân", "Trần Mẫu Ân"),
    ],
)
def test_what_is_no_difference_of_the_name_confirms_without_a_warning(claimed: str, registered: str) -> None:
    assert compare_names(claimed, registered) == Same()


@pytest.mark.parametrize(
    ("claimed", "registered"),
    [
        ("NGUYỄN MẪU ÂN", "Nguyễn Mẫu Ân"),
        ("Nguyen Mau An", "Nguyễn Mẫu Ấn"),
        ("Dang Mau", "Đặng Mẫu"),
        ("Nguyễn Mẫu Ân", "Nguyen Mau An"),
    ],
)
def test_case_and_missing_diacritics_confirm_with_a_warning(claimed: str, registered: str) -> None:
    assert compare_names(claimed, registered) == Same("DQ-04")


@pytest.mark.parametrize(
    ("claimed", "registered"),
    [
        ("Nguyễn Mẫu Ân", "Nguyễn Mẫu Ấn"),
        ("Nguyễn Mẫu An", "Nguyễn Mẫu Ân"),  # diacritics on both sides: two names
        ("Lê Mẫu Mai", "Lê Mẫu May"),
        ("Lê Mẫu Thúi", "Lê Mẫu Thúy"),
        ("Lê Mẫu", "Lê Văn Mẫu"),
        ("Lê Mẫu Đan", "Lê Mẫu Dan"),
    ],
)
def test_two_names_stay_two_names(claimed: str, registered: str) -> None:
    assert compare_names(claimed, registered) == Other()


def test_decomposed_text_is_the_same_name() -> None:
    name = "Nguyễn Mẫu Quỳnh Hương"

    assert compare_names(unicodedata.normalize("NFD", name), name) == Same()
