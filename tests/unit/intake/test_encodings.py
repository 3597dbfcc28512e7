"""Declared encodings letter by letter, and what undeclared bytes are taken for."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Problem
from gateway.intake.encodings import ENCODINGS, decode_text, disguised, undeclared
from gateway.intake.encodings_tables import TCVN3, TCVN3_FIRST

NAMES = "Nguyễn Thị Mẫu Huyền\nĐặng Mẫu Hưởng\nDương Mẫu Quyết"
VNI_AS_STORED = "Nguyeãn Thò Maãu Huyeàn\nÑaëng Maãu Höôûng\nDöông Maãu Quyeát"
"""The names in VNI, read as Latin-1: the bytes of samples/legacy_vni_names.txt are this text in UTF-8."""
TCVN3_BYTES = (
    b"Nguy\xd4n Th\xde M\xc9u Huy\xd2n\n\xa7\xc6ng M\xc9u H\xad\xebng\nD\xad\xacng M\xc9u Quy\xd5t"
)  # fmt: skip
ALPHABET = "àảãáạăằẳẵắặâầẩẫấậèẻẽéẹêềểễếệìỉĩíịòỏõóọôồổỗốộơờởỡớợùủũúụưừửữứựỳỷỹýỵđ"


def in_1258(text: str) -> bytes:
    """Windows-1258: letters with their own sign whole, tones behind them."""
    out = ""
    for letter in unicodedata.normalize("NFC", text):
        parts = unicodedata.normalize("NFD", letter)
        tones = [part for part in parts if part in "\u0300\u0301\u0303\u0309\u0323"]
        out += unicodedata.normalize("NFC", "".join(p for p in parts if p not in tones)) + "".join(tones)
    return out.encode("cp1258")


@pytest.mark.parametrize(
    ("encoding", "value"),
    [
        ("utf-8", NAMES.encode()),
        ("utf-8", b"\xef\xbb\xbf" + NAMES.encode()),
        ("utf-16", NAMES.encode("utf-16")),
        ("utf-16", NAMES.encode("utf-16-le")),
        ("utf-16", b"\xfe\xff" + NAMES.encode("utf-16-be")),
        ("tcvn3", TCVN3_BYTES),
        ("tcvn3", TCVN3_BYTES.decode("latin-1").encode()),
        ("vni", VNI_AS_STORED.encode()),
        ("vni", VNI_AS_STORED.encode("latin-1")),
        ("windows-1258", in_1258(NAMES)),
    ],
)
def test_the_names_of_the_samples(encoding: str, value: bytes) -> None:
    assert decode_text(value, encoding) == NAMES


def test_nfd_is_left_to_the_values() -> None:
    assert decode_text(unicodedata.normalize("NFD", NAMES).encode(), "utf-8") == unicodedata.normalize("NFD", NAMES)


def test_every_letter_of_tcvn3_stands_once() -> None:
    letters = [letter for letter in TCVN3 if letter != "\0"]

    assert sorted(letters) == sorted([*ALPHABET, *"ĂÂÊÔƠƯĐ"])
    assert TCVN3_FIRST + len(TCVN3) == 0x100
    assert TCVN3[0xB5 - TCVN3_FIRST] == "à"
    assert TCVN3[0xFE - TCVN3_FIRST] == "ỵ"


VNI_ALPHABET = (
    "aø aû aõ aù aï aê aè aú aü aé aë aâ aà aå aã aá aä eø eû eõ eù eï eâ eà eå eã eá eä ì æ ó í ò oø oû oõ où oï "
    "oâ oà oå oã oá oä ô ôø ôû ôõ ôù ôï uø uû uõ uù uï ö öø öû öõ öù öï yø yû yõ yù î ñ"
)


def test_every_letter_of_vni_small_and_capital() -> None:
    assert decode_text(VNI_ALPHABET.encode("latin-1"), "vni") == " ".join(ALPHABET)
    assert decode_text(VNI_ALPHABET.upper().encode("latin-1"), "vni") == " ".join(ALPHABET.upper())
    assert decode_text("NGUYEÃN ÑÖÙC".encode("latin-1"), "vni") == "NGUYỄN ĐỨC"


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (b"Nguy\xd4n \x80\xff", "tcvn3"),
        (b"\xba", "tcvn3"),
        (NAMES.encode(), "tcvn3"),
        (NAMES.encode(), "vni"),
        (b"abc", "utf-16"),
        (b"\xef\xbb\xbf" + NAMES.encode(), "utf-16"),
        ("đúng số byte".encode() + b"a" * (len("đúng số byte".encode()) % 2), "utf-16"),
        (b"\x00\xd8x", "utf-16"),
        (b"\xd2abc\xff\x8a", "windows-1258"),
    ],
)
def test_bytes_that_are_no_text_of_the_declared_encoding_refuse_the_file(value: bytes, encoding: str) -> None:
    assert decode_text(value, encoding) == Problem("DQ-02", "encoding")


@pytest.mark.parametrize(
    ("value", "guess"),
    [
        (TCVN3_BYTES, "tcvn3"),
        (VNI_AS_STORED.encode("latin-1"), "vni"),
        ('{"ho_ten": "Nguyễn"}'.encode("utf-16"), "utf-16"),
        ('{"ho_ten": "Nguyễn"}'.encode("utf-16-le"), "utf-16"),
        ('{"ho_ten": "Nguyễn"}'.encode("utf-16-be"), "utf-16"),
        (in_1258(NAMES), "windows-1258"),
    ],
)
def test_undeclared_bytes_are_recognised(value: bytes, guess: str) -> None:
    assert undeclared(value) == Problem("DQ-02", f"encoding[{guess}]")
    assert guess == "utf-16" or decode_text(value, "utf-8") == Problem("DQ-02", f"encoding[{guess}]")


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xff\x00\xfe", b"\x80\x81\x82", "Zoë Müller, José".encode("latin-1")])
def test_bytes_nobody_knows_are_unreadable(value: bytes) -> None:
    assert undeclared(value) == Problem("DQ-45", "message", "encoding")


LONG = (NAMES + "\n") * 5


@pytest.mark.parametrize("place", [10, 40, 100, 150])
@pytest.mark.parametrize("bad", [b"\xff", b"\xc9", b"\xd4n", b"\x80\x80", b"\xe1\xba"])
def test_a_bad_byte_in_good_utf_8_makes_it_no_legacy_text(place: int, bad: bytes) -> None:
    start = LONG.encode().decode()[:place].encode()

    assert undeclared(start + bad + LONG[place:].encode()) == Problem("DQ-45", "message", "encoding")
    assert undeclared(start + bad + b" Nguy\xd4n Th\xde M\xc9u" + LONG[place:].encode()) == Problem(
        "DQ-45", "message", "encoding"
    )


def twice(text: str) -> str:
    """*text* in UTF-8 whose bytes were read as Windows-1252, as programs show it."""
    return "".join(bytes([byte]).decode("cp1252") if byte not in UNDEFINED else chr(byte) for byte in text.encode())


UNDEFINED = b"\x81\x8d\x8f\x90\x9d"


@pytest.mark.parametrize("text", [NAMES, LONG, "Lớp 6A, Trường Mẫu", "Hà Mẫu"])
def test_utf_8_encoded_twice_is_said_to_be_that(text: str) -> None:
    assert disguised(twice(text).encode()) == Problem("DQ-02", "encoding[utf-8-twice]")
    assert disguised(text.encode().decode("latin-1").encode()) == Problem("DQ-02", "encoding[utf-8-twice]")


@pytest.mark.parametrize(("text", "guess"), [(VNI_AS_STORED, "vni"), (TCVN3_BYTES.decode("latin-1"), "tcvn3")])
def test_legacy_text_in_utf_8_is_recognised(text: str, guess: str) -> None:
    assert disguised(text.encode()) == Problem("DQ-02", f"encoding[{guess}]")


@pytest.mark.parametrize(
    "text",
    [
        NAMES,
        unicodedata.normalize("NFD", NAMES),
        "KIM MAU-JUN",
        "Zoë Müller, José Muñoz, Noël, façade, naïve, Ångström, Søren, Dvořák",
        "Toán, Hoá, Toàn, Khoá, Loã, Loá, Straße, Großmann, Weiß, Preuß",
        "Hà Ma Ta, Trà Mà Rá, Lê Văn A, La Thò",
    ],
)
def test_people_of_other_countries_are_no_legacy_text(text: str) -> None:
    assert disguised(text.encode()) is None


@given(st.binary(max_size=200), st.sampled_from(sorted(ENCODINGS)))
def test_any_bytes_are_text_or_a_problem(value: bytes, encoding: str) -> None:
    assert isinstance(decode_text(value, encoding), str | Problem)
    assert isinstance(disguised(value), Problem | None)
